"""What is costly to find out and may be a little old: kept for a while, for everybody with the same question."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
MOST = 512
"""Answers that are kept; the oldest go."""
STALE = 10
"""So many times as old as an answer may be, it is still good enough for who would have to wait for a new one."""


@dataclass(slots=True)
class _Answer:
    at: float = 0.0
    """Monotonic, of the moment at which it began to be found out."""
    seconds: float = 0.0
    value: Any = None
    known: bool = False
    """There is one, however old."""
    finding: asyncio.Future[bool] | None = None
    """Somebody finds it out now; says at the end whether they have."""

    def within(self, times: int) -> bool:
        """Whether it is no older than so many times what it may be."""
        return self.known and time.monotonic() - self.at <= self.seconds * times


class Remembered:
    """Answers by question. The question has to name everything that the answer depends on, whose data included.

    One at a time finds an answer out. Who asks meanwhile gets the last one at once, and waits only where there is none.
    """

    def __init__(self) -> None:
        self._answers: dict[Hashable, _Answer] = {}

    async def get(
        self, question: Hashable, seconds: float | Callable[[T], float], find: Callable[[], Awaitable[T]]
    ) -> T:
        """The answer, found anew when the one that is known is older than ``seconds``, which may depend on it."""
        answer = self._answers.get(question)
        if answer is None:
            answer = self._answers[question] = _Answer()
            while len(self._answers) > MOST:
                del self._answers[next(iter(self._answers))]
        while answer.finding is not None and not answer.within(STALE):
            ended = answer.finding
            await asyncio.shield(ended)
            if ended.result():
                return answer.value
        if answer.within(1) or answer.finding is not None:
            return answer.value
        return await self._find(question, answer, seconds, find)

    async def _find(
        self, question: Hashable, answer: _Answer, seconds: float | Callable[[T], float],
        find: Callable[[], Awaitable[T]],
    ) -> T:  # fmt: skip
        began = time.monotonic()
        ended = answer.finding = asyncio.get_running_loop().create_future()
        try:
            found = await find()
            answer.at, answer.value, answer.known = began, found, True
            answer.seconds = seconds(found) if callable(seconds) else seconds
            if self._answers.pop(question, None) is not None:  # the youngest are forgotten last
                self._answers[question] = answer
            ended.set_result(True)
            return found
        finally:
            answer.finding = None
            if not ended.done():  # cut off, or an error: the next one finds it out
                ended.set_result(False)
