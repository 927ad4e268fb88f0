"""How many messages of tasks were clicked, as pages and calls ask for it: whoever asks for the same at a time waits for
one count, and a dear one is kept for long."""

from __future__ import annotations

import asyncio
import time
from typing import Final, NamedTuple

import structlog

from smsgw.core.tasks import Task
from smsgw.platform.campaigns.outcome import Clicks, Untold, clicks_of
from smsgw.runtime import aio
from smsgw.store.engine.database import Database

log = structlog.get_logger(__name__)

KEPT_FOR: Final = 5.0
"""Seconds for which figures are not counted again, …"""
TIMES: Final = 10
"""… or so many times as long as it has taken to count them."""
MOST_KEPT: Final = 1000
AT_ONCE: Final = 4
"""Tasks that are counted at a time: each has a connection of its own."""
PATIENCE: Final = 3.0
"""Seconds that somebody waits for a count; then they are told what was known before."""

_Run = tuple[int, int]


class _Known(NamedTuple):
    told: Clicks | Untold
    until: float


class ClickCounts:
    """Those of the latest runs, on one node."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[_Run, _Known] = {}
        self._counting: dict[_Run, asyncio.Task[None]] = {}

    def last(self, task: Task) -> Clicks | Untold:
        """As they were counted last; asks nothing."""
        if task.link_id is None or not task.run:
            return Untold.NONE
        known = self._known.get((task.id, task.run))
        return Untold.UNCOUNTED if known is None else known.told

    async def of(self, task: Task) -> Clicks | Untold:
        """Counted now, if they were not lately; what was known before where that takes longer than ``PATIENCE``, fails,
        or others are counted."""
        if task.link_id is None or not task.run:
            return Untold.NONE
        run = (task.id, task.run)
        known = self._known.get(run)
        if known is not None and time.monotonic() < known.until:
            return known.told
        counting = self._counting.get(run)
        if counting is None and len(self._counting) < AT_ONCE:
            counting = self._counting[run] = aio.spawn(self._count(task), name=f"clicks.{task.id}")
            counting.add_done_callback(lambda _: self._counting.pop(run, None))
        if counting is not None:
            await asyncio.wait([counting], timeout=PATIENCE)
        return self.last(task)

    async def _count(self, task: Task) -> None:
        run, began = (task.id, task.run), time.monotonic()
        try:
            told = await clicks_of(self._database, task)
        except Exception as exc:
            told = self.last(task)  # that it failed is remembered as well: the next try is not at once
            log.warning("task.clicks_uncounted", task=task.id, error=exc)
        now = time.monotonic()
        self._known.pop(run, None)
        while len(self._known) >= MOST_KEPT:
            del self._known[next(iter(self._known))]
        self._known[run] = _Known(told, now + max(KEPT_FOR, TIMES * (now - began)))
