"""Availability: of a span of time the part in which nothing that counts was wrong."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

Span = tuple[datetime, datetime]


def merged(spans: Iterable[Span], since: datetime, until: datetime) -> timedelta:
    """How long any of the spans lasted within these times; what overlaps is counted once."""
    total, end = timedelta(), since
    for begin, over in sorted(spans):
        begin, over = max(begin, end), min(over, until)
        if over > begin:
            total += over - begin
            end = over
    return total


def availability(spans: Iterable[Span], since: datetime, until: datetime) -> float | None:
    """Percent of the time between ``since`` and ``until`` in which none of the spans lasted; None: there is no time."""
    whole = until - since
    return 100 * (1 - merged(spans, since, until) / whole) if whole > timedelta() else None
