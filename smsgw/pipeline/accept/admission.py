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
from collections import OrderedDict, deque
from collections.abc import Callable

from smsgw.core.errors import Temporary

SHARE = 16
"""Messages in one turn: less than a millisecond, as an answer of the database takes several turns to be heard."""
PATIENCE = 0.01
"""Seconds of a turn, but for the text that is looked at by then."""
OWN_SHARE = 4
"""One account may have a quarter of what waits, and somebody who has nothing waiting may wait in any case."""

_Queue = OrderedDict[int, deque[tuple[int, asyncio.Future[None]]]]


class Turns:
    """``limit`` bounds what waits, in messages."""

    def __init__(
        self, limit: int, share: int = SHARE, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._limit = limit
        self._share = share
        self._left = share
        self._waiting: tuple[_Queue, ...] = (OrderedDict(), OrderedDict())
        """Urgent calls, and the others; by account, in the order of their turns."""
        self._weights: dict[int, int] = {}
        """What waits, by account; only accounts with some are in it."""
        self._weight = 0
        self._due = False
        self._until = math.inf
        """When this turn is over; known once somebody has begun."""
        self._late: deque[tuple[int, int, asyncio.Future[None]]] = deque()
        """Calls (account, messages) whose turn was over when they came to it: the next one begins with them."""

    @property
    def waiting(self) -> int:
        """Messages whose calls wait for their turn."""
        return self._weight

    def go(self, messages: int) -> bool:
        """Whether a call may go on at once; else ``wait``."""
        if self._left <= 0 or self._weight or self._over():
            return False
        self._left -= messages
        self._next_soon()
        self._begin()
        return True

    async def wait(self, account: int, messages: int, *, urgent: bool, begun: bool = False) -> None:
        """Until it is the call's turn. ``BACKPRESSURE`` when too much waits, unless the call has ``begun``."""
        own = self._weights.get(account, 0)
        if own and not begun and (own >= self._limit // OWN_SHARE or self._weight >= self._limit):
            raise Temporary("BACKPRESSURE", retry_after=1, n=1)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[not urgent].setdefault(account, deque()).append((messages, turn))
        self._join(account, messages)
        await turn
        while self._over():
            turn = asyncio.get_running_loop().create_future()
            self._late.append((account, messages, turn))
            self._join(account, messages)
            await turn
        self._begin()

    def _over(self) -> bool:
        """Whether those before have used up the turn's time; its first call never finds it so."""
        return self._until < math.inf and self._monotonic() >= self._until

    def _begin(self) -> None:
        if self._until == math.inf:
            self._until = self._monotonic() + PATIENCE

    def _join(self, account: int, messages: int) -> None:
        self._weights[account] = self._weights.get(account, 0) + messages
        self._weight += messages
        self._next_soon()

    def _leave(self, account: int, messages: int, turn: asyncio.Future[None]) -> None:
        """It is the call's turn."""
        self._weight -= messages
        self._weights[account] -= messages
        if not self._weights[account]:
            del self._weights[account]
        if not turn.done():  # its caller may have gone
            turn.set_result(None)
            self._left -= messages

    def _next_soon(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """A turn of the loop is over."""
        self._due = False
        self._left = self._share
        self._until = math.inf
        while self._late and self._left > 0:
            self._leave(*self._late.popleft())
        for queues in self._waiting:
            while queues and self._left > 0:
                account, queue = next(iter(queues.items()))
                messages, turn = queue.popleft()
                if queue:
                    queues.move_to_end(account)
                else:
                    del queues[account]
                self._leave(account, messages, turn)
        if self._weight or self._left < self._share:
            self._next_soon()
