"""``/drafts``: sendings put together before they become tasks. Nothing in one is checked until it is submitted."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from smsgw.api.contacts import Removed
from smsgw.api.context import Call
from smsgw.api.fallback import FallbackBody, chain, told
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import MAX_TEXT, ExtendCode, Id, Number, Params, Request, Time
from smsgw.api.tasks import CREATION, DayWindow, Mapping, TaskInfo, info_of, spans, spans_told
from smsgw.api.values import china, id_of, path_id
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType
from smsgw.core.words import phrase
from smsgw.platform.campaigns.model import MAX_NAME, MAX_RATE, MAX_TO
from smsgw.platform.drafts import queries, service
from smsgw.platform.drafts.model import MOST_TO, Draft, Source, State, When
from smsgw.platform.drafts.wanted import MOST_HOURS, chain_fields, chain_in
from smsgw.platform.paging import Window

Clock = Annotated[str, Meta(max_length=5, description="HH:MM in China; both or none.")]


class DraftBody(Request):
    """A sending as far as it is known. Of file, audience and numbers one is given before it is submitted."""

    name: Annotated[str, Meta(max_length=MAX_NAME, description="What the sending is about.")] = ""
    scenario_id: (
        Annotated[Id, Meta(description="A scenario, which decides about type, signature, template, time and validity.")]
        | None
    ) = None
    type: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=32,
                description="otp, notice, marketing or a kind of the operator's; decides "
                "the priority lane; else the scenario's, or notice.",
            ),
        ]
        | None
    ) = None
    sign: Annotated[str, Meta(max_length=20, description="Signature, without 【】; empty: the account's.")] = ""
    content: Annotated[str, Meta(max_length=MAX_TEXT, description="The text; {name} stands for a row's own value.")] = (
        ""
    )
    template_id: Annotated[Id, Meta(description="An approved template, instead of content.")] | None = None
    params: (
        Annotated[Params, Meta(description="Values of the template's variables that are the same for all.")] | None
    ) = None
    to: Annotated[list[Number], Meta(max_length=MAX_TO, description="Numbers, instead of a file.")] | None = None
    file_id: Id | None = None
    audience_id: Annotated[Id, Meta(description="An audience, instead of a file.")] | None = None
    mapping: Mapping | None = None
    extend_code: ExtendCode = ""
    rate: Annotated[int, Meta(ge=0, le=MAX_RATE, description="Messages per second; 0: as fast as it goes.")] = 0
    valid_hours: (
        Annotated[int, Meta(ge=1, le=MOST_HOURS, description="Hours after which nothing is sent; null: as usual.")]
        | None
    ) = None
    send_at: Annotated[Time, Meta(description="Not before; ISO 8601 with zone, at most 366 days ahead.")] | None = None
    window_from: Clock = ""
    window_to: Clock = ""
    window: (
        Annotated[list[DayWindow], Meta(max_length=7, description="Several spans of the day, instead of these two.")]
        | None
    ) = None
    fallback: Annotated[FallbackBody, Meta(description="What follows when a message fails; null: nothing.")] | None = (
        None
    )
    review: Annotated[bool, Meta(description="Wait for a reviewer.")] = False
    unique: Annotated[
        Literal["number", "content"], Meta(description="What is sent once: to a number, or a text to a number.")
    ] = "number"


class DraftsQuery(Request):
    """Filters; newest first."""

    name: Annotated[str, Meta(max_length=MAX_NAME, description="A piece of the name.")] | None = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=100, description="Entries in a page.")] = 50


class DraftInfo(msgspec.Struct):
    """A draft in short. ``recipients``: where its numbers come from; null: from nowhere yet."""

    draft_id: str
    name: str
    scenario_id: str | None
    type: str
    sign: str
    content: str
    template_id: str | None
    recipients: Literal["to", "file", "audience"] | None
    created_at: datetime
    updated_at: datetime


class DraftEntry(DraftInfo):
    """A draft with all that is in it."""

    params: dict[str, str] = {}
    to: list[str] = []
    file_id: str | None = None
    audience_id: str | None = None
    phone_column: str | None = None
    variables: Annotated[dict[str, str], Meta(description="Variable of the text -> column.")] = {}
    extend_code: str = ""
    rate: int = 0
    valid_hours: int | None = None
    send_at: datetime | None = None
    window_from: Annotated[str, Meta(description="The only span, of all days; else empty.")] = ""
    window_to: str = ""
    window: Annotated[list[dict[str, Any]], Meta(description="All spans of the day.")] = []
    fallback: (
        Annotated[dict[str, Any], Meta(description="What follows when a message fails; null: nothing.")] | None
    ) = None
    review: bool = False
    unique: str = "number"


class DraftPage(msgspec.Struct):
    """A page of drafts; ``next_cursor`` is null on the last one."""

    items: list[DraftInfo]
    next_cursor: str | None


def _state(call: Call) -> State:
    """The body as drafts are kept. Raises what cannot be kept at all."""
    body: DraftBody = call.body
    given = [name for name in ("to", "file_id", "audience_id") if getattr(body, name)]
    if len(given) > 1:
        raise Invalid("PARAM_INVALID", field=given[1], reason=phrase("task.one_source"))
    if body.mapping is not None and body.mapping.ext is not None:
        raise Invalid("PARAM_INVALID", field="mapping.ext", reason=phrase("field.not_available"))
    if body.send_at is not None and body.send_at.second:
        raise Invalid("TIME_INVALID", reason=phrase("draft.minutes"))
    numbers, followed = "\n".join(body.to or ()), chain(body.fallback)
    if len(numbers) > MOST_TO:
        raise Invalid("TO_TOO_MANY")
    mapping = body.mapping or Mapping()
    source = Source.FILE if body.file_id else Source.AUDIENCE if body.audience_id else Source.TYPED
    at = "" if body.send_at is None else f"{body.send_at.astimezone(CHINA):%Y-%m-%d %H:%M}"
    return State(
        subject=" ".join(body.name.split()), scenario=body.scenario_id or "", account=str(call.account.id),
        type=(body.type or "") if body.scenario_id else (body.type or MessageType.NOTICE.value),
        sign=body.sign, content=body.content, template=body.template_id or "", fixed=body.params or {},
        source=source.value, to=numbers, upload=body.file_id or "", audience=body.audience_id or "",
        phone=mapping.phone or "", variables=mapping.variables or {}, extend_code=body.extend_code,
        rate=str(body.rate or ""), hours=str(body.valid_hours or ""), review="1" if body.review else "",
        when=(When.AT if at else When.NOW).value, at=at, windows=spans(body.window, body.window_from, body.window_to),
        one_each=body.unique, **chain_fields(None if followed is None else followed.plain()),
    )  # fmt: skip


def _chain(state: State) -> dict[str, Any] | None:
    try:
        return told(chain_in(state))
    except Invalid:  # of a draft that a person has not finished
        return None


def _audience(state: State) -> str | None:
    return (state.segment_saved if state.source == Source.SEGMENT else state.audience) or None


def _recipients(state: State) -> Literal["to", "file", "audience"] | None:
    if state.source == Source.FILE and state.upload:
        return "file"
    if state.source in (Source.AUDIENCE, Source.SEGMENT) and _audience(state):
        return "audience"
    return "to" if state.source == Source.TYPED and state.to else None


def _info(one: Draft) -> DraftInfo:
    state = one.state
    return DraftInfo(
        str(one.id), state.subject, state.scenario or None, state.type, state.sign, state.content,
        state.template or None, _recipients(state), china(one.created_at), china(one.updated_at),
    )  # fmt: skip


def _entry(one: Draft) -> DraftEntry:
    state = one.state
    begin, end, window = spans_told(state.windows)
    at = datetime.strptime(state.at, "%Y-%m-%d %H:%M").replace(tzinfo=CHINA) if state.at else None
    return DraftEntry(
        **msgspec.structs.asdict(_info(one)), params=dict(state.fixed),
        to=state.to.split("\n") if state.to else [], send_at=at,
        file_id=state.upload or None, audience_id=_audience(state), phone_column=state.phone or None,
        variables=dict(state.variables), extend_code=state.extend_code, rate=int(state.rate or 0),
        valid_hours=int(state.hours) if state.hours else None, window_from=begin, window_to=end,
        window=window, fallback=_chain(state), review=bool(state.review), unique=state.one_each,
    )  # fmt: skip


async def _one(call: Call, id_: int) -> DraftEntry:
    found = await queries.one(call.ctx.db, call.actor, id_)
    if found is None:
        raise Refused("NOT_FOUND")
    return _entry(found)


async def list_drafts(call: Call) -> DraftPage:
    """``GET /drafts``."""
    query: DraftsQuery = call.query or DraftsQuery()
    before = id_of(query.cursor)
    window = Window("id", after=None if before is None else (str(before), before), limit=query.limit)
    found = await queries.search(call.ctx.db, call.actor, window, subject=query.name or "")
    return DraftPage([_info(one) for one in found.rows], str(found.rows[-1].id) if found.more else None)


async def add_draft(call: Call) -> DraftEntry:
    """``POST /drafts``."""
    return _entry(await service.add(call.change(), call.account.id, _state(call)))


async def get_draft(call: Call) -> DraftEntry:
    """``GET /drafts/{id}``."""
    return await _one(call, path_id(call))


async def put_draft(call: Call) -> DraftEntry:
    """``PUT /drafts/{id}``."""
    id_, state = path_id(call), _state(call)
    await service.put(call.change(), id_, state, state.__struct_fields__, step="content")
    return await _one(call, id_)


async def remove_draft(call: Call) -> Removed:
    """``DELETE /drafts/{id}``."""
    await service.remove(call.change(), path_id(call))
    return Removed(1)


async def submit_draft(call: Call) -> TaskInfo:
    """``POST /drafts/{id}/submit``."""
    if call.key.test:
        raise Refused("STATE_CONFLICT", reason=phrase("task.test_key"))
    task = await call.ctx.surveyor.submit(call.change(), path_id(call))
    return info_of(await call.ctx.tasks.get(task.id, accounts=(call.account.id,)), call.english)


_ONE = ("NOT_FOUND", *STORAGE)
_WRITTEN = ("TO_TOO_MANY", "TIME_INVALID", *STORAGE)

ROUTES = (
    Route("GET", "/drafts", "send", list_drafts, "The account's drafts", DraftPage, query=DraftsQuery, errors=STORAGE),
    Route("POST", "/drafts", "send", add_draft, "Keep a draft", DraftEntry, DraftBody, status=201,
          errors=("STATE_CONFLICT", *_WRITTEN), idempotent=True),
    Route("GET", "/drafts/{id}", "send", get_draft, "One draft", DraftEntry, errors=_ONE),
    Route("PUT", "/drafts/{id}", "send", put_draft, "Replace what a draft says", DraftEntry, DraftBody,
          errors=("NOT_FOUND", *_WRITTEN)),
    Route("DELETE", "/drafts/{id}", "send", remove_draft, "Forget a draft", Removed, errors=_ONE),
    Route("POST", "/drafts/{id}/submit", "send", submit_draft, "Make a draft a task; it is a draft no more", TaskInfo,
          status=201, errors=CREATION, idempotent=True),
)  # fmt: skip
