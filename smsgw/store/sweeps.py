"""State changes that come with time or by an operator's hand. Each gives the changed rows, for ``outcomes.settle``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from smsgw.core.states import PartState, sources
from smsgw.store.db import Connection, Row

_COLUMNS = (
    "p.id, p.part, p.total, p.state, p.channel_id, p.carrier_id, p.account_id, p.code, p.class, p.by_us, "
    "p.answered_at, p.claimed_at, p.final_at"
)

_RELEASE_SCHEDULED = f"""
WITH due AS (
    SELECT id FROM part WHERE state = 2 AND next_at <= $1 AND part = 1 ORDER BY next_at LIMIT $2
    FOR UPDATE SKIP LOCKED
)
UPDATE part p SET state = 10, next_at = NULL FROM due WHERE p.id = due.id AND p.state = 2 RETURNING {_COLUMNS}, p.lane,
    p.pool_id
"""  # noqa: S608 - constant text


async def release_scheduled(connection: Connection, now: datetime, limit: int) -> list[Row]:
    """SCHEDULED messages whose time has come are QUEUED."""
    return await connection.fetch(_RELEASE_SCHEDULED, now, limit)


_RESOLVE_UNKNOWN = f"""
WITH due AS (
    SELECT p.id, p.part, COALESCE(p.unknown_policy, c.unknown_policy) = 'resend' AND p.resent < 1
                         AND p.expires_at > $1 AS resend
    FROM part p JOIN channel c ON c.id = p.channel_id
    WHERE p.state = 31 AND p.next_at <= $1 ORDER BY p.next_at LIMIT $2 FOR UPDATE OF p SKIP LOCKED
)
UPDATE part p SET state = CASE WHEN due.resend THEN 11 ELSE 44 END,
                  resent = p.resent + due.resend::int,
                  next_at = CASE WHEN due.resend THEN $1 END,
                  final_at = CASE WHEN due.resend THEN NULL ELSE $1 END
FROM due WHERE p.id = due.id AND p.part = due.part AND p.state = 31 RETURNING {_COLUMNS}
"""  # noqa: S608


async def resolve_unknown(connection: Connection, now: datetime, limit: int) -> list[Row]:
    """UNKNOWN parts meet their policy: UNCONFIRMED, or DEFERRED for a resend where that was chosen."""
    return await connection.fetch(_RESOLVE_UNKNOWN, now, limit)


_DECIDE_UNKNOWN = f"""
UPDATE part p SET state = $3::smallint, code = CASE WHEN $3 = 11 THEN '' ELSE $5 END, resent = p.resent + ($3 = 11)::int,
    next_at = CASE WHEN $3 = 11 THEN $4::timestamptz END, final_at = CASE WHEN $3 <> 11 THEN $4::timestamptz END,
    expires_at = CASE WHEN $3 = 11 THEN greatest(p.expires_at, $4::timestamptz + interval '10 minutes') ELSE p.expires_at END
WHERE p.id = $1 AND ($2 = 0 OR p.part = $2) AND p.state = 31 RETURNING {_COLUMNS}
"""  # noqa: S608, E501


async def decide_unknown(
    connection: Connection, message_id: int, part: int, state: int, now: datetime, code: str
) -> list[Row]:
    """An operator's decision about UNKNOWN parts (``part`` 0: all): a final state, or DEFERRED to resend."""
    return await connection.fetch(_DECIDE_UNKNOWN, message_id, part, state, now, code)


_EXPIRE_QUEUED = f"""
WITH head AS (
    SELECT q.id, q.expires_at FROM (SELECT DISTINCT l FROM unnest($4::smallint[]) AS l) AS lanes, LATERAL (
        SELECT id, expires_at FROM part WHERE pool_id = $3 AND lane = lanes.l AND state = 10 AND part = 1
        ORDER BY id LIMIT $2) q
)
UPDATE part p SET state = CASE WHEN p.resent > 0 THEN 44 WHEN p.failed THEN 41 ELSE 42 END, final_at = $1,
    code = CASE WHEN p.failed THEN p.code ELSE 'EXPIRED' END, by_us = true
FROM head
WHERE head.expires_at <= $1 AND p.id = head.id AND p.state = 10 RETURNING {_COLUMNS}
"""  # noqa: S608


async def expire_queued(
    connection: Connection, now: datetime, pool_id: int, lanes: Sequence[int], look_at: int
) -> list[Row]:
    """Among the ``look_at`` oldest queued messages of each lane, those whose validity is over are EXPIRED."""
    return await connection.fetch(_EXPIRE_QUEUED, now, look_at, pool_id, list(lanes))


_EXPIRE_DEFERRED = f"""
WITH late AS (
    SELECT p.id, p.part FROM channel c
    JOIN part p ON p.channel_id = c.id AND p.state = 11
    WHERE p.expires_at <= $1 LIMIT $2 FOR UPDATE OF p SKIP LOCKED
)
UPDATE part p SET state = CASE WHEN p.resent > 0 THEN 44 WHEN p.failed THEN 41 ELSE 42 END, final_at = $1, by_us = true
FROM late
WHERE p.id = late.id AND p.part = late.part AND p.state = 11 RETURNING {_COLUMNS}
"""  # noqa: S608


async def expire_deferred(connection: Connection, now: datetime, limit: int) -> list[Row]:
    """DEFERRED parts whose validity is over are EXPIRED."""
    return await connection.fetch(_EXPIRE_DEFERRED, now, limit)


_END_REPORT_WAIT = f"""
WITH late AS (
    SELECT id, part FROM part WHERE state = 30 AND next_at <= $1 ORDER BY next_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE part p SET state = 43, final_at = $1, next_at = NULL FROM late
WHERE p.id = late.id AND p.part = late.part AND p.state = 30 RETURNING {_COLUMNS}
"""  # noqa: S608


async def end_report_wait(connection: Connection, now: datetime, limit: int) -> list[Row]:
    """SENT parts whose report deadline is over become NO_REPORT."""
    return await connection.fetch(_END_REPORT_WAIT, now, limit)


_LOCK = "SELECT state, resent, failed FROM part WHERE id = $1 ORDER BY part FOR UPDATE"

_CANCEL = f"""
UPDATE part p SET state = 46, final_at = $2, next_at = NULL, code = 'CANCELLED', by_us = true
WHERE p.id = $1 RETURNING {_COLUMNS}
"""  # noqa: S608

_CANCELLABLE = frozenset(sources(PartState.CANCELLED))


async def cancel(connection: Connection, message_id: int, now: datetime) -> list[Row]:
    """Cancel a message of which nothing has been handed to a carrier; no rows when it is too late."""
    parts = await connection.fetch(_LOCK, message_id)
    if any(row["state"] not in _CANCELLABLE or row["resent"] or row["failed"] for row in parts):
        return []
    return await connection.fetch(_CANCEL, message_id, now)
