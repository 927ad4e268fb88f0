"""When something may be sent, and when it comes round again. All clock times are China's, which has no summer time.

Times go in and come out as aware datetimes; nothing here looks at a clock.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from smsgw.core.ids import CHINA

MAX_WINDOWS = 7
MAX_TIMES = 24
_FAR = 366 * 5
"""Days that are looked at for the next date: 29 February comes round within them."""
ALL_DAYS = frozenset(range(1, 8))


@dataclass(frozen=True, slots=True)
class Window:
    """A span of the day: from ``begin`` on and before ``end`` (00:00 is the end of the day), on some weekdays."""

    begin: time
    end: time
    days: frozenset[int] = ALL_DAYS
    """1 is Monday, 7 Sunday; of a span across midnight, the days on which it begins."""

    def on(self, day: date) -> tuple[datetime, datetime] | None:
        """The span that begins on this day."""
        if day.isoweekday() not in self.days:
            return None
        begin = datetime.combine(day, self.begin, CHINA)
        end = datetime.combine(day, self.end, CHINA)
        return begin, end if end > begin else end + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Windows:
    """Spans of which any may be open; none at all means always."""

    spans: tuple[Window, ...] = ()

    def open_until(self, at: datetime) -> datetime | None:
        """When what is open at ``at`` ends (looking no more than two weeks ahead), or None when it is closed."""
        local = at.astimezone(CHINA)
        if not self.spans:
            return local + timedelta(days=14)
        end: datetime | None = None
        for _ in range(14):  # spans that touch or overlap are one
            inside = end or local
            reached = max((e for b, e in self._around(inside) if b <= inside < e), default=None)
            if reached is None:
                break
            end = reached
        return end

    def next_open(self, at: datetime) -> datetime | None:
        """``at`` when something is open then, else the next time at which something opens (None: never)."""
        if not self.spans:
            return at
        local = at.astimezone(CHINA)
        spans = [s for offset in range(-1, 9) for s in self._begun(local.date() + timedelta(days=offset))]
        if any(b <= local < e for b, e in spans):
            return at
        return min((b for b, _ in spans if b > local), default=None)

    def _around(self, at: datetime) -> Iterable[tuple[datetime, datetime]]:
        for offset in (-1, 0):
            yield from self._begun(at.date() + timedelta(days=offset))

    def _begun(self, day: date) -> Iterable[tuple[datetime, datetime]]:
        return [span for window in self.spans if (span := window.on(day)) is not None]


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Comes round every ``day``, ``week`` (on weekdays 1-7) or ``month`` (on days 1-31, or -1: the last day)."""

    every: str
    at: tuple[time, ...]
    on: frozenset[int] = frozenset()
    until: datetime | None = None
    """Not after this."""

    def after(self, moment: datetime) -> datetime | None:
        """The next time later than ``moment``; None when there is none."""
        local = moment.astimezone(CHINA)
        for offset in range(_FAR):
            day = local.date() + timedelta(days=offset)
            if not self._on(day):
                continue
            for at in sorted(self.at):
                due = datetime.combine(day, at, CHINA)
                if due > local:
                    return None if self.until is not None and due > self.until else due
        return None

    def latest(self, since: datetime, now: datetime) -> tuple[datetime | None, int]:
        """Of the times after ``since`` and up to ``now``: the last one, and how many came before it."""
        found: datetime | None = None
        missed = 0
        following = self.after(since)
        for _ in range(MAX_TIMES * _FAR):
            if following is None or following > now:
                break
            missed += found is not None
            found = following
            following = self.after(following)
        return found, missed

    def _on(self, day: date) -> bool:
        if self.every == "week":
            return day.isoweekday() in self.on
        if self.every == "month":
            last = calendar.monthrange(day.year, day.month)[1]
            return day.day in self.on or (-1 in self.on and day.day == last)
        return True


@dataclass(frozen=True, slots=True)
class Hours:
    """Windows that must all be open."""

    all: tuple[Windows, ...] = ()

    def open_until(self, at: datetime) -> datetime | None:
        """When the first of them closes, or None when one is closed at ``at``."""
        ends = [windows.open_until(at) for windows in self.all if windows.spans]
        if any(end is None for end in ends):
            return None
        return min((end for end in ends if end is not None), default=at + timedelta(days=14))

    def next_open(self, at: datetime) -> datetime | None:
        """The first time from ``at`` on at which all of them are open; None when there is none within weeks."""
        for _ in range(64):
            later = at
            for windows in self.all:
                opens = windows.next_open(later)
                if opens is None:
                    return None
                later = opens
            if later == at:
                return at
            at = later
        return None
