"""What a health report is made of, who gets it, and a mail of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Any

from smsgw.platform.mailing import OutMail

MOST_DAYS = 7
"""That one mail tells of, after a stop."""
HOUR = 8
"""When it goes, where nobody has said so."""
GRAVITY = ("good", "plain", "unknown", "warning", "bad")
"""States of items, the worst last; ``plain``: nothing to judge."""


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a report."""

    code: str
    """Of its words."""
    state: str
    """One of ``GRAVITY``."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    """Of the page that shows more."""


@dataclass(frozen=True, slots=True)
class Report:
    """How the platform was on some days, and is."""

    first: date
    last: date
    made_at: datetime
    items: Sequence[Item]

    @property
    def state(self) -> str:
        """``bad``, ``warning`` or ``good``: as its worst line; what could not be found out is worth a look."""
        worst = max((GRAVITY.index(one.state) for one in self.items), default=0)
        return {"plain": "good", "unknown": "warning"}.get(GRAVITY[worst], GRAVITY[worst])

    def how_many(self, *states: str) -> int:
        """Lines in one of these states."""
        return sum(one.state in states for one in self.items)


@dataclass(frozen=True, slots=True)
class Plan:
    """Who gets the mail, and when."""

    emails: tuple[str, ...]
    language: str
    hour: int
    """Of the day, in China."""
    changed_by: str
    changed_at: datetime


WANTED = "EXISTS (SELECT FROM health_plan p WHERE m.receiver = ANY(p.emails))"
"""Of a mail ``m``: its receiver is still one."""


@dataclass(frozen=True, slots=True)
class Mail(OutMail):
    """A health mail on its way to one receiver."""

    removed = "health.removed"

    wanted: Annotated[bool, WANTED]
    first: date
    day: date
    """The last one that it tells of."""
    asked_by: str
    """Empty: it went by itself."""
