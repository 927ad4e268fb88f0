"""``/links``: short links of the account: made, led elsewhere, stopped, their codes, and who has opened them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import MAX_NUMBERS, Id, Request, Time
from smsgw.api.values import china, id_of, in_span, path_id
from smsgw.core.clicks import Verdict
from smsgw.core.errors import Invalid, SmsgwError, message_of, messages_of
from smsgw.core.link_targets import MAX_TARGET
from smsgw.core.pseudonyms import told_number
from smsgw.core.short_codes import MAX_CHOSEN, Permutation
from smsgw.core.words import labels_of
from smsgw.platform.links import queries, sending, service
from smsgw.platform.links.model import MOST_CODES, MOST_VISITS, LinkKind, LinkState, NewLink, Origin, ShortLink, Visit
from smsgw.platform.links.queries import WantedLinks, WantedVisits
from smsgw.platform.paging import Window
from smsgw.runtime import clock
from smsgw.web.envelope import AllRejected

STATES = labels_of("link_state")
MOST_PAGE, MOST_CODES_PAGE = 200, 1000

Target = Annotated[
    str, Meta(min_length=1, max_length=MAX_TARGET, description="Where it leads: a whole http or https address.")
]


class LinkBody(Request):
    """A short link to make."""

    name: Annotated[str, Meta(min_length=1, max_length=100, description="What it is called; nobody outside sees it.")]
    target: Target
    kind: Annotated[LinkKind, Meta(description="One code for all, or one for each recipient.")] = LinkKind.SHARED
    codes: Annotated[int, Meta(ge=1, le=MOST_CODES, description="Recipients of a personal link.")] = 1
    code: Annotated[str, Meta(max_length=MAX_CHOSEN, description="The code itself; empty: one is made.")] = ""
    domain: Annotated[str, Meta(max_length=253, description="One of the server's; empty: the usual one.")] = ""
    valid_from: Time | None = None
    valid_until: Time | None = None
    visits_max: Annotated[
        int, Meta(ge=0, le=MOST_VISITS, description="Visits of people after which it ends; 0: any number.")
    ] = 0
    warn: Annotated[bool, Meta(description="Show where it leads before leading there.")] = False


class LinksBody(Request):
    """1-1000 short links to make."""

    items: Annotated[list[LinkBody], Meta(min_length=1, max_length=MAX_NUMBERS, description="1-1000 links.")]


class LinkTargetBody(Request):
    """Another target."""

    target: Target


class LinkStopBody(Request):
    """Why a link is stopped."""

    reason: Annotated[str, Meta(max_length=200, description="Why, for people.")] = ""


class LinksQuery(Request):
    """Filters; newest first."""

    text: Annotated[str, Meta(max_length=200, description="A piece of name or target, or an address.")] | None = None
    kind: LinkKind | None = None
    state: LinkState | None = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST_PAGE, description="Entries in a page.")] = 100


class ClicksQuery(Request):
    """Whose visits; newest first."""

    verdict: Annotated[Verdict, Meta(description="Of these alone.")] | None = None
    from_time: Time | None = None
    to_time: Time | None = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST_PAGE, description="Entries in a page.")] = 100


class CodesQuery(Request):
    """Which codes of a personal link."""

    first: Annotated[int, Meta(ge=1, le=MOST_CODES, description="Number of the first recipient.")] = 1
    limit: Annotated[int, Meta(ge=1, le=MOST_CODES_PAGE, description="Entries in a page.")] = 100


class LinkEntry(msgspec.Struct):
    """A short link."""

    link_id: Annotated[str, Meta(description="Id of the link.")]
    name: Annotated[str, Meta(description="What it is called; nobody outside sees it.")]
    kind: LinkKind
    address: Annotated[str, Meta(description="What people open; empty: each recipient has another.")]
    codes: Annotated[int, Meta(description="Recipients of a personal link.")]
    used: Annotated[int, Meta(description="Codes that somebody has been given: the first so many.")]
    target: Annotated[str, Meta(description="Where it leads: a whole http or https address.")]
    version: Annotated[int, Meta(description="Of the target.")]
    state: Annotated[LinkState, Meta(description="How it stands.")]
    state_name: Annotated[str, Meta(description="The link's state in words.")]
    reason: Annotated[str, Meta(description="Why, for people.")]
    valid_from: datetime | None
    valid_until: datetime | None
    visits_max: int
    warn: bool
    visits: Annotated[int, Meta(description="Visits of people, judged some 20 seconds after them.")]
    visitors: Annotated[int, Meta(description="Different ones, counted once a minute.")]
    hits: Annotated[int, Meta(description="Of anybody, programs included.")]
    created_at: datetime


class MadeItem(msgspec.Struct, omit_defaults=True):
    """What became of one link. ``link_id`` is absent when it was not made."""

    name: Annotated[str, Meta(description="What it is called; nobody outside sees it.")]
    link_id: Annotated[str | None, Meta(description="Id of the link.")] = None
    address: Annotated[str | None, Meta(description="What people open; empty: each recipient has another.")] = None
    state: Annotated[LinkState | None, Meta(description="How it stands.")] = None
    code: Annotated[str | None, Meta(description="Why it was not made.")] = None
    message: str | None = None


class LinksMade(msgspec.Struct):
    """What became of the links, in their order."""

    accepted: Annotated[int, Meta(description="Links made.")]
    rejected: Annotated[int, Meta(description="Links not made.")]
    items: list[MadeItem]


class LinkPage(msgspec.Struct):
    """A page of links; ``next_cursor`` is null on the last one."""

    items: list[LinkEntry]
    next_cursor: str | None


class ClickEntry(msgspec.Struct):
    """A visit. ``n``: number of the recipient, of a personal link."""

    click_id: Annotated[str, Meta(description="Id of the visit.")]
    at: datetime
    n: int | None
    version: Annotated[int, Meta(description="Of the target.")]
    verdict: Annotated[str, Meta(description="Who it was: human or a sort of program; empty: not judged yet.")]
    address: Annotated[str, Meta(description="Its beginning; empty once it is not kept any more.")]
    province: Annotated[str, Meta(description="Where the address is; empty: not known.")]
    city: Annotated[str, Meta(description="The city there; empty: not known, or the province is one.")]
    agent: Annotated[str, Meta(description="How the program calls itself.")]
    referer: Annotated[str, Meta(description="The page that led there.")]


class ClickPage(msgspec.Struct):
    """A page of visits; ``next_cursor`` is null on the last one."""

    items: list[ClickEntry]
    next_cursor: str | None


class CodeEntry(msgspec.Struct):
    """A recipient's code."""

    n: int
    address: Annotated[str, Meta(description="What this recipient opens.")]


class CodePage(msgspec.Struct):
    """Codes of a personal link; ``next_first`` is null on the last page."""

    items: list[CodeEntry]
    next_first: Annotated[int | None, Meta(description="`first` of the next page.")]


def _entry(one: ShortLink, codes: Permutation | None, english: bool) -> LinkEntry:
    state = one.state(clock.now())
    shared = one.kind is LinkKind.SHARED
    return LinkEntry(
        str(one.id), one.name, one.kind, one.address(0, codes) if shared else "", one.codes, one.used,
        one.target, one.version,
        state, STATES[state.value].text(english), one.reason, china(one.valid_from), china(one.valid_until),
        one.visits_max, one.warn, one.humans, one.visitors, one.hits, china(one.made_at),
    )  # fmt: skip


async def _told(call: Call, link: ShortLink) -> LinkEntry:
    return _entry(link, await queries.permutation(call.ctx.db, call.ctx.sealer), call.english)


async def _own(call: Call) -> ShortLink:
    return await queries.one(call.ctx.db, path_id(call), accounts=[call.account.id])


def _wanted(call: Call, body: LinkBody) -> NewLink:
    return NewLink(
        call.account.id, body.name, body.target, body.kind, Origin.API, body.domain, body.codes, body.code,
        body.valid_from, body.valid_until, body.visits_max, body.warn,
    )  # fmt: skip


async def make(call: Call) -> LinkEntry:
    """``POST /links``."""
    ctx, wanted = call.ctx, _wanted(call, call.body)
    return await _told(call, await service.make(call.change(), ctx.sealer, wanted, ctx.link_domains, now=clock.now()))


async def make_many(call: Call) -> LinksMade:
    """``POST /links/batch``."""
    ctx, body = call.ctx, call.body
    wanted = [_wanted(call, item) for item in body.items]
    async with ctx.made.turn(call.account.id):
        codes = await queries.permutation(ctx.db, ctx.sealer)  # before: once links are made nothing shall go wrong
        ended = await service.make_many(call.change(), ctx.sealer, wanted, ctx.link_domains, now=clock.now())
    if codes is None:  # they are the first of all
        codes = await queries.permutation(ctx.db, ctx.sealer)
    items = [_made(call, link.name, one, codes) for link, one in zip(wanted, ended, strict=True)]
    refused = [one for one in ended if isinstance(one, SmsgwError)]
    told = LinksMade(len(items) - len(refused), len(refused), items)
    if not told.accepted:
        raise AllRejected(refused[0].code, *messages_of(refused[0].code, refused[0].detail), told)
    return told


def _made(call: Call, name: str, one: ShortLink | SmsgwError, codes: Permutation | None) -> MadeItem:
    if isinstance(one, SmsgwError):
        return MadeItem(name, code=one.code, message=message_of(one.code, one.detail, english=call.english))
    entry = _entry(one, codes, call.english)
    return MadeItem(name, entry.link_id, entry.address, entry.state)


async def list_links(call: Call) -> LinkPage:
    """``GET /links``."""
    query: LinksQuery = call.query or LinksQuery()
    before = id_of(query.cursor)
    window = Window("id", after=None if before is None else (str(before), before), limit=query.limit)
    wanted = WantedLinks(query.text or "", kind=query.kind or "", state=query.state or "")
    found = await queries.search(call.ctx.db, wanted, window, accounts=[call.account.id])
    codes = await queries.permutation(call.ctx.db, call.ctx.sealer)
    items = [_entry(one, codes, call.english) for one in found.rows]
    return LinkPage(items, items[-1].link_id if found.more else None)


async def get_link(call: Call) -> LinkEntry:
    """``GET /links/{id}``."""
    return await _told(call, await _own(call))


async def lead(call: Call) -> LinkEntry:
    """``POST /links/{id}/target``."""
    body: LinkTargetBody = call.body
    link = await _own(call)
    return await _told(call, await service.lead(call.change(), link.id, body.target, call.ctx.link_domains))


async def stop(call: Call) -> LinkEntry:
    """``POST /links/{id}/stop``."""
    body: LinkStopBody = call.body
    link = await _own(call)
    return await _told(call, await service.stop(call.change(), link.id, reason=body.reason))


async def start(call: Call) -> LinkEntry:
    """``POST /links/{id}/start``."""
    link = await _own(call)
    return await _told(call, await service.start(call.change(), link.id))


def _click(one: Visit) -> ClickEntry:
    n = one.n + 1 if one.kind is LinkKind.PERSONAL else None
    return ClickEntry(
        str(one.id), china(one.at), n, one.version, one.verdict, told_number(one.address), one.province, one.city,
        one.agent, one.referer,
    )  # fmt: skip


async def clicks(call: Call) -> ClickPage:
    """``GET /links/{id}/clicks``."""
    query: ClicksQuery = call.query or ClicksQuery()
    link = await _own(call)
    until = in_span(query.to_time) or clock.now()
    first = in_span(query.from_time) or in_span(link.made_at) or until
    wanted = WantedVisits(first, until, link.id, verdict=query.verdict or "")
    before = id_of(query.cursor)
    window = Window("clicked_at", after=None if before is None else (str(before), before), limit=query.limit)
    found = await queries.visits_of(call.ctx.db, wanted, window, accounts=[call.account.id])
    items = [_click(one) for one in found.rows]
    return ClickPage(items, items[-1].click_id if found.more else None)


async def codes(call: Call) -> CodePage:
    """``GET /links/{id}/codes``: what is told here, no message gets afterwards."""
    query: CodesQuery = call.query or CodesQuery()
    link = await _own(call)
    if link.kind is not LinkKind.PERSONAL:
        raise Invalid("PARAM_INVALID", field="id", reason=service.SHARED)
    made = await queries.permutation(call.ctx.db, call.ctx.sealer)
    last = min(query.first - 1 + query.limit, link.codes)
    await sending.told(call.ctx.db, link.id, last)
    items = [CodeEntry(n + 1, link.address(n, made)) for n in range(query.first - 1, last)]
    return CodePage(items, last + 1 if last < link.codes else None)


_CHANGED = ("NOT_FOUND", "STATE_CONFLICT", *STORAGE)

ROUTES = (
    Route("POST", "/links", "link", make, "Make a short link", LinkEntry, LinkBody, status=201,
          errors=("STATE_CONFLICT", *STORAGE), idempotent=True),
    Route("POST", "/links/batch", "link", make_many, "Make up to 1,000 short links", LinksMade, LinksBody, status=201,
          errors=("STATE_CONFLICT", *STORAGE), idempotent=True),
    Route("GET", "/links", "link", list_links, "The account's short links", LinkPage, query=LinksQuery, errors=STORAGE),
    Route("GET", "/links/{id}", "link", get_link, "One short link, and what has come of it", LinkEntry,
          errors=("NOT_FOUND", *STORAGE)),
    Route("POST", "/links/{id}/target", "link", lead, "Let a short link lead elsewhere", LinkEntry, LinkTargetBody,
          errors=_CHANGED, idempotent=True),
    Route("POST", "/links/{id}/stop", "link", stop, "Stop a short link", LinkEntry, LinkStopBody, errors=_CHANGED,
          idempotent=True),
    Route("POST", "/links/{id}/start", "link", start, "Start a short link again", LinkEntry,
          errors=("PERMISSION_DENIED", *_CHANGED), idempotent=True),
    Route("GET", "/links/{id}/clicks", "link", clicks, "Who has opened a short link", ClickPage, query=ClicksQuery,
          errors=("NOT_FOUND", *STORAGE)),
    Route("GET", "/links/{id}/codes", "link", codes, "Codes of a personal link", CodePage, query=CodesQuery,
          errors=("NOT_FOUND", *STORAGE)),
)  # fmt: skip
