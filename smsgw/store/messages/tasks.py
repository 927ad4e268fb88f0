"""Tasks: their rows, what has become of them, and the lock under which they are fed, paused and cancelled.

Whoever feeds, pauses, resumes or cancels holds the task's row ``FOR UPDATE``: after a pause has been committed no
transaction can add a message to it.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from smsgw.core.errors import Invalid
from smsgw.core.ids import first_id
from smsgw.core.tasks import Chunk, Recipient, Task
from smsgw.core.words import phrase
from smsgw.store.engine.cte_batch import copy
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages import reviews

Reader = Database | Connection
NewRow = tuple[int, int, int, str, str | None, list[str] | None]
"""In the order of ``ROW_COLUMNS``."""
NewProblem = tuple[int, int, int, int | None, str, str, str, list[str] | None]
"""In the order of ``PROBLEM_COLUMNS``."""
RefusedRow = tuple[int, int, str, str, str, int]
"""Line, n, number, code, message, and the id that its message has if it is on record all the same."""
ROW_COLUMNS = ("task_id", "n", "line", "number", "ext", "vals")
PROBLEM_COLUMNS = ("task_id", "run", "line", "n", "number", "code", "message", "cells")
COPY_TIMEOUT = 60.0
ENDED = frozenset({"finished", "cancelled", "failed"})


@contextlib.asynccontextmanager
async def snapshot(database: Database) -> AsyncIterator[Connection]:
    """What is read inside belongs together."""
    async with (
        database.acquire(timeout=30) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection


def of_row(row: Row) -> Task:
    """The task of a row that has all columns of the table."""
    values = {name: row[name] for name in Task.__dataclass_fields__}
    for name in ("detail", "mapping", "windows", "problems", "recurring", "steps", "stages", "frequency", "fallback",
                 "approved"):  # fmt: skip
        values[name] = None if values[name] is None else json.loads(values[name])
    return Task(**values)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


# --- tasks -----------------------------------------------------------------------------------------------------------

_INSERT = """
INSERT INTO task (id, account_id, name, state, origin, submitter, client_ref, request_key, request_sha256, type, sign,
                  content, template_id, ext, extend_code, upload_id, mapping, one_each, review, send_at, expire_at,
                  windows, recurring, rate, created_at, next_at, audience_id, callback_url,
                  review_reasons, steps, emergency, prefer, frequency, fallback, message_kind, link_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
        $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36)
ON CONFLICT DO NOTHING RETURNING id
"""


async def insert(connection: Connection, task: Task) -> bool:
    """Enter a new task; False when its key or reference is taken."""
    done = await connection.fetchval(
        _INSERT, task.id, task.account_id, task.name, task.state, task.origin, task.submitter, task.client_ref,
        task.request_key, task.request_sha256, task.type, task.sign, task.content, task.template_id, task.ext,
        task.extend_code, task.upload_id, _json(task.mapping), task.one_each, task.review, task.send_at,
        task.expire_at, _json(task.windows), None if task.recurring is None else _json(task.recurring), task.rate,
        task.created_at, task.next_at, task.audience_id, task.callback_url,
        list(task.review_reasons), None if task.steps is None else _json(task.steps), task.emergency, task.prefer,
        None if task.frequency is None else _json(task.frequency),
        None if task.fallback is None else _json(task.fallback), task.message_kind, task.link_id,
    )  # fmt: skip
    return done is not None


_GET = "SELECT * FROM task WHERE id = $1 AND ($2::bigint[] IS NULL OR account_id = ANY($2))"


async def get(database: Reader, task_id: int, *, accounts: Sequence[int] | None) -> Task | None:
    """One task that the accounts may see."""
    row = await database.fetchrow(_GET, task_id, None if accounts is None else list(accounts))
    return None if row is None else of_row(row)


_SAME = """
SELECT * FROM task WHERE account_id = $1 AND (($2 <> '' AND request_key = $2) OR ($3 <> '' AND client_ref = $3))
ORDER BY request_key = $2 DESC LIMIT 1
"""


async def find_same(database: Database, account_id: int, request_key: str, client_ref: str) -> Task | None:
    """The task that has this key, or else this reference."""
    row = await database.fetchrow(_SAME, account_id, request_key, client_ref)
    return None if row is None else of_row(row)


_WANTED = """
($2::text[] IS NULL OR t.state = ANY($2))
  AND ($3::bool IS NULL OR (t.recurring IS NOT NULL OR t.send_at IS NOT NULL) = $3)
  AND t.id < $4 AND ($5 = '' OR t.client_ref = $5) AND ($6 = '' OR strpos(t.name, $6) > 0)
"""
# Each account's by its own index; what the others have is not read.
_PAGE = f"""
SELECT f.* FROM unnest($1::bigint[]) AS a(id) CROSS JOIN LATERAL (
    SELECT t.* FROM task t WHERE t.account_id = a.id AND {_WANTED} ORDER BY t.id DESC LIMIT $7
) f ORDER BY f.id DESC LIMIT $7
"""  # noqa: S608 - constants
_PAGE_OF_ALL = f"""
SELECT t.* FROM task t WHERE $1::bigint[] IS NULL AND {_WANTED} ORDER BY t.id DESC LIMIT $7
"""  # noqa: S608
_LAST = 2**63 - 1


async def page(
    database: Reader,
    *,
    accounts: Sequence[int] | None,
    states: Sequence[str] | None = None,
    timed: bool | None = None,
    before: int | None = None,
    client_ref: str = "",
    name: str = "",
    limit: int = 50,
) -> list[Task]:
    """Newest first. ``timed``: only those with (without) a time of their own; ``name``: a piece of it."""
    rows = await database.fetch(
        _PAGE_OF_ALL if accounts is None else _PAGE, None if accounts is None else list(accounts),
        None if states is None else list(states), timed, before or _LAST, client_ref, name, limit,
    )  # fmt: skip
    return [of_row(row) for row in rows]


_LIVE = """
SELECT * FROM task t
WHERE state NOT IN ('finished', 'cancelled', 'failed') AND id > $2
  AND (state = 'running' OR (state = 'scheduled' AND next_at <= $1) OR (state = 'paused' AND self_paused) OR (
      state IN ('scheduled', 'sent') AND EXISTS (SELECT 1 FROM task_chunk c WHERE c.task_id = t.id AND c.waiting)))
ORDER BY id LIMIT $3
"""


async def live(database: Database, before: datetime, *, after: int, limit: int) -> list[Task]:
    """Tasks for which something may have to be done: those that run, are due ``before``, were paused by a rule, or
    have something left in the queue."""
    return [of_row(row) for row in await database.fetch(_LIVE, before, after, limit)]


_LOCK = "SELECT * FROM task WHERE id = $1 AND ($2::bigint[] IS NULL OR account_id = ANY($2)) FOR UPDATE"


async def lock(connection: Connection, task_id: int, *, accounts: Sequence[int] | None = None) -> Task | None:
    """The task, which nobody else changes until the transaction ends."""
    row = await connection.fetchrow(_LOCK, task_id, None if accounts is None else list(accounts))
    return None if row is None else of_row(row)


_LOCK_FREE = "SELECT * FROM task WHERE id = $1 FOR UPDATE SKIP LOCKED"


async def lock_free(connection: Connection, task_id: int) -> Task | None:
    """The task, locked; None when somebody else has it. For transactions that must not wait (they hold accounts)."""
    row = await connection.fetchrow(_LOCK_FREE, task_id)
    return None if row is None else of_row(row)


_CHANGEABLE = {
    "name": "text", "state": "text", "paused_from": "text", "self_paused": "boolean", "reason": "text",
    "detail": "jsonb", "send_at": "timestamptz", "expire_at": "timestamptz", "windows": "jsonb",
    "recurring": "jsonb", "rate": "int", "run": "int", "next_at": "timestamptz", "due_at": "timestamptz",
    "fed": "int", "started_at": "timestamptz", "ended_at": "timestamptz", "valid": "int", "total": "int",
    "stages": "jsonb", "content": "text", "sign": "text", "extend_code": "text", "review": "boolean",
    "review_reasons": "text[]", "steps": "jsonb", "prefer": "text", "frequency": "jsonb", "fallback": "jsonb",
    "version": "int", "approved": "jsonb", "link_id": "bigint",
}  # fmt: skip


async def change(connection: Connection, task_id: int, **values: Any) -> None:
    """Set columns of a locked task."""
    columns = ", ".join(f"{name} = ${i}::{_CHANGEABLE[name]}" for i, name in enumerate(values, 2))
    given = [
        _json(value) if _CHANGEABLE[name] == "jsonb" and value is not None else value for name, value in values.items()
    ]
    await connection.execute(f"UPDATE task SET {columns} WHERE id = $1", task_id, *given)  # noqa: S608 - names of ours


# --- import ----------------------------------------------------------------------------------------------------------

_CLEAR = "DELETE FROM task_row WHERE task_id = $1"
_CLEAR_PROBLEMS = "DELETE FROM task_problem WHERE task_id = $1 AND run = 0"
_IMPORTED = """
UPDATE task SET state = CASE WHEN $3 = 0 THEN 'failed' WHEN $5 = '{}'::text[] THEN 'scheduled' ELSE 'review' END,
    review = $5 <> '{}'::text[], review_reasons = $5, total = $2, valid = $3, problems = $4::jsonb,
    reason = CASE WHEN $3 = 0 THEN 'TO_EMPTY' ELSE '' END,
    ended_at = CASE WHEN $3 = 0 THEN clock_timestamp() END,
    next_at = CASE WHEN $5 = '{}'::text[] THEN COALESCE(next_at, send_at, clock_timestamp()) ELSE next_at END
WHERE id = $1 AND state = 'importing' RETURNING state
"""


async def clear_rows(connection: Connection, task_id: int) -> None:
    """Nothing of an earlier attempt is left."""
    await connection.execute(_CLEAR, task_id)
    await connection.execute(_CLEAR_PROBLEMS, task_id)


async def add_rows(connection: Connection, rows: Sequence[NewRow], problems: Sequence[NewProblem]) -> None:
    """Add a block of rows of both kinds."""
    if rows:
        await copy(connection, "task_row", ROW_COLUMNS, rows, timeout=COPY_TIMEOUT)
    if problems:
        await copy(connection, "task_problem", PROBLEM_COLUMNS, problems, timeout=COPY_TIMEOUT)


async def imported(
    connection: Connection, task_id: int, total: int, valid: int, problems: Mapping[str, int], reasons: Sequence[str]
) -> None:
    """All rows are there: the task goes on, to a reviewer if there are ``reasons`` (``failed`` when there is nobody to
    send to).

    Raises ``STATE_CONFLICT`` when it was cancelled meanwhile.
    """
    became = await connection.fetchval(_IMPORTED, task_id, total, valid, _json(dict(problems)), list(reasons))
    if became is None:
        raise Invalid("STATE_CONFLICT", reason=phrase("task.not_importing"))
    if became == "review":
        await reviews.ask_for_task(connection, task_id)


_KEEP_HELD = """
INSERT INTO task_finding (task_id, held, held_rows) VALUES ($1, $2, $3)
ON CONFLICT (task_id) DO UPDATE SET held = excluded.held, held_rows = excluded.held_rows
"""
_KEEP_SURVEY = """
INSERT INTO task_finding (task_id, survey) VALUES ($1, $2)
ON CONFLICT (task_id) DO UPDATE SET survey = excluded.survey
"""


async def keep_held(connection: Connection, task_id: int, held: int, rows: Sequence[int]) -> None:
    """How many rows a reviewer has to see for their own values, and the first of them."""
    await connection.execute(_KEEP_HELD, task_id, held, list(rows))


async def keep_survey(connection: Connection, task_id: int, survey: Mapping[str, Any]) -> None:
    """What was found about the rows before the task was made."""
    await connection.execute(_KEEP_SURVEY, task_id, _json(survey))


# --- feeding ---------------------------------------------------------------------------------------------------------

_ROWS = "SELECT * FROM task_row WHERE task_id = $1 AND n > $2 ORDER BY n LIMIT $3"
_SOME_ROWS = "SELECT * FROM task_row WHERE task_id = $1 AND n = ANY($2::int[]) ORDER BY n"


async def rows_after(database: Reader, task_id: int, n: int, limit: int) -> list[Recipient]:
    """The rows that follow row ``n``."""
    return [recipient(row) for row in await database.fetch(_ROWS, task_id, n, limit)]


async def some_rows(database: Reader, task_id: int, which: Sequence[int]) -> list[Recipient]:
    """The rows of these places."""
    return [recipient(row) for row in await database.fetch(_SOME_ROWS, task_id, list(which))]


def recipient(row: Row) -> Recipient:
    """A row of ``task_row``."""
    return Recipient(row["n"], row["line"], row["number"], row["ext"], tuple(row["vals"] or ()))


_ADD_CHUNK = """
INSERT INTO task_chunk (task_id, run, first, size, base_id, counts, aside, aside_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
# What is said of rows that were put aside is said as long as there are such.
_FED = """
UPDATE task t SET fed = $2, due_at = $3, detail = '{}', reason = CASE
    WHEN $4 OR (reason = 'NO_ROUTE' AND EXISTS (
        SELECT 1 FROM task_chunk c WHERE c.task_id = t.id AND c.run = t.run AND c.aside IS NOT NULL)) THEN 'NO_ROUTE'
    ELSE '' END
WHERE id = $1
"""
_REFUSED = """
INSERT INTO task_problem (task_id, run, line, n, number, code, message, message_id)
SELECT $1, $2, r.line, r.n, r.number, r.code, r.message, m.id
FROM unnest($3::int[], $4::int[], $5::text[], $6::text[], $7::text[], $8::bigint[])
     AS r(line, n, number, code, message, id)
LEFT JOIN message m ON m.id = r.id AND m.id >= $9 AND m.id < $10
"""
_STORED = "SELECT count(*) FROM message WHERE id >= $1 AND id < $2"


async def refuse(connection: Connection, chunk: Chunk, refused: Sequence[RefusedRow]) -> int:
    """Write down rows of a chunk that were refused; how many messages the chunk has (refusals on record among them)."""
    low, high = chunk.base_id, chunk.base_id + chunk.size
    if refused:
        await connection.execute(_REFUSED, chunk.task_id, chunk.run, *map(list, zip(*refused, strict=True)), low, high)
    stored: int = await connection.fetchval(_STORED, low, high)
    return stored


async def mark_fed(
    connection: Connection,
    chunk: Chunk,
    *,
    refused: Sequence[RefusedRow],
    due_at: datetime | None,
    aside: Sequence[int] = (),
    aside_at: datetime | None = None,
) -> None:
    """The rows of a chunk are done with: they are messages by now, or refused, or both (a refusal on record); or put
    aside until ``aside_at``."""
    stored = await refuse(connection, chunk, refused) if refused or aside else chunk.size
    if stored or aside:
        counts = _json({"queued": stored} if stored else {})
        await connection.execute(
            _ADD_CHUNK, chunk.task_id, chunk.run, chunk.first, chunk.size, chunk.base_id, counts,
            list(aside) or None, aside_at if aside else None,
        )  # fmt: skip
    await connection.execute(_FED, chunk.task_id, chunk.first + chunk.size - 1, due_at, bool(aside))


_BEGIN = """
INSERT INTO task_run (task_id, run, due_at, rows, started_at, missed, fed, finished_at, content, sign)
SELECT $1, $2, $3, $4, $5::timestamptz, $6, CASE WHEN $6 THEN 0 END, CASE WHEN $6 THEN $5::timestamptz END,
       CASE WHEN NOT $6 THEN content END, CASE WHEN NOT $6 THEN sign END
FROM task WHERE id = $1
"""
_FEEDING_OVER = "UPDATE task_run SET fed = $3 WHERE task_id = $1 AND run = $2 AND fed IS NULL"


async def add_run(
    connection: Connection, task_id: int, run: int, due: datetime, rows: int, now: datetime, *, missed: bool = False
) -> None:
    """A run begins, with what the task says by now; or it was ``missed``, which is written down, too."""
    await connection.execute(_BEGIN, task_id, run, due, rows, now, missed)


_GIVE_CODES = "UPDATE task_run SET link_id = $3, link_first = $4 WHERE task_id = $1 AND run = $2"
_CODES_OF = "SELECT link_id, link_first FROM task_run WHERE task_id = $1 AND run = $2"


async def give_codes(connection: Connection, task_id: int, run: int, link_id: int, first: int) -> None:
    """The rows of a run have the codes of a short link from ``first`` on, by their places."""
    await connection.execute(_GIVE_CODES, task_id, run, link_id, first)


async def codes_of(database: Reader, task_id: int, run: int) -> tuple[int, int]:
    """The short link of a run, and which of its codes the first row has."""
    row = await database.fetchrow(_CODES_OF, task_id, run)
    return (0, 0) if row is None or row["link_id"] is None else (row["link_id"], row["link_first"])


async def end_feeding(connection: Connection, task_id: int, run: int, fed: int) -> None:
    """A run gets no more messages."""
    await connection.execute(_FEEDING_OVER, task_id, run, fed)


# --- what has become of it -------------------------------------------------------------------------------------------

_RUNS = "SELECT * FROM task_run WHERE task_id = $1 ORDER BY run DESC LIMIT $2"


async def runs(database: Reader, task_id: int, limit: int) -> list[Row]:
    """The last runs of a task."""
    return await database.fetch(_RUNS, task_id, limit)


_ENDING = """
SELECT r.task_id, r.run FROM task_run r
WHERE r.finished_at IS NULL AND r.fed IS NOT NULL AND r.task_id > $1 AND NOT EXISTS (
    SELECT 1 FROM task_chunk c WHERE c.task_id = r.task_id AND c.run = r.run AND NOT c.final)
  AND NOT EXISTS (
    SELECT 1 FROM fallback_watch w WHERE w.task_id = r.task_id AND w.run = r.run AND w.look_at IS NOT NULL)
ORDER BY r.task_id LIMIT $2
"""
_COUNTING = """
SELECT DISTINCT r.task_id FROM task_run r WHERE r.finished_at IS NULL AND r.task_id > $1 ORDER BY r.task_id LIMIT $2
"""
_FINISH_RUN = """
UPDATE task_run SET finished_at = $3 WHERE task_id = $1 AND run = $2 AND finished_at IS NULL RETURNING due_at
"""
_UNFINISHED = "SELECT count(*) FROM task_run WHERE task_id = $1 AND finished_at IS NULL"


async def ending_runs(database: Database, *, after: int = 0, limit: int) -> list[tuple[int, int]]:
    """Runs (task, run) of which nothing is under way any more, and that are not finished yet."""
    return [(row["task_id"], row["run"]) for row in await database.fetch(_ENDING, after, limit)]


async def unfinished_tasks(database: Database, *, after: int, limit: int) -> list[int]:
    """Tasks with messages under way."""
    return [row["task_id"] for row in await database.fetch(_COUNTING, after, limit)]


async def finish_run(connection: Connection, task_id: int, run: int, now: datetime) -> tuple[bool, int]:
    """A run is over: whether it was not before, and how many others are not."""
    done = await connection.fetchval(_FINISH_RUN, task_id, run, now)
    return done is not None, await connection.fetchval(_UNFINISHED, task_id)


async def unfinished_runs(connection: Connection, task_id: int) -> int:
    """How many runs of a task are not over."""
    n: int = await connection.fetchval(_UNFINISHED, task_id)
    return n


_TOTALS_OF = """
SELECT c.task_id, s.key AS status, sum(s.value::int)::bigint AS n
FROM unnest($1::bigint[], $2::int[]) AS w(task_id, run)
JOIN task_chunk c ON c.task_id = w.task_id AND c.run = w.run, jsonb_each_text(c.counts) s
GROUP BY c.task_id, s.key
"""
_REFUSED_OF = """
SELECT p.task_id, count(*) AS n FROM unnest($1::bigint[], $2::int[]) AS w(task_id, run)
JOIN task_problem p ON p.task_id = w.task_id AND p.run = w.run
WHERE w.run > 0 AND p.message_id IS NULL GROUP BY p.task_id
"""
_BEHIND = """
SELECT s.key AS status, sum(s.value::bigint)::bigint AS n FROM task_chunk c, jsonb_each_text(c.counts) s
WHERE c.task_id = $1 AND c.run = $2 AND c.first > $3 GROUP BY s.key
"""
# By the ids of the run's messages; each is taken once, however often somebody has said it.
_OPTED_OUT = """
SELECT count(DISTINCT o.in_reply_to) FROM task_chunk c JOIN mo o
    ON o.in_reply_to >= c.base_id AND o.in_reply_to < c.base_id + c.size
WHERE c.task_id = $1 AND c.run = $2 AND c.first > $3 AND o.account_id = $4 AND o.opted_out AND o.id >= $5
"""
_COMPLAINED = """
SELECT count(DISTINCT k.message_id) FROM task_chunk c JOIN complaint k
    ON k.message_id >= c.base_id AND k.message_id < c.base_id + c.size
WHERE c.task_id = $1 AND c.run = $2 AND c.first > $3
"""


async def behind(database: Database, task: Task, row: int) -> tuple[Counter[str], int, int]:
    """Of the latest run's messages that were made of the rows behind ``row``: by status as last counted, and how many
    were answered by an opt-out and complained about."""
    which = task.id, task.run, row
    found = Counter({r["status"]: int(r["n"]) for r in await database.fetch(_BEHIND, *which)})
    begun = first_id(task.started_at or task.created_at)
    opted_out = await database.fetchval(_OPTED_OUT, *which, task.account_id, begun, timeout=10)
    return found, opted_out, await database.fetchval(_COMPLAINED, *which, timeout=10)


_HALTED = """
SELECT a.name AS account, array_agg(CASE WHEN t.name = '' THEN '#' || t.id ELSE t.name END ORDER BY t.id) AS tasks
FROM task t JOIN account a ON a.id = t.account_id WHERE t.state = 'paused' AND t.reason = $1 GROUP BY a.name LIMIT 100
"""


async def halted(database: Database, reason: str) -> list[Row]:
    """Accounts with tasks that have stopped for this reason: account, names of the tasks."""
    return await database.fetch(_HALTED, reason)


_ASIDE_OF = """
SELECT c.task_id, sum(cardinality(c.aside))::bigint AS n FROM unnest($1::bigint[], $2::int[]) AS w(task_id, run)
JOIN task_chunk c ON c.task_id = w.task_id AND c.run = w.run WHERE c.aside IS NOT NULL GROUP BY c.task_id
"""


_KEPT = """
SELECT r.task_id, r.totals FROM unnest($1::bigint[], $2::int[]) AS w(task_id, run)
JOIN task_run r ON r.task_id = w.task_id AND r.run = w.run WHERE r.totals IS NOT NULL
"""
_OVER = "SELECT 1 FROM task_run WHERE task_id = $1 AND run = $2 AND finished_at IS NOT NULL FOR UPDATE"
_KEEP = "UPDATE task_run SET totals = $3 WHERE task_id = $1 AND run = $2"


async def keep_totals(connection: Connection, task_id: int, run: int) -> None:
    """Sum up a run that is over once for all; whoever counts it anew afterwards undoes that (``taskparts.count``)."""
    if await connection.fetchval(_OVER, task_id, run) is not None:
        found = await totals(connection, [(task_id, run)])
        await connection.execute(_KEEP, task_id, run, _json(found[task_id]))


async def totals(database: Reader, wanted: Sequence[tuple[int, int]]) -> dict[int, Counter[str]]:
    """For each (task, run): messages by status as last counted, rows refused at the door as ``refused``, and those
    put aside as ``aside``."""
    ids, numbers = [w[0] for w in wanted], [w[1] for w in wanted]
    kept = {row["task_id"]: Counter(json.loads(row["totals"])) for row in await database.fetch(_KEPT, ids, numbers)}
    left = [w for w in wanted if w[0] not in kept]
    return kept | (await _summed(database, left) if left else {})


async def _summed(database: Reader, wanted: Sequence[tuple[int, int]]) -> dict[int, Counter[str]]:
    ids, numbers = [w[0] for w in wanted], [w[1] for w in wanted]
    found: dict[int, Counter[str]] = {task_id: Counter() for task_id in ids}
    for row in await database.fetch(_TOTALS_OF, ids, numbers):
        found[row["task_id"]][row["status"]] += row["n"]
    for row in await database.fetch(_REFUSED_OF, ids, numbers):
        found[row["task_id"]]["refused"] += row["n"]
    for row in await database.fetch(_ASIDE_OF, ids, numbers):
        found[row["task_id"]]["aside"] += row["n"]
    return found


_PROBLEMS = """
SELECT * FROM task_problem WHERE task_id = $1 AND run = ANY($2::int[]) AND (run, line) > ($3, $4)
ORDER BY run, line LIMIT $5
"""


async def problems(
    database: Database, task_id: int, runs: Sequence[int], after: tuple[int, int], limit: int
) -> list[Row]:
    """Rows without a message, of the import (run 0) and of runs, a page of them."""
    return await database.fetch(_PROBLEMS, task_id, list(runs), *after, limit)


_REFUSED_ROWS = """
SELECT n, code, message, message_id FROM task_problem
WHERE task_id = $1 AND run = $2 AND line >= $3 AND line <= $4 AND n IS NOT NULL
"""


async def refused_rows(
    database: Database, task_id: int, run: int, lines: tuple[int, int]
) -> dict[int, tuple[str, str, int | None]]:
    """Of the rows between two lines, those that were refused: code, message, id of the message on record by row."""
    rows = await database.fetch(_REFUSED_ROWS, task_id, run, *lines)
    return {row["n"]: (row["code"], row["message"], row["message_id"]) for row in rows}


# --- the end of keeping ----------------------------------------------------------------------------------------------

_OLD = "SELECT id FROM task WHERE ended_at < $1 ORDER BY ended_at LIMIT 20"
_DROP_SOME = """
DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE task_id = ANY($1::bigint[]) LIMIT $2))
"""
_DROP = "DELETE FROM task WHERE id = ANY($1::bigint[])"


async def sweep(database: Database, before: datetime, *, step: int = 20_000) -> None:
    """Forget tasks that ended ``before``, a bounded piece of them a call."""
    old = [row["id"] for row in await database.fetch(_OLD, before)]
    if not old:
        return
    for table in ("task_row", "task_problem", "task_chunk", "task_run"):
        done = await database.execute(_DROP_SOME.format(table=table), old, step, timeout=30)
        if int(done.rpartition(" ")[2]) >= step:
            return
    await database.execute(_DROP, old)
