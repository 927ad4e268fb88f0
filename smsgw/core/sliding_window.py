"""How much happened in the last second, or so, whichever second that is, on the caller's clock (seconds)."""

from __future__ import annotations

import math
from collections import deque

_SLOT = 0.001
"""Times are kept in slots of a millisecond; a slot is forgotten when all of it is older than the span."""


class SlidingCount:
    """At most ``limit`` in any span of ``span`` seconds. A clock that goes backwards forgets nothing."""

    __slots__ = ("_kept", "_slots", "_total", "limit")

    def __init__(self, limit: int, span: float = 1.0) -> None:
        if limit < 1:
            raise ValueError(f"limit {limit}")
        self.limit = limit
        self._kept = round(span / _SLOT)
        self._slots: deque[list[int]] = deque()
        self._total = 0

    def left(self, now: float) -> int:
        """How many more may happen now."""
        oldest = math.floor(now / _SLOT) - self._kept
        while self._slots and self._slots[0][0] < oldest:
            self._total -= self._slots.popleft()[1]
        return max(0, self.limit - self._total)

    def add(self, now: float, n: int) -> None:
        """``n`` happen."""
        slot = math.floor(now / _SLOT)
        if self._slots and self._slots[-1][0] >= slot:
            self._slots[-1][1] += n
        elif n:
            self._slots.append([slot, n])
        self._total += n

    def next_at(self, now: float, n: int = 1) -> float:
        """When ``n`` (at most the limit) may happen: ``now`` if at once."""
        missing = min(n, self.limit) - self.left(now)
        if missing <= 0:
            return now
        for slot, count in self._slots:
            missing -= count
            if missing <= 0:
                return max(now, (slot + self._kept + 1) * _SLOT)
        return now
