"""``/links/filings``: domains and targets that the account files with the carriers (链接报备)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import Id, Request
from smsgw.api.values import china, id_of, path_id
from smsgw.core.url_filings import FILING_NAMES, MAX_TARGET, Filing
from smsgw.platform.url_filings import queries, service
from smsgw.platform.url_filings.model import FiledLink


class FilingBody(Request):
    """A domain or target to file."""

    target: Annotated[
        str,
        Meta(
            min_length=1, max_length=MAX_TARGET, description="A domain with all below it, or the beginning of a link."
        ),
    ]
    icp: Annotated[str, Meta(max_length=64, description="Licence number of the site.")] = ""
    note: Annotated[str, Meta(max_length=500, description="What it shows, and what proves it.")] = ""


class FilingsQuery(Request):
    """A page of filings, newest first."""

    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Entries in a page.")] = 100


class FilingState(msgspec.Struct):
    """How a filing stands with a carrier."""

    state: Annotated[Filing, Meta(description="pending, submitted, registered or refused.")]
    state_name: Annotated[str, Meta(description="The filing's state in words.")]
    note: str


class FilingEntry(msgspec.Struct):
    """A filing."""

    filing_id: Annotated[str, Meta(description="Id of the filing.")]
    target: Annotated[str, Meta(description="The domain, or the beginning of a link.")]
    icp: Annotated[str, Meta(description="Licence number of the site.")]
    note: str
    carriers: dict[str, FilingState]
    created_at: datetime


class FilingPage(msgspec.Struct):
    """A page of filings; ``next_cursor`` is null on the last one."""

    items: list[FilingEntry]
    next_cursor: str | None


class FilingRemoved(msgspec.Struct):
    """What was taken back."""

    filing_id: Annotated[str, Meta(description="Id of the filing.")]


def _entry(one: FiledLink, english: bool) -> FilingEntry:
    carriers = {c: FilingState(s.state, FILING_NAMES[s.state].text(english), s.note) for c, s in one.carriers.items()}
    return FilingEntry(str(one.id), one.target, one.icp, one.note, carriers, china(one.created_at))


async def file(call: Call) -> FilingEntry:
    """``POST /links/filings``."""
    body: FilingBody = call.body
    filed = await service.file(call.change(), call.account.id, body.target, icp=body.icp, note=body.note)
    return _entry(filed, call.english)


async def list_filings(call: Call) -> FilingPage:
    """``GET /links/filings``."""
    query: FilingsQuery = call.query or FilingsQuery()
    found = await queries.page(call.ctx.db, accounts=[call.account.id], before=id_of(query.cursor), limit=query.limit)
    return FilingPage(
        [_entry(one, call.english) for one in found], str(found[-1].id) if len(found) == query.limit else None
    )


async def get_filing(call: Call) -> FilingEntry:
    """``GET /links/filings/{id}``."""
    return _entry(await queries.get(call.ctx.db, path_id(call), accounts=[call.account.id]), call.english)


async def remove_filing(call: Call) -> FilingRemoved:
    """``DELETE /links/filings/{id}``."""
    id_ = path_id(call)
    await service.remove(call.change(), id_)
    return FilingRemoved(str(id_))


_ONE = ("NOT_FOUND", *STORAGE)

ROUTES = (
    Route("POST", "/links/filings", "link", file, "File a domain or target for marketing", FilingEntry, FilingBody,
          errors=("STATE_CONFLICT", *STORAGE), idempotent=True),
    Route("GET", "/links/filings", "link", list_filings, "The account's filed links, and how they stand",
          FilingPage, query=FilingsQuery, errors=STORAGE),
    Route("GET", "/links/filings/{id}", "link", get_filing, "One filed link", FilingEntry, errors=_ONE),
    Route("DELETE", "/links/filings/{id}", "link", remove_filing, "Take back a filed link", FilingRemoved, errors=_ONE),
)  # fmt: skip
