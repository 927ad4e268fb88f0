"""The account's own figures."""

from __future__ import annotations

import msgspec

from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.core.errors import Refused
from smsgw.store import accounts


class Balance(msgspec.Struct):
    """In billable parts. ``available`` = balance - credit_floor."""

    account: str
    balance: int
    credit_floor: int
    available: int


async def get_balance(call: Call) -> Balance:
    """``GET /balance``."""
    found = await accounts.balance(call.ctx.db, call.account.id)
    if found is None:
        raise Refused("NOT_FOUND")
    return Balance(call.account.name, found.balance, found.credit_floor, found.available)


ROUTES = (
    Route("GET", "/balance", "balance", get_balance, "The account's balance", Balance, errors=STORAGE),
)  # fmt: skip
