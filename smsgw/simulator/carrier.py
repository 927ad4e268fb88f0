"""A carrier's gateway that does what its `Behaviour` says: listens, answers, reports, replies, and misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import ssl
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from smsgw.core import text as texts
from smsgw.core.bucket import TokenBucket
from smsgw.core.text import Coding
from smsgw.protocols.dialects import Dialect
from smsgw.protocols.errors import Malformed
from smsgw.protocols.events import (
    Answer,
    Bound,
    Closed,
    CloseNow,
    Event,
    Expired,
    Late,
    LoginRequest,
    Refused,
    Request,
    Violation,
)
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.rules import Rules
from smsgw.protocols.session import Session, SessionConfig
from smsgw.protocols.sgip import rules as sgip_rules
from smsgw.runtime.aio import Backoff, cancel, spawn
from smsgw.simulator.config import (
    NO_REPORT,
    Behaviour,
    CarrierConfig,
    Delay,
    Mo,
    Rule,
    ScenarioError,
    check,
    parse_behaviour,
)
from smsgw.simulator.dialects import CarrierDialect, Reply, Report, SgipDialect, Submission, Wish, dialect_of
from smsgw.simulator.inbox import Inbox, Received
from smsgw.simulator.link import Link
from smsgw.simulator.plan import Delivery, Try
from smsgw.simulator.recording import FileRecording
from smsgw.simulator.replay import Replay
from smsgw.simulator.timers import Timers
from smsgw.simulator.wirelog import WireLog

log = structlog.get_logger(__name__)

_HOUSEKEEPING = 0.1
_RETRY_AFTER = 1.0
_BACKLOG = 1024
_CALL_TIMEOUT = 5.0
_NO_WINDOW = 1 << 30
_REMEMBERED = 100_000
"""Numbers of submits kept to recognise repetitions (SGIP)."""


@dataclass(slots=True)
class Counts:
    """What happened so far. Submits are counted per destination."""

    connections: int = 0
    logins: int = 0
    logins_refused: int = 0
    submits: int = 0
    accepted: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    """By status."""
    answers_lost: int = 0
    reports: int = 0
    """Written to a connection, repetitions included."""
    reports_acknowledged: int = 0
    replies: int = 0
    replies_acknowledged: int = 0
    repeated: int = 0
    """Deliveries that were written again, because they were refused or not acknowledged."""
    given_up: int = 0
    """Deliveries that were refused too often, or dropped because too many waited."""
    disconnects: int = 0
    violations: Counter[str] = field(default_factory=Counter)
    peak_rate: int = 0
    """Most submits in one second of the clock."""
    peak_unanswered: int = 0
    """Most submits that one connection had sent without waiting for an answer."""


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A delivery out of a recording."""

    pdu: Pdu
    report: bool


@dataclass(slots=True, eq=False)
class _Delivery:
    """A report or reply on its way to `user`, until it is acknowledged."""

    user: str
    item: Report | Reply | _Recorded

    @property
    def report(self) -> bool:
        """Whether it is a report."""
        return isinstance(self.item, Report) or (isinstance(self.item, _Recorded) and self.item.report)

    tries: int = 0
    done: bool = False


@dataclass(slots=True, eq=False)
class _Outbox:
    """What waits for one user, and the connections that can take it."""

    waiting: deque[_Delivery] = field(default_factory=deque)
    links: list[Link] = field(default_factory=list)


class Carrier:
    """One simulated gateway. Everything runs in the event loop that `start` was called in.

    What it knows survives `stop`: after another `start` it listens on the same port and delivers what was not
    acknowledged.
    """

    def __init__(
        self, config: CarrierConfig | None = None, *, wirelog: WireLog | None = None, replay: Replay | None = None
    ) -> None:
        """Raises `ScenarioError` when the configuration contradicts itself, `OSError` for a file to record into."""
        config = config or CarrierConfig()
        problems = check(config)
        if problems:
            raise ScenarioError(problems)
        self.config = config
        self.behaviour = config.behaviour
        self.counts = Counts()
        self.inbox = Inbox(
            config.name, keep=config.keep_messages, max_counted=config.max_counted, token_pattern=config.token_pattern
        )
        self.wirelog = wirelog
        self.recording = FileRecording(config) if config.record else None
        self.replay = replay
        self._begun = False
        self.paused = False
        self.port = config.port
        """The port listened on; known from `start` on when the configuration says 0."""
        self._dice = random.Random(config.seed)  # noqa: S311  scripted misbehaviour, not a secret
        self.dialect: CarrierDialect = dialect_of(config, self._dice, lambda: self.port)
        self._session_config = SessionConfig(
            window=config.window,
            response_timeout=config.response_timeout,
            keepalive_interval=60.0,
            # Answers that are lost on purpose must not hold up a client's logout.
            close_grace=0.5,
            leave_grace=0.2,
            max_unanswered_in=1_000_000,
            max_violations_per_minute=1_000,
        )
        if config.protocol == "sgip":
            self._session_config = dataclasses.replace(
                self._session_config,
                window=min(config.window, sgip_rules.MAX_UNANSWERED),
                keepalive_interval=None,
                idle_timeout=config.idle_timeout,
            )
        self._recent: dict[tuple[int, int, int], int] = {}
        """SGIP: numbers of the last submits and what was in them."""
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._links: dict[Link, None] = {}
        self._outboxes: dict[str, _Outbox] = {}
        self._dirty: list[Link] = []
        self._flushing = False
        self._bucket: TokenBucket | None = None
        self._second = -1
        self._in_second = 0
        self._arrived = asyncio.Event()
        self._left = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timers: Timers | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._limit(0.0)

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen. Raises `OSError` when the address cannot be had or the certificate not be read."""
        loop = asyncio.get_running_loop()
        self._loop = loop
        tls = None
        if self.config.tls_cert:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            try:
                tls.load_cert_chain(self.config.tls_cert, self.config.tls_key or None)
            except OSError as exc:
                raise OSError(f"certificate {self.config.tls_cert}: {exc.strerror or exc}") from exc
        self._server = await loop.create_server(
            self._link, self.config.host, self.port, backlog=_BACKLOG, reuse_address=True, ssl=tls
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._limit(loop.time())
        self._timers = Timers(loop)
        self._tick = loop.call_later(_HOUSEKEEPING, self._housekeeping)
        for mo in self.config.mo:
            self._timers.at(loop.time() + mo.after, self._scripted_mo, mo, 1)

    async def stop(self, *, grace: float = 0.5) -> None:
        """Log out politely, waiting `grace` seconds at most, then close everything."""
        if self._server is None or self._loop is None:
            return
        self._server.close()
        await cancel(*self._calls.values())
        self._calls.clear()
        now = self.now()
        for link in list(self._links):
            link.session.close(now)
            self.handle(link, link.session.tick(now), now)
            self.mark(link)
        await self._until_gone(grace)
        for link in list(self._links):
            link.abort()
        await self._until_gone(1.0)
        if self._tick is not None:
            self._tick.cancel()
        if self._timers is not None:
            for call, args in self._timers.clear():
                if call == self._report_due:  # a report that is due later is not lost: it waits for a client
                    call(*args)
        if self.wirelog is not None:
            self.wirelog.flush()
        if self.recording is not None:
            self.recording.flush()
        self._server = None

    def close(self) -> None:
        """Finish the recording; after it the carrier is not started again."""
        if self.recording is not None:
            self.recording.close()

    async def _until_gone(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._links:
                    self._left.clear()
                    await self._left.wait()

    async def __aenter__(self) -> Carrier:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        self.close()

    def now(self) -> float:
        """The time of the event loop, 0 before `start`."""
        return 0.0 if self._loop is None else self._loop.time()

    # -- what a test or an operator asks ------------------------------------------------------------------------

    @property
    def messages(self) -> deque[Received]:
        """Whole messages, in the order of their completion."""
        return self.inbox.messages

    @property
    def receptions(self) -> Counter[tuple[str, str]]:
        """How often each (destination, text) arrived."""
        return self.inbox.receptions

    @property
    def connections(self) -> int:
        """Open connections, logged in or not."""
        return len(self._links)

    @property
    def bound(self) -> int:
        """Connections that are logged in."""
        return sum(1 for link in self._links if link.user and not link.gone and not link.outgoing)

    @property
    def peers(self) -> list[str]:
        """Addresses that the open connections come from (or, with SGIP, go to)."""
        return [link.peer for link in self._links]

    @property
    def waiting(self) -> int:
        """Reports and replies that are not on a connection now."""
        return sum(len(box.waiting) for box in self._outboxes.values())

    def owed(self, within: float) -> int:
        """Reports and replies without an acknowledgement, and those that are due within so many seconds."""
        assert self._timers is not None  # noqa: S101  asked of one that was started
        due = self._timers.due(self.now() + within, self._report_due, self._enqueue)
        return self.waiting + due + sum(link.session.outstanding for link in self._links)

    async def received(self, n: int = 1, *, within: float = 10.0) -> list[Received]:
        """Wait for `n` whole messages in all and return those kept. Raises `TimeoutError`."""
        async with asyncio.timeout(within):
            while self.inbox.total < n:
                self._arrived.clear()
                await self._arrived.wait()
        return list(self.inbox.messages)

    def summary(self) -> dict[str, Any]:
        """All counts, fit for JSON."""
        counts = dataclasses.asdict(self.counts)
        counts["refused"] = {str(status): n for status, n in sorted(self.counts.refused.items())}
        return {
            "carrier": self.config.name,
            "protocol": self.config.protocol,
            "port": self.port,
            "open": self.connections,
            "waiting": self.waiting,
            **self.inbox.summary(),
            **counts,
            **({} if self.replay is None else {"replayed": self.replay.replayed, "left": self.replay.left}),
        }

    # -- what a test or an operator does ------------------------------------------------------------------------

    def change(self, **changes: Any) -> None:
        """Change the behaviour from now on. Values are those of `Behaviour`, or their written form.

        Raises `ScenarioError`, and nothing is changed then.
        """
        known = {f.name for f in dataclasses.fields(Behaviour)}
        ready = {k: v for k, v in changes.items() if k in known and not isinstance(v, str | int | float | list)}
        written = {k: v for k, v in changes.items() if k not in ready}
        behaviour = dataclasses.replace(parse_behaviour(written, self.behaviour), **ready)
        problems = check(dataclasses.replace(self.config, behaviour=behaviour))
        if problems:
            raise ScenarioError(problems)
        self.behaviour = behaviour
        if {"rate", "rate_burst"} & changes.keys():
            self._limit(self.now())

    def send_mo(
        self,
        source: str,
        destination: str,
        text: str,
        *,
        user: str | None = None,
        coding: Coding | None = None,
        ref: int | None = None,
        ref16: bool = False,
        order: Sequence[int] | None = None,
    ) -> int:
        """A phone (`source`) sends `text` to a service number. Returns how many parts go out.

        A long text goes in parts with a user data header. `order` names the parts to deliver, from 1, in their
        order: `(2, 1)`, `(1, 1, 2)` and `(2,)` are all possible. Raises `Unencodable`, `TooLong`, and `ValueError`
        for an unknown user or part.
        """
        user = next(iter(self.config.users)) if user is None else user
        if user not in self.config.users:
            raise ValueError(f"nobody is called {user!r}")
        coding = coding or texts.choose(text, self.dialect.mo_codings)
        ref = self._dice.randrange(1 << 16) if ref is None else ref
        segments = texts.split(text, coding, ref=ref, ref16=ref16)
        numbers = range(1, len(segments) + 1) if order is None else order
        if not all(1 <= number <= len(segments) for number in numbers):
            raise ValueError(f"the message has {len(segments)} parts")
        for number in numbers:
            part = segments[number - 1]
            reply = Reply(self.dialect.new_id(1), source, destination, coding, part.octets, part.udh)
            self._enqueue(_Delivery(user, reply))
        return len(numbers)

    def report_now(self) -> None:
        """Reports that are due later come now."""
        if self._timers is not None:
            for user, report, copies in self._timers.take(self._report_due):
                self._report_due(user, report, copies)

    def disconnect(self, *, rst: bool = False) -> int:
        """Close every connection without a word, by FIN or RST. Returns how many."""
        links = [link for link in self._links if not link.gone]
        for link in links:
            self._drop(link, rst=rst)
        return len(links)

    def pause(self) -> None:
        """Freeze: connections stay open, nothing is read or written."""
        self.paused = True
        for link in self._links:
            link.pause()

    def resume(self) -> None:
        """Thaw."""
        self.paused = False
        for link in self._links:
            link.resume()
            self.mark(link)

    # -- connections --------------------------------------------------------------------------------------------

    def _link(self, rules: Rules | None = None) -> Link:
        """A connection of a client; with ``rules`` one that we open."""
        self.counts.connections += 1
        number = self.counts.connections
        session = Session(rules or self.dialect.rules(), config=self._session_config)

        def dialect() -> Dialect:
            return session.dialect

        return Link(
            self, number, session, outgoing=rules is not None,
            tap=self.wirelog.tap(self.config.name, number, dialect) if self.wirelog is not None else None,
            recorded=self.recording.tap(dialect) if self.recording is not None else None,
        )  # fmt: skip

    def link_made(self, link: Link) -> None:
        """A client has connected, or we to it."""
        self._links[link] = None
        link.session.start(self.now())
        if link.outgoing:
            self.mark(link)
        if self.paused:
            link.pause()

    def link_lost(self, link: Link, why: str) -> None:
        """The transport of a link is gone; what was on its way must go again."""
        self.handle(link, link.session.closed(why, self.now()), self.now())
        self._links.pop(link, None)
        self._left.set()
        box = self._outboxes.get(link.user)
        if box is not None and link in box.links:
            box.links.remove(link)

    def _call(self, user: str) -> None:
        """SGIP: have a connection to the listener of a client that something waits for."""
        if user not in self._calls and self._server is not None:
            self._calls[user] = spawn(self._calling(user), name=f"call.{self.config.name}.{user}")

    async def _calling(self, user: str) -> None:
        assert isinstance(self.dialect, SgipDialect)  # noqa: S101  only there are listeners called
        config = self.config
        host, _, port = config.deliver_to.rpartition(":")
        backoff = Backoff(0.1, 2.0)
        name, password = config.deliver_user or user, config.deliver_password or config.users[user]
        try:
            while self._outboxes[user].waiting and not self._outboxes[user].links:
                link = self._link(self.dialect.caller(name, password))
                link.user = user
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(_CALL_TIMEOUT):
                        loop = asyncio.get_running_loop()
                        await loop.create_connection(lambda link=link: link, host.strip("[]"), int(port))  # type: ignore[misc]
                        await link.settled.wait()
                if link.receives:
                    return
                link.abort()
                await asyncio.sleep(backoff.next())
        finally:
            self._calls.pop(user, None)

    def mark(self, link: Link) -> None:
        """The link has something to write, or room to write into."""
        if not link.dirty:
            link.dirty = True
            self._dirty.append(link)
        self._flush_soon()

    def handle(self, link: Link, events: list[Event], now: float) -> None:
        """Act on what a session has to tell."""
        owed = link.session.owed
        if owed > self.counts.peak_unanswered:
            self.counts.peak_unanswered = owed
        for event in events:
            kind = type(event)
            if kind is Request:
                if not link.gone:
                    self._request(link, event, now)  # type: ignore[arg-type]
            elif kind is Answer:
                self._settled(event.tag, event.status, now)  # type: ignore[union-attr, arg-type]
            else:
                self._seldom(link, event, now)
        self.mark(link)

    def _seldom(self, link: Link, event: Event, now: float) -> None:
        match event:
            case LoginRequest():
                self._login(link, event, now)
                self.handle(link, link.session.tick(now), now)
            case Late():
                self._settled(event.tag, event.status, now)  # type: ignore[arg-type]
            case Expired():
                self._unacknowledged(event.tag)  # type: ignore[arg-type]
            case Closed():
                # A lost connection costs no try. Put in front one by one, so the oldest goes first again.
                for delivery in reversed(event.lost):
                    self._enqueue(delivery, first=True)  # type: ignore[arg-type]
            case Bound():
                link.receives = True
                link.settled.set()
                self._outboxes.setdefault(link.user, _Outbox()).links.append(link)
            case CloseNow():
                link.settled.set()
                link.drop()
            case Refused():
                self.counts.logins_refused += 1
            case Violation():
                self.counts.violations[event.kind] += 1
                log.info(
                    "simulator.violation",
                    carrier=self.config.name,
                    connection=link.number,
                    kind=event.kind,
                    detail=event.detail,
                )

    def _login(self, link: Link, login: LoginRequest, now: float) -> None:
        user, status, details = self.dialect.login(login.pdu)
        if self.behaviour.refuse_login is not None:
            status = self.behaviour.refuse_login
        elif not status and self.bound >= self.behaviour.max_connections:
            status = self.dialect.full_status
        elif not status and self.replay is not None:
            status = self.replay.login()
        if status:
            self.counts.logins_refused += 1
            link.session.refuse(login, status, now=now)
            return
        if not link.session.admit(login, now=now, **details):
            return
        self.counts.logins += 1
        link.user = user
        link.receives = self.dialect.receives(login.pdu)
        if link.receives:
            self._outboxes.setdefault(user, _Outbox()).links.append(link)
        if self.replay is not None and not self._begun:
            self._begin_replay(user, now)

    def _drop(self, link: Link, *, rst: bool) -> None:
        self.counts.disconnects += 1
        link.drop(rst=rst)

    # -- submits ------------------------------------------------------------------------------------------------

    def _request(self, link: Link, request: Request, now: float) -> None:
        submission = self.dialect.read(request.pdu)
        if submission is None:
            status, fields = self.dialect.other(request.pdu)
            link.session.answer(request, status=status, **fields)
            return
        if self.config.protocol == "sgip" and not self._first_time(link, request):
            return
        behaviour = self.behaviour
        counts = self.counts
        n = len(submission.destinations)
        counts.submits += n
        link.submits += 1
        self._meter(now, n)
        if self.replay is not None and (attempt := self.replay.submit(request.pdu)) is not None:
            self._as_recorded(link, request, submission, attempt, now)
            return
        rule = self._rule(submission) if behaviour.rules else None
        status = behaviour.answers.draw(self._dice) if rule is None or rule.answer is None else rule.answer
        if status == 0 and self._bucket is not None and not self._within_rate(now, n):
            status = behaviour.throttle_status or self.dialect.throttle_status
        id = 0
        early = False
        if status:
            counts.refused[status] += n
        else:
            id = self.dialect.id_of(request.pdu, n)
            self._accept(link, submission, now)
            if submission.wish is not Wish.NONE and not behaviour.silent:
                early = self._chance(behaviour.early_reports)
                self._report(link.user, submission, id, rule, early, now)
        if behaviour.disconnect_after is not None and link.submits >= behaviour.disconnect_after:
            self._drop(link, rst=behaviour.disconnect_rst)
            return
        if behaviour.silent:
            return
        if early:
            self._pump(self._outboxes[link.user], now)
        self._schedule_answer(link, request, self.dialect.answer(request.pdu, status, id), rule, now)

    def _accept(self, link: Link, submission: Submission, now: float) -> None:
        self.counts.accepted += len(submission.destinations)
        for destination in submission.destinations:
            self.inbox.add(destination, submission.source, submission.text, submission.concat, link.number, now)
        if not self._arrived.is_set():
            self._arrived.set()

    def _first_time(self, link: Link, request: Request) -> bool:
        """SGIP 3.7.2.4.3: a submit that came before is dropped, another one with its number is an error."""
        sequence = request.pdu.sequence
        content = hash(repr(request.pdu))
        known = self._recent.get(sequence)
        if known is None:
            self._recent[sequence] = content
            if len(self._recent) > _REMEMBERED:
                del self._recent[next(iter(self._recent))]
            return True
        status = 0 if known == content else sgip_rules.ILLEGAL_SEQUENCE
        self.counts.violations["duplicate" if known == content else "sequence"] += 1
        link.session.answer(request, status=status)
        return False

    def _rule(self, submission: Submission) -> Rule | None:
        for rule in self.behaviour.rules:
            for destination in submission.destinations:
                if rule.matches(destination, submission.text):
                    return rule
        return None

    def _schedule_answer(self, link: Link, request: Request, pdu: Pdu, rule: Rule | None, now: float) -> None:
        behaviour = self.behaviour
        if (rule is not None and rule.lose_answer) or self._chance(behaviour.lose_answers):
            self.counts.answers_lost += 1
            return
        if self._chance(behaviour.late_answers):
            pause = behaviour.late_by.draw(self._dice)
        elif rule is not None and rule.answer_delay is not None:
            pause = rule.answer_delay.draw(self._dice)
        else:
            pause = behaviour.answer_delay.draw(self._dice)
        twice = self._chance(behaviour.duplicate_answers)
        if pause <= 0:
            self._answer(link, request, pdu, twice)
        elif self._timers is not None:
            self._timers.at(now + pause, self._answer, link, request, pdu, twice)

    def _answer(self, link: Link, request: Request, pdu: Pdu, twice: bool) -> None:
        if link.gone or not link.session.answer(request, pdu):
            return
        if twice:
            link.write_raw(link.session.dialect.encode(pdu))
        self.mark(link)

    def _limit(self, now: float) -> None:
        rate = self.behaviour.rate
        if rate is None:
            self._bucket = None
        else:
            burst = self.behaviour.rate_burst
            self._bucket = TokenBucket(rate, max(1.0, rate) if burst is None else burst, now=now)

    def _within_rate(self, now: float, n: int) -> bool:
        assert self._bucket is not None  # noqa: S101
        granted = self._bucket.take(now, n)
        if granted < n:
            self._bucket.give_back(granted)
        return granted == n

    def _meter(self, now: float, n: int) -> None:
        second = int(now)
        if second != self._second:
            self._second = second
            self._in_second = 0
        self._in_second += n
        if self._in_second > self.counts.peak_rate:
            self.counts.peak_rate = self._in_second

    def _chance(self, chance: float) -> bool:
        return chance > 0 and self._dice.random() < chance

    # -- as recorded --------------------------------------------------------------------------------------------

    def _begin_replay(self, user: str, now: float) -> None:
        """What the recording has without a submit comes at its time after the first login."""
        assert self.replay is not None  # noqa: S101
        assert self._timers is not None  # noqa: S101
        self._begun = True
        speed = self.config.replay_speed
        for delivery in self.replay.plan.timed:
            self._timers.at(now + delivery.delay / speed, self._bring, user, delivery, None)
        for at, how in self.replay.plan.cuts:
            self._timers.at(now + at / speed, self._cut_any, how)

    def _as_recorded(self, link: Link, request: Request, submission: Submission, attempt: Try, now: float) -> None:
        assert self.replay is not None  # noqa: S101
        assert self._timers is not None  # noqa: S101
        speed = self.config.replay_speed
        status = self.dialect.status(attempt.answers[0][1]) if attempt.answers else 0
        if status:
            self.counts.refused[status] += len(submission.destinations)
        else:
            self._accept(link, submission, now)
        if not attempt.answers:
            self.counts.answers_lost += 1
        for n, (delay, pdu) in enumerate(attempt.answers):
            answer = self.replay.answer(pdu)
            self._timers.at(now + delay / speed, self._say_again, link, request, answer, n > 0)
        live = request.pdu.replace()
        for delivery in attempt.deliveries:
            self._timers.at(now + delivery.delay / speed, self._bring, link.user, delivery, live)
        for delay, how in attempt.cuts:
            self._timers.at(now + delay / speed, self._cut, link, how)

    def _say_again(self, link: Link, request: Request, answer: Pdu, again: bool) -> None:
        answer.sequence = request.pdu.sequence
        if link.gone:
            return
        if again:
            link.write_raw(link.session.dialect.encode(answer))
        else:
            link.session.answer(request, answer)
        self.mark(link)

    def _bring(self, user: str, delivery: Delivery, live: Pdu | None) -> None:
        assert self.replay is not None  # noqa: S101
        pdu = self.replay.delivery(delivery.pdu, live)
        self._enqueue(_Delivery(user, _Recorded(pdu, delivery.report)))

    def _cut_any(self, how: str) -> None:
        link = next((link for link in self._links if not link.gone and not link.outgoing), None)
        if link is not None:
            self._cut(link, how)

    def _cut(self, link: Link, how: str) -> None:
        if link.gone:
            return
        if how == "freeze":
            link.freeze()
        elif how == "logout":
            now = self.now()
            link.session.close(now)
            self.handle(link, link.session.tick(now), now)
        else:
            self._drop(link, rst=how == "rst")

    # -- reports and replies ------------------------------------------------------------------------------------

    def _report(self, user: str, submission: Submission, id: int, rule: Rule | None, early: bool, now: float) -> None:
        behaviour = self.behaviour
        assert self._timers is not None  # noqa: S101  a link exists only after start
        if behaviour.one_report and submission.concat is not None and submission.concat.number > 1:
            return
        for k, destination in enumerate(submission.destinations):
            state = behaviour.reports.draw(self._dice) if rule is None or rule.report is None else rule.report
            if state == NO_REPORT or not submission.wish.includes(state) or self._chance(behaviour.lose_reports):
                continue
            error = "000" if state == "DELIVRD" else "001"
            report = Report(
                self.dialect.id_after(id, k),
                self.dialect.new_id(1),
                destination,
                submission.source,
                state,
                error if rule is None or rule.error is None else rule.error,
                time.time(),
                0.0,
                submission.text[:20],
                submission.reference,
            )
            copies = behaviour.report_copies if self._chance(behaviour.duplicate_reports) else 1
            delay: Delay = behaviour.report_delay if rule is None or rule.report_delay is None else rule.report_delay
            if self._chance(behaviour.late_reports):
                delay = behaviour.late_by
            if early:
                self._report_due(user, report, copies)
            else:
                self._timers.at(now + delay.draw(self._dice), self._report_due, user, report, copies)

    def _report_due(self, user: str, report: Report, copies: int) -> None:
        report.done = time.time()
        for _ in range(copies):
            self._enqueue(_Delivery(user, report))

    def _enqueue(self, delivery: _Delivery, *, first: bool = False) -> None:
        box = self._outboxes.get(delivery.user)
        if box is None:
            box = self._outboxes[delivery.user] = _Outbox()
        if len(box.waiting) >= self.config.max_pending:
            box.waiting.popleft()
            self.counts.given_up += 1
        if first:
            box.waiting.appendleft(delivery)
        else:
            box.waiting.append(delivery)
        self._flush_soon()

    def _pump(self, box: _Outbox, now: float) -> None:
        """Write what waits to the connections that have room, in equal shares."""
        waiting = box.waiting
        window = _NO_WINDOW if self.behaviour.no_window else self._session_config.window
        for left, link in zip(range(len(box.links), 0, -1), list(box.links), strict=True):
            link.session.window = window
            free = link.session.window_free if link.writable and not link.gone else 0
            room = min(free, -(-len(waiting) // left))
            dialect = link.session.dialect
            while room and waiting:
                delivery = waiting.popleft()
                if delivery.done:
                    continue
                room -= 1
                try:
                    link.session.request(self._pdu(delivery.item, dialect), now, delivery)
                except Malformed as error:
                    self.counts.given_up += 1
                    log.warning("simulator.undeliverable", carrier=self.config.name, why=str(error))
                    continue
                self._written(delivery)
                if not link.dirty:
                    link.dirty = True
                    self._dirty.append(link)
        if len(box.links) > 1:
            box.links.append(box.links.pop(0))

    def _pdu(self, item: Report | Reply | _Recorded, dialect: Dialect) -> Pdu:
        if isinstance(item, _Recorded):
            return item.pdu.replace()
        return self.dialect.report(item, dialect) if isinstance(item, Report) else self.dialect.reply(item)

    def _written(self, delivery: _Delivery) -> None:
        if delivery.report:
            self.counts.reports += 1
        else:
            self.counts.replies += 1
        if delivery.tries:
            self.counts.repeated += 1
        delivery.tries += 1

    def _settled(self, delivery: _Delivery, status: int, now: float) -> None:
        if status == 0:
            if not delivery.done:
                delivery.done = True
                if delivery.report:
                    self.counts.reports_acknowledged += 1
                else:
                    self.counts.replies_acknowledged += 1
            return
        again = self.behaviour.repeat_refused
        if again is None and delivery.tries > self.config.redeliveries:
            self.counts.given_up += 1
        elif self._timers is not None:
            pause = _RETRY_AFTER if again is None else again.draw(self._dice)
            self._timers.at(now + pause, self._enqueue, delivery)

    def _unacknowledged(self, delivery: _Delivery) -> None:
        """No acknowledgement came in time: it goes again, over whichever connection there is."""
        if delivery.tries > self.config.redeliveries:
            self.counts.given_up += 1
        else:
            self._enqueue(delivery, first=True)

    def _scripted_mo(self, mo: Mo, n: int) -> None:
        try:
            self.send_mo(mo.source, mo.destination, mo.text.replace("{n}", str(n)))
        except ValueError as error:
            log.warning("simulator.mo", carrier=self.config.name, why=str(error))
        if mo.every is not None and (mo.count is None or n < mo.count) and self._timers is not None:
            self._timers.at(self.now() + mo.every, self._scripted_mo, mo, n + 1)

    # -- the turn of the loop -----------------------------------------------------------------------------------

    def _flush_soon(self) -> None:
        if not self._flushing and self._loop is not None:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write once what many events of this turn have left behind."""
        self._flushing = False
        if self.paused:
            return
        now = self.now()
        for user, box in self._outboxes.items():
            if box.waiting and box.links:
                self._pump(box, now)
            elif box.waiting and self.config.deliver_to:
                self._call(user)
        dirty, self._dirty = self._dirty, []
        for link in dirty:
            link.dirty = False
            link.flush()

    def _housekeeping(self) -> None:
        now = self.now()
        for link in list(self._links):
            due = link.session.deadline()
            if due is not None and due <= now and not link.gone:
                self.handle(link, link.session.tick(now), now)
        if self._loop is not None:
            self._tick = self._loop.call_later(_HOUSEKEEPING, self._housekeeping)
