"""The configuration as a node follows it: what has moved and nothing else, all of a change or none of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from changes import by_test
from databases import change, owner

from smsgw.pipeline.snapshot import POLICIES, SnapshotFollower
from smsgw.platform.accounts import service as accounts
from smsgw.platform.channels import service as channels
from smsgw.runtime import aio
from smsgw.store.config import codes
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

SEALER = Sealer(bytes(32))
CHANNEL: dict[str, object] = {
    "protocol": "cmpp30", "host": "127.0.0.1", "port": 7890, "username": "900001", "password": "secret",
    "access_code": "10690",
}  # fmt: skip


@pytest_asyncio.fixture
async def database(database: Database) -> Database:
    """With a channel and an account."""
    await channels.add(by_test(database), SEALER, "old", CHANNEL)
    await accounts.add(by_test(database), "old")
    return database


@pytest_asyncio.fixture
async def writer(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection."""
    connection = await asyncpg.connect(owner(dsn))
    yield connection
    await connection.close()


async def followed(database: Database) -> SnapshotFollower:
    follower = SnapshotFollower(database, SEALER)
    assert await follower.follow()
    follower.loads.clear()
    return follower


CHANGES = {
    "accounts": "UPDATE account SET rate = 7 WHERE name = 'old'",
    "keys": "UPDATE api_key SET status = 'stopped'",
    "channels": "UPDATE channel SET rate = 7",
    "routes": "INSERT INTO pool (name) VALUES ('new')",
    "numbers": "DELETE FROM number_override",
    "retry_rules": "DELETE FROM retry_rule",
    "code_classes": "DELETE FROM code_class",
    "report_ids": "DELETE FROM channel_spelling",
    "access_codes": "DELETE FROM old_code",
    "settings": "INSERT INTO setting (name, value) VALUES ('complaint_days', '3')",
    "webhooks": "INSERT INTO event_setting (account_id, way) SELECT id, 'pull' FROM account",
    "partners": "UPDATE partner SET rate = 1",
    "policies": "INSERT INTO policy (account_id, type, name, value) VALUES (0, '', 'hours', 'off')",
    "words": "INSERT INTO word (word, category, action) VALUES ('赌博', '', 'block')",
    "lists": "DELETE FROM allow_list",
    "content": "UPDATE sign SET state = 'approved'",
    "url_filings": "DELETE FROM filed_link",
    "brands": "UPDATE brand SET published = draft",
    "kinds": "INSERT INTO message_kind (name, label, base) VALUES ('bill', '账单', 'notice')",
    "alarm_rules": "UPDATE alarm_rule SET version = 1 WHERE kind = 'disk_low'",
}
"""A change of every section, by hand."""


@pytest.mark.parametrize("section", CHANGES)
async def test_what_has_moved_is_read_again_and_nothing_else(database: Database, dsn: str, section: str) -> None:
    follower = await followed(database)
    before = follower.current
    assert not await follower.follow()
    assert follower.current is before
    await change(dsn, CHANGES[section])
    assert await follower.follow()
    assert follower.loads == Counter([section, "webhooks"] if section == "accounts" else [section])
    assert (follower.current.tree is before.tree) == (section != "accounts")
    assert (follower.current.policies is before.policies) == (section not in {"accounts", *POLICIES})
    assert not await follower.follow()


async def test_every_section_has_a_change_here(database: Database) -> None:
    assert (await followed(database)).current.versions.keys() == CHANGES.keys()


_READ = """
SELECT c.relname AS name,
       EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'config_moved') AS watched
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
"""


async def test_every_table_that_is_read_moves_its_section(database: Database) -> None:
    """What a transaction has read it has locked: no table of these can be changed without notice."""
    follower = SnapshotFollower(database, SEALER)
    async with database.snapshot() as connection:
        await follower._load(connection)
        read = {row["name"]: row["watched"] for row in await connection.fetch(_READ)}
    assert len(read) > 15
    assert {name for name, watched in read.items() if not watched} == {"config_section"}


async def test_a_change_that_is_not_committed_yet_is_not_overlooked_later(
    database: Database, writer: asyncpg.Connection
) -> None:
    follower = await followed(database)
    async with writer.transaction():
        await writer.execute("INSERT INTO account (name) VALUES ('new')")
        assert not await follower.follow()
        assert follower.current.account_by_name("new") is None
    assert await follower.follow()
    assert follower.current.account_by_name("new") is not None


async def test_a_reader_sees_all_of_a_change_or_nothing(
    database: Database, dsn: str, writer: asyncpg.Connection
) -> None:
    """A writer changes two sections at a time; whoever holds a snapshot finds both at the same step."""
    await change(dsn, "UPDATE account SET rate = 100", "UPDATE channel SET rate = 100")
    follower = await followed(database)
    steps, seen = 60, set[int]()

    async def write() -> None:
        for n in range(1, steps + 1):
            async with writer.transaction():
                await writer.execute("UPDATE account SET rate = $1 WHERE name = 'old'", n)
                await asyncio.sleep(0)
                await writer.execute("UPDATE channel SET rate = $1 WHERE name = 'old'", n)

    writing = aio.spawn(write(), name="writing")
    while not writing.done():
        if await follower.follow():
            snapshot = follower.current
            account = snapshot.account_by_name("old")
            assert account is not None
            assert snapshot.channels[0].rate == account.rate
            seen.add(account.rate)
    await writing
    await follower.follow()
    assert follower.current.channels[0].rate == steps
    assert len(seen) > 1, "nothing was read while it was written"


PASSED_OVER = {
    "account.balance", "api_key.last_used_at", "api_key.last_used_ip", "brand.draft", "brand.drafted_at",
    "event_setting.balance_told", "number_override.id", "submit_recording.kept", "submit_recording.left_out",
    "submit_recording.octets", "webhook.failing_since", "webhook.last_error", "webhook.last_ok_at",
}  # fmt: skip
"""Columns that are written all the time, or are names alone, and are no configuration."""

_NOT_WATCHED = """
SELECT c.relname || '.' || a.attname
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
    found = {name for (name,) in await database.fetch(_NOT_WATCHED)}
    assert found == PASSED_OVER, "a migration that adds a column calls config_watch again"


async def test_what_is_no_configuration_moves_nothing(database: Database) -> None:
    for changed, moves in (("balance = balance + 1", set[str]()), ("rate = 7", {"accounts"})):
        before, common = await versions(database), await _common(database)
        await database.execute(f"UPDATE account SET {changed}")  # noqa: S608
        assert await moved(database, before) == moves
        assert (await _common(database) > common) is bool(moves)


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
