"""Block list and opt-outs (P4.2, P4.4; 黑名单, 退订记录): who gets nothing of what, since when and why; lifting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit import numbers
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import audience as words, undo, why
from smsgw.admin.words.messages import TYPE
from smsgw.core.blocklist import MANUAL, OPT_OUT, Scope
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.platform.change import EVERYBODY
from smsgw.platform.lists import queries, service
from smsgw.platform.lists.model import BlockEntry, WantedBlocks
from smsgw.runtime import clock

PATH, OPT_OUTS = "/blocked", "/optouts"
WHY = f"{PATH}/why"
UNDOS = f"{OPT_OUTS}/undos"
TABS = ((words.BLOCK_LIST, PATH), (why.REQUESTS, "/lifts"))
OPT_OUT_TABS = ((undo.OPT_OUTS, OPT_OUTS), (undo.UNDOS, UNDOS))
MENU = (
    Entry("audience.blocked", PATH, Permission.BLOCK_VIEW),
    Entry("audience.optouts", OPT_OUTS, Permission.BLOCK_VIEW),
)
_FIELDS = (
    Field("number", FieldKind.PHONE),
    Field("account", FieldKind.CHOICE),
    Field("reason", hint="reasons"),
    Field("type", FieldKind.CHOICE, choices=TYPE, more=True),
    Field("sign", more=True),
)
_SOURCE = Field("source", FieldKind.CHOICE, "origin", words.SOURCE)
COLUMNS = (
    Column("number", Cell.PHONE, phone=Phone.TITLE),
    Column("source", Cell.STATE, "origin", words=words.SOURCE, tones=words.SOURCE_TONE, phone=Phone.BESIDE),
    Column("account", Cell.WORD, value=lambda one: one.account or "*", words=words.EVERY_ACCOUNT, phone=Phone.SECOND),
    Column("type", Cell.WORD, value=lambda one: one.type or "*", words=words.EVERY_TYPE, phone=Phone.SECOND),
    Column("sign", phone=Phone.SECOND),
    Column("reason", Cell.LONG, value=lambda one: words.reason(one.source, one.reason), phone=Phone.SECOND),
    Column("actor", Cell.WORD, words=words.ACTOR, phone=Phone.AWAY),
    Column("since", Cell.TIME, "time", sort=True),
    Column("expires_at", Cell.TIME, phone=Phone.AWAY),
)


_LINKS = (
    (why.WHY, WHY, Permission.BLOCK_VIEW),
    (words.BLOCK_ADD, f"{PATH}/-/new", Permission.BLOCK_EDIT),
    (words.BLOCK_IMPORT, f"{PATH}/-/import", Permission.BLOCK_EDIT),
)


def _wanted(found: Found) -> WantedBlocks:
    account = int(found.get("account")) if found.get("account") else None
    texts = {key: found.get(key) for key in ("number", "source", "type", "sign", "reason")}
    return WantedBlocks(account_id=account, **texts)


def _opted_out(found: Found) -> WantedBlocks:
    return replace(_wanted(found), source=OPT_OUT)


async def _detail(call: Call, one: BlockEntry) -> Detail:
    how = (undo.UNDO, f"{OPT_OUTS}/{one.id}/undo") if one.source == OPT_OUT else (words.LIFT, f"{PATH}/{one.id}/lift")
    links = [how] if call.may(Permission.BLOCK_EDIT) else []
    return Detail(mask(one.number), [Section(COLUMNS, one)], links=links)


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call)}


def _list(
    name: str, path: str, fields: tuple[Field, ...], wanted: Callable[[Found], WantedBlocks], lead: str, empty: Empty
) -> ListPage:
    return ListPage(
        name, path, f"audience.{name}", Permission.BLOCK_VIEW, Filter(fields, period=None), COLUMNS,
        choices=_choices, lead=lead,
        rows=lambda db, actor, found, window: queries.search(db, wanted(found), window, accounts=actor.scope.whole),
        count=lambda db, actor, found, most: queries.how_many(db, wanted(found), most, accounts=actor.scope.whole),
        one=lambda db, actor, id_: queries.one(db, id_, accounts=actor.scope.whole), detail=_detail,
        links=_LINKS if path == PATH else _LINKS[:1], tabs=TABS if path == PATH else OPT_OUT_TABS,
        sort=Sort("since"), empty=empty, whole="block",
    )  # fmt: skip


BLOCKED = _list(
    "blocked", PATH, (_FIELDS[0], _SOURCE, *_FIELDS[1:]), _wanted, words.BLOCK_LEAD,
    Empty(words.BLOCK_EMPTY, words.BLOCK_TEACHES, words.BLOCK_ADD, f"{PATH}/-/new", Permission.BLOCK_EDIT),
)  # fmt: skip
OPTED_OUT = _list(
    "optouts", OPT_OUTS, _FIELDS, _opted_out, words.OPT_OUT_LEAD, Empty(words.OPT_OUT_EMPTY, words.OPT_OUT_TEACHES)
)

# --- changes ---------------------------------------------------------------------------------------------------------

_REASON = Input("reason", required=True, least=2, most=200, help=words.REASON_HELP)
_ADD = Form((Inputs((
    numbers.FIELD, _REASON, Input("account", InputKind.CHOICE, help=words.ACCOUNT_HELP),
    Input("type", InputKind.CHOICE, help=words.TYPE_HELP, choices=TYPE),
    Input("sign", most=20, help=words.SIGN_HELP),
    Input("days", InputKind.NUMBER, least=1, most=36_500, help=words.DAYS_HELP),
)),))  # fmt: skip


def _scope(call: Call, values: Mapping[str, Any]) -> Scope:
    """For what it shall hold; who sees some accounts blocks nothing for all."""
    if not values["account"] and call.actor.scope.whole is not None:
        raise Wrong("account", Problem(words.ACCOUNT_NEEDED))
    return Scope(int(values["account"] or EVERYBODY), values["type"] or "", values["sign"])


def told(call: Call, account: str, type_: str, sign: str) -> str:
    """A scope in the reader's language."""
    whose, what = account or call.gettext(words.ALL_ACCOUNTS), words.EVERY_TYPE[type_ or "*"]
    return " · ".join(filter(None, (whose, call.gettext(what), f"【{sign}】" if sign else "")))


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    found = numbers.recipients(values["numbers"]).valid
    until = clock.now() + timedelta(days=values["days"]) if values["days"] else None
    scope = _scope(call, values)
    await service.block(call.change(), found, scope, MANUAL, values["reason"], expires_at=until)
    call.toast(call.filled(words.BLOCK_ADDED, {"n": len(found)}))
    return call.redirect(PATH)


async def _add_effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    found = numbers.recipients(values["numbers"]).valid
    scope = _scope(call, values)
    scope_ = told(call, own_accounts(call).get(str(scope.account_id), ""), scope.type, scope.sign)
    said = {"n": len(found), "scope": scope_}
    return Effect(words.BLOCK_ADD_EFFECT, said, warning=numbers.left_out(values["numbers"]))


async def _entry(call: Call) -> BlockEntry | None:
    """What is lifted with a reason alone: no opt-out."""
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None else await queries.one(call.db, id_, accounts=call.actor.scope.whole)
    return None if one is None or one.source == OPT_OUT else one


async def _lift(call: Call, one: BlockEntry, values: Mapping[str, Any]) -> web.Response:
    await service.unblock(call.change(), one.number, one.scope, reason=values["reason"])
    call.toast(call.gettext(words.LIFTED))
    return call.redirect(PATH)


async def _lift_effect(call: Call, one: BlockEntry, _: Mapping[str, Any]) -> Effect:
    scope, source = told(call, one.account or "", one.type, one.sign), call.gettext(words.SOURCE[one.source])
    return Effect(words.LIFT_EFFECT, {"number": mask(one.number), "scope": scope, "source": source})


async def _form_choices(call: Call, _: Any) -> Mapping[str, Mapping[str, str]]:
    return await _choices(call)


ADD = FormPage(
    f"{PATH}/-/new", Permission.BLOCK_EDIT, words.BLOCK_ADD_TITLE, words.BLOCK_ADD, _ADD, _add, lambda _: PATH,
    choices=_form_choices, effect=_add_effect,
)  # fmt: skip
LIFT = FormPage(
    f"{PATH}/{{id:[0-9]{{1,19}}}}/lift", Permission.BLOCK_EDIT, words.LIFT_TITLE, words.LIFT,
    Form((Inputs((_REASON,)),)), _lift, lambda one: f"{PATH}/{one.id}", _entry, effect=_lift_effect,
    lead=lambda one: mask(one.number), danger=True,
)  # fmt: skip
