"""Tickets (工单): what somebody has reported, with the messages that it is about, until it is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Button, Detail, Past, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import account_choices
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import faults as fault_words, tickets as words
from smsgw.admin.words.terms import TERMS
from smsgw.core.permissions import Permission
from smsgw.core.wording_json import Moment
from smsgw.platform.messages import queries as messages
from smsgw.platform.settings import service as settings
from smsgw.platform.tickets import model, service
from smsgw.platform.tickets.model import LEAST_TEXT, LEAST_TITLE, MOST_TEXT, MOST_TITLE, TICKETS, State, Step, Ticket
from smsgw.runtime import clock

PATH = "/tickets"
ONE = PATH + "/{id:[0-9]{1,19}}"
_NEW, _SETTINGS = f"{PATH}/-/new", f"{PATH}/-/times"
VIEW, EDIT, HANDLE = Permission.TICKET_VIEW, Permission.TICKET_EDIT, Permission.TICKET_HANDLE
MENU = Entry("monitoring.tickets", PATH, VIEW, lambda call: model.not_closed(call.db, call.actor))
FILTER = Filter(
    (
        Field("state", FieldKind.CHOICE, "ticket_state", choices=words.STATE),
        Field("account", FieldKind.CHOICE),
        Field("mine", FieldKind.CHOICE, "ticket_mine", choices=words.MINE),
        Field("title", label="ticket_title", most=MOST_TITLE),
        Field("opened", FieldKind.DAYS, "ticket_opened", more=True),
    ),
    period=None,
)
COLUMNS = (
    Column("title", Cell.LONG, "ticket_title", phone=Phone.TITLE),
    Column("state", Cell.STATE, "ticket_state", words=words.STATE, tones=words.STATE_TONE, phone=Phone.BESIDE,
           value=lambda one: one.state.value),
    Column("account", value=lambda one: one.account, phone=Phone.SECOND),
    Column("ticket_opened", Cell.TIME, value=lambda one: one.opened_at, sort=True, phone=Phone.SECOND),
    Column("fault_response", Cell.STATE, words=fault_words.KEPT, tones=fault_words.KEPT_TONE, phone=Phone.THIRD,
           value=lambda one: one.response.state(clock.now()).value),
    Column("ticket_by", value=lambda one: one.opened_name, phone=Phone.THIRD),
    Column("assigned_to", value=lambda one: one.assigned_name, phone=Phone.THIRD),
)  # fmt: skip
_FACTS = (
    *(column for column in COLUMNS if column.key != "title"),
    Column("responded_by", value=lambda one: one.responded_name),
    Column("closed_at", Cell.TIME),
    Column("closed_by", value=lambda one: one.closed_name),
)


def _facts(call: Call, step: Step) -> list[tuple[str, str]]:
    term = TERMS[words.STEP_SAYS.get(step.kind, "ticket_more")]
    facts = [(call.gettext(term), step.said)] if step.said else []
    if (timer := step.former) is not None and timer.at is not None:
        kept = call.gettext(fault_words.KEPT[timer.state(timer.at).value])
        values = {"kept": kept, "by": str(Moment(timer.by)), "at": str(Moment(timer.at))}
        facts.append((call.gettext(words.FORMER), call.filled(words.FORMER_KEPT, values)))
    return facts


async def _detail(call: Call, one: Ticket) -> Detail:
    place, links, buttons = f"{PATH}/{one.id}", list[tuple[str, str]](), list[Button]()
    live = one.state is not State.CLOSED
    if call.may(HANDLE) and one.state is State.OPEN:
        fields = {"id": str(one.id), "to": place}
        buttons.append(Button(words.TAKE, f"{PATH}/-/effect/take", primary=True, fields=fields, asks=True))
    if call.may(EDIT):
        links.append((words.SAY, f"{place}/say") if live else (words.REOPEN, f"{place}/reopen"))
    if call.may(HANDLE) and live:
        links += [(words.ASSIGN, f"{place}/assign"), (words.CLOSE, f"{place}/close")]
    past = [
        Past(step.at, call.gettext(words.STEP[step.kind]), step.name, _facts(call, step))
        for step in await model.steps(call.db, one)
    ]
    over = one.response.state(clock.now()).value == "over" and live
    piece = {"ids": one.message_ids, "reads": call.may(Permission.MESSAGE_VIEW), "words": words}
    return Detail(
        one.title, [Section(_FACTS, one)], links=links, buttons=buttons, past=past,
        piece=("monitoring/ticket.html", piece), notice=call.gettext(words.OVER) if over else "", good=False,
    )  # fmt: skip


async def _take_effect(_: Call, rows: Sequence[Ticket]) -> Effect:
    n = sum(one.state is State.OPEN for one in rows)
    return Effect(words.TAKE_EFFECT, {"n": n}) if n else Effect(words.TAKE_NONE, nothing=True)


PAGE = ListPage(
    "tickets", PATH, "monitoring.tickets", VIEW, FILTER, COLUMNS, detail=_detail, live=10, choices=account_choices,
    listing=TICKETS, lead=words.LEAD,
    actions=(Action("take", words.TAKE, HANDLE, lambda call, one: service.take(call.change(), one.id), _take_effect),),
    links=((words.NEW, _NEW, EDIT), (words.SETTINGS, _SETTINGS, Permission.SETTING_EDIT)), sort=Sort("ticket_state"),
    empty=Empty(words.EMPTY, words.TEACH, words.NEW, _NEW, EDIT, icon="clipboard-list"),
)  # fmt: skip

# --- forms -----------------------------------------------------------------------------------------------------------

_TITLE = Input("title", label="ticket_title", required=True, least=LEAST_TITLE, most=MOST_TITLE)
_SAID = Input("said", InputKind.LINES, "ticket_said", required=True, least=LEAST_TEXT, most=MOST_TEXT)


def _ids(text: str) -> list[int]:
    words_of = text.split()
    if not all(word.isdecimal() and len(word) <= 19 for word in words_of):
        raise Wrong("message_ids", Problem(words.MESSAGES_WRONG))
    return [int(word) for word in words_of]


async def _open(call: Call, account: int, values: Mapping[str, Any], ids: Sequence[int]) -> web.Response:
    id_ = await service.open_(call.change(), service.Draft(account, values["title"], values["said"], ids))
    call.toast(call.gettext(words.OPENED))
    return call.redirect(f"{PATH}/{id_}")


async def _new(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    return await _open(call, int(values["account"]), values, _ids(values["message_ids"] or ""))


NEW = FormPage(
    _NEW, EDIT, words.NEW, words.NEW,
    Form((Inputs((
        Input("account", InputKind.CHOICE, required=True), _TITLE, _SAID,
        Input("message_ids", InputKind.LINES, "ticket_messages", help=words.MESSAGES_HELP, most=500),
    )),)), _new, lambda _: PATH, choices=account_choices, about=words.NEW_ABOUT,
)  # fmt: skip


async def _message(call: Call) -> Any:
    """The message that somebody reports; who opens tickets need not read messages, and then finds none."""
    id_ = read_id(call.request.match_info["id"])
    if id_ is None or not call.may(Permission.MESSAGE_VIEW):
        return None
    return await messages.get(call.db, id_, accounts=call.actor.scope.accounts, submitter=call.actor.scope.submitter)


async def _of_message(call: Call, one: Any, values: Mapping[str, Any]) -> web.Response:
    return await _open(call, one.account_id, values, [one.id])


OF_MESSAGE = FormPage(
    PATH + "/-/of/{id:[0-9]{1,19}}", EDIT, words.NEW, words.NEW, Form((Inputs((_TITLE, _SAID)),)), _of_message,
    lambda one: f"/records/{one.id}/problem", _message, lead=lambda one: str(one.id),
)  # fmt: skip


async def _ticket(call: Call) -> Ticket | None:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await TICKETS.get(call.db, call.actor, id_)


def _back(one: Ticket) -> str:
    return f"{PATH}/{one.id}"


def _saved(call: Call, one: Ticket, said: str) -> web.Response:
    call.toast(call.gettext(said))
    return call.redirect(_back(one))


async def _say(call: Call, one: Ticket, values: Mapping[str, Any]) -> web.Response:
    await service.say(call.change(), one.id, values["said"])
    return _saved(call, one, words.SAID)


async def _close(call: Call, one: Ticket, values: Mapping[str, Any]) -> web.Response:
    await service.close(call.change(), one.id, values["said"])
    return _saved(call, one, words.CLOSED)


async def _reopen(call: Call, one: Ticket, values: Mapping[str, Any]) -> web.Response:
    await service.reopen(call.change(), one.id, values["said"])
    return _saved(call, one, words.REOPENED)


async def _assign(call: Call, one: Ticket, values: Mapping[str, Any]) -> web.Response:
    await service.assign(call.change(), one.id, values["assigned_to"])
    return _saved(call, one, words.ASSIGNED)


async def _handlers(call: Call, one: Ticket) -> Mapping[str, Mapping[str, str]]:
    people = await service.handlers(call.db, one.account_id)
    return {"assigned_to": {login: f"{name} ({login})" for login, name in people.items()}}


def _one_text(label: str) -> Form:
    return Form((Inputs((Input("said", InputKind.LINES, label, required=True, least=LEAST_TEXT, most=MOST_TEXT),)),))


def _titled(one: Ticket) -> str:
    return one.title


SAY = FormPage(f"{ONE}/say", EDIT, words.SAY, words.SAY, _one_text("ticket_more"), _say, _back, _ticket,
               lead=_titled, about=words.SAY_ABOUT)  # fmt: skip
CLOSE = FormPage(f"{ONE}/close", HANDLE, words.CLOSE, words.CLOSE, _one_text("ticket_reply"), _close, _back, _ticket,
                 lead=_titled, about=words.CLOSE_ABOUT)  # fmt: skip
REOPEN = FormPage(f"{ONE}/reopen", EDIT, words.REOPEN, words.REOPEN, _one_text("ticket_more"), _reopen, _back, _ticket,
                  lead=_titled, about=words.REOPEN_ABOUT)  # fmt: skip
ASSIGN = FormPage(
    f"{ONE}/assign",
    HANDLE,
    words.ASSIGN,
    words.ASSIGN,
    Form((Inputs((Input("assigned_to", InputKind.CHOICE, required=True),)),)),
    _assign,
    _back,
    _ticket,
    choices=_handlers,
    lead=_titled,
    about=words.ASSIGN_ABOUT,
)


async def _limits(call: Call) -> Any:
    return call.portal.context.snapshots.current.settings


async def _set(call: Call, before: Any, values: Mapping[str, Any]) -> web.Response:
    if values["ticket_response_minutes"] != before.ticket_response_minutes:
        await settings.put(call.change(), "ticket_response_minutes", values["ticket_response_minutes"])
    call.toast(call.gettext(words.SETTINGS_SAVED))
    return call.redirect(PATH)


TIMES = FormPage(
    _SETTINGS, Permission.SETTING_EDIT, words.SETTINGS, words.SET,
    Form((Inputs((Input("ticket_response_minutes", InputKind.NUMBER, required=True, least=1, most=10_080),)),)), _set,
    lambda _: PATH, _limits, about=words.SETTINGS_ABOUT,
    values=lambda one: {"ticket_response_minutes": one.ticket_response_minutes},
)  # fmt: skip
