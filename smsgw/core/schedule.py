"""When something may be sent, and when it comes round again. All clock times are China's, which has no summer time.

Times go in and come out as aware datetimes; nothing here looks at a clock.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from smsgw.core.ids import CHINA
from smsgw.core.words import phrase

MAX_WINDOWS = 7
MAX_TIMES = 24
MOST_WRITTEN = 400
"""Characters of spans as they are written."""
_FAR = 366 * 5
"""Days that are looked at for the next date: 29 February comes round within them."""
_TURNS = 120
"""Spans that a sending is followed through."""
ALL_DAYS = frozenset(range(1, 8))


@dataclass(frozen=True, slots=True)
class Window:
    """A span of the day: from ``begin`` on and before ``end`` (00:00 is the end of the day), on some weekdays."""

    begin: time
    end: time
    days: frozenset[int] = ALL_DAYS
    """1 is Monday, 7 Sunday; of a span across midnight, the days on which it begins."""

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.until}"

    @property
    def until(self) -> str:
        """Its end, as people and calls write it."""
        return f"{self.end:%H:%M}" if self.end != time(0) else "24:00"

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

    def __str__(self) -> str:
        """As ``written`` reads it."""
        groups: list[tuple[frozenset[int], list[str]]] = []
        for span in self.spans:
            if not groups or groups[-1][0] != span.days:
                groups.append((span.days, []))
            groups[-1][1].append(str(span))
        return "; ".join(" ".join((*_days_said(days), *said)) for days, said in groups) or "off"

    @property
    def plain(self) -> list[dict[str, Any]]:
        """As tasks keep it, and calls have it."""
        return [
            {"from": f"{one.begin:%H:%M}", "to": one.until}
            | ({} if one.days == ALL_DAYS else {"days": sorted(one.days)})
            for one in self.spans
        ]

    def opens(self, at: datetime) -> datetime | None:
        """None when something is open at that time; else when something opens next."""
        found = self.next_open(at)
        return None if found == at else found

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
        if any(begin <= local < end for begin, end in self._around(local)):
            return at
        spans = [s for offset in range(-1, 9) for s in self._begun(local.date() + timedelta(days=offset))]
        return min((b for b, _ in spans if b > local), default=None)

    def _around(self, at: datetime) -> Iterable[tuple[datetime, datetime]]:
        for offset in (-1, 0):
            yield from self._begun(at.date() + timedelta(days=offset))

    def _begun(self, day: date) -> Iterable[tuple[datetime, datetime]]:
        return [span for window in self.spans if (span := window.on(day)) is not None]


ALWAYS = Windows()
_DAYS = "mon", "tue", "wed", "thu", "fri", "sat", "sun"
_OF_DAY = {name: n for n, name in enumerate(_DAYS, 1)} | {str(n): n for n in range(1, 8)}
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", re.ASCII)


def _days_said(days: frozenset[int]) -> list[str]:
    """Nothing for all of them."""
    if days == ALL_DAYS:
        return []
    said: list[str] = []
    for day in sorted(days):
        if day - 1 in days and day > 1:
            said[-1] = f"{said[-1].partition('-')[0]}-{_DAYS[day - 1]}"
        else:
            said.append(_DAYS[day - 1])
    return [",".join(said)]


def _days_of(word: str) -> frozenset[int]:
    days: set[int] = set()
    if word == "-":  # what a form says of which no day was ticked
        raise ValueError(phrase("time.no_day"))
    for piece in word.lower().split(","):
        first, dash, last = piece.partition("-")
        begin, end = _OF_DAY.get(first), _OF_DAY.get(last if dash else first)
        if begin is None or end is None or end < begin:
            raise ValueError(phrase("time.spans"))
        days.update(range(begin, end + 1))
    return frozenset(days)


def _span(word: str, days: frozenset[int]) -> Window:
    match = _SPAN.fullmatch(word)
    if match is None or (match[3] == "24" and match[4] != "00"):
        raise ValueError(phrase("time.spans"))
    begin, end = time(int(match[1]), int(match[2])), time(int(match[3]) % 24, int(match[4]))
    if begin == end and match[3] != "24":
        raise ValueError(phrase("time.window_empty"))
    return Window(begin, end, days)


def written(text: str) -> Windows:
    """Spans of the day as people write them: ``mon-fri 09:00-11:30 14:00-17:00; sat 09:00-12:00``; days may be numbers,
    none are all of them; ``off`` or nothing: always. ``ValueError`` says what is wanted."""
    text = text.strip()
    if text in ("", "off"):
        return Windows()
    if len(text) > MOST_WRITTEN:
        raise ValueError(phrase("time.spans"))
    spans: list[Window] = []
    for group in text.split(";"):
        words = group.split()
        days = _days_of(words.pop(0)) if words and ":" not in words[0] else ALL_DAYS
        if not words:
            raise ValueError(phrase("time.spans"))
        spans += [_span(word, days) for word in words]
    if len(spans) > MAX_WINDOWS:
        raise ValueError(phrase("time.windows", most=MAX_WINDOWS))
    return Windows(tuple(spans))


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

    def coming(self, moment: datetime, most: int) -> list[datetime]:
        """The next times later than ``moment``."""
        found: list[datetime] = []
        following = self.after(moment)
        while following is not None and len(found) < most:
            found.append(following)
            following = self.after(following)
        return found

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

    def after(self, at: datetime, work: timedelta) -> datetime | None:
        """When so much work that begins at ``at``, and rests while something is closed, is done; None: not within the
        ``_TURNS`` spans that are looked at, or never."""
        for _ in range(_TURNS):
            begins = self.next_open(at)
            closes = None if begins is None else self.open_until(begins)
            if begins is None or closes is None:
                return None
            if begins + work <= closes:
                return begins + work
            work -= closes - begins
            at = closes
        return None
