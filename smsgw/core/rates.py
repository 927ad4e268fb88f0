"""A rate for requests of different size, on the caller's clock (seconds)."""

from __future__ import annotations


class Meter:
    """At most ``rate`` per second on average, with one second's worth at once.

    A request larger than what may come at once passes when all of it is available and is paid off afterwards, so
    every size passes sooner or later and the average holds. A new meter is full; a clock that goes backwards adds
    nothing.
    """

    __slots__ = ("_at", "_owed")

    def __init__(self, owed: float = 0.0, at: float = 0.0) -> None:
        """As its ``state`` was."""
        self._owed = owed
        self._at = at

    @property
    def state(self) -> tuple[float, float]:
        """What is not paid off, and when that was so."""
        return self._owed, self._at

    def take(self, rate: float, now: float, n: int = 1) -> float:
        """Take ``n``: 0 when granted, else the seconds until the same request would be."""
        owed = self._left(rate, now)
        room = max(1.0, rate)
        excess = owed + min(n, room) - room
        if excess > 1e-6:
            return excess / rate
        self._owed = owed + n
        return 0.0

    def remaining(self, rate: float, now: float) -> int:
        """How many would be granted at once."""
        return max(0, int(max(1.0, rate) - self._left(rate, now) + 1e-6))

    def _left(self, rate: float, now: float) -> float:
        if now > self._at:
            self._owed = max(0.0, self._owed - (now - self._at) * rate)
            self._at = now
        return self._owed
