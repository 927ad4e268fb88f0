"""The numbers of the first page: today by its records, against yesterday until the same hour, and hour by hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.admin.call import Call
from smsgw.admin.kit.charts import Chart, ChartKind, Series, spark
from smsgw.admin.words import home as words
from smsgw.core.actor import Scope
from smsgw.core.ids import CHINA
from smsgw.platform.statistics import queries as statistics
from smsgw.platform.statistics.today import DAY, Today, midnight, today

HOUR = timedelta(hours=1)
SETTLED_SECONDS = 60.0
"""Hours that are over are counted anew after this: a message that was spooled comes late."""
Counts = Sequence[tuple[datetime, str, int]]
"""(hour, metric, parts)"""


FEW = 5_000
"""Messages of a day that are counted at every look; …"""
MANY_SECONDS = 10.0
"""… of more the count is kept so long, for all who see the same accounts."""
OTHERS = ("held", "scheduled", "queued", "uncertain", "rejected", "expired", "no_report")


async def counted(call: Call, scope: Scope, start: datetime) -> Today:
    """What the records say of the day that begins then, for all who see the same."""
    return await call.portal.remembered.get(("today", scope, start), kept, lambda: today(call.db, scope, start))


def kept(found: Today) -> float:
    """Seconds for which a day's count is good enough."""
    return MANY_SECONDS if found.counts[""] > FEW else 0.0


@dataclass(frozen=True, slots=True)
class Flow:
    """Parts by hour of today, as far as it has come, and of yesterday."""

    now: datetime
    today: dict[str, list[int]]
    yesterday: dict[str, list[int]]

    @classmethod
    def of(cls, counts: Counts, now: datetime) -> Flow:
        """From what was counted since yesterday's beginning."""
        start, n = midnight(now), now.astimezone(CHINA).hour + 1
        found = {(hour, metric): parts for hour, metric, parts in counts}
        today, yesterday = (
            {metric: [found.get((first + HOUR * at, metric), 0) for at in range(hours)] for metric in _COUNTED}
            for first, hours in ((start, n), (start - DAY, 24))
        )
        return cls(now, today, yesterday)

    @property
    def hours(self) -> int:
        """Whole hours of today."""
        return len(self.today["submitted"]) - 1

    def spark(self, metric: str) -> str:
        """The little line beside a figure."""
        return spark(self.today[metric])

    def change(self, metric: str) -> float | None:
        """Percent that the whole hours of today have more than those of yesterday; None: nothing to compare with."""
        before, since = self._until(self.yesterday, metric), self._until(self.today, metric)
        return 100 * (since - before) / before if before else None

    def rate_change(self) -> float | None:
        """The same of the share of what was delivered, in percentage points."""
        rates = []
        for of_day in (self.yesterday, self.today):
            good, bad = self._until(of_day, "delivered"), self._until(of_day, "failed")
            if not good + bad:
                return None
            rates.append(100 * good / (good + bad))
        return rates[1] - rates[0]

    def _until(self, of_day: dict[str, list[int]], metric: str) -> int:
        return sum(of_day[metric][: self.hours])

    def chart(self, call: Call) -> Chart:
        """As a chart: the axis is the whole day, so that it changes only when its numbers do."""
        say = call.gettext
        rest = [None] * (23 - self.hours)
        lines = [
            Series(say(words.FLOW_LINES[metric]), [*self.today[metric], *rest], tone)
            for metric, tone in (("submitted", "blue"), ("delivered", "green"), ("failed", "red"))
        ]
        lines.append(Series(say(words.FLOW_LINES["before"]), self.yesterday["submitted"], "secondary"))
        told = {metric: f"{sum(self.today[metric]):,}" for metric in ("submitted", "delivered", "failed")}
        told["before"] = f"{sum(self.yesterday['submitted']):,}"
        return Chart(
            say(words.FLOW), ChartKind.LINE, [f"{hour:02}:00" for hour in range(24)], lines,
            summary=call.filled(words.FLOW_SUMMARY, told),
        )  # fmt: skip


_COUNTED = ("accepted", "submitted", "delivered", "failed")


async def flow(call: Call, now: datetime) -> Flow:
    """Hour by hour; those that are over are not counted anew every time."""
    start = midnight(now)
    hour = start + HOUR * now.astimezone(CHINA).hour

    async def over() -> Counts:
        return await statistics.per_hour(call.db, from_time=start - DAY, to_time=hour, accounts=call.accounts)

    past = await call.portal.remembered.get(("flow", call.accounts, hour), SETTLED_SECONDS, over)
    running = await statistics.per_hour(call.db, from_time=hour, to_time=hour + HOUR, accounts=call.accounts)
    return Flow.of([*past, *running], now)
