"""The messages accepted today, by status: one count for all pages that show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.actor import Scope
from smsgw.core.ids import CHINA
from smsgw.core.states import success_percent
from smsgw.platform.messages import queries as messages
from smsgw.platform.statistics import queries as statistics
from smsgw.store.engine.database import Database

DAY = timedelta(days=1)


def midnight(now: datetime) -> datetime:
    """The beginning of the day in China."""
    return datetime.combine(now.astimezone(CHINA).date(), datetime.min.time(), CHINA)


@dataclass(frozen=True, slots=True)
class Today:
    """Messages that were accepted today."""

    counts: dict[str, int]
    """Status -> messages that the records show for it; ``""``: all."""
    from_statistics: bool
    """There are more than records are counted: the figures are those of the statistics, some seconds old."""

    @property
    def rate(self) -> float | None:
        """Percent of those whose end is known; None: of none."""
        return success_percent(self.counts["delivered"], self.counts["failed"])


async def today(database: Database, scope: Scope, start: datetime) -> Today:
    """Of the day that begins then, in the scope of whoever asks."""
    found = await messages.tally(
        database, accounts=scope.accounts, from_time=start, to_time=start + DAY, submitter=scope.submitter
    )
    from_statistics = found[""] >= messages.TALLIED
    if from_statistics:
        day = start.date()
        for line in await statistics.by_day(database, first=day, last=day, group=("day",), accounts=scope.accounts):
            found |= dict(line.ended) | {"": line.accepted, "submitted": line.accepted - sum(line.ended.values())}
    return Today(found, from_statistics)
