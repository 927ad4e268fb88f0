"""What is costly to find out and may be a little old: kept for a while, for everybody with the same question."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")
MOST = 512
"""Answers that are kept; the oldest go."""


class Remembered:
    """Answers by question. The question has to name everything that the answer depends on, whose data included."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, tuple[float, Any]] = {}

    async def get(self, question: Hashable, seconds: float, find: Callable[[], Awaitable[T]]) -> T:
        """The answer, found anew when the one that is known is older than ``seconds``."""
        now = time.monotonic()
        at, answer = self._answers.get(question, (now - seconds - 1, None))
        if now - at <= seconds:
            known: T = answer
            return known
        found = await find()
        self._answers.pop(question, None)
        self._answers[question] = (now, found)
        while len(self._answers) > MOST:
            del self._answers[next(iter(self._answers))]
        return found
