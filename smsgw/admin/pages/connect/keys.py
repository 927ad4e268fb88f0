"""API keys (P11.2, 密钥): who may call with what and from where; made, narrowed, rotated, stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import account_choices
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import connect as words
from smsgw.core.keys import MAX_REQUESTS_PER_SECOND, REQUESTS_PER_SECOND
from smsgw.core.permissions import Permission
from smsgw.platform.keys import queries, service
from smsgw.platform.keys.model import ListedKey, NewKey
from smsgw.platform.keys.queries import KEYS
from smsgw.runtime import clock

PATH = "/keys"
MENU = Entry("connect.keys", PATH, Permission.KEY_VIEW)
ONE = PATH + "/{id:[0-9]{1,19}}"
FILTER = Filter(
    (
        Field("account", FieldKind.CHOICE), Field("status", FieldKind.CHOICE, choices=words.STATUS),
        Field("mode", FieldKind.CHOICE, "key_mode", choices=words.MODE), Field("key_id"),
    ),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("key_id", Cell.CODE, phone=Phone.TITLE),
    Column("account", phone=Phone.SECOND),
    Column("mode", Cell.STATE, "key_mode", words=words.MODE, tones=words.MODE_TONE, phone=Phone.SECOND),
    Column("status", Cell.STATE, words=words.STATUS, tones=words.STATUS_TONE, phone=Phone.BESIDE),
    Column("scopes", Cell.TAGS, words=words.SCOPE, phone=Phone.AWAY),
    Column("networks", Cell.TAGS, phone=Phone.AWAY),
    Column("last_used_at", Cell.TIME, "key_used_at"),
    Column("expires_at", Cell.TIME, phone=Phone.AWAY),
    Column("created_at", Cell.TIME, "key_made_at", sort=True, shown=False, phone=Phone.AWAY),
)
_MORE = (
    Column("requests_per_second", Cell.NUMBER), Column("last_used_ip", label="key_used_from"),
    Column("rotated_at", Cell.TIME), Column("rotating", Cell.BOOL, "key_old_good"),
)  # fmt: skip


async def _detail(call: Call, one: ListedKey) -> Detail:
    if not call.may(Permission.KEY_EDIT):
        return Detail(one.key_id, [Section((*COLUMNS, *_MORE), one)])
    links = [(words.EDIT, f"{PATH}/{one.id}/edit")]
    links.append(
        (words.RETIRE, f"{PATH}/{one.id}/retire") if one.rotating else (words.ROTATE, f"{PATH}/{one.id}/rotate")
    )
    stops = one.status == "active"
    button = Button(words.STOP if stops else words.START, f"{PATH}/-/effect/{'stop' if stops else 'start'}",
                    danger=stops, fields={"id": str(one.id), "to": f"{PATH}/{one.id}"}, asks=True)  # fmt: skip
    return Detail(one.key_id, [Section((*COLUMNS, *_MORE), one)], links=links, buttons=[button])


def _turn(key: str, label: str, status: str, text: str, *, danger: bool) -> Action:
    async def run(call: Call, one: ListedKey) -> None:
        if one.status != status:
            await service.edit(call.change(), one.key_id, {"status": status})

    async def effect(_: Call, rows: Sequence[ListedKey]) -> Effect:
        return Effect(text, {"n": sum(one.status != status for one in rows)})

    return Action(key, label, Permission.KEY_EDIT, run, effect, danger=danger)


PAGE = ListPage(
    "keys", PATH, "connect.keys", Permission.KEY_VIEW, FILTER, COLUMNS, choices=account_choices, detail=_detail,
    listing=KEYS, sort=Sort("created_at"), lead=words.LEAD, links=((words.ADD, f"{PATH}/-/new", Permission.KEY_EDIT),),
    actions=(_turn("stop", words.STOP, "stopped", words.STOP_EFFECT, danger=True),
             _turn("start", words.START, "active", words.START_EFFECT, danger=False)),
    empty=Empty(words.EMPTY, words.TEACHES, words.ADD, f"{PATH}/-/new", Permission.KEY_EDIT, icon="key"),
)  # fmt: skip

# --- changes ---------------------------------------------------------------------------------------------------------

_LIMITS = (
    Input("scopes", InputKind.CHOICES, choices=words.SCOPE, help=words.SCOPES_HELP, required=True),
    Input("networks", InputKind.NETWORKS, help=words.NETWORKS_HELP),
    Input(
        "requests_per_second",
        InputKind.NUMBER,
        least=1,
        most=MAX_REQUESTS_PER_SECOND,
        help=words.RATE_HELP,
        required=True,
    ),
)
_ADD = Form((Inputs((
    Input("account", InputKind.CHOICE, required=True),
    Input("mode", InputKind.CHOICE, "key_mode", words.TEST_HELP, required=True, choices=words.MODE), *_LIMITS,
    Input("days", InputKind.NUMBER, least=1, most=3650, help=words.DAYS_HELP),
)),))  # fmt: skip


def _once(call: Call, new: NewKey, id_: int | None) -> web.Response:
    return call.render("connect/key_once.html", key=new, back=f"{PATH}/{id_}" if id_ else PATH)


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    until = clock.now() + timedelta(days=values["days"]) if values["days"] else None
    new = await service.add(
        call.change(), call.portal.context.sealer, int(values["account"]), scopes=values["scopes"],
        test=values["mode"] == "test", ip_allow=tuple(map(ip_network, values["networks"])), expires_at=until,
        requests_per_second=values["requests_per_second"],
    )  # fmt: skip
    return _once(call, new, await queries.id_of(call.db, new.key_id))


async def _key(call: Call) -> ListedKey | None:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await KEYS.get(call.db, call.actor, id_)


async def _edit(call: Call, one: ListedKey, values: Mapping[str, Any]) -> web.Response:
    wanted = {"scopes": list(values["scopes"]), "ip_allow": list(map(ip_network, values["networks"])),
              "requests_per_second": values["requests_per_second"]}  # fmt: skip
    await service.edit(call.change(), one.key_id, wanted)
    call.toast(call.gettext(words.SAVED))
    return call.redirect(f"{PATH}/{one.id}")


async def _rotate(call: Call, one: ListedKey, _: Mapping[str, Any]) -> web.Response:
    return _once(call, await service.rotate(call.change(), call.portal.context.sealer, one.key_id), one.id)


async def _retire(call: Call, one: ListedKey, _: Mapping[str, Any]) -> web.Response:
    await service.retire(call.change(), one.key_id)
    call.toast(call.gettext(words.RETIRED))
    return call.redirect(f"{PATH}/{one.id}")


async def _rotate_effect(_: Call, one: ListedKey, __: Mapping[str, Any]) -> Effect:
    return Effect(words.ROTATE_EFFECT, {"key": one.key_id})


async def _retire_effect(_: Call, one: ListedKey, __: Mapping[str, Any]) -> Effect:
    return Effect(words.RETIRE_EFFECT, {"key": one.key_id})


ADD = FormPage(
    f"{PATH}/-/new", Permission.KEY_EDIT, words.ADD_TITLE, words.ADD, _ADD, _add, lambda _: PATH,
    values=lambda _: {"requests_per_second": REQUESTS_PER_SECOND}, choices=account_choices,
)  # fmt: skip
EDIT = FormPage(
    f"{ONE}/edit", Permission.KEY_EDIT, words.EDIT_TITLE, words.SAVE, Form((Inputs(_LIMITS),)), _edit,
    lambda one: f"{PATH}/{one.id}", _key, lead=lambda one: one.key_id,
    values=lambda one: {"scopes": one.scopes, "networks": one.networks,
                        "requests_per_second": one.requests_per_second},
)  # fmt: skip
ROTATE = FormPage(
    f"{ONE}/rotate", Permission.KEY_EDIT, words.ROTATE_TITLE, words.ROTATE, Form(()), _rotate,
    lambda one: f"{PATH}/{one.id}", _key, effect=_rotate_effect, lead=lambda one: one.key_id,
)  # fmt: skip
RETIRE = FormPage(
    f"{ONE}/retire", Permission.KEY_EDIT, words.RETIRE_TITLE, words.RETIRE, Form(()), _retire,
    lambda one: f"{PATH}/{one.id}", _key, effect=_retire_effect, lead=lambda one: one.key_id, danger=True,
)  # fmt: skip
