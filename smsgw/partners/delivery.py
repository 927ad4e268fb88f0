"""Reports and messages from phones to a bound partner: claimed, written within the windows, acknowledged when taken.

What is offered again is so for one of three reasons: the partner has refused it for now, has not answered in time, or
its connection went. In the latter two it may have it already; a long message then goes under the reference it had, so
that whoever puts parts together sees a repeat and not a second message.

One feed an account that has a receiving bind on this node. What it holds is bounded by the windows of its binds, so a
partner that is slow, or never answers, costs nobody else anything.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Protocol

import structlog

from smsgw.core.errors import SmsgwError, Temporary
from smsgw.core.partners import Partner
from smsgw.core.queue_cursors import Stretch
from smsgw.core.webhooks import MO, REPORT, Way
from smsgw.net import connection as net
from smsgw.partners.protocol_server import ProtocolServer
from smsgw.pipeline.delivery.event_heads import EventHead
from smsgw.pipeline.snapshot import Snapshots
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.session import NotBound, WindowFull
from smsgw.runtime import aio, clock
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.engine.database import STATEMENT_TIMEOUT, Connection, Database
from smsgw.store.engine.group_commit import Batcher
from smsgw.store.messages import bind_events as store, events
from smsgw.store.messages.bind_events import Claimed
from smsgw.store.messages.events import MAX_PULL, BoundEvent, Found

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

KINDS = (MO, REPORT)
CLAIM_INTERVAL = 0.02
"""Seconds between two claims while there is something to claim."""
LOOK_AGAIN = 30.0
"""Seconds after which a feed looks for events though nobody has told it of any."""
FIRST_PAUSE = 5.0
MAX_PAUSE = 3600.0
"""Between two offers of an event that the partner refuses for now: doubled each time, up to this."""
MAX_WAITING = 100_000
MAX_REFERENCES = 10_000
"""Long messages without an answer whose reference is kept for when they are offered again."""
STOP_PATIENCE = STATEMENT_TIMEOUT + 1.0
"""Seconds that a claim under way may take when its feed ends."""


class Receiver(Protocol):
    """A bound connection of the partner that takes deliveries."""

    link: net.Connection
    face: ProtocolServer
    partner: Partner
    tlvs: bool
    """Whether it takes optional parameters."""
    gone: bool

    @property
    def room(self) -> int:
        """Deliveries that may be written now."""


@dataclass(slots=True, eq=False)
class Delivery:
    """An event under way to the partner."""

    claimed: Claimed
    bind: Receiver | None = None
    pdus: list[Pdu] | None = None
    reference: int | None = None
    """Of the parts of a long message."""
    written: int = 0
    unanswered: int = 0
    refused: int = 0
    """Status of a negative answer."""
    over: bool = False
    """It was settled, or given back."""


@dataclass(frozen=True, slots=True)
class _Settled:
    account_id: int
    event_id: int
    pause: float | None = None
    """None: taken; otherwise seconds until it is offered again."""
    problem: str = ""


class Settler:
    """Writes what became of events; one for all feeds."""

    def __init__(self, dsn: str) -> None:
        self._writer: Batcher[_Settled, bool | SmsgwError] = Batcher(
            "partner.events", dsn, self._commit, max_batch=2000, limit=MAX_WAITING, interval=0.015
        )
        self._references: OrderedDict[int, int] = OrderedDict()

    async def start(self) -> None:
        """Connect."""
        await self._writer.start()

    async def stop(self) -> None:
        """Commit what waits."""
        await self._writer.stop()

    @property
    def full(self) -> bool:
        """Feeds claim nothing while this is true."""
        return self._writer.full

    def taken(self, account_id: int, event: BoundEvent) -> None:
        """The partner has it."""
        self._writer.submit(_Settled(account_id, event.id)).add_done_callback(_told)

    def put_off(
        self, account_id: int, event: BoundEvent, seconds: float, problem: str = ""
    ) -> asyncio.Future[bool | SmsgwError]:
        """It is to be offered again after that time; with a ``problem`` that was a try. Done when that is written."""
        written = self._writer.submit(_Settled(account_id, event.id, seconds, problem))
        written.add_done_callback(_told)
        return written

    def keep_reference(self, event_id: int, reference: int) -> None:
        """A long message that is offered again is to have this one. Outlives the feed, whose connections may all go."""
        self._references[event_id] = reference
        if len(self._references) > MAX_REFERENCES:
            self._references.popitem(last=False)

    def reference_of(self, event_id: int) -> int | None:
        """The one that was kept; it is kept no longer."""
        return self._references.pop(event_id, None)

    async def _commit(self, connection: Connection, items: list[_Settled], again: bool) -> list[bool | SmsgwError]:
        groups: dict[tuple[int, float, str], set[int]] = {}
        for item in items:
            pause = -1.0 if item.pause is None else item.pause
            groups.setdefault((item.account_id, pause, item.problem), set()).add(item.event_id)
        for (account_id, pause, problem), ids in sorted(groups.items()):
            if pause < 0:
                await events.ack_bound(connection, account_id, sorted(ids))
            else:
                await events.return_bound(connection, account_id, sorted(ids), delay_s=pause, problem=problem)
        return [True] * len(items)


def _told(done: asyncio.Future[bool | SmsgwError]) -> None:
    if not done.cancelled():
        done.exception()  # logged by the writer; the lease runs out and the event is offered again


class Feed:
    """See the module."""

    def __init__(
        self, account_id: int, database: Database, settler: Settler, snapshots: Snapshots, node: int, first_ref: int
    ) -> None:
        self.account_id = account_id
        self.binds: list[Receiver] = []
        self.delivered = 0
        self.refused = 0
        self._database = database
        self._settler = settler
        self._snapshots = snapshots
        self._node = node
        self._ref = first_ref
        self._queue: deque[Delivery] = deque()
        self._wake = asyncio.Event()
        self._hot: dict[str, None] = dict.fromkeys(KINDS)
        """Kinds of which there may be more to claim."""
        self._heads = {kind: EventHead(clock.now) for kind in KINDS}
        self._stopping = False
        self._task = aio.spawn(self._run(), name=f"partner.feed.{account_id}")

    async def stop(self) -> None:
        """Claim no more. Answers that come later are still taken down."""
        self._stopping = True
        self._wake.set()
        # Not in the middle of a claim: what it has taken would be nobody's until its lease is over.
        await asyncio.wait({self._task}, timeout=STOP_PATIENCE)
        await aio.cancel(self._task)
        while self._queue:
            self._give_back(self._queue.popleft(), 0.0)

    @property
    def primary(self) -> bool:
        """Whether the account gets its events this way; otherwise only what is redelivered by it."""
        return self._snapshots.current.hooks.account_way(self.account_id) is Way.BIND

    def since(self, kind: str) -> int:
        """From which id on events of the kind are looked for."""
        return self._heads[kind].since

    def round_due(self, kind: str) -> bool:
        """Whether to look for what has come in behind that."""
        return self._heads[kind].due

    def wake(self) -> None:
        """There may be room to tell something."""
        if self._hot or self._queue:
            self._wake.set()

    def look(self, *kinds: str) -> None:
        """There may be something to tell."""
        self._hot |= dict.fromkeys(k for k in kinds if k in KINDS)
        self.wake()

    def add(self, bind: Receiver) -> None:
        """A receiving bind more."""
        self.binds.append(bind)
        self.look(*KINDS)

    def remove(self, bind: Receiver) -> None:
        """It is gone; its session gives back what was unanswered."""
        if bind in self.binds:
            self.binds.remove(bind)

    # --- claiming and writing ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        backoff = aio.Backoff(0.2, 5.0)
        while not self._stopping:
            self._wake.clear()
            try:
                claimed = await self._round()
                backoff.reset()
            except Temporary:
                await asyncio.sleep(backoff.next())
                continue
            except Exception:  # a supervisor: an event that cannot be told must not silence the account
                log.exception("partner.feed_failed", account=self.account_id)
                await asyncio.sleep(backoff.next())
                continue
            if claimed:
                await asyncio.sleep(CLAIM_INTERVAL)  # what comes meanwhile is claimed together
                continue
            try:
                async with asyncio.timeout(LOOK_AGAIN):
                    await self._wake.wait()
            except TimeoutError:
                self.look(*KINDS)

    async def _round(self) -> int:
        """Claim and write what there is room for; how many events that were."""
        self._pump()
        done = 0
        for kind in tuple(self._hot):
            room = sum(b.room for b in self.binds) - sum(len(d.pdus or (1,)) - d.written for d in self._queue)
            if room <= 0 or self._settler.full or self._stopping:
                break
            limit = min(room, MAX_PULL)
            del self._hot[kind]  # who rings during the claim puts it back
            claimed = await self._claim(kind, limit)
            if len(claimed) == limit:
                self._hot[kind] = None
            self._queue.extend(Delivery(one) for one in claimed)
            self._pump()
            done += len(claimed)
        return done

    async def _claim(self, kind: str, limit: int) -> list[Claimed]:
        """Lease waiting events, and what is to be told of each."""
        got: list[BoundEvent] = []

        async def claim(within: Stretch, most: int) -> Found[BoundEvent]:
            found = await events.claim_bound(
                self._database, self.account_id, kind, most, primary=self.primary, lease_s=store.LEASE_S,
                node=self._node, within=within,
            )  # fmt: skip
            got.extend(found.events)
            return found

        try:
            found = await self._heads[kind].look(limit, claim)
            return await store.describe(self._database, kind, found.events)
        except BaseException:  # they are ours, and nobody else knows
            for event in got:
                self._return(event, 0.0)
            raise

    def _pump(self) -> None:
        touched: list[Receiver] = []
        stuck: list[Delivery] = []
        now = asyncio.get_running_loop().time()
        while self._queue:
            delivery = self._queue.popleft()
            if delivery.over:
                continue
            if delivery.bind is None:
                bind = max(self.binds, key=lambda b: b.room, default=None)
                if bind is None:
                    self._give_back(delivery, 0.0)
                    continue
                if not bind.room:
                    stuck.append(delivery)
                    break
                if not self._prepare(delivery, bind):
                    continue
            if self._write(delivery, now):
                if delivery.bind is not None and delivery.bind not in touched:
                    touched.append(delivery.bind)
            if not delivery.over and delivery.written < len(delivery.pdus or ()):
                stuck.append(delivery)
        self._queue.extendleft(reversed(stuck))
        for bind in touched:
            bind.link.flush_soon()

    def _prepare(self, delivery: Delivery, bind: Receiver) -> bool:
        """Render it for this bind; False when there is nothing to tell."""
        claimed = delivery.claimed
        try:
            if claimed.mo is not None:
                reference = self._settler.reference_of(claimed.event.id)
                if reference is None:
                    reference = self._ref = self._ref + 1 & 0xFF
                pdus = bind.face.message(claimed.mo, bind.partner, reference, bind.tlvs)
                delivery.reference = reference if len(pdus) > 1 else None
            else:
                version = bind.link.session.dialect.version
                pdus = [
                    bind.face.receipt(claimed, receipt, bind.partner, version, bind.tlvs)
                    for receipt in claimed.receipts
                ]
        except ValueError as exc:
            self._undeliverable(delivery, exc)
            pdus = []
        if not pdus:
            delivery.over = True
            self._settler.taken(self.account_id, claimed.event)
            return False
        delivery.bind, delivery.pdus, delivery.unanswered = bind, pdus, len(pdus)
        return True

    def _write(self, delivery: Delivery, now: float) -> bool:
        """Write as much of it as its bind has room for; whether anything was written."""
        bind, pdus = delivery.bind, delivery.pdus
        if bind is None or pdus is None:
            return False
        before = delivery.written
        while delivery.written < len(pdus) and bind.room:
            try:
                bind.link.session.request(pdus[delivery.written], now, delivery)
            except (NotBound, WindowFull):
                break
            except ValueError as exc:
                self._undeliverable(delivery, exc)
                delivery.over = True
                self._settler.taken(self.account_id, delivery.claimed.event)
                break
            delivery.written += 1
        if bind.gone and not delivery.over:
            self._give_back(delivery, 0.0)
        return delivery.written > before

    # --- what the partner says ---------------------------------------------------------------------------------

    def answered(self, delivery: Delivery, status: int, for_good: bool) -> None:
        """An answer to one of its requests."""
        delivery.unanswered -= 1
        if status and (not delivery.refused or not for_good):
            delivery.refused = status
        if delivery.unanswered:
            return
        if delivery.over:
            self._taken_late(delivery)
            return
        delivery.over = True
        event = delivery.claimed.event
        if delivery.refused and not for_good:
            pause = min(MAX_PAUSE, FIRST_PAUSE * 2.0 ** min(event.tries, 10))
            self._settler.put_off(self.account_id, event, pause, f"0x{delivery.refused:08x}")
            return
        if delivery.refused:
            self.refused += 1
            sparing.warning(
                "partner.refused_delivery",
                self.account_id,
                account=self.account_id,
                event_id=str(event.id),
                status=hex(delivery.refused),
            )
        else:
            self.delivered += 1
        self._settler.taken(self.account_id, event)

    def _undeliverable(self, delivery: Delivery, exc: ValueError) -> None:
        event_id = str(delivery.claimed.event.id)
        sparing.error(
            "partner.undeliverable", self.account_id, account=self.account_id, event_id=event_id, error=str(exc)
        )

    def late(self, delivery: Delivery, status: int) -> None:
        """An answer after its time."""
        delivery.unanswered -= 1
        delivery.refused = delivery.refused or status
        if not delivery.unanswered:
            self._taken_late(delivery)

    def _taken_late(self, delivery: Delivery) -> None:
        """All of it is answered, though not in time: when that was a yes throughout, the event is done after all."""
        if not delivery.refused:
            self._settler.taken(self.account_id, delivery.claimed.event)

    def lost(self, delivery: Delivery, pause: float) -> None:
        """No answer: the event is offered again, and may reach the partner twice."""
        if not delivery.over:
            self._give_back(delivery, pause)

    def _give_back(self, delivery: Delivery, pause: float) -> None:
        delivery.over = True
        if delivery.reference is not None and not delivery.refused:
            self._settler.keep_reference(delivery.claimed.event.id, delivery.reference)
        self._return(delivery.claimed.event, pause)

    def _return(self, event: BoundEvent, pause: float) -> None:
        written = self._settler.put_off(self.account_id, event, pause)
        if not pause:  # it can be claimed at once: by a look from there on, not by a round
            written.add_done_callback(lambda _: self._heads[event.kind].back(event.id))
