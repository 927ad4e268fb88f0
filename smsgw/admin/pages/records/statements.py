"""Statements (P9.9; 对账): a month's figures day by day, with the root of each day's evidence; to print or export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from smsgw.admin.call import Call
from smsgw.admin.kit.charts import Chart
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found
from smsgw.admin.kit.lists import Empty, ListPage, Report
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.records.reports import LABELS, SHOWN, chart_of
from smsgw.admin.words import records as words, statements as mail_words
from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.evidence import queries as evidence
from smsgw.platform.handles import Database
from smsgw.platform.paging import Slice, Window
from smsgw.platform.statistics import reports
from smsgw.platform.statistics.reports import Figures, Wanted
from smsgw.runtime import clock

PATH = "/statements"
RECEIVERS, MAILS, PDF = f"{PATH}/receivers", f"{PATH}/mails", f"{PATH}/-/pdf"
BILLS = f"{PATH}/bills"
TABS = (
    (mail_words.OVERVIEW, PATH), (mail_words.BILLS, BILLS), (mail_words.RECEIVERS, RECEIVERS),
    (mail_words.MAILS, MAILS),
)  # fmt: skip
MENU = Entry("finance.statements", PATH, Permission.STATISTICS_VIEW)
MONTHS = 24
"""That can be chosen."""
_choice = partial(Field, kind=FieldKind.CHOICE)
FILTER = Filter((_choice("month", blank=words.THIS_MONTH), _choice("account")), period=None)


@dataclass(frozen=True, slots=True)
class Line:
    """A day, or the sum of all."""

    figures: Figures
    leaves: int | None = None
    """Of the evidence of the whole platform that came on that day, whenever its messages were accepted."""
    root: str = ""
    """Over all of it."""

    @property
    def id(self) -> int:
        """Of the row, in pages of a list."""
        return self.figures.id


def _count(key: str) -> Column:
    return Column(key, Cell.NUMBER, LABELS.get(key, ""), value=lambda line: getattr(line.figures, key))


COLUMNS = (
    Column("day", sort=True, phone=Phone.TITLE, value=lambda line: line.figures.day),
    Column("account", phone=Phone.SECOND, value=lambda line: line.figures.name or None),
    *map(_count, ("submitted", "delivered", "failed", "unknown", "unsent", "pending", "billed")),
    Column("leaves", Cell.NUMBER, "platform_leaves", phone=Phone.AWAY),
    Column("root", Cell.HASH, "platform_root"),
)


def month_of(found: Found) -> date:
    """The first day of the month that was chosen; of this one without."""
    today = clock.now().astimezone(CHINA).date()
    return date.fromisoformat(f"{found.get('month')}-01") if found.get("month", "") else today.replace(day=1)


def _wanted(found: Found) -> Wanted:
    first = month_of(found)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    account = found.get("account", None)
    return Wanted(first, last, group="account", account=int(account) if account else None)


async def _rows(db: Database, actor: Actor, found: Found, window: Window) -> Slice[Line]:
    wanted = _wanted(found)
    roots = {day: (root, leaves) for day, root, leaves in
             await evidence.roots(db, wanted.first, wanted.last + timedelta(days=1))}  # fmt: skip
    got = await reports.search(db, actor, wanted, window)
    lines = []
    for one in got.rows:
        root, leaves = roots.get(one.day, ("", None)) if one.day else ("", None)
        lines.append(Line(one, leaves, root))
    return Slice(lines, got.keys, got.more)


async def _totals(db: Database, actor: Actor, found: Found) -> Line:
    return Line(await reports.totals(db, actor, _wanted(found)))


async def _chart(call: Call, found: Found) -> Chart:
    return await chart_of(call, _wanted(found))


async def choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    day, months = clock.now().astimezone(CHINA).date().replace(day=1), dict[str, str]()
    for _ in range(MONTHS):
        months[f"{day:%Y-%m}"] = f"{day:%Y-%m}"
        day = (day - timedelta(days=1)).replace(day=1)
    return {"month": months, "account": own_accounts(call)}


PAGE = ListPage(
    "statements", PATH, "finance.statements", Permission.STATISTICS_VIEW, FILTER, COLUMNS, rows=_rows,
    count=lambda db, actor, found, _: reports.how_many(db, actor, _wanted(found)), choices=choices, sort=Sort("day"),
    tabs=TABS, links=((mail_words.PDF, PDF, Permission.STATISTICS_EXPORT),),
    lead=words.STATEMENT_LEAD, wide=True, export=Permission.STATISTICS_EXPORT,
    report=Report(_totals, _chart, ("submitted", "delivered", "failed", "billed"), SHOWN),
    empty=Empty(words.REPORT_EMPTY, words.REPORT_TEACHES),
)  # fmt: skip
