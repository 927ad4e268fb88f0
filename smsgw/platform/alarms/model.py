"""Who is told of alarms, and a note on its way to one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Annotated

from smsgw.core.alarm_notes import Way
from smsgw.core.wording_json import Heard
from smsgw.core.words import Wording, phrase

MOST_RECEIVERS = 100
LEAST_SECRET, MOST_SECRET = 16, 200
RETRIES = tuple(timedelta(seconds=n) for n in (10, 30, 60, 120, 300, 600, 900, 1800))
"""Pauses after each try that has certainly brought nothing; after the last it has failed."""
MOST_AFTER = 1440
INTERRUPTED, GONE, OVER, TAKEN = "interrupted", "receiver gone", "over", "taken"
"""What we say of a note, where servers say others."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A receiver as it is wanted. Of one that there is, what is None stays as it is."""

    name: str
    way: Way
    address: str | None
    """A number, a mail address, or a URL."""
    secret: str | None = None
    """Of the signature of a webhook, or of a 钉钉 robot that wants one."""
    account_id: int | None = None
    """Whose messages those to a phone are."""
    critical_only: bool = False
    language: str = "zh"
    after_minutes: int = 0
    """The second line: told of what nobody has taken on for so long."""
    quiet: tuple[time, time] | None = None
    """Hours (China) in which warnings wait."""
    on_duty: bool = False
    """It is whoever is on duty when a note leaves; the address stands in where nobody is."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told of alarms, as people see it."""

    id: int
    name: str
    kind: str
    shown: str
    account: Annotated[str | None, "a.name"]
    critical_only: bool
    language: str
    active: bool
    after_minutes: int
    quiet_from: time | None
    quiet_to: time | None
    on_duty: bool
    changed_by: str
    changed_at: datetime

    @property
    def quiet(self) -> str:
        """Its quiet hours, as they are read."""
        return f"{self.quiet_from:%H:%M}–{self.quiet_to:%H:%M}" if self.quiet_from and self.quiet_to else ""


@dataclass(frozen=True, slots=True)
class Opened:
    """The same as it is sent to."""

    id: int
    name: str
    way: Way
    address: str = field(repr=False)
    secret: str = field(repr=False)
    account_id: int | None
    critical_only: bool
    english: bool
    after_minutes: int
    stands_in: bool = False
    """It is the address of whom nobody was found on duty for."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A note and what became of it."""

    id: int
    event: str
    alarm_id: int | None
    kind: Annotated[str | None, "a.kind"]
    object: Annotated[str | None, "a.object"]
    receiver: Annotated[str, "r.name"]
    way: Annotated[str, "r.kind"]
    state: str
    tries: int
    entered_at: datetime
    next_at: datetime
    begun_at: datetime | None
    ended_at: datetime | None
    said: str
    active: Annotated[bool, "r.active"]
    """Its receiver is still one."""

    @property
    def repeats(self) -> bool:
        """Whether it can be sent once more."""
        return self.active and self.state in ("failed", "unsure")

    @property
    def answer(self) -> Wording | str:
        """What was said of it, in words where that was us."""
        ours = {INTERRUPTED: "alarm.interrupted", GONE: "alarm.receiver_gone", OVER: "alarm.note_over",
                TAKEN: "alarm.note_taken"}  # fmt: skip
        return phrase(ours[self.said]) if self.said in ours else Heard(self.said)
