"""Calls and tasks that wait for a reviewer: what follows a decision.

The messages of a call are HELD meanwhile, under its ``batch_id``; of a task there are none yet. What is asked about a
task first has the task's id; what is asked anew, because the task was edited, has one of its own.
"""

from __future__ import annotations

from datetime import datetime

from smsgw.core.actor import ActorLabel
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.states import by_name
from smsgw.store.messages.sweeps import COLUMNS

MAX_BLOCK = 4096
"""Ids of a call follow each other: at most so many."""

_WAITING = "SELECT count(*) AS n, min(created_at) AS oldest FROM review WHERE state = 'pending' AND created_at < $1"


async def waiting(database: Database, before: datetime) -> Row | None:
    """How many wait since before that time, and since when the oldest does."""
    return await database.fetchrow(_WAITING, before)


_DECIDE = """
UPDATE review SET state = $2, decided_by = $3, decided_at = $4, reason = $5
WHERE batch_id = $1 AND state = 'pending' RETURNING batch_id
"""
_RELEASE = by_name(f"""
UPDATE part p SET state = CASE WHEN $2::timestamptz > $3::timestamptz THEN :SCHEDULED ELSE :QUEUED END,
    next_at = CASE WHEN $2::timestamptz > $3::timestamptz THEN $2::timestamptz END, expires_at = $4
FROM message m
WHERE m.batch_id = $1 AND m.id >= $1 AND m.id < $1 + {MAX_BLOCK} AND p.id = m.id
  AND p.id >= $1 AND p.id < $1 + {MAX_BLOCK} AND +p.state = :HELD AND p.held_for IS NULL
RETURNING {COLUMNS}, p.lane, p.pool_id
""")  # noqa: S608 - constants
_REJECT = by_name(f"""
WITH told AS (
    UPDATE message SET refusal = $3 WHERE batch_id = $1 AND id >= $1 AND id < $1 + {MAX_BLOCK}
      AND EXISTS (SELECT 1 FROM part p
                  WHERE p.id = message.id AND p.id >= $1 AND p.id < $1 + {MAX_BLOCK} AND +p.state = :HELD)
    RETURNING id
)
UPDATE part p SET state = :REJECTED, code = 'REVIEW_REJECTED', class = 'POLICY', by_us = true, final_at = $2,
    next_at = NULL
FROM told WHERE p.id = told.id AND p.id >= $1 AND p.id < $1 + {MAX_BLOCK} AND +p.state = :HELD AND p.held_for IS NULL
RETURNING {COLUMNS}
""")  # noqa: S608


_OF_TASK = """
INSERT INTO review (batch_id, account_id, type, origin, submitter, reasons, numbers, parts, content, due_at, validity,
                    expires_at, task, task_id)
SELECT COALESCE($2, id), account_id, type, origin, COALESCE($3, submitter), review_reasons, valid, valid, content,
       next_at, interval '0', 'infinity', true, id
FROM task WHERE id = $1
"""
_END = "UPDATE review SET state = $3, decided_at = $2 WHERE task_id = $1 AND state = 'pending'"


async def ask_for_task(
    connection: Connection, task_id: int, *, again: int | None = None, by: ActorLabel | None = None
) -> None:
    """A task waits for a reviewer: for as long as it takes. ``again``: under this id, for it was edited ``by`` them."""
    await connection.execute(_OF_TASK, task_id, again, by)


async def decide_task(
    connection: Connection, batch_id: int, now: datetime, *, passes: bool, by: ActorLabel, reason: str
) -> bool:
    """The word about a task that the transaction has locked; False: this is asked no more."""
    state = "passed" if passes else "rejected"
    return await connection.fetchval(_DECIDE, batch_id, state, by, now, reason) is not None


async def end_task(connection: Connection, task_id: int, now: datetime, *, edited: bool = False) -> None:
    """Nobody is asked about a task any more: it was cancelled, or is another one now."""
    await connection.execute(_END, task_id, now, "withdrawn" if edited else "expired")


async def release(
    connection: Connection,
    batch_id: int,
    now: datetime,
    *,
    start: datetime,
    expires: datetime,
    by: ActorLabel,
    reason: str,
) -> list[Row]:
    """The call may go: QUEUED, or SCHEDULED for ``start``. No rows when it was decided before."""
    if await connection.fetchval(_DECIDE, batch_id, "passed", by, now, reason) is None:
        return []
    return await connection.fetch(_RELEASE, batch_id, start, now, expires)


async def reject(
    connection: Connection, batch_id: int, now: datetime, *, text: str, by: ActorLabel, reason: str
) -> list[Row]:
    """The call never leaves. No rows when it was decided before."""
    if await connection.fetchval(_DECIDE, batch_id, "rejected", by, now, reason) is None:
        return []
    return await connection.fetch(_REJECT, batch_id, now, text)


_EXPIRE = """
UPDATE review SET state = 'expired', decided_at = $1 WHERE state = 'pending' AND expires_at <= $1
"""


async def expire(connection: Connection, now: datetime) -> None:
    """Calls that nobody has decided about in time: their messages expire by themselves."""
    await connection.execute(_EXPIRE, now)
