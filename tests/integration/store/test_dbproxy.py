"""The proxy that other tests put before their database does what it says."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import pytest
from databases import change
from dbproxy import DatabaseProxy

from smsgw.runtime import aio
from smsgw.store.engine.database_roles import APPLICATION


async def test_it_is_slow_frozen_and_cut(dsn: str) -> None:
    async with DatabaseProxy(dsn) as proxy:
        connection = await asyncpg.connect(proxy.dsn)
        assert await connection.fetchval("SELECT 1") == 1
        proxy.latency = 0.2
        began = time.monotonic()
        await connection.execute("SELECT 1")
        assert 0.2 <= time.monotonic() - began < 10.0
        proxy.latency = 0.0
        with proxy.frozen():
            with pytest.raises(TimeoutError):
                await asyncpg.connect(proxy.dsn, timeout=0.3)
            asked = aio.spawn(connection.fetchval("SELECT 2"), name="asked")
            done, _ = await asyncio.wait({asked}, timeout=0.3)
            assert not done
        assert await asyncio.wait_for(asked, 30) == 2
        proxy.cut()
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
            await connection.execute("SELECT 1")
        proxy.refusing = True
        with pytest.raises((asyncpg.PostgresConnectionError, OSError)):
            await asyncpg.connect(proxy.dsn, timeout=5)


@pytest.mark.parametrize("late", [0.0, 2.0])
async def test_a_commit_arrives_and_its_answer_does_not(dsn: str, late: float) -> None:
    beside = await asyncpg.connect(dsn)
    try:
        await change(dsn, "CREATE TABLE book (n int)", f"GRANT ALL ON book TO {APPLICATION}")
        async with DatabaseProxy(dsn) as proxy:
            connection = await asyncpg.connect(proxy.dsn)
            proxy.lose_commits(of=b"INTO book", late=late)
            async with connection.transaction():
                await connection.execute("SELECT 1")
            with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
                async with connection.transaction():
                    await connection.execute("INSERT INTO book VALUES (1)")
            assert proxy.lost == 1
            found = [await beside.fetchval("SELECT count(*) FROM book")]
            deadline = time.monotonic() + 30
            while not found[-1] and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
                found.append(await beside.fetchval("SELECT count(*) FROM book"))
            assert found[-1] == 1
            if late:
                assert found[0] == 0
    finally:
        await beside.close()
