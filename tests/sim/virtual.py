"""An event loop with a clock of its own, and processes that can be frozen or killed at any point.

Nothing in it waits: when nothing is ready the clock jumps to the next timer. There are no threads and no sockets
(``wires`` has the connections). Which process a callback belongs to is in its context: the callbacks of a frozen
process are kept for later, those of a dead one never run again, which is what a crash at an await looks like.

A crash in the middle of a turn shows only in what the process still did before it: an *effect* is an octet handed to a
socket, a record in the journal or a request to the database. A process may be told to die at its n-th effect; that one
and all later ones do not happen.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import os
import random
import secrets
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from smsgw.runtime import clock
from smsgw.runtime.clock import Clock
from smsgw.runtime.rate_limited_logger import RateLimitedLogger

EPOCH = datetime(2026, 3, 1, 4, tzinfo=UTC).timestamp()
"""Wall time at which every run begins."""
TURN = 1e-6
"""Seconds that a turn of the loop takes: who waits for a moment by looking at the clock must see it come."""
MAX_AT_ONCE = 100_000
"""Callbacks that may run within a hundredth of a second."""

_where: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class Livelock(AssertionError):
    """Something goes round and round."""


class Threads(AssertionError):
    """Something wants a thread: it could not be repeated."""


class Process:
    """What runs on one machine from a start to its end."""

    def __init__(self, name: str, *, wall_offset: float = 0.0) -> None:
        self.name = name
        self.wall_offset = wall_offset
        """How far the machine's clock is ahead of the true time."""
        self.clock = Clock(lambda: time.time() + self.wall_offset)
        self.dead = False
        self.frozen = False
        self.held: list[asyncio.Handle] = []
        self.effects = 0
        self.dies_at: int | None = None
        """The effect at which it dies."""
        self.on_death: list[Callable[[], None]] = []

    def context(self) -> contextvars.Context:
        """A context in which everything belongs to this process."""
        context = contextvars.copy_context()
        context.run(_where.set, self)
        context.run(clock.current.set, self.clock)
        return context

    def die(self) -> None:
        """As by SIGKILL: from now on nothing of it happens."""
        if not self.dead:
            self.dead = True
            for call in self.on_death:
                call()

    def effect(self) -> bool:
        """The process is about to do something that others can see; False when it did not live so long."""
        if self.dead:
            return False
        self.effects += 1
        if self.dies_at is not None and self.effects >= self.dies_at:
            self.die()
            return False
        return True


def dice_of(*what: object) -> random.Random:
    """Dice that fall the same way whenever they are for the same."""
    return random.Random(" ".join(map(str, what)))  # noqa: S311 - faults must be repeatable


def here() -> Process | None:
    """The process that is running; None for the world around."""
    return _where.get()


class VirtualLoop(asyncio.BaseEventLoop):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._at_once = 0
        self._since = 0.0
        self._cancelled = 0
        self.kept: set[asyncio.Task[Any]] = set()
        self.network: Any = None
        """Has ``connect`` and ``listen``."""

    def time(self) -> float:
        return self._now

    def create_task(self, coro: Any, **how: Any) -> Any:  # type: ignore[override]
        """Kept until it is done: a task that is collected runs its ``finally`` blocks, a crashed one must not."""
        task = super().create_task(coro, **how)
        self.kept.add(task)
        task.add_done_callback(self.kept.discard)
        return task

    def _run_once(self) -> None:
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        ready: deque[asyncio.Handle] = self._ready  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:  # type: ignore[attr-defined]
            heapq.heappop(scheduled)
        if not ready:
            if not scheduled:
                raise Livelock("nothing will ever happen again")
            if scheduled[0]._when > self._now:  # type: ignore[attr-defined]
                self._now = scheduled[0]._when  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._when <= self._now:  # type: ignore[attr-defined]
            ready.append(heapq.heappop(scheduled))
        self._now += TURN
        if self._now >= self._since + 0.01:
            self._since = self._now
            self._at_once = 0
        self._at_once += len(ready)
        if self._at_once > MAX_AT_ONCE:
            raise Livelock(f"{self._at_once} callbacks at {self._now:.6f}, the last ones {list(ready)[:3]}")
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:  # type: ignore[attr-defined]
                continue
            process = handle._context.get(_where)  # type: ignore[attr-defined]
            if process is not None and process.dead:
                continue
            if process is not None and process.frozen:
                process.held.append(handle)
                continue
            handle._run()  # type: ignore[attr-defined]

    def thaw(self, process: Process) -> None:
        """What was kept runs now, in its order."""
        process.frozen = False
        self._ready.extend(process.held)  # type: ignore[attr-defined]
        process.held.clear()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Most timers are cancelled: they are cleared away when they are many."""
        self._cancelled += 1
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        if self._cancelled > 100 and self._cancelled * 2 > len(scheduled):
            scheduled[:] = [timer for timer in scheduled if not timer._cancelled]  # type: ignore[attr-defined]
            heapq.heapify(scheduled)
            self._cancelled = 0

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        raise Threads("something was called from another thread")

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """There are no threads."""
        raise Threads(f"{func} wants a thread")

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Any, host: Any = None, port: Any = None, **how: Any
    ) -> Any:
        return await self.network.connect(protocol_factory, host, port)

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Any, host: Any = None, port: Any = None, **how: Any
    ) -> Any:
        return self.network.listen(protocol_factory, host, port)


class _Os:
    """``os`` for the journal: a dead process writes nothing."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    @staticmethod
    def pwrite(fd: int, data: bytes, offset: int) -> int:
        process = here()
        return os.pwrite(fd, data, offset) if process is None or process.effect() else len(data)


@contextlib.contextmanager
def simulated(loop: VirtualLoop, seed: int) -> Iterator[None]:
    """Everything in this process goes by the loop's clock and the seed's dice."""
    import smsgw.store.engine.journal

    dice = dice_of(seed, "secrets")
    state = random.getstate()
    random.seed(seed)
    with contextlib.ExitStack() as stack:
        stack.callback(random.setstate, state)
        for name, value in {
            "monotonic": loop.time,
            "time": lambda: EPOCH + loop.time(),
            "clock_gettime": lambda _: loop.time(),
        }.items():
            stack.enter_context(mock.patch.object(time, name, value))
        stack.enter_context(mock.patch.object(secrets, "randbelow", dice.randrange))
        stack.enter_context(mock.patch.object(smsgw.store.engine.journal, "os", _Os()))
        for name, module in list(sys.modules.items()):  # what was said in the run before is none of this one's
            if name.startswith("smsgw.") and isinstance(lines := getattr(module, "sparing", None), RateLimitedLogger):
                stack.enter_context(mock.patch.object(lines, "_kinds", {}))
        stack.callback(clock.current.reset, clock.current.set(Clock(time.time)))
        yield
