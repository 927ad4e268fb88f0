"""A tarpit: whoever sends what cannot be used, over and over, waits for its answer, so that the next one comes later.

Refusing such a one costs little and is no end of it: a program that tries again at once does so the faster, the
cheaper it is. Only its own connections wait, not what comes from the same place and is right, and only so many.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from smsgw.core.guard import Buckets, Rate

FREE = Rate(30, 0.1)
"""What is wrong at one place without a wait: a slip of somebody's, not the habit of a program."""
SECONDS = 1.0
"""The wait."""
OF_ONE = 16
"""Who waits of one place at a time; more would hold the connections of others behind the same address …"""
TOTAL = 512
"""… and of all places together, unless told otherwise. Those beyond are answered at once."""


class Tarpit:
    """One for each kind of what can be wrong; ``free`` of it at one place without a wait (``FREE``)."""

    def __init__(self, total: int = TOTAL, *, free: Rate | None = None) -> None:
        self._free: Buckets[str] = Buckets(free or FREE)
        self._held: Counter[str] = Counter()
        self._most = total
        self._total = 0

    @property
    def held(self) -> int:
        """Who waits."""
        return self._total

    def call(self, place: str, answer: Callable[[], object]) -> None:
        """Something was wrong: call ``answer``, at once or later."""
        loop = asyncio.get_running_loop()
        if self._free.take(place, loop.time()) or self._held.get(place, 0) >= OF_ONE or self._total >= self._most:
            answer()
            return
        self._held[place] += 1
        self._total += 1
        loop.call_later(SECONDS, self._release, place, answer)

    async def wait(self, place: str) -> None:
        """Something was wrong: return at once or later."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def over() -> None:
            if not turn.done():
                turn.set_result(None)

        self.call(place, over)
        await turn

    def _release(self, place: str, answer: Callable[[], object]) -> None:
        self._total -= 1
        self._held[place] -= 1
        if not self._held[place]:
            del self._held[place]
        answer()
