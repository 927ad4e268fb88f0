"""A flood of calls shares the event loop with the channels and with other accounts: so much of it in each turn.

Checking and building a batch takes the processor for milliseconds. When fifty callers post at once, all fifty would be
worked off in one turn of the loop, and for that long no channel writes and no answer of a carrier is read. So a turn
takes up to ``SHARE`` messages, or fewer when their texts take longer than ``PATIENCE``, a larger call in pieces; what
is left over waits for the next one, and sockets and timers have their say in between. Codes go first, then accounts in
turn, so that nobody waits behind another's flood. A call that finds room goes on without any waiting.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from smsgw.core.errors import Temporary
from smsgw.runtime.fair_queue import FairQueue

SHARE = 16
"""Messages in one turn: less than a millisecond, as an answer of the database takes several turns to be heard."""
PATIENCE = 0.01
"""Seconds of a turn, but for the text that is looked at by then."""
OWN_SHARE = 4
"""One account may have a quarter of what waits, and somebody who has nothing waiting may wait in any case."""


LATE, URGENT, OTHER = range(3)
"""Ranks of calls; with those whose turn was over when they came to it the next one begins."""


class Admission:
    """``limit`` bounds what waits, in messages."""

    def __init__(self, limit: int, share: int = SHARE, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._limit = limit
        self._queue = FairQueue(share, own_waiting=math.inf, ranks=3, renewed=True)
        self._due = False
        self._until = math.inf
        """When this turn is over; known once somebody has begun."""

    @property
    def waiting(self) -> int:
        """Messages whose calls wait for their turn."""
        return self._queue.wanted

    def go(self, account: int, messages: int) -> bool:
        """Whether a call may go on at once; else ``wait``."""
        if self._over() or not self._queue.try_take(account, messages):
            return False
        self._next_soon()
        self._begin()
        return True

    async def wait(self, account: int, messages: int, *, urgent: bool, begun: bool = False) -> None:
        """Until it is the call's turn. ``BACKPRESSURE`` when too much waits, unless the call has ``begun``."""
        own = self._queue.wanted_by(account)
        if own and not begun and (own >= self._limit // OWN_SHARE or self.waiting >= self._limit):
            raise Temporary("BACKPRESSURE", retry_after=1, n=1)
        rank = URGENT if urgent else OTHER
        while True:
            self._next_soon()
            turn = self._queue.join(account, messages, rank)
            try:
                await turn
            except asyncio.CancelledError:
                self._queue.leave(turn, account, messages, rank)
                raise
            if not self._over():
                break
            rank = LATE
        self._begin()

    def _over(self) -> bool:
        """Whether those before have used up the turn's time; its first call never finds it so."""
        return self._until < math.inf and self._monotonic() >= self._until

    def _begin(self) -> None:
        if self._until == math.inf:
            self._until = self._monotonic() + PATIENCE

    def _next_soon(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """A turn of the loop is over."""
        self._due = False
        self._until = math.inf
        if self._queue.renew():
            self._next_soon()
