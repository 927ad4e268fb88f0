"""Group commit: many callers, one transaction at a time, one connection a writer.

A commit starts at once when none is in flight and the last one is a moment ago; what arrives meanwhile joins the
next. A batch whose commit outcome is unknown (connection lost) is repeated as a whole with ``again=True``; the
statements are written so that a repeat changes nothing, and its commit is waited for like the first one's.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Generic, Protocol, TypeVar

import asyncpg
import structlog

from smsgw.core.errors import SmsgwError, Temporary
from smsgw.core.words import phrase
from smsgw.runtime import aio, failpoints
from smsgw.runtime.log import safe
from smsgw.store.engine.database import CONFLICT, OUTAGE, Connection, Ear, connect, refused_as_data, unavailable
from smsgw.store.engine.replanning import YoungDay

log = structlog.get_logger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")
Fact = TypeVar("Fact", contravariant=True)
Kept = TypeVar("Kept", covariant=True)

# A repeat that finds all of it done writes nothing, and a transaction that has written nothing waits for no standby.
# What it has found may be on this server alone: a wait that was broken off (a crash, a cancel) leaves it committed.
# With a record of its own the repeat is answered when a standby has that record, and so all before it (docs/adr/085).
# A primary that has stepped down answers for moments, and a server in recovery has no state of its own for this record:
# it is asked first. One that is a primary stays it as long as the connection lives.
_RECORD = """
SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_logical_emit_message(true, 'smsgw', '') END AS record"""


async def _record(connection: Connection) -> None:
    if await connection.fetchval(_RECORD) is None:
        raise asyncpg.ReadOnlySQLTransactionError("the server is in recovery")


Commit = Callable[[Connection, list[Item], bool], Awaitable[list[Result]]]
"""Runs inside a transaction; gives one result an item. A result that is an ``SmsgwError`` is raised at its caller."""


class Ended(Enum):
    """How an attempt to commit has ended."""

    COMMITTED = "committed"
    NOT = "not"
    """Its COMMIT was never sent: nothing of it is stored, nor will be."""
    IN_DOUBT = "in doubt"
    """Its COMMIT has had no answer, or none that can be relied on: it may be committed, or be so later."""


class Parking(Protocol[Fact, Kept]):
    """Where a writer of facts lays aside what cannot be committed."""

    def keeps(self, item: Fact) -> bool:
        """Whether it is such a fact; of others the caller is told."""

    async def park(self, connection: Connection, item: Fact, error: str) -> Kept:
        """Store it, inside a transaction; what its caller gets."""


@dataclass(slots=True)
class _Suspect:
    """A fact that has failed alone."""

    tries: int
    commits: int
    """The writer's commits at that time: when others have succeeded since, it is the fact and not the database."""


MIN_INTERVAL = 0.005
"""Under load commits start this many seconds apart unless told otherwise, so that each carries more."""
COMMIT_TIMEOUT = 10.0
"""Seconds an attempt may take (less while somebody waits with less patience) until its connection counts as lost."""
COMMIT_TIMEOUT_MOST = 60.0
"""An attempt that was not through in time gives the next one twice as long, up to this: a slow server commits, too."""

CONFLICTS = 20
"""Conflicts in a row after which a writer of facts looks for the item that has them …"""
CONFLICTS_OF_A_PIECE = 3
"""… in pieces of the batch, which have fewer."""
REFUSALS = 3
"""Tries of a fact that is refused as data, each on a fresh connection, before it is laid aside …"""
FAILURES = 10
"""… and of one that fails otherwise while others succeed: about two minutes."""
DRAIN_LOOK = 0.2
"""Seconds between two looks of a drain at facts that turn out to be such."""
RETRY_MOST = 30.0
"""Seconds between two of these tries, at most."""


class Batcher(Generic[Item, Result]):
    """One writer. ``await put(item)`` returns when the item is committed.

    ``give_up_after``: seconds of outage after which waiting callers get ``STORAGE_UNAVAILABLE``; None keeps the
    items until the database is back (for facts that must not be lost). ``patience`` gives an item's own, where its
    caller has more of it: nobody waits longer because another one, in his batch or before it, has. ``limit`` bounds
    what waits (by weight). ``interval``: seconds between the starts of two commits under load. ``parking``: for a
    writer of facts, which are tried until they are committed or laid aside; its statements bear a repeat that they are
    not told of. ``uncertain`` makes the error of an outage into that of an item whose commit was begun and has had no
    answer: it may be committed. ``ended`` is told of each attempt, before any caller is, and must be quick.
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
        parking: Parking[Item, Result] | None = None,
        uncertain: Callable[[Temporary], Temporary] = lambda error: error,
        ended: Callable[[Ended], None] = lambda _: None,
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
        self._under_way: dict[asyncio.Future[Result], Item] = {}
        """The batch that was taken last, without those of it that were given up."""
        self._guard: aio.Deadline | None = None
        """Of the attempt that is under way."""
        self._weight = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._connection: Connection | None = None
        self._ear = Ear()
        self._day = YoungDay()
        self._task: asyncio.Task[None] | None = None
        self._outage_since: float | None = None
        self._parking = parking
        self._uncertain = uncertain
        self._ended = ended
        self._committing = False
        """The attempt that is under way has begun its commit."""
        self._in_doubt: set[asyncio.Future[Result]] = set()
        """Of the batch that is under way, those of whose commit there was no answer."""
        self._suspects: dict[asyncio.Future[Result], _Suspect] = {}
        self._later: dict[asyncio.Future[Result], tuple[Item, asyncio.TimerHandle]] = {}
        """Suspects that wait for their next try."""
        self.conflicts = 0
        self.parked = 0
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
            self._connection = self._ear.at(await connect(self._dsn, writer=True))
        except OUTAGE as exc:
            raise unavailable(exc) from exc
        self._task = aio.spawn(self._run(), name=f"writer.{self.name}")

    async def stop(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109
        """Commit what waits (for at most ``timeout`` seconds), then end."""
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            log.error("writer.unfinished", writer=self.name, waiting=self._weight)
        await aio.cancel(self._task)
        later = [(item, future) for future, (item, _) in self._later.items()]
        for _, timer in self._later.values():
            timer.cancel()
        self._doubt(self._under_way)
        left = (*((item, future) for future, item in self._under_way.items()), *self._queue, *later)
        self._fail(left, Temporary("STORAGE_UNAVAILABLE", reason=phrase("storage.stopping")))
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
        if self._guard is not None and self._give_up_after is not None:
            self._guard.at_most(self._patience(item))
        self._idle.clear()
        self._wake.set()
        return future

    async def put(self, item: Item, *, beyond: bool = False) -> Result:
        """Queue an item and wait for its commit."""
        return await self.submit(item, beyond=beyond)

    async def drain(self) -> None:
        """Returns when everything queued so far is settled, or is a fact that is tried apart from others; what comes
        meanwhile is not waited for."""
        waiting = {*self._under_way, *(future for _, future in self._queue)}
        while waiting := {f for f in waiting if not f.done() and f not in self._suspects}:
            await asyncio.wait(waiting, timeout=DRAIN_LOOK)

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
            batch = self._take()
            self._under_way = {future: item for item, future in batch}
            try:
                await self._settle(batch)
            except Exception:  # a supervisor: whatever it was, the next batch must have its writer
                log.exception("writer.failed", writer=self.name)
                self._fail(batch, Temporary("STORAGE_UNAVAILABLE", reason=phrase("storage.internal")))
            self._weight -= sum(self._weigh(item) for item in self._under_way.values())
            self._under_way = {}
            self._in_doubt.clear()

    def _doubt(self, futures: Iterable[asyncio.Future[Result]]) -> None:
        """An attempt for these has ended without an answer."""
        if self._committing:
            self._in_doubt.update(futures)
            self._committing = False

    async def _settle(
        self, batch: list[tuple[Item, asyncio.Future[Result]]], again: bool = False, *, piece: bool = False
    ) -> None:
        """Commit the batch, repeating it over outages, and resolve its futures. ``piece``: of one that has failed."""
        if self._suspects and len(batch) > 1 and not piece:
            suspects = [entry for entry in batch if entry[1] in self._suspects]
            rest = [entry for entry in batch if entry[1] not in self._suspects]
            for some in (*([rest] if rest and suspects else []), *([entry] for entry in suspects)):
                await self._settle(some, again)
            if suspects:
                return
        backoff = aio.Backoff(0.05, 1.0)
        conflicts = 0
        limit = COMMIT_TIMEOUT
        while batch := [entry for entry in batch if entry[1] in self._under_way]:
            started = time.monotonic()
            try:
                results = await self._attempt([item for item, _ in batch], again, self._bounded(limit))
                self._outage_since = None
                break
            except CONFLICT as exc:
                log.info("writer.conflict", writer=self.name, error=type(exc).__name__)
                conflicts += 1
                self.conflicts += 1
                self._committing = False  # that is an answer
                if self._parking is not None and conflicts >= (CONFLICTS_OF_A_PIECE if piece else CONFLICTS):
                    await self._isolate(batch, again, exc)
                    return
                await asyncio.sleep(backoff.next())
            except OUTAGE as exc:
                again = True
                self._doubt(future for _, future in batch)
                if self._outage_since is None:
                    self._outage_since = started
                    log.error("writer.outage", writer=self.name, error=type(exc).__name__, waiting=self._weight)
                self._outage_since += self._lag
                self._drop_connection()
                if time.monotonic() - started - self._lag >= limit:
                    limit = min(2 * limit, COMMIT_TIMEOUT_MOST)
                await asyncio.sleep(min(backoff.next(), max(0.0, self._shortest() - self.outage)))
                self._give_up(unavailable(exc))
            except Exception as exc:
                self._committing = False
                if self._parking is not None and not piece:
                    piece = True  # once more, without what the connection remembers
                    self._drop_connection()
                    await asyncio.sleep(backoff.next())
                    continue
                await self._isolate(batch, again, exc)
                return
        else:  # nobody is left
            return
        self.commits += 1
        self.items += len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            self._suspects.pop(future, None)
            if future.done():
                continue
            if isinstance(result, SmsgwError):
                future.set_exception(result)
            else:
                future.set_result(result)
        self._after_commit()

    async def _isolate(self, batch: list[tuple[Item, asyncio.Future[Result]]], again: bool, exc: Exception) -> None:
        """Something in the batch is wrong: it fails alone, and its neighbours are committed."""
        if len(batch) > 1:
            log.error("writer.batch_failed", writer=self.name, items=len(batch), error=safe(exc))
            half = len(batch) // 2 if self._parking is not None else 1
            for n in range(0, len(batch), half):
                await self._settle(batch[n : n + half], again, piece=True)
            return
        ((item, future),) = batch
        if future not in self._suspects:
            log.error("writer.item_failed", writer=self.name, item=type(item).__name__, exc_info=exc)
        if self._parking is None or not self._parking.keeps(item):
            self._fail(batch, exc)
        else:
            await self._suspect(self._parking, item, future, exc)

    async def _suspect(
        self, parking: Parking[Item, Result], item: Item, future: asyncio.Future[Result], exc: Exception
    ) -> None:
        """A fact that has failed alone is tried again later, and in the end laid aside."""
        suspect = self._suspects.setdefault(future, _Suspect(0, self.commits))
        suspect.tries += 1
        enough = FAILURES if not refused_as_data(exc) else REFUSALS
        if suspect.tries >= enough and (refused_as_data(exc) or self.commits > suspect.commits):
            try:
                self._drop_connection()
                connection = self._ear.at(await connect(self._dsn, writer=True, timeout=COMMIT_TIMEOUT))
                self._connection = connection
                async with asyncio.timeout(COMMIT_TIMEOUT), connection.transaction():
                    result = await parking.park(connection, item, safe(exc))
                self._ear.check()
            except Exception as failed:  # a supervisor: then it stays with us
                log.error("writer.parking_failed", writer=self.name, error=failed)
            else:
                self.parked += 1
                del self._suspects[future]
                if not future.done():
                    future.set_result(result)
                return
        delay = min(RETRY_MOST, 0.25 * 2.0 ** min(suspect.tries, 10))
        self._weight += self._weigh(item)  # it still waits
        timer = asyncio.get_running_loop().call_later(delay, self._rejoin, item, future)
        self._later[future] = (item, timer)

    def _rejoin(self, item: Item, future: asyncio.Future[Result]) -> None:
        del self._later[future]
        self._queue.append((item, future))
        self._idle.clear()
        self._wake.set()

    async def _attempt(self, items: list[Item], again: bool, limit: float) -> list[Result]:
        # Against a frozen server asyncpg would wait for its own ROLLBACK, too: when time is up, the connection goes.
        loop = asyncio.get_running_loop()
        connecting = asyncio.timeout(None)

        def time_is_up() -> None:
            if self._connection is not None:
                self._drop_connection()
            else:
                connecting.reschedule(loop.time())

        self._committing = False
        ended = Ended.NOT
        guard = self._guard = aio.Deadline(limit, time_is_up)
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = None
                async with connecting:
                    self._connection = self._ear.at(await connect(self._dsn, writer=True, timeout=limit))
            connection = self._connection
            await self._day.renew(connection)
            async with connection.transaction():
                if again:
                    await _record(connection)
                results = await self._commit(connection, items, again)
                failpoints.reach(f"{self.name}.commit")
                self._committing = True
                ended = Ended.IN_DOUBT
            self._ear.check()
            ended = Ended.COMMITTED
            self._day.wrote(sum(map(self._weigh, items)))
            failpoints.reach(f"{self.name}.committed")
            self._committing = False
            return results
        finally:
            guard.cancel()
            self._guard = None
            self._lag = guard.lag
            self._ended(ended)

    def _patience(self, item: Item) -> float:
        """Seconds of outage that an item waits."""
        if self._give_up_after is None:
            return math.inf
        return self._give_up_after if self._patience_of is None else self._patience_of(item)

    def _shortest(self) -> float:
        """The least patience of those who wait; nobody has less than ``give_up_after``."""
        shortest = math.inf
        if self._give_up_after is not None:
            for item in chain(self._under_way.values(), (item for item, _ in self._queue)):
                shortest = min(shortest, self._patience(item))
                if shortest <= self._give_up_after:
                    break
        return shortest

    def _bounded(self, limit: float) -> float:
        """Seconds that an attempt may take: whoever holds the line hears of an outage in time. Those with more patience
        give it whole to each attempt, for a slow server."""
        shortest = self._shortest()
        left = shortest - self.outage
        if self._give_up_after is not None and shortest <= self._give_up_after and left > 0:
            shortest = left
        return min(limit, shortest)

    def _give_up(self, error: Exception) -> None:
        """Whose patience is over gets the error, in the batch that is under way and behind it."""
        outage = self.outage
        over = [(item, future) for future, item in self._under_way.items() if self._patience(item) <= outage]
        for _, future in over:
            del self._under_way[future]
        behind = [entry for entry in self._queue if self._patience(entry[0]) <= outage]
        if behind:
            self._queue = deque(entry for entry in self._queue if self._patience(entry[0]) > outage)
        over += behind
        self._weight -= sum(self._weigh(item) for item, _ in over)
        self._fail(over, error)

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def _fail(self, batch: Iterable[tuple[Item, asyncio.Future[Result]]], error: Exception) -> None:
        for _, future in batch:
            if not future.done():
                if isinstance(error, Temporary) and future in self._in_doubt:
                    future.set_exception(self._uncertain(error))
                else:
                    future.set_exception(error)
