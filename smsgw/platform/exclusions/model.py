"""What a version of the rules is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

MOST_AHEAD = 92
"""Days between making a version and its first."""
LEAST_REASON, MOST_REASON = 2, 200


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants to hold. Both: what it is of -> its category (``core.exclusions.CATEGORIES``)."""

    from_day: date
    reason: str
    classes: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it stands."""

    version: int
    from_day: date
    until_day: date | None
    """Its last day; None: it still holds, or will. Before ``from_day``: a later version came before it began."""
    reason: str
    made_by: str
    made_at: datetime
    classes: Mapping[str, str]
    codes: Mapping[str, str]

    @property
    def id(self) -> int:
        """Of the row, in pages of a list."""
        return self.version
