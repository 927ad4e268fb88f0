"""asyncio in one place: the only create_task, timeouts that a busy loop does not use up, backoff with jitter."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Protocol, TypeVar

import structlog

log = structlog.get_logger(__name__)
T = TypeVar("T")

_running: set[asyncio.Task[Any]] = set()


def spawn(coro: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start a task that is kept alive until it ends and whose failure is always logged.

    (A bare ``create_task`` may be garbage collected while it runs, and its exception may never be seen.)
    """
    task = asyncio.get_running_loop().create_task(coro, name=name)
    _running.add(task)
    task.add_done_callback(_reap)
    return task


def _reap(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (exc := task.exception()) is not None:
        log.error("task.failed", task=task.get_name(), exc_info=exc)


async def cancel(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel the tasks and wait until they have ended; their own errors were logged by ``spawn``."""
    live = [t for t in tasks if t is not None and not t.done()]
    for task in live:
        task.cancel()
    for task in live:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


SLICE = 0.25
"""Seconds at a time that a ``Deadline`` counts."""


class Deadline:
    """Calls back once so many seconds have passed in which the event loop turned.

    A loop that stands still (much to do, a machine without a free processor, a suspended one) finds its timers due
    before it has looked at its sockets. What waits there came in time: it was not the other side that was slow.
    """

    __slots__ = ("_call", "_due", "_handle", "_lag", "_left", "_loop")

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._call = call
        self._left = seconds
        self._lag = 0.0
        self._arm()

    def cancel(self) -> None:
        """It is not needed any more."""
        self._handle.cancel()

    def at_most(self, seconds: float) -> None:
        """No more than so many seconds from now."""
        if seconds < self._left:
            self._lag = self.lag
            self._left = seconds
            self._handle.cancel()
            self._arm()

    @property
    def lag(self) -> float:
        """Seconds in which the loop did not turn: they were not counted."""
        return self._lag + max(0.0, self._loop.time() - self._due)

    def _arm(self) -> None:
        self._due = self._loop.time() + min(self._left, SLICE)
        self._handle = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        late = self._loop.time() - self._due
        self._left -= min(self._left, SLICE)
        if late > SLICE:  # once more: the sockets have their say first
            self._lag += late
            self._left = max(self._left, SLICE)
        if self._left > 0:
            self._arm()
        else:
            self._call()


@contextlib.asynccontextmanager
async def timeout(seconds: float) -> AsyncIterator[None]:
    """``asyncio.timeout`` by a ``Deadline``: for waiting on something outside the process."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as scope:
        deadline = Deadline(seconds, lambda: scope.reschedule(loop.time()))
        try:
            yield
        finally:
            deadline.cancel()


class Closable(Protocol):
    """What is closed when it is done with."""

    def close(self) -> object:
        """Give back what it holds."""


Closing = TypeVar("Closing", bound=Closable)


async def in_thread(call: Callable[..., T], *args: object, **named: object) -> T:
    """``asyncio.to_thread`` which has ended when this has, also when it is cancelled (however often): what it works on
    is not closed or removed under it, and it is not left out because no thread was free. For what takes no time."""
    return await _whole(_begun(call, *args, **named))


@contextlib.asynccontextmanager
async def opened(call: Callable[..., Closing], *args: object, **named: object) -> AsyncIterator[Closing]:
    """What ``call`` opens in a thread. It is closed in one as well, in any case: what a thread has begun to open is
    open, whoever has given up meanwhile."""
    opening = _begun(call, *args, **named)
    try:
        yield await _whole(opening)
    finally:
        if opening.exception() is None:
            await in_thread(opening.result().close)


def _begun(call: Callable[..., T], *args: object, **named: object) -> asyncio.Future[T]:
    work = functools.partial(contextvars.copy_context().run, call, *args, **named)
    return asyncio.get_running_loop().run_in_executor(None, work)


async def _whole(work: asyncio.Future[T]) -> T:
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as exc:
            cancelled = exc
    error = work.exception()  # seen, also where the cancellation is what is told
    if cancelled is not None:
        raise cancelled
    if error is not None:
        raise error
    return work.result()


class Backoff:
    """Exponential backoff with full jitter: ``next()`` gives the seconds to wait, ``reset()`` after success."""

    def __init__(self, first: float = 0.5, ceiling: float = 30.0) -> None:
        self._first = first
        self._ceiling = ceiling
        self._tries = 0

    def next(self, floor: float = 0.0) -> float:
        """Seconds to wait before the next try, at least ``floor``."""
        span = min(self._ceiling, self._first * 2.0 ** min(self._tries, 16))
        self._tries += 1
        return floor + span * (0.5 + random.random() / 2)  # noqa: S311

    def reset(self) -> None:
        """Forget earlier failures."""
        self._tries = 0


def settle_memory() -> None:
    """Take what was built at the start (tables of numbers, code) out of the garbage collector's sight, and let it look
    at the rest less often: a full collection over all of it stops everything for 50 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def share_interpreter() -> None:
    """Threads beside the event loop write files that it waits for, and do so in no time: let them ask for the
    interpreter after a millisecond instead of five, which calls under way on a busy loop would all wait for."""
    sys.setswitchinterval(0.001)


def keep_memory() -> None:
    """``settle_memory`` for a process that keeps what comes, all of it and without cycles: a full collection would look
    at all that is kept (0.1 s for 70,000 messages) and find nothing. Young objects are collected as ever."""
    settle_memory()
    gc.set_threshold(10_000, 20, 1_000_000)


def boottime() -> float:
    """Seconds since boot, suspend included: what lease deadlines are measured on."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
