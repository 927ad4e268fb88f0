"""``/numbers/check``: what is known of numbers (空号检测), from our own reports and from what was imported."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import MAX_NUMBERS, Number, Request
from smsgw.api.values import china
from smsgw.core import numbers
from smsgw.core.errors import Invalid
from smsgw.core.number_state import SOURCE_NAMES, STATE_NAMES, UNKNOWN, NumberState
from smsgw.core.words import phrase
from smsgw.platform.numbers import queries


class CheckBody(Request):
    """Numbers to look up."""

    numbers: Annotated[list[Number], Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_NUMBERS})]


class NumberKnown(msgspec.Struct):
    """What is known of a number, in the order of the question. ``number`` is as given."""

    number: str
    state: Annotated[str, Meta(description="empty, live, suspended, silent, risky, unknown or invalid.")]
    state_name: Annotated[str, Meta(description="The number's state in words.")]
    source: Annotated[str | None, Meta(description="report: a carrier said so; import.")] = None
    source_name: str | None = None
    seen_at: Annotated[datetime | None, Meta(description="The day when it was so, at 00:00 in China.")] = None


class NumbersChecked(msgspec.Struct):
    """What is known of the numbers."""

    items: list[NumberKnown]
    counts: Annotated[dict[str, int], Meta(description="Numbers by state.")]


async def check(call: Call) -> NumbersChecked:
    """``POST /numbers/check``."""
    body: CheckBody = call.body
    if not body.numbers:
        raise Invalid("TO_EMPTY")
    if len(body.numbers) > MAX_NUMBERS:
        raise Invalid("TO_TOO_MANY")
    read: list[str | None] = []
    for one in body.numbers:
        try:
            read.append(numbers.normalize(one))
        except numbers.InvalidNumber:
            read.append(None)
    days = call.ctx.snapshots.current.settings.number_status_days
    known = await queries.known(call.ctx.db, [n for n in read if n is not None], days)
    items = []
    for given, number in zip(body.numbers, read, strict=True):
        found = known.get(number or "")
        if number is None:
            items.append(NumberKnown(given, "invalid", phrase("number.malformed").text(call.english)))
        elif found is None:
            items.append(NumberKnown(given, UNKNOWN, STATE_NAMES[UNKNOWN].text(call.english)))
        else:
            state = STATE_NAMES[NumberState(found.state)].text(call.english)
            source = SOURCE_NAMES[found.source].text(call.english)
            items.append(NumberKnown(given, found.state, state, found.source, source, _day(found.at)))
    return NumbersChecked(items, dict(Counter(i.state for i in items)))


def _day(at: datetime) -> datetime:
    """No more of the time than its day: it may be that of another account's message."""
    local: datetime = china(at)
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


ROUTES = (
    Route("POST", "/numbers/check", "number", check, "What is known of up to 1,000 numbers: empty, suspended, live",
          NumbersChecked, CheckBody, errors=("TO_EMPTY", "TO_TOO_MANY", *STORAGE)),
)  # fmt: skip
