"""Many short delays behind one timer of the event loop."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from math import inf
from typing import Any

# Calls this close together run in one go; event loop timers are no finer either.
_GRAIN = 0.001


class Timers:
    """A heap of calls. A loop timer per message would cost more than the message itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self._handle: asyncio.TimerHandle | None = None
        # Kept here, because uvloop's handles of calls that are due at once cannot tell it.
        self._armed_for = inf

    def __len__(self) -> int:
        """Calls that wait."""
        return len(self._heap)

    def at(self, when: float, call: Callable[..., None], *args: Any) -> None:
        """Call at loop time `when`, in order of time and, for the same time, of asking."""
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, call, args))
        if when < self._armed_for:
            self._arm()

    def due(self, when: float, *calls: Callable[..., None]) -> int:
        """How many of these calls will be made until then."""
        return sum(at <= when and call in calls for at, _, call, _ in self._heap)

    def take(self, call: Callable[..., None]) -> list[tuple[Any, ...]]:
        """The arguments of these calls, in their order; they will not be made."""
        taken = [args for _, _, other, args in sorted(self._heap) if other == call]
        self._heap = [entry for entry in self._heap if entry[2] != call]
        heapq.heapify(self._heap)
        return taken

    def clear(self) -> list[tuple[Callable[..., None], tuple[Any, ...]]]:
        """Forget everything; the calls that will not be made, in their order."""
        waiting = [(call, args) for _, _, call, args in sorted(self._heap)]
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._armed_for = inf
        return waiting

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed_for = self._heap[0][0]
        self._handle = self._loop.call_at(self._armed_for, self._fire)

    def _fire(self) -> None:
        self._handle = None
        self._armed_for = inf
        due = self._loop.time() + _GRAIN
        heap = self._heap
        try:
            while heap and heap[0][0] <= due:
                _, _, call, args = heapq.heappop(heap)
                call(*args)
        finally:
            # A failing call must not take the later ones with it.
            if heap and heap[0][0] < self._armed_for:
                self._arm()
