"""``/blocklist`` and ``/optouts``: numbers that get nothing more from the account, or nothing of a kind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import MAX_NUMBERS, Id, Number, Request, Time
from smsgw.api.values import china, id_of, in_span
from smsgw.core import numbers
from smsgw.core.blocklist import MANUAL, OPT_OUT, SOURCE_NAMES, Scope
from smsgw.core.errors import Invalid, message_of
from smsgw.core.model import MessageType
from smsgw.core.words import phrase
from smsgw.platform.lists import queries, service
from smsgw.platform.lists.model import BlockEntry as Entry, WantedOptOuts
from smsgw.platform.paging import Window

Numbers = Annotated[list[Number], Meta(min_length=1, max_length=MAX_NUMBERS, description="1-1000 numbers.")]
Sign = Annotated[str, Meta(max_length=20, description="Only messages with this signature; empty: all.")]


class BlockBody(Request):
    """Numbers to block, for this account."""

    numbers: Numbers
    type: Annotated[MessageType, Meta(description="Only messages of this type; null: all.")] | None = None
    sign: Sign = ""
    reason: Annotated[str, Meta(max_length=200, description="Why, for people.")] = ""
    expires_at: Annotated[Time, Meta(description="Until then; null: for ever.")] | None = None


class UnblockBody(Request):
    """Numbers to take off the account's list: entries of all types and signatures, opt-outs excepted."""

    numbers: Numbers
    reason: Annotated[str, Meta(max_length=200, description="Why, for people.")] = ""


class OptOutBody(Request):
    """Numbers whose owners have opted out elsewhere; they get no more marketing."""

    numbers: Numbers
    sign: Sign = ""
    reason: Annotated[str, Meta(max_length=200, description="Why, for people.")] = ""


class BlockQuery(Request):
    """Filters; all given ones must match. Newest first."""

    number: Number | None = None
    source: (
        Annotated[Literal["manual", "opt_out", "complaint", "carrier"], Meta(description="How the entry came about.")]
        | None
    ) = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Entries in a page.")] = 100


class OptOutQuery(Request):
    """Filters; all given ones must match. Newest first."""

    number: Number | None = None
    from_time: Annotated[Time, Meta(description="Opted out at or after.")] | None = None
    to_time: Annotated[Time, Meta(description="Opted out before.")] | None = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Entries in a page.")] = 100


class RefusedNumber(msgspec.Struct):
    """A number that could not be read."""

    number: str
    code: str
    message: str


class BlockChanged(msgspec.Struct):
    """How many entries were made, changed or removed."""

    changed: int
    rejected: list[RefusedNumber]


class BlockEntry(msgspec.Struct):
    """An entry of the account's list. ``type`` and ``sign`` empty: it counts for all."""

    number: str
    type: str
    sign: str
    source: str
    source_name: str
    reason: str
    since: datetime
    expires_at: datetime | None


class BlockPage(msgspec.Struct):
    """A page of entries; ``next_cursor`` is null on the last one."""

    items: list[BlockEntry]
    next_cursor: str | None


async def block(call: Call) -> BlockChanged:
    """``POST /blocklist``."""
    body: BlockBody = call.body
    until = body.expires_at
    if until is not None and until <= datetime.fromtimestamp(call.ctx.clock(), UTC):
        raise Invalid("PARAM_INVALID", field="expires_at", reason=phrase("expires.past"))
    good, rejected = read_numbers(call, body.numbers)
    scope = Scope(call.account.id, body.type or "", body.sign)
    changed = await service.block(call.change(), good, scope, MANUAL, body.reason, expires_at=until)
    return BlockChanged(changed, rejected)


async def unblock(call: Call) -> BlockChanged:
    """``POST /blocklist/remove``."""
    body: UnblockBody = call.body
    good, rejected = read_numbers(call, body.numbers)
    gone = await service.unblock_own(call.change(), call.account.id, good, MANUAL, reason=body.reason)
    return BlockChanged(gone, rejected)


async def list_blocked(call: Call) -> BlockPage:
    """``GET /blocklist``."""
    query: BlockQuery = call.query or BlockQuery()
    found = await queries.page(
        call.ctx.db,
        accounts=(call.account.id,),
        number=_number(query.number),
        source=query.source,
        before=id_of(query.cursor),
        limit=query.limit,
    )
    cursor = str(found[-1].version) if len(found) == query.limit else None
    return BlockPage([_entry(one, call.english) for one in found], cursor)


async def opt_out(call: Call) -> BlockChanged:
    """``POST /optouts``."""
    body: OptOutBody = call.body
    good, rejected = read_numbers(call, body.numbers)
    scope = Scope(call.account.id, MessageType.MARKETING, body.sign)
    changed = await service.block(call.change(), good, scope, OPT_OUT, body.reason, tell=True)
    call.ctx.hub.notify([call.account.id], "optout.created")
    return BlockChanged(changed, rejected)


async def list_opt_outs(call: Call) -> BlockPage:
    """``GET /optouts``."""
    query: OptOutQuery = call.query or OptOutQuery()
    wanted = WantedOptOuts(_number(query.number) or "", in_span(query.from_time), in_span(query.to_time))
    before = id_of(query.cursor)
    window = Window("since", after=None if before is None else (str(before), before), limit=query.limit)
    found = await queries.opt_outs(call.ctx.db, wanted, window, account_id=call.account.id)
    items = [_entry(one, call.english) for one in found.rows]
    return BlockPage(items, str(found.rows[-1].version) if found.more else None)


def _number(given: str | None) -> str | None:
    """A number that is looked for, in E.164 digits. ``NUMBER_INVALID``."""
    if given is None:
        return None
    try:
        return numbers.normalize(given)
    except numbers.InvalidNumber as exc:
        raise Invalid("NUMBER_INVALID") from exc


def read_numbers(call: Call, given: list[str]) -> tuple[list[str], list[RefusedNumber]]:
    """Numbers in E.164 digits, and those that are none."""
    good, rejected = [], []
    for one in given:
        try:
            good.append(numbers.normalize(one))
        except numbers.InvalidNumber:
            rejected.append(RefusedNumber(one, "NUMBER_INVALID", message_of("NUMBER_INVALID", english=call.english)))
    return good, rejected


def _entry(entry: Entry, english: bool) -> BlockEntry:
    return BlockEntry(
        entry.number,
        entry.type,
        entry.sign,
        entry.source,
        SOURCE_NAMES[entry.source].text(english),
        entry.reason,
        china(entry.since),
        china(entry.expires_at),
    )


ROUTES = (
    Route("POST", "/blocklist", "number", block, "Block up to 1,000 numbers for the account",
          BlockChanged, BlockBody, errors=STORAGE, idempotent=True),
    Route("GET", "/blocklist", "number", list_blocked, "The account's block list, opt-outs included",
          BlockPage, query=BlockQuery, errors=("NUMBER_INVALID", *STORAGE)),
    Route("POST", "/blocklist/remove", "number", unblock, "Take up to 1,000 numbers off the block list",
          BlockChanged, UnblockBody, errors=STORAGE, idempotent=True),
    Route("POST", "/optouts", "number", opt_out, "Record opt-outs that were made elsewhere",
          BlockChanged, OptOutBody, errors=STORAGE, idempotent=True),
    Route("GET", "/optouts", "number", list_opt_outs, "The account's opt-outs that hold, newest first",
          BlockPage, query=OptOutQuery, errors=("NUMBER_INVALID", *STORAGE)),
)  # fmt: skip
