"""The database's driver as the program sees it, and what lies between it and the server.

A request takes its time to the server, is executed there whatever becomes of the client, and its answer takes its time
back. So a commit may be slow, fail before it happened, happen without anybody being told, or happen long after its
caller has given up.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import asyncpg
from simdb import Row, SimDb, Transaction
from virtual import Process, VirtualLoop, here

COMMAND_TIMEOUT = 30.0
IDLE_IN_TRANSACTION = 5.0


class Weather:
    """How the way from one node to the database is, and the server behind it."""

    def __init__(self) -> None:
        self.latency = (0.0002, 0.001)
        self.commit = (0.0002, 0.003)
        self.lost_before = 0.0
        """Chance that a request is lost with its connection."""
        self.lost_after = 0.0
        """Chance that the answer is."""
        self.away = False
        """Requests and their answers get nowhere; no connection is made."""
        self.frozen = False
        """The server stands still, and goes on with all of it later."""


class Server:
    """The server, reached by all nodes."""

    def __init__(self, loop: VirtualLoop, db: SimDb, dice: random.Random) -> None:
        self.loop = loop
        self.db = db
        self.dice = dice
        self.weather: dict[str, Weather] = {}
        """By node."""
        self.connections: list[Connection] = []
        self.broken: list[BaseException] = []
        """What went wrong on the way itself."""
        self.over = False
        self._context = Process("postgres").context()

    def at(self, process: Process | None) -> Weather:
        """The weather of a node."""
        return self.weather.setdefault(process.name if process else "", Weather())

    async def connect(self, dsn: str = "", **how: Any) -> Connection:
        """As ``asyncpg.connect``."""
        weather = self.at(here())
        async with asyncio.timeout(how.get("timeout", 60.0)):
            await asyncio.sleep(self.dice.uniform(*weather.latency) * 3)
            if weather.away or weather.frozen:
                await asyncio.sleep(self.dice.choice((0.0, 60.0)))
                raise ConnectionRefusedError(111, "the database is away")
            if self.over:
                raise ConnectionRefusedError(111, "the simulation is over")
        connection = Connection(self, here())
        self.connections.append(connection)
        return connection

    async def create_pool(self, dsn: str = "", *, max_size: int = 10, **how: Any) -> Pool:
        """As ``asyncpg.create_pool``."""
        pool = Pool(self, max_size)
        async with pool.acquire():
            return pool

    def spawn(self, work: Any) -> None:
        """Something that the server does."""
        self._context.run(self.loop.create_task, work)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """The driver leads here."""
        with (
            mock.patch.object(asyncpg, "connect", self.connect),
            mock.patch.object(asyncpg, "create_pool", self.create_pool),
        ):
            yield


class _Block:
    """``connection.transaction()``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def __aenter__(self) -> None:
        await self._connection.begin()

    async def __aexit__(self, kind: Any, *_: Any) -> None:
        await self._connection.finish(commit=kind is None)


class Connection:
    """One session."""

    def __init__(self, server: Server, process: Process | None) -> None:
        self._server = server
        self._process = process
        self._closed = False
        self._lost = False
        self._txn: Transaction | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._request: asyncio.Future[Any] | None = None
        self._cancelled = False
        self._working = False
        if process is not None:
            process.on_death.append(self._gone)

    # --- as asyncpg has it -------------------------------------------------------------------------------------

    def is_closed(self) -> bool:
        return self._closed

    def terminate(self) -> None:
        if not self._closed:
            self._closed = True
            self._gone()
            if self._request is not None and not self._request.done():
                self._request.set_exception(asyncpg.ConnectionDoesNotExistError("terminated"))

    async def close(self) -> None:
        self.terminate()

    def transaction(self) -> _Block:
        return _Block(self)

    async def fetch(self, sql: str, *args: Any, timeout: float | None = None) -> list[Row]:  # noqa: ASYNC109
        rows: list[Row] = await self._ask(lambda: self._statement(sql, args), timeout)
        return rows

    async def fetchrow(self, sql: str, *args: Any, timeout: float | None = None) -> Row | None:  # noqa: ASYNC109
        return next(iter(await self.fetch(sql, *args, timeout=timeout)), None)

    async def fetchval(self, sql: str, *args: Any, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        row = await self.fetchrow(sql, *args, timeout=timeout)
        return None if row is None else next(iter(row.values()))

    def add_log_listener(self, _: Callable[..., None]) -> None:
        """The server has nothing to say."""

    async def execute(self, sql: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109
        if sql.startswith(("SET ", "DISCARD ")):
            return sql.partition(" ")[0]
        return f"ROWS {len(await self.fetch(sql, *args, timeout=timeout))}"

    async def copy_records_to_table(
        self,
        table: str,
        *,
        records: Any,
        columns: Any,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> None:
        async def store() -> None:
            assert self._txn is not None
            every = [record async for record in records] if hasattr(records, "__aiter__") else list(records)
            await self._txn.copy(table, every, columns)

        await self._ask(store, timeout)

    # --- transactions ------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """BEGIN."""

        async def begin() -> None:
            self._txn = Transaction(self._server.db)

        await self._ask(begin)

    async def finish(self, *, commit: bool) -> None:
        """COMMIT or ROLLBACK."""

        async def finish() -> None:
            txn, self._txn = self._txn, None
            assert txn is not None
            if commit:
                await self._commit(txn)
            else:
                txn.rollback()

        await self._ask(finish)

    # --- the server's side -------------------------------------------------------------------------------------

    async def _statement(self, sql: str, args: tuple[Any, ...]) -> list[Row]:
        if self._txn is not None:
            return await self._txn.run(sql, args)
        txn = Transaction(self._server.db)
        try:
            rows = await txn.run(sql, args)
            await self._commit(txn)
        finally:
            txn.rollback()
        return rows

    async def _commit(self, txn: Transaction) -> None:
        await asyncio.sleep(self._server.dice.uniform(*self._server.at(self._process).commit))
        await self._thawed()
        if self._cancelled:
            txn.rollback()
            raise asyncpg.QueryCanceledError("canceling statement due to user request")
        txn.commit()

    async def _thawed(self) -> None:
        while self._server.at(self._process).frozen:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def _serve(self, work: Callable[[], Awaitable[Any]], answer: asyncio.Future[Any]) -> None:
        weather, dice = self._server.at(self._process), self._server.dice
        await asyncio.sleep(dice.uniform(*weather.latency))
        await self._thawed()
        if weather.away or self._lost or dice.random() < weather.lost_before:
            self._break(answer)
            return
        if self._idle is not None:
            self._idle.cancel()
        result: Any = None
        error: BaseException | None = None
        self._working = True
        try:
            result = await work()
        except asyncpg.PostgresError as exc:
            error = exc
        except BaseException as exc:
            self._server.broken.append(exc)
            error = asyncpg.InternalServerError(str(exc))
        self._working = False
        if self._txn is not None:
            if self._lost:
                self._txn.rollback()
                self._txn = None
            else:
                self._idle = self._server.loop.call_later(IDLE_IN_TRANSACTION, self._hang_up)
        await asyncio.sleep(dice.uniform(*weather.latency))
        await self._thawed()
        if weather.away or dice.random() < weather.lost_after:
            self._break(answer)
        elif not answer.done():
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)

    def _break(self, answer: asyncio.Future[Any]) -> None:
        """The connection is gone; the client hears of it now, or runs into its timeout."""
        self._gone()
        if not self._server.at(self._process).away and not answer.done():
            self._closed = True
            answer.set_exception(asyncpg.ConnectionDoesNotExistError("connection was closed in the middle"))

    def _gone(self) -> None:
        """The server will notice that there is no client any more."""
        if not self._lost:
            self._lost = True
            self._server.loop.call_later(
                self._server.dice.choice((0.0, 0.01, 1.0)), self._hang_up, context=self._server._context
            )

    def _hang_up(self) -> None:
        self._lost = True
        if self._txn is not None and not self._working:
            self._txn.rollback()
            self._txn = None

    # --- the client's side -------------------------------------------------------------------------------------

    async def _ask(self, work: Callable[[], Awaitable[Any]], timeout: float | None = None) -> Any:  # noqa: ASYNC109
        if self._closed or self._server.over:
            raise asyncpg.InterfaceError("connection is closed")
        if self._request is not None and not self._request.done():
            raise asyncpg.InterfaceError("another operation is in progress")
        if self._process is not None and not self._process.effect():
            await asyncio.Event().wait()  # for ever: its process is dead
        self._cancelled = False
        answer: asyncio.Future[Any] = self._server.loop.create_future()
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._request = answer
        self._server.spawn(self._serve(work, answer))
        try:
            async with asyncio.timeout(timeout or COMMAND_TIMEOUT):
                return await asyncio.shield(answer)
        except (TimeoutError, asyncio.CancelledError):
            # The request to cancel goes its own way: it comes in time, or too late.
            if not answer.done() and self._server.dice.random() < 0.5:
                self._cancelled = True
            raise


class Pool:
    """As ``asyncpg.Pool``."""

    def __init__(self, server: Server, size: int) -> None:
        self._server = server
        self._free: list[Connection] = []
        self._places = asyncio.Semaphore(size)

    def acquire(self) -> _Acquired:
        return _Acquired(self)

    async def close(self) -> None:
        self.terminate()

    def terminate(self) -> None:
        for connection in self._free:
            connection.terminate()


class _Acquired:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._connection: Connection

    async def __aenter__(self) -> Connection:
        await self._pool._places.acquire()
        try:
            while self._pool._free:
                connection = self._pool._free.pop()
                if not connection.is_closed():
                    break
            else:
                connection = await self._pool._server.connect(timeout=5.0)
        except BaseException:
            self._pool._places.release()
            raise
        self._connection = connection
        return connection

    async def __aexit__(self, *_: Any) -> None:
        request = self._connection._request
        if self._connection._txn is not None or (request is not None and not request.done()):
            self._connection.terminate()  # asyncpg would wait, and reset it
        if not self._connection.is_closed():
            self._pool._free.append(self._connection)
        self._pool._places.release()
