"""How fast each owner may have something."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from smsgw.core.guard import Bounded

MAX_PAYING = 10_000
"""Owners whose pace is known; those longest quiet are forgotten."""


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
