"""The alarm about carriers whose reports come late or not at all; each node knows of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from smsgw.core.alarms import WARNING, Finding
from smsgw.core.words import phrase
from smsgw.pipeline.snapshot import Snapshots
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.messages import lateness
from smsgw.store.messages.lateness import Late

LOOKED_EVERY = 30.0
HALF = 0.5
"""Late of what was accepted: the median is."""


class Lateness:
    """On this node."""

    def __init__(self, database: Database, snapshots: Snapshots) -> None:
        self._database = database
        self._snapshots = snapshots
        self._looked = -LOOKED_EVERY
        self.seen: list[Late] = []
        """As of the last look."""

    async def findings(self) -> Sequence[Finding]:
        """Channels whose carrier has reported less than half of what it accepted in time, as of a moment ago."""
        now = asyncio.get_running_loop().time()
        if now - self._looked >= LOOKED_EVERY:
            snapshot = self._snapshots.current
            names = [one.name for one in snapshot.channels if one.id > 0]
            self.seen = await lateness.look(self._database, snapshot.alarm_rules, names, clock.now())
            self._looked = now
        return [
            Finding(lateness.KIND, f"channel/{one.channel}", WARNING, phrase(
                "alarm.report_late", n=one.accepted, late=one.late, limit=one.limit, share=f"{100 * one.share:.0f}"))
            for one in self.seen if one.accepted >= one.least and one.share > HALF
        ]  # fmt: skip
