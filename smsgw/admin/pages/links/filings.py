"""Filed links (P5.3, 短链报备): domains and targets that carriers have on file, for whom; what each says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import CARRIER, audience, filings as words
from smsgw.core.permissions import Permission
from smsgw.core.templates import CARRIERS
from smsgw.core.url_filings import Filing
from smsgw.platform.change import EVERYBODY
from smsgw.platform.url_filings import queries, service
from smsgw.platform.url_filings.model import FiledLink
from smsgw.platform.url_filings.queries import WantedFilings

PATH = "/link-filings"
MENU = Entry("links.filing", PATH, Permission.FILING_VIEW)
OF_CARRIERS = {carrier: CARRIER[carrier] for carrier in CARRIERS}
FILTER = Filter(
    (
        Field("target", label="filed_target"), Field("account", FieldKind.CHOICE),
        Field("carrier", FieldKind.CHOICE, choices=OF_CARRIERS),
        Field("state", FieldKind.CHOICE, "status", words.STATE), Field("icp", label="filed_icp", more=True),
    ),
    period=None,
)  # fmt: skip


def _at(carrier: str) -> Callable[[FiledLink], str]:
    return lambda one: one.carriers[carrier].state.value


COLUMNS = (
    Column("target", Cell.CODE, "filed_target", sort=True, phone=Phone.TITLE),
    Column("account", Cell.WORD, value=lambda one: one.account or "*", words=audience.EVERY_ACCOUNT,
           phone=Phone.SECOND),
    Column("icp", label="filed_icp", phone=Phone.SECOND),
    *(Column(carrier, Cell.STATE, value=_at(carrier), words=words.STATE, tones=words.STATE_TONE, phone=Phone.AWAY)
      for carrier in CARRIERS),
    Column("created_at", Cell.TIME, sort=True, phone=Phone.BESIDE),
)  # fmt: skip
_NOTES = (Column("note", Cell.LONG), Column("filed_answers", Cell.TAGS, value=lambda one: _answers(one)))


def _answers(one: FiledLink) -> list[str]:
    return [f"{carrier} {said.note}" for carrier, said in one.carriers.items() if said.note]


def _wanted(found: Found) -> WantedFilings:
    account = int(found.get("account")) if found.get("account") else None
    return WantedFilings(found.get("target"), account, found.get("icp"), found.get("carrier"), found.get("state"))


async def _choices(call: Call, _: Any = None) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call)}


def _decides(call: Call, one: FiledLink) -> bool:
    return call.may(Permission.FILING_DECIDE) and (call.actor.scope.whole is None or one.account_id != EVERYBODY)


async def _detail(call: Call, one: FiledLink) -> Detail:
    links = [(words.REGISTER, f"{PATH}/{one.id}/register")] if _decides(call, one) else []
    links.append((words.PROOFS, f"{PATH}/{one.id}/proofs"))
    return Detail(one.target, [Section((*COLUMNS, *_NOTES), one)], links=links)


async def _remove(call: Call, one: FiledLink) -> None:
    await service.remove(call.change(), one.id)


async def _remove_effect(_: Call, rows: Sequence[FiledLink]) -> Effect:
    return Effect(words.REMOVE_EFFECT, {"n": len(rows), "names": ", ".join(one.target for one in rows[:5])})


PAGE = ListPage(
    "filings", PATH, "links.filing", Permission.FILING_VIEW, FILTER, COLUMNS, choices=_choices, detail=_detail,
    rows=lambda db, actor, found, window: queries.search(db, _wanted(found), window, accounts=actor.scope.whole),
    count=lambda db, actor, found, most: queries.how_many(db, _wanted(found), most, accounts=actor.scope.whole),
    one=lambda db, actor, id_: queries.one(db, id_, accounts=actor.scope.whole),
    actions=(Action("remove", words.REMOVE, Permission.FILING_EDIT, _remove, _remove_effect, danger=True),),
    links=((words.ADD, f"{PATH}/-/new", Permission.FILING_EDIT),), lead=words.LEAD, sort=Sort("created_at"),
    empty=Empty(words.EMPTY, words.TEACHES, words.ADD, f"{PATH}/-/new", Permission.FILING_EDIT, icon="link"),
)  # fmt: skip

# --- filing, and what carriers say -----------------------------------------------------------------------------------

_ADD = Form((Inputs((
    Input("target", label="filed_target", required=True, most=255, help=words.TARGET_HELP),
    Input("account", InputKind.CHOICE, help=words.ACCOUNT_HELP),
    Input("icp", label="filed_icp", most=64, help=words.ICP_HELP),
    Input("note", InputKind.LINES, most=500, help=words.NOTE_HELP),
)),))  # fmt: skip
_REGISTER = Form((Inputs((
    Input("carriers", InputKind.CHOICES, "carrier", required=True, choices=OF_CARRIERS),
    Input("state", InputKind.CHOICE, "status", choices=words.STATE, required=True),
    Input("note", most=500, help=words.CARRIER_NOTE_HELP),
)),))  # fmt: skip


def _account(call: Call, values: Mapping[str, Any]) -> int:
    """Whose messages may have it; who sees some accounts files nothing for all."""
    if not values["account"] and call.actor.scope.whole is not None:
        raise Wrong("account", Problem(audience.ACCOUNT_NEEDED))
    return int(values["account"] or EVERYBODY)


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    account = _account(call, values)
    filed = await service.file(call.change(), account, values["target"], icp=values["icp"], note=values["note"])
    call.toast(call.gettext(words.ADDED))
    return call.redirect(f"{PATH}/{filed.id}")


async def _add_effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    account = own_accounts(call).get(str(_account(call, values))) or call.gettext(audience.ALL_ACCOUNTS)
    return Effect(words.ADD_EFFECT, {"account": account, "target": values["target"]})


async def _subject(call: Call) -> FiledLink | None:
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None else await queries.one(call.db, id_, accounts=call.actor.scope.whole)
    return one if one is not None and _decides(call, one) else None


async def _register(call: Call, one: FiledLink, values: Mapping[str, Any]) -> web.Response:
    await service.set_state(call.change(), one.id, Filing(values["state"]), values["carriers"], note=values["note"])
    call.toast(call.gettext(words.REGISTERED))
    return call.redirect(f"{PATH}/{one.id}")


async def _register_effect(call: Call, one: FiledLink, values: Mapping[str, Any]) -> Effect:
    carriers = " ".join(call.gettext(CARRIER[carrier]) for carrier in values["carriers"])
    account = one.account or call.gettext(audience.ALL_ACCOUNTS)
    state = words.STATE[values["state"]]
    return Effect(words.REGISTER_EFFECT, {"target": one.target, "carriers": carriers, "state": call.gettext(state),
                                          "account": account})  # fmt: skip


ADD = FormPage(
    f"{PATH}/-/new", Permission.FILING_EDIT, words.ADD_TITLE, words.ADD, _ADD, _add, lambda _: PATH, choices=_choices,
    effect=_add_effect,
)  # fmt: skip
REGISTER = FormPage(
    PATH + "/{id:[0-9]{1,19}}/register", Permission.FILING_DECIDE, words.REGISTER, words.SAVE, _REGISTER, _register,
    lambda one: f"{PATH}/{one.id}", _subject, effect=_register_effect, lead=lambda one: one.target,
)  # fmt: skip
