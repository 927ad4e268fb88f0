"""Other roles at the database of a test, whose ``dsn`` is the application's."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import asyncpg

from smsgw.store.engine.database_roles import ADMIN, OWNER
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.migrate import migrate


def owner(dsn: str) -> str:
    """The same database for the role that may change the schema."""
    return _as(OWNER, dsn)


def admin(dsn: str) -> str:
    """The same database for the superuser."""
    return _as(ADMIN, dsn)


def _as(role: str, dsn: str) -> str:
    parts = urlsplit(dsn)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}@{place}"))


async def change(dsn: str, *statements: str) -> None:
    """Run statements as the owner: what the application may not do."""
    connection = await asyncpg.connect(owner(dsn), timeout=10, command_timeout=300)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def migrated(database: EmbeddedPostgres) -> str:
    """Start a server and bring its database to our schema; the address for the application, as of an external one."""
    dsn = await database.start()
    await migrate(database.owner_dsn, application=dsn)
    return dsn
