"""The figures of the board, found out once for everybody who looks: each as the page that it leads to has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.kit.charts import Chart, ChartKind, Series
from smsgw.admin.pages.home import figures
from smsgw.admin.pages.routing import channels as channel_page
from smsgw.admin.words import board as words
from smsgw.core.actor import Scope
from smsgw.core.errors import Temporary
from smsgw.core.ids import CHINA
from smsgw.core.model import Lane
from smsgw.core.states import success_percent
from smsgw.platform.alarms import queries as alarms
from smsgw.platform.board import queries
from smsgw.platform.channels import queries as channels
from smsgw.platform.channels.model import connected
from smsgw.platform.handles import Database
from smsgw.platform.health import sizes
from smsgw.platform.health.sizes import Size
from smsgw.platform.statistics import delays, queries as statistics
from smsgw.platform.statistics.today import Today, midnight
from smsgw.platform.webhooks import queries as webhooks
from smsgw.platform.webhooks.model import Standing
from smsgw.runtime import clock

EVERY = 5.0
"""Seconds for which the figures are good for everybody; pages ask as often."""
OLD = 20.0
"""Seconds from which they are called old."""
PUSHES_SECONDS, FACTS_SECONDS, DELAY_SECONDS, SIZES_SECONDS = 15.0, 60.0, 60.0, 15.0
"""How old figures may be that take a look at many rows, or files."""
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MINUTES, HOURS = 60, 24
UNSETTLED = 3 * MINUTE
"""Minutes that are over for so long have all their figures; the others are counted anew each time."""
MOST_ALARMS = 8
ALL = Scope(None, None)
"""The board is about the platform as a whole, whoever looks."""
Counts = Mapping[datetime, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Flow:
    """Parts by minute of the last hour and by hour of the last day, up to now."""

    minutes: Sequence[datetime]
    hours: Sequence[datetime]
    by_minute: Counts
    by_hour: Counts
    rates: Mapping[str, float]
    """A second over the last minute."""

    @classmethod
    def of(cls, by_minute: Counts, by_hour: Counts, now: datetime) -> Flow:
        """``by_minute`` are those of the last hour, ``by_hour`` whole hours before this one and this one so far."""
        minute = now.replace(second=0, microsecond=0)
        hour = now.replace(minute=0, second=0, microsecond=0)
        share = 1 - (now - minute) / MINUTE  # of the minute before that lies within the last sixty seconds
        rates = {
            line: (_at(by_minute, minute, line) + _at(by_minute, minute - MINUTE, line) * share) / 60
            for line in words.LINES
        }
        return cls(
            [minute - MINUTE * n for n in reversed(range(MINUTES))], [hour - HOUR * n for n in reversed(range(HOURS))],
            by_minute, by_hour, rates,
        )  # fmt: skip

    def sum(self, line: str, since: datetime | None = None) -> int:
        """Of the last hour, or of the hours since then."""
        if since is None:
            return sum(_at(self.by_minute, at, line) for at in self.minutes)
        return sum(_at(self.by_hour, at, line) for at in self.hours if at >= since)

    @property
    def success(self) -> float | None:
        """Percent of what was reported on within the last hour."""
        return success_percent(self.sum("delivered"), self.sum("failed"))

    def charts(self, call: Call) -> tuple[Chart, Chart]:
        """Minutes, and hours."""
        return (
            self._chart(call, words.MINUTES, self.minutes, self.by_minute, "%H:%M"),
            self._chart(call, words.HOURS, self.hours, self.by_hour, "%H:00"),
        )

    @staticmethod
    def _chart(call: Call, title: str, times: Sequence[datetime], counts: Counts, form: str) -> Chart:
        lines = {line: [_at(counts, at, line) for at in times] for line in words.LINES}
        series = [Series(call.gettext(words.LINES[line]), values, words.TONES[line]) for line, values in lines.items()]
        sums = {line: f"{sum(values):,}" for line, values in lines.items()}
        labels = [at.astimezone(CHINA).strftime(form) for at in times]
        return Chart(call.gettext(title), ChartKind.LINE, labels, series, summary=call.filled(words.SUMMARY, sums))


def _at(counts: Counts, at: datetime, line: str) -> int:
    here = counts.get(at, {})
    return here.get("delivered", 0) + here.get("failed", 0) if line == "reported" else here.get(line, 0)


@dataclass(frozen=True, slots=True)
class LaneLine:
    """What waits in a lane."""

    lane: str
    waiting: int | None
    """None: that is not known."""
    more: bool
    """There are at least so many: no more were counted."""
    oldest: timedelta | None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """All that the board shows, as of a moment."""

    at: datetime
    flow: Flow
    today: datetime
    messages: Today
    lanes: Sequence[LaneLine]
    delay: Sequence[timedelta] | None
    pushes: Standing | None
    """None: not to be had."""
    facts: queries.DatabaseFacts
    replication: Any
    disk: Size | None
    """The fullest with data of this node."""
    disk_low: bool
    """New messages are refused for it."""
    live: int
    missing: int | None
    spooled: int
    """Calls that were accepted while the database was away and are not in it yet."""
    alarms: Sequence[alarms.Alarm]
    open_alarms: int
    channels: Sequence[channel_page.Line]

    @property
    def waiting(self) -> int | None:
        """Messages in all lanes; None: not known."""
        known = [one.waiting for one in self.lanes]
        return None if None in known else sum(one or 0 for one in known)

    @property
    def more_wait(self) -> bool:
        """There are at least so many."""
        return any(one.more for one in self.lanes)

    @property
    def oldest(self) -> timedelta | None:
        """How long what goes next has been waiting, in the lane where that is longest."""
        return max((one.oldest for one in self.lanes if one.oldest is not None), default=None)

    @property
    def push_age(self) -> timedelta | None:
        """Of the oldest that waits to be pushed."""
        oldest = self.pushes.oldest_at if self.pushes else None
        return None if oldest is None else max(timedelta(0), self.at - oldest)

    @property
    def rate_out(self) -> float:
        """Submits a second, as the channels say."""
        return sum(line.now.rate_now for line in self.channels if line.now)

    @property
    def connected(self) -> tuple[int, int]:
        """Channels that are logged in, and those that should be."""
        return connected(line.state for line in self.channels)

    @property
    def success_today(self) -> float | None:
        """Percent of today's messages whose end is known."""
        return self.messages.rate


async def found(call: Call) -> Figures:
    """The figures, at most ``EVERY`` seconds old where the database answers in time."""
    return await call.portal.remembered.get(("board",), EVERY, lambda: _find(call))


async def database(call: Call) -> queries.DatabaseFacts:
    """The database as it says itself, a minute ago at most."""
    db = call.db
    return await call.portal.remembered.get(("database facts",), FACTS_SECONDS, lambda: queries.database_facts(db))


def age(found: Figures) -> float:
    """Seconds since they were found out."""
    return (clock.now() - found.at).total_seconds()


async def _find(call: Call) -> Figures:
    context, asked, db, now = call.portal.context, call.portal.remembered, call.db, clock.now()
    flow = await _flow(call, now)
    today = midnight(now)
    standing = await alarms.page(db, limit=alarms.MOST_OPEN)
    measured, spooling = context.measures, context.acceptor.spooling
    missing = measured.missing.last
    disks = await asked.get(("sizes",), SIZES_SECONDS, lambda: sizes.sizes(db))
    return Figures(
        at=now, flow=flow, today=today, messages=await figures.counted(call, ALL, today), lanes=lanes(call),
        delay=await asked.get(("board delay",), DELAY_SECONDS, lambda: delays.report_delays(db, now - HOUR)),
        pushes=await asked.get(("board pushes",), PUSHES_SECONDS, lambda: _pushes(db)),
        facts=await database(call),
        replication=measured.replication.last, disk=sizes.fullest(disks, context.node),
        disk_low=context.acceptor.disk.low is not None,
        live=context.cluster.live,
        missing=None if missing is None else len(missing), spooled=spooling.calls if spooling else 0,
        alarms=standing[:MOST_ALARMS], open_alarms=len(standing),
        channels=await channel_page.lines(call, await channels.channels(db)),
    )  # fmt: skip


async def _pushes(database: Database) -> Standing | None:
    """None when they are not counted in time: the other figures do not wait for them."""
    try:
        return await webhooks.owed_to_all(database)
    except Temporary:
        return None


def lanes(call: Call) -> list[LaneLine]:
    """What waits, as this node has measured it last."""
    last = call.portal.context.measures.waiting.last
    if last is None:
        return [LaneLine(lane.name.lower(), None, False, None) for lane in Lane]
    queues = {one.lane: one for one in last.queues}
    lines = []
    for lane in Lane:
        one, name = queues.get(lane), lane.name.lower()
        if one is None:
            lines.append(LaneLine(name, 0, False, None))
            continue
        oldest = None if one.oldest is None else max(timedelta(0), last.at - one.oldest)
        lines.append(LaneLine(name, one.waiting, (one.waiting or 0) >= last.most, oldest))
    return lines


async def _flow(call: Call, now: datetime) -> Flow:
    asked, db = call.portal.remembered, call.db
    minute = now.replace(second=0, microsecond=0)
    hour = now.replace(minute=0, second=0, microsecond=0)
    settled, first = minute - UNSETTLED, minute - MINUTES * MINUTE
    over = await asked.get(
        ("board minutes", settled),
        3600.0,
        lambda: statistics.minutes_between(db, from_time=min(first, hour), to_time=settled),
    )
    rest = await statistics.minutes_between(db, from_time=settled, to_time=minute + MINUTE)
    hours = await asked.get(
        ("board hours", hour),
        figures.SETTLED_SECONDS,
        lambda: statistics.per_hour(db, from_time=hour - (HOURS - 1) * HOUR, to_time=hour, accounts=None),
    )
    by_minute, by_hour = dict[datetime, dict[str, int]](), dict[datetime, dict[str, int]]()
    for at, metric, n in (*over, *rest):
        by_minute.setdefault(at, {})[metric] = n
        if at >= hour:
            here = by_hour.setdefault(hour, {})
            here[metric] = here.get(metric, 0) + n
    for at, metric, n in hours:
        by_hour.setdefault(at, {})[metric] = n
    return Flow.of(by_minute, by_hour, now)
