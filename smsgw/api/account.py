"""The account's own figures: balance, quotas, use."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import Day, Request
from smsgw.core.accounts import subtree
from smsgw.core.errors import Refused
from smsgw.core.ids import CHINA
from smsgw.platform.accounts import queries

DEFAULT_DAYS = 7


class Balance(msgspec.Struct):
    """In units. ``available`` = balance - credit_floor. Quotas are in parts, null where there is none."""

    account: str
    billing: str
    balance: int
    credit_floor: int
    available: int
    quota_day: int | None
    used_day: int
    quota_month: int | None
    used_month: int


class UsageQuery(Request):
    """Days are days of acceptance (of refunds: of the refund) in China; both ends count."""

    group: Annotated[
        str,
        Meta(
            max_length=64,
            pattern="^(day|account|department|key|type)(,(day|account|department|key|type))*$",
            description="Comma-separated: day, account, department, key, type.",
        ),
    ] = "day"
    from_day: Annotated[Day, Meta(description="First day; 7 days are given without one.")] | None = None
    to_day: Annotated[Day, Meta(description="Last day; today without one.")] | None = None
    below: Annotated[bool, Meta(description="Also the accounts below this one.")] = False


class UsageLine(msgspec.Struct, omit_defaults=True):
    """The use of one group. ``amount`` is yuan for units less refunds, at the prices of the debits."""

    messages: int
    parts: int
    units: int
    refunded: int
    amount: str
    day: date | None = None
    account: str | None = None
    department: str | None = None
    key: str | None = None
    type: str | None = None


class Usage(msgspec.Struct):
    """The groups asked for, in order."""

    items: list[UsageLine]


async def get_balance(call: Call) -> Balance:
    """``GET /balance``."""
    account = call.account
    found = await queries.balance(call.ctx.db, account.id)
    if found is None:
        raise Refused("NOT_FOUND")
    used_day, used_month = await queries.quota_used(call.ctx.db, account.id)
    return Balance(
        account.name,
        "postpaid" if found.credit_floor < 0 else "prepaid",
        found.balance,
        found.credit_floor,
        found.available,
        account.quota_day,
        used_day,
        account.quota_month,
        used_month,
    )


async def get_usage(call: Call) -> Usage:
    """``GET /usage``."""
    query: UsageQuery = call.query or UsageQuery()
    last = query.to_day or datetime.fromtimestamp(call.ctx.clock(), UTC).astimezone(CHINA).date()
    first = query.from_day or last - timedelta(days=DEFAULT_DAYS - 1)
    mine = call.account.id
    seen = subtree(call.ctx.snapshots.current.accounts(), mine) if query.below else {mine}
    lines = await queries.usage(
        call.ctx.db, first=first, last=last, group=query.group.split(","), accounts=sorted(seen)
    )
    return Usage(
        [
            UsageLine(
                line.messages,
                line.parts,
                line.units,
                line.refunded,
                f"{line.amount:.4f}",
                **line.keys,  # type: ignore[arg-type]
            )
            for line in lines
        ]
    )


ROUTES = (
    Route("GET", "/balance", "balance", get_balance, "The account's balance and quotas", Balance, errors=STORAGE),
    Route("GET", "/usage", "balance", get_usage, "What was used, by day, account, department, key, type",
          Usage, query=UsageQuery, errors=STORAGE),
)  # fmt: skip
