"""Nothing waits for a channel that is gone when a healthy one may take it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import structlog

from smsgw.core.ids import first_id
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes.writer import MAX_AGE, Outcomes, Sweep
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Row
from smsgw.store.messages import failover

log = structlog.get_logger(__name__)


async def free(
    outcomes: Outcomes, gone: Collection[int], serving: Sequence[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Let messages leave the channels ``gone``; the queues (pool id, lane) in which some have come.

    ``serving`` are (pool id, channel id) of the channels that are healthy now.
    """
    queues: set[tuple[int, int]] = set()

    async def run(connection: Connection, now: datetime) -> list[Row]:
        oldest = first_id(clock.now() - MAX_AGE)
        rows = await failover.leave(connection, now, oldest, gone, serving) if gone else []
        forgiven = await failover.forgive(connection, oldest, serving)
        queues.update((row["pool_id"], row["lane"]) for row in (*rows, *forgiven))
        if rows or forgiven:
            log.info("messages.moved_on", left=len(rows), forgiven=len(forgiven))
        return rows

    await outcomes.sweep(Sweep(run, {PartState.QUEUED: "moved_on", PartState.DEFERRED: "moved_on"}))
    return queues
