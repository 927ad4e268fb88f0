"""Claim = mark: QUEUED and due DEFERRED parts become SENDING under our epoch before a single octet is written."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from smsgw.core.model import TEST_CHANNEL, TEST_POOL, Claimed
from smsgw.store.engine.database import Connection, Row
from smsgw.store.engine.states import by_name
from smsgw.store.messages.calls import Fence

LAST_ID = 2**63 - 1

# The head of a queue. Plain equality and ORDER BY id would let the planner read the day by its primary key, where most
# rows seem to fit when a million wait, and then all of it for a lane that is empty: this order only part_claim has. For
# the same reason the upper bound stands in a comparison of rows, where the primary key cannot use it.
_HEAD = by_name("""
        WHERE (p.pool_id, p.lane, p.id) >= (q.pool_id, q.lane, q.since)
          AND (p.pool_id, p.lane, p.id) <= (q.pool_id, q.lane, q.newest)
          AND p.state = :QUEUED AND p.part = 1 AND p.id >= {oldest}{more}
        ORDER BY p.pool_id, p.lane, p.id""")

# Whole messages by their first part, in the order of the given (pool, lane) pairs, as many as fit into $4 parts.
# The claim holds only while the channel's lease is ours by the database's clock. Test messages are for the test channel
# and for no other, whatever a caller asks for.
_CLAIM = by_name(f"""
-- ids from $7 to $9
WITH own AS MATERIALIZED (
    SELECT 1 FROM lease WHERE resource = $1 AND node = $2 AND epoch = $3 AND expires_at > clock_timestamp() FOR SHARE
),
q AS MATERIALIZED (
    SELECT q.*, $9::bigint AS newest
    FROM unnest($5::int[], $6::smallint[], $10::bigint[]) WITH ORDINALITY AS q(pool_id, lane, since, turn)
    WHERE (q.pool_id = {TEST_POOL}) = ($8 = {TEST_CHANNEL})
),
head AS MATERIALIZED (
    SELECT q.turn, f.id, f.total
    FROM q, LATERAL (
        SELECT p.id, p.total FROM part p{
    _HEAD.format(oldest="$7", more=" AND $8 <> ALL(p.avoid_channels) AND EXISTS (SELECT 1 FROM own)")
}
        LIMIT $4 FOR UPDATE SKIP LOCKED
    ) f
),
pick AS MATERIALIZED (
    SELECT id FROM (SELECT id, total, sum(total) OVER (ORDER BY turn, id) AS running FROM head) r
    WHERE running - total < $4
),
mine AS (
    UPDATE part p SET state = :SENDING, channel_id = $8, epoch = $3, attempt = p.attempt + 1,
        claimed_at = clock_timestamp()
    FROM pick WHERE p.id = pick.id AND +p.state = :QUEUED AND p.id >= $7
    RETURNING p.id, p.part, p.total, p.attempt, p.lane, p.pool_id, p.expires_at, p.account_id
)
SELECT mine.*, m.number, m.content, m.coding, m.extend_code, m.concat_ref
FROM mine JOIN message m ON m.id = mine.id AND m.id >= $7
ORDER BY mine.lane, mine.id, mine.part
""")  # noqa: S608 - constant text

# The same while accounts are stopped: theirs are passed over. What a stopped account has queued is being moved away
# (store/messages/holding.py); until then so many of the head are looked at, and a claim never costs more.
LOOK = 2000
_CLAIM_PAST = _CLAIM.replace(
    """        SELECT p.id, p.total FROM part p
""",
    """        SELECT p.id, p.total
        FROM (SELECT p.id, p.account_id, p.pool_id, p.lane FROM part p
""",
).replace(
    """        LIMIT $4 FOR UPDATE SKIP LOCKED
""",
    by_name(f"""        LIMIT {LOOK}) h JOIN part p ON p.id = h.id AND p.part = 1 AND +p.state = :QUEUED AND p.id >= $7
        WHERE h.account_id <> ALL($11::bigint[])
        ORDER BY h.pool_id, h.lane, h.id LIMIT $4 FOR UPDATE OF p SKIP LOCKED
"""),
)

# The same, among messages that some other channel has failed at.
_CLAIM_AGAIN = _CLAIM.replace(
    "AND $8 <> ALL", "AND p.avoid_channels <> '{}' AND p.account_id <> ALL($11::bigint[]) AND $8 <> ALL"
)

# What this channel has to take up again.
_CLAIM_DEFERRED = by_name("""
WITH own AS MATERIALIZED (
    SELECT 1 FROM lease WHERE resource = $1 AND node = $2 AND epoch = $3 AND expires_at > clock_timestamp() FOR SHARE
),
pick AS MATERIALIZED (
    SELECT p.id, p.part FROM part p
    WHERE p.channel_id = $5 AND p.state = :DEFERRED AND p.next_at <= $8 AND p.id >= $6
      AND p.account_id <> ALL($7::bigint[]) AND EXISTS (SELECT 1 FROM own)
    ORDER BY p.next_at LIMIT $4 FOR UPDATE SKIP LOCKED
),
mine AS (
    UPDATE part p SET state = :SENDING, epoch = $3, attempt = p.attempt + 1, claimed_at = clock_timestamp(),
        next_at = NULL
    FROM pick WHERE p.id = pick.id AND p.part = pick.part AND p.id >= $6
    RETURNING p.id, p.part, p.total, p.attempt, p.lane, p.pool_id, p.expires_at, p.account_id
)
SELECT mine.*, m.number, m.content, m.coding, m.extend_code, m.concat_ref
FROM mine JOIN message m ON m.id = mine.id AND m.id >= $6
ORDER BY mine.lane, mine.id, mine.part
""")


async def claim(
    connection: Connection,
    fence: Fence,
    *,
    limit: int,
    queues: Sequence[tuple[int, int]],
    oldest: int,
    newest: int = LAST_ID,
    since: Sequence[int] = (),
    halted: Collection[int] = (),
    again: bool = False,
) -> list[Claimed]:
    """Claim whole queued messages of up to ``limit`` parts (the last one may overshoot), queue by queue.

    ``queues`` are (pool, lane) pairs, most urgent first; below ``oldest`` and above ``newest`` nothing can be queued.
    ``since``: by queue, from which id on it is looked at (``core/queue_cursors``); from ``oldest`` on without it.
    ``halted``: accounts of which nothing is claimed.
    ``again``: only messages that another channel has failed at. A channel never gets what it has failed at itself.
    """
    past = [sorted(halted)] if halted or again else []
    rows = await connection.fetch(
        _CLAIM_AGAIN if again else _CLAIM_PAST if halted else _CLAIM,
        fence.resource,
        fence.node,
        fence.epoch,
        limit,
        [q[0] for q in queues],
        [q[1] for q in queues],
        oldest,
        fence.channel_id,
        newest,
        list(since) or [oldest] * len(queues),
        *past,
    )
    return [_claimed(row) for row in rows]


async def claim_deferred(
    connection: Connection, fence: Fence, *, now: datetime, limit: int, oldest: int, halted: Collection[int] = ()
) -> list[Claimed]:
    """Claim up to ``limit`` parts that this channel had deferred and whose time has come."""
    rows = await connection.fetch(
        _CLAIM_DEFERRED, fence.resource, fence.node, fence.epoch, limit, fence.channel_id, oldest, sorted(halted), now
    )
    return [_claimed(row) for row in rows]


def _claimed(row: Row) -> Claimed:
    return Claimed(
        id=row["id"],
        part=row["part"],
        total=row["total"],
        attempt=row["attempt"],
        number=row["number"],
        content=row["content"],
        coding=row["coding"],
        extend_code=row["extend_code"],
        lane=row["lane"],
        valid_until=row["expires_at"],
        ref=row["concat_ref"],
        pool_id=row["pool_id"],
        account_id=row["account_id"],
    )


_NEXT_DEFERRED = by_name("SELECT min(next_at) FROM part WHERE channel_id = $1 AND state = :DEFERRED AND id >= $2")


async def next_deferred(connection: Connection, channel_id: int, oldest: int) -> datetime | None:
    """When the channel's next deferred part is due."""
    due: datetime | None = await connection.fetchval(_NEXT_DEFERRED, channel_id, oldest)
    return due


_OLDEST_QUEUED = f"""
WITH q AS MATERIALIZED (
    SELECT q.pool_id, lanes.lane, $2::bigint AS since, $3::bigint AS newest
    FROM unnest($1::int[]) AS q(pool_id), unnest('{{0,1,2,3}}'::smallint[]) AS lanes(lane)
)
SELECT q.pool_id, min(f.id) AS id
FROM q, LATERAL (SELECT p.id FROM part p{_HEAD.format(oldest="$2", more="")} LIMIT 1) f
GROUP BY q.pool_id
"""  # noqa: S608 - constant text


async def oldest_queued(
    connection: Connection, pools: Sequence[int], oldest: int, newest: int = LAST_ID
) -> dict[int, int]:
    """Pool id -> id of its oldest queued message; pools without any are absent."""
    rows = await connection.fetch(_OLDEST_QUEUED, list(pools), oldest, newest)
    return {row["pool_id"]: row["id"] for row in rows}


# By part_open, never along the primary key. What was claimed under an epoch that is given up is looked at whatever its
# age: nothing of it is on its way any more.
_HELD = by_name("""
SELECT id, part, attempt, epoch FROM part
WHERE channel_id = $1 AND epoch = ANY($2::bigint[]) AND state = :SENDING
  AND (epoch <> $3 OR claimed_at < clock_timestamp() - $4::float8 * interval '1 second')
""")


async def held(
    connection: Connection, channel_id: int, epochs: Collection[int], current: int, older: float
) -> list[Row]:
    """Parts that are SENDING under these epochs; under the ``current`` one only those claimed ``older`` seconds ago."""
    return await connection.fetch(_HELD, channel_id, sorted(epochs), current, older)


# By part_open, too: at most some windows of parts are SENDING.
_INTERRUPTED = by_name("""
WITH left_over AS MATERIALIZED (
    SELECT id, part, attempt, epoch FROM part
    WHERE channel_id = $1 AND epoch < $2 AND state = :SENDING AND (id, part) > ($3, $4)
)
SELECT * FROM left_over ORDER BY id, part LIMIT 5000
""")


async def interrupted(connection: Connection, channel_id: int, epoch: int, after: tuple[int, int]) -> list[Row]:
    """Parts that an earlier owner of the channel had claimed and left without an outcome, a page of at most 5,000."""
    return await connection.fetch(_INTERRUPTED, channel_id, epoch, *after)


# By part_open, too.
_TAKEN_OVER = by_name("""
WITH unknown AS MATERIALIZED (
    SELECT p.id, p.part, p.attempt, p.epoch FROM channel c, LATERAL (
        SELECT id, part, attempt, epoch FROM part
        WHERE channel_id = c.id AND state = :UNKNOWN AND code = 'TAKEN_OVER' AND (id, part) > ($1, $2)
    ) p
)
SELECT * FROM unknown ORDER BY id, part LIMIT 5000
""")


async def taken_over(connection: Connection, after: tuple[int, int]) -> list[Row]:
    """Parts that are UNKNOWN because another node took their channel over, a page of at most 5,000."""
    return await connection.fetch(_TAKEN_OVER, *after)


_LEFT = by_name("""
SELECT c.id, c.name, c.unknown_policy FROM channel c
WHERE c.id <> ALL($1::int[]) AND EXISTS (SELECT 1 FROM part p WHERE p.channel_id = c.id AND p.state = :SENDING)
""")


async def left_behind(connection: Connection, running: Sequence[int]) -> list[Row]:
    """Channels outside ``running``, stopped and removed ones included, that have claimed parts without an outcome."""
    return await connection.fetch(_LEFT, list(running))
