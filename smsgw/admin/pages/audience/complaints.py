"""The register of complaints (投诉处理): what was said about which message, what there is to answer with, each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Past, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.rights import Proof, route
from smsgw.admin.views import china_time
from smsgw.admin.words import STATUS, STATUS_COLOUR, TYPE, audience, complaints as words
from smsgw.admin.words.terms import TERMS
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.platform.lists import complaints as service, consents
from smsgw.platform.lists.complaints import Complaint, Origin, State, Step, WantedComplaints
from smsgw.platform.lists.consents import Consent, WantedConsents
from smsgw.platform.messages import queries
from smsgw.platform.messages.model import MessageView
from smsgw.platform.paging import Window
from smsgw.runtime import clock

PATH = "/complaints"
MENU = Entry("audience.complaints", PATH, Permission.COMPLAINT_VIEW)
DAYS, MOST = 30, 20
"""Whose messages are shown beside a complaint, and how many of them."""
FILTER = Filter(
    (Field("number", FieldKind.PHONE), Field("state", FieldKind.CHOICE, "complaint_state", words.STATE),
     Field("due", FieldKind.CHOICE, "complaint_due_at", words.DUE),
     Field("origin", FieldKind.CHOICE, "complaint_origin", words.ORIGIN), Field("account", FieldKind.CHOICE),
     Field("at", FieldKind.DAYS, "complaint_at", more=True), Field("sign", more=True),
     Field("reference", label="complaint_reference", more=True),
     Field("message", FieldKind.ID, "message_id", more=True)),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("number", Cell.PHONE, phone=Phone.TITLE),
    Column("state", Cell.STATE, "complaint_state", words=words.STATE, tones=words.STATE_TONE, phone=Phone.BESIDE),
    Column("due_at", Cell.TIME, "complaint_due_at", sort=True, phone=Phone.SECOND),
    Column("late", Cell.STATE, "complaint_late", words=words.LATE, tones={"late": "red"}, phone=Phone.SECOND,
           value=lambda one: "late" if one.late(clock.now()) else ""),
    Column("origin", Cell.WORD, "complaint_origin", words=words.ORIGIN, phone=Phone.SECOND),
    Column("account", phone=Phone.SECOND), Column("sign", phone=Phone.AWAY),
    Column("note", Cell.LONG, "complaint_note", phone=Phone.THIRD),
    Column("message", Cell.WORD, "complaint_message", value=lambda one: one.message_id and str(one.message_id),
           to=lambda one: f"/records/{one.message_id}", permission=Permission.MESSAGE_VIEW, shown=False,
           phone=Phone.AWAY),
    Column("channel", permission=Permission.CHANNEL_VIEW, shown=False, phone=Phone.AWAY),
    Column("reference", Cell.CODE, "complaint_reference", shown=False, phone=Phone.AWAY),
    Column("reply", Cell.LONG, "complaint_reply", shown=False, phone=Phone.AWAY),
    Column("actor", label="complaint_by", value=lambda one: one.entered_name, phone=Phone.AWAY),
    Column("at", Cell.TIME, "complaint_at", sort=True, phone=Phone.AWAY),
    Column("changed_by", label="complaint_changed_by", value=lambda one: one.changed_name, shown=False,
           phone=Phone.AWAY),
    Column("changed_at", Cell.TIME, "complaint_changed_at", shown=False, phone=Phone.AWAY),
)  # fmt: skip
_MESSAGES = (
    Column("accepted_at", Cell.TIME, "time"), Column("account_name", label="account"), Column("submitter"),
    Column("status", Cell.STATE, words=STATUS, tones=STATUS_COLOUR),
    Column("content", Cell.LONG, permission=Permission.MESSAGE_READ),
)  # fmt: skip
_CONSENTS = (
    Column("given_at", Cell.TIME, "consent_given_at"), Column("account"),
    Column("state", Cell.STATE, "status", words=audience.CONSENT_STATE, tones=audience.CONSENT_TONE),
    Column("source", Cell.WORD, "consent_source", words=audience.CONSENT_SOURCE),
    Column("proof", Cell.LONG, "consent_proof"), Column("wording", Cell.LONG, "consent_wording"),
    Column("entered_by", label="complaint_by"),
)  # fmt: skip


def _wanted(found: Found) -> WantedComplaints:
    since, until = found.get("at", (None, None))
    texts = {key: found.get(key) for key in ("number", "state", "origin", "due", "sign", "reference")}
    return WantedComplaints(
        account_id=int(found.get("account")) if found.get("account") else None, since=since, until=until,
        message_id=found.get("message") or None, **texts,
    )  # fmt: skip


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call)}


@dataclass(frozen=True, slots=True)
class Matter:
    """What there is about a complaint, as far as the person may see it; None: may not."""

    messages: Sequence[MessageView] | None
    consents: Sequence[Consent] | None
    steps: Sequence[Step]


async def _matter(call: Call, one: Complaint) -> Matter:
    scope, messages, agreed = call.actor.scope, None, None
    if call.may(Permission.MESSAGE_VIEW):
        messages = await queries.search(
            call.db, accounts=scope.accounts, submitter=scope.submitter, number=one.number,
            from_time=one.at - timedelta(days=DAYS), to_time=one.at, limit=MOST, now=clock.now(),
        )  # fmt: skip
        if one.message_id is not None and all(m.id != one.message_id for m in messages):
            about = await queries.get(call.db, one.message_id, accounts=scope.accounts, submitter=scope.submitter)
            messages = [*([about] if about else []), *messages]
    if call.may(Permission.BLOCK_VIEW):
        found = await consents.search(call.db, WantedConsents(one.number), Window(limit=MOST), accounts=scope.whole)
        agreed = found.rows
    return Matter(messages, agreed, await service.steps(call.db, one))


async def _detail(call: Call, one: Complaint) -> Detail:
    matter, links = await _matter(call, one), list[tuple[str, str]]()
    if matter.messages:
        await call.reads("message.read", f"complaint/{one.id}", content=call.may(Permission.MESSAGE_READ))
    if call.may(Permission.COMPLAINT_EDIT) and State(one.state) in service.STEPS:
        links.append((words.HANDLE, f"{PATH}/{one.id}/step"))
    if call.may(Permission.MESSAGE_EXPORT):
        links.append((words.FILE, f"{PATH}/-/file/{one.id}"))
    columns = [c for c in COLUMNS if c.key != "late" and (c.permission is None or call.may(c.permission))]
    piece = {
        "section": Section(columns, one), "matter": matter, "about": one.message_id, "days": DAYS,
        "messages": [c for c in _MESSAGES if c.permission is None or call.may(c.permission)],
        "consents": _CONSENTS, "words": words,
    }  # fmt: skip
    late = one.late(clock.now())
    said = TERMS["complaint_said"]
    past = [
        Past(step.at, call.gettext(words.STATE[step.state]), step.name, [(call.gettext(said), step.said)])
        for step in reversed(matter.steps)
    ]
    return Detail(
        mask(one.number), [], links=links, piece=("audience/complaint.html", piece), past=past,
        notice=call.gettext(words.OVERDUE) if late else "", good=not late,
    )  # fmt: skip


PAGE = ListPage(
    "complaints", PATH, "audience.complaints", Permission.COMPLAINT_VIEW, FILTER, COLUMNS, choices=_choices,
    rows=lambda db, actor, found, window: service.search(db, _wanted(found), window, accounts=actor.scope.whole),
    count=lambda db, actor, found, most: service.how_many(db, _wanted(found), most, accounts=actor.scope.whole),
    one=lambda db, actor, id_: service.one(db, id_, accounts=actor.scope.whole), detail=_detail, sort=Sort("at"),
    whole="complaint", export=Permission.MESSAGE_EXPORT, lead=words.LEAD,
    links=((words.ADD, f"{PATH}/-/new", Permission.COMPLAINT_EDIT),),
    empty=Empty(words.EMPTY, words.TEACH, words.ADD, f"{PATH}/-/new", Permission.COMPLAINT_EDIT),
)  # fmt: skip


# --- entering --------------------------------------------------------------------------------------------------------

_FIELDS = (
    Input("origin", InputKind.CHOICE, "complaint_origin", required=True, choices=words.ORIGIN),
    Input("reference", label="complaint_reference", help=words.REFERENCE_HELP, most=service.MOST_REFERENCE),
    Input("note", InputKind.LINES, "complaint_note", help=words.NOTE_HELP, required=True, least=2,
          most=service.MOST_TEXT),
    Input("due_days", InputKind.NUMBER, "complaint_due_days", help=words.DUE_HELP, required=True, least=1,
          most=service.MOST_DUE_DAYS),
    Input("block", InputKind.SWITCH, "complaint_block", help=words.BLOCK_HELP),
)  # fmt: skip
_BLANK = {"origin": Origin.USER.value, "due_days": service.DUE_DAYS}


async def _enter(call: Call, number: str, values: Mapping[str, Any], message_id: int | None) -> web.Response:
    if values["block"] and (call.actor.scope.whole is not None or not call.may(Permission.BLOCK_EDIT)):
        raise Wrong("block", Problem(words.BLOCK_NOT_ALLOWED))
    entered = await service.enter(
        call.change(), number, sign=values.get("sign") or "", note=values["note"], block_number=values["block"],
        origin=Origin(values["origin"]), reference=values["reference"], due_days=values["due_days"],
        message_id=message_id,
    )  # fmt: skip
    call.toast(call.filled(words.ADDED, {"id": entered.id}))
    return call.redirect(f"{PATH}/{entered.id}" if call.actor.scope.whole is None or entered.message_id else PATH)


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    return await _enter(call, values["number"], values, None)


ADD = FormPage(
    f"{PATH}/-/new", Permission.COMPLAINT_EDIT, words.ADD_TITLE, words.SAVE,
    Form((Inputs((Input("number", InputKind.PHONE, required=True),
                  Input("sign", help=words.SIGN_HELP, most=20), *_FIELDS)),)),
    _add, lambda _: PATH, values=lambda _: _BLANK, about=words.ABOUT_NUMBER,
)  # fmt: skip


async def _message(call: Call) -> MessageView | None:
    id_, scope = read_id(call.request.match_info["id"]), call.actor.scope
    if id_ is None or not call.may(Permission.MESSAGE_VIEW):
        return None
    return await queries.get(call.db, id_, accounts=scope.accounts, submitter=scope.submitter)


async def _add_about(call: Call, message: MessageView, values: Mapping[str, Any]) -> web.Response:
    return await _enter(call, message.number, values, message.id)


ABOUT = FormPage(
    f"{PATH}/-/of/{{id:[0-9]{{1,19}}}}", Permission.COMPLAINT_EDIT, words.ADD_TITLE, words.SAVE,
    Form((Inputs(_FIELDS),)), _add_about, lambda m: f"/records/{m.id}", subject=_message, values=lambda _: _BLANK,
    lead=lambda m: f"{mask(m.number)} · {m.id}",
)  # fmt: skip


# --- dealing with it -------------------------------------------------------------------------------------------------


async def _one(call: Call) -> Complaint | None:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await service.one(call.db, id_, accounts=call.actor.scope.whole)


async def _next(call: Call, one: Complaint) -> Mapping[str, Mapping[str, str]]:
    following = service.STEPS.get(State(one.state), ())
    return {"state": {state.value: call.gettext(words.STATE[state]) for state in following}}


async def _step(call: Call, one: Complaint, values: Mapping[str, Any]) -> web.Response:
    await service.step(call.change(), one.id, State(values["state"]), values["said"])
    call.toast(call.gettext(words.HANDLED))
    return call.redirect(f"{PATH}/{one.id}")


STEP = FormPage(
    f"{PATH}/{{id:[0-9]{{1,19}}}}/step", Permission.COMPLAINT_EDIT, words.HANDLE_TITLE, words.HANDLE_SAVE,
    Form((Inputs((
        Input("state", InputKind.CHOICE, "complaint_state", required=True),
        Input("said", InputKind.LINES, "complaint_said", help=words.STEP_HELP, required=True, least=2,
              most=service.MOST_TEXT),
    )),)),
    _step, lambda one: f"{PATH}/{one.id}", subject=_one, choices=_next, lead=lambda one: mask(one.number),
)  # fmt: skip


# --- what the carrier gets -------------------------------------------------------------------------------------------


@route("GET", PATH + "/-/file/{id:[0-9]{1,19}}", Permission.MESSAGE_EXPORT, step_up=Proof.FACTOR)
async def file(call: Call) -> web.StreamResponse:
    """All of a complaint as a text. The whole number is in it for who may see whole numbers, texts of messages for who
    may read them."""
    one = await _one(call) if call.may(Permission.COMPLAINT_VIEW) else None
    if one is None:
        raise web.HTTPNotFound
    whole = call.may(Permission.MESSAGE_UNMASK)
    await call.reads("complaint.file", f"complaint/{one.id}", content=call.may(Permission.MESSAGE_READ), unmasked=whole)
    return web.Response(
        body=_text(call, one, await _matter(call, one), whole).encode("utf-8-sig"),
        content_type="text/plain",
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="complaint-{one.id}.txt"', "Cache-Control": "no-store"},
    )


def _text(call: Call, one: Complaint, matter: Matter, whole: bool) -> str:
    say = call.gettext

    def at(moment: datetime | None) -> str:
        return china_time(moment, "%Y-%m-%d %H:%M:%S") if moment else "—"

    def named(key: str, value: object) -> str:
        return f"{say(words.NAME[key])}: {value or '—'}"

    facts = {
        "id": one.id, "reference": one.reference, "origin": say(words.ORIGIN[one.origin]), "at": at(one.at),
        "actor": one.entered_name, "due_at": at(one.due_at), "number": one.number if whole else mask(one.number),
        "note": one.note, "account": one.account, "sign": one.sign, "message": one.message_id,
        "state": say(words.STATE[one.state]), "reply": one.reply, "owner": call.owner, "made": at(clock.now()),
    }  # fmt: skip
    lines = [say(words.TITLE), "", *(named(key, value) for key, value in facts.items())]
    lines += ["", f"== {say(words.MESSAGES)}"]
    if matter.messages is None:
        lines.append(say(words.MESSAGES_HIDDEN))
    for m in matter.messages or ():
        lines.append(call.filled(words.LINE_MESSAGE, {
            "id": m.id, "at": at(m.accepted_at), "account": m.account_name, "submitter": m.submitter or "—",
            "sign": m.sign, "type": say(TYPE.get(m.type, m.type)), "status": say(STATUS.get(m.status, m.status)),
            "code": m.code,
        }).rstrip())  # fmt: skip
        if call.may(Permission.MESSAGE_READ):
            lines.append(f"    {m.content}")
    lines += ["", f"== {say(words.CONSENTS)}"]
    if not matter.consents:
        lines.append(say(words.CONSENTS_HIDDEN if matter.consents is None else words.NO_CONSENTS))
    lines += [
        call.filled(words.LINE_CONSENT, {
            "given": at(c.given_at), "state": say(audience.CONSENT_STATE[c.state]),
            "source": say(audience.CONSENT_SOURCE[c.source]), "proof": c.proof, "wording": c.wording or "—",
            "actor": c.entered_by,
        })
        for c in matter.consents or ()
    ]  # fmt: skip
    lines += ["", f"== {say(words.STEPS)}"]
    lines += [
        call.filled(
            words.LINE_STEP, {"at": at(s.at), "actor": s.name, "state": say(words.STATE[s.state]), "said": s.said}
        )
        for s in matter.steps
    ]
    return "\n".join([*lines, ""])
