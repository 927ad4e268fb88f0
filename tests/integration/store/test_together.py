"""Changes that go as one statement."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from databases import change
from dbproxy import DatabaseProxy

from smsgw.store.engine import together
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.database_roles import APPLICATION
from smsgw.store.engine.together import COPIED, Together, enter

TYPES = {"id": "int", "name": "text"}


@pytest_asyncio.fixture
async def connection(dsn: str) -> AsyncIterator[Connection]:
    """In a transaction, with two tables of its own."""
    tables = ("a (id int PRIMARY KEY, name text)", "b (n int)")
    await change(dsn, *(f"CREATE TABLE {table}" for table in tables), f"GRANT ALL ON a, b TO {APPLICATION}")
    one = await asyncpg.connect(dsn)
    async with one.transaction():
        yield one
    await one.close()


async def test_each_change_has_its_own_arguments(connection: Connection) -> None:
    changes = Together()
    await changes.enter(connection, "a", TYPES, [(1, "one"), (2, None)])
    changes.add(
        {
            "given": "SELECT * FROM unnest($1::int[]) AS g(n)",
            "kept": "INSERT INTO b SELECT n + $2::int FROM given",
        },
        [1, 2],
        10,
    )
    await changes.enter(connection, "a", TYPES, [(3, "three")])
    assert not await connection.fetchval("SELECT count(*) FROM a")  # nothing is sent before
    await changes.run(connection)
    assert await connection.fetch("SELECT id, name FROM a ORDER BY id") == [
        (1, "one"),
        (2, None),
        (3, "three"),
    ]
    assert [row["n"] for row in await connection.fetch("SELECT n FROM b ORDER BY n")] == [11, 12]


@pytest.mark.parametrize("n", [0, 1, COPIED - 1, COPIED, COPIED * 3])
async def test_few_rows_and_many(connection: Connection, n: int) -> None:
    await enter(connection, "a", TYPES, ((i, f"{i}") for i in range(n)))
    assert await connection.fetchval("SELECT count(*) FROM a WHERE name = id::text") == n


async def test_all_or_nothing(connection: Connection) -> None:
    changes = Together()
    await changes.enter(connection, "a", TYPES, [(1, "one")])
    await changes.enter(connection, "a", TYPES, [(1, "again")])
    with pytest.raises(asyncpg.UniqueViolationError):
        async with connection.transaction():
            await changes.run(connection)
    assert not await connection.fetchval("SELECT count(*) FROM a")


async def test_a_server_that_reads_no_more_holds_nobody_up(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "TIMEOUT", 1.0)
    async with DatabaseProxy(dsn) as proxy:
        await change(dsn, "CREATE TABLE a (id int PRIMARY KEY, name text)", f"GRANT ALL ON a TO {APPLICATION}")
        held = await asyncpg.connect(proxy.dsn)
        transaction = held.transaction()
        await transaction.start()
        proxy.freeze()
        async with asyncio.timeout(30):
            with pytest.raises(TimeoutError):
                await enter(held, "a", TYPES, ((n, "x" * 2000) for n in range(20_000)))
        held.terminate()


async def test_nothing_is_no_statement(connection: Connection) -> None:
    await Together().run(connection)


async def test_a_connection_goes_back_to_the_pool_as_it_came(dsn: str) -> None:
    database = Database(dsn, size=1)
    await database.open()
    try:
        before = await database.fetchval("SHOW statement_timeout")
        async with database.acquire(timeout=3600) as connection:
            assert await connection.fetchval("SHOW statement_timeout") == "1h"
        assert await database.fetchval("SHOW statement_timeout") == before != "1h"
    finally:
        await database.close()
