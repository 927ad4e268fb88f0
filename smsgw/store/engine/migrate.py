"""Numbered migrations, forward only, under an advisory lock; the schema states the oldest program it accepts.

The first migration is the baseline: a folder of files, which are read in the order of their names and make an empty
database what it is. What a database from before it has is not brought to it.

A migration is one transaction: its locks are held to its end, so it reads no long table. What does is a migration of
its own, ``-- outside a transaction`` its first line: each statement stands by itself and keeps no writer out
(``CONCURRENTLY``, ``VALIDATE``), and all may be run again, as a migration that broke off begins anew.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import date
from importlib import resources
from importlib.resources.abc import Traversable

import asyncpg
import structlog

from smsgw.runtime.log import safe
from smsgw.store.engine import database, database_roles, partitions

log = structlog.get_logger(__name__)

PATIENCE = 3600.0
"""Seconds for a statement: it may build an index over months of rows."""
_LOCK = 0x736D736777  # "smsgw"
_POLL = 0.2
_APART = "-- outside a transaction\n"
_END = re.compile(r";[^\S\n]*\n")
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+(\.sql)?")

_PIECE = re.compile(r"\d{2}_[a-z0-9_]+\.sql")
_BESIDE = frozenset({"__init__.py", "__pycache__"})
"""What makes the folder a package."""


class SchemaTooNew(RuntimeError):
    """The database was upgraded by a later program, which no longer accepts this one."""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def apart(self) -> tuple[str, ...]:
        """Its statements, when each of them runs by itself; none: all run in one transaction."""
        return tuple(one for one in _END.split(self.sql) if one.strip()) if self.sql.startswith(_APART) else ()


def migrations() -> list[Migration]:
    """All migrations this program ships, in order."""
    return migrations_in(resources.files("smsgw.store").joinpath("migrations"))


def migrations_in(folder: Traversable) -> list[Migration]:
    """All migrations of a folder, in order. ``ValueError``: a file in it is not one, or two have the same number."""
    found: dict[int, Migration] = {}
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name in _BESIDE:
            continue
        match = _NAME.fullmatch(entry.name)
        if match is None or entry.is_file() != bool(match[2]):
            raise ValueError(f"{entry.name} is not a migration: that is NNNN_name.sql, or a folder NNNN_name")
        if (other := found.get(int(match[1]))) is not None:
            raise ValueError(f"migrations {other.name} and {entry.name} have the same number")
        found[int(match[1])] = Migration(int(match[1]), entry.name, _read(entry))
    return [found[number] for number in sorted(found)]


def _read(entry: Traversable) -> str:
    if entry.is_file():
        return entry.read_text("utf-8")
    files = sorted(entry.iterdir(), key=lambda f: f.name)
    if strange := [file.name for file in files if not _PIECE.fullmatch(file.name)]:
        raise ValueError(f"{', '.join(strange)}: not part of migration {entry.name}, whose files are NN_name.sql")
    return "\n".join(file.read_text("utf-8") for file in files)


_KNOWN = migrations()
BASELINE = _KNOWN[0].number
"""The oldest schema that this program can upgrade."""
SCHEMA_VERSION = _KNOWN[-1].number
"""What this program was written for: the highest migration it ships."""


class SchemaTooOld(RuntimeError):
    """The database needs migrations, and the role that we are is not their owner; or it is from before the baseline."""


_MAY = """
SELECT CASE WHEN to_regclass('schema_info') IS NULL THEN has_schema_privilege(current_schema(), 'CREATE')
       ELSE (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('schema_info')) END
"""


async def migrate(dsn: str, *, application: str = "", today: date | None = None, restoring: bool = False) -> int:
    """Bring the database to this program's schema and make the partitions of the coming days.

    ``dsn`` is the owner's; ``application`` that of the role which the daemon works as, which is given what it needs
    (``roles``). With a ``dsn`` of the application it only looks whether there is anything to do.

    Returns the number of migrations applied. Safe to call from several nodes at once. Raises ``SchemaTooNew``,
    ``SchemaTooOld``, and but for who is ``restoring`` it ``BeingRestored``.
    """
    connection = await database.connect(dsn, statement_timeout=0, command_timeout=PATIENCE, unfinished=restoring)
    try:
        role = await _apart(connection, dsn, application)
        await _alone(connection)
        await connection.execute("SET lock_timeout = '4s'")
        version = 0
        if await connection.fetchval("SELECT to_regclass('schema_info') IS NOT NULL"):
            version = await _accepted(connection)
        if version < SCHEMA_VERSION and not await connection.fetchval(_MAY):
            raise SchemaTooOld(
                f"the database has schema {version}, this program needs {SCHEMA_VERSION}, and the role "
                f"{await database_roles.name_of(connection)} does not own it: "
                "run smsgwctl migrate --dsn with the owner's, or set [database] owner_dsn"
            )
        applied = 0
        for migration in migrations():
            if migration.number > version:
                if migration.apart:
                    await _run_apart(connection, migration.apart)
                async with connection.transaction():
                    if not migration.apart:
                        await connection.execute(migration.sql)
                    await connection.execute("UPDATE schema_info SET version = $1", migration.number)
                    if role:  # with it: there is no moment in which a node misses a right
                        await database_roles.settle(connection, role)
                log.info("schema.migrated", migration=migration.name)
                applied += 1
        if role and version <= SCHEMA_VERSION:  # what a later program needs is not ours to take
            async with connection.transaction():
                await database_roles.settle(connection, role)
        await partitions.ensure(connection, today or await connection.fetchval(partitions.TODAY))
        return applied
    finally:
        await connection.close(timeout=5)


async def look(dsn: str, least: int) -> None:
    """See whether the database can be used with the schema that it has, and change nothing. ``SchemaTooNew``;
    ``BeingRestored``; ``SchemaTooOld`` where it is older than ``least``; ``OSError``; ``RuntimeError`` for what else is
    the matter."""
    try:
        connection = await database.connect(dsn, statement_timeout=database.STATEMENT_TIMEOUT)
        try:
            version = 0
            if await connection.fetchval("SELECT to_regclass('schema_info') IS NOT NULL"):
                version = await _accepted(connection)
        finally:
            await connection.close(timeout=5)
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        raise RuntimeError(f"the database cannot be used: {safe(exc)}") from exc
    if version < least:
        raise SchemaTooOld(
            f"the database has schema {version}, and this needs {least}: take the program that goes with it"
        )


async def _accepted(connection: database.Connection) -> int:
    """The schema that there is, if this program may use it or upgrade it."""
    row = await connection.fetchrow("SELECT version, compat FROM schema_info")
    if row is None:
        raise SchemaTooNew("the table schema_info is empty: this is not a database of smsgw")
    if row["compat"] > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"the database has schema {row['version']}, which needs a program that knows schema {row['compat']}; "
            f"this one knows {SCHEMA_VERSION}: install the newer smsgw"
        )
    version: int = row["version"]
    if version < BASELINE:
        raise SchemaTooOld(
            f"the database has schema {version}, from before the baseline {BASELINE}, and cannot be upgraded; nothing "
            "in it was changed: keep it for the program that made it, and give this one an empty database"
        )
    return version


async def _alone(connection: database.Connection) -> None:
    """Wait until no other node migrates; by asking again, as ``CONCURRENTLY`` there waits for statements that wait."""
    async with asyncio.timeout(database.COMMAND_TIMEOUT):
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(_POLL)


async def _run_apart(connection: database.Connection, statements: tuple[str, ...]) -> None:
    """They wait for older transactions, however long, as nobody waits for them."""
    await connection.execute("SET lock_timeout = 0")
    for statement in statements:
        await connection.execute(statement)
    await connection.execute("SET lock_timeout = '4s'")


async def _apart(connection: database.Connection, dsn: str, application: str) -> str:
    """The application's role, when it is one of its own."""
    if application in ("", dsn):
        return ""
    other = await database.connect(application, unfinished=True)
    try:
        role = await database_roles.name_of(other)
    finally:
        await other.close(timeout=5)
    return role if await database_roles.apart(connection, role) else ""
