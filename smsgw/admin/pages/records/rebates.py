"""Rebates (P8.10, 返点记录): units that went back to accounts, for which message, by account and time."""

from __future__ import annotations

from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period
from smsgw.admin.kit.lists import Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import account_choices
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.finance.rebate_rules import PATH as RULES
from smsgw.admin.words import rebates as rule_words, records as words
from smsgw.core.permissions import Permission
from smsgw.platform.accounts import rebates
from smsgw.platform.accounts.rebates import WantedRebates

PATH = "/rebates"
MENU = Entry("records.rebates", PATH, Permission.BALANCE_VIEW)
MOST_SUMMED = 100_000
FILTER = Filter(
    (Field("account", FieldKind.CHOICE), Field("rebate_kind", FieldKind.CHOICE, choices=words.REBATE),
     Field("message", FieldKind.ID, "message_id")), Period("30d"),
)  # fmt: skip
COLUMNS = (
    Column("time", Cell.TIME, sort=True, value=lambda row: row["at"]),
    Column("account", Cell.USER, phone=Phone.TITLE,
           value=lambda row: (row["display_name"] or row["name"], row["name"])),
    Column("rebate_kind", Cell.WORD, words=words.REBATE, value=lambda row: row["kind"], phone=Phone.SECOND),
    Column("units_back", Cell.NUMBER, value=lambda row: row["units"], phone=Phone.BESIDE),
    Column("amount_then", Cell.PRICE, value=lambda row: row["amount"], phone=Phone.SECOND),
    Column("balance_then", Cell.NUMBER, value=lambda row: row["balance"], phone=Phone.SECOND),
    Column("rebate_of", Cell.LINK, permission=Permission.MESSAGE_VIEW, phone=Phone.AWAY,
           value=lambda row: (f"#{row['rule_id']}", f"{RULES}/{row['rule_id']}") if row["kind"] == "rebate"
           else (str(row["id"]), f"/records/{row['id']}")),
)  # fmt: skip


def _wanted(found: Found) -> WantedRebates:
    account = int(found.get("account")) if found.get("account") else None
    return WantedRebates(*found.times, account, found.get("message", None), found.get("rebate_kind"))


PAGE = ListPage(
    "rebates", PATH, "records.rebates", Permission.BALANCE_VIEW, FILTER, COLUMNS, choices=account_choices,
    rows=lambda db, actor, found, window: rebates.search(db, _wanted(found), window, accounts=actor.scope.whole),
    sums=lambda db, actor, found, most: rebates.sums(db, _wanted(found), most, accounts=actor.scope.whole),
    most=MOST_SUMMED, sort=Sort("time"), lead=words.REBATES_LEAD, export=Permission.STATISTICS_EXPORT,
    links=((rule_words.RULES, RULES, Permission.BALANCE_VIEW),), links_quiet=True,
    empty=Empty(words.REBATES_EMPTY, words.REBATES_TEACHES),
)  # fmt: skip
