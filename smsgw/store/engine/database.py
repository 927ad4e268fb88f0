"""The way to PostgreSQL: pools with limits and timeouts, and one error for "the database is not there"."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar, cast

import asyncpg
import structlog

from smsgw.core.errors import SmsgwError, Temporary
from smsgw.core.words import phrase
from smsgw.runtime import aio
from smsgw.store.engine import days
from smsgw.store.engine.secrets import Sealer

log = structlog.get_logger(__name__)
T = TypeVar("T")

Connection = asyncpg.Connection
Row = asyncpg.Record

CONNECT_TIMEOUT = 5.0
SERVER_TIMEOUT = 60.0
"""After which the server gives a statement up, its waiting for locks included: nobody may be left to cancel it."""
COMMAND_TIMEOUT = 30.0
"""The same of the driver, for a statement that is given no time of its own."""
# asyncpg needs up to twice its own timeout against a frozen server; ours is the one that counts.
STATEMENT_TIMEOUT = 5.0

# Writers touch rows by key only. On a partition without statistics the planner would otherwise choose hash or
# merge joins over the whole partition (four times slower and growing), or add the bitmap of a partial index that holds
# all of the backlog to the one row that the key finds.
WRITER_SETTINGS = {
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}
COMMON_SETTINGS = {"timezone": "UTC", "jit": "off", "idle_in_transaction_session_timeout": "5s"}


class Writer(asyncpg.Connection):
    """A writer's connection: the plans of its statements have no day in them that lies before those it is about."""

    async def fetch(self, query: str, *args: Any, **how: Any) -> Any:
        return await super().fetch(days.named(query, args), *args, **how)

    async def fetchrow(self, query: str, *args: Any, **how: Any) -> Any:
        return await super().fetchrow(days.named(query, args), *args, **how)

    async def fetchval(self, query: str, *args: Any, **how: Any) -> Any:
        return await super().fetchval(days.named(query, args), *args, **how)

    async def execute(self, query: str, *args: Any, **how: Any) -> Any:
        return await super().execute(days.named(query, args), *args, **how)


class BeingRestored(RuntimeError):
    """A backup is being loaded into the database, or was and did not come to its end: what it shows may be sent by
    mistake."""


class NotReplicated(RuntimeError):
    """COMMIT has succeeded, and its wait for a standby was broken off: it may be lost with this server."""


WARNING, WAITING = "01000", "syncrep.c"
"""What the server says beside the success of a COMMIT whose wait was cancelled, and the part of it that says so: it
says other things with the same state (that transaction ids run out, with every one of them), and in any language."""


class Ear:
    """Hears what the server says beside the success of a connection's commits."""

    def __init__(self) -> None:
        self._warned = False

    def at(self, connection: Connection) -> Connection:
        """Listen to a new connection."""
        self._warned = False
        connection.add_log_listener(self._hear)
        return connection

    def _hear(self, _: object, message: asyncpg.PostgresLogMessage) -> None:
        if message.sqlstate == WARNING and getattr(message, "server_source_filename", None) in (WAITING, None):
            self._warned = True

    def check(self) -> None:
        """Behind a commit: ``NotReplicated`` when it was not waited for. The connection is of no use any more then."""
        if self._warned:
            raise NotReplicated


OUTAGE = (
    BeingRestored,
    NotReplicated,
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.QueryCanceledError,
    asyncpg.InternalClientError,
    asyncpg.PostgresIOError,
)
"""What means "not now" rather than "wrong": connection lost, frozen, disk full, read-only, out of connections, not
restored yet."""


def forgive_abandoned(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handler of a loop's leftovers. A connection that is lost in the very moment in which its query is cut short tells
    it to nobody, nor does one that cannot be given back because its server answers nothing more: the outage itself is
    dealt with and logged where it is met."""
    if not isinstance(context.get("exception"), asyncpg.PostgresConnectionError | asyncpg.InternalClientError):
        loop.default_exception_handler(context)


MARKED = """
SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'public' AND c.relname = 'restoring') AS marked
"""
"""Whether a backup is being loaded into it. Also where the role may not look into the schema yet."""


async def see_whole(connection: asyncpg.Connection) -> None:
    """Asked of each new connection: whoever has one already is waited for before the mark counts
    (``store/engine/restoring.py``). ``BeingRestored``."""
    if await connection.fetchval(MARKED, timeout=CONNECT_TIMEOUT):
        raise BeingRestored(
            "a backup is being loaded into this database, or was and did not come to its end: wait for smsgwctl "
            "restore, or run it again"
        )


CONFLICT = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


def refused_as_data(exc: BaseException) -> bool:
    """Whether the server, or the driver, refuses what it was given: the same will be refused again."""
    if isinstance(exc, asyncpg.IntegrityConstraintViolationError):
        return bool(getattr(exc, "constraint_name", None))  # without one: a partition is missing
    return isinstance(exc, asyncpg.DataError)


DELETED_AT_ONCE = 5_000
"""Rows of one step of what forgets many."""


async def delete_all(connection: Connection, sql: str, *args: Any) -> int:
    """Run a DELETE that takes the most rows as its last parameter until nothing is left for it; how many rows went.
    Each time is a transaction of its own where there is none: what is cut off has come as far as it has come."""
    gone = 0
    while True:
        tag = await connection.execute(sql, *args, DELETED_AT_ONCE)
        n = int(tag.rpartition(" ")[2])
        gone += n
        if n < DELETED_AT_ONCE:
            return gone


async def as_writer(connection: Connection) -> None:
    """Let the transaction under way be planned as a writer's: rows are touched by key only."""
    await connection.execute("; ".join(f"SET LOCAL {name} = '{value}'" for name, value in WRITER_SETTINGS.items()))


SLOW = (TimeoutError, asyncpg.QueryCanceledError)
"""A statement was given up for its time, by us or by the server."""


def was_slow(exc: SmsgwError) -> bool:
    """Whether an outage as ``unavailable`` reports it is a statement that took too long; else there is no server."""
    return isinstance(exc.__cause__, SLOW)


def unavailable(exc: BaseException) -> Temporary:
    """The error that callers see for an outage; its reason says what an operator has to look at."""
    if isinstance(exc, asyncpg.DiskFullError):
        reason = "storage.disk"
    elif isinstance(exc, asyncpg.ReadOnlySQLTransactionError):
        reason = "storage.read_only"
    elif isinstance(exc, asyncpg.TooManyConnectionsError):
        reason = "storage.connections"
    elif isinstance(exc, BeingRestored):
        reason = "storage.restoring"
    elif isinstance(exc, (*SLOW, NotReplicated)):
        reason = "storage.slow"
    else:
        reason = "storage.connect"
    return Temporary("STORAGE_UNAVAILABLE", retry_after=2, reason=phrase(reason))


async def connect(
    dsn: str,
    *,
    writer: bool = False,
    timeout: float = CONNECT_TIMEOUT,  # noqa: ASYNC109
    statement_timeout: float = SERVER_TIMEOUT,
    command_timeout: float = 0.0,
    unfinished: bool = False,
) -> Connection:
    """One connection of its own; ``writer`` pins plans for statements that touch rows by key. ``statement_timeout``:
    seconds after which the server gives a statement up by itself (0: never); ``command_timeout``: after which we do
    (0: ``COMMAND_TIMEOUT``); ``unfinished``: also to one that is being restored, else ``BeingRestored``."""
    settings = COMMON_SETTINGS | (WRITER_SETTINGS if writer else {})
    if statement_timeout:
        settings = settings | {"statement_timeout": f"{statement_timeout * 1000:.0f}"}
    connection = await asyncpg.connect(
        dsn,
        timeout=min(timeout, CONNECT_TIMEOUT),
        command_timeout=command_timeout or COMMAND_TIMEOUT,
        server_settings={"application_name": "smsgw", **settings},
        connection_class=Writer if writer else asyncpg.Connection,
    )
    if not unfinished:
        try:
            await see_whole(connection)
        except BaseException:
            connection.terminate()
            raise
    return connection


class Database:
    """The general pool, for everything but the group-commit writers (they own connections, see ``batch``)."""

    def __init__(
        self, dsn: str, *, size: int = 10, sealer: Callable[[], Sealer] | None = None, unfinished: bool = False
    ) -> None:
        """``sealer``: what opens what is sealed in it; without one no number is found by its hash. ``unfinished``: also
        one that is being restored."""
        self._unfinished = unfinished
        self.dsn = dsn
        self.sealer = sealer
        self._size = size
        self._pool: asyncpg.Pool | None = None
        self._changed: set[int] = set()
        """Processes of the server whose settings are not those of a new connection."""

    async def open(self) -> None:
        """Connect; raises ``Temporary("STORAGE_UNAVAILABLE")`` when the server cannot be reached."""
        try:
            self._pool = await asyncpg.create_pool(
                self.dsn,
                min_size=1,
                max_size=self._size,
                timeout=CONNECT_TIMEOUT,
                command_timeout=COMMAND_TIMEOUT,
                max_inactive_connection_lifetime=300,
                init=None if self._unfinished else see_whole,
                reset=self._restore,
                server_settings={
                    "application_name": "smsgw",
                    **COMMON_SETTINGS,
                    "statement_timeout": f"{SERVER_TIMEOUT * 1000:.0f}",
                },
            )
        except OUTAGE as exc:
            raise unavailable(exc) from exc

    async def close(self) -> None:
        """Close all connections; those still in use are cut after 5 s."""
        if self._pool is not None:
            try:
                async with asyncio.timeout(5):
                    await self._pool.close()
            except (TimeoutError, *OUTAGE):
                self._pool.terminate()
            self._pool = None

    @contextlib.asynccontextmanager
    async def acquire(self, *, timeout: float = STATEMENT_TIMEOUT) -> AsyncIterator[Connection]:  # noqa: ASYNC109
        """A pooled connection for at most ``timeout`` seconds, waiting for it included."""
        if self._pool is None:
            raise Temporary("STORAGE_UNAVAILABLE", retry_after=2, reason=phrase("storage.unconnected"))
        try:
            async with aio.timeout(timeout), self._pool.acquire() as connection:
                if timeout > SERVER_TIMEOUT:
                    self._changed.add(connection.get_server_pid())
                    await connection.execute(f"SET statement_timeout = {timeout * 1000:.0f}")
                yield cast(Connection, connection)
        except OUTAGE as exc:
            log.warning("database.unavailable", error=type(exc).__name__)
            raise unavailable(exc) from exc

    async def _restore(self, connection: asyncpg.Connection) -> None:
        """What the pool does with a connection that comes back, its transaction over. Nothing else is ever set in a
        session (a house test looks), so asking the server each time would be a way for nothing."""
        if connection.get_server_pid() in self._changed:
            self._changed.discard(connection.get_server_pid())
            await connection.execute("RESET ALL")

    @contextlib.asynccontextmanager
    async def transaction(self, *, timeout: float = STATEMENT_TIMEOUT) -> AsyncIterator[Connection]:  # noqa: ASYNC109
        """A connection inside a transaction that commits when the block ends without an error."""
        async with self.acquire(timeout=timeout) as connection, connection.transaction():
            yield connection

    @contextlib.asynccontextmanager
    async def snapshot(self, *, timeout: float = STATEMENT_TIMEOUT) -> AsyncIterator[Connection]:  # noqa: ASYNC109
        """A connection that sees the database as it was at its first statement, and changes nothing."""
        async with (
            self.acquire(timeout=timeout) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    async def _run(self, call: Callable[[Connection], Awaitable[T]], timeout: float) -> T:  # noqa: ASYNC109
        async with self.acquire(timeout=timeout) as connection:
            return await call(connection)

    async def fetch(self, sql: str, *args: Any, timeout: float = STATEMENT_TIMEOUT) -> list[Row]:  # noqa: ASYNC109
        """All rows."""
        return await self._run(lambda c: c.fetch(sql, *args, timeout=max(timeout, COMMAND_TIMEOUT)), timeout)

    async def fetchrow(self, sql: str, *args: Any, timeout: float = STATEMENT_TIMEOUT) -> Row | None:  # noqa: ASYNC109
        """The first row, or None."""
        return await self._run(lambda c: c.fetchrow(sql, *args, timeout=max(timeout, COMMAND_TIMEOUT)), timeout)

    async def fetchval(self, sql: str, *args: Any, timeout: float = STATEMENT_TIMEOUT) -> Any:  # noqa: ASYNC109
        """The first column of the first row, or None."""
        return await self._run(lambda c: c.fetchval(sql, *args, timeout=max(timeout, COMMAND_TIMEOUT)), timeout)

    async def execute(self, sql: str, *args: Any, timeout: float = STATEMENT_TIMEOUT) -> str:  # noqa: ASYNC109
        """Run a statement; the command tag."""
        return await self._run(lambda c: c.execute(sql, *args, timeout=max(timeout, COMMAND_TIMEOUT)), timeout)
