"""``/numbers/filters``: lists of numbers that are looked at (空号过滤), as jobs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from smsgw.api.contacts import Removed
from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import Id, Number, Request
from smsgw.api.values import china, id_of, path_id
from smsgw.core import numbers
from smsgw.core.errors import Invalid, Refused
from smsgw.core.number_state import STATE_NAMES
from smsgw.platform.numbers import filters as service
from smsgw.platform.numbers.filters import MOST_TYPED, STATES, NumberFilter
from smsgw.platform.paging import Window

State = Literal["empty", "live", "suspended", "silent", "risky", "absent", "unknown"]


class FilterBody(Request):
    """Numbers to look at by what is known here, which costs nothing."""

    name: Annotated[str, Meta(min_length=1, max_length=64, description="What the list is called.")]
    numbers: Annotated[
        list[Number],
        Meta(extra_json_schema={"minItems": 1, "maxItems": MOST_TYPED}, description="Up to 10,000 numbers."),
    ]


class AskBody(Request):
    """How many numbers the provider may be asked about at most: each has its price."""

    most: Annotated[int, Meta(ge=1, le=service.MOST_ROWS, description="Numbers to ask about at most.")]


class FiltersQuery(Request):
    """Filters; newest first."""

    name: Annotated[str, Meta(max_length=64, description="A piece of the name.")] | None = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=100, description="Entries in a page.")] = 50


class RowsQuery(Request):
    """Which numbers of a list."""

    state: Annotated[State, Meta(description="What they have come to.")] = "unknown"
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=5000, description="Numbers in a page.")] = 1000


class FilterInfo(msgspec.Struct):
    """A list of numbers. ``job``: how the work on it stands."""

    filter_id: str
    name: str
    job: Annotated[
        Literal["waiting", "running", "done", "failed", "cancelled"], Meta(description="How the work on it stands.")
    ]
    total: Annotated[int, Meta(description="Numbers in the list, each once.")]
    invalid: Annotated[int, Meta(description="Numbers that could not be read.")]
    duplicates: Annotated[int, Meta(description="Numbers that came again.")]
    asked: Annotated[int, Meta(description="Numbers that the provider was asked about.")]
    cost: Annotated[str, Meta(description="What that was, in yuan.")]
    created_at: datetime


class FilterEntry(FilterInfo):
    """A list of numbers with what they have come to."""

    counts: Annotated[dict[str, int], Meta(description="Numbers by state.")] = {}
    askable: Annotated[int, Meta(description="Numbers that the provider can be asked about.")] = 0


class FilterPage(msgspec.Struct):
    """A page of lists; ``next_cursor`` is null on the last one."""

    items: list[FilterInfo]
    next_cursor: str | None


class FilterNumber(msgspec.Struct):
    """A number of a list."""

    number: str
    source: Annotated[str, Meta(description="Who says so: report, import or vendor; empty: nobody.")]
    seen_at: Annotated[datetime | None, Meta(description="When it was so.")]


class FilterNumbers(msgspec.Struct):
    """Numbers of a list that have come to one state; ``next_cursor`` is null on the last page."""

    state: Annotated[str, Meta(description="What they have come to.")]
    state_name: Annotated[str, Meta(description="The number's state in words.")]
    items: list[FilterNumber]
    next_cursor: str | None


def _info(one: NumberFilter) -> FilterInfo:
    return FilterInfo(
        str(one.id), one.name, one.job_state,  # type: ignore[arg-type]
        one.total, one.invalid, one.duplicates, one.asked, f"{one.cost / 1000:.3f}", china(one.created_at),
    )  # fmt: skip


async def _own(call: Call, id_: int) -> NumberFilter:
    found = await service.one(call.ctx.db, id_, accounts=[call.account.id])
    if found is None:
        raise Refused("NOT_FOUND")
    return found


async def _entry(call: Call, id_: int) -> FilterEntry:
    one = await _own(call, id_)
    counted = await service.counts(call.ctx.db, id_)
    counts = {state: counted[state].n for state in STATES if state in counted}
    askable = await service.askable(call.ctx.db, id_)
    return FilterEntry(**msgspec.structs.asdict(_info(one)), counts=counts, askable=askable)


async def list_filters(call: Call) -> FilterPage:
    """``GET /numbers/filters``."""
    query: FiltersQuery = call.query or FiltersQuery()
    before = id_of(query.cursor)
    window = Window("at", after=None if before is None else (str(before), before), limit=query.limit)
    found = await service.search(call.ctx.db, window, accounts=[call.account.id], name=query.name or "")
    return FilterPage([_info(one) for one in found.rows], str(found.rows[-1].id) if found.more else None)


async def add_filter(call: Call) -> FilterEntry:
    """``POST /numbers/filters``."""
    body: FilterBody = call.body
    good, invalid = list[str](), 0
    for one in body.numbers:
        try:
            good.append(numbers.normalize(one))
        except numbers.InvalidNumber:
            invalid += 1
    if body.numbers and not good:
        raise Invalid("NUMBER_INVALID")
    id_ = await service.begin(call.change(), body.name, call.account.id, good, invalid=invalid)
    call.ctx.jobs.set()
    return await _entry(call, id_)


async def get_filter(call: Call) -> FilterEntry:
    """``GET /numbers/filters/{id}``."""
    return await _entry(call, path_id(call))


async def filter_numbers(call: Call) -> FilterNumbers:
    """``GET /numbers/filters/{id}/numbers``."""
    query: RowsQuery = call.query or RowsQuery()
    one = await _own(call, path_id(call))
    after = id_of(query.cursor) or 0
    rows = await service.rows(call.ctx.db, one.id, query.state, after=after, limit=query.limit + 1)
    shown = [FilterNumber(r["number"], r["source"], china(r["at"])) for r in rows[: query.limit]]
    await call.ctx.readings.note(call.ctx.db, call.actor, "filter.download", f"filter/{one.id}", {"state": query.state})
    names: Mapping[str, str] = {state: words.text(call.english) for state, words in STATE_NAMES.items()}
    more = shown[-1].number if len(rows) > query.limit else None
    return FilterNumbers(query.state, names.get(query.state, query.state), shown, more)


async def ask_filter(call: Call) -> FilterEntry:
    """``POST /numbers/filters/{id}/ask``."""
    id_ = path_id(call)
    await service.ask(call.change(), id_, call.body.most)
    call.ctx.jobs.set()
    return await _entry(call, id_)


async def remove_filter(call: Call) -> Removed:
    """``DELETE /numbers/filters/{id}``."""
    await service.remove(call.change(), path_id(call))
    return Removed(1)


_ONE = ("NOT_FOUND", *STORAGE)

ROUTES = (
    Route("GET", "/numbers/filters", "number", list_filters, "Lists of numbers that were looked at", FilterPage,
          query=FiltersQuery, errors=STORAGE),
    Route("POST", "/numbers/filters", "number", add_filter, "Have up to 10,000 numbers looked at", FilterEntry,
          FilterBody, status=201, errors=("TO_EMPTY", "TO_TOO_MANY", "NUMBER_INVALID", "STATE_CONFLICT", *STORAGE),
          idempotent=True),
    Route("GET", "/numbers/filters/{id}", "number", get_filter, "How a list stands, and what its numbers have come to",
          FilterEntry, errors=_ONE),
    Route("GET", "/numbers/filters/{id}/numbers", "number", filter_numbers, "The numbers of a list, by state",
          FilterNumbers, query=RowsQuery, errors=_ONE),
    Route("POST", "/numbers/filters/{id}/ask", "number", ask_filter, "Ask the provider about the rest, at its price",
          FilterEntry, AskBody, errors=("STATE_CONFLICT", *_ONE), idempotent=True),
    Route("DELETE", "/numbers/filters/{id}", "number", remove_filter, "Forget a list of numbers", Removed,
          errors=_ONE),
)  # fmt: skip
