"""The ledger of consents (P4.6, 同意台账): who has agreed to get marketing, with the proof, and who has withdrawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit import numbers
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Problem
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage, reason_of
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import audience as words, kit
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.platform.lists import consents as service
from smsgw.platform.lists.consents import Consent, Given, Source, WantedConsents

PATH = "/consents"
MENU = Entry("audience.consents", PATH, Permission.BLOCK_VIEW)
FILTER = Filter(
    (Field("number", FieldKind.PHONE), Field("state", FieldKind.CHOICE, "status", words.CONSENT_STATE),
     Field("source", FieldKind.CHOICE, "consent_source", words.CONSENT_SOURCE), Field("account", FieldKind.CHOICE)),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("number", Cell.PHONE, phone=Phone.TITLE),
    Column("state", Cell.STATE, "status", words=words.CONSENT_STATE, tones=words.CONSENT_TONE, phone=Phone.BESIDE),
    Column("account", phone=Phone.SECOND),
    Column("source", Cell.WORD, "consent_source", words=words.CONSENT_SOURCE, phone=Phone.SECOND),
    Column("wording", label="consent_wording", phone=Phone.AWAY),
    Column("proof", Cell.LONG, "consent_proof", phone=Phone.THIRD),
    Column("has_file", Cell.BOOL, "consent_file", value=lambda one: one.proof_file is not None, phone=Phone.AWAY),
    Column("given_at", Cell.TIME, "consent_given_at", phone=Phone.AWAY),
    Column("entered_by", label="actor", shown=False, phone=Phone.AWAY),
    Column("at", Cell.TIME, "time", sort=True, value=lambda one: one.entered_at, shown=False, phone=Phone.AWAY),
    Column("withdrawn_at", Cell.TIME, "consent_withdrawn_at", phone=Phone.AWAY),
)
_WITHDRAWN = (Column("withdrawn_by", label="actor"), Column("withdrawal", Cell.LONG, "reason"))
_REPLACED = _WITHDRAWN[:1]


def _wanted(found: Found) -> WantedConsents:
    account = int(found.get("account")) if found.get("account") else None
    return WantedConsents(found.get("number"), found.get("state"), found.get("source"), account)


async def _choices(call: Call, _: Any = None) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call)}


async def _detail(call: Call, one: Consent) -> Detail:
    links = []
    if one.proof_file is not None:
        links.append((words.CONSENT_FILE, f"{PATH}/{one.id}/proof/file"))
    elif call.may(Permission.BLOCK_EDIT):
        links.append((words.CONSENT_FILE_ADD, f"{PATH}/{one.id}/proof"))
    ended = words.CONSENT_REPLACEMENT if one.replaced else words.CONSENT_WITHDRAWAL
    more = [] if one.withdrawn_at is None else [Section(_REPLACED if one.replaced else _WITHDRAWN, one, ended)]
    return Detail(mask(one.number), [Section(COLUMNS, one), *more], links=links)


async def _withdraw(call: Call, one: Consent) -> None:
    await service.withdraw(call.change(), one.id, await reason_of(call))


async def _effect(_: Call, rows: Sequence[Consent]) -> Effect:
    return Effect(words.CONSENT_WITHDRAW_EFFECT, {"n": len(rows)})


PAGE = ListPage(
    "consents", PATH, "audience.consents", Permission.BLOCK_VIEW, FILTER, COLUMNS, choices=_choices, detail=_detail,
    rows=lambda db, actor, found, window: service.search(db, _wanted(found), window, accounts=actor.scope.whole),
    count=lambda db, actor, found, most: service.how_many(db, _wanted(found), most, accounts=actor.scope.whole),
    one=lambda db, actor, id_: service.one(db, id_, accounts=actor.scope.whole), sort=Sort("at"),
    whole="consent",
    actions=(Action("withdraw", words.CONSENT_WITHDRAW, Permission.BLOCK_EDIT, _withdraw, _effect, danger=True,
                    reason=True),),
    links=((words.CONSENT_ADD, f"{PATH}/-/new", Permission.BLOCK_EDIT),
           (words.CONSENT_IMPORT, f"{PATH}/-/import", Permission.BLOCK_EDIT)), lead=words.CONSENTS_LEAD,
    empty=Empty(words.CONSENTS_EMPTY, words.CONSENTS_TEACH, words.CONSENT_ADD, f"{PATH}/-/new", Permission.BLOCK_EDIT),
)  # fmt: skip


def day_problem(text: str) -> Problem | None:
    """What is wrong with a day, or a minute, as it was typed."""
    try:
        service.moment(text)
    except ValueError:
        return Problem(kit.BAD_DAY)
    return None


_ADD = Form((Inputs((
    Input("account", InputKind.CHOICE, required=True), numbers.FIELD,
    Input("source", InputKind.CHOICE, "consent_source", required=True, choices=words.CONSENT_SOURCE),
    Input("given_at", label="consent_given_at", help=words.CONSENT_DAY_HELP, required=True, most=16,
          check=day_problem),
    Input("wording", label="consent_wording", help=words.CONSENT_WORDING_HELP, most=service.MOST_TEXT),
    Input("proof", label="consent_proof", help=words.CONSENT_PROOF_HELP, required=True, least=2,
          most=service.MOST_TEXT),
)),))  # fmt: skip


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    found = numbers.recipients(values["numbers"]).valid
    at = service.moment(values["given_at"])
    given = Given(Source(values["source"]), values["wording"], values["proof"], at)
    n = await service.give(call.change(), int(values["account"]), found, given)
    said = call.filled(words.CONSENT_ADDED, {"n": n, "left": len(found) - n})
    but = numbers.left_out(values["numbers"])
    call.toast(said if but is None else f"{said} {call.filled(but.text, but.values)}")
    return call.redirect(PATH)


ADD = FormPage(
    f"{PATH}/-/new", Permission.BLOCK_EDIT, words.CONSENT_ADD, words.CONTACT_SAVE, _ADD, _add, lambda _: PATH,
    choices=_choices,
)  # fmt: skip
