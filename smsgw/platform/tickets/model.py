"""A ticket, its thread, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from smsgw.platform.faults.model import Timer

LEAST_TITLE, MOST_TITLE = 2, 100
LEAST_TEXT, MOST_TEXT = 2, 2000
MOST_MESSAGES = 20
MOST_OPEN = 200
"""Tickets of one account that are not closed."""
MOST_STEPS = 200
"""Of one ticket."""
AGAIN = timedelta(days=30)
"""So long after its end a ticket can be opened again."""


class State(StrEnum):
    """How far a ticket is."""

    OPEN = "open"
    """Nobody has responded."""
    HANDLING = "handling"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What somebody has reported."""

    id: int
    account_id: int
    account: str
    title: str
    message_ids: Sequence[int]
    opened_at: datetime
    opened_by: str
    respond_by: datetime
    responded_at: datetime | None
    responded_by: str
    assigned_to: str
    closed_at: datetime | None
    closed_by: str
    opened_name: str
    """What people call whoever did so; the label of who is no person."""
    responded_name: str
    assigned_name: str
    closed_name: str

    @property
    def state(self) -> State:
        """How far it is."""
        if self.closed_at is not None:
            return State.CLOSED
        return State.OPEN if self.responded_at is None else State.HANDLING

    @property
    def response(self) -> Timer:
        """The promise to respond."""
        return Timer(self.opened_at, self.respond_by, self.responded_at)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was said or done."""

    at: datetime
    by: str
    kind: str
    said: str
    since: datetime | None = None
    """With the next two: of one that opens a ticket again, the promise of the round before it."""
    respond_by: datetime | None = None
    responded_at: datetime | None = None
    name: str = ""
    """What people call whoever did so."""

    @property
    def former(self) -> Timer | None:
        """That promise."""
        if self.since is None or self.respond_by is None:
            return None
        return Timer(self.since, self.respond_by, self.responded_at)
