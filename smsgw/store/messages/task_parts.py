"""The messages of tasks in the queue: counted, held, released, cancelled. Ids of messages follow from their rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from smsgw.core import states
from smsgw.core.ids import time_of
from smsgw.core.states import PartState
from smsgw.core.tasks import Chunk
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.states import by_name

_COLUMNS = (
    "p.id, p.part, p.total, p.state, p.channel_id, p.carrier_id, p.account_id, p.code, p.class, p.by_us, "
    "p.answered_at, p.claimed_at, p.final_at, p.pool_id, p.lane"
)
_WAITING = "(1, 2, 10, 11, 20)"
"""What may still be held or cancelled, or come back to be so."""
_RANKS = [0] * (max(PartState) + 1)
for _state, _rank in states.RANK.items():
    _RANKS[_state] = _rank
_BY_RANK = {rank: state for state, rank in states.RANK.items()}

_CHUNKS = """
SELECT task_id, run, first, size, base_id, feeds FROM task_chunk
WHERE task_id = $1 AND {flag} AND ($2::int IS NULL OR run = $2) AND ($3::timestamptz IS NULL OR
    counted_at < $3 - greatest(interval '2 s', ($3 - fed_at) / 50))
ORDER BY counted_at, run, first LIMIT $4
"""
_WAITING_CHUNKS = _CHUNKS.format(flag="waiting")
_HELD_CHUNKS = _CHUNKS.format(flag="waiting AND counts ? 'held'")
_OPEN_CHUNKS = _CHUNKS.format(flag="open")


async def waiting_chunks(database: Database, task_id: int, limit: int = 10_000, *, held: bool = False) -> list[Chunk]:
    """Chunks that may hold what no channel has claimed; ``held``: of which some was held when it was counted."""
    sql = _HELD_CHUNKS if held else _WAITING_CHUNKS
    return [Chunk(*row) for row in await database.fetch(sql, task_id, None, None, limit)]


async def open_chunks(
    database: Database, task_id: int, run: int | None, limit: int, stale_at: datetime | None = None
) -> list[Chunk]:
    """Chunks whose counts may have changed, those counted longest ago first.

    With ``stale_at`` (now) only those whose counts are old: the older a chunk, the less it changes.
    """
    return [Chunk(*row) for row in await database.fetch(_OPEN_CHUNKS, task_id, run, stale_at, limit)]


# $6 and $7 bound the partitions that are looked at.
_COUNT = by_name(f"""
SELECT c.run, c.first, s.k, s.waits, s.unclaimed, count(*) AS n
FROM unnest($1::int[], $2::int[], $3::bigint[], $4::int[]) AS c(run, first, base_id, size)
CROSS JOIN LATERAL (
    SELECT min(($5::int[])[p.state + 1] * 2 + (p.by_us AND p.state = :REJECTED)::int) AS k,
           bool_or(p.state IN {_WAITING}) AS waits, bool_or(p.state IN (:HELD, :SCHEDULED, :QUEUED)) AS unclaimed
    FROM part p WHERE p.id >= c.base_id AND p.id < c.base_id + c.size AND p.id >= $6 AND p.id < $7
    GROUP BY p.id
) s
GROUP BY c.run, c.first, s.k, s.waits, s.unclaimed
""")  # noqa: S608 - constant text

# A chunk that has got messages since it was looked at is counted another time. What is kept of its run holds
# no more; whoever is just summing it up holds the row, and is waited for.
_COUNTED = """
WITH n AS (
    SELECT * FROM unnest($2::int[], $3::int[], $4::jsonb[], $5::bool[], $6::bool[], $8::bool[], $9::int[])
        AS n(run, first, counts, waiting, final, open, feeds)
),
changed AS (
    SELECT DISTINCT n.run FROM n JOIN task_chunk c ON c.task_id = $1 AND c.run = n.run AND c.first = n.first
    WHERE c.counts <> n.counts
),
counted AS (
    UPDATE task_chunk c SET counts = n.counts, waiting = n.waiting, final = n.final, open = n.open, counted_at = $7
    FROM n WHERE c.task_id = $1 AND c.run = n.run AND c.first = n.first AND c.feeds = n.feeds
)
UPDATE task_run r SET totals = NULL FROM changed WHERE r.task_id = $1 AND r.run = changed.run
"""


@dataclass
class _Tally:
    counts: Counter[str] = field(default_factory=Counter)
    waiting: bool = False
    final: bool = True
    open: bool = False


async def count(database: Database, chunks: Sequence[Chunk], now: datetime, *, settled: datetime) -> int:
    """Count chunks of one task anew; how many of their messages no channel has claimed.

    Finals that a report may correct are counted again until their chunk is older than ``settled``.
    """
    if not chunks:
        return 0
    tallies = {(c.run, c.first): _Tally() for c in chunks}
    young = {(c.run, c.first) for c in chunks if time_of(c.base_id) > settled}
    unclaimed = 0
    rows = await database.fetch(
        _COUNT,
        [c.run for c in chunks],
        [c.first for c in chunks],
        [c.base_id for c in chunks],
        [c.size for c in chunks],
        _RANKS,
        min(c.base_id for c in chunks),
        max(c.base_id + c.size for c in chunks),
        timeout=30,
    )
    for row in rows:
        key = row["run"], row["first"]
        tally = tallies[key]
        state = _BY_RANK[row["k"] // 2]
        tally.counts[states.status_of(state, bool(row["k"] % 2))] += row["n"]
        tally.waiting |= row["waits"]
        if row["unclaimed"]:
            unclaimed += row["n"]
        if not states.is_final(state):
            tally.final = False
            tally.open = True
        elif state in states.CORRECTABLE and key in young:
            tally.open = True
    items = list(tallies.items())
    await database.execute(
        _COUNTED,
        chunks[0].task_id,
        [run for (run, _), _ in items],
        [first for (_, first), _ in items],
        [json.dumps(t.counts) for _, t in items],
        [t.waiting for _, t in items],
        [t.final for _, t in items],
        now,
        [t.open for _, t in items],
        [c.feeds for c in chunks],
    )
    return unclaimed


_PARTS = """
SELECT p.id, p.part, p.state, p.by_us, p.code, p.class, p.claimed_at, p.answered_at, p.final_at
FROM unnest($1::bigint[], $2::int[]) AS c(base_id, size)
JOIN part p ON p.id >= c.base_id AND p.id < c.base_id + c.size AND p.id >= $3 AND p.id < $4
"""
_OVERLAPPING = """
SELECT task_id, run, first, size, base_id, feeds FROM task_chunk
WHERE task_id = $1 AND run = $2 AND first > $3::int - $5::int AND first <= $4 AND first + size > $3 ORDER BY first
"""
MOST = 4096
"""Rows of a chunk: as many as a block has ids."""


async def parts_of(
    database: Database, task_id: int, run: int, first: int, last: int
) -> tuple[list[Chunk], dict[int, list[Row]]]:
    """Chunks that hold rows ``first`` … ``last`` of a run, and their parts by message."""
    chunks = [Chunk(*row) for row in await database.fetch(_OVERLAPPING, task_id, run, first, last, MOST)]
    found: dict[int, list[Row]] = {}
    if chunks:
        rows = await database.fetch(
            _PARTS, [c.base_id for c in chunks], [c.size for c in chunks],
            min(c.base_id for c in chunks), max(c.base_id + c.size for c in chunks), timeout=30,
        )  # fmt: skip
        for row in sorted(rows, key=lambda r: (r["id"], r["part"])):
            found.setdefault(row["id"], []).append(row)
    return chunks, found


# --- state changes; each gives the changed rows, for their effects ---------------------------------------------------

# What a carrier has already had in its hands (sent again, or failed there) goes on: it was claimed before.
_HEADS = """
SELECT p.id FROM unnest($1::bigint[], $2::int[]) AS c(base_id, size)
JOIN part p ON p.id >= c.base_id AND p.id < c.base_id + c.size AND p.id >= $3 AND p.id < $4
WHERE p.part = 1 AND NOT p.failed AND p.resent = 0 AND {which}
ORDER BY p.id FOR UPDATE OF p
"""

# What is held for its account is the task's from now on: the account may be started before the task goes on.
_MINE = by_name("""
(p.state IN (:SCHEDULED, :QUEUED) OR (p.state = :HELD AND p.held_for = 'account' AND p.channel_id IS NULL))
""")
_HOLD = by_name(f"""
WITH head AS MATERIALIZED ({_HEADS.format(which=_MINE)})
UPDATE part p SET state = :HELD, held_for = 'task', expires_at = greatest(p.expires_at, $5)
FROM head WHERE p.id = head.id AND {_MINE} RETURNING {_COLUMNS}
""")  # noqa: S608

_RELEASE = by_name(f"""
WITH head AS MATERIALIZED ({_HEADS.format(which="+p.state = :HELD AND p.held_for = 'task'")})
UPDATE part p SET state = CASE WHEN p.next_at > $6 THEN :SCHEDULED ELSE :QUEUED END,
    next_at = CASE WHEN p.next_at > $6 THEN p.next_at END, held_for = NULL, expires_at = $5
FROM head WHERE p.id = head.id AND +p.state = :HELD AND p.held_for = 'task' RETURNING {_COLUMNS}
""")  # noqa: S608

# All parts are locked before the message is judged: one of them may be on its way.
_CANCEL = by_name(f"""
WITH mine AS MATERIALIZED (
    SELECT p.id, p.part, p.state, p.failed, p.resent FROM unnest($1::bigint[], $2::int[]) AS c(base_id, size)
    JOIN part p ON p.id >= c.base_id AND p.id < c.base_id + c.size AND p.id >= $3 AND p.id < $4
    ORDER BY p.id, p.part FOR UPDATE OF p
),
whole AS (
    SELECT id FROM mine GROUP BY id HAVING bool_and(state IN (:HELD, :SCHEDULED, :QUEUED, :DEFERRED) AND NOT failed
        AND resent = 0)
)
UPDATE part p SET state = :CANCELLED, final_at = $5, next_at = NULL, held_for = NULL, code = $6, by_us = true
FROM whole WHERE p.id = whole.id RETURNING {_COLUMNS}
""")  # noqa: S608


def _ranges(chunks: Sequence[Chunk]) -> tuple[list[int], list[int], int, int]:
    return (
        [c.base_id for c in chunks],
        [c.size for c in chunks],
        min(c.base_id for c in chunks),
        max(c.base_id + c.size for c in chunks),
    )


async def hold(connection: Connection, chunks: Sequence[Chunk], keep_until: datetime) -> list[Row]:
    """What waits for its time or for a channel is HELD; its validity does not end before ``keep_until``."""
    return await connection.fetch(_HOLD, *_ranges(chunks), keep_until)


async def release(connection: Connection, chunks: Sequence[Chunk], expires_at: datetime, now: datetime) -> list[Row]:
    """What a pause has held waits again, valid until ``expires_at``."""
    return await connection.fetch(_RELEASE, *_ranges(chunks), expires_at, now)


async def cancel(connection: Connection, chunks: Sequence[Chunk], now: datetime, code: str) -> list[Row]:
    """Messages of which nothing is at a carrier are CANCELLED."""
    return await connection.fetch(_CANCEL, *_ranges(chunks), now, code)
