"""Migrations on what was there before: what they convert, and what they leave alone; in a database that is in use what
reads long tables keeps nobody out, and all come to the same schema."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from changes import by_test
from databases import change, owner
from days import today

from smsgw.core.accounts import networks
from smsgw.core.ids import day_range
from smsgw.core.webhooks import Reach
from smsgw.platform.accounts import service as accounts
from smsgw.platform.keys import service as keys
from smsgw.platform.webhooks import service as webhooks
from smsgw.platform.webhooks.model import Wanted
from smsgw.runtime.aio import spawn
from smsgw.store.config import accounts as accounts_store
from smsgw.store.engine import migrate, partitions
from smsgw.store.engine.database import Database
from smsgw.store.engine.migrate import migrations
from smsgw.store.engine.secrets import Sealer


async def test_rights_that_were_used_are_kept(database: Database) -> None:
    """Schema 33: who pushes goes on pushing, and keys lose no right that they have used."""
    sealer = Sealer(bytes(32))
    shop = await accounts.add(by_test(database), "shop")
    bank = await accounts.add(by_test(database), "bank")
    made = {
        name: (await keys.add(by_test(database), sealer, shop, scopes=("send", scope))).key_id
        for name, scope in (("pushed", "report"), ("way", "report"), ("read", "report"), ("sends", "balance"))
    }
    await webhooks.put(
        by_test(database, actor=made["pushed"]), sealer, shop, Wanted("main", "https://example.org/"), Reach()
    )
    await webhooks.edit_setting(by_test(database, actor=made["way"]), shop, way="pull")
    (migration,) = (m for m in migrations() if m.number == 33)
    undo = ("DROP TRIGGER config_moved ON account", "ALTER TABLE account DROP COLUMN webhook_networks")
    await change(database.dsn, *undo, migration.sql)
    found = {row["key_id"]: set(row["scopes"]) for row in await database.fetch("SELECT * FROM api_key")}
    assert {name: "webhook" in found[id_] for name, id_ in made.items()} == {
        "pushed": True, "way": True, "read": False, "sends": False,
    }  # fmt: skip
    granted = {account.id: list(account.webhook_networks) for account in await accounts_store.load_accounts(database)}
    assert granted == {shop: networks("0.0.0.0/0,::/0"), bank: []}


_RULE = """
INSERT INTO retry_rule (fault, type, how, tries, deadline_s, first_s, most_s) VALUES ($1, $2, $3, $4, 0, $5, $6)
"""


async def test_rules_of_retries_without_an_end_get_a_pause(dsn: str) -> None:
    """Schema 149."""
    connection = await asyncpg.connect(dsn)
    rows = [("throttle", "otp", "same", 0, 0.0, 0.0), ("busy", "otp", "other", 0, 30.0, 30.0),
            ("network", "otp", "other", 2, 0.0, 0.0), ("absent", "otp", "never", 0, 0.0, 0.0)]  # fmt: skip
    await connection.executemany(_RULE, rows)
    (migration,) = (m for m in migrations() if m.number == 149)
    await change(dsn, migration.sql)
    found = await connection.fetch("SELECT fault, first_s, most_s FROM retry_rule")
    await connection.close()
    assert {row["fault"]: (row["first_s"], row["most_s"]) for row in found} == {
        "throttle": (1, 5), "busy": (30, 30), "network": (0, 0), "absent": (0, 0),
    }  # fmt: skip


_LINK = """
INSERT INTO short_link (account_id, name, kind, origin, domain, chosen, target, state, passed, valid_from, valid_until,
                        made_by)
VALUES ($1, 'n', 'shared', 'api', 's.example.cn', $2, 'https://example.org/', 'active', 1, $3::text::timestamptz,
        $4::text::timestamptz, 'test')
"""
_BOUNDS = "SELECT conrelid::regclass::text AS t, conname FROM pg_constraint WHERE conname LIKE '%bounds'"
_TIMES = """
SELECT chosen, valid_from AT TIME ZONE 'Asia/Shanghai' AS f, valid_until AT TIME ZONE 'Asia/Shanghai' AS u
FROM short_link ORDER BY chosen
"""


async def test_times_of_before_are_brought_in(dsn: str, database: Database) -> None:
    """Schemas 271 and 272: times beyond all bounds are brought in, and none gets in any more."""
    account = await accounts.add(by_test(database), "shop")
    bounds, rows = (m for m in migrations() if m.number in (271, 272))
    connection = await asyncpg.connect(owner(dsn))
    names = await connection.fetch(_BOUNDS)
    assert len(names) == bounds.sql.count("ADD CONSTRAINT")
    for row in names:
        await connection.execute(f"ALTER TABLE {row['t']} DROP CONSTRAINT {row['conname']}")
    for chosen, begin, end in (
        ("a", "-infinity", "9999-12-31 23:59:59.999999+00"), ("b", None, "infinity"), ("c", "9999-12-30", "9999-12-31"),
        ("d", "0001-01-01 12:00+00", None), ("e", "2026-05-01 09:00+08", "2027-05-01 09:00+08"),
    ):  # fmt: skip
        await connection.execute(_LINK, account, chosen, begin, end)
    before = await connection.fetchval("SELECT last_value FROM short_link_change")
    await change(dsn, bounds.sql, *rows.apart, *rows.apart)
    found = {row["chosen"]: (f"{row['f']:%F %H}" if row["f"] else "", f"{row['u']:%F %H}" if row["u"] else "")
             for row in await connection.fetch(_TIMES)}  # fmt: skip
    assert found == {
        "a": ("2000-01-01 00", "2100-01-01 00"), "b": ("", "2100-01-01 00"), "c": ("2099-12-31 00", "2100-01-01 00"),
        "d": ("2000-01-01 00", ""), "e": ("2026-05-01 09", "2027-05-01 09"),
    }  # fmt: skip
    moved = await connection.fetch("SELECT chosen FROM short_link WHERE change > $1 ORDER BY chosen", before)
    assert [row["chosen"] for row in moved] == ["a", "b", "c", "d"]  # the nodes look at them again
    for begin, end in (("infinity", None), (None, "9999-12-31"), ("0001-01-01", None)):
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(_LINK, account, "f", begin, end)
    await connection.close()


_PART = """
INSERT INTO part (id, part, total, account_id, pool_id, lane, state, accepted_at, expires_at, code)
SELECT $1::bigint + n, 1, 1, 1, 1, 2, 41, now(), now(), CASE WHEN n = 7 THEN 'MK:7' ELSE 'DELIVRD' END
FROM generate_series(1, 3000) n
"""
_INDEXED = """
SELECT t.relname FROM pg_inherits i JOIN pg_index x ON x.indexrelid = i.inhrelid JOIN pg_class t ON t.oid = x.indrelid
WHERE i.inhparent = 'part_code'::regclass AND x.indisvalid
"""
_WHOLE = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'part_code'::regclass"
# Partitions apart: which days there are is not the schema's.
_SCHEMA = r"""
SELECT indexdef || CASE WHEN indisvalid THEN '' ELSE ' (not whole)' END AS said
FROM pg_indexes JOIN pg_index ON indexrelid = format('%I.%I', schemaname, indexname)::regclass
WHERE schemaname = 'public' AND tablename !~ '_\d{8}$'
UNION ALL
SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text !~ '_\d{8}$'
UNION ALL
SELECT table_name || ' ' || column_name || ' ' || data_type FROM information_schema.columns
WHERE table_schema = 'public' AND table_name !~ '_\d{8}$'
UNION ALL
SELECT pg_get_functiondef(p.oid) FROM pg_proc p WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
ORDER BY 1
"""


def _days_of(number: int) -> tuple[str, ...]:
    """The tables in days that there are with this migration."""
    since = {"submit_pdu": 146, "link_click": 192, "message_link": 210}
    return tuple(one for one in partitions.TABLES if number >= since.get(one, 0))


async def up_to(dsn: str, number: int) -> None:
    """Migrate no further than that."""
    with pytest.MonkeyPatch.context() as patch:
        known = [one for one in migrate.migrations() if one.number <= number]
        patch.setattr(migrate, "migrations", lambda: known)
        patch.setattr(partitions, "TABLES", _days_of(number))
        await migrate.migrate(owner(dsn), application=dsn)


@pytest_asyncio.fixture
async def empty(postgres: Any) -> AsyncIterator[str]:
    """A database without a schema."""
    name = "test_update_locks"
    yield await postgres.make(name)
    await postgres.drop(name)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(owner(dsn), timeout=10, command_timeout=30)
    try:
        yield connection
    finally:
        await connection.close()


async def _index(connection: asyncpg.Connection) -> None:
    await partitions.index(connection, today(), "part", None)


async def test_days_with_parts_get_their_index_of_codes_one_by_one_and_it_serves_before_it_is_whole(
    empty: str, dsn: str
) -> None:
    await up_to(empty, 98)
    tomorrow, settled = today() + timedelta(days=1), today() - timedelta(days=10)
    async with connected(empty) as connection:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(partitions, "TABLES", _days_of(98))
            await partitions.ensure(connection, settled)
        for day in (settled, settled + timedelta(days=1)):
            await connection.execute(_PART, day_range(day)[0])
        await migrate.migrate(owner(empty), application=empty)
        held = {partitions.name("part", settled + timedelta(days=n)) for n in (0, 1)}
        indexed = {row[0] for row in await connection.fetch(_INDEXED)}
        assert not held & indexed, "their writers would have waited"
        assert partitions.name("part", tomorrow) in indexed
        assert "part_99991231" in indexed
        assert not await connection.fetchval(_WHOLE)

        # Days that come later have it, also those whose rows came before them.
        far = today() + timedelta(days=60)
        await connection.execute(_PART, day_range(far)[0])
        assert await connection.fetchval("SELECT partition_make('part', $1)", far) == "moved"
        assert await connection.fetchval("SELECT partition_make('part', $1)", far + timedelta(days=1)) == "made"
        named = {partitions.name("part", far + timedelta(days=n)) for n in (0, 1)}
        assert named <= {row[0] for row in await connection.fetch(_INDEXED)}
        await connection.execute(f"ANALYZE {partitions.name('part', far)}")
        plan = await connection.fetch(
            f"EXPLAIN SELECT id FROM part WHERE code = 'MK:7' AND id >= {day_range(far)[0]} ORDER BY id LIMIT 9"  # noqa: S608
        )
        assert f"{partitions.name('part', far)}_code_id_idx" in "\n".join(row[0] for row in plan)

        await _index(connection)
        assert held <= {row[0] for row in await connection.fetch(_INDEXED)}
        assert await connection.fetchval(_WHOLE)
        await _index(connection)  # all have all
        updated = [row["said"] for row in await connection.fetch(_SCHEMA)]
    async with connected(dsn) as connection:
        assert updated == [row["said"] for row in await connection.fetch(_SCHEMA)]
        (kinds,) = (said for said in updated if "ledger_kind_check" in said)
        assert not kinds.endswith("NOT VALID")
        assert not [said for said in updated if "not whole" in said or "ledger_refund" in said]


_BUILDS = "pid <> pg_backend_pid() AND query LIKE '%CREATE INDEX CONC%ledger_back%' AND wait_event_type = 'Lock'"
_WAITS = f"SELECT count(*) FROM pg_stat_activity WHERE {_BUILDS}"  # noqa: S608 - constants
# The one has waited for longer than a migration in a transaction may, and the other has come.
_LONG_ENOUGH = f"""
SELECT count(*) FROM pg_stat_activity
WHERE {_BUILDS} AND query_start < clock_timestamp() - interval '4.2 s'
    OR datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%advisory_lock%'
"""  # noqa: S608 - constants
_ENTRY = "INSERT INTO ledger (id, account_id, kind, units) VALUES ($2, $1, 'refund', 1)"


async def test_the_ledger_is_indexed_while_it_is_written_and_other_nodes_wait(empty: str) -> None:
    await up_to(empty, 107)
    async with connected(empty) as early, connected(empty) as late:
        account = await late.fetchval("INSERT INTO account (name) VALUES ('acme') RETURNING id")
        await late.execute("SET lock_timeout = '2s'")
        long = early.transaction()
        await long.start()
        await early.execute(_ENTRY, account, 1)
        nodes = [spawn(migrate.migrate(owner(empty), application=empty), name="one")]
        async with asyncio.timeout(60):
            while not await late.fetchval(_WAITS):  # noqa: ASYNC110 - the server's
                await asyncio.sleep(0.05)
            nodes.append(spawn(migrate.migrate(owner(empty), application=empty), name="other"))
            await late.execute(_ENTRY, account, 2)
            while await late.fetchval(_LONG_ENOUGH) < 2:  # noqa: ASYNC110 - the server's
                await asyncio.sleep(0.05)
        await long.commit()
        applied = await asyncio.gather(*nodes)
        assert (applied[0] > 0, applied[1]) == (True, 0)
        assert await late.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ledger_back'::regclass")
        assert await late.fetchval("SELECT convalidated FROM pg_constraint WHERE conname = 'ledger_kind_check'")


async def test_a_migration_outside_a_transaction_that_broke_off_begins_anew(empty: str) -> None:
    await up_to(empty, 107)
    async with connected(empty) as connection:
        await connection.execute("CREATE INDEX ledger_back ON ledger (id)")  # as what a build leaves that breaks off
        with pytest.MonkeyPatch.context() as patch:
            broken = [
                migrate.Migration(one.number, one.name, one.sql.replace("VALIDATE", "NO SUCH"))
                for one in migrate.migrations()
            ]
            patch.setattr(migrate, "migrations", lambda: broken)
            with pytest.raises(asyncpg.PostgresSyntaxError):
                await migrate.migrate(owner(empty), application=empty)
        assert await connection.fetchval("SELECT version FROM schema_info") < 109
        assert await migrate.migrate(owner(empty), application=empty) > 0
        assert await connection.fetchval("SELECT version FROM schema_info") == migrate.SCHEMA_VERSION
        definition = await connection.fetchval("SELECT indexdef FROM pg_indexes WHERE indexname = 'ledger_back'")
        assert "(at, id)" in definition


async def test_entries_of_numbers_get_their_ids_without_the_table_being_rewritten(empty: str) -> None:
    """Reports that teach a ported number wait for no update."""
    await up_to(empty, 194)
    async with connected(empty) as connection:
        insert = "INSERT INTO number_override (prefix, carrier, source) VALUES ($1, 'CMCC', 'import')"
        await connection.executemany(insert, [(one,) for one in ("1300000", "13800138000", "1550000", "19900000000")])
        file = "SELECT pg_relation_filenode('number_override')"
        before = await connection.fetchval(file)
        await up_to(empty, 195)
        await connection.execute(insert, "1710000")
        assert await connection.fetchval("SELECT count(id) FROM number_override") == 1, "new ones at once"
        await up_to(empty, 200)
        assert await connection.fetchval(file) == before
        assert await connection.fetchval("SELECT count(DISTINCT id) FROM number_override WHERE id >= 0") == 5
