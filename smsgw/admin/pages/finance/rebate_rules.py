"""Rebate rules (返点规则): how many units go back for each thousand that a month has cost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import people as people_words, rebates as words
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.accounts import rebate_rules
from smsgw.platform.accounts.rebate_rules import LEAST_REASON, MOST_REASON, MOST_UNITS, Draft, Rule
from smsgw.runtime import clock

PATH = "/rebates/rules"
_NEW = f"{PATH}/-/new"
MENU = Entry("finance.rebates", PATH, Permission.BALANCE_VIEW)
COLUMNS = (
    Column("account", Cell.USER, phone=Phone.TITLE, value=lambda one: (one.name, one.account)),
    Column("rule_state", Cell.STATE, words=words.STATE, tones=words.TONE, phone=Phone.BESIDE,
           value=lambda one: one.state),
    Column("from_month", value=lambda one: f"{one.from_month:%Y-%m}", phone=Phone.SECOND),
    Column("per_thousand", Cell.NUMBER, phone=Phone.SECOND), Column("from_units", Cell.NUMBER),
    Column("why_so", Cell.LONG, value=lambda one: one.reason), Column("made_by"),
    Column("made_at", Cell.TIME, sort=True),
)  # fmt: skip


async def _choices(call: Call, _: Any = None) -> Mapping[str, Mapping[str, str]]:
    known = (f"{month:%Y-%m}" for month in rebate_rules.months(clock.now().astimezone(CHINA).date()))
    return {"account": own_accounts(call), "from_month": {month: month for month in known}}


async def _detail(_: Call, one: Rule) -> Detail:
    return Detail(one.name, [Section(COLUMNS, one)])


PAGE = ListPage(
    "rebate_rules", PATH, "finance.rebates", Permission.BALANCE_VIEW,
    Filter((Field("account", FieldKind.CHOICE),), period=None), COLUMNS, choices=_choices, detail=_detail,
    listing=rebate_rules.RULES, sort=Sort("made_at"), lead=words.LEAD,
    links=((words.NEW, _NEW, Permission.BALANCE_EDIT),),
    empty=Empty(words.EMPTY, words.TEACHES, words.NEW, _NEW, Permission.BALANCE_EDIT),
)  # fmt: skip
_FORM = Form((Inputs((
    Input("account", InputKind.CHOICE, required=True), Input("from_month", InputKind.CHOICE, required=True),
    Input("per_thousand", InputKind.NUMBER, help=words.PER_HELP, required=True, least=0, most=1000),
    Input("from_units", InputKind.NUMBER, required=True, least=0, most=MOST_UNITS),
    Input("reason", label="why_so", required=True, least=LEAST_REASON, most=MOST_REASON),
)),))  # fmt: skip


def _draft(values: Mapping[str, Any]) -> Draft:
    month = date.fromisoformat(f"{values['from_month']}-01")
    return Draft(month, values["per_thousand"], values["from_units"], values["reason"])


async def _effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    said = {"month": values["from_month"], "name": own_accounts(call)[values["account"]],
            "units": f"{values['from_units']:,}", "per": values["per_thousand"]}  # fmt: skip
    return Effect(words.EFFECT if values["per_thousand"] else words.NONE_EFFECT, said)


async def _save(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    await rebate_rules.add(call.change(), int(values["account"]), _draft(values))
    call.toast(call.gettext(words.SAVED))
    return call.redirect(PATH)


NEW = FormPage(
    _NEW, Permission.BALANCE_EDIT, words.NEW, people_words.SAVE, _FORM, _save, lambda _: PATH, choices=_choices,
    values=lambda _: {"from_units": 0}, effect=_effect,
)  # fmt: skip
