"""A flood of calls shares the event loop with the channels: so much of it in each turn of the loop, codes first.

Checking and building a batch takes the processor for milliseconds. When fifty callers post at once, all fifty would be
worked off in one turn of the loop, and for that long no channel writes and no answer of a carrier is read. So a turn
takes calls of up to ``SHARE`` messages; those that are left over wait for the next one, and sockets and timers have
their say in between. A call that finds room goes on without any waiting. One that is longer at its texts than
``PATIENCE`` goes on in another turn.
"""

from __future__ import annotations

import asyncio
from collections import deque

from smsgw.core.errors import Temporary

SHARE = 64
"""Messages in one turn: some milliseconds. A call that is larger has a turn for itself."""
PATIENCE = 0.02
"""Seconds of a turn that one call may take. A thousand ordinary texts take as much."""


class Turns:
    """``limit`` bounds what waits, in messages."""

    def __init__(self, limit: int, share: int = SHARE) -> None:
        self._limit = limit
        self._share = share
        self._left = share
        self._waiting: tuple[deque[tuple[int, asyncio.Future[None]]], ...] = (deque(), deque())
        """Urgent calls, and the others."""
        self._weight = 0
        self._due = False

    @property
    def waiting(self) -> int:
        """Messages whose calls wait for their turn."""
        return self._weight

    def go(self, messages: int) -> bool:
        """Whether a call may go on at once; else ``wait``."""
        if self._left <= 0 or self._weight:
            return False
        self._left -= messages
        self._next_soon()
        return True

    async def wait(self, messages: int, *, urgent: bool) -> None:
        """Until it is the call's turn. ``BACKPRESSURE`` when too much waits."""
        if self._weight >= self._limit:
            raise Temporary("BACKPRESSURE", retry_after=1, n=1)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[not urgent].append((messages, turn))
        self._weight += messages
        self._next_soon()
        await turn

    async def go_on(self, *, urgent: bool) -> None:
        """A call has used up its turn, and has all of another one when it comes. ``BACKPRESSURE`` likewise."""
        self._left = 0
        await self.wait(self._share, urgent=urgent)

    def _next_soon(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """A turn of the loop is over."""
        self._due = False
        self._left = self._share
        for queue in self._waiting:
            while queue and self._left > 0:
                messages, turn = queue.popleft()
                self._weight -= messages
                if not turn.done():  # its caller may have gone
                    turn.set_result(None)
                    self._left -= messages
        if self._weight or self._left < self._share:
            self._next_soon()
