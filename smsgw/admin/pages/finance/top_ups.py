"""Top-ups (充值管理): what was put into accounts or taken out of them, and one more of these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period, Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import account_choices
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.connect.account_forms import MOST
from smsgw.admin.words import accounts as account_words, finance as words
from smsgw.core.permissions import Permission
from smsgw.platform.accounts import listing, service, top_ups
from smsgw.platform.accounts.top_ups import WantedTopUps

PATH = "/top-ups"
MENU = Entry("finance.top_ups", PATH, Permission.BALANCE_VIEW)
MOST_SUMMED = 100_000
FILTER = Filter((Field("account", FieldKind.CHOICE), Field("note_why"), Field("handler", more=True)), Period("30d"))
COLUMNS = (
    Column("time", Cell.TIME, sort=True, value=lambda row: row["at"]),
    Column(
        "account", Cell.USER, phone=Phone.TITLE, value=lambda row: (row["display_name"] or row["name"], row["name"])
    ),
    Column("units_top_up", Cell.CODE, value=lambda row: f"{row['units']:+,}", phone=Phone.BESIDE),
    Column("amount_then", Cell.PRICE, value=lambda row: row["amount"], phone=Phone.SECOND),
    Column("balance_after", Cell.NUMBER, value=lambda row: row["balance"]),
    Column("handler", value=lambda row: row["who"] or "", phone=Phone.SECOND),
    Column("note_why", Cell.LONG, value=lambda row: row["note"]),
)


def _wanted(found: Found) -> WantedTopUps:
    account = int(found.get("account")) if found.get("account") else None
    return WantedTopUps(*found.times, account, found.get("note_why"), found.get("handler"))


PAGE = ListPage(
    "top_ups", PATH, "finance.top_ups", Permission.BALANCE_VIEW, FILTER, COLUMNS, choices=account_choices,
    rows=lambda db, actor, found, window: top_ups.search(db, _wanted(found), window, accounts=actor.scope.whole),
    sums=lambda db, actor, found, most: top_ups.sums(db, _wanted(found), most, accounts=actor.scope.whole),
    most=MOST_SUMMED, sort=Sort("time"), lead=words.LEAD, export=Permission.STATISTICS_EXPORT,
    links=((words.ADD, f"{PATH}/-/new", Permission.BALANCE_EDIT),),
    empty=Empty(words.EMPTY, words.TEACHES, words.ADD, f"{PATH}/-/new", Permission.BALANCE_EDIT, icon="wallet"),
)  # fmt: skip

# --- one more --------------------------------------------------------------------------------------------------------

_FORM = Form((Inputs((
    Input("account", InputKind.CHOICE, required=True),
    Input("units_change", InputKind.NUMBER, help=account_words.UNITS_HELP, required=True, least=-MOST, most=MOST),
    Input("note_why", help=account_words.NOTE_HELP, required=True, least=2, most=200),
)),))  # fmt: skip


async def _account(call: Call, values: Mapping[str, Any]) -> Any:
    row = await listing.one(call.db, read_id(values["account"]) or 0, accounts=call.actor.scope.whole)
    if row is None:
        raise web.HTTPNotFound
    return row


async def _effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    row, change = await _account(call, values), values["units_change"]
    if not change:
        raise Wrong("units_change", Problem(account_words.UNITS_NONE))
    return Effect(words.EFFECT, {
        "name": row["name"], "before": f"{row['balance']:,}", "after": f"{row['balance'] + change:,}",
        "change": f"{change:+,}", "price": f"{row['unit_price']:.4f}", "amount": f"{change * row['unit_price']:,.2f}",
    })  # fmt: skip


async def _save(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    row = await _account(call, values)
    new = await service.top_up(call.change(), row["id"], values["units_change"], values["note_why"])
    call.toast(call.filled(words.DONE, {"name": row["name"], "balance": f"{new:,}"}))
    return call.redirect(PATH)


NEW = FormPage(
    f"{PATH}/-/new", Permission.BALANCE_EDIT, words.ADD, words.ADD, _FORM, _save, lambda _: PATH,
    choices=account_choices, effect=_effect,
)  # fmt: skip
