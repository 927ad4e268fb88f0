"""What a channel takes from the queues: its own deferred parts, what neighbours have failed at, then pool by pool.

A claim is the mark (QUEUED to SENDING, committed before a single octet is written), made over a connection of the
channel's own under the fence of its lease.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime

import structlog

from smsgw.channels.services import Queue, Services
from smsgw.core.ids import first_id
from smsgw.core.model import Claimed, Lane, Outcome, OutcomeKind
from smsgw.pipeline.outcomes import AHEAD, MAX_AGE
from smsgw.pipeline.routing import Membership
from smsgw.store import claiming
from smsgw.store.db import Connection, connect
from smsgw.store.journal import Key
from smsgw.store.leases import Lease

log = structlog.get_logger(__name__)

CLAIM_TIMEOUT = 5.0
CLAIM_INTERVAL = 0.01
"""Seconds after a claim that has emptied the queue until the next one: under load each carries more."""
AGAIN_EVERY = 0.5
"""Seconds between looks for messages that a neighbour has failed at."""
LOOK_AGAIN = 5.0
"""Seconds after which deferred parts are looked for unasked: time and operators defer parts, too."""
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
        self._fence = claiming.Fence(lease.resource, lease.node, lease.epoch, channel_id)
        self._connection: Connection | None = None
        self._hot: dict[Queue, None] = {}
        self._made = 0
        self._deferred_at = 0.0
        self._again_at = 0.0
        self._next_at = 0.0

    def announce(self, queues: Iterable[Queue]) -> bool:
        """Messages have been queued; whether some of them may be ours."""
        mine = [queue for queue in queues if queue[0] in self.pools]
        self._hot.update(dict.fromkeys(mine))
        return bool(mine)

    def look_everywhere(self) -> None:
        """There may be something in any queue."""
        self._hot.update(dict.fromkeys((pool, int(lane)) for pool in self.pools for lane in Lane))

    def deferred_in(self, seconds: float) -> None:
        """A part of ours comes due then."""
        self._deferred_at = min(self._deferred_at, time.time() + seconds)

    @property
    def emergency(self) -> bool:
        """Whether an emergency message may wait."""
        return any(lane == Lane.EMERGENCY for _, lane in self._hot)

    @property
    def pause(self) -> float:
        """Seconds until the next claim is worth its while."""
        return self._next_at - self._loop.time()

    async def take(self, room: int, *, urgent: bool, in_hand: Iterable[Claimed]) -> list[Claimed]:
        """Claim up to ``room`` parts (``urgent``: of the emergency lane). ``in_hand``: claimed and not written yet.

        What the database raises when it is away is raised; ``drop`` the connection then.
        """
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._services.dsn, writer=True)
            await self._reclaim(self._connection, in_hand)
        connection, fence = self._connection, self._fence
        now = datetime.now(UTC)
        oldest, newest = first_id(now - MAX_AGE), first_id(now + AHEAD)
        halted = self._services.halted()
        claimed: list[Claimed] = []
        hot, self._hot = self._hot, {}
        queues: list[Queue] = []
        async with asyncio.timeout(CLAIM_TIMEOUT):
            if self._deferred_at <= time.time() and not urgent:
                claimed = await claiming.claim_deferred(
                    connection, fence, limit=room, oldest=oldest, halted=halted
                )
                if len(claimed) < room:
                    due = await claiming.next_deferred(connection, self._channel_id, oldest)
                    soon = time.time() + LOOK_AGAIN
                    self._deferred_at = min(due.timestamp(), soon) if due else soon
            if len(claimed) < room and self._again_at <= self._loop.time() and not urgent:
                # What a neighbour has failed at is not a matter of shares: any other channel of the pool may have it.
                self._again_at = self._loop.time() + AGAIN_EVERY
                everywhere = [(pool, int(lane)) for lane in Lane for pool in self.pools]
                claimed += await claiming.claim(
                    connection, fence, limit=room - len(claimed), queues=everywhere, oldest=oldest, newest=newest,
                    halted=halted, again=True,
                )  # fmt: skip
            if len(claimed) < room:
                queues = [q for q in self._order(hot) if q[1] == Lane.EMERGENCY or not urgent]
            if queues:
                claimed += await claiming.claim(
                    connection, fence, limit=room - len(claimed), queues=queues, oldest=oldest, newest=newest,
                    halted=halted,
                )  # fmt: skip
        if urgent and len(claimed) < room:
            self._hot = {q: None for q in hot if q[1] != Lane.EMERGENCY} | self._hot
        elif len(claimed) >= room or len(queues) < len(hot):
            self._hot = hot | self._hot  # there may be more where this came from
        else:
            self._next_at = self._loop.time() + CLAIM_INTERVAL
        for part in claimed:
            self._services.tables.pulled(self._channel_id, part.pool_id, 1)
        return claimed

    def _order(self, hot: Iterable[Queue]) -> list[Queue]:
        """The queues to claim from, in turn: urgent lanes first, now and then last; only pools that are ours now."""
        tables = self._services.tables
        may = {
            (pool, urgent): (tables.may_borrow if urgent else tables.may_pull)(self._channel_id, pool)
            for pool, urgent in {(q[0], q[1] == Lane.EMERGENCY) for q in hot}
        }
        self._made += 1
        other_end = self._made % TURN_FOR_ALL == 0
        turn = self._made % max(1, len(self.pools))

        def rank(queue: Queue) -> tuple[int, int]:
            lane = -queue[1] if other_end and queue[1] != Lane.EMERGENCY else queue[1]
            return lane, (queue[0] + turn) % max(1, len(self.pools))

        stopped = self._services.marketing_stopped(self._channel_id)
        queues = (q for q in hot if may[q[0], q[1] == Lane.EMERGENCY])
        return sorted((q for q in queues if not (stopped and q[1] == Lane.MARKETING)), key=rank)

    async def _reclaim(self, connection: Connection, in_hand: Iterable[Claimed]) -> None:
        """After a lost claim connection: rows may be ours in the database and unknown to us. They were not written."""
        # Taken before the rows are read: what is written or answered meanwhile must not look like a stray.
        known: set[Key] = self._services.journal.open_keys() | {(c.id, c.part, c.attempt) for c in in_hand}
        oldest = first_id(datetime.now(UTC) - MAX_AGE)
        async with asyncio.timeout(CLAIM_TIMEOUT):
            rows = await claiming.held(connection, self._channel_id, self._lease.epoch, oldest)
        keys = [(r["id"], r["part"], r["attempt"]) for r in rows]
        stray = [Outcome(*key, OutcomeKind.UNSENT) for key in keys if key not in known]
        if stray:
            log.warning("claim.strays", channel=self._name, parts=len(stray))
            self._services.outcomes.unsent(stray)
            self.deferred_in(0.0)

    def drop(self) -> None:
        """Let the connection go; what it may have claimed behind our back is found when there is another."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
