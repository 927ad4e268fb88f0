"""Inbound records (P8.3; 上行记录): what phones have sent, what it answers, and what has become of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from aiohttp import web

from smsgw.admin import words as told
from smsgw.admin.call import Call
from smsgw.admin.i18n import teller
from smsgw.admin.kit.cells import masked
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period, read_id
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.records import conversations
from smsgw.admin.rights import route
from smsgw.admin.words import records as words
from smsgw.core.actor import Actor
from smsgw.core.permissions import Permission
from smsgw.core.pseudonyms import is_pseudonym
from smsgw.platform.messages import inbound, inbound_handling
from smsgw.platform.messages.inbound import InboundView

PATH = "/inbound"
MENU = Entry("records.inbound", PATH, Permission.INBOUND_VIEW, lambda call: inbound.unread(call.db, call.actor))
_choice = partial(Field, kind=FieldKind.CHOICE)
FILTER = Filter(
    (
        _choice("account"), Field("phone", FieldKind.PHONE, "number"),
        _choice("care", choices=words.CARE), _choice("outcome", label="became", choices=words.OUTCOME),
        Field("word", label="content", hint="word", permission=Permission.MESSAGE_READ),
        _choice("assignee", choices=words.WHOSE, more=True), _choice("pushed", choices=words.PUSHED, more=True),
        _choice("channel", more=True), Field("code", label="to_code", hint="beginning", more=True),
        Field("extension", more=True), Field("answers", FieldKind.ID, hint="message_id", more=True),
    ),
    Period("7d"),
)  # fmt: skip
_away = partial(Column, phone=Phone.AWAY)
COLUMNS = (
    Column("received_at", Cell.TIME, sort=True), Column("number", Cell.PHONE, phone=Phone.TITLE),
    Column("content", Cell.LONG, permission=Permission.MESSAGE_READ, phone=Phone.SECOND),
    Column("care", Cell.STATE, words=words.CARE, tones=words.CARE_TONE, phone=Phone.BESIDE),
    Column("outcome", Cell.STATE, "became", words=words.OUTCOME, tones=words.OUTCOME_TONE, phone=Phone.SECOND),
    _away("assignee", shown=False),
    Column("account", value=lambda one: one.account_name),
    _away("channel", value=lambda one: one.channel_name, shown=False),
    _away("to_code", Cell.CODE), _away("extension", Cell.CODE),
    _away("answers", Cell.LINK, permission=Permission.MESSAGE_VIEW,
          value=lambda one: (str(one.answers), f"/records/{one.answers}") if one.answers else None),
    _away("pushed", Cell.STATE, words=words.PUSHED, tones=words.PUSHED_TONE),
    _away("pushed_at", Cell.TIME, shown=False), _away("parts", Cell.NUMBER, shown=False),
    _away("complete", Cell.BOOL, shown=False), _away("id", Cell.CODE, shown=False),
)  # fmt: skip


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    channels = call.portal.context.snapshots.current.channels
    return {"account": own_accounts(call), "channel": {str(c.id): c.name for c in channels}}


_CARE = (Column("care", Cell.STATE, words=words.CARE, tones=words.CARE_TONE), Column("assignee"),
         Column("seen_by", label="first_seen_by"), Column("seen_at", Cell.TIME, "first_seen_at"),
         Column("done_by", label="closed_by"), Column("done_at", Cell.TIME, "closed_at"),
         Column("answered_by", Cell.LINK, "answer_sent", value=lambda one: (
             (str(one.answered_by), f"/records/{one.answered_by}") if one.answered_by else None)))  # fmt: skip
_WHOLE = [c for c in COLUMNS if c.key not in ("care", "assignee")]


def _wanted(actor: Actor, found: Found) -> inbound.Wanted:
    values: dict[str, Any] = dict(found.values)
    values |= {key: int(values[key]) for key in ("account", "channel") if key in values}
    if "assignee" in values:
        values["assignee"] = actor.label if values["assignee"] == "mine" else ""
    return inbound.Wanted(*found.times, **values)


async def _detail(call: Call, one: InboundView) -> Detail:
    columns = [c for c in _WHOLE if c.permission is None or call.may(c.permission)]
    links = []
    handles = call.may(Permission.INBOUND_HANDLE)
    if handles and one.account and not one.test and one.care != "done":
        links.append((words.ASSIGN, f"{PATH}/{one.id}/assign"))
    if one.answers and call.may(Permission.MESSAGE_VIEW):
        links.append((words.TRACE, f"/records/{one.answers}"))
    if one.opt_out and call.may(Permission.BLOCK_VIEW):
        links.append((words.OPT_OUT, f"/optouts/{one.opt_out}"))
    buttons = []
    if handles and not (one.care == "done" and one.done_at is None):
        key, label = ("reopen", words.REOPEN) if one.care == "done" else ("done", words.DONE)
        fields = {"id": str(one.id), "to": f"{PATH}/{one.id}"}
        buttons = [Button(label, f"{PATH}/-/effect/{key}", fields=fields, asks=True)]
    sends = call.may(Permission.MESSAGE_SEND) and one.account is not None and call.actor.scope.covers(one.account)
    answered = sends and not one.test and not is_pseudonym(one.number)
    sections = [Section(_CARE, one, words.CARE_HEAD), Section(columns, one)]
    return Detail(
        masked(one.number, teller(call.language)), sections, links=links, buttons=buttons,
        piece=("records/conversation.html",
               {"said": await conversations.of(call, one), "states": told.STATUS | words.OUTCOME,
                "reply": f"{PATH}/{one.id}/reply" if answered else ""}),
        opened=f"{PATH}/-/seen" if handles and one.care == "unread" else "",
    )  # fmt: skip


@route("POST", f"{PATH}/-/seen", Permission.INBOUND_HANDLE, passive=True)
async def seen(call: Call) -> web.StreamResponse:
    """The page of one says that it is open: a link changes nothing by itself, programs follow links, too."""
    id_ = read_id(str((await call.request.post()).get("id", "")))
    if id_ is None:
        raise web.HTTPBadRequest
    await inbound_handling.seen(call.change(), id_)
    return web.Response(status=204)


def _counted(text: str) -> Callable[[Call, Sequence[InboundView]], Awaitable[Effect]]:
    async def effect(_: Call, rows: Sequence[InboundView]) -> Effect:
        return Effect(text, {"n": len(rows)})

    return effect


def _action(key: str, label: str, effect: str, run: Callable[[Call, InboundView], Awaitable[object]]) -> Action:
    return Action(key, label, Permission.INBOUND_HANDLE, run, _counted(effect))


PAGE = ListPage(
    "inbound",
    PATH,
    "records.inbound",
    Permission.INBOUND_VIEW,
    FILTER,
    COLUMNS,
    choices=_choices,
    rows=lambda db, actor, found, window: inbound.search(db, actor, _wanted(actor, found), window),
    count=lambda db, actor, found, most: inbound.how_many(db, actor, _wanted(actor, found), most),
    one=lambda db, actor, id_: inbound.one(db, actor, id_),
    detail=_detail,
    sort=Sort("received_at"),
    wide=True,
    lead=words.INBOUND_LEAD,
    export=Permission.INBOUND_EXPORT,
    live=5,
    whole="inbound",
    actions=(
        _action(
            "take",
            words.TAKE,
            words.TAKE_EFFECT,
            lambda call, one: inbound_handling.assign(call.change(), one, call.who.login),
        ),
        _action("done", words.DONE, words.DONE_EFFECT, lambda call, one: inbound_handling.done(call.change(), one.id)),
        _action(
            "reopen",
            words.REOPEN,
            words.REOPEN_EFFECT,
            lambda call, one: inbound_handling.reopen(call.change(), one.id),
        ),
    ),
    empty=Empty(words.INBOUND_EMPTY, words.INBOUND_TEACHES),
)
