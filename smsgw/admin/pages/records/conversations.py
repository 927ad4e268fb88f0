"""What was said both ways with a number (往来短信), answers from the platform, and who looks after them (P8.3)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from smsgw.admin import words as told
from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect
from smsgw.admin.words import records as words
from smsgw.admin.words.kit import NAMED
from smsgw.core.errors import Refused, SmsgwError, message_of
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.platform.messages import inbound, inbound_handling, queries
from smsgw.platform.messages.inbound import InboundView
from smsgw.platform.org import queries as org
from smsgw.platform.paging import Window
from smsgw.runtime import clock

PATH = "/inbound/{id:[0-9]{1,19}}"
BEFORE = timedelta(days=30)
MOST = 10
"""Messages that are shown, the newest ones."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a conversation, as it is shown."""

    at: datetime
    mine: bool
    """Sent by us."""
    text: str
    """Empty: the person may not read texts."""
    path: str
    """Of its page; empty: the person may not open it."""
    state: str = ""
    tone: str = ""
    here: bool = False
    """It is the one that the page is about."""


async def of(call: Call, one: InboundView) -> Sequence[Said]:
    """The newest messages that the account and the number have sent each other, the oldest first; those that the
    person may see."""
    reads, now = call.may(Permission.MESSAGE_READ), clock.now()
    since = min(now, one.received_at) - BEFORE
    wanted = inbound.Wanted(since, now + timedelta(minutes=1), account=one.account, phone=one.number)
    received = await inbound.search(call.db, call.actor, wanted, Window("received_at", True, limit=MOST))
    rows = {row.id: row for row in received.rows} | {one.id: one}
    said = [
        Said(row.received_at, False, row.content if reads else "", f"/inbound/{row.id}", row.outcome,
             words.OUTCOME_TONE[row.outcome], row.id == one.id)
        for row in rows.values() if row.account == one.account
    ]  # fmt: skip
    if one.account is not None and call.may(Permission.MESSAGE_VIEW):
        sent = await queries.search(
            call.db, accounts=(one.account,), number=one.number, from_time=since, limit=MOST, now=now,
            submitter=call.actor.scope.submitter,
        )  # fmt: skip
        said += [
            Said(m.accepted_at, True, m.content if reads else "", f"/records/{m.id}", m.status,
                 told.STATUS_COLOUR[m.status])
            for m in sent
        ]  # fmt: skip
    return _newest(said)


def _newest(said: Sequence[Said]) -> Sequence[Said]:
    """The newest ones, and the one that the page is about."""
    ordered = sorted(said, key=lambda each: each.at)
    first = [each for each in ordered[:-MOST] if each.here]
    return [*first, *ordered[-MOST:]]


async def _subject(call: Call) -> InboundView | None:
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None or not call.may(Permission.INBOUND_VIEW) else await inbound.one(call.db, call.actor, id_)
    return None if one is None or one.account is None or one.test else one


@contextlib.contextmanager
def _refused(call: Call) -> Iterator[None]:
    """What the door says of an answer stands at the text, whichever kind of error it is."""
    try:
        yield
    except SmsgwError as error:
        said = message_of(error.code, dict(error.detail), english=call.language != DEFAULT)
        raise Wrong("content", Problem(said)) from error


async def _explained(call: Call, one: InboundView, values: Mapping[str, Any]) -> Effect:
    """What the answer would be, as the door sees it."""
    context = call.portal.context
    request = inbound_handling.reply(call.actor, one, context.snapshots.current, values["content"])
    with _refused(call):
        if one.answered_by != read_id(values["seen"]):
            raise inbound_handling.overtaken()
        (line,) = await context.acceptor.explain(request)
        if line["code"] != "OK":
            raise Refused(str(line["code"]))
    text = words.REPLY_HELD_EFFECT if line.get("held") else words.REPLY_EFFECT
    if one.outcome == "opt_out":
        text = words.REPLY_OPTED_OUT_EFFECT
    return Effect(text, {"number": mask(one.number), "parts": line["parts"], "price": line["price"]})


async def _send(call: Call, one: InboundView, values: Mapping[str, Any]) -> web.StreamResponse:
    context, one = call.portal.context, replace(one, answered_by=read_id(values["seen"]))
    with _refused(call):
        await inbound_handling.answer(
            call.change(), context.acceptor, context.snapshots.current, one, values["content"]
        )
    call.toast(call.gettext(words.REPLIED))
    return call.redirect(f"/inbound/{one.id}")


_SEEN = Input("seen", InputKind.HIDDEN)
"""The last answer that there was when the form was opened."""
REPLY = FormPage(
    f"{PATH}/reply",
    Permission.MESSAGE_SEND,
    words.REPLY_TITLE,
    words.REPLY_SEND,
    Form((Inputs((Input("content", InputKind.LINES, required=True, most=inbound_handling.MOST_CONTENT), _SEEN)),)),
    save=_send,
    values=lambda one: {"seen": one.answered_by or ""},
    back=lambda one: f"/inbound/{one.id}",
    subject=_subject,
    effect=_explained,
    lead=lambda one: mask(one.number),
    about=words.REPLY_LEAD,
)


async def _people(call: Call, _: InboundView) -> Mapping[str, Mapping[str, str]]:
    """Those in the scope who may log in; whether they may look after it, the service says."""
    rows = await org.people(call.db, call.actor.scope)
    named = {row["login"]: call.filled(NAMED, {"name": row["name"], "more": row["login"]})
             for row in rows if row["status"] == "active"}  # fmt: skip
    return {"assignee": named}


async def _assign(call: Call, one: InboundView, values: Mapping[str, Any]) -> web.StreamResponse:
    await inbound_handling.assign(call.change(), one, values["assignee"])
    call.toast(call.filled(words.ASSIGNED, {"name": values["assignee"]}))
    return call.redirect(f"/inbound/{one.id}")


ASSIGN = FormPage(
    f"{PATH}/assign", Permission.INBOUND_HANDLE, words.ASSIGN_TITLE, words.ASSIGN,
    Form((Inputs((Input("assignee", InputKind.CHOICE, required=True),)),)),
    save=_assign, back=lambda one: f"/inbound/{one.id}", subject=_subject, choices=_people,
    lead=lambda one: mask(one.number), about=words.ASSIGN_LEAD,
)  # fmt: skip
