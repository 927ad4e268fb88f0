"""Bills (月账单): what a month comes to by account, in units and yuan, as the ledger has it."""

from __future__ import annotations

from smsgw.admin.call import Call
from smsgw.admin.kit.charts import Chart, ChartKind, Series
from smsgw.admin.kit.filters import Found
from smsgw.admin.kit.lists import Empty, ListPage, Report
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.records.statements import BILLS, FILTER, PDF, TABS, choices, month_of
from smsgw.admin.words import statements as words
from smsgw.admin.words.terms import TERMS
from smsgw.core.permissions import Permission
from smsgw.platform.paging import Window
from smsgw.platform.statements import queries

MOST_BARS = 15
COLUMNS = (
    Column("account", Cell.USER, sort=True, phone=Phone.TITLE, value=lambda one: (one.name, one.account)),
    Column("parts_accepted", Cell.NUMBER, value=lambda one: one.parts, phone=Phone.AWAY),
    Column("units_taken", Cell.NUMBER, value=lambda one: one.units),
    Column("units_back", Cell.NUMBER, value=lambda one: one.refunded),
    Column("net", Cell.NUMBER, "units_net", sort=True, phone=Phone.SECOND),
    Column("unit_price", Cell.CODE, permission=Permission.BALANCE_VIEW, phone=Phone.AWAY,
           value=lambda one: " / ".join(f"{price:.4f}" for price in one.prices) or None),
    Column("amount", Cell.MONEY, "amount_yuan", permission=Permission.BALANCE_VIEW, phone=Phone.BESIDE),
)  # fmt: skip


def _account(found: Found) -> int | None:
    return int(found.get("account")) if found.get("account") else None


async def _chart(call: Call, found: Found) -> Chart:
    window = Window("net", limit=MOST_BARS)
    got = await queries.bills(call.db, call.actor, window, month_of(found), _account(found))
    say = call.gettext
    return Chart(
        say(words.BILLS_CHART), ChartKind.BAR, [one.name for one in got.rows],
        [Series(say(TERMS["units_net"]), [one.net for one in got.rows], "blue")],
    )  # fmt: skip


PAGE = ListPage(
    "bills", BILLS, "finance.bills", Permission.STATISTICS_VIEW, FILTER, COLUMNS, choices=choices,
    rows=lambda db, actor, found, window: queries.bills(db, actor, window, month_of(found), _account(found)),
    count=lambda db, actor, found, _: queries.how_many_bills(db, actor, month_of(found), _account(found)),
    sort=Sort("account", descending=False), lead=words.BILLS_LEAD, tabs=TABS, wide=True,
    links=((words.PDF, PDF, Permission.STATISTICS_EXPORT),), export=Permission.STATISTICS_EXPORT,
    report=Report(
        lambda db, actor, found: queries.bills_together(db, actor, month_of(found), _account(found)), _chart,
        ("units_taken", "units_back", "net", "amount"), {"units_taken": "blue", "net": "blue", "amount": "green"},
    ),
    empty=Empty(words.BILLS_EMPTY, words.BILLS_TEACH, icon="wallet"),
)  # fmt: skip
