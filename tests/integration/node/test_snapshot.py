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
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

SEALER = Sealer(bytes(32))
CHANNEL: dict[str, object] = {
    "protocol": "cmpp30", "host": "127.0.0.1", "port": 7890, "username": "900001", "password": "secret",
    "access_code": "10690",
}  # fmt: skip


@pytest_asyncio.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    one = Database(dsn)
    await one.open()
    await channels.add(by_test(one), SEALER, "old", CHANNEL)
    await accounts.add(by_test(one), "old")
    yield one
    await one.close()


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
async def test_what_has_moved_is_read_again_and_nothing_else(
    database: Database, dsn: str, section: str
) -> None:
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
    database: Database, dsn: str
) -> None:
    follower = await followed(database)
    writer = await asyncpg.connect(owner(dsn))
    try:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute("INSERT INTO account (name) VALUES ('new')")
        assert not await follower.follow()
        assert follower.current.account_by_name("new") is None
        await transaction.commit()
    finally:
        await writer.close()
    assert await follower.follow()
    assert follower.current.account_by_name("new") is not None


async def test_a_reader_sees_all_of_a_change_or_nothing(database: Database, dsn: str) -> None:
    """A writer changes two sections at a time; whoever holds a snapshot finds both at the same step."""
    await change(dsn, "UPDATE account SET rate = 100", "UPDATE channel SET rate = 100")
    follower = await followed(database)
    writer = await asyncpg.connect(owner(dsn))
    steps = 60
    seen: set[int] = set()

    async def write() -> None:
        for n in range(1, steps + 1):
            async with writer.transaction():
                await writer.execute("UPDATE account SET rate = $1 WHERE name = 'old'", n)
                await asyncio.sleep(0)
                await writer.execute("UPDATE channel SET rate = $1 WHERE name = 'old'", n)

    try:
        writing = aio.spawn(write(), name="writing")
        while not writing.done():
            if await follower.follow():
                snapshot = follower.current
                account = snapshot.account_by_name("old")
                assert account is not None
                assert snapshot.channels[0].rate == account.rate
                seen.add(account.rate)
        await writing
    finally:
        await writer.close()
    await follower.follow()
    assert follower.current.channels[0].rate == steps
    assert len(seen) > 1, "nothing was read while it was written"
