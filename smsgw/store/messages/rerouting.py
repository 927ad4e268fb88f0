"""Messages that wait in a pool and should wait in another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.states import by_name
from smsgw.store.messages.sweeps import STEP

# In the order of part_claim, by which a queue is also claimed: each message is looked at once.
_QUEUED = by_name(f"""
SELECT p.id FROM part p
WHERE (p.pool_id, p.lane, p.id) > ($1, $2, $3) AND (p.pool_id, p.lane) <= ($1, $2)
  AND p.state = :QUEUED AND p.part = 1 AND p.id >= $4
ORDER BY p.pool_id, p.lane, p.id LIMIT {STEP}
""")  # noqa: S608 - constant text


async def queued(connection: Connection, pool_id: int, lane: int, after: int, oldest: int) -> list[int]:
    """Ids of the messages that are QUEUED there behind ``after``, a page of at most ``STEP``."""
    return [row["id"] for row in await connection.fetch(_QUEUED, pool_id, lane, after, oldest)]


_NOT_EMPTY = by_name("""
SELECT pools.id FROM unnest($1::int[]) AS pools(id) WHERE EXISTS (
    SELECT FROM unnest('{0,1,2,3}'::smallint[]) AS lanes(lane), LATERAL (
        SELECT p.id FROM part p
        WHERE p.pool_id = pools.id AND p.lane = lanes.lane AND p.state = :QUEUED AND p.part = 1 AND p.id >= $2
        LIMIT 1
    ) found
)
""")


async def not_empty(database: Database, pools: Sequence[int], oldest: int) -> list[int]:
    """Those of the pools in which something is QUEUED, with an id not before ``oldest``."""
    return [row["id"] for row in await database.fetch(_NOT_EMPTY, pools, oldest)]


_SUBJECTS = by_name("""
SELECT m.id, p.pool_id, a.name AS account, m.type, m.number, m.carrier, m.province, m.sign, m.content, m.kind
FROM message m JOIN account a ON a.id = m.account_id CROSS JOIN LATERAL (
    SELECT q.pool_id FROM part q
    WHERE q.id = m.id AND q.part = 1 AND +q.state = :QUEUED AND q.pool_id > 0 AND q.id >= $2 LIMIT 1
) p
WHERE m.id = ANY($1::bigint[]) AND m.id >= $2
""")


async def subjects(connection: Connection, ids: Sequence[int]) -> list[Row]:
    """Those of the messages that are QUEUED (tests and probes apart), with their pool and what rules look at."""
    return await connection.fetch(_SUBJECTS, ids, min(ids)) if ids else []


# What is just being claimed, or ended, is passed over.
_MOVE = by_name("""
WITH free AS MATERIALIZED (
    SELECT f.id, w.pool_id FROM unnest($1::bigint[], $2::int[]) AS w(id, pool_id), LATERAL (
        SELECT p.id FROM part p WHERE p.id = w.id AND p.part = 1 AND +p.state = :QUEUED AND p.id >= $3
        LIMIT 1 FOR UPDATE SKIP LOCKED
    ) f
),
told AS (
    INSERT INTO event (id, at, part, kind) SELECT id, $4, 0, 'rerouted' FROM free
)
UPDATE part p SET pool_id = free.pool_id FROM free WHERE p.id = free.id AND +p.state = :QUEUED AND p.id >= $3
RETURNING p.id, p.part, p.pool_id, p.lane
""")


async def move(connection: Connection, pools: Mapping[int, int], now: datetime) -> list[Row]:
    """Messages by id -> pool: those that are still QUEUED wait there from now on; their parts (pool_id, lane)."""
    if not pools:
        return []
    ids = sorted(pools)
    return await connection.fetch(_MOVE, ids, [pools[id_] for id_ in ids], ids[0], now)
