"""Allow list (P4.3, 白名单): numbers without limits of frequency, the only ones of an account, and our own phones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit import numbers
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Problem
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import audience as words
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.core.policy import Listed
from smsgw.platform.change import EVERYBODY
from smsgw.platform.lists import queries, service
from smsgw.platform.lists.model import AllowEntry, WantedAllowed

PATH = "/allowed"
MENU = Entry("audience.allowed", PATH, Permission.ALLOW_VIEW)
FILTER = Filter(
    (
        Field("number", FieldKind.PHONE), Field("kind", FieldKind.CHOICE, choices=words.LISTED),
        Field("account", FieldKind.CHOICE), Field("note"),
    ),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("number", Cell.PHONE, sort=True, phone=Phone.TITLE),
    Column("kind", Cell.STATE, words=words.LISTED, tones=words.LISTED_TONE, phone=Phone.BESIDE),
    Column("account", Cell.WORD, value=lambda one: one.account or "*", words=words.EVERY_ACCOUNT, phone=Phone.SECOND),
    Column("note", Cell.LONG, phone=Phone.SECOND),
    Column("actor", phone=Phone.AWAY),
    Column("at", Cell.TIME, "time", sort=True),
)


def _wanted(found: Found) -> WantedAllowed:
    account = int(found.get("account")) if found.get("account") else None
    return WantedAllowed(found.get("number"), found.get("kind"), account, found.get("note"))


async def _detail(_: Call, one: AllowEntry) -> Detail:
    return Detail(mask(one.number), [Section(COLUMNS, one)])


async def _remove(call: Call, one: AllowEntry) -> None:
    await service.disallow(call.change(), [one.number], Listed(one.kind), account_id=one.account_id)


async def _remove_effect(_: Call, rows: Sequence[AllowEntry]) -> Effect:
    return Effect(words.ALLOW_REMOVE_EFFECT, {"n": len(rows)})


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call)}


PAGE = ListPage(
    "allowed", PATH, "audience.allowed", Permission.ALLOW_VIEW, FILTER, COLUMNS, choices=_choices, detail=_detail,
    rows=lambda db, actor, found, window: queries.search_allowed(
        db, _wanted(found), window, accounts=actor.scope.whole),
    count=lambda db, actor, found, most: queries.how_many_allowed(db, _wanted(found), accounts=actor.scope.whole),
    one=lambda db, actor, id_: queries.one_allowed(db, id_, accounts=actor.scope.whole), whole="allow",
    actions=(Action("remove", words.ALLOW_REMOVE, Permission.ALLOW_EDIT, _remove, _remove_effect, danger=True),),
    links=((words.BLOCK_ADD, f"{PATH}/-/new", Permission.ALLOW_EDIT),
           (words.ALLOW_IMPORT, f"{PATH}/-/import", Permission.ALLOW_EDIT)), lead=words.ALLOW_LEAD, sort=Sort("at"),
    empty=Empty(words.ALLOW_EMPTY, words.ALLOW_TEACHES, words.BLOCK_ADD, f"{PATH}/-/new", Permission.ALLOW_EDIT),
)  # fmt: skip

# --- changes ---------------------------------------------------------------------------------------------------------

_ADD = Form((Inputs((
    numbers.FIELD, Input("kind", InputKind.CHOICE, choices=words.LISTED, required=True),
    Input("account", InputKind.CHOICE, help=words.ACCOUNT_HELP), Input("note", most=200),
)),))  # fmt: skip


def _account(call: Call, values: Mapping[str, Any]) -> int:
    """Whose entry it shall be; who sees some accounts makes none for all, and "only" is always an account's."""
    if not values["account"] and (call.actor.scope.whole is not None or values["kind"] == Listed.ONLY):
        raise Wrong("account", Problem(words.ACCOUNT_NEEDED))
    return int(values["account"] or EVERYBODY)


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    found = numbers.recipients(values["numbers"]).valid
    account = _account(call, values)
    await service.allow(call.change(), found, Listed(values["kind"]), account_id=account, note=values["note"])
    call.toast(call.filled(words.ALLOW_ADDED, {"n": len(found)}))
    return call.redirect(PATH)


async def _add_effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    found = numbers.recipients(values["numbers"]).valid
    scope = own_accounts(call).get(str(_account(call, values))) or call.gettext(words.ALL_ACCOUNTS)
    text = words.ALLOW_ONLY_EFFECT if values["kind"] == Listed.ONLY else words.ALLOW_ADD_EFFECT
    kind = words.LISTED[values["kind"]]
    said = {"n": len(found), "scope": scope, "kind": call.gettext(kind)}
    return Effect(text, said, warning=numbers.left_out(values["numbers"]))


async def _form_choices(call: Call, _: Any) -> Mapping[str, Mapping[str, str]]:
    return await _choices(call)


ADD = FormPage(
    f"{PATH}/-/new", Permission.ALLOW_EDIT, words.ALLOW_ADD_TITLE, words.BLOCK_ADD, _ADD, _add, lambda _: PATH,
    choices=_form_choices, effect=_add_effect,
)  # fmt: skip
