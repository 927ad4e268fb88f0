"""What a version of the rules is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated

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


def _rules(kind: str) -> str:
    return f"""
COALESCE((SELECT json_object_agg(e.value, e.category ORDER BY e.value) FROM exclusion e
          WHERE e.version = v.version AND e.kind = '{kind}'), '{{}}')::text
"""  # noqa: S608 - a constant


_UNTIL = "(SELECT min(n.from_day) - 1 FROM exclusion_version n WHERE n.version > v.version)"


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it stands."""

    id: Annotated[int, "v.version"]
    from_day: date
    until_day: Annotated[date | None, _UNTIL]
    """Its last day; None: it still holds, or will. Before ``from_day``: a later version came before it began."""
    reason: str
    made_by: str
    made_at: datetime
    classes: Annotated[Mapping[str, str], _rules("class")]
    codes: Annotated[Mapping[str, str], _rules("code")]

    @property
    def version(self) -> int:
        """Its number, by which it is known."""
        return self.id
