"""Places that several owners share, so that none of them keeps the others from theirs."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable

from smsgw.core.errors import Temporary
from smsgw.core.guard import Bounded

MAX_PAYING = 10_000
"""Owners whose pace is known; those longest quiet are forgotten."""


class Shares:
    """``total`` places, of which one owner has at most ``own``, and the last ``own`` are for those who have none.

    What can wait, waits: owners in turn, each in its own order, so that who waits for himself waits for nobody else.
    """

    def __init__(self, total: int, own: int, *, patience: float, waiting: int = 64) -> None:
        """``patience``: seconds that a request waits; ``waiting``: requests of one owner that do so at a time."""
        self.total = total
        self.own = own
        self._patience = patience
        self._most_waiting = waiting
        self._held: dict[Hashable, int] = {}
        self._taken = 0
        self._queues: OrderedDict[Hashable, deque[tuple[int, asyncio.Future[None]]]] = OrderedDict()
        """Who waits, in the order of their turns; only owners who do are in it."""

    @property
    def taken(self) -> int:
        """Places that somebody has."""
        return self._taken

    def held(self, owner: Hashable) -> int:
        """Places that the owner has."""
        return self._held.get(owner, 0)

    async def take(self, owner: Hashable, n: int = 1) -> None:
        """Have ``n`` places (at most ``own``), until they are given back. ``BACKPRESSURE``: patience was not enough, or
        too many of the owner's requests wait already."""
        if owner not in self._queues and self._fits(owner, n):
            self._enter(owner, n)
            return
        queue = self._queues.setdefault(owner, deque())
        if len(queue) >= self._most_waiting:
            raise Temporary("BACKPRESSURE", retry_after=1, n=1)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append((n, turn))
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as exc:
            if turn.done() and not turn.cancelled():
                self.give(owner, n)
            else:
                self._forget(owner, turn)
            if isinstance(exc, TimeoutError):
                raise Temporary("BACKPRESSURE", retry_after=5, n=5) from None
            raise

    def give(self, owner: Hashable, n: int = 1) -> None:
        """Give ``n`` places back."""
        self._taken -= n
        left = self._held[owner] - n
        if left:
            self._held[owner] = left
        else:
            del self._held[owner]
        self._next()

    def _fits(self, owner: Hashable, n: int) -> bool:
        has = self._held.get(owner, 0)
        return has + n <= self.own and self._taken + n <= self.total - (self.own if has else 0)

    def _enter(self, owner: Hashable, n: int) -> None:
        self._held[owner] = self._held.get(owner, 0) + n
        self._taken += n

    def _next(self) -> None:
        """One request of each owner in turn, for as long as there are places for it."""
        passed = 0
        while passed < len(self._queues):
            owner, queue = next(iter(self._queues.items()))
            n, turn = queue[0]
            self._queues.move_to_end(owner)
            if not self._fits(owner, n):
                passed += 1
                continue
            passed = 0
            queue.popleft()
            if not queue:
                del self._queues[owner]
            if not turn.done():  # its request may have been given up
                self._enter(owner, n)
                turn.set_result(None)

    def _forget(self, owner: Hashable, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(owner)
        if queue is None:
            return
        for waiting in queue:
            if waiting[1] is turn:
                queue.remove(waiting)
                break
        if not queue:
            del self._queues[owner]
        self._next()


class Pace:
    """``rate`` a second for each owner, and what comes in ``burst`` seconds at once; whoever is faster waits."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._paid: Bounded[Hashable, float] = Bounded(MAX_PAYING)
        """Until when what an owner had is paid off, by the loop's clock."""

    def __len__(self) -> int:
        return len(self._paid)

    async def pay(self, owner: Hashable, n: float) -> None:
        """Have ``n``, and wait for as long as the owner has been too fast."""
        now = asyncio.get_running_loop().time()
        paid = max(self._paid.get(owner) or 0.0, now - self._burst) + n / self._rate
        self._paid.put(owner, paid)
        if paid > now:
            await asyncio.sleep(paid - now)
