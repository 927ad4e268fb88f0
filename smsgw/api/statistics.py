"""``GET /statistics``: the account's messages by day and by what else is asked for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import Day, Request, Sign
from smsgw.api.values import china
from smsgw.core.ids import CHINA
from smsgw.core.states import success_rate
from smsgw.platform.statistics import queries
from smsgw.platform.statistics.model import STATUSES, Line

DEFAULT_DAYS = 7


class StatisticsQuery(Request):
    """Days are days of acceptance in China; both ends count."""

    group: Annotated[
        str,
        Meta(
            max_length=64,
            pattern="^(day|type|sign|channel|carrier|province|origin)(,(day|type|sign|channel|carrier|province|origin))*$",
            description="Comma-separated: day, type, sign, channel, carrier, province, origin.",
        ),
    ] = "day"
    from_day: Annotated[Day, Meta(description="First day; 7 days are given without one.")] | None = None
    to_day: Annotated[Day, Meta(description="Last day; today without one.")] | None = None
    type: (
        Annotated[str, Meta(min_length=1, max_length=32, description="Only messages of this type or kind.")] | None
    ) = None
    sign: Sign | None = None


class StatisticsLine(msgspec.Struct, omit_defaults=True):
    """Counts of one group, in messages; ``parts`` and ``units`` in (billable) parts. ``pending`` have not ended."""

    accepted: int
    parts: int
    units: int
    delivered: int
    failed: int
    expired: int
    no_report: int
    unconfirmed: int
    rejected: int
    cancelled: int
    duplicate: int
    pending: int
    success_rate: (
        Annotated[float, Meta(description="delivered / (delivered + failed); unknown ends are in neither.")] | None
    )
    day: date | None = None
    type: str | None = None
    sign: str | None = None
    channel: str | None = None
    carrier: str | None = None
    province: str | None = None
    origin: str | None = None


class Statistics(msgspec.Struct):
    """The groups asked for, in order. What happened after ``counted_to`` is not in them yet."""

    items: list[StatisticsLine]
    counted_to: datetime


async def get_statistics(call: Call) -> Statistics:
    """``GET /statistics``."""
    query: StatisticsQuery = call.query or StatisticsQuery()
    last = query.to_day or datetime.fromtimestamp(call.ctx.clock(), UTC).astimezone(CHINA).date()
    first = query.from_day or last - timedelta(days=DEFAULT_DAYS - 1)
    counted_to = await queries.counted_to(call.ctx.db)
    lines = await queries.by_day(
        call.ctx.db,
        first=first,
        last=last,
        group=query.group.split(","),
        accounts=(call.account.id,),
        type_=query.type,
        sign=query.sign,
    )
    return Statistics([_line(line) for line in lines], china(counted_to))


def _line(line: Line) -> StatisticsLine:
    ended = {status: line.ended.get(status, 0) for status in STATUSES}
    rate = success_rate(ended["delivered"], ended["failed"])
    return StatisticsLine(
        accepted=line.accepted,
        parts=line.parts,
        units=line.units,
        **ended,  # type: ignore[arg-type]
        pending=max(0, line.accepted - sum(ended.values())),
        success_rate=None if rate is None else round(rate, 4),
        **line.keys,  # type: ignore[arg-type]
    )


ROUTES = (
    Route("GET", "/statistics", "query", get_statistics, "Messages by day, type, signature, carrier …",
          Statistics, query=StatisticsQuery, errors=STORAGE),
)  # fmt: skip
