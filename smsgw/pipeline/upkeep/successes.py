"""How much of what counts the channels deliver: counted by day, and an alarm where it is too little."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from smsgw.core.alarms import Finding
from smsgw.core.ids import CHINA
from smsgw.core.settings import Settings
from smsgw.pipeline.periodic import Periodic
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.messages import success

COUNTED_EVERY = 300.0
LOOKED_EVERY = 30.0
DAYS = 4
"""Whose reports still come (``daily.SETTLED``); older ones are counted when they are checked at night."""


class Successes:
    """On this node. One at a time counts; all of them know what is wrong."""

    def __init__(self, database: Database, settings: Callable[[], Settings]) -> None:
        self._database = database
        self._settings = settings
        self._looked = -LOOKED_EVERY
        self._found: list[Finding] = []

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (
            Periodic("success", COUNTED_EVERY, self.count, exclusive="success", patience=DAYS * success.PATIENCE),
        )

    async def count(self) -> None:
        """Count what is left out of the days that still change."""
        today = clock.now().astimezone(CHINA).date()
        for back in range(DAYS):
            async with self._database.transaction(timeout=success.PATIENCE) as connection:
                await success.count_day(connection, today - timedelta(days=back))

    async def findings(self) -> Sequence[Finding]:
        """Channels that deliver too little, as of a moment ago."""
        now = asyncio.get_running_loop().time()
        if now - self._looked >= LOOKED_EVERY:
            self._found = await success.findings(self._database, self._settings(), clock.now())
            self._looked = now
        return self._found
