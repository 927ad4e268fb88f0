"""``GET /mo``: what phones have sent to the account's numbers, to be looked up."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import Id, Number, Request, Time
from smsgw.api.values import china, id_of, in_span, path_id
from smsgw.core import numbers
from smsgw.core.errors import Invalid, Refused
from smsgw.core.pseudonyms import told_number
from smsgw.platform.messages import inbound
from smsgw.platform.messages.inbound import InboundView
from smsgw.platform.paging import Window
from smsgw.runtime import clock

DAYS = timedelta(days=90)


Code = Annotated[str, Meta(min_length=1, max_length=21, description="How the number begins that it was sent to.")]


class InboundQuery(Request):
    """Filters; all given ones must match. Without times: the last 90 days."""

    phone: Annotated[Number, Meta(description="Who has sent it.")] | None = None
    code: Code | None = None
    in_reply_to: Annotated[Id, Meta(description="The message that it answers.")] | None = None
    content: Annotated[str, Meta(min_length=1, max_length=64, description="Part of the text.")] | None = None
    from_time: Annotated[Time, Meta(description="Received at or after.")] | None = None
    to_time: Annotated[Time, Meta(description="Received before.")] | None = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Messages in a page.")] = 50


class InboundMessage(msgspec.Struct, rename={"from_": "from"}):
    """One message from a phone; named as in the ``mo`` events. ``in_reply_to`` is the message that it answers."""

    mo_id: str
    from_: str
    to_code: str
    extend_code: str
    content: str
    complete: bool
    in_reply_to: str | None
    opt_out: bool
    received_at: datetime | None
    test: bool


class InboundPage(msgspec.Struct):
    """A page of them, newest first; ``next_cursor`` is null on the last one."""

    items: list[InboundMessage]
    next_cursor: str | None


async def list_inbound(call: Call) -> InboundPage:
    """``GET /mo``."""
    query: InboundQuery = call.query or InboundQuery()
    phone = None
    if query.phone is not None:
        try:
            phone = numbers.normalize(query.phone)
        except numbers.InvalidNumber as exc:
            raise Invalid("NUMBER_INVALID") from exc
    now = clock.now()
    wanted = inbound.Wanted(
        in_span(query.from_time) or now - DAYS, in_span(query.to_time) or now + timedelta(minutes=1), phone=phone,
        code=query.code, answers=id_of(query.in_reply_to), word=query.content, test=call.tests,
    )  # fmt: skip
    before = id_of(query.cursor)
    window = Window("received_at", after=None if before is None else (str(before), before), limit=query.limit)
    found = await inbound.search(call.ctx.db, call.actor, wanted, window)
    return InboundPage([_shown(one) for one in found.rows], str(found.rows[-1].id) if found.more else None)


async def get_inbound(call: Call) -> InboundMessage:
    """``GET /mo/{id}``."""
    one = await inbound.one(call.ctx.db, call.actor, path_id(call))
    if one is None or call.named not in (None, one.test):
        raise Refused("NOT_FOUND")
    return _shown(one)


def _shown(one: InboundView) -> InboundMessage:
    number = told_number(one.number)
    return InboundMessage(
        str(one.id), number, one.to_code, one.extension, one.content, one.complete,
        str(one.answers) if one.answers else None, one.outcome == "opt_out", china(one.received_at), one.test,
    )  # fmt: skip


ROUTES = (
    Route("GET", "/mo", "mo", list_inbound, "Inbound messages, newest first",
          InboundPage, query=InboundQuery, errors=("NUMBER_INVALID", *STORAGE)),
    Route("GET", "/mo/{id}", "mo", get_inbound, "One inbound message",
          InboundMessage, errors=("NOT_FOUND", *STORAGE)),
)  # fmt: skip
