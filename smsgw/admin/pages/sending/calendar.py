"""Tasks that have not begun, in a calendar (P2.4): a month, each task on the days on which it begins."""

from __future__ import annotations

import calendar
import re
from datetime import date, datetime, time, timedelta

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.pages.sending.tasks import SCHEDULED
from smsgw.admin.rights import route
from smsgw.admin.words import tasks as words
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.campaigns import queries
from smsgw.runtime import clock

MOST = 1000
A_DAY = 6
"""Tasks of a day that are shown; the rest is counted."""


@route("GET", SCHEDULED + "/calendar", Permission.TASK_VIEW)
async def month(call: Call) -> web.StreamResponse:
    """The month that the address names, else this one, in whole weeks."""
    today = clock.now().astimezone(CHINA).date()
    first = _first(call.request.query.get("month", ""), today)
    after = (first + timedelta(days=32)).replace(day=1)
    weeks = calendar.Calendar().monthdatescalendar(first.year, first.month)
    seen = weeks[0][0], weeks[-1][-1] + timedelta(days=1)
    begin, end = (datetime.combine(day, time(0), CHINA) for day in seen)
    found = await queries.planned(call.db, call.actor, begin, end, MOST)
    days: dict[date, list[tuple[datetime, int, str, str]]] = {}
    for at, task, account in found:
        local = at.astimezone(CHINA)
        days.setdefault(local.date(), []).append((local, task.id, task.name or f"#{task.id}", account))
    return call.render(
        "sending/calendar.html", weeks=weeks, days=days, first=first, before=first - timedelta(days=1), after=after,
        today=today, shown=A_DAY, tabs=words.SCHEDULED_TABS, weekdays=words.WEEKDAYS, most=MOST,
        more=len(found) == MOST, number=sum(len(own) for day, own in days.items() if day.month == first.month),
    )  # fmt: skip


def _first(text: str, today: date) -> date:
    """The first day of a month, within a year of today."""
    if re.fullmatch(r"20[0-9]{2}-(0[1-9]|1[0-2])", text, re.ASCII):
        wanted = date(int(text[:4]), int(text[5:]), 1)
        if abs((wanted - today).days) <= 400:
            return wanted
    return today.replace(day=1)
