"""Tasks as people look at them, as they were last counted; ``accounts`` (None: all) is whose may be seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from smsgw.core.actor import Actor
from smsgw.core.ids import first_id
from smsgw.core.tasks import Task
from smsgw.platform.campaigns import imports
from smsgw.platform.campaigns.model import (
    ListedTask,
    ProblemRow,
    TaskView,
    WantedProblems,
    WantedTasks,
    feeding_over,
    progress,
    recurrence_of,
)
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.paging import Order, Slice, Window, clauses, read, slice_of
from smsgw.store.engine.database import Database, Row
from smsgw.store.messages import tasks as store


async def page(database: Database, *, accounts: Sequence[int] | None, **how: Any) -> list[TaskView]:
    """Tasks, newest first; parameters of ``store.tasks.page``."""
    async with store.snapshot(database) as connection:
        found = await store.page(connection, accounts=accounts, **how)
        counted = await store.totals(connection, [(t.id, t.run) for t in found])
    return [TaskView(t, progress(t, counted[t.id], feeding_over(t))) for t in found]


async def get(database: Database, task_id: int, *, accounts: Sequence[int] | None) -> Task | None:
    """One task."""
    return await store.get(database, task_id, accounts=accounts)


async def fed(database: Database, task_id: int, run: int) -> bool:
    """Whether a run gets no more messages."""
    return any(row["run"] == run and row["fed"] is not None for row in await store.runs(database, task_id, 1000))


async def read_so_far(database: Database, task_id: int) -> tuple[int, int] | None:
    """Rows that an import has read, of how many (0: not known yet); None: none is under way."""
    return await jobs.how_far(database, imports.NAME, f"task/{task_id}")


MOST_ROUNDS = 800
"""Times that one task is followed on in a calendar."""
_ORDERS = {
    "created_at": Order("t.id", "bigint"),
    "planned_at": Order("COALESCE(t.next_at, t.send_at, t.created_at)", "timestamptz"),
}
_WAITS = """
(COALESCE(t.paused_from, t.state) IN ('importing', 'review', 'scheduled') AND t.run = 0
 OR t.recurring IS NOT NULL AND COALESCE(t.paused_from, t.state) IN ('scheduled', 'running', 'sent'))
"""
"""Of which something is still to begin: for the first time, or once more."""
_MATCHES = f"""
($1::bigint[] IS NULL OR t.account_id = ANY($1)) AND ($2 = '' OR t.submitter = $2)
AND ($3::bigint IS NULL OR t.id >= $3) AND ($4::bigint IS NULL OR t.id < $4) AND ($5::bigint IS NULL OR t.id = $5)
AND ($6 = '' OR strpos(t.name, $6) > 0) AND ($7::bigint IS NULL OR t.account_id = $7) AND ($8 = '' OR t.submitter = $8)
AND ($9 = '' OR t.state = $9) AND ($10 = '' OR t.type = $10) AND ($11 = '' OR t.origin = $11)
AND ($12::bool IS NULL OR (t.recurring IS NOT NULL OR t.send_at IS NOT NULL) = $12)
AND ($13::bool IS NULL OR ({_WAITS}) <> $13)
"""
_SEARCH = f"""
SELECT t.*, {{key}} AS _key, a.name AS account_name FROM task t JOIN account a ON a.id = t.account_id
WHERE {_MATCHES} AND {{where}} ORDER BY {{order}}
"""  # noqa: S608 - constants
_HOW_MANY = f"SELECT count(*) FROM (SELECT FROM task t WHERE {_MATCHES} LIMIT $14) f"  # noqa: S608


def _asked(actor: Actor, wanted: WantedTasks) -> tuple[object, ...]:
    scope = actor.scope
    low, high = (None if at is None else max(first_id(at), 0) for at in (wanted.from_time, wanted.to_time))
    return (
        None if scope.accounts is None else list(scope.accounts), scope.submitter or "", low, high, wanted.id,
        wanted.name, wanted.account_id, wanted.submitter or "", wanted.state, wanted.type, wanted.origin, wanted.timed,
        wanted.begun,
    )  # fmt: skip


async def search(database: Database, actor: Actor, wanted: WantedTasks, window: Window) -> Slice[ListedTask]:
    """Tasks in the scope, a window of them; who sees only their own sees those they have submitted."""
    clause = clauses(_ORDERS, window, id_="t.id", first=14)
    sql = _SEARCH.format(key=clause.key, where=clause.where, order=clause.order)
    async with store.snapshot(database) as connection:
        rows = await connection.fetch(sql, *_asked(actor, wanted), *clause.arguments, timeout=30)
        found = slice_of(rows, window, clause.limit)
        tasks = [(store.of_row(row), str(row["account_name"])) for row in found.rows]
        counted = await store.totals(connection, [(task.id, task.run) for task, _ in tasks])
    listed = [ListedTask(t, progress(t, counted[t.id], feeding_over(t)), account) for t, account in tasks]
    return Slice(listed, found.keys, found.more)


async def how_many(database: Database, actor: Actor, wanted: WantedTasks, most: int) -> int:
    """How many there are, counted up to one more than ``most``."""
    count: int = await database.fetchval(_HOW_MANY, *_asked(actor, wanted), most + 1, timeout=30)
    return count


async def one(database: Database, actor: Actor, task_id: int) -> ListedTask | None:
    """One task in the scope."""
    found = await search(database, actor, WantedTasks(id=task_id), Window(limit=1))
    return found.rows[0] if found.rows else None


_PLANNED = f"""
SELECT t.*, a.name AS account_name FROM task t JOIN account a ON a.id = t.account_id
WHERE ($1::bigint[] IS NULL OR t.account_id = ANY($1)) AND ($2 = '' OR t.submitter = $2)
  AND {_WAITS}
  AND COALESCE(t.next_at, t.send_at) < $4 AND (t.recurring IS NOT NULL OR COALESCE(t.next_at, t.send_at) >= $3)
ORDER BY COALESCE(t.next_at, t.send_at), t.id LIMIT $5
"""  # noqa: S608 - constants


async def planned(
    database: Database, actor: Actor, first: datetime, last: datetime, limit: int
) -> list[tuple[datetime, Task, str]]:
    """When tasks in the scope begin from ``first`` on and before ``last``, those that come round each time: with the
    name of their account, in the order of time, at most so many."""
    scope = actor.scope
    accounts = None if scope.accounts is None else list(scope.accounts)
    rows = await database.fetch(_PLANNED, accounts, scope.submitter or "", first, last, limit)
    found: list[tuple[datetime, Task, str]] = []
    for row in rows:
        task = store.of_row(row)
        at = task.next_at or task.send_at
        rule = None if task.recurring is None else recurrence_of(task.recurring)
        for _ in range(MOST_ROUNDS):
            if at is None or at >= last:
                break
            if at >= first:
                found.append((at, task, str(row["account_name"])))
            at = None if rule is None else rule.after(at)
    return sorted(found, key=lambda one: (one[0], one[1].id))[:limit]


_PROBLEM_ID = "(p.run::bigint * 4294967296 + p.line)"
_PROBLEM_ORDERS = {"line": Order(_PROBLEM_ID, "bigint")}
_PROBLEM_MATCHES = """
p.task_id = $3 AND t.id = p.task_id AND ($1::bigint[] IS NULL OR t.account_id = ANY($1))
AND ($2 = '' OR t.submitter = $2) AND ($4 = '' OR p.code = $4) AND ($5::bigint IS NULL OR p.line = $5)
"""
_PROBLEMS = f"""
SELECT {_PROBLEM_ID} AS id, {{key}} AS _key, p.line, p.number, p.code, p.message FROM task_problem p, task t
WHERE {_PROBLEM_MATCHES} AND {{where}} ORDER BY {{order}}
"""  # noqa: S608 - constants
_HOW_MANY_PROBLEMS = f"""
SELECT count(*) FROM (SELECT FROM task_problem p, task t WHERE {_PROBLEM_MATCHES} LIMIT $6) f
"""  # noqa: S608


def _of(actor: Actor, wanted: WantedProblems) -> tuple[object, ...]:
    scope = actor.scope
    accounts = None if scope.accounts is None else list(scope.accounts)
    return accounts, scope.submitter or "", wanted.task_id, wanted.code, wanted.line


async def problems(database: Database, actor: Actor, wanted: WantedProblems, window: Window) -> Slice[ProblemRow]:
    """Rows without a message of a task in the scope: of the import, then of its runs."""
    asked = _of(actor, wanted)
    return await read(database, _PROBLEMS, asked, _PROBLEM_ORDERS, window, _problem, id_=_PROBLEM_ID, timeout=30)


def _problem(row: Row) -> ProblemRow:
    return ProblemRow(row["id"], row["line"], row["number"], row["code"], row["message"])


async def how_many_problems(database: Database, actor: Actor, wanted: WantedProblems, most: int) -> int:
    """How many there are, counted up to one more than ``most``."""
    count: int = await database.fetchval(_HOW_MANY_PROBLEMS, *_of(actor, wanted), most + 1, timeout=30)
    return count
