"""What may take long is given the time, by the server as well; nothing else is."""

from __future__ import annotations

import pytest
from databases import owner

from smsgw.store.engine import database as db
from smsgw.store.engine import migrate
from smsgw.store.engine.database import Database
from smsgw.store.engine.migrate import SCHEMA_VERSION, Migration


async def test_the_server_gives_a_statement_as_long_as_its_caller(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "SERVER_TIMEOUT", 1.0)
    monkeypatch.setattr(db, "COMMAND_TIMEOUT", 1.2, raising=False)
    database = Database(dsn, size=1)
    await database.open()
    try:
        assert await database.fetchval("SELECT 1 FROM pg_sleep(1.5)", timeout=20) == 1
        async with database.transaction(timeout=20) as connection:
            assert await connection.fetchval("SELECT 1 FROM pg_sleep(1.5)", timeout=20) == 1
        assert await database.fetchval("SHOW statement_timeout", timeout=1.0) == "1s"
    finally:
        await database.close()


async def test_a_migration_may_take_long(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "COMMAND_TIMEOUT", 0.3, raising=False)
    slow = Migration(SCHEMA_VERSION + 1, "slow", "SELECT pg_sleep(1)")
    monkeypatch.setattr(migrate, "migrations", lambda: [slow])
    assert await migrate.migrate(owner(dsn)) == 1
