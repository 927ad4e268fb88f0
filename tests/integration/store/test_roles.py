"""The role that the program works as may do what the program does, and nothing that an intruder would like to do."""

from __future__ import annotations

import ast
import asyncio
import importlib
import os
import pkgutil
import re
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from databases import admin, change, owner

import smsgw
from smsgw.core.ids import day_range
from smsgw.store.engine import database_roles, migrate, partitions
from smsgw.store.engine.database import connect

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
        values = (value if isinstance(value, tuple | list) else value.values() if isinstance(value, dict) else [value])
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


async def test_every_statement_of_the_program_is_the_applications_to_run(
    dsn: str, application: asyncpg.Connection
) -> None:
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
    "COPY (SELECT 1) TO PROGRAM 'touch /tmp/smsgw-was-here'",
    "COPY account FROM PROGRAM 'id'",
    "COPY (SELECT 1) TO '/tmp/smsgw-was-here'",
    "COPY word (word) FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "CREATE FUNCTION evil() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION pg_temp.evil() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE EXTENSION dblink",
    "CREATE EXTENSION pgcrypto",
    "CREATE LANGUAGE plperlu",
    "CREATE SCHEMA evil",
    "CREATE TABLE evil (n int)",
    "CREATE TEMPORARY TABLE evil (n int)",
    "ALTER SYSTEM SET archive_command = 'id'",
    "ALTER DATABASE smsgw SET search_path = evil",
    f"SET ROLE {database_roles.OWNER}",
    f"SET ROLE {database_roles.ADMIN}",
    f"SET SESSION AUTHORIZATION {database_roles.ADMIN}",
    f"GRANT {database_roles.OWNER} TO {database_roles.APPLICATION}",
    f"ALTER ROLE {database_roles.APPLICATION} SUPERUSER",
    "CREATE ROLE evil",
    "CREATE DATABASE evil",
    "DROP TABLE part",
    "TRUNCATE part",
    "ALTER TABLE part DISABLE TRIGGER ALL",
    "ALTER TABLE account ADD COLUMN evil int",
    "CREATE TRIGGER evil BEFORE UPDATE ON part FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE INDEX ON part (number)",
    "ALTER FUNCTION partition_drop(text, date) SECURITY INVOKER",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_hba_file_rules",
    "UPDATE audit SET actor = 'nobody'",
    "DELETE FROM audit",
    "UPDATE ledger SET units = 0",
    "DELETE FROM message",
    "DELETE FROM part",
    "UPDATE schema_info SET compat = 9999",
    "SELECT setval('config_version', 1)",
    "SET session_replication_role = replica",
    "CREATE PUBLICATION evil FOR ALL TABLES",
    "SELECT pg_reload_conf()",
    "SELECT pg_create_physical_replication_slot('evil')",
]


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
        assert await beside.fetchval("DELETE FROM later RETURNING n") == 1, ("a table that nobody decided about works")
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
