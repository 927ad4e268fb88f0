"""Accept: check, route, split, store; the caller hears of it only after the commit."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import msgspec

from smsgw.core import text
from smsgw.core.errors import Invalid, Reason, Refused, SmsgwError, Temporary, Uncertain, message_of
from smsgw.core.histograms import Histogram
from smsgw.core.ids import CHINA, IdSource
from smsgw.core.model import Account, Lane, MessageType
from smsgw.core.words import label, labels_of, listed, phrase
from smsgw.pipeline.accept.admission import PATIENCE, SHARE, Admission
from smsgw.pipeline.accept.at_once import AtOnce
from smsgw.pipeline.accept.checks import Checker, Failed, Passed, Tried
from smsgw.pipeline.accept.disk import DiskGuard
from smsgw.pipeline.accept.entering import Entering, Writer
from smsgw.pipeline.accept.repeats import Repeats, recalled
from smsgw.pipeline.accept.requests import ItemResult, SendItem, SendRequest, SendResult
from smsgw.pipeline.accept.rows import Builder, Prepared, abroad_of, lane_of, price_of, watch_of
from smsgw.pipeline.accept.spooling import REPLAY_PATIENCE, Known, OutageSpool, Spooling, weight_of
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.heartbeat import Cluster
from smsgw.pipeline.outcomes.writer import MAX_AGE
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshot, Snapshots
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.engine.group_commit import Batcher
from smsgw.store.messages import abroad, credit, frequency, replaying, request_keys
from smsgw.store.messages.calls import NewCall, Stored

__all__ = ["Acceptor", "DiskGuard", "ItemResult", "SendItem", "SendRequest", "SendResult"]

MAX_RECIPIENTS = 1000
MAX_QUEUED_PARTS = 20_000
OUTAGE_PATIENCE = 3.0
"""Seconds a caller waits for a database that does not answer."""

VALIDITY = {
    MessageType.OTP: timedelta(minutes=10),
    MessageType.NOTICE: timedelta(hours=24),
    MessageType.MARKETING: timedelta(hours=24),
}
MAX_SCHEDULE = timedelta(days=6)
"""Partitions are made a week ahead; what is later belongs into a task."""


def _told(tried: Sequence[Tried]) -> list[dict[str, object]]:
    """The checks for people."""
    return [
        {
            "check": str(t.check),
            "ok": t.reason is None,
            "code": t.reason[0] if t.reason else "OK",
            "message": message_of(*t.reason) if t.reason else message_of("OK"),
        }
        for t in tried
    ]


def _maybe_stored(error: Temporary) -> Temporary:
    """What is said of a call whose commit has had no answer; not when to come again: a repeat may be a second one."""
    return Uncertain("STORAGE_UNCERTAIN", **error.detail)


_OF_THE_CALL = frozenset(
    {"BALANCE_INSUFFICIENT", "QUOTA_DAY_EXCEEDED", "QUOTA_MONTH_EXCEEDED", "QUOTA_DEPARTMENT_EXCEEDED"}
)
"""What refuses all of a call, not a number of it."""

_decode = msgspec.json.Decoder(SendResult).decode


class Callbacks(Protocol):
    """Where messages may have their reports pushed to."""

    def check_callback(self, account: Account, url: str) -> None:
        """Whether a message of the account may name this address. ``PARAM_INVALID``."""


class Acceptor:
    """The one door for messages, whichever edge they come through."""

    def __init__(
        self,
        database: Database,
        ids: IdSource,
        snapshots: Snapshots,
        checker: Checker,
        disk: DiskGuard,
        hub: EventHub,
        destinations: Callbacks,
        cluster: Cluster,
        outage: OutageSpool | None,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        """``outage`` None: while the database is away calls are refused."""
        self._builder = Builder(ids)
        self._database = database
        self._snapshots = snapshots
        self._router = checker.router
        self._disk = disk
        self._checker = checker
        self._hub = hub
        self._destinations = destinations
        self._fleet = checker.router.fleet
        self._cluster = cluster
        self._repeats: Repeats[SendResult] = Repeats(lambda r: msgspec.structs.replace(r, replayed=True))
        self._now = now
        self._monotonic = time.monotonic
        self._meters = checker.meters
        self._turns = Admission(MAX_QUEUED_PARTS, monotonic=self._monotonic)
        known = Known(snapshots)
        commit: Callable[..., object] = partial(
            replaying.commit, node=cluster.node, ids=ids.next, seen=known.note, revise=self._builder.revise,
            reserved=lambda account_id: self._spooling.reserved(account_id) if self._spooling else 0,
        )  # fmt: skip

        def writer() -> Writer:
            at_once = AtOnce(self._fleet)
            return Batcher(
                "accept",
                database.dsn,
                partial(commit, entrances=at_once),  # type: ignore[arg-type]
                weigh=weight_of,
                max_batch=2000,
                limit=MAX_QUEUED_PARTS,
                give_up_after=OUTAGE_PATIENCE,
                patience=lambda call: REPLAY_PATIENCE if call.spooled else OUTAGE_PATIENCE,
                uncertain=_maybe_stored,
                ended=at_once.ended,
            )

        self._writer = Entering(writer, weight_of)
        self._spooling: Spooling | None = None
        if outage is not None:
            self._spooling = Spooling(
                outage, self._writer, known, cluster, self._fleet, hub, checker.lists, self._builder
            )
        self.called = float("-inf")
        """When a call last came of whose answer somebody waits: of all but tasks. Monotonic."""
        self.took = Histogram()
        """From call to commit, of calls that were accepted."""
        self.open = True
        """False while stopping: new calls are refused with ``BACKPRESSURE``."""

    async def start(self) -> None:
        """Connect the writer."""
        await self._writer.start()
        if self._spooling is not None:
            await self._spooling.start()

    def periodics(self) -> Sequence[Periodic]:
        """What comes round between ``start`` and ``stop``."""
        return () if self._spooling is None else self._spooling.periodics()

    async def caught_up(self) -> None:
        """Returns when what an earlier run has left in the spool is entered, or after a while."""
        if self._spooling is not None:
            await self._spooling.caught_up()

    @property
    def entered(self) -> bool:
        """Nothing waits in the spool."""
        return self._spooling is None or self._spooling.entered

    def refuse(self) -> None:
        """Take no more calls."""
        self.open = False

    async def stop(self) -> None:
        """Refuse new calls and commit those that wait."""
        self.refuse()
        if self._spooling is not None:
            await self._spooling.stop()
        await self._writer.stop()

    @property
    def waiting(self) -> int:
        """Parts in memory that are not committed yet."""
        return self._writer.waiting + self._turns.waiting

    @property
    def outage(self) -> float:
        """Seconds for which nothing could be committed; 0 while all is well."""
        return self._writer.outage

    @property
    def disk(self) -> DiskGuard:
        """What watches the free space."""
        return self._disk

    async def send(self, request: SendRequest) -> SendResult:
        """Accept a call. Returns after the commit; raises ``SmsgwError`` when nothing was stored, or, as ``Uncertain``,
        when it may have been.

        Recipients fail one by one (their result says why); what concerns the content or the account fails the call.
        """
        begun = self._monotonic()
        result = await self._repeats.once(
            request.account.id, request, lambda: self._send(request), lambda result: result.accepted > 0
        )
        self.took.note(self._monotonic() - begun)
        return result

    async def _send(self, request: SendRequest) -> SendResult:
        if request.gate is None:
            self.called = self._monotonic()
        await self._turn(request, 0)
        try:
            self._admit(request)
            self._meter(request)
            prepared = await self._prepare(request)
        except SmsgwError as refusal:
            return await self.again(request, refusal)
        if not prepared.outcome.accepted:
            first = prepared.outcome.items[0]
            try:
                return await self.again(request, Refused(first.code or "NUMBER_INVALID"))
            except Refused:  # no repeat: it is refused now, as it would have been
                pass
        return await self._store(request, prepared)

    async def again(self, request: SendRequest, refusal: SmsgwError) -> SendResult:
        """The answer of an accepted call that this one, which would be refused now, repeats; raises the refusal."""
        known = partial(request_keys.recall, self._database, request.account.id)
        single = request.items[0].client_ref or request.batch_client_ref if len(request.items) == 1 else ""
        answer = await recalled(request, single, known, refusal)
        return msgspec.structs.replace(_decode(answer), replayed=True)

    async def _turn(self, request: SendRequest, done: int) -> None:
        """The call's turn, for the next of its messages."""
        messages = min(len(request.items) - done, SHARE)
        if done or not self._turns.go(request.account.id, messages):
            urgent = lane_of(request) <= Lane.OTP
            await self._turns.wait(request.account.id, messages, urgent=urgent, begun=done > 0)

    async def _prepare(self, request: SendRequest) -> Prepared:
        now, snapshot = self._now(), self._snapshots.current
        due, expires = self._times(request, now)
        passed, failed = await self._check(request, snapshot, now, due or now)
        if self._spooling is None or not (self._spooling.unsettled or self._cluster.away):
            # Without the database channels let go of their carriers; what is spooled waits for them.
            passed, failed = self._routed(request, passed, failed)
        prepared = await self._builder.build(request, snapshot, passed, failed, now, due, expires)
        self._check_open()  # others had their turns meanwhile
        return prepared

    async def _check(
        self, request: SendRequest, snapshot: Snapshot, now: datetime, at: datetime, *, explain: bool = False
    ) -> tuple[list[Passed], list[Failed]]:
        """What the checks say, a turn's share of recipients at a time, or fewer when their texts take long."""
        steps = self._checker.steps(request, snapshot, now, at, explain=explain)
        until = self._monotonic() + PATIENCE
        for done in itertools.count(1):
            try:
                next(steps)
            except StopIteration as over:
                found: tuple[list[Passed], list[Failed]] = over.value
                return found
            if done % SHARE == 0 or self._monotonic() >= until:
                await self._turn(request, done)
                self._check_open()
                until = self._monotonic() + PATIENCE
        raise AssertionError  # the count has no end

    async def _store(self, request: SendRequest, prepared: Prepared) -> SendResult:
        call = prepared.call
        if call is None:  # nothing but what are no numbers
            return prepared.outcome
        stored = await self._commit(call)
        if isinstance(stored, Stored) and stored.replay is not None:
            first = _decode(stored.replay)
            return msgspec.structs.replace(first, replayed=True)
        revised = stored.revised if isinstance(stored, Stored) else None
        if call.refused or revised:
            self._hub.notify({request.account.id}, "report")
        outcome = _decode(revised) if revised else prepared.outcome
        waits = not isinstance(stored, Stored) or stored.waits
        if prepared.queues and outcome.accepted and waits:
            self._fleet.announce(prepared.queues)
        return outcome

    async def _commit(self, call: NewCall) -> Stored | SmsgwError:
        """Into the database, or into the spool while that is away; what is fed from the database waits for it."""
        spooling = self._spooling
        if spooling is not None:
            if spooling.active:
                return await spooling.put(call)
            if call.keys and (first := await spooling.repeated(call)) is not None:
                return first
        try:
            stored = await self._writer.put(call)
        except Temporary as problem:
            doubtful = isinstance(problem, Uncertain)
            if spooling is None or not self.open or not (doubtful or problem.code == "STORAGE_UNAVAILABLE"):
                raise
            try:
                return await spooling.put(call, problem)
            except (Temporary, Refused):
                if doubtful:  # that the spool does not take it is no reason to say that nobody has
                    raise problem from None
                raise
        as_it_is = isinstance(stored, Stored) and stored.replay is None and stored.revised is None
        if spooling is not None and call.keys and call.gate is None and as_it_is:
            spooling.remember(call)
        return stored

    @property
    def spooling(self) -> Spooling | None:
        """What is done while the database is away; None: calls are refused."""
        return self._spooling

    def judge(self, request: SendRequest) -> tuple[list[Passed], list[Failed]]:
        """What the checks in memory say of the recipients now. Raises what refuses the call."""
        self._admit(request)
        now = self._now()
        due, _ = self._times(request, now)
        return self._checker.check(request, self._snapshots.current, now, due or now)

    async def explain(self, request: SendRequest) -> list[dict[str, object]]:
        """What would become of each recipient: the same checks as ``send``, all of them, and nothing is stored."""
        self._admit(request)
        await self._turn(request, 0)
        now, snapshot = self._now(), self._snapshots.current
        due, _ = self._times(request, now)
        passed, failed = await self._check(request, snapshot, now, due or now, explain=True)
        without = set(self._router.unavailable({p.subject.route.pool for p in passed}))
        lines: dict[int, dict[str, object]] = {
            f.position: {
                "to": f.item.to,
                "verdict": "rejected",
                "code": f.reason[0],
                "message": message_of(*f.reason),
                "checks": _told(f.tried),
            }
            for f in failed
        }
        asked = await self._asked(request, passed, due or now)
        for done, one in enumerate(passed, 1):
            if done % SHARE == 0:
                await self._turn(request, done - 1)
            tried = (*one.tried, *asked.get(one.position, ()))
            line = self._explain_one(request, snapshot, one, tried, blocked=one.subject.route.pool in without)
            lines[one.position] = line
        return [lines[position] for position in sorted(lines)]

    async def _asked(
        self, request: SendRequest, passed: Sequence[Passed], at: datetime
    ) -> dict[int, tuple[Tried, ...]]:
        """What the database would say now of frequency and balance, by position."""
        watches = [watch_of(request, n, one.subject, at) for n, one in enumerate(passed)]
        wanted = [w for w in watches if w is not None]
        too_many = await frequency.peek(self._database, wanted) if wanted else {}
        going = [abroad_of(request, n, one.subject) for n, one in enumerate(passed)]
        counted = [a for a in going if a is not None]
        far = await abroad.peek(self._database, request.account.id, counted) if counted else {}
        parts = sum(one.coded.parts for one in passed)
        need, guards = parts * price_of(request), () if request.test else request.account.guards
        departments = () if request.test else request.account.departments
        short: Reason | None = None
        over: Reason | None = None
        if need or guards or departments:
            now = self._now()
            limits = await credit.peek(
                self._database, request.account.id, guards, now.astimezone(CHINA).date(), departments
            )
            left = limits.available.get(request.account.id, 0)
            if need > left:
                short = "BALANCE_INSUFFICIENT", {"need": str(need), "left": str(max(0, left))}
            if (passing := limits.over(guards, parts, now, departments)) is not None:
                over = passing.code, {name: str(value) for name, value in passing.detail.items()}
        return {
            one.position: (
                Tried(label("check", "abroad"), far.get(n)),
                Tried(label("check", "frequency"), too_many.get(n)),
                Tried(label("check", "balance"), short),
                Tried(label("check", "quota"), over),
            )
            for n, one in enumerate(passed)
        }

    def _explain_one(
        self, request: SendRequest, snapshot: Snapshot, one: Passed, tried: Sequence[Tried], *, blocked: bool
    ) -> dict[str, object]:
        subject, draft = one.subject, one.subject.draft
        home, content = subject.home, draft.content
        version, considered = self._router.explain(
            snapshot,
            request.account.name,
            request.type,
            subject.number,
            home,
            draft.sign,
            content,
            self._now(),
            request.kind_name,
        )
        said = next((t.reason for t in tried if t.reason is not None), None)
        verdict = "accepted" if said is None else "rejected"
        if blocked:
            verdict, said = "refused", ("NO_ROUTE", {"carrier": label("carrier", home.carrier)})
        elif said is not None and said[0] in _OF_THE_CALL:
            verdict = "refused"
        return {
            "to": one.item.to,
            "verdict": verdict,
            "code": said[0] if said else "OK",
            "message": message_of(*said) if said else message_of("OK"),
            "held": [str(reason) for reason in draft.reviews],
            "checks": _told(tried),
            "number": subject.number,
            "carrier": home.carrier,
            "carrier_name": str(label("carrier", home.carrier)),
            "carrier_known_by": home.known_by,
            "province": home.province,
            "pool": subject.route.pool,
            "preferred": subject.route.pool != considered[-1].pool and not request.test,
            "route_version": version,
            "rules": [{"rule": c.rule, "pool": c.pool, "miss": c.miss} for c in considered],
            "content": content,
            "coding": one.coded.coding.value,
            "units": text.count_units(content, one.coded.coding),
            "parts": one.coded.parts,
            "price": one.coded.parts * price_of(request),
            "lane": lane_of(request).name.lower(),
        }

    # --- checks ------------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if not self.open:
            raise Temporary("BACKPRESSURE", retry_after=5, n=5)

    def _admit(self, request: SendRequest) -> None:
        self._check_open()
        self._in_force(request.account)
        if request.emergency and not request.account.emergency:
            raise Refused("EMERGENCY_DENIED")
        if request.emergency and request.type is MessageType.MARKETING:
            raise Invalid("PARAM_INVALID", field="type", reason=phrase("emergency.marketing"))
        if not request.items:
            raise Invalid("TO_EMPTY")
        if len(request.items) > MAX_RECIPIENTS:
            raise Invalid("TO_TOO_MANY")
        if request.callback_url:
            self._destinations.check_callback(request.account, request.callback_url)
        self._disk.check()

    def _in_force(self, account: Account) -> None:
        """The account may send at all: not stopped, its contract has begun and is not over (those above included)."""
        if account.halted:
            raise Refused("ACCOUNT_STOPPED")
        if account.first_day is None and account.last_day is None:
            return
        today = self._now().astimezone(CHINA).date()
        if account.first_day is not None and today < account.first_day:
            raise Refused("ACCOUNT_NOT_BEGUN", date=account.first_day.isoformat())
        if account.last_day is not None and today > account.last_day:
            raise Refused("ACCOUNT_EXPIRED", date=account.last_day.isoformat())

    def _meter(self, request: SendRequest) -> None:
        """Messages per second of the account, the share of those nodes that grant together with this one."""
        account, now = request.account, self._monotonic()
        live = max(1, self._cluster.live)
        together, n = min(self._meters.granting, live), len(request.items)
        share = self._cluster.share(account.id, account.rate, n)
        rate = share if together < 2 else account.rate * together / live
        wait = self._meters.take(account.id, rate, now, n)
        if wait:
            remaining = self._meters.remaining(account.id, rate, now)
            raise Temporary("RATE_LIMITED", retry_after=wait, limit=account.rate, remaining=remaining)

    def _times(self, request: SendRequest, now: datetime) -> tuple[datetime | None, datetime]:
        due = request.send_at
        if due is not None and due <= now:
            due = None  # "now or earlier" is now
        if due is not None and due > now + MAX_SCHEDULE:
            raise Invalid("TIME_INVALID", reason=phrase("send_at.far", days=MAX_SCHEDULE.days))
        start = due or now
        expires = request.expire_at or start + VALIDITY[request.type]
        if expires <= start:
            raise Invalid("TIME_INVALID", reason=phrase("expire_at.early"))
        if expires > now + MAX_AGE:
            raise Invalid("TIME_INVALID", reason=phrase("expire_at.late", days=MAX_AGE.days))
        return due, expires

    def _routed(
        self, request: SendRequest, passed: list[Passed], failed: list[Failed]
    ) -> tuple[list[Passed], list[Failed]]:
        """Without a channel for one of its numbers a call is refused; of a task, those numbers alone."""
        missing = self._router.unavailable(sorted({p.subject.route.pool for p in passed}))
        if not missing:
            return passed, failed
        names = {pool: labels_of("carrier").get(pool, pool) for pool in missing}
        if request.gate is None:
            raise Temporary("NO_ROUTE", retry_after=10, carrier=listed(names.values()))
        without = [p for p in passed if p.subject.route.pool in names]
        unsent = [Failed(p.position, p.item, ("NO_ROUTE", {"carrier": names[p.subject.route.pool]})) for p in without]
        return [p for p in passed if p.subject.route.pool not in names], failed + unsent
