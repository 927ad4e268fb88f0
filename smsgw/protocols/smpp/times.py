"""Times as SMPP 3.4 writes them (7.1.1); CMPP's ValId_Time and At_Time are the same."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone


def parse(text: str, now: datetime) -> datetime | None:
    """The time in a field; None when it is empty. Relative times count from ``now``.

    Absolute: ``YYMMDDhhmmsstnn+`` with tenths and the distance to UTC in quarters of an hour. Relative:
    ``YYMMDDhhmmss000R``, months of 30 and years of 365 days. ValueError for anything else.
    """
    text = text.strip(" \0")
    if not text:
        return None
    if len(text) != 16 or not (text[:15].isdigit() and text.isascii()):
        raise ValueError(f"{text!r} has not the form of a time")
    pairs = [int(text[n : n + 2]) for n in range(0, 12, 2)]
    tenths, quarters, sign = int(text[12]), int(text[13:15]), text[15]
    if sign == "R":
        years, months, days, hours, minutes, seconds = pairs
        return now + timedelta(days=365 * years + 30 * months + days, hours=hours, minutes=minutes, seconds=seconds)
    if sign not in "+-" or quarters > 48:
        raise ValueError(f"{text!r} has no zone")
    zone = timezone(timedelta(minutes=15 * quarters) * (1 if sign == "+" else -1))
    year, month, day, hour, minute, second = pairs
    return datetime(2000 + year, month, day, hour, minute, second, tenths * 100_000, tzinfo=zone)


def absolute(at: datetime) -> str:
    """The absolute form of an aware time, in its own zone (whole quarters of an hour)."""
    offset = at.utcoffset() or timedelta()
    quarters = round(offset.total_seconds() / 900)
    return f"{at:%y%m%d%H%M%S}{at.microsecond // 100_000}{abs(quarters):02d}{'-' if quarters < 0 else '+'}"
