"""The roles of the embedded database: made in a new cluster, and in one of an earlier release, where one superuser did
everything.

``establish`` looks at what is there and does what is missing. Each step is a transaction, and none depends on the
memory of the one before: wherever it is cut off, the next start goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import structlog

from smsgw.store.engine.database import Connection
from smsgw.store.engine.database_roles import ADMIN, APPLICATION, OWNER

log = structlog.get_logger(__name__)

Connect = Callable[[str, str], Awaitable[Connection]]
"""Connects as a role to a database."""

DATABASE = APPLICATION

RENAMER = "smsgw_renamer"
"""Renames the superuser, which cannot do that to itself; gone right after."""

NO_SUCH_ROLE = (asyncpg.InvalidAuthorizationSpecificationError,)
"""No such role, or not for this user."""

_PATIENCE = 10.0
_EVERY = 0.05
_STEP = 100

_PLAIN = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
_MAKE = f"""
DO $$ BEGIN
    IF to_regrole('{OWNER}') IS NULL THEN CREATE ROLE {OWNER}; END IF;
    IF to_regrole('{APPLICATION}') IS NULL THEN CREATE ROLE {APPLICATION}; END IF;
END $$;
ALTER ROLE {OWNER} {_PLAIN};
ALTER ROLE {OWNER} SET search_path = public;
ALTER ROLE {APPLICATION} {_PLAIN};
ALTER ROLE {APPLICATION} RESET ALL;  -- a role may set these for itself
DO $$ BEGIN  -- the others get in, whatever the application does
    EXECUTE format('ALTER ROLE {APPLICATION} CONNECTION LIMIT %s', current_setting('max_connections')::int * 5 / 6);
END $$;
ALTER ROLE {APPLICATION} SET search_path = public;
DROP ROLE IF EXISTS {RENAMER};
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
"""

# It is there already when an earlier release came back for a while, and left its server running.
_RENAME = f"""
DO $$ BEGIN
    IF to_regrole('{ADMIN}') IS NULL THEN ALTER ROLE {APPLICATION} RENAME TO {ADMIN}; END IF;
END $$
"""

_OWNER_OF = "SELECT datdba::regrole::text FROM pg_database WHERE datname = $1"

_FOREIGN = f"""
SELECT CASE WHEN c.relkind = 'S' THEN 'SEQUENCE' WHEN c.relkind = 'v' THEN 'VIEW' WHEN c.relkind = 'm'
       THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END || ' ' || c.oid::regclass
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
  AND c.relowner <> '{OWNER}'::regrole
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND (d.deptype = 'e' OR c.relkind = 'S' AND d.deptype IN ('a', 'i')))
UNION ALL
SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE ' WHEN 'a' THEN 'AGGREGATE ' ELSE 'FUNCTION ' END || p.oid::regprocedure
FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.proowner <> '{OWNER}'::regrole
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                  AND d.deptype = 'e')
LIMIT {_STEP}
"""  # noqa: S608 - constant text


@contextlib.asynccontextmanager
async def _as(connect: Connect, role: str, database: str = "postgres") -> AsyncIterator[Connection]:
    connection = await connect(role, database)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


async def earlier(connect: Connect) -> bool:
    """Whether the cluster still has an earlier release's superuser."""
    try:
        async with _as(connect, ADMIN):
            return False
    except NO_SUCH_ROLE:
        return True


async def establish(connect: Connect) -> None:
    """Superuser, owner, application, and a database that is the owner's with all that is in it."""
    if await earlier(connect):
        await _rename_superuser(connect)
    async with _as(connect, ADMIN) as connection:
        await connection.execute(_MAKE)
        owner = await connection.fetchval(_OWNER_OF, DATABASE)
        if owner is None:
            await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
        elif owner != OWNER:
            await connection.execute(f"ALTER DATABASE {DATABASE} OWNER TO {OWNER}")
        await connection.execute(f"ALTER ROLE {APPLICATION} IN DATABASE {DATABASE} RESET ALL")
        await connection.execute(only_for_ours(DATABASE))
    async with _as(connect, ADMIN, DATABASE) as connection:
        await _hand_over(connection)


def only_for_ours(database: str) -> str:
    """The statement that opens a database for the application alone, its owner aside; no temporary tables."""
    return f"REVOKE ALL ON DATABASE {database} FROM PUBLIC; GRANT CONNECT ON DATABASE {database} TO {APPLICATION}"


async def _rename_superuser(connect: Connect) -> None:
    """The role of earlier releases was made by initdb and cannot be less than superuser: it gets another name, and its
    own name goes to a role that is less."""
    async with _as(connect, APPLICATION) as connection:
        await connection.execute(
            f"DO $$ BEGIN IF to_regrole('{RENAMER}') IS NULL THEN CREATE ROLE {RENAMER} SUPERUSER LOGIN; END IF; END $$"
        )
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    while True:
        try:
            async with _as(connect, RENAMER) as connection:
                await connection.execute(_RENAME)
            break
        except NO_SUCH_ROLE:  # a server that was running takes up who may be whom in a moment
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_EVERY)
    log.info("postgres.superuser_renamed", role=ADMIN)


async def _hand_over(connection: Connection) -> None:
    """What belongs to another becomes the owner's, a few at a time: each takes locks, and there are many partitions."""
    handed = 0
    await connection.execute("SET lock_timeout = '10s'")
    while foreign := [row[0] for row in await connection.fetch(_FOREIGN)]:
        async with connection.transaction():
            for what in foreign:
                await connection.execute(f"ALTER {what} OWNER TO {OWNER}")
        handed += len(foreign)
    if handed:
        log.info("postgres.handed_over", objects=handed, owner=OWNER)
