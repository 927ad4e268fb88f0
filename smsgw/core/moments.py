"""Times and days that people and programs give, within bounds that everything can count with.

Customers write "never" as 9999-12-31 and "not set" as 0001-01-01; in other time zones these are no times at all, and
PostgreSQL takes the first moment for ``-infinity``. So no edge hands on a time that did not come through here.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TypeVar

from smsgw.core.ids import CHINA

FIRST = datetime(2000, 1, 1, tzinfo=CHINA)
LAST = datetime(2099, 12, 31, 23, 59, 59, tzinfo=CHINA)
"""Seconds since 1970 of all of them fit 32 bits (``core/blocklist.py``)."""

D = TypeVar("D", bound=date)


def nearest(at: D) -> D:
    """The time or day itself, or the bound that it lies beyond. A time has a zone."""
    first, last = (FIRST, LAST) if isinstance(at, datetime) else (FIRST.date(), LAST.date())
    return min(max(at, first), last)  # type: ignore[return-value]


def typed(at: D) -> D:
    """Of what a person has written: one before the first is a mistake. ``ValueError``."""
    if (bound := nearest(at)) > at:
        raise ValueError(f"not before {FIRST:%Y-%m-%d}")
    return bound


def minute(text: str) -> datetime:
    """A minute in China, as the pages write it. ``ValueError``."""
    return typed(datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=CHINA))


def day(text: str) -> date:
    """A day, as the pages write it. ``ValueError``."""
    return typed(date.fromisoformat(text))


def iso(text: str) -> datetime:
    """A time as in ISO 8601; without a zone it is China's. ``ValueError``."""
    at = datetime.fromisoformat(text)
    return typed(at if at.tzinfo else at.replace(tzinfo=CHINA))
