"""Customers who connect by CMPP or SMPP (P11.5, 下游协议接入): who is bound on which node, how it goes, the limits."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from aiohttp import web

from smsgw.admin import words as all_words
from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage, reason_of
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import account_choices
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import partners as words
from smsgw.core.errors import CODES, message_of
from smsgw.core.partners import MAX_WINDOW, admits
from smsgw.core.permissions import Permission
from smsgw.platform.partners import service
from smsgw.platform.partners.model import PartnerView
from smsgw.platform.partners.queries import PARTNERS

PATH = "/partners"
MENU = Entry("connect.partners", PATH, Permission.PARTNER_VIEW)
ONE = PATH + "/{id:[0-9]{1,19}}"
REFRESH = 5
MADE = 8
"""Characters of a password that we make: as many as SMPP clients take."""
NAMES = 5
SEEN = Input("seen", InputKind.HIDDEN)
"""The mark of what a form was made of: sent again, or by a second person, it finds another one."""
FILTER = Filter(
    (
        Field("account", FieldKind.CHOICE), Field("protocol", FieldKind.CHOICE, choices=words.PROTOCOL),
        Field("partner_state", FieldKind.CHOICE, "status", choices=words.STATE), Field("user", label="partner_user"),
    ),
    period=None,
)  # fmt: skip


def _bound(one: PartnerView) -> str:
    return f"{len(one.binds)} / {one.max_binds}"


def _pace(one: PartnerView) -> str:
    return f"{one.busiest:,.1f}" + (f" / {one.rate:,}" if one.rate else "")


def _count(key: str, name: str, **more: Any) -> Column:
    return Column(key, Cell.NUMBER, value=lambda one: one.total(name), **more)


COLUMNS = (
    Column("partner_user", Cell.CODE, value=lambda one: one.username, phone=Phone.TITLE),
    Column("protocol", Cell.WORD, words=words.PROTOCOL, phone=Phone.SECOND),
    Column("account", sort=True, phone=Phone.SECOND),
    Column("partner_state", Cell.STATE, "status", words=words.STATE, tones=words.TONE, value=lambda one: one.state,
           phone=Phone.BESIDE),
    Column("partner_binds", value=_bound, phone=Phone.THIRD),
    Column("partner_pace", value=_pace, phone=Phone.THIRD),
    _count("partner_unanswered", "unanswered", phone=Phone.AWAY),
    _count("partner_submits", "submits", phone=Phone.AWAY), _count("partner_refused", "refused", phone=Phone.AWAY),
    _count("partner_slowed", "slowed", phone=Phone.AWAY),
    Column("partner_last_at", Cell.TIME, value=lambda one: one.last_at, phone=Phone.AWAY),
    Column("networks", Cell.TAGS, value=lambda one: one.ip_allow, shown=False, phone=Phone.AWAY),
    Column("created_at", Cell.TIME, sort=True, shown=False, phone=Phone.AWAY),
)  # fmt: skip
_LIMITS = (
    Column("partner_most", Cell.NUMBER, value=lambda one: one.max_binds),
    Column("partner_window", Cell.NUMBER, value=lambda one: one.window),
    Column("partner_rate", Cell.NUMBER, value=lambda one: one.rate or None),
    Column("networks", Cell.TAGS, value=lambda one: one.ip_allow),
)
_HABITS = (
    Column("type", Cell.WORD, "message_type", words=all_words.TYPE), Column("partner_code", Cell.CODE,
           value=lambda one: one.code or None),
    Column("any_source", Cell.BOOL), Column("any_clock", Cell.BOOL),
    Column("alphabet", Cell.WORD, words=words.ALPHABET), Column("message_ids", Cell.WORD, words=words.IDS),
    Column("long_mo", Cell.WORD, words=words.LONG_MO),
)  # fmt: skip
_NOTHING = re.compile(r" ?\(\)|（）")
"""Where a message says which: of many refusals there is no one."""


def _why(call: Call, code: str) -> str:
    if code in words.CODES:
        text = words.CODES[code]
        return call.gettext(text)
    if code not in CODES:
        return code
    return _NOTHING.sub("", message_of(code, english=call.language != DEFAULT))


async def _detail(call: Call, one: PartnerView) -> Detail:
    at, fields = f"{PATH}/{one.id}", {"id": str(one.id), "to": f"{PATH}/{one.id}"}
    buttons, links = list[Button](), list[tuple[str, str]]()
    if call.may(Permission.PARTNER_KICK) and one.binds:
        buttons.append(Button(words.KICK, f"{PATH}/-/effect/kick", danger=True, fields=fields, asks=True))
    if call.may(Permission.PARTNER_EDIT):
        links = [(words.EDIT, f"{at}/edit"), (words.RENEW, f"{at}/password")]
        stops = one.status == "active"
        buttons += [
            Button(words.STOP if stops else words.START, f"{PATH}/-/effect/{'stop' if stops else 'start'}",
                   danger=stops, fields=fields, asks=True),
            Button(words.REMOVE, f"{PATH}/-/effect/remove", danger=True, fields={"id": str(one.id)}, asks=True),
        ]  # fmt: skip
    piece = {"one": one, "modes": words.MODE, "codes": [(code, _why(call, code), n) for code, n in one.codes.items()]}
    return Detail(
        one.username, [Section(_LIMITS, one, words.SECTION_LIMITS), Section(_HABITS, one, words.SECTION_HABITS)],
        links=links, buttons=buttons, piece=("connect/partner.html", piece), refresh=REFRESH if one.binds else 0,
    )  # fmt: skip


# --- actions ---------------------------------------------------------------------------------------------------------


def _numbers(rows: Sequence[PartnerView]) -> dict[str, Any]:
    names = ", ".join(one.username for one in rows[:NAMES]) + (", …" if len(rows) > NAMES else "")
    sums = {key: f"{sum(one.total(key) for one in rows):,}" for key in ("unanswered", "deliveries")}
    return sums | {
        "n": len(rows), "names": names or "—", "binds": f"{sum(len(one.binds) for one in rows):,}",
        "nodes": len({bind.node for one in rows for bind in one.binds}),
    }  # fmt: skip


def _turn(key: str, label: str, text: str, status: str) -> Action:
    async def run(call: Call, one: PartnerView) -> None:
        if one.status != status:
            await _edited(call, one, {"status": status})

    async def effect(_: Call, rows: Sequence[PartnerView]) -> Effect:
        return Effect(text, _numbers([one for one in rows if one.status != status]))

    return Action(key, label, Permission.PARTNER_EDIT, run, effect, danger=status == "stopped")


async def _edited(
    call: Call, one: PartnerView, fields: Mapping[str, Any], *, password: str | None = None, seen: str | None = None
) -> None:
    sealer = call.portal.context.sealer
    await service.edit(call.change(), sealer, one.username, one.protocol, fields, password=password, seen=seen)


async def _kick(call: Call, one: PartnerView) -> None:
    await service.kick(call.change(), one.username, one.protocol, reason=await reason_of(call))


async def _kick_effect(_: Call, rows: Sequence[PartnerView]) -> Effect:
    bound = [one for one in rows if one.binds]
    return Effect(words.KICK_EFFECT, _numbers(bound)) if bound else Effect(words.KICK_NONE, nothing=True)


async def _remove(call: Call, one: PartnerView) -> None:
    await service.remove(call.change(), one.username, one.protocol)


async def _remove_effect(_: Call, rows: Sequence[PartnerView]) -> Effect:
    typed = rows[0].username if len(rows) == 1 else str(len(rows))
    return Effect(words.REMOVE_EFFECT, _numbers(rows), typed=typed)


PAGE = ListPage(
    "partners", PATH, "connect.partners", Permission.PARTNER_VIEW, FILTER, COLUMNS, choices=account_choices,
    detail=_detail, listing=PARTNERS, sort=Sort("account", descending=False), lead=words.LEAD, wide=True,
    actions=(Action("kick", words.KICK, Permission.PARTNER_KICK, _kick, _kick_effect, danger=True, reason=True),
             _turn("stop", words.STOP, words.STOP_EFFECT, "stopped"),
             _turn("start", words.START, words.START_EFFECT, "active"),
             Action("remove", words.REMOVE, Permission.PARTNER_EDIT, _remove, _remove_effect, danger=True)),
    links=((words.ADD, f"{PATH}/-/new", Permission.PARTNER_EDIT),),
    empty=Empty(words.EMPTY, words.TEACHES, words.ADD, f"{PATH}/-/new", Permission.PARTNER_EDIT, icon="plug"),
)  # fmt: skip

# --- forms -----------------------------------------------------------------------------------------------------------

_PASSWORD = Input("password", InputKind.SECRET, help=words.PASSWORD_HELP, most=service.MAX_PASSWORD)
_LIMITED = Inputs((
    Input("max_binds", InputKind.NUMBER, "partner_most", words.BINDS_HELP, required=True, least=1, most=1000),
    Input("window", InputKind.NUMBER, "partner_window", words.WINDOW_HELP, required=True, least=1, most=MAX_WINDOW),
    Input("rate", InputKind.NUMBER, "partner_rate", words.RATE_HELP, required=True, least=0, most=1_000_000),
    Input("ip_allow", InputKind.NETWORKS, "networks", words.NETWORKS_HELP),
), words.SECTION_LIMITS)  # fmt: skip
_HABITUAL = Inputs(
    (
        Input("type", InputKind.CHOICE, "message_type", required=True, choices=all_words.TYPE),
        Input("code", label="partner_code", help=words.CODE_HELP, pattern="[0-9]{1,20}", most=20),
        Input("any_source", InputKind.SWITCH, help=words.SOURCE_HELP),
        Input("any_clock", InputKind.SWITCH, help=words.CLOCK_HELP),
        Input("alphabet", InputKind.CHOICE, help=words.ALPHABET_HELP, required=True, choices=words.ALPHABET),
        Input("message_ids", InputKind.CHOICE, help=words.IDS_HELP, required=True, choices=words.IDS),
        Input("long_mo", InputKind.CHOICE, help=words.LONG_HELP, required=True, choices=words.LONG_MO),
    ),
    words.SECTION_HABITS,
)
_NAMES = (
    "max_binds", "window", "rate", "type", "code", "any_source", "any_clock", "alphabet", "message_ids", "long_mo",
)  # fmt: skip
_DEFAULTS = {"max_binds": 4, "window": 64, "rate": 0, "type": "notice", "alphabet": "gsm7", "message_ids": "decimal",
             "long_mo": "udh"}  # fmt: skip


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    networks = [ip_network(one, strict=False) for one in values["ip_allow"]]
    return {name: values[name] for name in _NAMES} | {"ip_allow": networks}


def _made() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(MADE))


def _once(call: Call, id_: int, username: str, protocol: str, password: str) -> web.Response:
    return call.render("connect/partner_once.html", name=username, protocol=words.PROTOCOL[protocol],
                       password=password, back=f"{PATH}/{id_}")  # fmt: skip


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    password = values["password"] or _made()
    id_ = await service.add(
        call.change(), call.portal.context.sealer, int(values["account"]), values["protocol"], values["user"], password,
        _fields(values),
    )  # fmt: skip
    return _once(call, id_, values["user"], values["protocol"], password)


ADD = FormPage(
    f"{PATH}/-/new", Permission.PARTNER_EDIT, words.ADD_TITLE, words.ADD,
    Form((Inputs((
        Input("account", InputKind.CHOICE, required=True),
        Input("protocol", InputKind.CHOICE, required=True, choices=words.PROTOCOL),
        Input("user", label="partner_user", help=words.USER_HELP, required=True, most=15), _PASSWORD,
    ), words.SECTION_LOGIN), _LIMITED, _HABITUAL)),
    _add, lambda _: PATH, values=lambda _: _DEFAULTS, choices=account_choices,
)  # fmt: skip


async def _subject(call: Call) -> PartnerView | None:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await PARTNERS.get(call.db, call.actor, id_)


def _at(one: PartnerView) -> str:
    return f"{PATH}/{one.id}"


def _values(one: PartnerView) -> dict[str, Any]:
    return {name: getattr(one, name) for name in (*_NAMES, "ip_allow")} | {"seen": one.mark}


async def _edit_effect(_: Call, one: PartnerView, values: Mapping[str, Any]) -> Effect:
    networks = _fields(values)["ip_allow"]
    stay = sum(admits(networks, bind.ip) for bind in one.binds)
    out = len(one.binds) - min(stay, values["max_binds"])
    return Effect(words.EDIT_EFFECT, {"name": one.username, "binds": len(one.binds), "out": out})


async def _edit(call: Call, one: PartnerView, values: Mapping[str, Any]) -> web.Response:
    await _edited(call, one, _fields(values), seen=values["seen"])
    call.toast(call.gettext(words.SAVED))
    return call.redirect(_at(one))


EDIT = FormPage(
    f"{ONE}/edit", Permission.PARTNER_EDIT, words.EDIT_TITLE, words.SAVE, Form((_LIMITED, _HABITUAL, Inputs((SEEN,)))),
    _edit, _at, _subject, effect=_edit_effect, lead=lambda one: one.username, values=_values,
)  # fmt: skip


async def _renew_effect(_: Call, one: PartnerView, __: Mapping[str, Any]) -> Effect:
    return Effect(words.RENEW_EFFECT, {"name": one.username, "binds": len(one.binds)})


async def _renew(call: Call, one: PartnerView, values: Mapping[str, Any]) -> web.Response:
    password = _made()
    await _edited(call, one, {}, password=password, seen=values["seen"])
    return _once(call, one.id, one.username, one.protocol, password)


RENEW = FormPage(
    f"{ONE}/password", Permission.PARTNER_EDIT, words.RENEW_TITLE, words.RENEW, Form((Inputs((SEEN,)),)), _renew, _at,
    _subject, values=lambda one: {"seen": one.mark}, effect=_renew_effect, lead=lambda one: one.username, danger=True,
)  # fmt: skip
