"""What is queued follows when an account or a signature is given to another channel, and when its pool is no more.

Otherwise a message stays in the pool that it was accepted for: a new table is for new messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from smsgw.core.ids import CHINA, first_id
from smsgw.core.model import LONGEST_VALIDITY, Lane, MessageType
from smsgw.core.routes import RouteTable, Subject
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database, Row, as_writer
from smsgw.store.messages import rerouting as store
from smsgw.store.messages.sweeps import STEP

STEP_TIMEOUT = 10.0


@dataclass(slots=True)
class Followed:
    """What became of the queues."""

    moved: int = 0
    """Messages."""
    busy: int = 0
    """Messages that should have moved and were just being claimed: they go where they were."""
    queues: set[tuple[int, int]] = field(default_factory=set, compare=False)
    """(pool id, lane) where they wait now."""


def needed(table: RouteTable, pools: Mapping[str, int]) -> bool:
    """Whether something that waits in one of the pools may have to follow."""
    return table.has_moves or not all(table.has(name) for name, id_ in pools.items() if id_ > 0)


async def follow(
    connection: Connection, table: RouteTable, pools: Mapping[str, int], ids: Sequence[int], now: datetime
) -> tuple[int, list[Row]]:
    """Let those of the messages that are QUEUED follow the table: how many should, and the parts that have (pool_id,
    lane). In a transaction of the caller's; ``pools``: name -> id."""
    if not ids or not needed(table, pools):
        return 0, []
    names = {id_: name for name, id_ in pools.items()}
    at = now.astimezone(CHINA).time()
    targets: dict[int, int] = {}
    for row in await store.subjects(connection, ids):
        pool = names.get(row["pool_id"], "")
        subject = Subject(
            row["account"], MessageType(row["type"]), row["number"], row["carrier"], row["province"], row["sign"],
            row["content"], at, row["kind"],
        )  # fmt: skip
        target = table.follow(subject, pool)
        if target != pool and target in pools:
            targets[row["id"]] = pools[target]
    return len(targets), await store.move(connection, targets, now)


async def follow_lost(database: Database, table: RouteTable, pools: Mapping[str, int]) -> Followed:
    """Let what waits in pools that the table no longer has go where it leads: from there no channel pulls."""
    lost = {id_ for name, id_ in pools.items() if id_ > 0 and not table.has(name)}
    waiting = await store.not_empty(database, sorted(lost), first_id(clock.now() - LONGEST_VALIDITY)) if lost else ()
    return await follow_queued(database, table, pools, waiting) if waiting else Followed()


async def follow_queued(
    database: Database, table: RouteTable, pools: Mapping[str, int], within: Sequence[int] | None = None
) -> Followed:
    """Let everything that is QUEUED (``within`` these pools: their ids) follow the table, step by step: no lock is held
    for longer than a step takes."""
    result = Followed()
    if not needed(table, pools):
        return result
    oldest = first_id(clock.now() - LONGEST_VALIDITY)
    for pool_id in sorted(id_ for id_ in pools.values() if id_ > 0 and (within is None or id_ in within)):
        for lane in Lane:
            after = 0
            while True:
                async with database.transaction(timeout=STEP_TIMEOUT) as connection:
                    await as_writer(connection)
                    ids = await store.queued(connection, pool_id, lane, after, oldest)
                    wanted, rows = await follow(connection, table, pools, ids, clock.now())
                moved = len({row["id"] for row in rows})
                result.moved += moved
                result.queues |= {(row["pool_id"], row["lane"]) for row in rows}
                result.busy += wanted - moved
                if len(ids) < STEP:
                    break
                after = ids[-1]
    return result
