"""Changes of operating data are noticed when they can be seen, however they overlap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
import pytest_asyncio
from changes import by_test
from databases import owner

from smsgw.pipeline.snapshot import Directory
from smsgw.platform.accounts import service as accounts
from smsgw.platform.accounts.queries import id_of
from smsgw.store.config import channels
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

SEALER = Sealer(bytes(32))
CHANNEL: dict[str, object] = {
    "protocol": "cmpp30", "host": "127.0.0.1", "port": 7890, "username": "900001", "password": "secret"
}  # fmt: skip

Change = Callable[[Database, str], Awaitable[object]]


@pytest_asyncio.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    one = Database(dsn)
    await one.open()
    await channels.add_channel(one, SEALER, "old", CHANNEL, actor="test")
    await accounts.add(by_test(one), "old")
    yield one
    await one.close()


async def stop_account(database: Database, name: str) -> None:
    await accounts.set_status(by_test(database), await id_of(database, name), "stopped")


async def _waiting_for_audit(database: Database) -> bool:
    return bool(
        await database.fetchval(
            "SELECT count(*) FROM pg_locks WHERE relation = 'audit'::regclass AND NOT granted"
        )
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda db, name: channels.add_channel(db, SEALER, name, CHANNEL, actor="test"),
        lambda db, _: channels.set_channel(db, SEALER, "old", {"rate": 7}, actor="test"),
        lambda db, _: channels.remove_channel(db, "old", actor="test"),
        lambda db, name: accounts.add(by_test(db), name),
        lambda db, _: stop_account(db, "old"),
    ],
    ids=["channel.add", "channel.set", "channel.remove", "account.add", "account.set"],
)
async def test_a_version_read_before_the_commit_does_not_hide_the_change(
    database: Database, dsn: str, change: Change
) -> None:
    blocker = await asyncpg.connect(owner(dsn))
    try:
        await blocker.execute("BEGIN; LOCK TABLE audit IN ACCESS EXCLUSIVE MODE")
        async with asyncio.TaskGroup() as group:
            group.create_task(change(database, "new"))  # type: ignore[arg-type]
            async with asyncio.timeout(4):
                while not await _waiting_for_audit(database):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            seen = await channels.config_version(database)
            await blocker.execute("ROLLBACK")
    finally:
        await blocker.close()
    assert await channels.config_version(database) not in (seen, 0)


async def test_a_change_under_way_is_told(database: Database, dsn: str) -> None:
    before = await channels.config_version(database)
    assert before > 0
    directory = Directory(SEALER)
    await directory.reload(database)
    assert not await directory.reload_if_changed(database)
    writer = await asyncpg.connect(owner(dsn))
    try:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute("INSERT INTO account (name) VALUES ('new')")
        assert await channels.config_version(database) == -(before + 1)
        assert await directory.reload_if_changed(database)
        assert directory.account_by_name("new") is None
        await transaction.commit()
    finally:
        await writer.close()
    assert await channels.config_version(database) == before + 1
    assert await directory.reload_if_changed(database)
    assert directory.account_by_name("new") is not None
    assert not await directory.reload_if_changed(database)
