"""``/scenarios``: what kinds of sendings always have; a send call or a task names one by its id."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from smsgw.api.context import Call
from smsgw.api.fallback import FallbackBody, chain, told
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import ExtendCode, Id, Request
from smsgw.api.tasks import DayWindow, spans, spans_told
from smsgw.api.values import china, id_of, path_id
from smsgw.core.errors import Refused
from smsgw.core.model import MessageType
from smsgw.platform.paging import Window
from smsgw.platform.scenarios import queries, service
from smsgw.platform.scenarios.model import MOST_MINUTES, MOST_NAME, MOST_NOTE, Scenario, Terms, Wanted

Clock = Annotated[str, Meta(max_length=5, description="HH:MM in China; both or none.")]
State = Literal["active", "stopped"]


class ScenarioBody(Request):
    """What a scenario fixes; what is left out the sending says."""

    name: Annotated[str, Meta(min_length=1, max_length=MOST_NAME, description="A name, unique in the account.")]
    type: Annotated[MessageType, Meta(description="Type of its messages.")] = MessageType.NOTICE
    sign: Annotated[str, Meta(max_length=22, description="Always with this signature; empty: any.")] = ""
    template_id: Annotated[Id, Meta(description="Always of this approved template; null: any text.")] | None = None
    extend_code: ExtendCode = ""
    valid_minutes: (
        Annotated[int, Meta(ge=1, le=MOST_MINUTES, description="Minutes after which nothing is sent; null: as usual.")]
        | None
    ) = None
    window_from: Clock = ""
    window_to: Clock = ""
    window: (
        Annotated[list[DayWindow], Meta(max_length=7, description="Several spans of the day, instead of these two.")]
        | None
    ) = None
    note: Annotated[str, Meta(max_length=MOST_NOTE, description="For who sends.")] = ""
    fallback: Annotated[FallbackBody, Meta(description="What follows when a message fails; null: nothing.")] | None = (
        None
    )


class ScenariosQuery(Request):
    """Filters; newest first."""

    state: Annotated[State, Meta(description="Only those that are in use, or stopped.")] | None = None
    name: Annotated[str, Meta(max_length=MOST_NAME, description="A piece of the name.")] | None = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=200, description="Entries in a page.")] = 100


class ScenarioEntry(msgspec.Struct):
    """A scenario as it stands."""

    scenario_id: str
    name: str
    type: str
    sign: str
    template_id: str | None
    extend_code: str
    valid_minutes: int | None
    window_from: Annotated[str, Meta(description="The only span, of all days; else empty.")]
    window_to: str
    window: Annotated[list[dict[str, Any]], Meta(description="All spans of the day.")]
    note: str
    fallback: Annotated[dict[str, Any] | None, Meta(description="What follows when a message fails; null: nothing.")]
    state: Annotated[State, Meta(description="Whether it can be used.")]
    created_at: datetime
    updated_at: datetime


class ScenarioPage(msgspec.Struct):
    """A page of scenarios; ``next_cursor`` is null on the last one."""

    items: list[ScenarioEntry]
    next_cursor: str | None


def _terms(body: ScenarioBody) -> Terms:
    return Terms(
        body.name, body.type, body.sign, id_of(body.template_id), body.extend_code, body.valid_minutes,
        spans(body.window, body.window_from, body.window_to), body.note, chain(body.fallback),
    )  # fmt: skip


def _entry(one: Scenario) -> ScenarioEntry:
    terms = one.terms
    return ScenarioEntry(
        str(one.id), terms.name, terms.type.value, terms.sign,
        None if terms.template_id is None else str(terms.template_id), terms.extend_code, terms.valid_minutes,
        *spans_told(terms.windows), terms.note,
        told(None if terms.fallback is None else terms.fallback.plain()),
        "active" if one.stopped_at is None else "stopped",
        china(one.created_at), china(one.updated_at),
    )  # fmt: skip


async def _one(call: Call, id_: int) -> ScenarioEntry:
    found = await queries.one(call.ctx.db, id_, accounts=[call.account.id])
    if found is None:
        raise Refused("NOT_FOUND")
    return _entry(found)


async def list_scenarios(call: Call) -> ScenarioPage:
    """``GET /scenarios``."""
    query: ScenariosQuery = call.query or ScenariosQuery()
    before = id_of(query.cursor)
    window = Window("id", after=None if before is None else (str(before), before), limit=query.limit)
    wanted = Wanted(query.name or "", query.state or "")
    found = await queries.search(call.ctx.db, wanted, window, accounts=[call.account.id])
    return ScenarioPage([_entry(one) for one in found.rows], str(found.rows[-1].id) if found.more else None)


async def add_scenario(call: Call) -> ScenarioEntry:
    """``POST /scenarios``."""
    return await _one(call, await service.add(call.change(), call.account.id, _terms(call.body)))


async def get_scenario(call: Call) -> ScenarioEntry:
    """``GET /scenarios/{id}``."""
    return await _one(call, path_id(call))


async def put_scenario(call: Call) -> ScenarioEntry:
    """``PUT /scenarios/{id}``."""
    id_ = path_id(call)
    await service.put(call.change(), id_, _terms(call.body))
    return await _one(call, id_)


async def stop_scenario(call: Call) -> ScenarioEntry:
    """``POST /scenarios/{id}/stop``."""
    id_ = path_id(call)
    await service.stop(call.change(), id_)
    return await _one(call, id_)


async def start_scenario(call: Call) -> ScenarioEntry:
    """``POST /scenarios/{id}/start``."""
    id_ = path_id(call)
    await service.start(call.change(), id_)
    return await _one(call, id_)


_WRITTEN = ("TEMPLATE_NOT_FOUND", "TEMPLATE_NOT_APPROVED", "EXTEND_CODE_INVALID", "NOT_FOUND", "STATE_CONFLICT",
            *STORAGE)  # fmt: skip
_ONE = ("NOT_FOUND", *STORAGE)
_COMMAND = ("STATE_CONFLICT", *_ONE)

ROUTES = (
    Route("GET", "/scenarios", "send", list_scenarios, "The account's scenarios", ScenarioPage, query=ScenariosQuery,
          errors=STORAGE),
    Route("POST", "/scenarios", "template", add_scenario, "Make a scenario", ScenarioEntry, ScenarioBody, status=201,
          errors=_WRITTEN, idempotent=True),
    Route("GET", "/scenarios/{id}", "send", get_scenario, "One scenario", ScenarioEntry, errors=_ONE),
    Route("PUT", "/scenarios/{id}", "template", put_scenario, "Say anew what a scenario fixes", ScenarioEntry,
          ScenarioBody, errors=_WRITTEN),
    Route("POST", "/scenarios/{id}/stop", "template", stop_scenario, "Stop a scenario: nothing is sent with it",
          ScenarioEntry, errors=_COMMAND, idempotent=True),
    Route("POST", "/scenarios/{id}/start", "template", start_scenario, "Take a stopped scenario into use again",
          ScenarioEntry, errors=_COMMAND, idempotent=True),
)  # fmt: skip
