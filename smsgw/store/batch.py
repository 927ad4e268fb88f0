"""Group commit: many callers, one transaction at a time, one connection a writer.

A commit starts at once when none is in flight and the last one is a moment ago; what arrives meanwhile joins the
next. A batch whose commit outcome is unknown (connection lost) is repeated as a whole with ``again=True``; the
statements are written so that a repeat changes nothing.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

import structlog

from smsgw import aio, failpoints
from smsgw.core.errors import SmsgwError, Temporary
from smsgw.store.db import CONFLICT, OUTAGE, Connection, connect, unavailable

log = structlog.get_logger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")

Commit = Callable[[Connection, list[Item], bool], Awaitable[list[Result]]]
"""Runs inside a transaction; gives one result an item. A result that is an ``SmsgwError`` is raised at its caller."""

MIN_INTERVAL = 0.005
"""Under load commits start this many seconds apart unless told otherwise, so that each carries more."""
COMMIT_TIMEOUT = 10.0
"""Seconds an attempt may take (less where the callers' patience is shorter) before its connection counts as lost."""
COMMIT_TIMEOUT_MOST = 60.0
"""An attempt that was not through in time gives the next one twice as long, up to this: a slow server commits, too."""


class Batcher(Generic[Item, Result]):
    """One writer. ``await put(item)`` returns when the item is committed.

    ``give_up_after``: seconds of outage after which waiting callers get ``STORAGE_UNAVAILABLE``; None keeps the
    items until the database is back (for facts that must not be lost). ``patience`` gives an item's own, where its
    caller has more of it. ``limit`` bounds what waits (by weight). ``interval``: seconds between the starts of two
    commits under load.
    """

    def __init__(
        self,
        name: str,
        dsn: str,
        commit: Commit[Item, Result],
        *,
        weigh: Callable[[Item], int] = lambda _: 1,
        max_batch: int = 1000,
        limit: int = 20_000,
        give_up_after: float | None = None,
        patience: Callable[[Item], float] | None = None,
        interval: float = MIN_INTERVAL,
        after_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._dsn = dsn
        self._commit = commit
        self._weigh = weigh
        self._max_batch = max_batch
        self._limit = limit
        self._give_up_after = give_up_after
        self._patience_of = patience
        self._interval = interval
        self._after_commit = after_commit
        self._queue: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._under_way: list[tuple[Item, asyncio.Future[Result]]] = []
        self._weight = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._outage_since: float | None = None
        self._lag = 0.0
        """Seconds of the last attempt in which this process itself stood still: no fault of the database's."""
        self.commits = 0
        self.items = 0

    @property
    def waiting(self) -> int:
        """Weight of what is queued and not yet committed."""
        return self._weight

    @property
    def full(self) -> bool:
        """Whether a new item would be refused."""
        return self._weight >= self._limit

    @property
    def outage(self) -> float:
        """Seconds since the database was last reached; 0 while it is there."""
        return 0.0 if self._outage_since is None else time.monotonic() - self._outage_since

    async def start(self) -> None:
        """Connect and begin; raises ``STORAGE_UNAVAILABLE`` when the server cannot be reached."""
        try:
            self._connection = await connect(self._dsn, writer=True)
        except OUTAGE as exc:
            raise unavailable(exc) from exc
        self._task = aio.spawn(self._run(), name=f"writer.{self.name}")

    async def stop(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109
        """Commit what waits (for at most ``timeout`` seconds), then end."""
        try:
            await asyncio.wait_for(self._idle.wait(), timeout)
        except TimeoutError:
            log.error("writer.unfinished", writer=self.name, waiting=self._weight)
        await aio.cancel(self._task)
        self._fail((*self._under_way, *self._queue), Temporary("STORAGE_UNAVAILABLE", reason="服务正在停止"))
        self._queue.clear()
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def submit(self, item: Item, *, beyond: bool = False) -> asyncio.Future[Result]:
        """Queue an item; the future is done when it is committed. Raises ``BACKPRESSURE`` when full, unless it may go
        ``beyond`` the limit: for who has a limit of his own."""
        if self._weight >= self._limit and self._give_up_after is not None and not beyond:
            raise Temporary("BACKPRESSURE", retry_after=1, n=1)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.append((item, future))
        self._weight += self._weigh(item)
        self._idle.clear()
        self._wake.set()
        return future

    async def put(self, item: Item, *, beyond: bool = False) -> Result:
        """Queue an item and wait for its commit."""
        return await self.submit(item, beyond=beyond)

    async def drain(self) -> None:
        """Returns when everything queued so far is settled; what comes meanwhile is not waited for."""
        waiting = [future for _, future in (*self._under_way, *self._queue)]
        if waiting:
            await asyncio.wait(waiting)

    def _take(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        batch = []
        weight = 0
        while self._queue and weight < self._max_batch:
            entry = self._queue.popleft()
            weight += self._weigh(entry[0])
            batch.append(entry)
        return batch

    async def _run(self) -> None:
        last_start = 0.0
        while True:
            if not self._queue:
                self._wake.clear()
                self._idle.set()
                await self._wake.wait()
            else:
                await asyncio.sleep(0)  # let callers of this loop turn join
            pause = last_start + self._interval - time.monotonic()
            if pause > 0 and self._weight < self._max_batch:
                await asyncio.sleep(pause)
            last_start = time.monotonic()
            self._under_way = self._take()
            try:
                await self._settle(self._under_way)
            except Exception:  # a supervisor: whatever it was, the next batch must have its writer
                log.exception("writer.failed", writer=self.name)
                self._fail(self._under_way, Temporary("STORAGE_UNAVAILABLE", reason="内部错误"))
            self._weight -= sum(self._weigh(item) for item, _ in self._under_way)
            self._under_way = []

    async def _settle(self, batch: list[tuple[Item, asyncio.Future[Result]]], again: bool = False) -> None:
        """Commit the batch, repeating it over outages, and resolve its futures."""
        backoff = aio.Backoff(0.05, 1.0)
        patience = max([self._patience(item) for item, _ in batch], default=math.inf)
        limit = min(COMMIT_TIMEOUT, patience)
        while True:
            started = time.monotonic()
            try:
                results = await self._attempt([item for item, _ in batch], again, limit)
                self._outage_since = None
                break
            except CONFLICT as exc:
                log.info("writer.conflict", writer=self.name, error=type(exc).__name__)
                await asyncio.sleep(backoff.next())
            except OUTAGE as exc:
                again = True
                if self._outage_since is None:
                    self._outage_since = started
                    log.error(
                        "writer.outage", writer=self.name, error=type(exc).__name__, waiting=self._weight
                    )
                self._outage_since += self._lag
                self._drop_connection()
                if self.outage >= patience:
                    self._give_up(batch, unavailable(exc))
                    return
                if time.monotonic() - started - self._lag >= limit:
                    limit = min(2 * limit, patience, COMMIT_TIMEOUT_MOST)
                await asyncio.sleep(backoff.next())
            except Exception as exc:
                await self._isolate(batch, again, exc)
                return
        self.commits += 1
        self.items += len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, SmsgwError):
                future.set_exception(result)
            else:
                future.set_result(result)
        self._after_commit()

    async def _isolate(
        self, batch: list[tuple[Item, asyncio.Future[Result]]], again: bool, exc: Exception
    ) -> None:
        """Something in the batch is wrong (our bug): it fails alone, and its neighbours are committed one by one."""
        if len(batch) > 1:
            log.error("writer.batch_failed", writer=self.name, items=len(batch), exc_info=exc)
            for entry in batch:
                await self._settle([entry], again)
            return
        log.error("writer.item_failed", writer=self.name, item=repr(batch[0][0])[:500], exc_info=exc)
        self._fail(batch, exc)

    async def _attempt(self, items: list[Item], again: bool, limit: float) -> list[Result]:
        # Against a frozen server asyncpg would wait for its own ROLLBACK, too: when time is up, the connection goes.
        guard = aio.Deadline(limit, self._drop_connection)
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect(self._dsn, writer=True, timeout=limit)
            connection = self._connection
            async with connection.transaction():
                results = await self._commit(connection, items, again)
                failpoints.reach(f"{self.name}.commit")
            failpoints.reach(f"{self.name}.committed")
            return results
        finally:
            guard.cancel()
            self._lag = guard.lag

    def _patience(self, item: Item) -> float:
        """Seconds of outage that an item waits."""
        if self._give_up_after is None:
            return math.inf
        return self._give_up_after if self._patience_of is None else self._patience_of(item)

    def _give_up(self, batch: list[tuple[Item, asyncio.Future[Result]]], error: Exception) -> None:
        """The batch gets its error; so do those that wait behind it, as far as their patience is over, too."""
        self._fail(batch, error)
        over = [entry for entry in self._queue if self.outage >= self._patience(entry[0])]
        if over:
            self._fail(over, error)
            self._queue = deque(entry for entry in self._queue if not entry[1].done())
            self._weight -= sum(self._weigh(item) for item, _ in over)

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    @staticmethod
    def _fail(batch: Iterable[tuple[Item, asyncio.Future[Result]]], error: Exception) -> None:
        for _, future in batch:
            if not future.done():
                future.set_exception(error)
