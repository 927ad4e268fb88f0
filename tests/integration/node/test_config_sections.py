"""The versions of the configuration's sections: moved by whoever changes a row, seen with the change."""

from __future__ import annotations

import asyncio

import pytest
from changes import by_test

from smsgw.platform.accounts import service as accounts
from smsgw.platform.settings import service as settings_service
from smsgw.store.config import codes
from smsgw.store.engine.database import Database

PASSED_OVER = {
    ("account", "balance"),
    ("api_key", "last_used_at"),
    ("api_key", "last_used_ip"),
    ("brand", "draft"),
    ("brand", "drafted_at"),
    ("event_setting", "balance_told"),
    ("number_override", "id"),
    ("submit_recording", "kept"),
    ("submit_recording", "left_out"),
    ("submit_recording", "octets"),
    ("webhook", "failing_since"),
    ("webhook", "last_error"),
    ("webhook", "last_ok_at"),
}
"""Columns that are written all the time, or are names alone, and are no configuration."""

_NOT_WATCHED = """
SELECT c.relname AS table, a.attname AS column
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE t.tgname = 'config_moved' AND c.relnamespace = current_schema()::regnamespace
  AND cardinality(t.tgattr::int2[]) > 0 AND a.attnum <> ALL (t.tgattr::int2[])
"""


async def versions(database: Database) -> dict[str, int]:
    return {row["section"]: row["version"] for row in await database.fetch("SELECT * FROM config_section")}


async def _common(database: Database) -> int:
    """What earlier programs look at."""
    found: int = await database.fetchval("SELECT last_value + is_called::int FROM config_version")
    return found


async def moved(database: Database, before: dict[str, int]) -> set[str]:
    now = await versions(database)
    assert now.keys() == before.keys()
    assert all(now[section] >= version for section, version in before.items())
    return {section for section, version in before.items() if now[section] != version}


async def test_every_column_of_the_configuration_is_watched(database: Database) -> None:
    rows = await database.fetch(_NOT_WATCHED)
    found = {(row["table"], row["column"]) for row in rows}
    assert found == PASSED_OVER, "a migration that adds a column calls config_watch again"


async def test_a_change_moves_its_section_alone_and_the_common_version(database: Database) -> None:
    before, common = await versions(database), await _common(database)
    account_id = await accounts.add(by_test(database), "one")
    assert await moved(database, before) == {"accounts"}
    assert await _common(database) > common

    before, common = await versions(database), await _common(database)
    await database.execute("UPDATE account SET balance = balance + 1 WHERE id = $1", account_id)
    assert await moved(database, before) == set()
    assert await _common(database) == common

    await database.execute("UPDATE account SET rate = 7 WHERE id = $1", account_id)  # by hand
    assert await moved(database, before) == {"accounts"}
    assert await _common(database) > common

    before = await versions(database)
    await settings_service.put(by_test(database), "complaint_days", 3)
    assert await moved(database, before) == {"settings"}


async def test_version_and_rows_are_seen_together(database: Database) -> None:
    before = await versions(database)
    async with database.transaction() as changing:
        await changing.execute("INSERT INTO account (name) VALUES ('one')")
        assert await moved(database, before) == set()
        async with database.transaction() as reading:
            await reading.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            assert await reading.fetchval("SELECT count(*) FROM account WHERE name = 'one'") == 0
    assert await moved(database, before) == {"accounts"}
    with pytest.raises(ZeroDivisionError):
        await _give_up(database)
    assert await versions(database) != before
    assert await database.fetchval("SELECT count(*) FROM account WHERE name = 'two'") == 0


async def _give_up(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO account (name) VALUES ('two')")
        raise ZeroDivisionError


async def test_changes_at_the_same_moment_are_all_counted(database: Database) -> None:
    before = (await versions(database))["accounts"]
    async with asyncio.TaskGroup() as group:
        for n in range(8):
            group.create_task(database.execute("INSERT INTO account (name) VALUES ($1)", f"a{n}", timeout=30))
    assert (await versions(database))["accounts"] == before + 8


async def test_a_sweep_that_finds_nothing_moves_nothing(database: Database) -> None:
    """It comes round every ten minutes; all nodes would read the codes again."""
    account_id = await accounts.add(by_test(database), "one")
    add = "INSERT INTO old_code (account_id, code, until) VALUES ($1, $2, now() + make_interval(hours => $3))"
    await database.execute(add, account_id, "1", 1)
    before = await versions(database)
    async with database.acquire() as connection:
        await codes.sweep(connection)
    assert await moved(database, before) == set()
    await database.execute(add, account_id, "2", -1)
    async with database.acquire() as connection:
        await codes.sweep(connection)
    assert [row["code"] for row in await database.fetch("SELECT code FROM old_code")] == ["1"]
