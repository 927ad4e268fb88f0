"""``GET /messages`` and what hangs on one message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import ClientRef, Id, Number, Request, Time
from smsgw.api.values import MAX_ID, china, id_of, in_span, path_id
from smsgw.core import numbers
from smsgw.core.errors import Invalid, Recorded, Refused
from smsgw.core.model import REPORT_CLASSES
from smsgw.core.pseudonyms import told_number
from smsgw.core.states import STATUS_NAMES
from smsgw.core.words import spoken
from smsgw.platform.fallback import queries as fallback
from smsgw.platform.messages import queries
from smsgw.platform.messages.model import MessageView, PartView, TraceStep

SLICE = 100
"""Messages that are put into words at a time; a page of more is a large one."""


class SearchQuery(Request):
    """Filters; all given ones must match. Newest first."""

    client_ref: ClientRef | None = None
    batch_id: Id | None = None
    to: Number | None = None
    status: Annotated[
        Literal[
            "held", "scheduled", "queued", "submitted", "uncertain", "unconfirmed", "delivered", "failed",
            "expired", "no_report", "rejected", "cancelled", "duplicate",
        ],
        Meta(description="Status of the message."),
    ] | None = None  # fmt: skip
    from_time: Annotated[Time, Meta(description="Accepted at or after.")] | None = None
    to_time: Annotated[Time, Meta(description="Accepted before.")] | None = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Messages in a page.")] = 50


class QueryBody(Request):
    """Messages to look up, by id."""

    ids: Annotated[list[Id], Meta(min_length=1, max_length=500, description="1-500 message ids.")]


class Messages(msgspec.Struct):
    """Those that there are, newest first."""

    items: list[Message]


class Parts(msgspec.Struct):
    """Segments of a message, and how many were delivered."""

    total: int
    ok: int


class Message(msgspec.Struct, rename={"class_": "class"}):
    """One message as it stands."""

    message_id: str
    batch_id: str
    kind: str
    to: str
    type: str
    sign: str
    content: str
    client_ref: str
    ext: str
    extend_code: str
    status: str
    class_: str
    carrier_code: str
    description: str
    parts: Parts
    price: int
    test: bool
    carrier: str
    accepted_at: datetime | None
    submitted_at: datetime | None
    done_at: datetime | None


class Part(msgspec.Struct, rename={"class_": "class"}):
    """One segment on its way through a channel. ``carrier_id`` is the id the carrier gave it."""

    part: int
    status: str
    channel: str
    attempt: int
    carrier_id: str
    carrier_code: str
    class_: str
    claimed_at: datetime | None
    answered_at: datetime | None
    done_at: datetime | None
    evidence: str


class MessagePage(msgspec.Struct):
    """A page of messages; ``next_cursor`` is null on the last one."""

    items: list[Message]
    next_cursor: str | None


class Step(msgspec.Struct):
    """One thing that happened. ``part`` 0 is the whole message."""

    at: datetime
    step: str
    label: str
    part: int
    detail: dict[str, Any]


class MessageTrace(msgspec.Struct):
    """A message's life in the order of time."""

    message: Message
    parts: list[Part]
    steps: list[Step]
    hop: Annotated[int, Meta(description="Hops of its chain that have led to it; 0: a first message.")] = 0
    previous_id: Annotated[str | None, Meta(description="The failed message that this one follows.")] = None
    next_id: Annotated[str | None, Meta(description="The message that has followed this one.")] = None


async def get_message(call: Call) -> Message:
    """``GET /messages/{id}``."""
    found = await queries.get(call.ctx.db, path_id(call), accounts=(call.account.id,), test=call.named, whole=True)
    if found is None:
        raise Refused("NOT_FOUND")
    return _message(found, call.english)


async def query_messages(call: Call) -> Messages:
    """``POST /messages/query``."""
    body: QueryBody = call.body
    ids = sorted({min(int(one), MAX_ID) for one in body.ids})
    async with _page(call, len(ids)):
        found = await queries.several(call.ctx.db, ids, accounts=(call.account.id,), test=call.named, whole=True)
        return Messages(await _messages(call, found))


async def search(call: Call) -> MessagePage:
    """``GET /messages``."""
    query: SearchQuery = call.query
    number = None
    if query.to is not None:
        try:
            number = numbers.normalize(query.to)
        except numbers.InvalidNumber as exc:
            raise Invalid("NUMBER_INVALID") from exc
    async with _page(call, query.limit):
        found = await queries.search(
            call.ctx.db,
            accounts=(call.account.id,),
            batch_id=id_of(query.batch_id),
            client_ref=query.client_ref,
            number=number,
            from_time=in_span(query.from_time),
            to_time=in_span(query.to_time),
            status=query.status,
            before_id=id_of(query.cursor),
            limit=query.limit,
            now=datetime.fromtimestamp(call.ctx.clock(), UTC),
            test=call.tests,
            whole=True,
        )
        cursor = str(found[-1].id) if len(found) == query.limit else None
        return MessagePage(await _messages(call, found), cursor)


async def cancel(call: Call) -> Message:
    """``POST /messages/{id}/cancel``."""
    message_id = path_id(call)
    await call.ctx.cancelling.message(message_id, call.actor, test=call.named)
    return await get_message(call)


async def trace(call: Call) -> MessageTrace:
    """``GET /messages/{id}/trace``."""
    found = await queries.trace(call.ctx.db, path_id(call), accounts=(call.account.id,), test=call.named, whole=True)
    if found is None:
        raise Refused("NOT_FOUND")
    steps = [_step(step, call.english) for step in found.steps]
    account = (call.account.id,)
    way = await fallback.way_of(call.ctx.db, found.message.id, account, call.ctx.snapshots.current.codes)
    told = MessageTrace(_message(found.message, call.english), [_part(p) for p in found.parts], steps)
    if way is not None:
        told.hop = way.hop
        told.previous_id = None if way.previous is None else str(way.previous)
        told.next_id = None if way.next is None else str(way.next)
    return told


def _step(step: TraceStep, english: bool) -> Step:
    detail = {name: spoken(value, english) for name, value in step.detail.items()}
    return Step(china(step.at), step.step, spoken(step.label, english), step.part, detail)


@contextlib.asynccontextmanager
async def _page(call: Call, size: int) -> AsyncIterator[None]:
    """The turn of a page, if it is a large one: an account that wants many at once gets them one after the other."""
    if size <= SLICE:
        yield
        return
    async with call.ctx.reads.turn(call.account.id):
        yield


async def _messages(call: Call, views: Sequence[MessageView]) -> list[Message]:
    """All of them, at the account's pace when they are many, and with others' turns in between."""
    if len(views) > SLICE:
        await call.ctx.read_pace.pay(call.account.id, len(views))
    made: list[Message] = []
    for begin in range(0, len(views), SLICE):
        if begin:
            await asyncio.sleep(0)
        made += [_message(view, call.english) for view in views[begin : begin + SLICE]]
    return made


def _description(view: MessageView, english: bool) -> str:
    name = REPORT_CLASSES.get(view.cls) or STATUS_NAMES[view.status]
    return Recorded(view.code, view.refusal).text(english) or name.text(english)


def _message(view: MessageView, english: bool) -> Message:
    return Message(
        message_id=str(view.id),
        batch_id=str(view.batch_id),
        kind="sms",
        to=told_number(view.number),
        type=view.kind or view.type,
        sign=view.sign,
        content=view.content,
        client_ref=view.client_ref,
        ext=view.ext,
        extend_code=view.extend_code,
        status=view.status,
        class_=view.cls,
        carrier_code=view.code,
        description=_description(view, english),
        parts=Parts(view.parts, view.parts_ok),
        price=view.price,
        test=view.test,
        carrier=view.carrier,
        accepted_at=china(view.accepted_at),
        submitted_at=china(view.submitted_at),
        done_at=china(view.done_at),
    )


def _part(view: PartView) -> Part:
    return Part(
        part=view.part,
        status=view.status,
        channel=view.channel_name or "",
        attempt=view.attempt,
        carrier_id=view.carrier_id or "",
        carrier_code=view.code,
        class_=view.cls,
        claimed_at=china(view.claimed_at),
        answered_at=china(view.answered_at),
        done_at=china(view.final_at),
        evidence=view.evidence if view.proved_by == "report" else "",
    )


ROUTES = (
    Route("GET", "/messages", "query", search, "Search messages, newest first",
          MessagePage, query=SearchQuery, errors=("NUMBER_INVALID", *STORAGE)),
    Route("POST", "/messages/query", "query", query_messages, "Up to 500 messages by id",
          Messages, QueryBody, errors=STORAGE),
    Route("GET", "/messages/{id}", "query", get_message, "One message as it stands",
          Message, errors=("NOT_FOUND", *STORAGE)),
    Route("POST", "/messages/{id}/cancel", "send", cancel, "Cancel a message that no carrier has been given yet",
          Message, errors=("NOT_FOUND", "STATE_CONFLICT", *STORAGE), idempotent=True),
    Route("GET", "/messages/{id}/trace", "query", trace, "A message's life, step by step",
          MessageTrace, errors=("NOT_FOUND", *STORAGE)),
)  # fmt: skip
