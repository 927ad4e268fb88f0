"""A row that cannot be read is logged and passed over: what comes after it, and what others own, is taken up."""

from __future__ import annotations

from pathlib import Path

import pytest
from changes import by_test
from databases import change
from structlog.testing import capture_logs

from smsgw.core.words import english_of
from smsgw.pipeline.accept.number_lists import NumberLists
from smsgw.pipeline.snapshot import SnapshotFollower
from smsgw.platform.accounts import service as accounts
from smsgw.platform.content import service as content
from smsgw.platform.keys import service as keys
from smsgw.platform.links import service as links
from smsgw.platform.links.model import LinkKind, NewLink, Origin
from smsgw.platform.links.table import LinkTable
from smsgw.runtime import clock
from smsgw.store.engine import rows
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

HOST = "s.example.cn"


@pytest.fixture(autouse=True)
def nothing_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_skipped", {})


def told() -> str:
    """What the alarm says."""
    return "".join(english_of(one.detail) for one in rows.findings("node/1"))


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


async def test_a_section_that_cannot_be_read_stops_no_other(database: Database) -> None:
    snapshots = SnapshotFollower(database, Sealer(bytes(32)))
    await snapshots.follow()
    before = snapshots.current.retry
    await accounts.add(by_test(database), "shop")
    with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
        patch.setitem(snapshots._loaders, "retry_rules", unreadable)
        await change(database.dsn, "UPDATE config_section SET version = version + 1 WHERE section = 'retry_rules'")
        await snapshots.follow()
    assert skipped(logs) == ["retry_rules"]
    assert snapshots.current.account_by_name("shop") is not None
    assert snapshots.current.retry is before
    assert told() == "1 row(s) cannot be read and are not in force: retry_rules"
    await change(database.dsn, "UPDATE config_section SET version = version + 1 WHERE section = 'retry_rules'")
    await snapshots.follow()
    assert told() == ""


async def test_the_alarm_is_over_when_the_row_was_read_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await accounts.add(by_test(database), "shop")
    ids = [await content.add_template(by_test(database), shop, f"n{n}", "notice", "bad", {}) for n in (1, 2)]
    await change(database.dsn, """UPDATE template SET variables = '{"a": 1}'""")
    snapshots = SnapshotFollower(database, Sealer(bytes(32)))
    await snapshots.follow()
    said = told()
    assert said == f"2 row(s) cannot be read and are not in force: template {ids[0]}, template {ids[1]}"
    await change(database.dsn, "UPDATE template SET variables = '{}' WHERE name = 'n1'")
    await snapshots.follow()
    assert told() == f"1 row(s) cannot be read and are not in force: template {ids[1]}"
    at = clock.steady() + rows.KEPT_SECONDS + 1
    monkeypatch.setattr(clock, "steady", lambda: at)
    assert told() == ""


async def unreadable(_: object) -> None:
    raise ValueError("no such value")
