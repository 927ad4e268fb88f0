"""The schema and who may do what: migrations over what is there, and the roles that the program has in the database."""

from __future__ import annotations

import ast
import asyncio
import importlib
import os
import pkgutil
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from changes import by_test
from databases import admin, change, owner
from days import today

import smsgw
from smsgw.core.accounts import networks
from smsgw.core.ids import day_range
from smsgw.core.webhooks import Reach
from smsgw.platform.accounts import service as accounts
from smsgw.platform.keys import service as keys
from smsgw.platform.webhooks import service as webhooks
from smsgw.platform.webhooks.model import Wanted
from smsgw.runtime.aio import spawn
from smsgw.store.config import accounts as accounts_store
from smsgw.store.engine import database_roles, migrate, partitions
from smsgw.store.engine.database import Database, connect
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


async def test_days_with_parts_get_their_index_of_codes_one_by_one(empty: str, dsn: str) -> None:
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


_STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|TABLE)\b", re.IGNORECASE)
_NOT_PLAIN = (
    *("smsgw.store.engine.migrate", "smsgw.store.engine.cluster_roles", "smsgw.store.engine.embedded"),
    *("smsgw.bench", "smsgw.simulator"),
)
"""Modules whose statements are the owner's, or nobody's."""


@pytest_asyncio.fixture
async def application(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(dsn)
    yield connection
    await connection.close()


def _texts(module: object, path: Path) -> Iterator[str]:
    """Texts of a module that are statements: constants as they are made up, and those written where they are used."""
    for value in list(vars(module).values()):
        values = value if isinstance(value, tuple | list) else value.values() if isinstance(value, dict) else [value]
        yield from (v for v in values if isinstance(v, str) and _STATEMENT.match(v))
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _STATEMENT.match(node.value):
            yield node.value


def statements() -> set[str]:
    found: set[str] = set()
    for info in pkgutil.walk_packages(smsgw.__path__, "smsgw."):
        if not info.name.startswith(_NOT_PLAIN) and not info.name.endswith("__main__"):
            module = importlib.import_module(info.name)
            assert module.__file__
            found.update(_texts(module, Path(module.__file__)))
    return found


async def test_every_statement_is_the_applications_to_run(dsn: str, application: asyncpg.Connection) -> None:
    await application.execute("SET statement_timeout = '10s'")
    refused, planned = [], 0
    for sql in sorted(statements()):
        try:
            await application.execute(f"EXPLAIN (GENERIC_PLAN) {sql}")
        except asyncpg.InsufficientPrivilegeError as exc:
            refused.append(f"{exc}: {sql}")
        except asyncpg.PostgresError:  # a piece of one, or a text that only begins like one
            continue
        else:
            planned += 1
    assert not refused, "\n\n".join(refused)
    assert planned > 300, planned


async def test_every_table_has_a_decision(dsn: str) -> None:
    """A new table: add it to ``smsgw.store.engine.database_roles.TABLES`` with what the program does with it."""
    connection = await asyncpg.connect(owner(dsn))
    found = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') "
        "AND NOT relispartition"
    )
    assert {row[0] for row in found} - set(database_roles.TABLES) == set()
    for row in found:
        has = await connection.fetchval(
            "SELECT array_agg(privilege_type) FROM pg_class, aclexplode(relacl) "
            "WHERE relname = $1 AND grantee = $2::regrole", row[0], database_roles.APPLICATION,
        )  # fmt: skip
        assert set(has) == database_roles.TABLES[row[0]], row[0]
    await connection.close()


async def test_what_the_owner_does_for_others_is_listed_and_goes_by_a_path_of_its_own(dsn: str) -> None:
    connection = await asyncpg.connect(owner(dsn))
    found = await connection.fetch(
        "SELECT proname, proconfig::text AS settings, EXISTS (SELECT FROM aclexplode(coalesce(proacl, "
        "acldefault('f', proowner))) WHERE grantee = 0) AS open FROM pg_proc "
        "WHERE prosecdef AND pronamespace = 'public'::regnamespace"
    )
    assert {"partition_make", "partition_drop"} <= {row["proname"] for row in found} <= set(database_roles.FUNCTIONS)
    for row in found:
        assert '"search_path=public, pg_temp"' in row["settings"], row
        assert not row["open"], row
    await connection.close()


INTRUSIONS = [
    "COPY (SELECT 1) TO PROGRAM 'touch /tmp/smsgw-was-here'", "COPY account FROM PROGRAM 'id'",
    "COPY (SELECT 1) TO '/tmp/smsgw-was-here'", "COPY word (word) FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')", "SELECT pg_ls_dir('/')", "SELECT lo_import('/etc/passwd')",
    "CREATE FUNCTION evil() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION pg_temp.evil() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE EXTENSION dblink",
    "CREATE EXTENSION pgcrypto", "CREATE LANGUAGE plperlu", "CREATE SCHEMA evil", "CREATE TABLE evil (n int)",
    "CREATE TEMPORARY TABLE evil (n int)", "ALTER SYSTEM SET archive_command = 'id'",
    "ALTER DATABASE smsgw SET search_path = evil", f"SET ROLE {database_roles.OWNER}",
    f"SET ROLE {database_roles.ADMIN}", f"SET SESSION AUTHORIZATION {database_roles.ADMIN}",
    f"GRANT {database_roles.OWNER} TO {database_roles.APPLICATION}",
    f"ALTER ROLE {database_roles.APPLICATION} SUPERUSER", "CREATE ROLE evil", "CREATE DATABASE evil",
    "DROP TABLE part", "TRUNCATE part", "ALTER TABLE part DISABLE TRIGGER ALL",
    "ALTER TABLE account ADD COLUMN evil int",
    "CREATE TRIGGER evil BEFORE UPDATE ON part FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE INDEX ON part (number)", "ALTER FUNCTION partition_drop(text, date) SECURITY INVOKER",
    "SELECT * FROM pg_authid", "SELECT * FROM pg_hba_file_rules", "UPDATE audit SET actor = 'nobody'",
    "DELETE FROM audit", "UPDATE ledger SET units = 0", "DELETE FROM message", "DELETE FROM part",
    "UPDATE schema_info SET compat = 9999", "SELECT setval('config_version', 1)",
    "SET session_replication_role = replica", "CREATE PUBLICATION evil FOR ALL TABLES", "SELECT pg_reload_conf()",
    "SELECT pg_create_physical_replication_slot('evil')",
]  # fmt: skip


async def test_what_an_intruder_would_run_is_refused(application: asyncpg.Connection) -> None:
    for statement in INTRUSIONS:
        try:
            await application.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            continue
        except (asyncpg.UndefinedFileError, asyncpg.FeatureNotSupportedError):
            if statement.startswith(("CREATE EXTENSION", "CREATE LANGUAGE")):  # it is not even shipped
                continue
            raise
        raise AssertionError(f"it ran: {statement}")
    assert not Path("/tmp/smsgw-was-here").exists()  # noqa: S108 - the place that the statements name


async def test_the_application_sees_no_other_database(postgres: object, dsn: str) -> None:
    for name in ("postgres", "template1"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(dsn.replace(dsn.split("@/")[1].split("?")[0], name, 1))


async def test_the_owners_functions_do_what_they_are_for_and_nothing_else(application: asyncpg.Connection) -> None:
    for call, why in {
        "partition_drop('part', current_date)": "to be kept",
        "partition_drop('part', current_date - 13)": "to be kept",
        "partition_drop('mo', current_date)": "to be kept",
        "partition_drop('part', 'infinity')": "to be kept",
        "partition_drop('account', '2025-01-01')": "no day partition",
        "partition_drop('part', '2025-01-01')": "no day partition",
        "partition_drop('part; DROP TABLE account', '2025-01-01')": "no day partition",
        "partition_make('account', current_date)": "no table of day partitions",
        "partition_make('part_99991231', current_date)": "no table of day partitions",
        "partition_make('pg_class', current_date)": "no table of day partitions",
        "partition_make('part', '9999-12-31')": "no day of ours",
        "partition_make('part', 'infinity')": "no day of ours",
    }.items():
        with pytest.raises(asyncpg.InvalidParameterValueError, match=why):
            await application.execute(f"SELECT {call}")


async def test_the_callers_path_leads_the_owners_functions_nowhere(application: asyncpg.Connection) -> None:
    await application.execute("SET search_path = pg_temp, pg_catalog")
    assert await application.fetchval("SELECT public.partition_make('part', '2025-01-01')") == "made"
    assert await application.fetchval("SELECT public.partition_make('part', '2025-01-01')") == "there"
    assert await application.fetchval("SELECT to_regclass('public.part_20250101') IS NOT NULL")
    await application.execute("SELECT public.partition_drop('part', '2025-01-01')")
    assert await application.fetchval("SELECT to_regclass('public.part_20250101') IS NULL")


async def test_days_are_cut_in_the_database_as_in_the_program(application: asyncpg.Connection) -> None:
    shown = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = to_regclass($1)"
    for day in (date(2023, 12, 31), date(2024, 1, 1), date(2025, 2, 28), date(2044, 2, 29)):
        await application.execute("SELECT partition_make('event', $1)", day)
        low, high = day_range(day)
        bounds = await application.fetchval(shown, partitions.name("event", day))
        assert re.findall(r"-?\d+", bounds) == [str(low), str(high)], (day, bounds)


async def test_rights_are_mended_and_a_second_look_changes_nothing(dsn: str) -> None:
    connection = await asyncpg.connect(owner(dsn))
    acl = "SELECT array_agg(relacl::text ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    try:
        before = await connection.fetchval(acl)
        await connection.execute(f"GRANT ALL ON audit, ledger TO {database_roles.APPLICATION}")
        await connection.execute(f"REVOKE SELECT ON account FROM {database_roles.APPLICATION}")  # noqa: S608 - a name of ours
        await connection.execute(f"REVOKE ALL ON SEQUENCE config_version FROM {database_roles.APPLICATION}")
        await connection.execute("CREATE TABLE later (n int)")
        await database_roles.settle(connection, database_roles.APPLICATION)
        await connection.execute("INSERT INTO later VALUES (1)")
        beside = await connect(dsn)
        assert await beside.fetchval("DELETE FROM later RETURNING n") == 1, "a table that nobody decided about works"
        await beside.close()
        await connection.execute("DROP TABLE later")
        marks = "SELECT sum(xmin::text::bigint) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        mark = await connection.fetchval(marks)
        await database_roles.settle(connection, database_roles.APPLICATION)
        assert await connection.fetchval(marks) == mark
        assert [sorted(set(re.findall(r"smsgw=(\w+)", a or ""))) for a in await connection.fetchval(acl)] == [
            sorted(set(re.findall(r"smsgw=(\w+)", a or ""))) for a in before
        ]
    finally:
        await connection.close()


async def test_the_application_alone_may_start_on_a_schema_that_is_up_to_date(dsn: str) -> None:
    assert await migrate.migrate(dsn, application=dsn) == 0
    await change(dsn, "UPDATE schema_info SET version = version - 1")
    with pytest.raises(migrate.SchemaTooOld, match="smsgwctl migrate --dsn"):
        await migrate.migrate(dsn, application=dsn)


async def test_one_role_for_all_works_and_is_warned_of(dsn: str) -> None:
    alone = owner(dsn)
    assert await migrate.migrate(alone, application=alone) == 0
    for address, may in (
        (dsn, ""),
        (alone, "owns the tables, may make tables and functions"),
        (admin(dsn), "superuser, owns the tables, may make roles, may make databases, may make tables and functions"),
    ):
        connection = await connect(address)
        row = await connection.fetchrow(database_roles.WALLS)
        assert row["may"] == may
        await connection.close()


@pytest.mark.shard("processes")
async def test_the_commands_with_two_roles_and_with_one(postgres: Any, tmp_path: Path) -> None:
    dsn = await postgres.make("two_roles")
    await durable(postgres, "on")

    async def ctl(*words: str, **settings: str) -> tuple[int, str]:
        environ = {"PATH": os.environ["PATH"], "SMSGW_NODE_DATA_DIR": str(tmp_path / "data"), "SMSGW_DATABASE_DSN": dsn}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "smsgw", *words, env=environ | settings,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode or 0, said.decode()

    owned = owner(dsn)
    try:
        for words, settings, code, text, warned in (
            (("check",), {}, 1, "does not own it: run smsgwctl migrate --dsn", False),
            (("migrate", "--dsn", owned), {}, 0, f"schema {migrate.SCHEMA_VERSION} ", False),
            (("check",), {}, 0, "", False),
            (("check",), {"SMSGW_DATABASE_OWNER_DSN": owned}, 0, "", False),
            (("check",), {"SMSGW_RETENTION_MESSAGES_DAYS": "3650"}, 0, "raise max_locks_per_transaction", True),
            (("check",), {"SMSGW_DATABASE_DSN": owned}, 0, "WARNING: owns the tables", True),
            (("migrate", "--dsn", owned), {"SMSGW_DATABASE_DSN": ""}, 1, "--dsn is for", False),
        ):
            ended, said = await ctl(*words, **settings)
            assert (ended, text in said, "WARNING" in said) == (code, True, warned), said
    finally:
        await durable(postgres, "off")
        await postgres.drop("two_roles")


async def durable(postgres: Any, state: str) -> None:
    """The tests' server does without fsync; ``check`` rightly refuses one that does."""
    connection = await asyncpg.connect(postgres.embedded.address(database_roles.ADMIN), timeout=10, command_timeout=30)
    try:
        await connection.execute(f"ALTER SYSTEM SET fsync = {state}")
        await connection.execute("SELECT pg_reload_conf()")
        async with asyncio.timeout(60):
            while await connection.fetchval("SHOW fsync") != state:  # noqa: ASYNC110 - another process's
                await asyncio.sleep(0.05)
    finally:
        await connection.close()
