"""The configuration as a node follows it: what has moved and nothing else, all of a change or none of it; a row that
cannot be read is passed over, logged, and keeps nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from changes import by_test
from databases import change, owner
from structlog.testing import capture_logs

from smsgw.core.errors import Refused
from smsgw.core.model import MessageType
from smsgw.core.words import english_of
from smsgw.pipeline.accept.followed_table import READ_AGAIN
from smsgw.pipeline.accept.number_lists import NumberLists
from smsgw.pipeline.snapshot import POLICIES, SnapshotFollower
from smsgw.platform.accounts import service as accounts
from smsgw.platform.channels import service as channels
from smsgw.platform.content import service as content
from smsgw.platform.keys import service as keys
from smsgw.platform.links import service as links
from smsgw.platform.links.model import LinkKind, NewLink, Origin
from smsgw.platform.links.table import LinkTable
from smsgw.runtime import aio, clock
from smsgw.store.config import codes
from smsgw.store.engine import rows
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

SEALER = Sealer(bytes(32))
CHANNEL: dict[str, object] = {
    "protocol": "cmpp30", "host": "127.0.0.1", "port": 7890, "username": "900001", "password": "secret",
    "access_code": "10690",
}  # fmt: skip


@pytest_asyncio.fixture
async def database(database: Database) -> Database:
    await channels.add(by_test(database), SEALER, "old", CHANNEL)
    await accounts.add(by_test(database), "old")
    return database


@pytest_asyncio.fixture
async def writer(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(owner(dsn))
    yield connection
    await connection.close()


async def followed(database: Database) -> SnapshotFollower:
    follower = SnapshotFollower(database, SEALER)
    assert await follower.follow()
    follower.loads.clear()
    return follower


CHANGES = {
    "accounts": "UPDATE account SET rate = 7 WHERE name = 'old'", "keys": "UPDATE api_key SET status = 'stopped'",
    "channels": "UPDATE channel SET rate = 7", "routes": "INSERT INTO pool (name) VALUES ('new')",
    "numbers": "DELETE FROM number_override", "retry_rules": "DELETE FROM retry_rule",
    "code_classes": "DELETE FROM code_class", "report_ids": "DELETE FROM channel_spelling",
    "access_codes": "DELETE FROM old_code",
    "settings": "INSERT INTO setting (name, value) VALUES ('complaint_days', '3')",
    "webhooks": "INSERT INTO event_setting (account_id, way) SELECT id, 'pull' FROM account",
    "partners": "UPDATE partner SET rate = 1",
    "policies": "INSERT INTO policy (account_id, type, name, value) VALUES (0, '', 'hours', 'off')",
    "words": "INSERT INTO word (word, category, action) VALUES ('赌博', '', 'block')",
    "lists": "DELETE FROM allow_list", "content": "UPDATE sign SET state = 'approved'",
    "url_filings": "DELETE FROM filed_link", "brands": "UPDATE brand SET published = draft",
    "kinds": "INSERT INTO message_kind (name, label, base) VALUES ('bill', '账单', 'notice')",
    "alarm_rules": "UPDATE alarm_rule SET version = 1 WHERE kind = 'disk_low'",
}  # fmt: skip
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


async def test_a_change_that_commits_late_is_not_overlooked(database: Database, writer: asyncpg.Connection) -> None:
    follower = await followed(database)
    async with writer.transaction():
        await writer.execute("INSERT INTO account (name) VALUES ('new')")
        assert not await follower.follow()
        assert follower.current.account_by_name("new") is None
    assert await follower.follow()
    assert follower.current.account_by_name("new") is not None


async def test_readers_see_all_of_a_change_or_nothing(database: Database, dsn: str, writer: asyncpg.Connection) -> None:
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
    return await database.fetchval("SELECT last_value + is_called::int FROM config_version")


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


HOST = "s.example.cn"


@pytest.fixture(autouse=True)
def nothing_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_skipped", {})


def told() -> str:
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
        database.dsn,
        "ALTER TABLE short_link DROP CONSTRAINT short_link_valid_from_bounds",
        "UPDATE short_link SET valid_from = '-infinity', change = nextval('short_link_change') WHERE chosen = 'bad1'",
    )
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
    ids = [
        await content.add_template(by_test(database), one, "n", "notice", text, {})
        for one, text in ((shop, "bad"), (bank, "good"))
    ]
    await change(database.dsn, """UPDATE template SET variables = '{"a": 1}' WHERE content = 'bad'""")
    snapshots = SnapshotFollower(database, sealer)
    with capture_logs() as logs:
        await snapshots.follow()
    assert skipped(logs) == ["template"]
    book = snapshots.current.policies.book
    assert book.template((shop,), ids[0]) is None
    assert book.template((bank,), ids[1]) is not None
    assert snapshots.current.key(key.key_id) is not None


UNBOUND = (
    "ALTER TABLE block_list DROP CONSTRAINT block_list_since_bounds",
    "ALTER TABLE block_list DROP CONSTRAINT block_list_expires_at_bounds",
)
BEYOND = "2120-01-01"
"""A time that the node's list has no room for."""


async def test_a_number_whose_entry_cannot_be_read_is_blocked_until_it_can(database: Database) -> None:
    shop = await accounts.add(by_test(database), "shop")
    numbers = NumberLists(database, SnapshotFollower(database, SEALER))
    await change(
        database.dsn,
        *UNBOUND,
        "INSERT INTO block_list (number, account_id, type, sign, source, actor, since, expires_at)"  # noqa: S608
        f" SELECT 8613800138000 + n, {shop}, 'marketing', '', 'opt_out', 'mo', now(), '{BEYOND}'::timestamptz"
        " FROM generate_series(1, 500) n"
        f" UNION ALL SELECT 8613800138501, {shop}, 'marketing', '', 'opt_out', 'mo', 'infinity', NULL"
        f" UNION ALL SELECT 8613800138502, {shop}, 'marketing', '', 'opt_out', 'mo', '-infinity', 'infinity'"
        f" UNION ALL SELECT 8613800138503, {shop}, 'of a later program', '', 'manual', 'mo', now(), NULL"
        f" UNION ALL SELECT 8613800138504, {shop}, 'marketing', '', 'opt_out', 'mo', now(), NULL"
        " UNION ALL SELECT -5, 0, '', '', 'manual', 'mo', now(), NULL",
    )

    def said(n: int, type_: MessageType = MessageType.MARKETING) -> str | None:
        reason = numbers.refusal(str(8613800138000 + n), shop, type_, "")
        return None if reason is None else reason[0]

    with capture_logs() as logs:
        await numbers.load()
    assert {line["what"] for line in logs if line["event"] == "row.skipped"} == {"block_list"}
    assert told().startswith("504 row(s) cannot be read"), told()
    for n in (1, 500, 501, 502, 503):
        assert said(n) == "NUMBER_BLACKLISTED"
        assert numbers.refusal(str(8613800138000 + n), shop + 1, MessageType.MARKETING, "") is None
    assert said(504) == "NUMBER_OPTED_OUT"
    assert (said(1, MessageType.NOTICE), said(503, MessageType.NOTICE)) == (None, "NUMBER_BLACKLISTED")
    reason = numbers.refusal("8613800138001", shop, MessageType.MARKETING, "")
    assert reason is not None
    assert str(Refused(reason[0], **reason[1])) == "号码在黑名单中（该号码的一条记录无法读取，按已屏蔽处理），未发送"

    await change(
        database.dsn,
        "UPDATE block_list SET expires_at = NULL, version = nextval('block_version') WHERE number = 8613800138001",
        "UPDATE block_list SET removed_at = now(), version = nextval('block_version')"
        " WHERE number IN (8613800138002, 8613800138503)",
        f"UPDATE block_list SET since = '{BEYOND}', version = nextval('block_version') WHERE number = 8613800138504",  # noqa: S608
    )
    await numbers.follow()
    assert [said(n) for n in (1, 2, 503, 504)] == ["NUMBER_OPTED_OUT", None, None, "NUMBER_BLACKLISTED"]
    assert told().startswith("502 row(s) cannot be read"), told()


async def test_the_alarm_about_listed_numbers_ends_with_them_and_not_with_the_day(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = NumberLists(database, SnapshotFollower(database, SEALER))
    await change(
        database.dsn,
        *UNBOUND,
        "INSERT INTO block_list (number, source, actor, since)"  # noqa: S608
        f" VALUES (8613800138001, 'manual', 'test', '{BEYOND}'), (8613800138002, 'manual', 'test', '{BEYOND}')",
    )
    await numbers.load()
    monkeypatch.setattr(rows, "_skipped", {})
    await NumberLists(database, SnapshotFollower(database, SEALER)).load()  # after a restart
    at = clock.steady() + 86_400 * 3
    monkeypatch.setattr(clock, "steady", lambda: at)
    assert told().startswith("2 row(s) cannot be read")
    await change(database.dsn, "DELETE FROM block_list WHERE number = 8613800138001")  # by hand: no version says so
    await numbers.follow()
    assert told().startswith("1 row(s) cannot be read")
    await change(database.dsn, "UPDATE block_list SET since = now()")
    await numbers.follow()
    assert told() != "", "it is looked at again after a while, not at once"
    at += READ_AGAIN
    await numbers.follow()
    assert told() == ""
    assert numbers.refusal("8613800138001", 1, MessageType.NOTICE, "") is None
    assert numbers.refusal("8613800138002", 1, MessageType.NOTICE, "") is not None


async def test_a_consent_that_cannot_be_read_is_none(database: Database) -> None:
    shop = await accounts.add(by_test(database), "shop")
    numbers = NumberLists(database, SnapshotFollower(database, SEALER))
    for constraint in await database.fetch(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'consent'::regclass AND contype = 'c'"
    ):
        await change(database.dsn, f"ALTER TABLE consent DROP CONSTRAINT {constraint['conname']}")
    await change(
        database.dsn,
        "INSERT INTO consent (number, account_id, source, given_at, proof, entered_by)"  # noqa: S608
        f" SELECT n, {shop}, 'web', at, 'x', 'test'"
        f" FROM (VALUES (8613800138001, now()), (8613800138002, '{BEYOND}')) x(n, at)",
    )
    await numbers.load()
    assert numbers.consented("8613800138001", (shop,))
    assert not numbers.consented("8613800138002", (shop,))
    assert told().startswith("1 row(s) cannot be read")


async def test_a_section_that_cannot_be_read_stops_no_other(database: Database) -> None:
    snapshots = SnapshotFollower(database, Sealer(bytes(32)))
    await snapshots.follow()
    before = snapshots.current.retry
    await accounts.add(by_test(database), "shop")
    with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
        patch.setitem(snapshots._loaders, "retry_rules", unreadable)
        await change(database.dsn, "UPDATE config_section SET version = version + 1 WHERE section = 'retry_rules'")
        await snapshots.follow()
    assert [(line["what"], line["which"]) for line in logs if line["event"] == "row.skipped"] == [
        ("section", "retry_rules")
    ]
    assert snapshots.current.account_by_name("shop") is not None
    assert snapshots.current.retry is before
    assert told() == "1 row(s) cannot be read: section retry_rules"
    await change(database.dsn, "UPDATE config_section SET version = version + 1 WHERE section = 'retry_rules'")
    await snapshots.follow()
    assert told() == ""


async def test_the_alarm_ends_when_the_row_is_read_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = await accounts.add(by_test(database), "shop")
    ids = [await content.add_template(by_test(database), shop, f"n{n}", "notice", "bad", {}) for n in (1, 2)]
    await change(database.dsn, """UPDATE template SET variables = '{"a": 1}'""")
    snapshots = SnapshotFollower(database, Sealer(bytes(32)))
    await snapshots.follow()
    said = told()
    assert said == f"2 row(s) cannot be read: template {ids[0]}, template {ids[1]}"
    await change(database.dsn, "UPDATE template SET variables = '{}' WHERE name = 'n1'")
    await snapshots.follow()
    assert told() == f"1 row(s) cannot be read: template {ids[1]}"
    at = clock.steady() + 86_400 * 3
    monkeypatch.setattr(clock, "steady", lambda: at)
    assert told() == f"1 row(s) cannot be read: template {ids[1]}"
    await change(database.dsn, "UPDATE template SET stopped_at = now() WHERE name = 'n2'")
    await snapshots.follow()
    assert told() == ""


async def unreadable(_: object) -> None:
    raise ValueError("no such value")
