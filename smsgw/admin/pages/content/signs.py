"""Signatures (P3.2, 签名设置): who may call themselves what, and with which carriers that is registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.content import common
from smsgw.admin.words import content as words
from smsgw.core.permissions import Permission
from smsgw.platform.content import queries, service
from smsgw.platform.content.model import SIGN, Wanted

PATH = common.PATHS[SIGN]
MATRIX = f"{PATH}/carriers"
TABS = ((words.SIGNS, PATH), (words.MATRIX, MATRIX))
MENU = Entry("content.signs", PATH, Permission.SIGN_VIEW)
FILTER = Filter(
    (
        Field("sign"), Field("account", FieldKind.CHOICE), Field("origin", FieldKind.CHOICE, choices=words.SOURCE),
        Field("status", FieldKind.CHOICE, choices=words.SIGN_STATUS), common.AT_CARRIER, common.REGISTERED,
        Field("note", more=True), common.SUBMITTER, common.CREATED,
    ),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("name", label="sign", sort=True, phone=Phone.TITLE),
    Column("account", phone=Phone.SECOND),
    Column("source", Cell.WORD, "origin", words=words.SOURCE, shown=False, phone=Phone.SECOND),
    Column("status", Cell.STATE, words=words.SIGN_STATUS, tones=words.STATUS_TONE, phone=Phone.BESIDE),
    *common.MATRIX,
    Column("extension", Cell.CODE, shown=False, phone=Phone.AWAY),
    Column("expires_at", sort=True, value=lambda row: common.last_day(row["expires_at"]), phone=Phone.AWAY),
    *common.STATED,
)


async def _detail(call: Call, row: common.Row) -> Detail:
    shown = [one for one in COLUMNS if one not in common.MATRIX]
    links = common.links(call, SIGN, row)
    if call.may(Permission.SIGN_DECIDE):
        links.append((words.RENEW, f"{PATH}/{row['id']}/renew"))
    links.append((words.PROOFS, f"{PATH}/{row['id']}/proofs"))
    links.append((words.MATRIX, f"{MATRIX}?sign={quote(row['name'])}&account={row['account_id']}"))
    return Detail(
        f"【{row['name']}】",
        [Section((*shown, Column("note", Cell.LONG), *common.REVIEWED), row),
         Section(common.MATRIX, row, words.CARRIERS)],
        links=links, past=await common.past(call, SIGN, row["id"]),
    )  # fmt: skip


def _wanted(found: Found) -> Wanted:
    return common.wanted(found, name="sign", text="note")


async def _count(db: Any, actor: Any, found: Found, most: int) -> int:
    return await queries.how_many(db, SIGN, _wanted(found), most, accounts=actor.scope.whole)


PAGE = ListPage(
    "signs", PATH, "content.signs", Permission.SIGN_VIEW, FILTER, COLUMNS, choices=common.choices,
    rows=lambda db, actor, found, window: queries.search(db, SIGN, _wanted(found), window, accounts=actor.scope.whole),
    count=_count, one=lambda db, actor, id_: queries.one(db, SIGN, id_, accounts=actor.scope.whole),
    detail=_detail, sort=Sort("created_at"), lead=words.SIGNS_LEAD, wide=True, tabs=TABS,
    actions=common.stop_actions(SIGN, words.SIGN_STOP_EFFECT, words.SIGN_START_EFFECT),
    links=((words.SIGN_NEW, f"{PATH}/-/new", Permission.SIGN_EDIT),),
    empty=Empty(words.SIGNS_EMPTY, words.SIGNS_TEACH, words.SIGN_NEW, f"{PATH}/-/new", Permission.SIGN_EDIT,
                icon="signature"),
)  # fmt: skip

# --- changes ---------------------------------------------------------------------------------------------------------


_UNTIL = Input("until_day", most=10, help=words.EXPIRES_HELP, check=common.day_to_come)
_ADD = Form((Inputs((
    Input("account", InputKind.CHOICE, required=True),
    Input("sign", label="sign_text", required=True, least=2, most=20, help=words.SIGN_TEXT_HELP),
    Input("source", InputKind.CHOICE, "origin", choices=words.SOURCE, required=True),
    Input("note", InputKind.LINES, most=500, help=words.SIGN_NOTE_HELP), _UNTIL,
)),))  # fmt: skip


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    id_ = await service.add_sign(
        call.change(), int(values["account"]), values["sign"], source=values["source"], note=values["note"],
        expires_at=common.until(values["until_day"]),
    )  # fmt: skip
    call.toast(call.gettext(words.APPLIED))
    return call.redirect(f"{PATH}/{id_}")


async def _add_effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    account = own_accounts(call)[values["account"]]
    return Effect(words.SIGN_ADD_EFFECT, {"account": account, "sign": values["sign"]})


async def _renew(call: Call, row: common.Row, values: Mapping[str, Any]) -> web.Response:
    await service.renew(call.change(), row["id"], common.until(values["until_day"]))
    call.toast(call.gettext(words.RENEWED))
    return call.redirect(f"{PATH}/{row['id']}")


async def _renew_effect(call: Call, row: common.Row, values: Mapping[str, Any]) -> Effect:
    until = values["until_day"] or call.gettext(words.FOREVER)
    return Effect(words.RENEW_EFFECT, {"sign": row["name"], "until": until})


def _last_day(row: common.Row) -> Mapping[str, Any]:
    return {"until_day": common.last_day(row["expires_at"])}


NEW = FormPage(
    f"{PATH}/-/new", Permission.SIGN_EDIT, words.SIGN_NEW, words.APPLY, _ADD, _add, lambda _: PATH,
    choices=common.choices, effect=_add_effect,
)  # fmt: skip
RENEW = FormPage(
    f"{PATH}/{common.ONE}/renew", Permission.SIGN_DECIDE, words.RENEW, words.SAVE, Form((Inputs((_UNTIL,)),)), _renew,
    lambda row: f"{PATH}/{row['id']}", common.subject(SIGN), values=_last_day, effect=_renew_effect,
    lead=lambda row: f"【{row['name']}】",
)  # fmt: skip
DECIDE, REGISTER = common.decide_page(SIGN), common.register_page(SIGN)
