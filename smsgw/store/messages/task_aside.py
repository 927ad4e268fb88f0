"""Rows of tasks that no channel can take now: put aside when they are fed, so that the others go on, and tried again.

They keep the ids that their chunk has set apart for them. Whoever changes them holds the task's row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.tasks import Chunk, Recipient
from smsgw.store.engine.database import Connection, Database
from smsgw.store.messages.tasks import recipient


@dataclass(frozen=True, slots=True)
class Aside:
    """The rows of a chunk that wait."""

    chunk: Chunk
    rows: tuple[int, ...]


_DUE = """
SELECT task_id, run, first, size, base_id, feeds, aside FROM task_chunk
WHERE task_id = $1 AND run = $2 AND aside IS NOT NULL AND aside_at <= $3 ORDER BY aside_at LIMIT 1
"""
_ANY = "SELECT EXISTS (SELECT 1 FROM task_chunk WHERE task_id = $1 AND run = $2 AND aside IS NOT NULL)"
_ROWS = "SELECT * FROM task_row WHERE task_id = $1 AND n = ANY($2::int[]) ORDER BY n"
_STILL = "SELECT aside FROM task_chunk WHERE task_id = $1 AND run = $2 AND first = $3"
_TRIED = """
UPDATE task_chunk SET aside = $4, aside_at = CASE WHEN $4::int[] IS NOT NULL THEN COALESCE($5, aside_at) END,
    feeds = feeds + ($6 > 0)::int, waiting = waiting OR $6 > 0, open = open OR $6 > 0, final = final AND $6 = 0,
    counts = CASE WHEN $6 = 0 THEN counts
             ELSE jsonb_set(counts, '{queued}', to_jsonb(COALESCE((counts ->> 'queued')::int, 0) + $6)) END
WHERE task_id = $1 AND run = $2 AND first = $3
"""
_NOTHING_LEFT = """
UPDATE task t SET reason = '', detail = '{}'
WHERE id = $1 AND reason = 'NO_ROUTE' AND NOT EXISTS (
    SELECT 1 FROM task_chunk c WHERE c.task_id = t.id AND c.run = t.run AND c.aside IS NOT NULL)
"""


async def due(database: Database, task_id: int, run: int, now: datetime) -> Aside | None:
    """The rows that have waited longest for another try."""
    row = await database.fetchrow(_DUE, task_id, run, now)
    return None if row is None else Aside(Chunk(*row[:6]), tuple(row["aside"]))


async def any_left(database: Database, task_id: int, run: int) -> bool:
    """Whether rows of the run wait."""
    found: bool = await database.fetchval(_ANY, task_id, run)
    return found


async def rows(database: Database, aside: Aside) -> list[Recipient]:
    """The rows themselves."""
    return [recipient(row) for row in await database.fetch(_ROWS, aside.chunk.task_id, list(aside.rows))]


async def still(connection: Connection, aside: Aside) -> bool:
    """Whether they wait as they did, in a transaction that holds the task."""
    chunk = aside.chunk
    now: list[int] | None = await connection.fetchval(_STILL, chunk.task_id, chunk.run, chunk.first)
    return now is not None and tuple(now) == aside.rows


async def tried(
    connection: Connection, chunk: Chunk, left: Sequence[int], again_at: datetime | None, stored: int
) -> None:
    """``stored`` of them are messages now, those ``left`` wait until ``again_at`` (None: as before), the others were
    refused."""
    await connection.execute(_TRIED, chunk.task_id, chunk.run, chunk.first, list(left) or None, again_at, stored)
    if not left:
        await connection.execute(_NOTHING_LEFT, chunk.task_id)
