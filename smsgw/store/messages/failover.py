"""What waits for a channel that is gone, while another one may take it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from smsgw.store.engine.database import Connection, Row
from smsgw.store.engine.states import by_name
from smsgw.store.messages.sweeps import COLUMNS, STEP

# Whole messages of which nothing was taken: parts of one message stay together. What was sent twice stays where its
# first attempt may still arrive. A wait that a retry table has set is kept; one that the dead carrier has asked for to
# slow us down is not. COALESCE hides the selectivity of the channel: PostgreSQL 16 would read the whole day once.
_LEAVE = by_name(f"""
WITH serving AS (SELECT * FROM unnest($2::int[], $3::int[]) AS s(pool_id, channel_id)),
stuck AS MATERIALIZED (
    SELECT DISTINCT f.id FROM unnest($1::int[]) AS gone(channel_id), LATERAL (
        SELECT p.id FROM part p
        WHERE p.channel_id = gone.channel_id AND p.state = :DEFERRED AND p.id >= $5
          AND EXISTS (SELECT 1 FROM serving s WHERE s.pool_id = p.pool_id AND s.channel_id <> ALL(p.avoid_channels))
        ORDER BY p.next_at LIMIT {STEP}
    ) f
),
whole AS MATERIALIZED (
    SELECT p.id, CASE WHEN bool_and(p.class = 'FREQ_CARRIER') THEN $4 ELSE max(p.next_at) END AS due
    FROM stuck JOIN part p ON p.id = stuck.id AND p.id >= $5
    GROUP BY p.id HAVING bool_and(p.state = :DEFERRED AND p.channel_id = ANY($1) AND p.resent = 0)
)
UPDATE part p SET state = CASE WHEN whole.due <= $4 THEN :QUEUED ELSE :DEFERRED END,
    next_at = CASE WHEN whole.due > $4 THEN whole.due END,
    channel_id = NULL, epoch = NULL, claimed_at = NULL, elsewhere = false
FROM whole WHERE p.id = whole.id AND +p.state = :DEFERRED AND COALESCE(p.channel_id = ANY($1), false) AND p.id >= $5
RETURNING {COLUMNS}, p.lane
""")  # noqa: S608 - constant text


async def leave(
    connection: Connection, now: datetime, oldest: int, gone: Collection[int], serving: Sequence[tuple[int, int]]
) -> list[Row]:
    """Messages that are DEFERRED on the channels ``gone`` go to their pool, where one of ``serving`` may have them.

    ``serving`` are (pool id, channel id) of the healthy channels; ids before ``oldest`` are not looked at.
    """
    return await connection.fetch(_LEAVE, sorted(gone), [s[0] for s in serving], [s[1] for s in serving], now, oldest)


# The channels that have failed at it are better than none.
_FORGIVE = by_name(f"""
WITH serving AS (SELECT * FROM unnest($1::int[], $2::int[]) AS s(pool_id, channel_id)),
stuck AS MATERIALIZED (
    SELECT f.id
    FROM (SELECT DISTINCT pool_id FROM serving) q, unnest('{{0,1,2,3}}'::smallint[]) AS lanes(lane), LATERAL (
        SELECT p.id FROM part p
        WHERE p.pool_id = q.pool_id AND p.lane = lanes.lane AND p.state = :QUEUED AND p.part = 1
          AND p.avoid_channels <> '{{}}' AND p.id >= $3 AND NOT EXISTS (
              SELECT 1 FROM serving s WHERE s.pool_id = p.pool_id AND s.channel_id <> ALL(p.avoid_channels)
          )
        ORDER BY p.pool_id, p.lane, p.id LIMIT {STEP}
    ) f
)
UPDATE part p SET avoid_channels = '{{}}' FROM stuck WHERE p.id = stuck.id AND +p.state = :QUEUED AND p.id >= $3
RETURNING {COLUMNS}, p.lane
""")  # noqa: S608


async def forgive(connection: Connection, oldest: int, serving: Sequence[tuple[int, int]]) -> list[Row]:
    """QUEUED messages that only channels may take which are not healthy may again be taken by those that are."""
    return await connection.fetch(_FORGIVE, [s[0] for s in serving], [s[1] for s in serving], oldest)
