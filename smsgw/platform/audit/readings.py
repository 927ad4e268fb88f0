"""Looking is audited, too: who has opened, searched or taken away what. One row a person, thing and day."""

from __future__ import annotations

from collections import OrderedDict
from datetime import date

from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.records import audit
from smsgw.store.records.audit import JsonObject

CAPACITY = 20_000
"""Readings of the day that are remembered; one that was forgotten, or is made at another node, has a second row."""


class Readings:
    """Remembers what it has written down today. Owned by one edge of one process."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self._day: date | None = None

    async def note(
        self, database: Database, actor: Actor, action: str, object: str, details: JsonObject | None = None
    ) -> None:
        """Write a reading down if it is the first of its kind today (China). Call it before anything is shown."""
        today = clock.now().astimezone(CHINA).date()
        if today != self._day:
            self._seen.clear()
            self._day = today
        key = (actor.label, action, f"{object} {sorted(details.items()) if details else ''}")
        if key in self._seen:
            self._seen.move_to_end(key)
            return
        await audit.record(database, actor.author, action, object, after=details)
        self._seen[key] = None
        if len(self._seen) > CAPACITY:
            self._seen.popitem(last=False)
