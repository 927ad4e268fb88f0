"""What a rule of retention is, and what a class of data holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from smsgw.core.actor import ActorLabel
from smsgw.core.retention import Ages

LEAST_REASON, MOST_REASON = 2, 200


class State(StrEnum):
    """How far a rule is."""

    WAITING = "waiting"
    PASSED = "passed"
    REJECTED = "rejected"


_HOLDS = "r.state = 'passed' AND r.id = (SELECT max(id) FROM retention_rule WHERE state = 'passed')"


@dataclass(frozen=True, slots=True)
class Rule:
    """One that was asked for; the newest that was passed holds."""

    id: int
    messages_days: int
    inbound_days: int
    pdus_days: int
    clicks_days: int
    texts: bool
    reason: str
    state: str
    asked_by: ActorLabel
    asked_at: datetime
    answer: str
    decided_by: ActorLabel
    decided_at: datetime | None
    holds: Annotated[bool, _HOLDS]

    @property
    def ages(self) -> Ages:
        """Its days."""
        return Ages(self.messages_days, self.inbound_days, self.pdus_days, self.texts, self.clicks_days)


@dataclass(frozen=True, slots=True)
class Held:
    """What a class holds now. Rows are what the database knows without counting them."""

    name: str
    rows: int
    octets: int
    first: date | None
    """The oldest day; None: of what has no days, or nothing."""
    last: date | None
    masked: int = 0
    """Rows of it that have lost their numbers or octets."""
    masked_through: date | None = None
    """The newest day of these."""


@dataclass(frozen=True, slots=True)
class Coming:
    """What a rule would do to a class at once: days and rows."""

    name: str
    days: int = 0
    rows: int = 0
    first: date | None = None
    last: date | None = None
