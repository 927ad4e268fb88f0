"""NumberLists, counts and pages of tasks go by their indexes, however many tasks and rows there are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from databases import change
from taskdesk import Desk

from smsgw.store.engine.database import Connection, connect
from smsgw.store.messages import task_aside, task_parts
from smsgw.store.messages import tasks as store

_FILL = (
    "INSERT INTO account (name) VALUES ('mine'), ('theirs')",
    """
    INSERT INTO task (id, account_id, name, state, origin, submitter, type, sign, content, ext, extend_code, mapping,
                      one_each, review, windows)
    SELECT n, CASE WHEN n % 500 = 0 THEN 1 ELSE 2 END, 'task ' || n, 'finished', 'api', 'k', 'notice', '', 'text', '',
           '', '{}', 'number', false, '[]'
    FROM generate_series(1, 10000) n
    """,
    """
    INSERT INTO task_chunk (task_id, run, first, size, base_id, waiting, final, counts, counted_at)
    SELECT 500, 1, n * 50 + 1, 50, 1000000 + n * 4096, false, true, '{"delivered": 50}', now() - n * interval '1 s'
    FROM generate_series(0, 9999) n
    """,
    "INSERT INTO task_run (task_id, run, due_at, rows, started_at) VALUES (500, 1, now(), 500000, now())",
)


@pytest_asyncio.fixture(params=["no statistics", "analysed"])
async def filled(dsn: str, request: pytest.FixtureRequest) -> AsyncIterator[Connection]:
    connection = await connect(dsn, writer=True)
    try:
        for sql in _FILL:
            await connection.execute(sql, timeout=60)
        if request.param == "analysed":
            await change(dsn, *(f"ANALYZE {table}" for table in ("task", "task_chunk", "task_run")))
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        yield connection
    finally:
        await connection.close()


async def pages(connection: Connection, sql: str, *arguments: str) -> int:
    """Pages that the statement touches."""
    await connection.execute(f"PREPARE hot AS {sql}")
    try:
        shown = await connection.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE hot({', '.join(arguments)})"
        )
    finally:
        await connection.execute("DEALLOCATE hot")
    top: dict[str, Any] = json.loads(shown)[0]["Plan"]
    return int(top["Shared Hit Blocks"]) + int(top["Shared Read Blocks"])


async def test_pages_of_tasks_read_what_they_show(filled: Connection) -> None:
    found = await store.page(filled, accounts=[1], limit=10)
    assert [t.id for t in found] == list(range(10_000, 5000, -500))
    following = await store.page(filled, accounts=[1, 2], before=found[-1].id, limit=5)
    assert [t.id for t in following] == [5499, 5498, 5497, 5496, 5495]
    assert [t.id for t in await store.page(filled, accounts=None, limit=3)] == [10_000, 9999, 9998]
    last = str(2**63 - 1)
    one = ("NULL", "NULL", last, "''", "''", "10")
    assert await pages(filled, store._PAGE, "'{1}'", *one) < 60
    assert await pages(filled, store._PAGE, "'{1,2}'", *one) < 100
    assert await pages(filled, store._PAGE_OF_ALL, "NULL", *one) < 40


async def test_counts_and_deep_pages_do_not_read_all_chunks(filled: Connection) -> None:
    now = datetime.now(UTC)
    assert await pages(filled, task_parts._OPEN_CHUNKS, "500", "NULL", f"'{now.isoformat()}'", "100") < 320
    deep = ("500", "1", "450000", "450999", str(task_parts.MOST))
    assert await pages(filled, task_parts._OVERLAPPING, *deep) < 60
    assert await pages(filled, task_aside._DUE, "500", "1", f"'{now.isoformat()}'") < 10
    assert await pages(filled, task_aside._ANY, "500", "1") < 10


async def test_what_has_become_of_a_run_is_summed_up_once(filled: Connection) -> None:
    assert await store.totals(filled, [(500, 1)]) == {500: {"delivered": 500_000}}
    await store.keep_totals(filled, 500, 1)  # it is not over: nothing is kept
    assert await filled.fetchval("SELECT totals FROM task_run") is None
    async with filled.transaction():
        await store.finish_run(filled, 500, 1, datetime.now(UTC))
        await store.keep_totals(filled, 500, 1)
    assert await pages(filled, store._KEPT, "'{500}'", "'{1}'") < 20
    await filled.execute("UPDATE task_chunk SET counts = '{}'")  # what is kept counts
    assert await store.totals(filled, [(500, 1)]) == {500: {"delivered": 500_000}}


async def test_a_report_that_comes_late_changes_what_was_summed_up(d: Desk) -> None:
    task_id = await d.make(5)
    await d.feed()
    await d.database.execute("UPDATE part SET state = 43, final_at = now()")  # no report
    d.later(seconds=10)
    for _ in range(2):  # counted, and then found to be over
        await d.feeder._count()
    view = await d.view(task_id)
    assert (view.task.state, view.progress.statuses) == ("finished", {"no_report": 5})
    assert (await d.tasks.page(accounts=[d.account_id]))[0].progress.statuses == {"no_report": 5}
    await d.database.execute("UPDATE part SET state = 40 WHERE id IN (SELECT id FROM part ORDER BY id LIMIT 2)")
    d.later(hours=1)
    wanted = {"no_report": 3, "delivered": 2}
    assert (await d.view(task_id)).progress.statuses == wanted
    assert (await d.tasks.page(accounts=[d.account_id]))[0].progress.statuses == wanted
