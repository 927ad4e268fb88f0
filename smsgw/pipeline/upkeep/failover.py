"""Nothing waits for a channel that is gone when a healthy one may take it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import structlog

from smsgw.core.ids import first_id
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes.writer import MAX_AGE, Outcomes, Sweep
from smsgw.pipeline.snapshot import Snapshot
from smsgw.pipeline.upkeep import rerouting
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Row
from smsgw.store.messages import failover

NOBODY = 0
"""No channel has this id."""
log = structlog.get_logger(__name__)


async def free(
    outcomes: Outcomes, snapshot: Snapshot, gone: Collection[int], serving: Sequence[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Let messages leave the channels ``gone``; the queues (pool id, lane) in which some have come.

    ``serving`` are (pool id, channel id) of the channels that are healthy now. What was given to another channel since
    it was taken goes there, not to the pool that it came from.
    """
    queues: set[tuple[int, int]] = set()

    async def run(connection: Connection, now: datetime) -> list[Row]:
        oldest = first_id(clock.now() - MAX_AGE)
        rows = await failover.leave(connection, now, oldest, gone, [*serving, *_left(snapshot)]) if gone else []
        ids = sorted({row["id"] for row in rows if row["state"] == PartState.QUEUED})
        _, moved = await rerouting.follow(connection, snapshot.table, snapshot.pools, ids, now)
        forgiven = await failover.forgive(connection, oldest, serving)
        queues.update((row["pool_id"], row["lane"]) for row in (*rows, *forgiven, *moved))
        if rows or forgiven:
            log.info("messages.moved_on", left=len(rows), forgiven=len(forgiven))
        return rows

    await outcomes.sweep(Sweep(run, {PartState.QUEUED: "moved_on", PartState.DEFERRED: "moved_on"}))
    return queues


def _left(snapshot: Snapshot) -> list[tuple[int, int]]:
    """Pools that nobody may serve and that messages leave all the same, as (pool id, no channel): they may have to
    follow the table, and where they need not they wait in their pool, as what no channel has taken yet."""
    table = snapshot.table
    return [
        (id_, NOBODY) for name, id_ in snapshot.pools.items() if id_ > 0 and (table.has_moves or not table.has(name))
    ]
