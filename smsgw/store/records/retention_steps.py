"""Numbers, texts and octets whose time is over: which days are due, and the small steps in which they go.

Every step is a short transaction of its own over a few hundred rows that nothing changes any more; whoever repeats one
finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from smsgw.core.ids import day_range, first_id
from smsgw.core.pseudonyms import PREFIX, is_pseudonym, pseudonym
from smsgw.core.retention import CLICKS, MESSAGES, NEVER, PDUS, TABLE, Ages
from smsgw.store.engine.database import Connection, Database

STEP = 1000
"""Rows of one transaction."""
BLOCKS = 128
"""Of a day's evidence that are gone through at a time: some 3,000 rows."""
_RULE = """
SELECT messages_days, inbound_days, pdus_days, texts, clicks_days FROM retention_rule
WHERE state = 'passed' ORDER BY id DESC LIMIT 1
"""
# Days of a class with a partition, but for those that are done. Octets are forgotten once they are in a root.
_DUE = """
SELECT d.day FROM (
    SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass($2) AND right(c.relname, 8) <> '99991231') d
WHERE d.day < $3 AND NOT EXISTS (
    SELECT FROM masked_day m WHERE m.class = $1 AND m.day = d.day AND m.done_at IS NOT NULL AND m.texts >= $4)
  AND ($1 <> 'pdus' OR EXISTS (SELECT FROM evidence_root r WHERE r.day = d.day))
ORDER BY d.day
"""
_BEGIN = """
INSERT INTO masked_day AS m (class, day, texts) VALUES ($1, $2, $3)
ON CONFLICT (class, day) DO UPDATE SET texts = m.texts OR excluded.texts, done_at = NULL,
    last_id = CASE WHEN m.texts OR NOT excluded.texts THEN m.last_id ELSE 0 END
RETURNING last_id
"""
_MORE = "UPDATE masked_day SET rows = rows + $3, last_id = $4 WHERE class = $1 AND day = $2"
_DONE = "UPDATE masked_day SET done_at = now() WHERE class = $1 AND day = $2 RETURNING rows"
_FORGET_DAYS = "DELETE FROM masked_day WHERE class = $1 AND day < $2"


async def rule(source: Database | Connection) -> Ages:
    """What holds now."""
    row = await source.fetchrow(_RULE)
    return NEVER if row is None else Ages(**dict(row))


async def due(connection: Connection, name: str, ages: Ages, today: date) -> list[date]:
    """Days of a class whose first time is over and that are not done, the oldest first."""
    days = ages.of(name)
    if not days:
        return []
    texts = ages.texts and name != PDUS
    return [r[0] for r in await connection.fetch(_DUE, name, TABLE[name], today - timedelta(days=days), texts)]


async def begin(connection: Connection, name: str, day: date, ages: Ages) -> int:
    """Say that a day is gone through from now on; behind which id (of PDUs: from which block), as a run that was
    killed has left it."""
    return await connection.fetchval(_BEGIN, name, day, ages.texts and name != PDUS) or 0


async def done(connection: Connection, name: str, day: date) -> int:
    """Say that it is done; how many rows it were."""
    return await connection.fetchval(_DONE, name, day) or 0


async def sweep(connection: Connection, kept: Mapping[str, date]) -> None:
    """Forget days whose rows are gone by now: of each class the first that is kept."""
    for name, first in kept.items():
        await connection.execute(_FORGET_DAYS, name, first)


# --- messages and what phones have sent -------------------------------------------------------------------------------

_ROWS = {
    name: f"""
SELECT id, number FROM {table}
WHERE id > $1 AND id < $2 AND (NOT starts_with(number, '{PREFIX}') OR $3 AND content <> '') ORDER BY id LIMIT $4
"""  # noqa: S608 - constants
    for name, table in TABLE.items()
    if name not in (PDUS, CLICKS)
}
_MESSAGES = """
UPDATE message m SET number = g.number, content = CASE WHEN $5 THEN '' ELSE m.content END
FROM unnest($3::bigint[], $4::text[]) AS g(id, number) WHERE m.id = g.id AND m.id >= $1 AND m.id < $2
"""
_INBOUND = "SELECT mo_mask($1, $2, $3, $4, $5)"


async def numbers(connection: Connection, name: str, day: date, after: int, key: bytes, *, texts: bool) -> int | None:
    """The next rows of a day after an id: hashes in the place of their numbers, and nothing in that of their texts.
    The last id; None: there are no more."""
    low, high = day_range(day)
    rows = await connection.fetch(_ROWS[name], max(after, low - 1), high, texts, STEP)
    if not rows:
        return None
    ids = [row["id"] for row in rows]
    hashes = [row["number"] if is_pseudonym(row["number"]) else pseudonym(key, row["number"]) for row in rows]
    await connection.execute(_MESSAGES if name == MESSAGES else _INBOUND, low, high, ids, hashes, texts)
    await connection.execute(_MORE, name, day, len(ids), ids[-1])
    return int(ids[-1])


# One address has one hash, so that what is judged again finds the neighbours that it had.
_CLICKS = f"""
SELECT id, address FROM link_click WHERE id > $1 AND id < $2
    AND (NOT starts_with(address, '{PREFIX}') OR $3 AND referer <> '') ORDER BY id LIMIT $4
"""  # noqa: S608 - constants
_MASK_CLICKS = """
UPDATE link_click c SET address = g.address, referer = CASE WHEN $5 THEN '' ELSE c.referer END
FROM unnest($3::bigint[], $4::text[]) AS g(id, address) WHERE c.id = g.id AND c.id >= $1 AND c.id < $2
"""


async def clicks(connection: Connection, day: date, after: int, key: bytes, *, texts: bool) -> int | None:
    """The same of a day's clicks: hashes in the place of their addresses. The last id; None: there are no more."""
    low, high = day_range(day)
    rows = await connection.fetch(_CLICKS, max(after, low - 1), high, texts, STEP)
    if not rows:
        return None
    ids = [row["id"] for row in rows]
    hashes = [row["address"] if is_pseudonym(row["address"]) else pseudonym(key, row["address"]) for row in rows]
    await connection.execute(_MASK_CLICKS, low, high, ids, hashes, texts)
    await connection.execute(_MORE, CLICKS, day, len(ids), ids[-1])
    return int(ids[-1])


# What partners have submitted in parts, and what a reviewer was shown, has the number or the text once more.
_PARTS = "SELECT id FROM partner_part WHERE id > $1 AND id < $2 AND number <> '' ORDER BY id LIMIT $3"
_MASK_PARTS = """
UPDATE partner_part SET number = '', key = '', octets = '' WHERE id = ANY($3::bigint[]) AND id >= $1 AND id < $2
"""
_REVIEWS = """
SELECT batch_id AS id FROM review WHERE batch_id > $1 AND batch_id < $2 AND content <> '' AND state <> 'pending'
ORDER BY batch_id LIMIT $3
"""
_MASK_REVIEWS = "UPDATE review SET content = '' WHERE batch_id = ANY($1::bigint[]) AND state <> 'pending'"


def _n(tag: str) -> int:
    return int(tag.rpartition(" ")[2])


async def partner_parts(connection: Connection, day: date, after: int) -> int | None:
    """The next of a day's after an id. The last id; None: there are no more."""
    low, high = day_range(day)
    ids = [row["id"] for row in await connection.fetch(_PARTS, max(after, low - 1), high, STEP)]
    if not ids:
        return None
    await connection.execute(_MASK_PARTS, low, high, ids)
    return int(ids[-1])


async def reviews(connection: Connection, before: datetime, after: int) -> int | None:
    """Texts of the next that were decided on, after an id. The last id; None: there are no more."""
    ids = [row["id"] for row in await connection.fetch(_REVIEWS, after, first_id(before), STEP)]
    if not ids:
        return None
    await connection.execute(_MASK_REVIEWS, ids)
    return int(ids[-1])


# --- tasks ------------------------------------------------------------------------------------------------------------

_TASKS = """
SELECT id FROM task WHERE id > $2 AND (NOT masked OR $3 AND NOT masked_texts)
  AND state IN ('finished', 'cancelled', 'failed') AND COALESCE(ended_at, created_at) < $1 ORDER BY id LIMIT 100
"""
_TASK_ROWS = f"""
SELECT n, number FROM task_row WHERE task_id = $1 AND n > $2
  AND (NOT starts_with(number, '{PREFIX}') OR $4 AND vals IS NOT NULL) ORDER BY n LIMIT $3
"""  # noqa: S608 - constants
_MASK_ROWS = """
UPDATE task_row t SET number = g.number, ext = NULL, vals = CASE WHEN $4 THEN NULL ELSE t.vals END
FROM unnest($2::int[], $3::text[]) AS g(n, number) WHERE t.task_id = $1 AND t.n = g.n
"""
_MASK_PROBLEMS = """
UPDATE task_problem SET number = '', cells = NULL WHERE task_id = $1 AND (run, line) IN (
    SELECT run, line FROM task_problem WHERE task_id = $1 AND (number <> '' OR cells IS NOT NULL) LIMIT $2)
"""
_MASKED = "UPDATE task SET masked = true, masked_texts = masked_texts OR $2, approved = NULL WHERE id = $1"


async def tasks(connection: Connection, before: datetime, after: int, *, texts: bool) -> Sequence[int]:
    """The next after an id that ended before then and still know whom they were sent to, or (``texts``) what."""
    return [row["id"] for row in await connection.fetch(_TASKS, before, after, texts)]


async def task_rows(connection: Connection, task: int, after: int, key: bytes, *, texts: bool) -> int | None:
    """The next rows of a task after a place; the last place, None: there are no more."""
    rows = await connection.fetch(_TASK_ROWS, task, after, STEP, texts)
    if not rows:
        return None
    places = [row["n"] for row in rows]
    hashes = [row["number"] if is_pseudonym(row["number"]) else pseudonym(key, row["number"]) for row in rows]
    await connection.execute(_MASK_ROWS, task, places, hashes, texts)
    return int(places[-1])


async def task_problems(connection: Connection, task: int) -> bool:
    """Some rows that a task could not send to; whether there may be more."""
    return _n(await connection.execute(_MASK_PROBLEMS, task, STEP)) == STEP


async def task_done(connection: Connection, task: int, *, texts: bool) -> None:
    """It knows nobody any more."""
    await connection.execute(_MASKED, task, texts)


# --- PDUs -------------------------------------------------------------------------------------------------------------

_SIZE = """
SELECT COALESCE(pg_relation_size(to_regclass($1)) / current_setting('block_size')::int, 0)::int
"""
_FORGET = "SELECT evidence_forget($1, $2, $3)"


async def blocks(connection: Connection, day: date) -> int:
    """How many blocks a day's evidence has. What is written while they are gone through has no octets."""
    return await connection.fetchval(_SIZE, f"evidence_{day:%Y%m%d}") or 0


async def octets(connection: Connection, day: date, first: int) -> int:
    """Forget those in some blocks; how many."""
    n = await connection.fetchval(_FORGET, day, first, BLOCKS) or 0
    await connection.execute(_MORE, PDUS, day, n, first + BLOCKS)
    return n
