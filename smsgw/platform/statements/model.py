"""What a statement is, and a mail of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from smsgw.core.words import Wording, phrase
from smsgw.platform.exclusions.model import Version
from smsgw.platform.statistics.reports import Figures
from smsgw.platform.statistics.success import Success
from smsgw.store.messages import daily

MOST_RECEIVERS = 10
MONTHS = 24
"""That can be asked for."""
SETTLED = timedelta(days=daily.SETTLED)
"""After a month, until all of its reports have come: then it is sent."""
LEAST_REASON, MOST_REASON = 2, 200
REMOVED, INTERRUPTED = "receiver removed", "interrupted"
"""What we say of a mail, where a mail server says others."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the month: its figures, and the root of its evidence."""

    figures: Figures
    root: str
    leaves: int | None


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
    refunded: int
    """Units that went back for failures, of the month's ledger."""
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


def last_of(month: date) -> date:
    """The last day of the month that begins then."""
    return (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Receivers:
    """Who gets an account's statements."""

    id: int
    """Of the account."""
    account: str
    name: str
    emails: tuple[str, ...]
    language: str
    changed_by: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Mail:
    """A statement on its way to one receiver."""

    id: int
    account_id: int
    account: str
    name: str
    month: date
    receiver: str
    language: str
    state: str
    """``waiting``, ``sending``, ``sent``, ``failed``, or ``unsure``: it may have arrived."""
    tries: int
    next_at: datetime
    begun_at: datetime | None
    ended_at: datetime | None
    digest: str
    said: str
    """By the mail server or the network, or by us."""
    wanted: bool
    """Its receiver is still named."""

    @property
    def repeats(self) -> bool:
        """Whether it can be sent once more."""
        return self.wanted and self.state in ("failed", "unsure")

    @property
    def answer(self) -> Wording | str:
        """The same, in words where it is ours."""
        return {REMOVED: phrase("statement.removed"), INTERRUPTED: phrase("statement.interrupted")}.get(
            self.said, self.said
        )
