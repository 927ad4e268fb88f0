"""Where one reader looks for the events of a kind that wait (docs/adr/100).

What was delivered before them is walked over by no look while somebody keeps a snapshot, and what comes in behind it
(given back, lapsed, offered again) is found by rounds.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from smsgw.core.errors import SmsgwError
from smsgw.core.ids import first_id
from smsgw.core.queue_cursors import ALL, DEAR, QueueCursors, Stretch
from smsgw.store.engine.database import was_slow
from smsgw.store.messages.events import Found

KEPT = timedelta(days=32)
"""No event is kept for longer."""
STEP_PATIENCE = 5.0
"""Seconds that a step of a round is taken to cost that does not come to its end."""

Key = TypeVar("Key", bound=Hashable)
Event = TypeVar("Event")
Find = Callable[[Stretch, int], Awaitable[Found[Event]]]
"""Take up to so many events with ids of the stretch, oldest first."""


class EventHead:
    """One kind of events, as one reader finds them."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._clock = asyncio.get_running_loop().time
        self._heads: QueueCursors[None] = QueueCursors(self._clock)

    @property
    def since(self) -> int:
        """From which id on to look."""
        now = self._now()
        return self._heads.since(None, first_id(now - KEPT), first_id(now - self._heads.late))

    @property
    def due(self) -> bool:
        """Whether to look for what has come in behind that, or to find out what it takes."""
        return self._heads.due or (self._heads.dear and not self._heads.measured)

    def back(self, id_: int) -> None:
        """It was found, and was not taken: the next look begins with it."""
        self._heads.back(None, id_)

    async def look(self, limit: int, find: Find[Event]) -> Found[Event]:
        """What waits, up to ``limit``, oldest first. Raises what ``find`` does where it looks from ``since`` on, unless
        something has been taken by then; what rounds cannot look through in time waits for the next one."""
        stepped = self._heads.due
        found = await self._round(limit, find)
        if len(found) < limit:
            try:
                found += await self._look(limit - len(found), find)
            except SmsgwError:
                if not found:
                    raise
                return found
        if not stepped:
            found = await self._round(limit - len(found), find) + found
        return found

    async def _look(self, limit: int, find: Find[Event]) -> Found[Event]:
        first, begun = self.since, self._clock()
        try:
            found = await find(Stretch(first, ALL), limit)
        except SmsgwError as exc:
            if was_slow(exc) and self._clock() - begun > DEAR:
                self._heads.failed([None])
            raise
        taken = [(None, id_) for id_ in found.ids]
        self._heads.looked([None], taken, found.seconds, all_of_it=len(found) < limit)
        return found

    async def _round(self, limit: int, find: Find[Event]) -> Found[Event]:
        """Steps up to the end of a round, as long as they cost nothing."""
        found = Found[Event]()
        oldest, newest = first_id(self._now() - KEPT), self.since - 1
        reached = oldest - 1
        while self._heads.due and reached < newest and len(found) < limit:
            stretch, room = self._heads.step(oldest, newest, STEP_PATIENCE), limit - len(found)
            try:
                some = await find(stretch, room)
            except SmsgwError as exc:
                if not was_slow(exc):
                    self._heads.undone(stretch)
                break
            taken = [(None, id_) for id_ in some.ids]
            self._heads.stepped(stretch, oldest, newest, taken, some.seconds, all_of_it=len(some) < room)
            found += some
            reached = stretch.last
        return found


class EventHeads(Generic[Key]):
    """Those of many, of which what was not asked for longest is forgotten: it is looked for from the oldest again."""

    def __init__(self, now: Callable[[], datetime], most: int = 10_000) -> None:
        self._now = now
        self._most = most
        self._heads: OrderedDict[Key, EventHead] = OrderedDict()

    def of(self, key: Key) -> EventHead:
        """Its head."""
        if (head := self._heads.get(key)) is None:
            head = self._heads[key] = EventHead(self._now)
            if len(self._heads) > self._most:
                self._heads.popitem(last=False)
        self._heads.move_to_end(key)
        return head
