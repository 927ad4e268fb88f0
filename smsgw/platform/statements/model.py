"""What a statement is, and a mail of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

from smsgw.core.permissions import Permission
from smsgw.platform.exclusions.model import Version
from smsgw.platform.mailing import OutMail
from smsgw.platform.statistics.reports import Figures
from smsgw.platform.statistics.success import Success
from smsgw.store.messages import daily

MONTHS = 24
"""That can be asked for."""
SETTLED = timedelta(days=daily.SETTLED)
"""After a month, until all of its reports have come: then it is sent."""
LEAST_REASON, MOST_REASON = 2, 200
NAMES_RECEIVERS = (Permission.ACCOUNT_EDIT, Permission.STATISTICS_EXPORT, Permission.BALANCE_VIEW)
"""What whoever names receivers needs: they get what these rights let a person take away, money included."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the month: its figures, and the root of its evidence."""

    figures: Figures
    root: str
    leaves: int | None


@dataclass(frozen=True, slots=True)
class BillLine:
    """What a month's messages of one type come to by the ledger."""

    type: str
    parts: int
    units: int
    """Taken when messages were accepted."""
    refunded: int
    """Given back in the month."""
    amount: Decimal | None
    """In yuan; None: whoever asks may see no money."""


@dataclass(frozen=True, slots=True)
class PriceLine:
    """What was debited at one price, in yuan for a unit, and given back of such debits."""

    price: Decimal
    units: int
    refunded: int


@dataclass(frozen=True, slots=True)
class Statement:
    """An account's month."""

    account_id: int
    account: str
    name: str
    month: date
    """Its first day."""
    made_at: datetime
    total: Figures
    bill: Sequence[BillLine]
    """By type of message."""
    prices: Sequence[PriceLine] | None
    """The lowest first; None: whoever asks may see no money."""
    days: Sequence[Day]
    success: Success
    """Of all channels together."""
    channels: Sequence[Success]
    versions: Sequence[int]
    """Of the exclusion rules, that held on its days; 0: on some of them none did."""
    rules: Sequence[Version]

    @property
    def last(self) -> date:
        """Its last day."""
        return last_of(self.month)

    @property
    def amount(self) -> Decimal:
        """What it comes to, in yuan, to the fen; nothing for who may see no money."""
        amounts = (one.amount for one in self.bill if one.amount is not None)
        return sum(amounts, Decimal(0)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def last_of(month: date) -> date:
    """The last day of the month that begins then."""
    return (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Bill:
    """What an account's month comes to by the ledger, or that of several accounts."""

    id: int
    """Of the account; 0: of several."""
    account: str
    name: str
    parts: int
    units: int
    """Taken when messages were accepted."""
    refunded: int
    """Given back, on the day on which it was: for what was never sent, and for failures where that was promised."""
    prices: tuple[Decimal, ...]
    """Yuan for a unit, by the time of the debits, the lowest first; none: of several accounts, or all was free."""
    amount: Decimal
    """In yuan, to the fen."""

    @property
    def net(self) -> int:
        """Units to be paid for."""
        return self.units - self.refunded


_NAME = "COALESCE(NULLIF(a.display_name, ''), a.name)"
WANTED = "EXISTS (SELECT FROM statement_receiver r WHERE r.account_id = m.account_id AND m.receiver = ANY(r.emails))"
"""Of a mail ``m``: its receiver is still one."""


@dataclass(frozen=True, slots=True)
class Receivers:
    """Who gets an account's statements."""

    id: Annotated[int, "a.id"]
    """Of the account."""
    account: Annotated[str, "a.name"]
    name: Annotated[str, _NAME]
    emails: Sequence[str]
    language: str
    changed_by: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Mail(OutMail):
    """A statement on its way to one receiver."""

    removed = "statement.removed"

    wanted: Annotated[bool, WANTED]
    account_id: int
    account: Annotated[str, "a.name"]
    name: Annotated[str, _NAME]
    month: date
