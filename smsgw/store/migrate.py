"""Numbered migrations, forward only, under an advisory lock; the schema states the oldest program it accepts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from importlib import resources

import structlog

from smsgw.store import db, partitions

log = structlog.get_logger(__name__)

_LOCK = 0x736D736777  # "smsgw"
_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.(pre|post)\.sql$")


class SchemaTooNew(RuntimeError):
    """The database was upgraded by a later program, which no longer accepts this one."""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """All migrations this program ships, in order."""
    folder = resources.files(__package__).joinpath("migrations")
    found = [
        Migration(int(match[1]), entry.name, entry.read_text("utf-8"))
        for entry in folder.iterdir()
        if (match := _NAME.match(entry.name))
    ]
    return sorted(found, key=lambda m: m.number)


SCHEMA_VERSION = migrations()[-1].number
"""What this program was written for: the highest migration it ships."""


async def migrate(dsn: str, *, today: date | None = None) -> int:
    """Bring the database to this program's schema and make the partitions of the coming days.

    Returns the number of migrations applied. Safe to call from several nodes at once. Raises ``SchemaTooNew``.
    """
    connection = await db.connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute("SET lock_timeout = '4s'")
        version = 0
        if await connection.fetchval("SELECT to_regclass('schema_info') IS NOT NULL"):
            row = await connection.fetchrow("SELECT version, compat FROM schema_info")
            if row is None:
                raise SchemaTooNew("the table schema_info is empty: this is not a database of smsgw")
            version = row["version"]
            if row["compat"] > SCHEMA_VERSION:
                raise SchemaTooNew(
                    f"the database has schema {version}, which needs a program that knows schema {row['compat']}; "
                    f"this one knows {SCHEMA_VERSION}: install the newer smsgw"
                )
        applied = 0
        for migration in migrations():
            if migration.number > version:
                async with connection.transaction():
                    await connection.execute(migration.sql)
                    await connection.execute("UPDATE schema_info SET version = $1", migration.number)
                log.info("schema.migrated", migration=migration.name)
                applied += 1
        await partitions.ensure(connection, today or await connection.fetchval(partitions.TODAY))
        return applied
    finally:
        await connection.close(timeout=5)
