"""Other roles at the database of a test, whose ``dsn`` is the application's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from smsgw.runtime.aio import spawn
from smsgw.store.engine import migrate as migrating, partitions
from smsgw.store.engine.database import Database
from smsgw.store.engine.database_roles import ADMIN, OWNER
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.migrate import SCHEMA_VERSION, Migration, migrate, migrations

ANYTHING_GOES = """
INSERT INTO policy (account_id, type, name, value)
SELECT 0, '', name, 'off' FROM unnest(ARRAY['sign_policy', 'filed_links', 'consent']) AS name
ON CONFLICT DO NOTHING
"""
"""Most tests send with whatever signature and to whomever; those about the defaults delete these rows."""


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
    connection = await asyncpg.connect(owner(dsn), timeout=60, command_timeout=300)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def one_more(patch: pytest.MonkeyPatch, sql: str) -> int:
    """Let this program ship one migration more; its number."""
    later = Migration(SCHEMA_VERSION + 1, "later", sql)
    known = [*migrations(), later]
    patch.setattr(migrating, "migrations", lambda: known)
    patch.setattr(migrating, "SCHEMA_VERSION", later.number)
    return later.number


async def drop_old(connection: asyncpg.Connection, today: date, keep: dict[str, int]) -> list[str]:
    """Let days go as the daily job does; the names of the partitions that went."""
    named = "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'"
    before = {row[0] for row in await connection.fetch(named)}
    for day, tables in (await partitions.old(connection, today, keep)).items():
        if not await partitions.drop(connection, day, tables):
            break
    return sorted(before - {row[0] for row in await connection.fetch(named)})


async def migrated(database: EmbeddedPostgres) -> str:
    """Start a server and bring its database to our schema; the address for the application, as of an external one."""
    dsn = await database.start()
    await migrate(database.owner_dsn, application=dsn)
    await change(dsn, ANYTHING_GOES)
    return dsn


class Waiting:
    """Commits that wait for a standby; ``server`` is a connection of the superuser's."""

    def __init__(self, server: asyncpg.Connection) -> None:
        self.server = server

    async def pid(self, other: int = 0) -> int:
        """The process of one that waits, and is not this one; 0: none does."""
        found: int | None = await self.server.fetchval(
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event = 'SyncRep' AND pid <> $1",
            other,
        )
        return found or 0

    async def until(self, look: Callable[[], Awaitable[object]]) -> None:
        """Wait for something that has to do with them."""
        async with asyncio.timeout(20):
            while not await look():  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def cancel(self, pid: int) -> None:
        """It waits no more, and is told that it has succeeded."""
        await self.server.execute("SELECT pg_cancel_backend($1)", pid)


async def _in_force(dsn: str, waiting: Waiting) -> None:
    """Commit until a commit waits: the server reads its configuration again in its own time."""
    probe = await asyncpg.connect(dsn, timeout=60, command_timeout=60)
    commit = None

    async def waits() -> bool:
        nonlocal commit
        if commit is None or commit.done():
            commit = spawn(probe.execute("SELECT pg_logical_emit_message(true, 'probe', '')"), name="probe")
        return await waiting.pid() == probe.get_server_pid()

    try:
        await waiting.until(waits)
        await waiting.cancel(probe.get_server_pid())
        assert commit is not None
        await commit
    finally:
        await probe.close()


@contextlib.asynccontextmanager
async def no_standby(dsn: str) -> AsyncIterator[Waiting]:
    """A server that has to wait for a standby, and has none. Afterwards it goes on alone."""
    server = await asyncpg.connect(admin(dsn), timeout=60, command_timeout=60)
    await server.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    await server.execute("SELECT pg_reload_conf()")
    waiting = Waiting(server)
    try:
        await _in_force(dsn, waiting)
        yield waiting
    finally:
        await server.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await server.execute("SELECT pg_reload_conf()")
        await server.close()


_TABLES = """
SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
    AND relnamespace = 'public'::regnamespace AND relname <> ALL($1) ORDER BY relname
"""


async def contents(database: Database, but: Sequence[str] = ()) -> dict[str, str]:
    """All that the database holds, a sum for each table but these."""
    rows = await database.fetch(_TABLES, list(but))
    one = "SELECT '{0}' AS name, md5(string_agg(t::text, ',' ORDER BY t::text)) AS sum FROM {0} t"
    every = " UNION ALL ".join(one.format(row["relname"]) for row in rows)
    return {row["name"]: row["sum"] for row in await database.fetch(every, timeout=60)}


_OF_TIME = """
SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE a.atttypid IN ('timestamptz'::regtype, 'date'::regtype) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2
"""


async def beyond(database: Database, first: str, last: str) -> list[str]:
    """The columns that hold times or days before the first day, or not before the last."""
    columns = [(row["relname"], row["attname"]) for row in await database.fetch(_OF_TIME)]
    one = """SELECT '{0}.{1}' AS name WHERE EXISTS (SELECT FROM {0} WHERE "{1}" < '{2}' OR "{1}" >= '{3}')"""
    every = " UNION ALL ".join(one.format(table, column, first, last) for table, column in columns)
    return [row["name"] for row in await database.fetch(every, timeout=60)]
