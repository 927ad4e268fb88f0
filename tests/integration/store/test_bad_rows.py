"""A row that cannot be read is logged and passed over: what comes after it, and what others own, is taken up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from changes import by_test
from databases import change
from structlog.testing import capture_logs

from smsgw.pipeline.accept.number_lists import NumberLists
from smsgw.pipeline.snapshot import SnapshotFollower
from smsgw.platform.accounts import service as accounts
from smsgw.platform.content import service as content
from smsgw.platform.keys import service as keys
from smsgw.platform.links import service as links
from smsgw.platform.links.model import LinkKind, NewLink, Origin
from smsgw.platform.links.table import LinkTable
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

HOST = "s.example.cn"


@pytest_asyncio.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    made = Database(dsn)
    await made.open()
    yield made
    await made.close()


def skipped(logs: list) -> list[str]:
    return [line["what"] for line in logs if line["event"] == "row.skipped"]


async def test_a_link_that_cannot_be_read_stops_no_other(database: Database) -> None:
    sealer, account = Sealer(bytes(32)), await accounts.add(by_test(database), "shop")

    async def made(code: str) -> None:
        wanted = NewLink(account, code, "https://example.org/", LinkKind.SHARED, Origin.API, chosen=code)
        await links.make(by_test(database), sealer, wanted, (HOST,), now=clock.now())

    await made("bad1")
    await change(
        database.dsn, "ALTER TABLE short_link DROP CONSTRAINT short_link_valid_from_bounds",
        "UPDATE short_link SET valid_from = '-infinity', change = nextval('short_link_change') WHERE chosen = 'bad1'",
    )  # fmt: skip
    table = LinkTable(database, sealer)
    await made("good1")
    with capture_logs() as logs:
        await table.follow()
    assert skipped(logs) == ["short_link"]
    await made("good2")
    await table.follow()
    now = clock.time()
    found = {code: table.find(HOST, code, now) for code in ("good1", "good2")}
    assert all(one is not None and one.link is not None for one in found.values())


async def test_configuration_of_one_that_cannot_be_read_stops_no_other(database: Database) -> None:
    sealer = Sealer(bytes(32))
    shop, bank = [await accounts.add(by_test(database), name) for name in ("shop", "bank")]
    key = await keys.add(by_test(database), sealer, bank)
    ids = [await content.add_template(by_test(database), one, "n", "notice", text, {})
           for one, text in ((shop, "bad"), (bank, "good"))]
    await change(database.dsn, """UPDATE template SET variables = '{"a": 1}' WHERE content = 'bad'""")
    snapshots = SnapshotFollower(database, sealer)
    with capture_logs() as logs:
        await snapshots.follow()
    assert skipped(logs) == ["template"]
    book = snapshots.current.policies.book
    assert book.template((shop,), ids[0]) is None
    assert book.template((bank,), ids[1]) is not None
    assert snapshots.current.key(key.key_id) is not None


async def test_a_number_whose_time_cannot_be_kept_stops_no_other(database: Database, tmp_path: Path) -> None:
    await accounts.add(by_test(database), "shop")
    numbers = NumberLists(database, SnapshotFollower(database, Sealer(bytes(32))))
    await change(
        database.dsn, "ALTER TABLE block_list DROP CONSTRAINT block_list_expires_at_bounds",
        "INSERT INTO block_list (number, account_id, type, sign, source, reason, actor, since, expires_at)"
        " SELECT n, a.id, '', '', 'manual', '', 'test', now(), u::timestamptz FROM account a,"
        " (VALUES (8613800138000, '9999-12-31'), (8613800138001, NULL)) x(n, u)",
    )  # fmt: skip
    with capture_logs() as logs:
        await numbers.load()
    assert skipped(logs) == ["list of numbers"]
    assert len(numbers) == 1
