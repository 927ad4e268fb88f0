"""Details of one row: sections of labelled values, and what a change has changed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from smsgw.admin.kit.tables import Column
from smsgw.core.ids import CHINA
from smsgw.core.words import Wording, labels_of, listed

MOST_DIFFERENCES = 200
NOTHING = "—"


@dataclass(frozen=True, slots=True)
class Section:
    """Values under a heading; ``row`` has what the columns show."""

    columns: Sequence[Column]
    row: Any
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value before and after; None: it was, or is, not there."""

    name: str
    """Its path, in the names of the program."""
    before: str | Wording | None
    after: str | Wording | None

    @property
    def terms(self) -> tuple[str | Wording, ...]:
        """The path in words; a name that has none stands for itself."""
        fields = labels_of("audit_field")
        return tuple(fields.get(name, name) for name in self.name.split("."))

    @property
    def changed(self) -> bool:
        """Whether it is another one now."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Button:
    """A change that a detail offers: a form of one button. ``asks``: its answer is a dialog about the effect."""

    label: str
    path: str
    danger: bool = False
    primary: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Past:
    """Something that was done to it: when, what, by whom (a name), and values with their labels, all of it in words."""

    at: datetime
    what: str
    who: str
    facts: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Detail:
    """What is shown of one row, on a page of its own or in the drawer. ``refresh``: seconds, while it changes."""

    title: str | Wording
    sections: Sequence[Section]
    differences: Sequence[Difference] = ()
    buttons: Sequence[Button] = ()
    links: Sequence[tuple[str, str]] = ()
    """Pages that change it: label, address."""
    tabs: Sequence[tuple[str, str]] = ()
    """Its other pages (label, address), the first one this; in the drawer links."""
    piece: tuple[str, Mapping[str, Any]] | None = None
    """A template of its own behind the notice, and its values (as ``piece``)."""
    refresh: int = 0
    notice: str = ""
    good: bool | None = True
    """Whether the notice is a good one; ``None``: it explains."""
    standing: str = ""
    """What holds of it whatever else there is to notice, as that it rehearses."""
    past: Sequence[Past] = ()
    """Its history, the newest first."""
    opened: str = ""
    """Where the page says by a POST with the row's id that it was opened; empty: nowhere."""


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[Difference]:
    """The values of two objects side by side, those within them by their path; in the order of names."""
    old, new = _flat(before or {}), _flat(after or {})
    names = sorted(old.keys() | new.keys())[:MOST_DIFFERENCES]
    return [Difference(name, old.get(name), new.get(name)) for name in names]


def _flat(values: Mapping[str, Any], path: str = "") -> dict[str, str | Wording]:
    found: dict[str, str | Wording] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{path}{name}.")
        elif isinstance(value, list):
            found[f"{path}{name}"] = listed(map(_said, value)) if value else NOTHING
        else:
            found[f"{path}{name}"] = _said(value)
    return found


def _said(value: Any) -> str | Wording:
    """A value in words, if it is a code that has some; a moment as people here read it."""
    if value is None or value == {}:
        return NOTHING
    text = str(value)
    if len(text) >= 19 and text[4:5] == "-" and text[10:11] in "T ":
        with contextlib.suppress(ValueError):
            at = datetime.fromisoformat(text)
            return f"{at.astimezone(CHINA) if at.tzinfo else at:%Y-%m-%d %H:%M:%S}"
    return labels_of("audit_value").get(text, text)
