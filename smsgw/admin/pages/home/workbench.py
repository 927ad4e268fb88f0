"""Home (P1.1): open alarms, today's figures, the last hour, the channels, the last messages; refreshes itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.menu import Entry
from smsgw.admin.pages.setup import steps
from smsgw.admin.rights import route
from smsgw.admin.words import METRIC
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.alarms import queries as alarms
from smsgw.platform.messages import queries as messages
from smsgw.platform.statistics import queries as statistics
from smsgw.runtime import clock

MENU = Entry("home.workbench", "/", Permission.HOME_VIEW)
MINUTES = 60
LATEST = 8
ALARMS = 20
CHART_METRICS = ("submitted", "delivered", "failed")


@route("GET", "/", Permission.HOME_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The whole page."""
    return call.render("home/workbench.html", todo=await steps.todo(call), **await _live(call))


@route("GET", "/home/live", Permission.HOME_VIEW, passive=True)
async def live(call: Call) -> web.StreamResponse:
    """The part that changes."""
    return call.piece("home/workbench_live.html", **await _live(call))


async def _live(call: Call) -> dict[str, Any]:
    now = clock.now()
    values: dict[str, Any] = dict.fromkeys(("alarms", "channels", "today", "chart", "latest"))
    values["tallied"] = messages.TALLIED
    if call.may(Permission.ALARM_VIEW):
        values["alarms"] = await alarms.page(call.db, limit=ALARMS)
    if call.may(Permission.CHANNEL_VIEW):
        values["channels"] = sorted(call.portal.context.channel_status(), key=lambda c: c.name)
    if call.may(Permission.STATISTICS_VIEW):
        values["today"] = await _today(call, now)
        minutes = await statistics.per_minute(call.db, minutes=MINUTES, accounts=call.accounts)
        values["chart"] = series(minutes, now)
    if call.may(Permission.MESSAGE_VIEW):
        values["latest"] = await messages.search(
            call.db, accounts=call.accounts, from_time=now - timedelta(days=7), limit=LATEST, now=now
        )
    return values


async def _today(call: Call, now: datetime) -> dict[str, int]:
    """What the records of today say, counted as their filter counts."""
    midnight = datetime.combine(now.astimezone(CHINA).date(), datetime.min.time(), CHINA)
    counts = await messages.tally(
        call.db, accounts=call.accounts, from_time=midnight, to_time=midnight + timedelta(days=1)
    )
    return {name: counts[status] for name, (_, _, status) in METRIC.items()}


def series(rows: Sequence[tuple[datetime, str, int]], now: datetime) -> dict[str, list[Any]]:
    """The chart's lines: the last 60 whole and running minutes, quiet ones as 0."""
    last = now.replace(second=0, microsecond=0)
    minutes = [last - timedelta(minutes=MINUTES - 1 - n) for n in range(MINUTES)]
    found = {(minute, metric): n for minute, metric, n in rows}
    lines: dict[str, list[Any]] = {
        metric: [found.get((minute, metric), 0) for minute in minutes] for metric in CHART_METRICS
    }
    lines["minutes"] = [minute.astimezone(CHINA).strftime("%H:%M") for minute in minutes]
    return lines
