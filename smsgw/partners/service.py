"""The servers for partners: who may bind, who is bound, and what all binds share."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from smsgw.core.actor import Actor
from smsgw.core.addresses import place_of
from smsgw.core.bucket import TokenBucket
from smsgw.core.guard import PARTNERS, Buckets, Rate, Waits
from smsgw.core.guessing import Guesses
from smsgw.core.ids import CHINA, IdSource
from smsgw.core.model import Account
from smsgw.core.partners import Partner, admits
from smsgw.core.states import PartState
from smsgw.net.connection import Connection
from smsgw.partners.bind import TOO_FAST, Bind
from smsgw.partners.cmpp import CmppServer
from smsgw.partners.connects import Connects
from smsgw.partners.delivery import KINDS, Feed, Settler
from smsgw.partners.listener import PARTNER, Listener
from smsgw.partners.parts import Parts
from smsgw.partners.protocol_server import Cancel, Login, ProtocolServer, Standing, Unfit
from smsgw.partners.resubmits import Left
from smsgw.partners.smpp import SmppServer
from smsgw.pipeline.accept.acceptor import Acceptor
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.outcomes.cancellation import Cancelling
from smsgw.pipeline.outcomes.writer import MAX_AGE, Outcomes
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshot, Snapshots
from smsgw.protocols.events import LoginRequest
from smsgw.protocols.states import State
from smsgw.runtime import aio, clock, tarpit
from smsgw.runtime.config import Config, PartnerConfig
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.runtime.tarpit import Tarpit
from smsgw.store.config import partners as store
from smsgw.store.engine.database import Database
from smsgw.store.engine.rows import each
from smsgw.store.messages import events, partner_parts, partner_queries
from smsgw.store.messages.partner_parts import Part

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)
coming = RateLimitedLogger(log, at_once=10)
"""Who comes and goes: seldom, but for those who do nothing else."""
turned_away = RateLimitedLogger(log, at_once=10)
"""Who wants in and may not, by network: whoever comes again and again under ever new names is one all the same."""

CONFIRM_EVERY = 3.0
LOOK_EVERY = 2.0
"""Seconds between two looks for events that other nodes have made."""
CROWDED = 10_000
"""Parts that wait for their accept commit, from which on partners are not read any more …"""
ROOM_AGAIN = 5_000
"""… until there are so few."""
LOOK_AT_CROWD = 0.05
FREE_WRONG = Rate(200, 20)
"""Requests of one partner's that are refused without a wait, beyond one for each that is accepted: a list with wrong
numbers, not the habit of a program."""
_OURS = frozenset({"STORAGE_UNAVAILABLE", "STORAGE_UNCERTAIN", "BACKPRESSURE", "NOT_READY", "INTERNAL"})
"""Refusals that are no fault of the partner's."""
WRONG_LOGIN_PAUSE = 1.0
"""Seconds before a wrong login is answered."""
FREE_REFUSALS = 5
"""Logins with a right password that are refused at once; of those after them each waits longer for its answer …"""
LONGEST_REFUSAL = 8.0
"""… up to so many seconds, which a login may take …"""
MAX_HELD = 16
"""… and so many of a network at a time: more would hold the places of others behind the same address."""
STOP_PATIENCE = 8.0
MAX_BINDS = 5_000
MAX_CANCELLED = 1_000
MAX_NEWS = 5_000
"""Addresses of logins that wait to be written down; those beyond are written with their next login after a restart."""
OVERLAP = timedelta(seconds=10)
"""What another node has noted may be committed so much later."""
_MODES = {State.BOUND_TX: "transmitter", State.BOUND_RX: "receiver", State.BOUND_TRX: "transceiver"}
_MARGIN = timedelta(minutes=1)


def _may_work(partner: Partner, account: Account) -> bool:
    return partner.status == "active" and not account.halted and partner.protocol in account.protocols


class Partners:
    """See the module."""

    def __init__(
        self,
        settings: Config,
        database: Database,
        snapshots: Snapshots,
        acceptor: Acceptor,
        outcomes: Outcomes,
        hub: EventHub,
        ids: IdSource,
        guesses: Guesses,
        *,
        shared: bool,
    ) -> None:
        """``shared``: other processes listen at the same addresses."""
        self.snapshots = snapshots
        self.acceptor = acceptor
        self.ids = ids
        self.binds: dict[int, Bind] = {}
        self.refusals: Counter[tuple[str, str]] = Counter()
        """(partner, code) -> submits."""
        self.logins: Counter[tuple[str, str]] = Counter()
        """(protocol, how it went) -> logins."""
        self.violations: Counter[tuple[str, str]] = Counter()
        self.left = Left()
        self._node = settings.node.number
        self._database = database
        self._cancelling = Cancelling(database, outcomes)
        self._hub = hub
        self._guard = guesses.guard("partners", PARTNERS)
        self._guesses = guesses
        self._connects = Connects()
        self._seen: dict[tuple[int, int], None] = {}
        """CONNECTs that are not written down yet."""
        self._seen_since: datetime | None = None
        self._refusals: Waits[tuple[str, str]] = Waits(FREE_REFUSALS, LONGEST_REFUSAL)
        self._tarpit = Tarpit()
        """For logins that are none, or are refused unseen."""
        self._held: Counter[str] = Counter()
        """Refusals that wait, by network."""
        self._news: dict[tuple[int, str], None] = {}
        """Addresses of logins that are not written down yet."""
        self._noted: datetime | None = None
        self._meters: dict[int, TokenBucket] = {}
        self._feeds: dict[int, Feed] = {}
        self._settler = Settler(database.dsn)
        self.parts = Parts(database, acceptor, snapshots, hub, ids)
        self._elsewhere: dict[int, int] = {}
        self._followed: Snapshot | None = None
        self._paused: dict[int, Bind] = {}
        self._wrong: Buckets[int] = Buckets(FREE_WRONG)
        """Requests that were refused, by partner."""
        self._stopping = False
        configured: tuple[tuple[ProtocolServer, PartnerConfig], ...] = (
            (SmppServer(), settings.partners_smpp),
            (CmppServer(), settings.partners_cmpp),
        )
        self.listeners = [
            Listener(face, how.listen, how.tls, self._login_at(face), shared=shared)
            for face, how in configured
            if how.listen
        ]

    # --- life --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen where the configuration says so. ``OSError``."""
        await self._settler.start()
        await self.parts.start()
        await events.release_bound(self._database, self._node)
        await self._addresses()
        await self._follow_connects()
        self._hub.listeners.append(self._notified)
        for listener in self.listeners:
            await listener.open()

    def periodics(self) -> Sequence[Periodic]:
        """What comes round, between ``start`` and ``stop``, and while partners are logged out."""
        return (
            Periodic("partner.confirm", CONFIRM_EVERY, self._confirm),
            Periodic("partner.look", LOOK_EVERY, self._look),
            Periodic("partner.addresses", CONFIRM_EVERY, self._addresses),
            Periodic("partner.connects", CONFIRM_EVERY, self._follow_connects),
            Periodic("partner.crowd", LOOK_AT_CROWD, self._read_on_all),
            *self.parts.periodics(),
            *(one for listener in self.listeners for one in listener.periodics()),
        )

    async def log_out(self) -> None:
        """Log partners out after their answers."""
        self._stopping = True
        for listener in self.listeners:
            await listener.close()
        await asyncio.gather(*(feed.stop() for feed in self._feeds.values()))
        closing = [bind.link for bind in self.binds.values()]
        for link in closing:
            link.close("stopping")
        if closing:
            await asyncio.wait([link.closed for link in closing], timeout=STOP_PATIENCE)
        for bind in list(self.binds.values()):
            bind.link.abort("stopping")
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """Log out who is left, and settle what is known of partners' events."""
        if not self._stopping:
            await self.log_out()
        if self._notified in self._hub.listeners:
            self._hub.listeners.remove(self._notified)
        await self.parts.stop()
        await self._settler.stop()
        if self._news:
            await store.note_addresses(self._database, list(self._news))
        if self._seen:
            await store.note_connects(self._database, list(self._seen))
        await store.confirm_binds(self._database, self._node, [])

    @property
    def urls(self) -> dict[str, str]:
        """Where the servers listen."""
        return {listener.face.protocol: listener.url for listener in self.listeners}

    @property
    def silent(self) -> list[str]:
        """Servers that are configured and cannot be reached, by protocol."""
        return [listener.face.protocol for listener in self.listeners if not listener.listening]

    # --- logins ------------------------------------------------------------------------------------------------

    def _login_at(self, face: ProtocolServer) -> Any:
        def login(link: Connection, event: LoginRequest) -> None:
            self._login(face, link, event)

        return login

    def _login(self, face: ProtocolServer, link: Connection, event: LoginRequest) -> None:
        now = asyncio.get_running_loop().time()
        ip = link.peer
        try:
            asked = face.login(event.pdu)
        except Unfit as exc:
            self._tarpit.call(place_of(ip), partial(self._refuse_now, link, event, exc.status))
            return
        user = f"{face.protocol}/{asked.username}"
        if self._guard.admit(ip, user, now):
            self._guesses.note("partners", place_of(ip), clock.steady())
            self._refuse_login(face, link, event, asked, face.unavailable, "slowed_down")
            return
        partner = self.snapshots.current.partners.get((face.protocol, asked.username))
        # An unknown name takes as long as a wrong password, and sounds the same.
        right = asked.proves(partner.password if partner is not None else "\1")
        if partner is None or not right:
            self._guard.failed(ip, user, now)
            self._guesses.note("partners", place_of(ip), clock.steady())
            self.logins[face.protocol, "wrong"] += 1
            turned_away.warning(
                "partner.wrong_login", (face.protocol, place_of(ip)),
                protocol=face.protocol, user=asked.username[:20], peer=ip,
            )  # fmt: skip
            asyncio.get_running_loop().call_later(WRONG_LOGIN_PAUSE, self._refuse_now, link, event, face.wrong_login)
            return
        if asked.stamp is not None and not partner.any_clock:
            own = self._guard.knows(ip, user, now)
            problem = self._connects.problem(
                partner.id, asked.stamp, own=own, most=partner.max_binds, now=now, at=clock.now()
            )
            if problem:
                status = face.wrong_login if problem == "clock" else face.unavailable
                self._refuse_login(face, link, event, asked, status, problem)
                return
            if self._connects.note(partner.id, asked.stamp, now) and len(self._seen) < MAX_NEWS:
                self._seen[partner.id, asked.stamp] = None
        if self._guard.succeeded(ip, user, now) and len(self._news) < MAX_NEWS:
            self._news[partner.id, place_of(ip)] = None
        problem = self._problem(partner, ip)
        if problem:
            status = face.denied if problem == "address" else face.unavailable
            self._refuse_login(face, link, event, asked, status, problem)
            return
        self._bind(face, link, event, partner, asked)

    def _refuse_now(self, link: Connection, event: LoginRequest, status: int) -> None:
        link.session.refuse(event, status, now=asyncio.get_running_loop().time())
        link.flush()

    def _refuse_held(self, network: str, link: Connection, event: LoginRequest, status: int) -> None:
        self._held[network] -= 1
        if not self._held[network]:
            del self._held[network]
        self._refuse_now(link, event, status)

    def _refuse_login(
        self, face: ProtocolServer, link: Connection, event: LoginRequest, asked: Login, status: int, why: str
    ) -> None:
        self.logins[face.protocol, why] += 1
        loop = asyncio.get_running_loop()
        network = place_of(link.peer)
        if why == "slowed_down":  # those come in masses
            self._tarpit.call(network, partial(self._refuse_now, link, event, status))
            return
        clocks = {"theirs": asked.stamp, "ours": clock.now().astimezone(CHINA).strftime("%m%d%H%M%S")}
        turned_away.warning(
            "partner.login_refused", (face.protocol, network, why),
            protocol=face.protocol, user=asked.username[:20], peer=link.peer, why=why,
            **(clocks if why in ("clock", "replayed") else {}),
        )  # fmt: skip
        wait = self._refusals.failed((network, f"{face.protocol}/{asked.username}"), loop.time())
        if wait and self._held[network] < MAX_HELD:
            self._held[network] += 1
            loop.call_later(wait, self._refuse_held, network, link, event, status)
        else:
            link.session.refuse(event, status, now=loop.time())

    def _problem(self, partner: Partner, ip: str) -> str:
        """Why somebody whose password is right may not bind now; empty when nothing stands against it."""
        account = self.snapshots.current.account(partner.account_id)
        if account is None or not self._may_come(partner, account, ip):
            return "address"
        if not _may_work(partner, account):
            return "stopped"
        here = sum(bind.partner.id == partner.id for bind in self.binds.values())
        if here + self._elsewhere.get(partner.id, 0) >= partner.max_binds or len(self.binds) >= MAX_BINDS:
            return "max_binds"
        if self._stopping or not self.acceptor.open:
            return "stopping"
        return ""

    @staticmethod
    def _may_come(partner: Partner, account: Account, ip: str) -> bool:
        """The login's addresses narrow the account's."""
        return admits(account.ip_allow, ip) and admits(partner.ip_allow, ip)

    def _bind(
        self, face: ProtocolServer, link: Connection, event: LoginRequest, partner: Partner, asked: Login
    ) -> None:
        session = link.session
        session.config = dataclasses.replace(PARTNER, max_unanswered_in=partner.window, refuses_beyond=True)
        session.window = partner.window
        loop_time = asyncio.get_running_loop().time()
        if not session.admit(event, now=loop_time, **face.details(partner)):
            return
        for listener in self.listeners:
            listener.dismiss(link)
        self._refusals.forget((place_of(link.peer), f"{face.protocol}/{partner.username}"))
        number = self.ids.next()
        bind = Bind(self, link, face, partner, asked, number, _MODES.get(session.state, "transceiver"))
        self.binds[number] = bind
        link.hand_over(bind, f"{face.protocol}/{partner.username}")
        self.logins[face.protocol, "bound"] += 1
        coming.info(
            "partner.bound", partner.id, protocol=face.protocol, user=partner.username, mode=bind.mode, peer=bind.ip,
            version=session.dialect.name,
        )  # fmt: skip
        if bind.receives:
            feed = self._feeds.get(partner.account_id)
            if feed is None:
                feed = self._feeds[partner.account_id] = Feed(
                    partner.account_id,
                    self._database,
                    self._settler,
                    self.snapshots,
                    self._node,
                    random.randrange(256),  # noqa: S311  where a counter begins
                )
            bind.feed = feed
            feed.add(bind)

    def unbound(self, bind: Bind, why: str) -> None:
        """A bind is over."""
        self.binds.pop(bind.number, None)
        self._paused.pop(bind.number, None)
        coming.info(
            "partner.unbound", bind.partner.id, user=bind.partner.username, peer=bind.ip, why=why, submits=bind.submits
        )
        feed = bind.feed
        if feed is not None and not feed.binds and not self._stopping:
            del self._feeds[feed.account_id]
            aio.spawn(feed.stop(), name="partner.feed_stop")

    async def reload(self) -> None:
        """Take up changed settings and renewed certificates at once."""
        self.follow()
        for listener in self.listeners:
            await listener.look()

    def follow(self) -> None:
        """Act on changed settings: of what is bound, what may no more stay is sent away."""
        snapshot = self.snapshots.current
        if snapshot is self._followed:
            return
        self._followed = snapshot
        binds = list(self.binds.values())
        each("partner in use", binds, lambda bind: self._check(bind, snapshot), lambda bind: str(bind.partner.id))
        known = {p.id for p in snapshot.partners.values()}
        self._meters = {id_: meter for id_, meter in self._meters.items() if id_ in known}

    def _check(self, bind: Bind, snapshot: Snapshot) -> None:
        before = bind.partner
        partner = snapshot.partners.get((before.protocol, before.username))
        account = snapshot.account(before.account_id)
        if (
            partner is None
            or partner.id != before.id
            or partner.password != before.password
            or account is None
            or not _may_work(partner, account)
            or not self._may_come(partner, account, bind.ip)
        ):
            bind.link.close("login changed")
        elif partner != before:
            bind.change(partner)

    async def _confirm(self) -> None:
        self.follow()
        now = asyncio.get_running_loop().time()
        rows = [self._seen_so(bind, now) for bind in self.binds.values()]
        ends, self._elsewhere = await store.confirm_binds(self._database, self._node, rows)
        for number, why in ends.items():
            bind = self.binds.get(number)
            if bind is not None:
                log.info("partner.kicked", user=bind.partner.username, peer=bind.ip, why=why)
                bind.link.close(why)

    def _seen_so(self, bind: Bind, now: float) -> store.BindRow:
        """How it is doing, for whichever node is asked."""
        session = bind.link.session
        return store.BindRow(
            bind.number, bind.partner.id, bind.partner.account_id, bind.mode, bind.ip, bind.bound_at,
            version=session.dialect.name, submits=bind.submits, refused=bind.refused, slowed=bind.slowed,
            delivered=bind.delivered, unanswered=session.owed, deliveries=session.outstanding, rate=bind.pace(now),
            last_at=bind.last_at, codes=json.dumps(bind.codes, sort_keys=True),
        )  # fmt: skip

    async def _addresses(self) -> None:
        """Write down where logins came from, and read what other nodes, or this one before its start, have written."""
        if self._news:
            news = list(self._news)
            await store.note_addresses(self._database, news)
            for one in news:
                self._news.pop(one, None)
        users = {p.id: f"{p.protocol}/{p.username}" for p in self.snapshots.current.partners.values()}
        now = asyncio.get_running_loop().time()
        for row in await store.noted_addresses(self._database, self._noted and self._noted - OVERLAP):
            self._noted = row["noted_at"]
            if row["partner_id"] in users:
                self._guard.learn(row["network"], users[row["partner_id"]], now)

    async def _follow_connects(self) -> None:
        """The same for the CONNECTs that have let somebody in."""
        if self._seen:
            seen = list(self._seen)
            await store.note_connects(self._database, seen)
            for one in seen:
                self._seen.pop(one, None)
        now = asyncio.get_running_loop().time()
        for row in await store.noted_connects(self._database, self._seen_since and self._seen_since - OVERLAP):
            self._seen_since = row["noted_at"]
            first = now - max(0.0, (clock.now() - row["noted_at"]).total_seconds())
            self._connects.learn(row["partner_id"], row["stamp"], first, now)

    # --- what binds ask for ------------------------------------------------------------------------------------

    def within_rate(self, partner: Partner, n: int) -> bool:
        """Take ``n`` destinations from the partner's rate, all or nothing."""
        if not partner.rate:
            return True
        now = asyncio.get_running_loop().time()
        burst = max(float(partner.rate), float(n))
        meter = self._meters.get(partner.id)
        if meter is None:
            meter = self._meters[partner.id] = TokenBucket(partner.rate, burst, now=now)
        elif meter.rate != partner.rate or meter.burst < n:
            meter.set_rate(partner.rate, now, burst)
        if meter.left(now) < n:
            return False
        meter.take(now, n)
        return True

    def no_longer(self, expire_at: datetime | None) -> datetime | None:
        """An end of validity that we can keep: later ones than a message may live are brought forward."""
        latest = clock.now() + MAX_AGE - _MARGIN
        return expire_at if expire_at is None else min(expire_at, latest)

    def slow_down(self, bind: Bind) -> None:
        """Stop reading from it while too much waits for its commit."""
        if self.acceptor.waiting >= CROWDED:
            self.read_later(bind)

    def read_later(self, bind: Bind) -> None:
        """Leave what it sends in the kernel for now."""
        if not bind.gone:
            bind.link.pause_reading()
            self._paused[bind.number] = bind

    def read_on(self, bind: Bind) -> None:
        """Read again, unless something else stands against it."""
        if (
            bind.number in self._paused
            and bind.link.writable
            and self.acceptor.waiting <= ROOM_AGAIN
            and bind.reads_from <= asyncio.get_running_loop().time()
        ):
            del self._paused[bind.number]
            bind.link.resume_reading()

    async def _read_on_all(self) -> None:
        for bind in list(self._paused.values()):
            self.read_on(bind)

    async def note_refused(self, refused: Sequence[tuple[Part, str]]) -> None:
        """Destinations of a group get a report each instead of a message."""
        async with self._database.transaction() as connection:
            told = await partner_parts.note_refused(connection, refused, self.ids.next)
        self._hub.notify(told, "report")

    async def standing(self, account_id: int, id_: int) -> Standing | None:
        """Where a message, or the message of a part, of this account stands."""
        row = await partner_queries.standing(self._database, account_id, id_)
        return (
            None if row is None else Standing(id_, PartState(row["state"]), row["by_us"], row["final_at"], row["code"])
        )

    async def counts(self, account_id: int, day: str) -> dict[str, int]:
        """The account's counters of a day, YYYYMMDD."""
        return await partner_queries.counts(self._database, account_id, day)

    async def cancel(self, actor: Actor, account_id: int, order: Cancel) -> bool:
        """Withdraw what was not handed to a carrier yet; whether there was anything."""
        if order.id:
            found = await partner_queries.of_submit(self._database, account_id, order.id)
        else:
            found = await partner_queries.waiting(
                self._database, account_id, order.source, order.destination, MAX_CANCELLED
            )
        return await self._cancelling.these(list(found), actor) > 0

    # --- events ------------------------------------------------------------------------------------------------

    def _notified(self, account_id: int, kind: str) -> None:
        feed = self._feeds.get(account_id)
        if feed is not None:
            feed.look(kind)

    async def _look(self) -> None:
        if self._feeds:
            asked = {
                (account_id, kind): (feed.primary, feed.since(kind))
                for account_id, feed in self._feeds.items()
                for kind in KINDS
            }
            for account_id, kind in await events.with_bound(self._database, asked):
                self._notified(account_id, kind)
            for feed in self._feeds.values():
                feed.look(*(kind for kind in KINDS if feed.round_due(kind)))

    # --- for people --------------------------------------------------------------------------------------------

    def count_refusal(self, bind: Bind, why: str) -> None:
        """A request was answered with a refusal. Who gets one after the other is read more slowly: refusing costs
        nearly as much as accepting, and there is no end of it."""
        now = asyncio.get_running_loop().time()
        if why not in _OURS and not self._wrong.take(bind.partner.id, now):
            bind.reads_from = now + tarpit.SECONDS
            self.read_later(bind)
        code = why if why.isupper() or why == TOO_FAST else "UNFIT"
        self.refusals[bind.partner.username, code] += 1

    def count_accepted(self, bind: Bind) -> None:
        """A submit was accepted."""
        self._wrong.give_back(bind.partner.id)

    def count_violation(self, bind: Bind, kind: str, detail: str) -> None:
        """A partner has broken the protocol."""
        self.violations[bind.partner.username, kind] += 1
        sparing.warning(
            "link.violation", (bind.partner.id, kind),
            user=bind.partner.username, peer=bind.ip, kind=kind, detail=detail,
        )  # fmt: skip

    @property
    def slowed(self) -> int:
        """Logins refused unseen."""
        return self._guard.slowed

    def status(self) -> list[dict[str, Any]]:
        """Binds of this node, for people."""
        lines = []
        for bind in self.binds.values():
            session, feed = bind.link.session, bind.feed
            account = self.snapshots.current.account(bind.partner.account_id)
            lines.append(
                {
                    "protocol": bind.partner.protocol,
                    "user": bind.partner.username,
                    "account": account.name if account is not None else "",
                    "version": session.dialect.name,
                    "mode": bind.mode,
                    "ip": bind.ip,
                    "bound_at": bind.bound_at,
                    "submits": bind.submits,
                    "refused": bind.refused,
                    "unanswered": session.owed,
                    "deliveries": session.outstanding,
                    "window": session.window,
                    "delivered": feed.delivered if feed is not None else 0,
                    "last_error": bind.last_error,
                }
            )
        return sorted(lines, key=lambda line: (line["protocol"], line["user"], line["bound_at"]))
