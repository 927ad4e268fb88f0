"""Number filters (P4.5, 空号过滤): by what is known here, then by the provider; classes to download."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit import numbers
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.imports import ImportPage, Target
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.rights import Proof, route
from smsgw.admin.words import audience as words
from smsgw.admin.words.lists import JOB_STATE, JOB_TONE
from smsgw.admin.words.terms import TERMS
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.words import columns as names
from smsgw.platform.numbers import filters as service, queries as known, vendor as vendors
from smsgw.platform.numbers.filters import STATES, NumberFilter
from smsgw.platform.sheets.model import Sheet

PATH = "/number-filters"
MENU = Entry("audience.numbers", PATH, Permission.CONTACT_VIEW)
FILTER = Filter((Field("name", label="filter_name"), Field("account", FieldKind.CHOICE)), period=None)
COLUMNS = (
    Column("name", label="filter_name", phone=Phone.TITLE),
    Column("job_state", Cell.STATE, "status", words=JOB_STATE, tones=JOB_TONE, phone=Phone.BESIDE),
    Column("total", Cell.NUMBER, "numbers", phone=Phone.SECOND),
    Column("invalid", Cell.NUMBER, "filter_invalid", phone=Phone.SECOND),
    Column("duplicates", Cell.NUMBER, "filter_duplicates", phone=Phone.AWAY),
    Column("asked", Cell.NUMBER, "filter_asked", phone=Phone.AWAY),
    Column("cost", Cell.MONEY, "filter_cost", value=lambda one: one.cost / 1000, phone=Phone.AWAY),
    Column("account", phone=Phone.SECOND),
    Column("created_by", phone=Phone.AWAY),
    Column("at", Cell.TIME, "created_at", sort=True, value=lambda one: one.created_at),
)


def _account(found: Found) -> int | None:
    return int(found.get("account")) if found.get("account") else None


async def _choices(call: Call, _: Any = None) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call)}


async def _detail(call: Call, one: NumberFilter) -> Detail:
    counted = await service.counts(call.db, one.id)
    told = {state: found for state, found in ((s, counted.get(s)) for s in ("", *STATES)) if found}
    rows = {f"state_{state or 'open'}": _told(call, found) for state, found in told.items()}
    columns = [Column(f"state_{s or 'open'}", label=f"state_{s or 'open'}") for s in told]
    links: list[tuple[str, str]] = []
    if call.may(Permission.CONTACT_EXPORT):
        links += [(words.FILTER_DOWNLOAD[s], f"{PATH}/-/{one.id}/class/{s}") for s in told if s]
    if call.may(Permission.CONTACT_EDIT) and await service.askable(call.db, one.id) and await vendors.offer(call.db):
        links.insert(0, (words.FILTER_ASK, f"{PATH}/{one.id}/ask"))
    busy = one.job_state in ("waiting", "running")
    if call.may(Permission.MESSAGE_SEND) and not busy and any(state in told for state in STATES):
        links.insert(0, (words.FILTER_SEND, f"{PATH}/{one.id}/send"))
    sections = [Section(COLUMNS[1:], one), Section(columns, rows, words.FILTER_COUNTS)]
    buttons: list[Button] = []
    notice = ""
    if not busy and await service.unsettled(call.db, [one.id]):
        notice = call.gettext(words.FILTER_UNSETTLED)
        if call.may(LOOK.permission):
            fields = {"id": str(one.id)}
            buttons.append(Button(words.FILTER_LOOK, f"{PATH}/-/effect/{LOOK.key}", fields=fields, asks=True))
    return Detail(one.name, sections, links=links, buttons=buttons, refresh=2 if busy else 0, notice=notice, good=False)


def _told(call: Call, found: service.Counted) -> str:
    if found.oldest is None:
        return call.filled(words.FILTER_COUNTED, {"n": f"{found.n:,}"})
    at = f"{found.oldest.astimezone(CHINA):%Y-%m-%d}"
    return call.filled(words.FILTER_OLDEST, {"n": f"{found.n:,}", "at": at})


async def _remove_effect(_: Call, rows: Sequence[NumberFilter]) -> Effect:
    return Effect(words.FILTER_REMOVE_EFFECT, {"n": len(rows)})


async def _look(call: Call, one: NumberFilter) -> None:
    await service.look_again(call.change(), one.id)
    call.portal.context.jobs.set()


async def _look_effect(call: Call, rows: Sequence[NumberFilter]) -> Effect:
    n = len(await service.unsettled(call.db, [one.id for one in rows]))
    return Effect(words.FILTER_LOOK_EFFECT, {"n": n}) if n else Effect(words.FILTER_LOOK_NOTHING, nothing=True)


LOOK = Action("look", words.FILTER_LOOK, Permission.CONTACT_EDIT, _look, _look_effect)
PAGE = ListPage(
    "filters", PATH, "audience.numbers", Permission.CONTACT_VIEW, FILTER, COLUMNS, choices=_choices, detail=_detail,
    rows=lambda db, actor, found, window: service.search(
        db, window, accounts=actor.scope.whole, name=found.get("name"), account_id=_account(found)),
    count=lambda db, actor, found, most: service.how_many(
        db, most, accounts=actor.scope.whole, name=found.get("name"), account_id=_account(found)),
    one=lambda db, actor, id_: service.one(db, id_, accounts=actor.scope.whole), sort=Sort("at"),
    lead=words.FILTERS_LEAD,
    actions=(LOOK, Action("remove", words.FILTER_REMOVE, Permission.CONTACT_EDIT,
             lambda call, one: service.remove(call.change(), one.id), _remove_effect, danger=True),),
    links=((words.FILTER_NEW, f"{PATH}/-/new", Permission.CONTACT_EDIT),
           (words.FILTER_IMPORT, f"{PATH}/-/import", Permission.CONTACT_EDIT),
           (words.FILTER_VENDOR, f"{PATH}/-/vendor", Permission.SETTING_EDIT)),
    empty=Empty(words.FILTERS_EMPTY, words.FILTERS_TEACH, words.FILTER_NEW, f"{PATH}/-/new", Permission.CONTACT_EDIT),
)  # fmt: skip

# --- changes ---------------------------------------------------------------------------------------------------------

_NAME = Input("name", label="filter_name", required=True, most=64)
_ACCOUNT = Input("account", InputKind.CHOICE, required=True)
_NEW = Form((Inputs((_NAME, _ACCOUNT, numbers.FIELD)),))


async def _begin(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    found = numbers.recipients(values["numbers"]).valid
    id_ = await service.begin(call.change(), values["name"], int(values["account"]), found)
    call.portal.context.jobs.set()
    call.toast(call.gettext(words.FILTER_BEGUN))
    return call.redirect(f"{PATH}/{id_}")


async def _effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    found = numbers.recipients(values["numbers"]).valid
    days = call.portal.context.snapshots.current.settings.number_status_days
    told = len(await known.known(call.db, found, days))
    said = {"n": len(found), "known": told, "rest": len(found) - told}
    return Effect(words.FILTER_EFFECT, said, warning=numbers.left_out(values["numbers"]))


NEW = FormPage(
    f"{PATH}/-/new", Permission.CONTACT_EDIT, words.FILTER_NEW, words.FILTER_BEGIN, _NEW, _begin, lambda _: PATH,
    choices=_choices, effect=_effect,
)  # fmt: skip


async def _bring(call: Call, sheet: Sheet, columns: Mapping[str, int], values: Mapping[str, Any]) -> int:
    id_ = await service.begin(
        call.change(), values["name"], int(values["account"]), sheet=sheet, column=columns["number"]
    )
    found = await service.one(call.db, id_, accounts=call.actor.scope.whole)
    return (found.job_id or 0) if found else 0


IMPORT = ImportPage(
    PATH, Permission.CONTACT_EDIT, words.FILTER_IMPORT, words.FILTERS, words.FILTER_IMPORT_LEAD, service.NAME,
    (Target("number", names.CONTACTS["number"], required=True),), Form((Inputs((_NAME, _ACCOUNT)),)), _choices, _bring,
)  # fmt: skip


async def _own(call: Call) -> NumberFilter | None:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await service.one(call.db, id_, accounts=call.actor.scope.whole)


async def _ask(call: Call, one: NumberFilter, _: Mapping[str, Any]) -> web.Response:
    await service.ask(call.change(), one.id, await service.askable(call.db, one.id))
    call.portal.context.jobs.set()
    call.toast(call.gettext(words.FILTER_BEGUN))
    return call.redirect(f"{PATH}/{one.id}")


async def _ask_effect(call: Call, one: NumberFilter, _: Mapping[str, Any]) -> Effect:
    offer, n = await vendors.offer(call.db), await service.askable(call.db, one.id)
    if offer is None or not n:
        return Effect(words.FILTER_NOTHING, nothing=True)
    values = {"n": n, "price": f"{offer.price / 1000:.3f}", "cost": f"{n * offer.price / 1000:,.2f}"}
    return Effect(words.FILTER_ASK_EFFECT, values)


ASK = FormPage(
    f"{PATH}/{{id:[0-9]{{1,19}}}}/ask", Permission.CONTACT_EDIT, words.FILTER_ASK_TITLE, words.FILTER_ASK, Form(()),
    _ask, lambda one: f"{PATH}/{one.id}", _own, effect=_ask_effect, lead=lambda one: one.name, step_up=Proof.PASSWORD,
)  # fmt: skip


_CLASS = f"{PATH}/-/{{id:[0-9]{{1,19}}}}/class/{{state:{'|'.join(STATES)}}}"


@route("GET", _CLASS, Permission.CONTACT_EXPORT, step_up=Proof.FACTOR)
async def download(call: Call) -> web.StreamResponse:
    """The numbers of one class, whole: for who has brought them, to be sent to or left out."""
    one, state = await _own(call), call.request.match_info["state"]
    if one is None or state not in STATES:
        raise web.HTTPNotFound
    await call.reads("filter.download", f"filter/{one.id}", state=state)
    file = io.StringIO()
    table = csv.writer(file)
    table.writerow([call.gettext(TERMS[key]) for key in ("number", "number_state", "time")])
    for row in await service.rows(call.db, one.id, state):
        at = f"{row['at'].astimezone(CHINA):%Y-%m-%d %H:%M}" if row["at"] else ""
        table.writerow([row["number"], call.gettext(words.FILTER_STATE[state]), at])
    return web.Response(
        body=file.getvalue().encode("utf-8-sig"), content_type="text/csv", charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="numbers-{one.id}-{state}.csv"',
                 "Cache-Control": "no-store"},
    )  # fmt: skip


_VENDOR = Form((Inputs((
    Input("url", label="vendor_url", help=words.VENDOR_URL_HELP, required=True, most=500),
    Input("app_id", label="vendor_app", required=True, most=64),
    Input("secret", InputKind.SECRET, help=words.VENDOR_SECRET_HELP, most=200),
    Input("md5", InputKind.SWITCH, "vendor_md5", words.VENDOR_MD5_HELP),
    Input("price", InputKind.NUMBER, "vendor_price", words.VENDOR_PRICE_HELP, required=True, least=0, most=1_000_000),
)),))  # fmt: skip


async def _vendor(call: Call) -> vendors.Offer | tuple[()]:
    return await vendors.offer(call.db) or ()


def _vendor_values(one: Any) -> Mapping[str, Any]:
    return {"url": one.url, "app_id": one.app_id, "md5": one.md5, "price": one.price} if one else {}


async def _set_vendor(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    wanted = vendors.Vendor(values["url"], values["app_id"], values["secret"], values["md5"], values["price"])
    await service.set_vendor(call.change(), wanted, call.portal.context.sealer)
    call.toast(call.gettext(words.CONTACT_SAVED))
    return call.redirect(PATH)


VENDOR = FormPage(
    f"{PATH}/-/vendor", Permission.SETTING_EDIT, words.FILTER_VENDOR, words.CONTACT_SAVE, _VENDOR, _set_vendor,
    lambda _: PATH, _vendor, _vendor_values, step_up=Proof.FACTOR,
)  # fmt: skip
