"""Accounts, balances and use as people see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from smsgw.core.model import Account


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account with its money; ``balance`` in units."""

    account: Account
    balance: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Balance:
    """Units (billable parts): what is there, how far it may go down, what can be spent."""

    balance: int
    credit_floor: int

    @property
    def available(self) -> int:
        """What can be spent."""
        return self.balance - self.credit_floor


@dataclass(frozen=True, slots=True)
class Runway:
    """How long an account's units will last: ``used`` ones of the last ``over`` days, refunds taken off."""

    id: int
    name: str
    available: int
    used: int
    over: int

    @property
    def days(self) -> int | None:
        """Whole days; None: cannot be told, nothing was used lately."""
        if self.available <= 0:
            return 0
        return self.available * self.over // self.used if self.used > 0 else None


USAGE_DIMENSIONS = ("day", "account", "department", "key", "type")
"""By what use is grouped."""


@dataclass(frozen=True, slots=True)
class UsageLine:
    """The use of one group; ``refunded`` counts on the day of the refund, ``amount`` is in yuan at the prices of the
    debits."""

    keys: Mapping[str, str | date]
    messages: int
    parts: int
    units: int
    refunded: int
    amount: Decimal
