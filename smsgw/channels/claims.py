"""What a channel takes from the queues: its own deferred parts, what neighbours have failed at, then pool by pool.

A claim is the mark (QUEUED to SENDING, committed before a single octet is written), made over a connection of the
channel's own under the fence of its lease. One whose outcome is not known (it took too long, the connection was lost)
may be committed later: before the next one the channel takes a new epoch, under which that is settled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime

import asyncpg
import structlog

from smsgw.channels.services import Services
from smsgw.core.ids import first_id
from smsgw.core.model import Claimed, Lane, Outcome, OutcomeKind
from smsgw.core.queue_cursors import QueueCursors
from smsgw.pipeline.fleet import Membership, Queue
from smsgw.pipeline.outcomes.writer import MAX_AGE
from smsgw.runtime import aio, clock, failpoints
from smsgw.store.engine import leases
from smsgw.store.engine.database import OUTAGE, SLOW, Connection, Ear, connect
from smsgw.store.engine.journal import Key
from smsgw.store.engine.leases import Lease
from smsgw.store.engine.replanning import YoungDay
from smsgw.store.messages import claiming
from smsgw.store.messages.calls import Fence

log = structlog.get_logger(__name__)

CLAIM_TIMEOUT = 5.0
"""Seconds in which this process runs: one that was frozen finds the answer when it wakes, and knows what it has."""
SERVER_TIMEOUT = 4.0
"""The server gives a statement up after so many seconds: mostly before we do, so that its outcome is known."""
LOOK_FOR_LOST_EVERY = 30.0
"""Seconds between looks for claimed parts that nobody has in hand."""
LOST_AFTER = 15.0
"""Seconds after its claim from which such a part is suspected; when it still is at the next look, it was lost."""
LOST_COUNT_FOR = 600.0
"""Seconds for which such parts are an alarm."""
CLAIM_INTERVAL = 0.01
"""Seconds after a claim that has emptied the queue until the next one: under load each carries more."""
AGAIN_EVERY = 0.5
"""Seconds between looks for messages that a neighbour has failed at."""
LOOK_AGAIN = 5.0
"""Seconds after which deferred parts are looked for unasked: time and operators defer parts, too."""
BACK_FOR = 2.0
"""Seconds in which what is given back is in its queue, and has been looked for: what comes meanwhile is behind it."""
REST = 30.0
"""Seconds for which is not asked again what the server has given up, beside the queues: they have their turn."""
TURN_FOR_ALL = 10
"""Every so many claims the lanes are served from the other end: none is starved."""


class Claims:
    """The claims of one channel. ``hot`` are the queues that may have something for it."""

    def __init__(
        self, channel_id: int, name: str, lease: Lease, pools: dict[int, Membership], services: Services
    ) -> None:
        self._channel_id = channel_id
        self._name = name
        self._lease = lease
        self.pools = pools
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._ear = Ear()
        self._day = YoungDay()
        self._doubt = 0
        """The epoch of a claim that was asked for and of which it is not known what came of it; 0: none."""
        self._entering: dict[Key, Claimed] = {}
        """What is being entered as claimed by us and accepted in the same transaction: how it ends we are told."""
        self._all_entered = asyncio.Event()
        self._all_entered.set()
        self._entry_doubt = 0
        """The epoch when it was last not known how such a transaction has ended; 0: none is in doubt."""
        self._asking = False
        self._look_at = self._loop.time() + LOOK_FOR_LOST_EVERY
        self._suspects: set[Key] = set()
        """Nobody had them in hand at the last look; an outcome of theirs may only have been slow to be stored."""
        self._lost: deque[tuple[float, int]] = deque(maxlen=100)
        self._hot: dict[Queue, None] = dict.fromkeys(self._everywhere())
        self._back_at = float("-inf")
        self._heads: QueueCursors[Queue] = QueueCursors(self._loop.time)
        self._made = 0
        self._deferred_at = 0.0
        self._deferred_rests = 0.0
        self._again_at = 0.0
        self._next_at = 0.0

    def announce(self, queues: Iterable[Queue]) -> bool:
        """Messages have been queued; whether some of them may be ours."""
        mine = [queue for queue in queues if queue[0] in self.pools]
        self._hot.update(dict.fromkeys(mine))
        return bool(mine)

    def look_everywhere(self) -> None:
        """There may be something in any queue."""
        self._hot.update(dict.fromkeys(self._everywhere()))

    @property
    def waits(self) -> bool:
        """Whether there may be something in some queue, as far as we have heard."""
        return bool(self._hot)

    def deferred_in(self, seconds: float) -> None:
        """A part of ours comes due then."""
        self._deferred_at = min(self._deferred_at, clock.time() + seconds)

    # --- what is claimed as it is accepted ---------------------------------------------------------------------

    def offer(self, queue: Queue, account_id: int) -> float | None:
        """How much we have had lately from the pool for our weight, when a message that is accepted may be ours at
        once: nothing that we know of is before it. Else None."""
        pool_id, lane = queue
        services = self._services
        if (
            queue in self._hot
            or self._asking
            or self._doubt
            or self._entry_doubt
            or self._heads.dear
            or pool_id not in self.pools
            or lane == Lane.EMERGENCY
            or self._loop.time() < self._back_at + BACK_FOR
            or account_id in services.halted
            or (lane == Lane.MARKETING and services.fleet.marketing_stopped(self._channel_id))
        ):
            return None
        shares = services.shares
        if shares.backlog(pool_id) or not shares.may_pull(self._channel_id, pool_id):
            return None
        if any(shares.may_pull(self._channel_id, pool) for pool, _ in self._hot):
            return None  # what is in some other queue is about to be looked for
        return shares.had(self._channel_id, pool_id, len(self._entering))

    def comes_back(self, pools: set[int]) -> None:
        """Messages of these pools are being given back."""
        if not pools.isdisjoint(self.pools):
            self._back_at = self._loop.time()

    @property
    def entering(self) -> int:
        """Parts for which room is kept."""
        return len(self._entering)

    def reserve(self, message: Sequence[Claimed]) -> Fence:
        """It may be entered as claimed under this fence. Until we are told how that has ended it is not given back,
        whatever the database says: it may be handed to us the next moment."""
        self._entering.update((part.key, part) for part in message)
        self._all_entered.clear()
        return self._fence()

    def entered(self, reserved: Sequence[Claimed], claimed: Sequence[Claimed]) -> None:
        """That has ended."""
        for part in reserved:
            self._entering.pop(part.key, None)
        if not self._entering:
            self._all_entered.set()
        for part in claimed:
            self._services.shares.pulled(self._channel_id, part.pool_id, 1)

    def in_doubt(self, reserved: Sequence[Claimed]) -> None:
        """How that has ended nobody will tell: under a new epoch what is ours of it is given back."""
        self.entered(reserved, [])
        self._entry_doubt = self._lease.epoch

    async def all_entered(self) -> None:
        """Returns when nothing is being entered as claimed by us any more."""
        await self._all_entered.wait()

    # --- claims ------------------------------------------------------------------------------------------------

    def _fence(self) -> Fence:
        return Fence(self._lease.resource, self._lease.node, self._lease.epoch, self._channel_id)

    @property
    def emergency(self) -> bool:
        """Whether an emergency message may wait."""
        return any(lane == Lane.EMERGENCY for _, lane in self._hot)

    @property
    def pause(self) -> float:
        """Seconds until the next claim is worth its while."""
        return self._next_at - self._loop.time()

    async def take(self, room: int, *, urgent: bool, in_hand: Iterable[Claimed], trial: bool = False) -> list[Claimed]:
        """Claim up to ``room`` parts (``urgent``: of the emergency lane). ``in_hand``: claimed and not written yet.
        ``trial``: what they are sent by may not be heard, so the least urgent go first.

        What the database raises when it is away is raised; ``drop`` the connection then.
        """
        self._asking = True
        try:
            return await self._take(room, urgent=urgent, in_hand=in_hand, trial=trial)
        finally:
            self._asking = False

    async def _take(self, room: int, *, urgent: bool, in_hand: Iterable[Claimed], trial: bool) -> list[Claimed]:
        connection = await self._connected(in_hand)
        if self._doubt or self._entry_doubt:
            return []
        beside = self._deferred_due or self._again_at <= self._loop.time() or self._heads.due
        if not self._hot and (urgent or not beside):
            self._next_at = self._loop.time() + CLAIM_INTERVAL  # nothing to ask for, as behind most claims
            return []
        fence = self._fence()
        now = clock.now()
        oldest, newest = first_id(now - MAX_AGE), self._services.ids.newest(now)
        claimed: list[Claimed] = []
        queues: list[Queue] = []
        if self._day.grown:
            async with aio.timeout(CLAIM_TIMEOUT):
                await self._day.renew(connection)
        hot, self._hot = self._hot, {}
        self._doubt = fence.epoch
        if not urgent:
            claimed = await self._beside(connection, fence, room, oldest, newest, now, trial=trial)
        if self._free(claimed, room):
            queues = [q for q in self._order(hot, trial=trial) if q[1] == Lane.EMERGENCY or not urgent]
        if queues:
            failpoints.reach("claim.asked")
            late, left, begun = first_id(now - self._heads.late), room - len(claimed), self._loop.time()
            try:
                async with aio.timeout(CLAIM_TIMEOUT):
                    found = await claiming.claim(
                        connection, fence, limit=left, queues=queues, oldest=oldest, newest=newest,
                        since=[self._heads.since(queue, oldest, late) for queue in queues],
                        halted=self._services.halted,
                    )  # fmt: skip
            except asyncpg.QueryCanceledError:
                self._heads.failed(queues)
                raise
            self._heads.looked(queues, _by_queue(found), self._loop.time() - begun, all_of_it=len(found) < left)
            claimed += found
        self._ear.check()
        self._doubt = 0
        self._day.wrote(len(claimed))
        if urgent and len(claimed) < room:
            self._hot = {q: None for q in hot if q[1] != Lane.EMERGENCY} | self._hot
        elif len(claimed) >= room:
            self._hot = hot | self._hot  # there may be more where this came from
        elif left_out := hot.keys() - queues:  # of pools that others have now
            self._hot = dict.fromkeys(left_out) | self._hot
        else:
            self._next_at = self._loop.time() + CLAIM_INTERVAL
        for part in claimed:
            self._services.shares.pulled(self._channel_id, part.pool_id, 1)
        return claimed

    @property
    def _deferred_due(self) -> bool:
        return self._deferred_at <= clock.time() and self._deferred_rests <= self._loop.time()

    def _free(self, claimed: Sequence[Claimed], room: int) -> bool:
        """Whether to ask for more. Beside a kept snapshot each look may take seconds: what one has found goes first."""
        return len(claimed) < room and not (claimed and self._heads.dear)

    async def _beside(
        self, connection: Connection, fence: Fence, room: int, oldest: int, newest: int, now: datetime, *, trial: bool
    ) -> list[Claimed]:
        """What a look at the heads of the queues does not find: our own deferred parts, what neighbours have failed at,
        and what a round comes across. Each has its own time: what the server gives up rests, and keeps nothing up."""
        claimed: list[Claimed] = []
        halted = self._services.halted
        if self._deferred_due:
            # Operators send again what is older than anything that is queued.
            since = first_id(now - self._services.outcomes.open_for)
            try:
                async with aio.timeout(CLAIM_TIMEOUT):
                    claimed = await claiming.claim_deferred(
                        connection, fence, now=now, limit=room, oldest=since, halted=halted
                    )
                if len(claimed) < room:
                    async with aio.timeout(CLAIM_TIMEOUT):
                        due = await claiming.next_deferred(connection, self._channel_id, since)
                    soon = clock.time() + LOOK_AGAIN
                    self._deferred_at = min(due.timestamp(), soon) if due else soon
            except asyncpg.QueryCanceledError:
                self._deferred_rests = self._loop.time() + REST
                raise
        if self._free(claimed, room) and self._again_at <= self._loop.time():
            # What a neighbour has failed at is not a matter of shares: any other channel of the pool may have it.
            self._again_at = self._loop.time() + AGAIN_EVERY
            try:
                async with aio.timeout(CLAIM_TIMEOUT):
                    claimed += await claiming.claim(
                        connection, fence, limit=room - len(claimed), queues=self._everywhere(), oldest=oldest,
                        newest=newest, halted=halted, again=True,
                    )  # fmt: skip
            except asyncpg.QueryCanceledError:
                self._again_at = self._loop.time() + REST
                raise
        if self._free(claimed, room) and self._heads.due:
            async with aio.timeout(CLAIM_TIMEOUT):
                claimed += await self._round(connection, fence, room - len(claimed), oldest, newest, trial=trial)
        return claimed

    async def _round(
        self, connection: Connection, fence: Fence, room: int, oldest: int, newest: int, *, trial: bool
    ) -> list[Claimed]:
        """A step of a round over all queues: what was queued behind the back of the last looks."""
        if not (queues := self._order(self._everywhere(), trial=trial)):
            return []
        stretch, begun = self._heads.step(oldest, newest, CLAIM_TIMEOUT), self._loop.time()
        try:
            found = await claiming.claim(
                connection, fence, limit=room, queues=queues, oldest=stretch.first, newest=stretch.last,
                halted=self._services.halted,
            )  # fmt: skip
        except OUTAGE as exc:
            if not isinstance(exc, SLOW):
                self._heads.undone(stretch)
            raise
        self._heads.stepped(
            stretch, oldest, newest, _by_queue(found), self._loop.time() - begun, all_of_it=len(found) < room
        )
        return found

    def _everywhere(self) -> list[Queue]:
        return [(pool, int(lane)) for lane in Lane for pool in self.pools]

    def _order(self, hot: Iterable[Queue], *, trial: bool) -> list[Queue]:
        """The queues to claim from, in turn: urgent lanes first, now and then last; only pools that are ours now."""
        shares = self._services.shares
        may = {
            (pool, urgent): (shares.may_borrow if urgent else shares.may_pull)(self._channel_id, pool)
            for pool, urgent in {(q[0], q[1] == Lane.EMERGENCY) for q in hot}
        }
        self._made += 1
        other_end = self._made % TURN_FOR_ALL == 0
        turn = self._made % max(1, len(self.pools))

        def rank(queue: Queue) -> tuple[int, int]:
            lane = -queue[1] if trial or (other_end and queue[1] != Lane.EMERGENCY) else queue[1]
            return lane, (queue[0] + turn) % max(1, len(self.pools))

        stopped = self._services.fleet.marketing_stopped(self._channel_id)
        queues = (q for q in hot if may[q[0], q[1] == Lane.EMERGENCY])
        return sorted((q for q in queues if not (stopped and q[1] == Lane.MARKETING)), key=rank)

    async def look_after(self, in_hand: Iterable[Claimed]) -> None:
        """Settle a claim whose outcome is not known. Now and then look for claimed parts that nobody has in hand: there
        should be none. To be called between claims; raises as ``take`` does."""
        due = self._loop.time() >= self._look_at and self._connection is not None
        if not (self._doubt or self._entry_doubt or due) or not self._lease.still_mine():
            return
        connection = await self._connected(in_hand)
        if due:
            self._look_at = self._loop.time() + LOOK_FOR_LOST_EVERY  # also of one that takes too long: claims go on
            before, self._suspects = self._suspects, await self._unaccounted(connection, in_hand)
            if lost := before & self._suspects:
                self._give_back(lost, "nobody has them in hand")
                self._lost.append((self._loop.time(), len(lost)))

    @property
    def lost(self) -> int:
        """Claimed parts of the last minutes that nobody had in hand, and that were given back."""
        return sum(parts for at, parts in self._lost if self._loop.time() - at < LOST_COUNT_FOR)

    async def _connected(self, in_hand: Iterable[Claimed]) -> Connection:
        """The connection; no claim of before is in doubt any more, unless the lease is over."""
        if self._connection is None or self._connection.is_closed():
            self._connection = self._ear.at(
                await connect(self._services.dsn, writer=True, statement_timeout=SERVER_TIMEOUT)
            )
        if self._doubt or self._entry_doubt:
            entries = self._entry_doubt
            if self._lease.epoch in (self._doubt, entries):
                async with aio.timeout(CLAIM_TIMEOUT):
                    if not await leases.reissue(self._connection, self._lease):
                        return self._connection
            self._services.journal.own(self._lease.epoch)
            log.info("claim.new_epoch", channel=self._name, epoch=self._lease.epoch)
            if lost := await self._unaccounted(self._connection, in_hand):
                self._give_back(lost, "their claim had no answer")
            self._doubt = 0
            if self._entry_doubt == entries:  # else another one has come meanwhile
                self._entry_doubt = 0
        return self._connection

    async def _unaccounted(self, connection: Connection, in_hand: Iterable[Claimed]) -> set[Key]:
        """What is ours in the database and unknown to us. It was not written: a WRITE record comes before that."""
        # Taken before the rows are read: what is written or answered meanwhile must not look lost.
        known: set[Key] = self._services.journal.open_keys() | {c.key for c in in_hand}
        known |= self._entering.keys()
        lease = self._lease
        async with aio.timeout(CLAIM_TIMEOUT):
            rows = await claiming.held(connection, self._channel_id, lease.epochs, lease.epoch, LOST_AFTER)
        over = lease.epochs - {lease.epoch, *(r["epoch"] for r in rows)}
        self._services.journal.disown(over)
        lease.epochs -= over
        return {(r["id"], r["part"], r["attempt"]) for r in rows} - known

    def _give_back(self, lost: set[Key], why: str) -> None:
        log.warning("claim.lost", channel=self._name, parts=len(lost), why=why)
        self._services.fleet.comes_back(set(self.pools))
        self._services.outcomes.unsent([Outcome(*key, OutcomeKind.UNSENT) for key in lost])
        self.deferred_in(0.0)

    def drop(self) -> None:
        """Let the connection go; what it may still claim behind our back is settled before the next claim."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


def _by_queue(claimed: Iterable[Claimed]) -> list[tuple[Queue, int]]:
    return [((part.pool_id, part.lane), part.id) for part in claimed]
