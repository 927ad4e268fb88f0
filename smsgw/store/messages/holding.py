"""Holding what an account has queued while it is stopped, and letting it go on afterwards, in bounded batches.

A batch and a change of the account exclude each other by the account's row, so each batch acts on what holds. Whole
messages that wait in a pool are held by their first part; a part that waits at a channel is held alone and goes back
there.
"""

from __future__ import annotations

from datetime import datetime

from smsgw.store.engine.database import Connection, Row
from smsgw.store.engine.states import by_name

BATCH = 2000
"""Messages a batch: the account's row is locked no longer than they take."""

# In the order of the index and one at most: nothing else is as cheap, whatever the planner believes of an account.
_WITH_WAITING = by_name("""
SELECT a.id FROM account a, LATERAL (
    SELECT 1 FROM part p WHERE p.account_id = a.id AND p.state IN (:QUEUED, :DEFERRED) AND p.account_id > 0
        AND p.id >= $1
    ORDER BY p.expires_at LIMIT 1
) w WHERE a.halted ORDER BY a.id
""")

_WITH_HELD = by_name("""
SELECT a.id FROM account a, LATERAL (
    SELECT 1 FROM part p WHERE p.account_id = a.id AND p.state = :HELD AND p.held_for = 'account' AND p.id >= $1
    ORDER BY p.expires_at LIMIT 1
) w WHERE NOT a.halted ORDER BY a.id
""")


async def stopped_with_waiting(connection: Connection, oldest: int) -> list[int]:
    """Stopped accounts (or below one that is) of which something is QUEUED or DEFERRED."""
    return [row["id"] for row in await connection.fetch(_WITH_WAITING, oldest)]


async def started_with_held(connection: Connection, oldest: int) -> list[int]:
    """Accounts that may send and of which something is HELD because they might not."""
    return [row["id"] for row in await connection.fetch(_WITH_HELD, oldest)]


_BATCH = """
WITH guard AS MATERIALIZED (SELECT 1 FROM account WHERE id = $1 AND {account} FOR SHARE),
due AS MATERIALIZED (
    SELECT p.id, p.part, p.state, p.channel_id FROM part p
    WHERE p.account_id = $1 AND p.state {states} AND p.id >= $2 AND (p.part = 1 OR p.channel_id IS NOT NULL)
      AND EXISTS (SELECT 1 FROM guard)
    ORDER BY p.expires_at LIMIT {batch} FOR UPDATE SKIP LOCKED
),
moved AS (
    UPDATE part p SET {change}
    FROM due
    WHERE p.id = due.id AND p.state = due.state AND p.id >= $2
      AND (p.part = due.part OR (p.channel_id IS NULL AND due.channel_id IS NULL))
    RETURNING p.id, p.part, p.channel_id, p.pool_id, p.lane
),
told AS (
    INSERT INTO event (id, at, part, kind)
    SELECT id, $3, CASE WHEN channel_id IS NULL THEN 0 ELSE part END, '{event}' FROM moved
    WHERE part = 1 OR channel_id IS NOT NULL
)
SELECT pool_id, lane, count(*) AS parts, array_agg(id) FILTER (WHERE channel_id IS NULL AND part = 1) AS ids
FROM moved GROUP BY pool_id, lane
"""

_HOLD = by_name(_BATCH.format(
    account="halted", states="IN (10, 11) AND p.account_id > 0", batch=BATCH, event="held",
    change="state = :HELD, held_for = 'account', next_at = NULL",
))  # fmt: skip

_RESUME = by_name(_BATCH.format(
    account="NOT halted", states="= 1 AND p.held_for = 'account'", batch=BATCH, event="resumed",
    change="state = CASE WHEN p.channel_id IS NULL THEN :QUEUED ELSE :DEFERRED END, held_for = NULL, "
           "next_at = CASE WHEN p.channel_id IS NOT NULL THEN $3::timestamptz END",
))  # fmt: skip


async def hold(connection: Connection, account_id: int, now: datetime, oldest: int) -> list[Row]:
    """A batch of the QUEUED and DEFERRED parts of a stopped account is HELD; what moved by pool_id and lane (parts; ids
    of the messages that wait in the pool)."""
    return await connection.fetch(_HOLD, account_id, oldest, now)


async def resume(connection: Connection, account_id: int, now: datetime, oldest: int) -> list[Row]:
    """HELD parts of an account that was started again are QUEUED, or due at the channel where they were DEFERRED."""
    return await connection.fetch(_RESUME, account_id, oldest, now)
