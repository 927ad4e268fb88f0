"""State changes that come with time or by an operator's hand. Each gives the changed rows, for their effects."""

from __future__ import annotations

from datetime import datetime

from smsgw.core.model import PROBE_ACCOUNT, PROBE_POOL
from smsgw.store.engine.database import Connection, Row
from smsgw.store.engine.states import by_name
from smsgw.store.messages.evidence import DECISION

COLUMNS = (
    "p.id, p.part, p.total, p.state, p.channel_id, p.carrier_id, p.account_id, p.code, p.class, p.by_us, "
    "p.answered_at, p.claimed_at, p.final_at, p.pool_id"
)

STEP = 1000
"""Rows that one step changes at most. Written into the statements: the planner must know how few are wanted."""

_RELEASE_SCHEDULED = by_name(f"""
WITH due AS (
    SELECT id FROM part WHERE state = :SCHEDULED AND next_at <= $1 AND part = 1 AND id >= $2 ORDER BY next_at
        LIMIT {STEP}
    FOR UPDATE SKIP LOCKED
)
UPDATE part p SET state = :QUEUED, next_at = NULL FROM due WHERE p.id = due.id AND +p.state = :SCHEDULED AND p.id >= $2
RETURNING {COLUMNS}, p.lane
""")  # noqa: S608 - constant text


async def release_scheduled(connection: Connection, now: datetime, oldest: int) -> list[Row]:
    """SCHEDULED messages whose time has come are QUEUED. Here and below ids before ``oldest`` are not looked at."""
    return await connection.fetch(_RELEASE_SCHEDULED, now, oldest)


# An attempt whose part is sent again lies aside under its own id, known or still to be told: its report, and its answer
# after all, find home there.
_SET_ASIDE = """
INSERT INTO attempt (id, part, attempt, channel_id, carrier_id, code, claimed_at, answered_at)
SELECT id, part, attempt, channel_id, carrier_id, code, claimed_at, answered_at FROM due WHERE resend
ON CONFLICT DO NOTHING
"""
_OF_ATTEMPT = "p.attempt, p.channel_id, p.carrier_id, p.code, p.claimed_at, p.answered_at"

_RESOLVE_UNKNOWN = by_name(f"""
WITH due AS MATERIALIZED (
    SELECT p.id, p.part, {_OF_ATTEMPT},
           COALESCE(p.unknown_policy, c.unknown_policy) = 'resend' AND p.resent < 1 AND p.expires_at > $1 AS resend
    FROM part p JOIN channel c ON c.id = p.channel_id
    WHERE p.state = :UNKNOWN AND p.next_at <= $1 AND p.id >= $2 ORDER BY p.next_at LIMIT {STEP}
        FOR UPDATE OF p SKIP LOCKED
),
aside AS ({_SET_ASIDE})
UPDATE part p SET state = CASE WHEN due.resend THEN :DEFERRED ELSE :UNCONFIRMED END,
                  resent = p.resent + due.resend::int,
                  carrier_id = CASE WHEN NOT due.resend THEN p.carrier_id END,
                  next_at = CASE WHEN due.resend THEN $1 END,
                  final_at = CASE WHEN due.resend THEN NULL ELSE $1 END
FROM due WHERE p.id = due.id AND p.part = due.part AND +p.state = :UNKNOWN AND p.id >= $2 RETURNING {COLUMNS}
""")  # noqa: S608


async def resolve_unknown(connection: Connection, now: datetime, oldest: int) -> list[Row]:
    """UNKNOWN parts meet their policy: UNCONFIRMED, or DEFERRED for a resend where that was chosen."""
    return await connection.fetch(_RESOLVE_UNKNOWN, now, oldest)


_DECIDE_UNKNOWN = by_name(f"""
WITH due AS MATERIALIZED (
    SELECT p.id, p.part, {_OF_ATTEMPT}, $3 = 11 AS resend FROM part p
    WHERE p.id = $1 AND ($2 = 0 OR p.part = $2) AND p.state = :UNKNOWN ORDER BY p.part FOR UPDATE
),
aside AS ({_SET_ASIDE}),
done AS (
UPDATE part p SET state = $3::smallint, code = CASE WHEN resend THEN '' ELSE $5 END, resent = p.resent + resend::int,
    carrier_id = CASE WHEN NOT resend THEN p.carrier_id END,
    next_at = CASE WHEN resend THEN $4::timestamptz END, final_at = CASE WHEN NOT resend THEN $4::timestamptz END,
    expires_at = CASE WHEN resend THEN greatest(p.expires_at, $4::timestamptz + interval '10 minutes') ELSE p.expires_at END
FROM due WHERE p.id = due.id AND p.part = due.part AND p.id = $1 AND +p.state = :UNKNOWN RETURNING {COLUMNS}
),
proof AS ({DECISION})
SELECT * FROM done
""")  # noqa: S608, E501


async def decide_unknown(
    connection: Connection, message_id: int, part: int, state: int, now: datetime, code: str, by: str
) -> list[Row]:
    """An operator's decision about UNKNOWN parts (``part`` 0: all): a final state, or DEFERRED to resend. ``by``: who
    has decided."""
    return await connection.fetch(_DECIDE_UNKNOWN, message_id, part, state, now, code, by)


_RESTING = by_name("""
SELECT DISTINCT c.name FROM part p JOIN channel c ON c.id = p.channel_id
WHERE p.id = $1 AND ($2 = 0 OR p.part = $2) AND p.state = :UNKNOWN AND (c.removed_at IS NOT NULL
    OR c.desired <> 'started')
ORDER BY c.name
""")


async def resting_channels(connection: Connection, message_id: int, part: int) -> list[str]:
    """Channels of UNKNOWN parts (``part`` 0: all) that would not send them again."""
    return [row["name"] for row in await connection.fetch(_RESTING, message_id, part)]


_CHANNELLESS = by_name("""
SELECT count(*) FROM part WHERE id = $1 AND ($2 = 0 OR part = $2) AND state = :UNKNOWN AND channel_id IS NULL
""")


async def channelless(connection: Connection, message_id: int, part: int) -> int:
    """UNKNOWN parts (``part`` 0: all) that no channel had: a restore has left them so."""
    n: int = await connection.fetchval(_CHANNELLESS, message_id, part)
    return n


# What waits in a pool goes as a whole message, by its first part; what waits at a channel goes part by part.
_EXPIRE = by_name(f"""
WITH due AS MATERIALIZED (
    SELECT w.* FROM account a, LATERAL (
        SELECT p.id, p.part, p.state, p.channel_id FROM part p
        WHERE p.account_id = a.id AND p.state {{waiting}} AND p.expires_at <= $1 AND p.id >= $2
          AND (p.part = 1 OR p.channel_id IS NOT NULL)
        ORDER BY p.expires_at LIMIT {STEP} FOR UPDATE SKIP LOCKED
    ) w LIMIT {STEP}
)
UPDATE part p SET state = CASE WHEN p.resent > 0 THEN :UNCONFIRMED WHEN p.failed THEN :UNDELIVERABLE
    ELSE :EXPIRED END, final_at = $1,
    code = CASE WHEN p.failed OR (p.channel_id IS NOT NULL AND p.code <> '') THEN p.code ELSE 'EXPIRED' END,
    by_us = true, next_at = NULL
FROM due
WHERE p.id = due.id AND p.state = due.state AND p.id >= $2
  AND (p.part = due.part OR (p.channel_id IS NULL AND due.channel_id IS NULL))
RETURNING {COLUMNS}
""")  # noqa: S608
_EXPIRE_WAITING = _EXPIRE.format(waiting="IN (10, 11) AND p.account_id > 0")
_EXPIRE_HELD = _EXPIRE.format(waiting="= 1")
# Probes belong to no account. The one whose channel runs is ended by who judges it; of a channel that was removed, or
# runs nowhere, nobody judges it, and its whole day would be kept for it.
_EXPIRE_PROBES = by_name(f"""
WITH due AS MATERIALIZED (
    SELECT p.id, p.part FROM (
        SELECT message_id AS id FROM channel_probe
        UNION SELECT id FROM part WHERE pool_id = {PROBE_POOL} AND state = :QUEUED AND part = 1 AND id >= $2
    ) k JOIN part p ON p.id = k.id AND p.account_id = {PROBE_ACCOUNT} AND p.state IN (:QUEUED, :DEFERRED)
        AND p.expires_at <= $1 AND p.id >= $2
    LIMIT {STEP} FOR UPDATE OF p SKIP LOCKED
)
UPDATE part p SET state = :EXPIRED, final_at = $1, next_at = NULL FROM due
WHERE p.id = due.id AND p.part = due.part AND p.id >= $2 RETURNING {COLUMNS}
""")  # noqa: S608


async def expire(connection: Connection, now: datetime, oldest: int) -> list[Row]:
    """What is QUEUED, DEFERRED or HELD when its validity is over, is EXPIRED; probes are, too."""
    rows = await connection.fetch(_EXPIRE_WAITING, now, oldest)
    rows += await connection.fetch(_EXPIRE_HELD, now, oldest)
    return rows + await connection.fetch(_EXPIRE_PROBES, now, oldest)


_END_REPORT_WAIT = by_name(f"""
WITH late AS (
    SELECT id, part FROM part WHERE state = :SENT AND next_at <= $1 AND id >= $2 ORDER BY next_at LIMIT {STEP}
    FOR UPDATE SKIP LOCKED
)
UPDATE part p SET state = :NO_REPORT, final_at = $1, next_at = NULL FROM late
WHERE p.id = late.id AND p.part = late.part AND +p.state = :SENT AND p.id >= $2 RETURNING {COLUMNS}
""")  # noqa: S608


async def end_report_wait(connection: Connection, now: datetime, oldest: int) -> list[Row]:
    """SENT parts whose report deadline is over become NO_REPORT."""
    return await connection.fetch(_END_REPORT_WAIT, now, oldest)
