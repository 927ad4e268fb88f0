"""What the watching of the platform measures in the database: what waits in queues, and the database's own standbys."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.errors import Temporary
from smsgw.core.ids import EPOCH_MS
from smsgw.store.engine.database import Database
from smsgw.store.engine.states import by_name

PATIENCE = 5.0
"""Seconds for one statement."""
ANSWERS = 2.0
"""Seconds in which a database answers that is there."""

# By part_claim. A message has waited since it was accepted, or since the last thing that happened to it: it was
# released, approved, sent for once more.
_QUEUE = by_name(f"""
WITH q AS MATERIALIZED (
    SELECT id AS pool_id, $3::smallint AS lane FROM pool
), counted AS MATERIALIZED (
    SELECT q.lane, c.n, h.id FROM q, LATERAL (
        SELECT count(*) AS n FROM (
            SELECT FROM part p WHERE p.pool_id = q.pool_id AND p.lane = q.lane AND p.state = :QUEUED AND p.part = 1
              AND p.id >= $1 LIMIT $2) waiting
    ) c, LATERAL (
        SELECT p.id FROM part p WHERE p.pool_id = q.pool_id AND p.lane = q.lane AND p.state = :QUEUED AND p.part = 1
          AND p.id >= $1 ORDER BY p.pool_id, p.lane, p.id LIMIT 1
    ) h
)
SELECT c.lane, sum(c.n)::bigint AS waiting, min(GREATEST(
    to_timestamp(((c.id >> 22) + {EPOCH_MS}) / 1000.0), (SELECT max(e.at) FROM event e WHERE e.id = c.id))) AS oldest
FROM counted c GROUP BY c.lane
""")  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits in a lane, of all pools."""

    lane: int
    waiting: int | None
    """Messages; None: more than could be counted."""
    oldest: datetime | None
    """Since when the one that would go next in its pool has been waiting, the oldest of these; None: not known."""


async def queue(database: Database, lane: int, oldest: int, most: int) -> Queue | None:
    """What waits in a lane, if anything does; of each pool up to ``most`` are counted, none with an id before
    ``oldest``. What a database that answers cannot count in time is more than could be counted."""
    try:
        row = await database.fetchrow(_QUEUE, oldest, most, lane, timeout=PATIENCE)
    except Temporary as exc:
        if not isinstance(exc.__cause__, TimeoutError):
            raise
        await database.fetchval("SELECT 1", timeout=ANSWERS)
        return Queue(lane, None, None)
    return None if row is None else Queue(**dict(row))


_LOW = """
SELECT a.name AS account, a.balance - a.credit_floor AS available, COALESCE(e.threshold, $1::bigint) AS threshold
FROM account a LEFT JOIN unnest($2::text[], $3::bigint[]) e (name, threshold) ON e.name = a.name
WHERE a.balance - a.credit_floor < COALESCE(e.threshold, $1::bigint) AND a.id <> ALL ($4::bigint[])
ORDER BY available, a.id LIMIT $5
"""
NEVER = -(2**63)


@dataclass(frozen=True, slots=True)
class Low:
    """An account with little left to spend."""

    account: str
    available: int
    threshold: int


async def low_balances(
    database: Database, threshold: int | None, own: Mapping[str, int | None], halted: Collection[int], most: int
) -> list[Low]:
    """Accounts that can spend less than the threshold, or than their ``own`` by name (None: nobody wants to know), but
    none that is ``halted``; those with the least."""
    limits = [NEVER if limit is None else limit for limit in own.values()]
    rows = await database.fetch(_LOW, threshold, list(own), limits, list(halted), most, timeout=PATIENCE)
    return [Low(**dict(row)) for row in rows]


# Who may not see them sees that there are some, and nothing of them (the role pg_monitor).
_STANDBYS = """
SELECT pg_is_in_recovery() AS standby, count(r.pid)::int AS standbys, count(r.pid)::int > count(r.state)::int AS hidden,
       COALESCE(max(EXTRACT(epoch FROM r.replay_lag)), 0)::float8 AS lag
FROM (SELECT 1) one LEFT JOIN pg_stat_replication r ON true
"""


@dataclass(frozen=True, slots=True)
class Replication:
    """The role of the database, and how far its standbys are behind."""

    standby: bool
    """It is one itself, and takes no changes."""
    standbys: int
    hidden: bool
    """Our role may not see how far they are."""
    lag: float
    """Seconds that the last of them is behind."""


async def replication(database: Database) -> Replication:
    """As the database says."""
    row = await database.fetchrow(_STANDBYS, timeout=PATIENCE)
    assert row is not None  # noqa: S101 - an aggregate
    return Replication(**dict(row))
