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
from databases import admin, owner
from days import today

import smsgw
from smsgw.core.ids import day_range
from smsgw.platform.accounts import service as accounts
from smsgw.runtime.aio import spawn
from smsgw.store.engine import database_roles, migrate, partitions
from smsgw.store.engine.database import Database, connect

_LINK = """
INSERT INTO short_link (account_id, name, kind, origin, domain, chosen, target, state, passed, valid_from, valid_until,
                        made_by)
VALUES ($1, 'n', 'shared', 'api', 's.example.cn', $2, 'https://example.org/', 'active', 1, $3::text::timestamptz,
        $4::text::timestamptz, 'test')
"""


async def test_no_time_beyond_all_bounds_gets_in(dsn: str, database: Database) -> None:
    account = await accounts.add(by_test(database), "shop")
    async with connected(dsn) as connection:
        for begin, end in (("infinity", None), (None, "9999-12-31"), ("0001-01-01", None)):
            with pytest.raises(asyncpg.CheckViolationError):
                await connection.execute(_LINK, account, "f", begin, end)


_PART = """
INSERT INTO part (id, part, total, account_id, pool_id, lane, state, accepted_at, expires_at, code)
SELECT $1::bigint + n, 1, 1, 1, 1, 2, 41, now(), now(), CASE WHEN n = 7 THEN 'MK:7' ELSE 'DELIVRD' END
FROM generate_series(1, 3000) n
"""
_INDEXED = """
SELECT t.relname FROM pg_inherits i JOIN pg_index x ON x.indexrelid = i.inhrelid JOIN pg_class t ON t.oid = x.indrelid
WHERE i.inhparent = 'part_code'::regclass AND x.indisvalid
"""
_DAYS = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'part'::regclass"
_WHOLE = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'part_code'::regclass"


_BASELINE = migrate.migrations()
_LATER = migrate.Migration(
    migrate.SCHEMA_VERSION + 1, "later",
    "-- outside a transaction\n"
    "DROP INDEX CONCURRENTLY IF EXISTS ledger_later;\nCREATE INDEX CONCURRENTLY ledger_later ON ledger (at, id);\n"
    "ALTER TABLE ledger DROP CONSTRAINT IF EXISTS ledger_later;\n"
    "ALTER TABLE ledger ADD CONSTRAINT ledger_later CHECK (id > 0) NOT VALID;\n"
    "ALTER TABLE ledger VALIDATE CONSTRAINT ledger_later;\n",
)  # fmt: skip
"""Of a release after this one."""


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "migrations", lambda: [*_BASELINE, _LATER])
    monkeypatch.setattr(migrate, "SCHEMA_VERSION", _LATER.number)


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


async def test_days_with_parts_get_their_index_of_codes_one_by_one(dsn: str) -> None:
    settled = today() - timedelta(days=10)
    held = {partitions.name("part", settled + timedelta(days=n)) for n in (0, 1)}
    async with connected(dsn) as connection:
        await partitions.ensure(connection, settled)
        for day in (settled, settled + timedelta(days=1)):
            await connection.execute(_PART, day_range(day)[0])
        await connection.execute("DROP INDEX part_code")
        codes = "(code, id) WHERE code NOT IN ('', 'DELIVRD')"
        await connection.execute(f"CREATE INDEX part_code ON ONLY part {codes}")
        for row in await connection.fetch(_DAYS):
            if row["name"] not in held:
                await connection.execute(f"CREATE INDEX {row['name']}_code_id_idx ON {row['name']} {codes}")
                await connection.execute(f"ALTER INDEX part_code ATTACH PARTITION {row['name']}_code_id_idx")
        assert not held & {row[0] for row in await connection.fetch(_INDEXED)}, "their writers would have waited"
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


_BUILDS = "pid <> pg_backend_pid() AND query LIKE '%CREATE INDEX CONC%ledger_later%' AND wait_event_type = 'Lock'"
_WAITS = f"SELECT count(*) FROM pg_stat_activity WHERE {_BUILDS}"  # noqa: S608 - constants
# The one has waited for longer than a migration in a transaction may, and the other has come.
_LONG_ENOUGH = f"""
SELECT count(*) FROM pg_stat_activity
WHERE {_BUILDS} AND query_start < clock_timestamp() - interval '4.2 s'
    OR datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%advisory_lock%'
"""  # noqa: S608 - constants
_ENTRY = "INSERT INTO ledger (id, account_id, kind, units) VALUES ($2, $1, 'refund', 1)"


async def test_the_ledger_is_indexed_while_it_is_written_and_other_nodes_wait(dsn: str, later: None) -> None:
    async with connected(dsn) as early, connected(dsn) as late:
        account = await late.fetchval("INSERT INTO account (name) VALUES ('acme') RETURNING id")
        await late.execute("SET lock_timeout = '2s'")
        long = early.transaction()
        await long.start()
        await early.execute(_ENTRY, account, 1)
        nodes = [spawn(migrate.migrate(owner(dsn), application=dsn), name="one")]
        async with asyncio.timeout(60):
            while not await late.fetchval(_WAITS):  # noqa: ASYNC110 - the server's
                await asyncio.sleep(0.05)
            nodes.append(spawn(migrate.migrate(owner(dsn), application=dsn), name="other"))
            await late.execute(_ENTRY, account, 2)
            while await late.fetchval(_LONG_ENOUGH) < 2:  # noqa: ASYNC110 - the server's
                await asyncio.sleep(0.05)
        await long.commit()
        applied = await asyncio.gather(*nodes)
        assert (applied[0] > 0, applied[1]) == (True, 0)
        assert await late.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ledger_later'::regclass")
        assert await late.fetchval("SELECT convalidated FROM pg_constraint WHERE conname = 'ledger_later'")


async def test_a_migration_outside_a_transaction_that_broke_off_begins_anew(dsn: str, later: None) -> None:
    async with connected(dsn) as connection:
        await connection.execute("CREATE INDEX ledger_later ON ledger (id)")  # as what a build leaves that breaks off
        with pytest.MonkeyPatch.context() as patch:
            broken = [
                migrate.Migration(one.number, one.name, one.sql.replace("VALIDATE", "NO SUCH"))
                for one in migrate.migrations()
            ]
            patch.setattr(migrate, "migrations", lambda: broken)
            with pytest.raises(asyncpg.PostgresSyntaxError):
                await migrate.migrate(owner(dsn), application=dsn)
        assert await connection.fetchval("SELECT version FROM schema_info") == _BASELINE[-1].number
        assert await migrate.migrate(owner(dsn), application=dsn) > 0
        assert await connection.fetchval("SELECT version FROM schema_info") == _LATER.number
        definition = await connection.fetchval("SELECT indexdef FROM pg_indexes WHERE indexname = 'ledger_later'")
        assert "(at, id)" in definition


async def test_a_database_from_before_the_baseline_is_left_as_it_is(dsn: str) -> None:
    async with connected(dsn) as connection:
        await connection.execute("UPDATE schema_info SET version = 287, compat = 250")
        with pytest.raises(migrate.SchemaTooOld, match="schema 287, from before the baseline"):
            await migrate.migrate(owner(dsn), application=dsn)
        assert await connection.fetchval("SELECT version FROM schema_info") == 287


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


async def test_the_application_alone_may_start_on_a_schema_that_is_up_to_date(
    dsn: str, request: pytest.FixtureRequest
) -> None:
    assert await migrate.migrate(dsn, application=dsn) == 0
    request.getfixturevalue("later")
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
