"""A fault: its times, how they were kept, its steps, and what a year of them comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated

from smsgw.core.words import Wording, labels_of, listed, phrase
from smsgw.platform.org.queries import named

LEAST_TITLE, MOST_TITLE = 2, 100
LEAST_TEXT, MOST_TEXT = 2, 2000
MOST_OPEN = 200
"""Faults that are not closed."""
MOST_NOTES = 300
"""That people write of one fault."""
FIRST_STEPS, LAST_STEPS = 50, 400
"""Of a fault with more of them, so many from its beginning and its end are shown."""
MOST_LATE = timedelta(days=90)
"""So long after its beginning a fault can still be entered."""


class State(StrEnum):
    """How far a fault is."""

    OPEN = "open"
    """Nobody has responded."""
    HANDLING = "handling"
    RECOVERED = "recovered"
    """The trouble is over; its report is still to be written."""
    CLOSED = "closed"


class Kept(StrEnum):
    """How a promised time was kept."""

    RUNNING = "running"
    OVER = "over"
    """It has passed, and what was promised has not happened."""
    KEPT = "kept"
    LATE = "late"


def title_of(kind: str, object: str) -> str:
    """What a fault is called that is opened by an alarm."""
    about = object.partition("/")[2] or object
    return f"{labels_of('alarm').get(kind, kind)} {about}".strip()[:MOST_TITLE]


@lru_cache(maxsize=1024)
def title_said(title: str) -> Wording | str:
    """What ``title_of`` has made, in the reader's language; as it is what it cannot have made."""
    found = [one for one in labels_of("alarm").values() if title == str(one) or title.startswith(f"{one} ")]
    if not found:
        return title
    named = max(found, key=lambda one: len(str(one)))
    about = title[len(str(named)) :].strip()
    return phrase("fault.of_alarm", what=named, about=about) if about else named


def joined_said(text: str) -> Wording | str:
    """Titles of alarms that have joined at once, one a line, in the reader's language."""
    named = [title_said(one) for one in text.split("\n")]
    return named[0] if len(named) == 1 else listed(named)


def titled(text: str) -> tuple[str, ...]:
    """For ``FaultFilter.title``: a part of a title, and what ``title_of`` begins with for alarms whose English name has
    it in it."""
    part = text.strip().lower()
    called = [str(one) for one in labels_of("alarm").values() if part and part in one.english.lower()]
    return (text, *called) if text else ()


@dataclass(frozen=True, slots=True)
class Timer:
    """A promised time: from when, until when, and when it happened."""

    since: datetime
    by: datetime
    at: datetime | None

    def state(self, now: datetime) -> Kept:
        """How it was kept."""
        if self.at is not None:
            return Kept.KEPT if self.at <= self.by else Kept.LATE
        return Kept.RUNNING if now <= self.by else Kept.OVER

    def took(self, now: datetime) -> timedelta:
        """How long it took, or has taken so far."""
        return max((self.at or now) - self.since, timedelta())

    def left(self, now: datetime) -> timedelta:
        """How long there is still; negative: it has passed for so long."""
        return self.by - now


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault as it is registered."""

    id: int
    title: str
    severity: str
    began_at: datetime
    opened_at: datetime
    opened_by: str
    by_hand: bool
    """A person has named it, not an alarm."""
    respond_by: datetime
    recover_by: datetime
    responded_at: datetime | None
    responded_by: str
    recovered_at: datetime | None
    recovered_by: str
    counts: bool
    why_not: str
    cause: str
    done: str
    prevention: str
    closed_at: datetime | None
    closed_by: str
    alarms: Annotated[int, "(SELECT count(*) FROM fault_alarm a WHERE a.fault_id = f.id)"]
    """That belong to it."""
    responded_name: Annotated[str, named("f.responded_by")]
    """As people call who has responded; who is no person by the label."""
    recovered_name: Annotated[str, named("f.recovered_by")]
    opened_name: Annotated[str, named("f.opened_by")]
    closed_name: Annotated[str, named("f.closed_by")]

    @property
    def name(self) -> Wording | str:
        """Its title: what a person has written, or the alarm's name in the reader's language."""
        return self.title if self.by_hand else title_said(self.title)

    @property
    def state(self) -> State:
        """How far it is."""
        if self.closed_at is not None:
            return State.CLOSED
        if self.recovered_at is not None:
            return State.RECOVERED
        return State.OPEN if self.responded_at is None else State.HANDLING

    @property
    def response(self) -> Timer:
        """The promise to respond."""
        return Timer(self.opened_at, self.respond_by, self.responded_at or self.recovered_at)

    @property
    def recovery(self) -> Timer:
        """The promise to recover."""
        return Timer(self.began_at, self.recover_by, self.recovered_at)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was done about it."""

    at: datetime
    by: str
    name: str
    """As people call who has done it."""
    kind: str
    said: Wording | str


@dataclass(frozen=True, slots=True)
class Cause:
    """An alarm that belongs to it."""

    id: int
    kind: str
    object: str
    since: datetime
    cleared_at: datetime | None
    known: bool
    """It is still in the list of alarms."""


@dataclass(frozen=True, slots=True)
class Year:
    """What the faults of a year come to."""

    year: int
    since: datetime
    """Beginning of the year, or of the platform's service in it."""
    until: datetime
    """Its end, or now."""
    faults: Sequence[Fault]
    """All of it, the newest first."""
    counted: int
    most: int
    """That were promised at most."""
    down: timedelta
    """How long something that counts was wrong; what overlaps is counted once."""
    availability: float | None
    """Percent."""
    responded_late: int
    recovered_late: int
