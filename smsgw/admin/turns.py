"""Turns at something scarce, fairly: by rank, and within a rank one after the other, however often somebody asks."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Sequence
from enum import IntEnum

from smsgw.core.errors import Temporary

IN_A_ROW = 3
"""Turns of a rank while those below wait, before one of these has its own."""


class Rank(IntEnum):
    """Who comes first."""

    KNOWN = 0
    STRANGER = 1
    DOUBTFUL = 2
    """Has been wrong lately."""


class _Queue:
    """Those who wait, by who they are; each has one turn a round."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._n = 0
        self.row = 0
        """Turns in a row."""

    def __bool__(self) -> bool:
        return self._n > 0

    def join(self, who: str, turn: asyncio.Future[None]) -> None:
        """Wait. When there is no room, whoever has most waiting gives up the last; ``BACKPRESSURE`` when that is us."""
        if self._n >= self._most:
            longest = max(self._waiting, key=lambda one: len(self._waiting[one]))
            if len(self._waiting[longest]) <= len(self._waiting.get(who, ())) + 1:
                raise _too_many()
            last = self._waiting[longest].pop()
            if not last.done():
                last.set_exception(_too_many())
            self._n -= 1
        self._waiting.setdefault(who, deque()).append(turn)
        self._n += 1

    def leave(self, who: str, turn: asyncio.Future[None]) -> None:
        """Wait no more."""
        mine = self._waiting.get(who)
        if mine is not None and turn in mine:
            mine.remove(turn)
            self._n -= 1
            if not mine:
                del self._waiting[who]

    def next(self) -> asyncio.Future[None]:
        """Whose turn it is."""
        who, mine = self._waiting.popitem(last=False)
        turn = mine.popleft()
        self._n -= 1
        if mine:
            self._waiting[who] = mine
        return turn


def _too_many() -> Temporary:
    return Temporary("BACKPRESSURE", retry_after=5, n=5)


class Turns:
    """``at_once`` may work; of each rank ``waiting`` may wait."""

    def __init__(self, *, at_once: int, waiting: int) -> None:
        self._free = at_once
        self._queues = {rank: _Queue(waiting) for rank in Rank}

    @contextlib.asynccontextmanager
    async def turn(self, who: str, rank: Rank) -> AsyncIterator[None]:
        """Wait for a turn and have it. Raises ``BACKPRESSURE`` when too many wait."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(self._queues[rank], who)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, queue: _Queue, who: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.join(who, turn)
        try:
            await turn
        except asyncio.CancelledError:
            queue.leave(who, turn)
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._pass_on()  # it was our turn already
            raise

    def _pass_on(self) -> None:
        while waiting := [queue for queue in self._queues.values() if queue]:
            turn = _first(waiting).next()
            if not turn.done():  # its caller may have gone a moment ago
                turn.set_result(None)
                return
        self._free += 1


def _first(waiting: Sequence[_Queue]) -> _Queue:
    """Of those in which somebody waits, by rank, the one that has a turn now."""
    for queue in waiting[:-1]:
        if queue.row < IN_A_ROW:
            break
        queue.row = 0
    else:
        queue = waiting[-1]
    queue.row += 1
    return queue
