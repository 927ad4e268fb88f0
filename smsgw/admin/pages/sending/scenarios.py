"""Scenarios (P2.7, 业务场景): what a kind of sending always has; picked in the first step, or named by the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.sending import as_scenario, chains
from smsgw.admin.pages.sending.terms import at_hops, hops
from smsgw.admin.words import scenarios as words
from smsgw.admin.words.messages import TYPE
from smsgw.core.model import MessageType
from smsgw.core.permissions import Permission
from smsgw.platform.scenarios import queries, service
from smsgw.platform.scenarios.model import MOST_EXTENSION, MOST_MINUTES, MOST_NAME, MOST_NOTE, Scenario, Terms, Wanted

PATH = "/scenarios"
_NEW, _ONE = as_scenario.PLACE, "{id:[0-9]{1,19}}"
MENU = Entry("sending.scenes", PATH, Permission.MESSAGE_SEND)
FILTER = Filter(
    (
        Field("name"), Field("account", FieldKind.CHOICE), Field("type", FieldKind.CHOICE, choices=TYPE),
        Field("status", FieldKind.CHOICE, choices=words.STATE), Field("template", FieldKind.ID, more=True),
    ),
    period=None,
)  # fmt: skip
MOST_TEMPLATES = 500


COLUMNS = (
    Column("id", Cell.CODE, sort=True, phone=Phone.SECOND),
    Column("name", sort=True, phone=Phone.TITLE),
    Column("account", phone=Phone.SECOND),
    Column("type", Cell.WORD, value=lambda one: one.terms.type.value, words=TYPE, phone=Phone.AWAY),
    Column("sign", value=lambda one: one.terms.sign, phone=Phone.SECOND),
    Column("template", value=lambda one: f"#{one.terms.template_id}" if one.terms.template_id else "",
           phone=Phone.AWAY),
    Column("scenario_window", Cell.HOURS, value=lambda one: one.terms.spans if one.terms.windows else None,
           phone=Phone.AWAY),
    Column("state", Cell.STATE, "status", words=words.STATE, tones=words.TONE, phone=Phone.BESIDE),
    Column("updated_at", Cell.TIME, sort=True, phone=Phone.AWAY),
)  # fmt: skip
_MORE = (
    Column("valid_minutes", Cell.NUMBER, value=lambda one: one.terms.valid_minutes),
    Column("extend_code", Cell.CODE, value=lambda one: one.terms.extend_code),
    Column("note", Cell.LONG, value=lambda one: one.terms.note),
    Column("created_by"), Column("created_at", Cell.TIME), Column("stopped_at", Cell.TIME),
)  # fmt: skip


async def _detail(call: Call, one: Scenario) -> Detail:
    links = []
    if one.stopped_at is None:
        links.append((words.USE, f"/send?scenario={one.id}"))
    if call.may(Permission.SCENARIO_EDIT):
        links += [(words.EDIT, f"{PATH}/{one.id}/edit"), (words.COPY, f"{_NEW}?from={one.id}")]
    kept = None if one.terms.fallback is None else one.terms.fallback.plain()
    chain = Column("fallback", Cell.TAGS, value=lambda _: hops(call, kept, own=True))
    return Detail(one.name, [Section((*COLUMNS, *([chain] if kept else []), *_MORE), one)], links=links)


def _wanted(found: Found) -> Wanted:
    account = int(found.get("account")) if found.get("account") else None
    return Wanted(found.get("name"), found.get("status"), found.get("type"), account, found.get("template") or None)


async def _choices(call: Call, _: Any = None) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call)}


def _told(text: str) -> Callable[[Call, Sequence[Scenario]], Awaitable[Effect]]:
    async def tell(_: Call, rows: Sequence[Scenario]) -> Effect:
        return Effect(text, {"n": len(rows), "names": ", ".join(one.name for one in rows[:5])})

    return tell


PAGE = ListPage(
    "scenarios", PATH, "sending.scenes", Permission.MESSAGE_SEND, FILTER, COLUMNS, choices=_choices, detail=_detail,
    rows=lambda db, actor, found, window: queries.search(db, _wanted(found), window, accounts=actor.scope.whole),
    count=lambda db, actor, found, most: queries.how_many(db, _wanted(found), most, accounts=actor.scope.whole),
    one=lambda db, actor, id_: queries.one(db, id_, accounts=actor.scope.whole), sort=Sort("updated_at"),
    lead=words.LEAD,
    actions=(
        Action("stop", words.STOP, Permission.SCENARIO_EDIT, lambda call, one: service.stop(call.change(), one.id),
               _told(words.STOP_EFFECT), danger=True),
        Action("start", words.START, Permission.SCENARIO_EDIT, lambda call, one: service.start(call.change(), one.id),
               _told(words.START_EFFECT)),
    ),
    links=((words.NEW, _NEW, Permission.SCENARIO_EDIT),),
    empty=Empty(words.EMPTY, words.TEACHES, words.NEW, _NEW, Permission.SCENARIO_EDIT, icon="stack-2"),
)  # fmt: skip

# --- changes ---------------------------------------------------------------------------------------------------------


_FIXED = Inputs((
    Input("name", required=True, most=MOST_NAME),
    Input("type", InputKind.CHOICE, help=words.TYPE_HELP, choices=TYPE, required=True),
    Input("template", InputKind.CHOICE, help=words.TEMPLATE_HELP), Input("sign", help=words.SIGN_HELP, most=22),
    Input("note", help=words.NOTE_HELP, most=MOST_NOTE),
), words.TERMS)  # fmt: skip
_LIMITS = Inputs((
    Input("valid_minutes", InputKind.NUMBER, help=words.VALID_HELP, least=1, most=MOST_MINUTES),
    Input("windows", InputKind.SPANS, "day_hours", words.WINDOW_HELP),
    Input("extend_code", help=words.EXTEND_HELP, most=MOST_EXTENSION),
), words.LIMITS)  # fmt: skip


_OF_NEW = Inputs((Input("account", InputKind.CHOICE, required=True), *_FIXED.fields), _FIXED.heading)
_ADD = Form((_OF_NEW, _LIMITS, *chains.SECTIONS))
_EDIT = Form((_FIXED, _LIMITS, *chains.SECTIONS))


async def _form_choices(call: Call, one: Any = None) -> Mapping[str, Mapping[str, str]]:
    """Accounts, and the approved templates that they (of one scenario: that its account) may use."""
    snapshot = call.portal.context.snapshots.current
    own = own_accounts(call)
    chosen = {str(one.account_id)} & own.keys() if isinstance(one, Scenario) and _is_edit(call) else own.keys()
    accounts = [account for account in snapshot.accounts() if str(account.id) in chosen]
    lines = sorted({id_ for account in accounts for id_ in (account.id, *account.above)})
    usable = snapshot.policies.book.usable(lines)[:MOST_TEMPLATES]
    templates = {str(t.id): f"#{t.id} {t.content[:40]}" for t in usable}
    kept = one.terms.fallback if isinstance(one, Scenario) else None
    return {"account": own, "template": templates, **chains.choices(templates, None if kept is None else kept.plain())}


def _is_edit(call: Call) -> bool:
    return "id" in call.request.match_info


def _terms(values: Mapping[str, Any]) -> Terms:
    return Terms(
        values["name"], MessageType(values["type"]), values["sign"],
        int(values["template"]) if values["template"] else None, values["extend_code"], values["valid_minutes"],
        values["windows"], values["note"], chains.typed(values),
    )  # fmt: skip


def _values(one: Any) -> Mapping[str, Any]:
    if not one:
        return {"type": MessageType.NOTICE.value, **chains.fields(None)}
    terms = one.terms
    plain = {key: getattr(terms, key) for key in ("name", "sign", "note", "extend_code", "valid_minutes", "windows")}
    plain |= chains.fields(None if terms.fallback is None else terms.fallback.plain())
    return plain | {"type": terms.type.value, "template": terms.template_id, "account": one.account_id}


async def _begun(call: Call) -> Scenario | as_scenario.Begun | tuple[()]:
    """With what the new one begins: another scenario, a task, a draft; or with nothing."""
    if (begun := await as_scenario.of_query(call)) is not None:
        return begun
    id_ = read_id(call.request.query.get("from", ""))
    one = None if id_ is None else await queries.one(call.db, id_, accounts=call.accounts)
    return one or ()


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    with at_hops(chains.places(values)):
        id_ = await service.add(call.change(), int(values["account"]), _terms(values))
    call.toast(call.gettext(words.SAVED))
    return call.redirect(f"{PATH}/{id_}")


async def _subject(call: Call) -> Scenario | None:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await queries.one(call.db, id_, accounts=call.accounts)


async def _put(call: Call, one: Scenario, values: Mapping[str, Any]) -> web.Response:
    with at_hops(chains.places(values)):
        await service.put(call.change(), one.id, _terms(values))
    call.toast(call.gettext(words.SAVED))
    return call.redirect(f"{PATH}/{one.id}")


NEW = FormPage(
    _NEW, Permission.SCENARIO_EDIT, words.NEW, words.SAVE, _ADD, _add, lambda _: PATH, _begun, values=_values,
    choices=_form_choices,
)  # fmt: skip
EDIT = FormPage(
    f"{PATH}/{_ONE}/edit", Permission.SCENARIO_EDIT, words.EDIT, words.SAVE, _EDIT, _put,
    lambda one: f"{PATH}/{one.id}", _subject, values=_values, choices=_form_choices,
    lead=lambda one: f"{one.name} · {one.account}",
)  # fmt: skip
