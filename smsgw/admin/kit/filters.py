"""Filter bars: declared fields, read from the address of a page and written back into it.

A bad value never breaks a page: it is told at its field, and nothing is looked for until it is mended.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from smsgw.admin.words import kit as words
from smsgw.core import numbers
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 12, 31)
MOST_TEXT = 64
MOST_QUERY = 8000
"""Characters of a whole filter in an address; a longer one is refused: a part of it would find more."""


class FieldKind(StrEnum):
    """What a field takes."""

    TEXT = "text"
    CHOICE = "choice"
    PHONE = "phone"
    """A whole mobile number."""
    ID = "id"
    NUMBER = "number"
    ADDRESS = "address"
    """An address or a network."""
    DIGITS = "digits"
    DAYS = "days"
    """A first and a last day, either of which may be left out (``KEY_from``, ``KEY_to``)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a value: a sentence of ``words`` and what fills it."""

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a filter bar. ``label``: a term; empty: the one of the key."""

    key: str
    kind: FieldKind = FieldKind.TEXT
    label: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    """Value -> label; what a page knows only when it is asked, it gives with the request (``read``)."""
    more: bool = False
    """Folded away until it is used (更多)."""
    most: int = MOST_TEXT
    least: int = 0
    """Characters that it takes at least."""
    days: int = 0
    """Days of the list's time with which it can be used at most; 0: any."""
    hint: str = ""
    """Key of a sentence of ``words.HINTS``: what may be typed."""
    blank: str = ""
    """What a choice says that is not made; empty: all."""
    permission: Permission | None = None
    """For whom it exists; None: everybody."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Its names in the address."""
        return (f"{self.key}_from", f"{self.key}_to") if self.kind is FieldKind.DAYS else (self.key,)


PRESETS: tuple[str, ...] = ("today", "yesterday", "7d", "30d", "custom")


@dataclass(frozen=True, slots=True)
class Period:
    """The time of a list: a preset, or two days that the person names. ``default`` holds when nothing is said."""

    default: str = "today"
    most_days: int = 366


@dataclass(frozen=True, slots=True)
class Filter:
    """The filter bar of a page."""

    fields: Sequence[Field] = ()
    period: Period | None = field(default_factory=Period)
    """None: the list has no time."""

    def allowed(self, permissions: Collection[Permission]) -> Filter:
        """With those of its fields that exist for somebody who may do that."""
        fields = [one for one in self.fields if one.permission is None or one.permission in permissions]
        return Filter(fields, self.period)

    def read(
        self, query: Mapping[str, str], now: datetime, choices: Mapping[str, Mapping[str, str]] | None = None
    ) -> Found:
        """What an address asks for. ``choices``: those of fields that depend on who asks, by key."""
        found = Found(self, {}, {}, choices=dict(choices or {}))
        if self.period is not None:
            _read_period(self.period, found, query, now.astimezone(CHINA))
        for one in self.fields:
            _read_field(one, found, query)
            if one.days and one.key in found.values and found.longer(one.days):
                found.errors[one.key] = Problem(words.FEWER_DAYS, {"n": one.days})
        return found

    @property
    def keys(self) -> tuple[str, ...]:
        """All names that it has in an address."""
        time = ("time", "from", "to") if self.period is not None else ()
        return (*time, *(key for one in self.fields for key in one.keys))


@dataclass(slots=True)
class Found:
    """A filter that was read: as typed, as values, and what is wrong with it."""

    filter: Filter
    texts: dict[str, str]
    """As typed, by name in the address; what was left out is not in it."""
    values: dict[str, Any]
    """What could be read, by key."""
    errors: dict[str, Problem] = field(default_factory=dict)
    """By key; ``time`` for the period."""
    choices: dict[str, Mapping[str, str]] = field(default_factory=dict)
    preset: str = ""
    from_time: datetime | None = None
    to_time: datetime | None = None
    """The first moment that is not in it any more."""

    def get(self, key: str, default: Any = "") -> Any:
        """The value of a field."""
        return self.values.get(key, default)

    @property
    def listed(self) -> dict[str, Any]:
        """The values for the filter of a listing; those of the period are ``since`` and ``until``."""
        period = {"since": self.from_time, "until": self.to_time} if self.from_time is not None else {}
        return self.values | period

    @property
    def times(self) -> tuple[datetime, datetime]:
        """From and to; only of a filter that has a period and no errors."""
        if self.from_time is None or self.to_time is None:
            raise ValueError("this filter has no time")
        return self.from_time, self.to_time

    @property
    def days(self) -> tuple[date, date] | None:
        """The first and the last day of its time; None: it has none."""
        if self.from_time is None or self.to_time is None:
            return None
        last = self.to_time - timedelta(microseconds=1)
        return self.from_time.astimezone(CHINA).date(), last.astimezone(CHINA).date()

    def longer(self, days: int) -> bool:
        """Whether its time is longer than that."""
        first, last = self.from_time, self.to_time
        return first is not None and last is not None and last - first > timedelta(days=days)

    def typed(self, one: Field) -> list[str]:
        """What a field has, as typed: of a span of days up to two texts."""
        return [text for key in one.keys if (text := self.texts.get(key, ""))]

    def of(self, one: Field) -> Mapping[str, str]:
        """The choices of a field: its own are words to be translated, those of ``choices`` stand as they are."""
        return self.choices.get(one.key, one.choices)

    def day(self, key: str) -> str:
        """The day of a name in the address, as a date field can show it; empty when it is none."""
        text = self.texts.get(key, "")
        return text if len(text) == 10 and _day(Found(self.filter, {}, {}), key, text) else ""

    @property
    def plain(self) -> bool:
        """Whether nothing but the time narrows the list."""
        return not self.values and not self.errors

    @property
    def folded(self) -> int:
        """How many of the folded fields are in use."""
        return sum(any(key in self.texts for key in one.keys) for one in self.filter.fields if one.more)

    @property
    def state(self) -> dict[str, str]:
        """As it stands in an address."""
        time: dict[str, str] = {}
        period = self.filter.period
        if period is not None and self.preset != period.default:
            time["time"] = self.preset
        return time | {key: text for key, text in self.texts.items() if text}

    def query(self, **changes: str) -> str:
        """The query of an address for this filter, with some names changed; what is empty is left out."""
        return urlencode({key: text for key, text in (self.state | changes).items() if text})


def _read_period(period: Period, found: Found, query: Mapping[str, str], now: datetime) -> None:
    midnight = datetime(now.year, now.month, now.day, tzinfo=CHINA)
    preset = query.get("time", period.default)
    found.preset = preset if preset in PRESETS else period.default
    back = {"today": 0, "yesterday": 1, "7d": 6, "30d": 29}.get(found.preset)
    if back is not None:
        found.from_time = midnight - timedelta(days=back)
        found.to_time = midnight if found.preset == "yesterday" else midnight + timedelta(days=1)
        return
    for key in ("from", "to"):
        if text := query.get(key, "").strip():
            found.texts[key] = text[:MOST_TEXT]
    first, last = (_day(found, "time", found.texts.get(key, "")) for key in ("from", "to"))
    today = midnight.date()
    if "time" not in found.errors:
        found.from_time, found.to_time = _span(found, first or last or today, last or today, period.most_days)


def _day(found: Found, key: str, text: str) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        found.errors[key] = Problem(words.BAD_DAY)
        return None
    if not FIRST_DAY <= day <= LAST_DAY:
        found.errors[key] = Problem(words.FAR_DAY, {"first": FIRST_DAY, "last": LAST_DAY})
        return None
    return day


def _span(found: Found, first: date, last: date, most: int) -> tuple[datetime, datetime]:
    if first > last:
        found.errors["time"] = Problem(words.DAYS_TURNED)
    elif (last - first).days >= most:
        found.errors["time"] = Problem(words.TOO_MANY_DAYS, {"n": most})
    return _midnight(first), _midnight(last) + timedelta(days=1)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=CHINA)


def _read_field(one: Field, found: Found, query: Mapping[str, str]) -> None:
    texts = {key: text for key in one.keys if (text := query.get(key, "").strip())}
    if not texts:
        return
    found.texts |= {key: text[: MOST_TEXT * 4] for key, text in texts.items()}
    if any(len(text) > one.most for text in texts.values()):
        found.errors[one.key] = Problem(words.TOO_LONG, {"n": one.most})
        return
    if any(len(text) < one.least for text in texts.values()):
        found.errors[one.key] = Problem(words.TOO_SHORT, {"n": one.least})
        return
    if one.kind is FieldKind.DAYS:
        _read_days(one, found, texts)
        return
    text = texts[one.key]
    problem, value = _READERS[one.kind](text, found.of(one))
    if problem is not None:
        found.errors[one.key] = problem
    else:
        found.values[one.key] = value
    if one.kind is FieldKind.PHONE and problem is None:  # in one form, in which logs know and mask it
        found.texts[one.key] = numbers.national(value) if numbers.is_mainland(value) else f"+{value}"


def _read_days(one: Field, found: Found, texts: Mapping[str, str]) -> None:
    first, last = (_day(found, one.key, texts.get(key, "")) for key in one.keys)
    if one.key in found.errors:
        return
    if first and last and first > last:
        found.errors[one.key] = Problem(words.DAYS_TURNED)
        return
    until = None if last is None else _midnight(last) + timedelta(days=1)
    found.values[one.key] = (None if first is None else _midnight(first), until)


Read = tuple[Problem | None, Any]


def _text(text: str, _: Mapping[str, str]) -> Read:
    return (None, text) if text.isprintable() else (Problem(words.UNPRINTABLE), None)


def _choice(text: str, choices: Mapping[str, str]) -> Read:
    return (None, text) if text in choices else (Problem(words.NO_SUCH_CHOICE), None)


def _phone(text: str, _: Mapping[str, str]) -> Read:
    try:
        return None, numbers.normalize(text)
    except numbers.InvalidNumber:
        return Problem(words.BAD_PHONE), None


def _id(text: str, _: Mapping[str, str]) -> Read:
    value = read_id(text)
    return (Problem(words.BAD_ID), None) if value is None else (None, value)


def _number(text: str, _: Mapping[str, str]) -> Read:
    if re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
        return None, int(text)
    return Problem(words.BAD_NUMBER), None


def _digits(text: str, _: Mapping[str, str]) -> Read:
    return (None, text) if re.fullmatch(r"[0-9]+", text, re.ASCII) else (Problem(words.BAD_DIGITS), None)


def _address(text: str, _: Mapping[str, str]) -> Read:
    try:
        return None, network(text)
    except ValueError:
        return Problem(words.BAD_ADDRESS), None


def network(text: str) -> str:
    """An address or a network as the database knows it, without what a zone (``%eth0``) says. Raises ``ValueError``."""
    if "%" in text:
        raise ValueError(text)
    return str(ipaddress.ip_network(text, strict=False))


_READERS: dict[FieldKind, Callable[[str, Mapping[str, str]], Read]] = {
    FieldKind.TEXT: _text,
    FieldKind.CHOICE: _choice,
    FieldKind.PHONE: _phone,
    FieldKind.ID: _id,
    FieldKind.NUMBER: _number,
    FieldKind.ADDRESS: _address,
    FieldKind.DIGITS: _digits,
}


def read_id(text: str) -> int | None:
    """An id from an address or a form; None for anything else."""
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,18}", text, re.ASCII) and int(text) < 2**63 else None
