"""What channels deliver of what counts, and what customers have acknowledged, by day; an alarm about poor channels."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta

from smsgw.core.alarms import Finding
from smsgw.core.ids import CHINA
from smsgw.core.settings import Settings
from smsgw.pipeline.periodic import Periodic
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database
from smsgw.store.messages import acknowledged, success

COUNTED_EVERY = 300.0
ACKNOWLEDGED_EVERY = 900.0
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
            Periodic("acknowledged", ACKNOWLEDGED_EVERY, self.count_acknowledged, exclusive="acknowledged",
                     patience=DAYS * acknowledged.PATIENCE),
        )  # fmt: skip

    async def count(self) -> None:
        """Count what is left out of the days that still change."""
        await self._each(success.count_day)

    async def count_acknowledged(self) -> None:
        """Count what customers have acknowledged of these days."""
        await self._each(acknowledged.count_day)

    async def _each(self, count_day: Callable[[Connection, date], Awaitable[None]]) -> None:
        today = clock.now().astimezone(CHINA).date()
        for back in range(DAYS):
            async with self._database.transaction(timeout=success.PATIENCE) as connection:
                await count_day(connection, today - timedelta(days=back))

    async def findings(self) -> Sequence[Finding]:
        """Channels that deliver too little, as of a moment ago."""
        now = asyncio.get_running_loop().time()
        if now - self._looked >= LOOKED_EVERY:
            self._found = await success.findings(self._database, self._settings(), clock.now())
            self._looked = now
        return self._found
