"""One carrier account: its links, its dispatcher, and everything that comes back on them.

The dispatcher claims whole messages for free window and rate (claim = mark, committed before a single octet is
written), at most one window ahead, so that the wire never waits for a commit. Before parts are handed to a transport
their WRITE record is in the journal; what was claimed and never written goes back when the channel stops.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from smsgw import aio
from smsgw.channels import profiles
from smsgw.channels.listener import Listeners, ListenerTaken, Numberings
from smsgw.channels.mapping import INTERMEDIATE, mapping_for
from smsgw.channels.pools import PoolTables
from smsgw.channels.transport import open_link, tls_context
from smsgw.core.ids import first_id
from smsgw.core.model import ChannelSpec, ChannelStatus, Claimed, Lane, Outcome, OutcomeKind, Report
from smsgw.core.pacing import Pacer
from smsgw.link import Link
from smsgw.pipeline.outcomes import MAX_AGE, Outcomes
from smsgw.pipeline.routing import Membership
from smsgw.protocols.cmpp import rules as cmpp_rules
from smsgw.protocols.events import (
    Answer,
    Bound,
    Closed,
    Event,
    Expired,
    Late,
    Refused,
    Request,
    Violation,
)
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.rules import Rules
from smsgw.protocols.session import NotBound, Session, SessionConfig, WindowFull
from smsgw.protocols.sgip import rules as sgip_rules
from smsgw.protocols.smgp import rules as smgp_rules
from smsgw.protocols.smpp import rules as smpp_rules
from smsgw.protocols.states import RECEIVING, SENDING
from smsgw.store import claiming
from smsgw.store.db import CONFLICT, OUTAGE, Connection, connect
from smsgw.store.journal import Journal, Key
from smsgw.store.leases import Lease

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT = 10.0
CLAIM_TIMEOUT = 5.0
POLL = 0.5
"""Seconds between looks for work that nobody has announced: other nodes' messages, deferred parts come due."""
GRACE = 60.0
"""Seconds after a lost connection during which messages are still accepted for a channel."""
CLAIM_INTERVAL = 0.01
"""Seconds after a claim that has emptied the queue until the next one: under load each carries more."""
RELEASE_AFTER = 2.0
"""Claimed parts of a channel without a bound link go back to the pool after this many seconds."""
ANSWER_PATIENCE = 10.0
"""A channel that stops waits this many seconds for the answers that are under way, …"""
STOP_PATIENCE = 12.0
"""… and for its links to be gone altogether."""
LOOK_AGAIN = 5.0
"""Seconds after which deferred parts are looked for unasked: time and operators defer parts, too."""
REFUSED_FLOOR = 10.0
"""Seconds to stay away after a refused login: operators block addresses that insist."""
STALLED_AFTER = 3.0
"""A carrier that answers nothing for so long gets no claims ahead; what is not written yet goes to its neighbours."""
URGENT_FOR = 60.0
"""Seconds for which a reserve of the window is kept after an emergency message: more of them will come."""
TURN_FOR_ALL = 10
"""Every so many claims the lanes are served from the other end: none is starved."""
QUIET_AFTER = 5.0
"""An SGIP connection that ends after as many seconds, with nothing lost, has ended by the book."""
MAX_INCOMING = 16
"""Connections of an SGIP gateway to one channel."""
RESPONSE_TIMEOUT = 60.0
LISTEN_AGAIN = 5.0

Queue = tuple[int, int]
"""(pool id, lane)."""


@dataclass(slots=True)
class Services:
    """What every channel of a node shares."""

    dsn: str
    node: int
    journal: Journal
    outcomes: Outcomes
    tables: PoolTables
    listeners: Listeners = field(default_factory=Listeners)
    numberings: Numberings = field(default_factory=Numberings)
    emergency_reserve: Callable[[], int] = lambda: 0
    """Percent of a window that is kept for emergency messages while there are any."""
    marketing_stopped: Callable[[int], bool] = lambda _: False
    """Whether complaints keep marketing off a channel."""


def session_for(
    spec: ChannelSpec, profile: profiles.Profile, numbering: sgip_rules.Numbering, bind: str = "transceiver"
) -> Session:
    """A fresh client session with the channel's credentials and timers. ``bind`` is for SMPP."""
    rules: Rules
    config = SessionConfig(
        window=spec.window,
        response_timeout=profile.response_timeout or RESPONSE_TIMEOUT,
        keepalive_interval=profile.keepalive,
        close_grace=ANSWER_PATIENCE,
    )
    if spec.protocol == "smpp34":
        rules = smpp_rules.client(spec.username, spec.password, bind=bind, system_type=profile.system_type)
    elif spec.protocol == "smgp30":
        version = smgp_rules.V13 if profile.smgp_version == "1.3" else smgp_rules.V30
        rules = smgp_rules.client(spec.username, spec.password, version, timestamp=china_timestamp)
    elif spec.protocol == "sgip12":
        rules = sgip_rules.client(spec.username, spec.password, numbering=numbering)
        config = replace(
            config,
            response_timeout=profile.response_timeout or sgip_rules.RESPONSE_TIMEOUT,
            idle_timeout=profile.idle,
        )
    else:
        version = 0x30 if spec.protocol == "cmpp30" else 0x20
        rules = cmpp_rules.client(spec.username, spec.password, version, timestamp=china_timestamp)
    return Session(rules, config=config)


def china_timestamp() -> int:
    """MMDDHHMMSS in China, as CMPP and SMGP want it at login and SGIP in every number."""
    now = time.gmtime(time.time() + 8 * 3600)
    return int(time.strftime("%m%d%H%M%S", now))


class Channel:
    """A channel that this node owns: runs from ``start`` to ``stop``."""

    def __init__(
        self, spec: ChannelSpec, lease: Lease, pools: dict[int, Membership], services: Services
    ) -> None:
        self.spec = spec
        self.lease = lease
        self._pools = pools
        self._services = services
        self.profile = profiles.parse(spec.profile, spec.protocol)
        self.numbering = services.numberings.of(
            self.profile.node, china_timestamp, secrets.randbelow(1 << 31)
        )
        self._mapping = mapping_for(spec, self.profile)
        self._loop = asyncio.get_running_loop()
        self._links: list[Link] = []
        self._incoming_links: list[Link] = []
        """SGIP: what the gateway has opened to us."""
        self._on_demand = spec.protocol == "sgip12"
        self._asleep = 0
        """SGIP: connections that were closed because there was nothing to send."""
        self._demand = asyncio.Event()
        self._written: dict[Key, str] = {}
        """Carrier's ids of parts that wait for their answer, where the id is ours to make."""
        self._ready: deque[Claimed] = deque()
        self._pacer = Pacer(spec.rate, self._loop.time())
        self._paused_until = 0.0
        self._answered_at = self._loop.time()
        """When the carrier last answered, or had nothing to answer."""
        self._claims_made = 0
        self._urgent_until = float("-inf")
        self._pump_timer: asyncio.TimerHandle | None = None
        self._pump_due = 0.0
        self._hot: dict[Queue, None] = {}
        self._wake = asyncio.Event()
        self._deferred_at = 0.0
        self._again_at = 0.0
        self._claim_at = 0.0
        self._unbound_since: float | None = self._loop.time()
        self._tasks: list[asyncio.Task[None]] = []
        self._dispatcher: asyncio.Task[None] | None = None
        self._claims: Connection | None = None
        self._stopping = False
        self.last_error = ""
        self.last_bound_at: float | None = None
        self._refused = False
        self._listen_error = ""
        self._per_second: deque[tuple[int, int]] = deque(maxlen=8)

    # --- life --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Recovery is done and the lease is ours: connect and dispatch."""
        self._services.tables.sit(self.spec.id, self, self._pools)
        for number in range(1, self.spec.connections + 1):
            for bind in ("transmitter", "receiver") if self.profile.bind == "pair" else ("transceiver",):
                name = f"link.{self.spec.name}.{number}.{bind}"
                self._tasks.append(aio.spawn(self._keep_link(number, bind), name=name))
        self._dispatcher = aio.spawn(self._dispatch(), name=f"dispatch.{self.spec.name}")
        if self._on_demand and self.profile.sgip_listen:
            self._tasks.append(aio.spawn(self._listen(), name=f"listen.{self.spec.name}"))

    async def stop(self, why: str = "stopped", *, patience: float = STOP_PATIENCE) -> None:
        """Stop claiming, wait for answers that are under way, log out, give back what was never written."""
        self._stopping = True
        self._services.tables.leave(self.spec.id)
        self._wake.set()
        self._give_back()
        await self._services.listeners.leave(self)
        links = [*self._links, *self._incoming_links]
        for link in links:
            link.close(why)
        # A claim that is under way ends by itself and gives back; cut short, it might be committed behind our back.
        pending: list[asyncio.Future[Any]] = [link.closed for link in links]
        if self._dispatcher is not None:
            pending.append(self._dispatcher)
        if pending:
            await asyncio.wait(pending, timeout=patience)
        aborted = [*self._links, *self._incoming_links]
        for link in aborted:
            link.abort(why)
        if aborted:
            await asyncio.wait([link.closed for link in aborted], timeout=1.0)
        await aio.cancel(self._dispatcher, *self._tasks)
        self._give_back()
        if self._pump_timer is not None:
            self._pump_timer.cancel()
        self._drop_claims()

    def change(self, spec: ChannelSpec) -> None:
        """Follow a change of window or rate while running (other changes restart the channel)."""
        self.spec = spec
        self._pacer.set_limit(spec.rate, self._loop.time())
        for link in self._links:
            link.session.window = spec.window
        if self._draining:
            self._give_back()
        self._look_everywhere()

    def pull_from(self, pools: dict[int, Membership]) -> None:
        """Follow a change of routes."""
        if pools != self._pools:
            self._pools = pools
            self._services.tables.sit(self.spec.id, self, pools)
            self._look_everywhere()

    def restart_needed(self, spec: ChannelSpec) -> bool:
        """Whether a change cannot be followed while running."""
        followed = replace(
            self.spec, window=spec.window, rate=spec.rate, desired=spec.desired, version=spec.version,
            unknown_policy=spec.unknown_policy,
        )  # fmt: skip
        return followed != spec

    # --- what others may know ----------------------------------------------------------------------------------

    @property
    def bound(self) -> int:
        """Links that are logged in and take submits."""
        return len(self._bound_links())

    @property
    def reachable(self) -> int:
        """Links that are logged in or would be as soon as there is something to send."""
        return self.bound + self._asleep

    @property
    def _draining(self) -> bool:
        """Writes nothing new, and stays logged in for the reports of what it has written."""
        return self.spec.desired != "started"

    def _bound_links(self) -> list[Link]:
        """Those that may be written to: all, or the transmitters of pairs."""
        return [link for link in self._links if link.session.state in SENDING]

    @property
    def _whole(self) -> int:
        """Connections that are bound in both directions."""
        receivers = sum(link.session.state in RECEIVING for link in self._links)
        return len(self._bound_links()) if self._on_demand else min(len(self._bound_links()), receivers)

    def available(self) -> bool:
        """Whether new messages may be routed here: bound now, or a moment ago."""
        if self._stopping or self._draining:
            return False
        if self.reachable:
            return True
        lost_at = self._unbound_since
        return self.last_bound_at is not None and (lost_at is None or self._loop.time() - lost_at < GRACE)

    def healthy(self) -> bool:
        """Logged in (or resting), and the carrier answers."""
        return not (self._stopping or self._draining or self._stalled()) and bool(self.reachable)

    def has_room(self) -> bool:
        """Could write a part at once."""
        now = self._loop.time()
        return (
            now >= self._paused_until
            and self._pacer.next_at(now) <= now
            and (
                self._asleep > 0
                or any(link.writable and link.session.window_free for link in self._bound_links())
            )
        )

    def _stalled(self) -> bool:
        """Whether parts are out and the carrier has answered nothing for a while."""
        if not any(link.session.outstanding for link in self._links):
            self._answered_at = self._loop.time()
        return self._loop.time() - self._answered_at > STALLED_AFTER

    def status(self, submitted_today: int, pools: tuple[str, ...]) -> ChannelStatus:
        """For people. ``pools`` are the names of the pools it pulls from."""
        links = self._bound_links()
        used = sum(link.session.outstanding for link in links)
        window = sum(link.session.window for link in links)
        now = int(self._loop.time())
        recent = sum(n for second, n in self._per_second if now - 5 <= second < now)
        whole = self._whole
        state = "bound" if whole else "refused" if self._refused else "idle" if self._asleep else "connecting"
        if self._stopping or self._draining:
            state = "draining" if links else "stopped"
        if not links:
            reason = "nothing to send" if state == "idle" else "not bound"
        elif self._stalled() or self._pacer.slowed:
            reason = "carrier slow"
        elif self._ready and used < window:
            reason = "rate limit"
        elif used >= window:
            reason = "window full"
        else:
            reason = "nothing to send"
        return ChannelStatus(
            id=self.spec.id, name=self.spec.name, protocol=self.spec.protocol,
            carriers=tuple(sorted(self.spec.carriers)), access_code=self.spec.access_code, state=state,
            bound=whole, connections=self.spec.connections, window_used=used, window=window,
            rate_now=recent / 5, rate_limit=self.spec.rate, submitted_today=submitted_today,
            last_error=self.last_error or self._listen_error, pools=pools, reason=reason,
        )  # fmt: skip

    # --- links -------------------------------------------------------------------------------------------------

    async def _keep_link(self, number: int, bind: str) -> None:
        """Connect, stay until the link is gone, and come back with growing, jittered pauses."""
        backoff = aio.Backoff(0.5, 30.0)
        while not self._stopping:
            link: Link | None = None
            started = self._loop.time()
            try:
                link = await self._connect(number, bind)
                why = await link.closed
            except (OSError, TimeoutError) as exc:
                why = f"cannot connect: {exc or type(exc).__name__}"
            except Exception as exc:  # whatever it was, the link must be tried again
                log.exception("link.failed", channel=self.spec.name, link=number)
                why = f"cannot connect: {exc!r}"
            finally:
                if link is not None and link in self._links:
                    self._links.remove(link)
            if self._stopping:
                return
            if self._on_demand and link is not None and self._has_slept_in(link):
                log.info("link.idle", channel=self.spec.name, link=number, why=why)
                await self._sleep()
                backoff.reset()
                continue
            if link is not None and self._loop.time() - started > 60:
                backoff.reset()
            if not self._refused:
                self.last_error = why
            wait = backoff.next(REFUSED_FLOOR if self._refused else 0.0)
            log.warning("link.down", channel=self.spec.name, link=number, why=why, retry_in_s=round(wait, 1))
            if not self._bound_links() and self._unbound_since is None:
                self._unbound_since = self._loop.time()
                self._wake.set()
            await asyncio.sleep(wait)

    def _has_slept_in(self, link: Link) -> bool:
        """Whether an SGIP connection ended because nothing went over it, by whichever side."""
        return (
            link.bound_at is not None and not link.lost and self._loop.time() - link.bound_at >= self._quiet
        )

    @property
    def _quiet(self) -> float:
        return min(QUIET_AFTER, self.profile.idle)

    async def _sleep(self) -> None:
        """Until there is something to send."""
        self._asleep += 1
        self._unbound_since = None
        if self._ready:
            self._demand.set()
        try:
            await self._demand.wait()
        finally:
            self._asleep -= 1
            self._demand.clear()
        if not self._bound_links():
            self._unbound_since = self._loop.time()

    async def _listen(self) -> None:
        """Have a place where the gateway can bring reports and messages from phones."""
        while not self._stopping:
            try:
                await self._services.listeners.join(self)
            except (OSError, ListenerTaken) as exc:
                error = f"cannot listen on {self.profile.sgip_listen}: {exc}"
                if error != self._listen_error:
                    log.error("sgip.not_listening", channel=self.spec.name, error=error)
                self._listen_error = error
                await asyncio.sleep(LISTEN_AGAIN)
            else:
                self._listen_error = ""
                return

    def take_over(self, link: Link) -> int:
        """SGIP: own a connection of the gateway; 0 or the Result of a refusal."""
        if self._stopping:
            return sgip_rules.NODE_BUSY
        if len(self._incoming_links) >= MAX_INCOMING:
            return sgip_rules.TOO_MANY_CONNECTIONS
        self._incoming_links.append(link)
        log.info("sgip.gateway_bound", channel=self.spec.name, peer=link.peer)
        return 0

    async def _connect(self, number: int, bind: str) -> Link:
        profile = self.profile
        name = f"{self.spec.name}/{number}" + ("" if bind == "transceiver" else f"/{bind}")
        link = Link(session_for(self.spec, profile, self.numbering, bind), self, name)
        tls = None
        async with asyncio.timeout(CONNECT_TIMEOUT):
            if profile.tls:
                tls = await asyncio.to_thread(tls_context, profile.tls_ca, insecure=profile.tls_insecure)
            if profile.tls_insecure:
                log.warning("link.certificate_not_checked", channel=self.spec.name, link=name)
            await open_link(
                link, self.spec.host, self.spec.port,
                source=profile.source_address, tls=tls, name=profile.tls_name,
            )  # fmt: skip
        self._links.append(link)
        if self._stopping:
            link.close("stopped")
        return link

    def on_connected(self, link: Link) -> None:
        """The session says what is to be said."""

    def on_writable(self, link: Link) -> None:
        """The kernel takes octets again."""
        self._pump()

    def on_events(self, link: Link, events: list[Event]) -> None:
        """Sort what a link says into outcomes, reports and messages."""
        outcomes: list[Outcome] = []
        for event in events:
            match event:
                case (
                    Answer(tag=Claimed() as tag, pdu=pdu, status=status)
                    | Late(tag=Claimed() as tag, pdu=pdu, status=status)
                ):
                    self._answered_at = self._loop.time()
                    self._written.pop(_key(tag), None)
                    outcome = self._outcome(tag, pdu, status)
                    if outcome.kind is OutcomeKind.DEFERRED:
                        self._slow_down(outcome)
                    outcomes.append(outcome)
                case Request(pdu=_):
                    self._incoming(link, event)
                case Expired(tag=Claimed() as tag):
                    outcomes.append(self._unknown(tag, "ANSWER_TIMEOUT"))
                case Closed(why=why, lost=lost):
                    if lost:
                        log.warning("link.lost_window", channel=self.spec.name, parts=len(lost), why=why)
                    link.lost = len(lost)
                    outcomes += [self._unknown(tag, "LINK_LOST") for tag in lost if isinstance(tag, Claimed)]
                    if link in self._incoming_links:
                        self._incoming_links.remove(link)
                case Bound():
                    self._on_bound(link)
                case Refused(status=status, reason=reason):
                    self._refused = True
                    self.last_error = f"login refused: {reason} (status {status})"
                    log.error("link.refused", channel=self.spec.name, status=status, reason=reason)
                case Violation(kind=kind, detail=detail):
                    log.warning("link.violation", channel=self.spec.name, kind=kind, detail=detail)
                case _:
                    pass
        if outcomes:
            self._services.outcomes.answered(outcomes, self.spec.unknown_policy)
            self._pump()

    def _outcome(self, claimed: Claimed, answer: Pdu, status: int) -> Outcome:
        try:
            return self._mapping.outcome(claimed, answer, status)
        except Exception:  # what cannot be understood is not known; its neighbours must not suffer
            log.exception(
                "answer.unreadable", channel=self.spec.name, id=str(claimed.id), answer=repr(answer)[:500]
            )
            return self._unknown(claimed, "ANSWER_UNREADABLE")

    def _unknown(self, claimed: Claimed, why: str) -> Outcome:
        carrier_id = self._written.pop(_key(claimed), "")
        return Outcome(
            claimed.id, claimed.part, claimed.attempt, OutcomeKind.UNKNOWN, carrier_id=carrier_id, code=why
        )

    def _on_bound(self, link: Link) -> None:
        link.bound_at = self._loop.time()
        self._refused = False
        if link.session.state in SENDING:
            self._unbound_since = None
            self.last_bound_at = self._loop.time()
        self.last_error = ""
        log.info("link.bound", channel=self.spec.name, link=link.name, dialect=link.session.dialect.name)
        self._look_everywhere()

    def _incoming(self, link: Link, request: Request) -> None:
        """Store what the carrier delivers; it is answered when that is committed."""
        outcomes = self._services.outcomes
        try:
            incoming = self._mapping.incoming(request.pdu)
        except ValueError as exc:
            # Nothing can be made of it, and a refusal would make the carrier send it for ever.
            log.warning("incoming.unreadable", channel=self.spec.name, error=str(exc))
            incoming = INTERMEDIATE
        except Exception:  # a mistake of ours must not take the link, and all that is on it, down
            log.exception("incoming.failed", channel=self.spec.name, pdu=repr(request.pdu)[:1000])
            incoming = INTERMEDIATE
        if isinstance(incoming, Report):
            future = outcomes.report(incoming)
        elif incoming is INTERMEDIATE:
            link.session.answer(request)
            link.flush_soon()
            return
        else:
            future = outcomes.inbound(incoming)  # type: ignore[arg-type]
        future.add_done_callback(lambda done: self._acknowledge(link, request, done))
        if outcomes.full:
            link.pause_reading()
            self._wake.set()

    @staticmethod
    def _acknowledge(link: Link, request: Request, done: asyncio.Future[int]) -> None:
        if done.cancelled() or done.exception() is not None:
            return  # not stored: not answered, so the carrier keeps it and sends it again
        link.session.answer(request)
        link.flush_soon()

    # --- dispatcher --------------------------------------------------------------------------------------------

    def announce(self, queues: Iterable[Queue]) -> None:
        """Messages have been queued."""
        mine = False
        for queue in queues:
            if queue[0] in self._pools:
                self._hot[queue] = None
                mine = True
        if mine:
            self._wake.set()

    def _look_everywhere(self) -> None:
        for pool in self._pools:
            for lane in Lane:
                self._hot[pool, int(lane)] = None
        self._wake.set()

    async def _dispatch(self) -> None:
        """The claim loop: woken by news, or looks by itself every ``POLL`` seconds."""
        backoff = aio.Backoff(0.1, 2.0)
        while not self._stopping:
            try:
                async with asyncio.timeout(POLL):
                    await self._wake.wait()
            except TimeoutError:
                self._look_everywhere()
            self._wake.clear()
            try:
                self._tend()
                if (pause := self._claim_at - self._loop.time()) > 0:
                    await asyncio.sleep(pause)
                while (room := self._room())[0] > 0 and await self._claim_some(room[0], urgent=room[1]):
                    pass
            except (*OUTAGE, *CONFLICT) as exc:
                log.warning("claim.failed", channel=self.spec.name, error=type(exc).__name__)
            except Exception:  # without its dispatcher a channel would stand still unnoticed
                log.exception("claim.failed", channel=self.spec.name)
            else:
                backoff.reset()
                continue
            self._drop_claims()
            self._look_everywhere()
            if not self._stopping:
                await asyncio.sleep(backoff.next())

    def _tend(self) -> None:
        """Things to look at now and then."""
        if not self._services.outcomes.full:
            for link in (*self._links, *self._incoming_links):
                link.resume_reading()
        unbound = self._unbound_since is not None and self._loop.time() - self._unbound_since > RELEASE_AFTER
        if unbound or self._stalled():
            self._give_back()
        self._pump()

    def _room(self) -> tuple[int, bool]:
        """Parts that may be claimed now, and whether only emergency ones.

        Up to one window ahead, taken in halves so that a claim carries many; emergency messages find room (their
        reserve) though others have taken all of it.
        """
        links = self._bound_links()
        if (
            not (links or self._asleep)
            or self._stopping
            or self._draining
            or not self.lease.still_mine()
            or self._services.outcomes.full
            or self._stalled()
        ):
            return 0, False
        ahead = sum(link.session.window for link in links) or self.spec.window
        ahead = min(ahead, max(1, int(self._pacer.rate / 4)))  # a slow channel does not sit on a full window
        room = ahead - len(self._ready)
        if room * 2 >= ahead:
            return room, False
        if not any(lane == Lane.EMERGENCY for _, lane in self._hot):
            return 0, False
        urgent = sum(part.lane == Lane.EMERGENCY for part in self._ready)
        return max(1, self._reserve()) - urgent, True

    def _reserve(self) -> int:
        """Places of the window that are for emergency messages."""
        return (
            sum(link.session.window for link in self._bound_links())
            * self._services.emergency_reserve()
            // 100
        )

    async def _claim_some(self, room: int, *, urgent: bool) -> bool:
        """Claim up to ``room`` parts (``urgent``: of the emergency lane); whether there may be more."""
        if self._claims is None or self._claims.is_closed():
            self._claims = await connect(self._services.dsn, writer=True)
            await self._reclaim(self._claims)
        fence = claiming.Fence(self.lease.resource, self.lease.node, self.lease.epoch, self.spec.id)
        oldest = first_id(datetime.now(UTC) - MAX_AGE)
        claimed: list[Claimed] = []
        hot, self._hot = self._hot, {}
        queues: list[Queue] = []
        async with asyncio.timeout(CLAIM_TIMEOUT):
            if self._deferred_at <= time.time() and not urgent:
                claimed = await claiming.claim_deferred(self._claims, fence, limit=room, oldest=oldest)
                if len(claimed) < room:
                    due = await claiming.next_deferred(self._claims, self.spec.id, oldest)
                    soon = time.time() + LOOK_AGAIN
                    self._deferred_at = min(due.timestamp(), soon) if due else soon
            if len(claimed) < room and self._again_at <= self._loop.time() and not urgent:
                # What a neighbour has failed at is not a matter of shares: any other channel of the pool may have it.
                self._again_at = self._loop.time() + POLL
                everywhere = [(pool, int(lane)) for lane in Lane for pool in self._pools]
                claimed += await claiming.claim(
                    self._claims,
                    fence,
                    limit=room - len(claimed),
                    queues=everywhere,
                    oldest=oldest,
                    again=True,
                )
            if len(claimed) < room:
                queues = [q for q in self._order(hot) if q[1] == Lane.EMERGENCY or not urgent]
            if queues:
                claimed += await claiming.claim(
                    self._claims, fence, limit=room - len(claimed), queues=queues, oldest=oldest
                )
        if urgent and len(claimed) < room:
            self._hot = {q: None for q in hot if q[1] != Lane.EMERGENCY} | self._hot
        elif len(claimed) >= room or len(queues) < len(hot):
            self._hot = hot | self._hot  # there may be more where this came from
        else:
            self._claim_at = self._loop.time() + CLAIM_INTERVAL
        if not claimed:
            return False
        for part in claimed:
            self._services.tables.pulled(self.spec.id, part.pool_id, 1)
        self._ready.extend(claimed)
        if any(part.lane == Lane.EMERGENCY for part in claimed):
            self._urgent_until = self._loop.time() + URGENT_FOR
            self._ready = deque(sorted(self._ready, key=lambda part: part.lane != Lane.EMERGENCY))
        if self._stopping:
            self._give_back()
            return False
        self._pump()
        return True

    def _order(self, hot: Iterable[Queue]) -> list[Queue]:
        """The queues to claim from, in turn: urgent lanes first, now and then last; only pools that are ours now."""
        may = {pool: self._services.tables.may_pull(self.spec.id, pool) for pool in {q[0] for q in hot}}
        self._claims_made += 1
        other_end = self._claims_made % TURN_FOR_ALL == 0
        turn = self._claims_made % max(1, len(self._pools))

        def rank(queue: Queue) -> tuple[int, int]:
            lane = -queue[1] if other_end and queue[1] != Lane.EMERGENCY else queue[1]
            return lane, (queue[0] + turn) % max(1, len(self._pools))

        stopped = self._services.marketing_stopped(self.spec.id)
        return sorted((q for q in hot if may[q[0]] and not (stopped and q[1] == Lane.MARKETING)), key=rank)

    async def _reclaim(self, connection: Connection) -> None:
        """After a lost claim connection: rows may be ours in the database and unknown to us. They were not written."""
        # Taken before the rows are read: what is written or answered meanwhile must not look like a stray.
        known = self._services.journal.open_keys() | {(c.id, c.part, c.attempt) for c in self._ready}
        oldest = first_id(datetime.now(UTC) - MAX_AGE)
        async with asyncio.timeout(CLAIM_TIMEOUT):
            rows = await claiming.held(connection, self.spec.id, self.lease.epoch, oldest)
        keys = [(r["id"], r["part"], r["attempt"]) for r in rows]
        stray = [Outcome(*key, OutcomeKind.UNSENT) for key in keys if key not in known]
        if stray:
            log.warning("claim.strays", channel=self.spec.name, parts=len(stray))
            self._services.outcomes.unsent(stray)
            self._deferred_at = 0.0

    def _drop_claims(self) -> None:
        if self._claims is not None:
            self._claims.terminate()
            self._claims = None

    def _pump(self) -> None:
        """Hand ready parts to links, as far as window, rate and lease allow. Journal first, then the sockets."""
        if not self._ready or self._stopping:
            return
        now = self._loop.time()
        if now < self._paused_until:
            self._pump_at(self._paused_until)
            return
        if not self.lease.still_mine():
            return
        links = [link for link in self._bound_links() if link.writable and link.session.window_free]
        free = sum(link.session.window_free for link in links)
        if self._asleep and free < len(self._ready):
            self._demand.set()
        budget = min(free, len(self._ready))
        if now < self._urgent_until:
            urgent = sum(part.lane == Lane.EMERGENCY for part in self._ready)
            budget = min(budget, max(urgent, free - self._reserve()))
        if budget:
            granted = self._pacer.take(now, budget)
            if granted < budget:
                self._pump_at(self._pacer.next_at(now))
            budget = granted
        if not budget:
            return
        self._write([self._ready.popleft() for _ in range(budget)], links, now)
        if len(self._ready) * 2 <= sum(link.session.window for link in links):
            self._wake.set()

    def _write(self, batch: list[Claimed], links: list[Link], now: float) -> None:
        """Write the parts; the links have window for all of them."""
        wall = datetime.now(UTC)
        refused: list[Outcome] = []
        unsent: list[Claimed] = []
        planned: list[tuple[Claimed, Pdu]] = []
        for claimed in batch:
            if claimed.valid_until is not None and claimed.valid_until <= wall:
                unsent.append(claimed)  # becomes EXPIRED
                continue
            try:
                planned.append((claimed, self._mapping.submit(claimed)))
            except ValueError as exc:
                refused.append(self._unencodable(claimed, exc))
        try:
            self._services.journal.write([(c.id, c.part, c.attempt) for c, _ in planned])
        except OSError as exc:
            log.error("journal.failed", channel=self.spec.name, error=str(exc))
            self._ready.extendleft(reversed([claimed for claimed, _ in planned]))
            planned = []
            self._paused_until = now + 1.0
            self._pump_at(self._paused_until)
        spread = iter(sorted(links, key=lambda link: -link.session.window_free))
        link = next(spread)
        touched = [link]
        for claimed, pdu in planned:
            while not link.session.window_free and (after := next(spread, None)) is not None:
                link = after
                touched.append(link)
            try:
                link.session.request(pdu, now, claimed)
                if carrier_id := self._mapping.written(pdu):
                    self._written[_key(claimed)] = carrier_id
            except ValueError as exc:
                refused.append(self._unencodable(claimed, exc))
            except (NotBound, WindowFull):  # the session has ended in the middle of this batch
                unsent.append(claimed)
        for link in touched:
            link.flush()
        self._count(int(now), len(planned))
        if refused:
            self._services.outcomes.answered(refused, self.spec.unknown_policy)
        if unsent:
            self._services.outcomes.unsent([_unsent(claimed) for claimed in unsent])

    def _unencodable(self, claimed: Claimed, exc: ValueError) -> Outcome:
        log.error("part.unencodable", channel=self.spec.name, id=str(claimed.id), error=str(exc))
        return Outcome(
            claimed.id, claimed.part, claimed.attempt, OutcomeKind.REFUSED, code="UNENCODABLE", cls="CHANNEL"
        )

    def _pump_at(self, when: float) -> None:
        """Pump again at that time, or before."""
        if self._pump_timer is not None:
            if self._pump_due <= when:
                return
            self._pump_timer.cancel()
        self._pump_due = when
        self._pump_timer = self._loop.call_at(max(when, self._loop.time()), self._pump_now)

    def _pump_now(self) -> None:
        self._pump_timer = None
        self._pump()

    def _count(self, second: int, n: int) -> None:
        if self._per_second and self._per_second[-1][0] == second:
            n += self._per_second.pop()[1]
        self._per_second.append((second, n))

    def _slow_down(self, outcome: Outcome) -> None:
        """The carrier says "not now": the channel slows down when it says "too fast", the part waits."""
        if outcome.cls == "FREQ_CARRIER":
            self._pacer.throttled(self._loop.time())
        self._deferred_at = min(self._deferred_at, time.time() + outcome.delay)

    def _give_back(self) -> None:
        """Return claimed parts that were never written: whole messages to the pool, others stay with the channel."""
        if not self._ready:
            return
        log.info("channel.gave_back", channel=self.spec.name, parts=len(self._ready))
        self._services.outcomes.unsent([_unsent(claimed) for claimed in self._ready])
        self._ready.clear()
        self._deferred_at = 0.0


def _key(claimed: Claimed) -> Key:
    return claimed.id, claimed.part, claimed.attempt


def _unsent(claimed: Claimed) -> Outcome:
    return Outcome(claimed.id, claimed.part, claimed.attempt, OutcomeKind.UNSENT)
