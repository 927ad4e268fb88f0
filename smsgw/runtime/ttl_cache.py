"""What is asked all the time and looked up seldom."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class TtlCache(Generic[T]):
    """Called, it looks up at most every so many seconds; else it gives what it found last. A failed look is repeated at
    the next call."""

    def __init__(
        self, seconds: float, look: Callable[[], Awaitable[T]], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._look = look
        self._monotonic = monotonic
        self._found: T | None = None
        self._at = float("-inf")

    async def __call__(self) -> T:
        """As of the last look. Raises what the look raises."""
        if self._found is None or self._monotonic() - self._at >= self._seconds:
            self._found = await self._look()
            self._at = self._monotonic()
        return self._found
