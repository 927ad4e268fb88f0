"""The report of short links (P8.9, 短链报表): made, over, opened, and by whom, by day and account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from smsgw.admin.call import Call
from smsgw.admin.kit.charts import Chart, ChartKind, Series
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period
from smsgw.admin.kit.lists import Empty, ListPage, Report
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import account_choices
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.links import lines
from smsgw.admin.words import short_links as words
from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.handles import Database
from smsgw.platform.links import queries
from smsgw.platform.links.model import DayFigures
from smsgw.platform.paging import Slice, Window
from smsgw.runtime import clock

PATH = "/reports/links"
MENU = Entry("records.links", PATH, Permission.STATISTICS_VIEW)
FILTER = Filter((Field("account", FieldKind.CHOICE),), Period("30d"))
SHOWN = {"made": "blue", "clicked": "azure", "humans": "green", "programs": "secondary", "ended": "orange"}


@dataclass(frozen=True, slots=True)
class Line:
    """A row; ``leads``: whoever looks may see the lists behind it."""

    figures: DayFigures
    leads: bool

    @property
    def id(self) -> int:
        """Of the row."""
        return self.figures.id

    def links(self, key: str) -> str:
        """The links that a figure counts."""
        day = {f"{key}_from": self.figures.day, f"{key}_to": self.figures.day, "account": self.figures.account_id}
        return f"{lines.PATH}?{urlencode(day)}" if self.leads else ""

    def visits(self, verdict: str) -> str:
        """The hits that a figure counts."""
        day = {"time": "custom", "from": self.figures.day, "to": self.figures.day, "account": self.figures.account_id}
        return f"{lines.VISITS}?{urlencode(day | {'verdict': verdict})}" if self.leads else ""


def _count(key: str, label: str, to: Callable[[Line], str] | None = None) -> Column:
    return Column(key, Cell.NUMBER, label, value=lambda line: getattr(line.figures, key), to=to,
                  sort=key != "programs", phone=Phone.SECOND)  # fmt: skip


COLUMNS = (
    Column("day", sort=True, phone=Phone.TITLE, value=lambda line: f"{line.figures.day:%Y-%m-%d}"),
    Column("account", phone=Phone.BESIDE, value=lambda line: line.figures.account),
    _count("made", "links_made", lambda line: line.links("made")),
    _count("codes", "link_codes_used"),
    _count("clicked", "links_clicked", lambda line: line.links("clicked")),
    _count("ended", "links_ended", lambda line: line.links("ends")),
    _count("humans", "link_humans", lambda line: line.visits("human")),
    _count("programs", "link_programs", lambda line: line.visits("program")),
)


def _asked(found: Found) -> tuple[datetime, datetime]:
    return found.times


def _account(found: Found) -> int | None:
    return int(found.get("account")) if found.get("account") else None


async def _rows(db: Database, actor: Actor, found: Found, window: Window) -> Slice[Line]:
    got = await queries.days(db, *_asked(found), window, accounts=actor.scope.whole, account_id=_account(found))
    leads = actor.may(Permission.LINK_VIEW)
    return Slice([Line(one, leads) for one in got.rows], got.keys, got.more)


async def _many(db: Database, actor: Actor, found: Found, _: int) -> int:
    return await queries.how_many_days(db, *_asked(found), accounts=actor.scope.whole, account_id=_account(found))


async def _totals(db: Database, actor: Actor, found: Found) -> Line:
    together = await queries.days_together(db, *_asked(found), accounts=actor.scope.whole, account_id=_account(found))
    return Line(together, leads=False)


async def _chart(call: Call, found: Found) -> Chart:
    first, until = _asked(found)
    hours = await queries.hours(call.db, first, until, accounts=call.accounts, account_id=_account(found), by_day=True)
    at = {hour.at.astimezone(CHINA).date(): hour for hour in hours}
    day, last, days = first.date(), min((until - timedelta(days=1)).date(), clock.now().astimezone(CHINA).date()), []
    while day <= last:
        days.append(day)
        day += timedelta(days=1)
    humans = [at[day].humans if day in at else 0 for day in days]
    programs = [at[day].hits - at[day].humans if day in at else 0 for day in days]
    together = await queries.days_together(call.db, first, until, accounts=call.accounts, account_id=_account(found))
    said = {"made": together.made, "humans": together.humans, "programs": together.programs}
    return Chart(
        call.gettext(words.REPORT_CHART), ChartKind.STACK, [_label(day) for day in days],
        [Series(call.gettext(words.HUMANS), humans, "green"),
         Series(call.gettext(words.PROGRAMS), programs, "secondary")],
        summary=call.filled(words.REPORT_SUMMARY, {key: f"{value:,}" for key, value in said.items()}),
    )  # fmt: skip


def _label(day: date) -> str:
    return f"{day:%m-%d}"


PAGE = ListPage(
    "link_report", PATH, "records.links", Permission.STATISTICS_VIEW, FILTER, COLUMNS, rows=_rows, count=_many,
    choices=account_choices, sort=Sort("day"), lead=words.REPORT_LEAD, wide=True, export=Permission.STATISTICS_EXPORT,
    report=Report(_totals, _chart, tuple(SHOWN), SHOWN), links_need=(Permission.LINK_VIEW,),
    empty=Empty(words.REPORT_EMPTY, words.REPORT_TEACHES, words.NEW, f"{lines.PATH}/-/new", Permission.LINK_EDIT,
                icon="link"),
)  # fmt: skip
