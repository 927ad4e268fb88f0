"""A backup into an empty database, for good. Until it is settled a table marks it, and nobody works with it.

Whoever connects looks for the mark (``database.see_whole``), and there is no restore while somebody else has a
connection: so a node that went on running stays outside like one that starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from smsgw.runtime.log import safe
from smsgw.store.engine import dumps
from smsgw.store.engine.database import MARKED, Connection, Database, connect
from smsgw.store.engine.dumps import DumpError, Manifest

PATIENCE = 3600.0
"""Seconds for a statement: it may be about millions of rows."""
_LOCK = 0x726573746F7265  # "restore"
_GONE = 5.0
"""Seconds that a connection which was closed may still be there."""
_OTHERS = """
SELECT count(*) AS n, string_agg(DISTINCT format('%s (%s)', usename, application_name), ', ') AS who
FROM pg_stat_activity WHERE datname = current_database() AND usename IS NOT NULL AND pid <> ALL($1::int[])
  AND COALESCE(backend_start < $2, true)
"""
"""Who has come since has seen the mark. When that was a role that is not the server's may not see of others."""
_MARK = """
CREATE TABLE public.restoring (
    since timestamptz NOT NULL DEFAULT clock_timestamp(), token text NOT NULL, loads boolean NOT NULL
);
INSERT INTO public.restoring (token, loads) VALUES ('{token}', {loads});
"""
_UNMARK = "DROP TABLE IF EXISTS public.restoring;"
_WHOSE = "SELECT token, loads FROM public.restoring"
_TABLE = "public.restoring"
_FOUND = """
SELECT to_regclass('public.restoring') IS NOT NULL AS marked, count(*) AS tables
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
"""
# Step by step: each takes a lock for every table and index that it drops, and a server has room for a few thousand.
_DAYS = """
SELECT string_agg(format('%I.%I', nspname, relname), ', ') FROM (
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relispartition AND c.relkind = 'r' AND n.nspname = 'public' LIMIT 50
) d
"""
_BEGIN_ANEW = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
_EPOCH_STEP = 10**9
# What nodes have written down under epochs that the backup does not know is about another past: none is used again.
_EPOCHS = "SELECT setval('lease_epoch', (last_value / $1::bigint + 1) * $1::bigint) FROM lease_epoch"
_LEASES = "DELETE FROM lease"
_IDS = "UPDATE node SET last_id = greatest(last_id, $1)"


@dataclass(frozen=True, slots=True)
class Place:
    """The database that a backup is to go to."""

    tables: int
    begun: bool
    """By a restore that has not come to its end: what is there is worth nothing. One in place loads nothing."""


@contextlib.contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as exc:
        raise DumpError(f"the database: {safe(exc)}") from exc


@contextlib.asynccontextmanager
async def owned(dsn: str) -> AsyncIterator[Connection]:
    """The database as its owner, with time for long statements, also while it is being restored. ``DumpError``."""
    with _said():
        connection = await connect(dsn, statement_timeout=0, command_timeout=PATIENCE, unfinished=True)
        try:
            yield connection
        finally:
            with contextlib.suppress(Exception):
                await connection.close(timeout=5)


async def place(dsn: str) -> Place:
    """What is there."""
    async with owned(dsn) as connection:
        row = await connection.fetchrow(_FOUND)
        mark = await connection.fetchrow(_WHOSE) if row is not None and row["marked"] else None
    return Place(0 if row is None else row["tables"], mark is not None and mark["loads"])


@dataclass(frozen=True, slots=True)
class Claim:
    """Of a restore on a database: there is one at a time."""

    dsn: str
    token: str
    """What its mark says."""
    pid: int
    """Of the session that has the lock."""

    async def mark(self, *, loads: bool) -> None:
        """From here on nobody comes in. ``loads``: what is there is worth nothing until it is done. ``DumpError`` when
        somebody is in, and then it is as before."""
        async with owned(self.dsn) as connection, connection.transaction():
            marked = await connection.fetchval(MARKED)
            await connection.execute(_UNMARK + _MARK.format(token=self.token, loads=loads))
        try:
            await self._wait_for_others()
        except BaseException:
            if not marked:
                async with owned(self.dsn) as connection:
                    await connection.execute(_UNMARK)
            raise

    async def _wait_for_others(self) -> None:
        async with owned(self.dsn) as connection:
            until = asyncio.get_running_loop().time() + _GONE
            own, marked = [self.pid, connection.get_server_pid()], await connection.fetchval("SELECT clock_timestamp()")
            while (others := await connection.fetchrow(_OTHERS, own, marked)) and others["n"]:
                if asyncio.get_running_loop().time() > until:
                    raise DumpError(
                        f"{others['n']} other connection(s) to the database: {others['who']}; end them first (nodes on "
                        "every machine, commands, tools)"
                    )
                await asyncio.sleep(0.2)

    async def open_parts(self) -> dict[str, int]:
        """Parts without an end, by state, of what is there. ``DumpError`` where there is nothing that could be used."""
        found = await place(self.dsn)
        if not found.tables or found.begun:
            raise DumpError("there is no database to be used: a backup goes into it first (smsgwctl restore FILE)")
        async with owned(self.dsn) as connection:
            return await dumps.open_parts(connection)

    async def clear(self) -> None:
        """What an earlier one has left goes, but for the mark."""
        async with owned(self.dsn) as connection:
            while days := await connection.fetchval(_DAYS):
                await connection.execute(f"DROP TABLE {days} CASCADE")
            await connection.execute(_BEGIN_ANEW + _MARK.format(token=self.token, loads=True))

    async def held(self, connection: Connection) -> None:
        """See that the mark is still this one's. ``DumpError``."""
        mark = await connection.fetchrow(_WHOSE) if await connection.fetchval(MARKED) else None
        if mark is None or mark["token"] != self.token:
            raise DumpError("another restore has begun in this database meanwhile")

    async def finish(self) -> None:
        """Let nodes work with it. ``DumpError``."""
        async with owned(self.dsn) as connection, connection.transaction():
            await self.held(connection)
            await connection.execute(_UNMARK)


@contextlib.asynccontextmanager
async def alone(dsn: str) -> AsyncIterator[Claim]:
    """One restore at a time has the database. ``DumpError``."""
    with _said():
        connection = await connect(dsn, statement_timeout=0, unfinished=True)
    try:
        with _said():
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
                raise DumpError("another restore is at work in this database")
        yield Claim(dsn, secrets.token_hex(16), connection.get_server_pid())
    finally:
        with contextlib.suppress(Exception):
            await connection.close(timeout=5)


async def load(file: Path, kept: Manifest, claim: Claim) -> None:
    """Load it into an empty database, which is marked from here on, and see that it holds what the backup was made of.
    What an earlier restore has left goes first. ``DumpError``, ``NoTrial``."""
    dsn, begun = claim.dsn, (await place(claim.dsn)).begun
    await claim.mark(loads=True)
    if begun:
        await claim.clear()
    tables = {name: held for name, held in (await dumps.restored(file, kept, dsn)).items() if name != _TABLE}
    if differing := dumps.differing(kept, tables):
        named = ", ".join(f"{name} {how}" for name, how in list(differing.items())[:5])
        raise DumpError(f"{len(differing)} table(s) differ from what was backed up: {named}")


async def part_with_the_past(connection: Connection, newest: int) -> None:
    """Nobody owns anything, no epoch comes again, and no id is made at or below ``newest``."""
    await connection.fetchval(_EPOCHS, _EPOCH_STEP)
    await connection.execute(_LEASES)
    await connection.execute(_IDS, newest)


# --- and who was there before -----------------------------------------------------------------------------------------

_LIFE = "SELECT life FROM restoration ORDER BY id DESC LIMIT 1"
_UNKNOWN = """
SELECT count(*) FROM unnest($1::bigint[]) AS w(id) WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.id = w.id)
"""


async def life(database: Database) -> str:
    """Of the database since its last restore; empty: it was never restored."""
    return await database.fetchval(_LIFE) or ""


async def unknown(database: Database, ids: Sequence[int]) -> int:
    """How many of these messages it does not have."""
    n: int = await database.fetchval(_UNKNOWN, list(ids), timeout=60)
    return n
