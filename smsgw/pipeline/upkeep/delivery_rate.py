"""What channels deliver of what counts, and what customers have acknowledged, by day; an alarm about poor channels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import structlog

from smsgw.core.alarms import Finding
from smsgw.core.errors import Temporary
from smsgw.core.ids import CHINA
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshots
from smsgw.pipeline.upkeep.maintenance import RECOUNT_HOURS
from smsgw.runtime import clock
from smsgw.runtime.ttl_cache import TtlCache
from smsgw.store.engine.database import Database
from smsgw.store.messages import acknowledged, success

log = structlog.get_logger(__name__)
COUNTED_EVERY = 300.0
ACKNOWLEDGED_EVERY = 900.0
ACKNOWLEDGED_PATIENCE = 900.0
"""Seconds for a day."""
LOOKED_EVERY = 30.0
DAYS = 4
"""Whose reports still come (``daily.SETTLED``); older ones are counted when they are checked at night."""


class Successes:
    """On this node. One at a time counts; all of them know what is wrong."""

    def __init__(self, database: Database, snapshots: Snapshots) -> None:
        self._database = database
        self._snapshots = snapshots
        self._night: date | None = None
        """The last one in which the days before have been counted here."""
        self.findings = TtlCache(LOOKED_EVERY, self.low)
        """As of a moment ago."""

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (
            Periodic("success", COUNTED_EVERY, self.count, exclusive="success", patience=DAYS * success.PATIENCE),
            Periodic("acknowledged", ACKNOWLEDGED_EVERY, self.count_acknowledged, exclusive="acknowledged",
                     patience=DAYS * ACKNOWLEDGED_PATIENCE),
        )  # fmt: skip

    async def count(self) -> None:
        """Count what is left out of the days that still change."""
        today = clock.now().astimezone(CHINA).date()
        for back in range(DAYS):
            async with self._database.transaction(timeout=success.PATIENCE) as connection:
                await success.count_day(connection, today - timedelta(days=back))

    async def count_acknowledged(self) -> None:
        """Count what customers have acknowledged of today; once a night, of the days whose reports still came."""
        now = clock.now().astimezone(CHINA)
        today = now.date()
        await self._acknowledged(today)
        if now.hour in RECOUNT_HOURS and self._night != today:
            for back in range(1, DAYS):
                await self._acknowledged(today - timedelta(days=back))
            self._night = today

    async def _acknowledged(self, day: date) -> None:
        try:
            async with self._database.transaction(timeout=ACKNOWLEDGED_PATIENCE) as connection:
                await acknowledged.count_day(connection, day)
        except Temporary as exc:
            log.warning("acknowledged.not_counted", day=f"{day}", error=str(exc))
            raise

    async def low(self) -> Sequence[Finding]:
        """Channels that deliver too little."""
        snapshot = self._snapshots.current
        return await success.findings(self._database, snapshot.alarm_rules, snapshot.settings, clock.now())
