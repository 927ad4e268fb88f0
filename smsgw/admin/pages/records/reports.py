"""Reports (P8.4; 日报表, 月报表): what was sent and what has become of it, by day and month, and what that was for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from smsgw.admin import words as told
from smsgw.admin.call import Call
from smsgw.admin.kit.charts import Chart, ChartKind, Series
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period
from smsgw.admin.kit.kinds import names_of
from smsgw.admin.kit.lists import Empty, ListPage, Report
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import records as words
from smsgw.admin.words.provinces import PROVINCES
from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.handles import Database
from smsgw.platform.org import queries as org
from smsgw.platform.paging import Slice, Window
from smsgw.platform.statistics import queries, reports
from smsgw.platform.statistics.reports import Acknowledged, Figures, Wanted
from smsgw.runtime import clock

DAILY, MONTHLY, PEOPLE = "/reports/daily", "/reports/monthly", "/reports/people"
MENU = (
    Entry("records.daily", DAILY, Permission.STATISTICS_VIEW),
    Entry("records.monthly", MONTHLY, Permission.STATISTICS_VIEW),
    Entry("records.people", PEOPLE, Permission.STATISTICS_VIEW),
)
SHOWN = {"submitted": "blue", "delivered": "green", "failed": "red", "unknown": "orange", "success_rate": "green",
         "billed": "secondary"}  # fmt: skip
STACK = {"delivered": "green", "failed": "red", "unknown": "orange", "unsent": "secondary", "pending": "azure"}
LABELS = {"unknown": "unknown_for_good"}
"""Of what has ended: what may still be learned is on its way."""
MONTHS, YEARS = 12, 3
_choice = partial(Field, kind=FieldKind.CHOICE)
_FIELDS = (
    _choice("group", choices=words.GROUP, blank=words.NO_GROUP), _choice("account"),
    _choice("type", label="message_type"), _choice("channel", more=True),
    _choice("carrier", choices=told.CARRIER, more=True), Field("sign", more=True),
    _choice("origin", choices=told.ORIGIN, more=True),
)  # fmt: skip
_OF_PEOPLE = (
    _choice("by", label="group", choices=words.PEOPLE, blank=words.BY_PERSON), _choice("department"),
    _choice("account"), Field("person", label="submitter"), _choice("origin", choices=told.ORIGIN),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A row with the address of the records that it counts; empty: their filter cannot say which these are."""

    figures: Figures
    records: str
    people: str = ""
    """The address of the people whom it counts together."""
    acknowledged: Acknowledged | None = None
    """What the customers' systems have acknowledged of it; None: nobody does, or it is not known."""

    @property
    def id(self) -> int:
        """Of the row, in pages of a list."""
        return self.figures.id

    def to(self, result: str) -> str:
        """Of those that have ended so; empty: of all."""
        more = f"&result={result}" if result else ""
        return f"{self.records}{more}" if self.records else self.people


def _wanted(found: Found, monthly: bool) -> Wanted:
    values: dict[str, Any] = {key: value for key, value in found.values.items() if key != "year"}
    values |= {key: int(values[key]) for key in ("account", "channel") if key in values}
    if monthly:
        return Wanted(*_months(found.get("year")), monthly=True, **values)
    first, until = (at.astimezone(CHINA).date() for at in found.times)
    return Wanted(first, until - timedelta(days=1), **values)


def _of_people(found: Found) -> Wanted:
    values: dict[str, Any] = {key: value for key, value in found.values.items() if key != "by"}
    values |= {key: int(values[key]) for key in ("account", "department") if key in values}
    first, until = (at.astimezone(CHINA).date() for at in found.times)
    return Wanted(first, until - timedelta(days=1), group=found.get("by", "person"), people=True, **values)


def _months(year: str) -> tuple[date, date]:
    """First and last day of a year, or of the last twelve months."""
    if year:
        return date(int(year), 1, 1), date(int(year), 12, 31)
    today = clock.now().astimezone(CHINA).date()
    months = today.year * 12 + today.month - MONTHS
    return date(months // 12, months % 12 + 1, 1), today


def _next(day: date, monthly: bool) -> date:
    """The beginning of the period after the one that begins then."""
    if monthly:
        return date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return day + timedelta(days=1)


_SAID = {"carrier": told.CARRIER, "origin": told.ORIGIN}


def _records(wanted: Wanted, one: Figures) -> str:
    """The records that a row counts: tests are not counted; the filter does not know what is empty."""
    narrowed = {key: getattr(wanted, key) for key in ("account", "type", "sign", "carrier", "origin")}
    narrowed["submitter"] = wanted.person
    if wanted.group == "department" or (wanted.department is not None and wanted.group != "person"):
        return ""
    if wanted.group:
        narrowed["submitter" if wanted.group == "person" else wanted.group] = one.value
    given = {key: str(value) for key, value in narrowed.items() if value is not None}
    strange = any(value not in _SAID.get(key, (value,)) or not value for key, value in given.items())
    if "channel" in given or wanted.channel is not None:
        given["ended_at"] = given.pop("channel", "") or str(wanted.channel)
    if one.day is None or strange:
        return ""
    last = wanted.last if wanted.people else _next(one.day, wanted.monthly) - timedelta(days=1)
    return f"/records?{urlencode({'time': 'custom', 'from': one.day, 'to': last, 'test': 'false', **given})}"


def _channel(line: Line) -> str:
    return line.figures.name or words.NO_CHANNEL


def _columns(day: str, shape: str) -> tuple[Column, ...]:
    def by(key: str, kind: Cell = Cell.TEXT, label: str = "", names: Mapping[str, str] | None = None) -> Column:
        return Column(
            key, kind, label, words=names or {}, phone=Phone.SECOND, when=lambda found: found.get("group") == key,
            value=lambda line: line.figures.name or None,
        )  # fmt: skip

    def count(key: str) -> Column:
        result = "" if key == "submitted" else key
        return Column(
            key, Cell.NUMBER, LABELS.get(key, ""), value=lambda line: getattr(line.figures, key), sort=key != "pending",
            to=None if key in ("ended", "billed") else lambda line: line.to(result), when=_when.get(key),
        )  # fmt: skip

    return (
        Column("day", label=day, sort=True, phone=Phone.TITLE, value=lambda line: f"{line.figures.day:{shape}}"),
        by("account"), by("type", Cell.WORD, "message_type", told.TYPE), by("sign"),
        Column("channel", Cell.WORD, words={words.NO_CHANNEL: words.NO_CHANNEL}, phone=Phone.SECOND, value=_channel,
               when=lambda found: found.get("group") == "channel"),
        by("carrier", Cell.WORD, "", told.CARRIER), by("province", Cell.WORD, "", PROVINCES),
        by("origin", Cell.WORD, "", told.ORIGIN),
        count("submitted"), count("ended"), count("delivered"), count("failed"), count("unknown"), count("unsent"),
        count("pending"),
        Column("success_rate", Cell.PERCENT, phone=Phone.BESIDE, value=lambda line: line.figures.success_rate),
        count("billed"),
        Column("acknowledged", Cell.NUMBER, when=_by_origin,
               value=lambda line: None if line.acknowledged is None else line.acknowledged.messages),
        Column("acknowledged_delivered", Cell.NUMBER, when=_by_origin,
               value=lambda line: None if line.acknowledged is None else line.acknowledged.delivered),
    )  # fmt: skip


INTERFACES = ("api", "smpp", "cmpp")
"""Origins whose messages have a system that acknowledges their reports."""


def _by_origin(found: Found) -> bool:
    """Whether the customers' figures stand beside ours: they know days, accounts and origins (ADR 076)."""
    return found.get("group") == "origin" and not any(found.get(key) for key in ("type", "channel", "carrier", "sign"))


def _acknowledged(said: Mapping[tuple[date, str], Acknowledged], one: Figures) -> Acknowledged | None:
    if one.day is None or one.value not in INTERFACES:
        return None
    return said.get((one.day, one.value), Acknowledged())


def _at_channels(found: Found) -> bool:
    return found.get("group") == "channel" or bool(found.get("channel"))


_when = {"submitted": lambda found: not _at_channels(found), "pending": lambda found: not _at_channels(found),
         "ended": _at_channels}  # fmt: skip


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    channels = call.portal.context.snapshots.current.channels
    this = clock.now().astimezone(CHINA).year
    return {
        "account": own_accounts(call),
        "channel": {str(c.id): c.name for c in channels},
        "type": names_of(call, retired=True),
        "year": {str(year): str(year) for year in range(this, this - YEARS, -1)},
    }


def _report(name: str, path: str, filter_: Filter, columns: Sequence[Column], lead: str, *, monthly: bool) -> ListPage:
    async def rows(db: Database, actor: Actor, found: Found, window: Window) -> Slice[Line]:
        wanted, leads = _wanted(found, monthly), actor.may(Permission.MESSAGE_VIEW)
        got = await reports.search(db, actor, wanted, window)
        said = await reports.acknowledged(db, actor, wanted) if _by_origin(found) else {}
        lines = [
            Line(one, _records(wanted, one) if leads else "", acknowledged=_acknowledged(said, one)) for one in got.rows
        ]
        return Slice(lines, got.keys, got.more)

    async def totals(db: Database, actor: Actor, found: Found) -> Line:
        wanted = _wanted(found, monthly)
        said = (await reports.acknowledged(db, actor, wanted)).values() if _by_origin(found) else ()
        of_all = Acknowledged(sum(one.messages for one in said), sum(one.delivered for one in said))
        return Line(await reports.totals(db, actor, wanted), "", acknowledged=of_all)

    async def count(db: Database, actor: Actor, found: Found, _: int) -> int:
        return await reports.how_many(db, actor, _wanted(found, monthly))

    async def chart(call: Call, found: Found) -> Chart:
        return await chart_of(call, _wanted(found, monthly))

    def notice(actor: Actor, found: Found) -> str:
        if not _wanted(found, monthly).known(actor):
            return words.OWN_UNKNOWN
        return words.TWO_BASES if _by_origin(found) else ""

    return ListPage(
        name, path, f"records.{name}", Permission.STATISTICS_VIEW, filter_, columns, rows=rows, count=count,
        choices=_choices, sort=Sort("day"), lead=lead, wide=True, export=Permission.STATISTICS_EXPORT,
        report=Report(totals, chart, tuple(SHOWN), SHOWN),
        notice=notice,
        empty=Empty(words.REPORT_EMPTY, words.REPORT_TEACHES),
    )  # fmt: skip


async def chart_of(call: Call, wanted: Wanted) -> Chart:
    """How what was accepted in each period has ended, up to now; periods without messages are there, too."""
    say, found = call.gettext, {one.day: one for one in await reports.periods(call.db, call.actor, wanted)}
    day, today = wanted.first, clock.now().astimezone(CHINA).date()
    days: list[date] = []
    while day <= min(wanted.last, today):
        days.append(day)
        day = _next(day, wanted.monthly)
    keys = [key for key in STACK if key != "pending" or not wanted.by_channel]
    bars = {key: [getattr(found[day], key) if day in found else 0 for day in days] for key in keys}
    rates = [found[day].success_rate if day in found else None for day in days]
    at = (await queries.counted_to(call.db)).astimezone(CHINA)
    return Chart(
        call.filled(words.CHART_TITLE, {"at": f"{at:%Y-%m-%d %H:%M}"}),
        ChartKind.STACK,
        [f"{day:%Y-%m}" if wanted.monthly else f"{day:%m-%d}" for day in days],
        [Series(say(told.RESULT[key]), values, STACK[key]) for key, values in bars.items()],
        summary=call.filled(words.CHART_SUMMARY, {key: f"{sum(values):,}" for key, values in bars.items()}),
        rates=[Series(say(words.RATE), [None if rate is None else round(rate, 2) for rate in rates], "blue")],
    )


DAYS = _report(
    "daily", DAILY, Filter(_FIELDS, Period("30d")), _columns("day", "%Y-%m-%d"), words.DAILY_LEAD, monthly=False
)
YEAR = _report(
    "monthly", MONTHLY, Filter((_choice("year", blank=words.LAST_YEAR), *_FIELDS), period=None),
    _columns("month", "%Y-%m"), words.MONTHLY_LEAD, monthly=True,
)  # fmt: skip


# --- who has sent ----------------------------------------------------------------------------------------------------


def _by(found: Found) -> str:
    return str(found.get("by", "person"))


def _who(line: Line) -> tuple[str, str] | None:
    return (line.figures.name, line.figures.value) if line.figures.value else None


def _senders() -> tuple[Column, ...]:
    def by(key: str, kind: Cell = Cell.TEXT, value: Any = None) -> Column:
        return Column(
            key, kind, phone=Phone.TITLE, value=value or (lambda line: line.figures.name or None),
            when=lambda found: _by(found) == key, words=told.ORIGIN if key == "origin" else {},
        )  # fmt: skip

    def count(key: str) -> Column:
        result = "" if key == "submitted" else key
        return Column(
            key, Cell.NUMBER, LABELS.get(key, ""), sort=key in reports.ORDERS,
            value=lambda line: getattr(line.figures, key),
            to=None if key in ("billed", "portal", "api") else lambda line: line.to(result),
        )  # fmt: skip

    keys = ("submitted", "portal", "api", "delivered", "failed", "unknown", "unsent", "pending")
    return (
        Column("person", Cell.USER, "submitter", phone=Phone.TITLE, value=_who,
               when=lambda found: _by(found) == "person"),
        by("department"), by("account"), by("origin", Cell.WORD), *(count(key) for key in keys),
        Column("success_rate", Cell.PERCENT, phone=Phone.BESIDE, value=lambda line: line.figures.success_rate),
        count("billed"),
    )  # fmt: skip


def _persons(wanted: Wanted, one: Figures) -> str:
    """Those of a department whose messages a row counts."""
    if wanted.group != "department" or not int(one.value):
        return ""
    given = {"time": "custom", "from": wanted.first, "to": wanted.last, "department": one.value}
    given |= {key: str(value) for key in ("account", "origin", "person") if (value := getattr(wanted, key)) is not None}
    return f"{PEOPLE}?{urlencode(given)}"


async def _people(db: Database, actor: Actor, found: Found, window: Window) -> Slice[Line]:
    wanted, leads = _of_people(found), actor.may(Permission.MESSAGE_VIEW)
    got = await reports.search(db, actor, wanted, window)
    lines = [Line(one, _records(wanted, one) if leads else "", _persons(wanted, one)) for one in got.rows]
    return Slice(lines, got.keys, got.more)


async def _people_totals(db: Database, actor: Actor, found: Found) -> Line:
    return Line(await reports.totals(db, actor, _of_people(found)), "")


async def _people_count(db: Database, actor: Actor, found: Found, _: int) -> int:
    return await reports.how_many(db, actor, _of_people(found))


async def _people_chart(call: Call, found: Found) -> Chart:
    return await chart_of(call, replace(_of_people(found), people=False, group=""))


async def _people_choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    departments = await org.departments(call.db, call.actor.scope)
    return {"account": own_accounts(call), "department": {str(one.id): one.name for one in departments}}


SENDERS = ListPage(
    "senders", PEOPLE, "records.people", Permission.STATISTICS_VIEW, Filter(_OF_PEOPLE, Period("30d")), _senders(),
    rows=_people, count=_people_count, choices=_people_choices, sort=Sort("submitted"), lead=words.PEOPLE_LEAD,
    wide=True, export=Permission.STATISTICS_EXPORT, empty=Empty(words.REPORT_EMPTY, words.REPORT_TEACHES),
    report=Report(_people_totals, _people_chart, ("submitted", "portal", "api", "delivered", "failed", "success_rate"),
                  SHOWN),
)  # fmt: skip
