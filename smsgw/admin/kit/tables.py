"""Tables of lists: columns, order, the cursor that leads to another page, and what a person likes to see of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from smsgw.admin.kit import tokens
from smsgw.core.permissions import Permission
from smsgw.platform.handles import Sealer
from smsgw.platform.paging import Window

PAGE_SIZES = (10, 20, 50, 100)
DENSITIES = ("normal", "compact")
MOST_COLUMNS = 60


class Cell(StrEnum):
    """How a cell looks, and how it is written into a file."""

    TEXT = "text"
    LONG = "long"
    """Cut off after two lines; whole in its title."""
    CODE = "code"
    NUMBER = "number"
    PERCENT = "percent"
    """None: of nothing."""
    MONEY = "money"
    """Yuan, to the fen."""
    PRICE = "price"
    """Yuan to a hundredth of a fen: of one unit, or of few of them."""
    TIME = "time"
    SPAN = "span"
    """A duration."""
    HOURS = "hours"
    """Spans of the day (``core.schedule.Windows``)."""
    SIZE = "size"
    """Octets."""
    PHONE = "phone"
    """Masked, wherever it goes."""
    STATE = "state"
    """A badge; ``words`` has its label, ``tones`` its colour."""
    WORD = "word"
    """A label of ``words``."""
    BOOL = "bool"
    LINK = "link"
    """(label, address inside the portal)."""
    PROGRESS = "progress"
    """Percent, or None: not known; with what is to be said of the rest: (percent, words)."""
    USER = "user"
    """(name, login), or (what a code means, the code)."""
    TAGS = "tags"
    """Several short texts; ``words`` may have their labels."""
    MARKED = "marked"
    """A text in pieces: (piece, why it is marked or empty)."""
    DEVICE = "device"
    """How a browser calls itself, made readable; whole in its title."""
    COPIED = "copied"
    """A text to be copied, with a button for it."""
    PICTURE = "picture"
    """The address of a small picture; None: there is none."""
    HASH = "hash"
    """A long digest as code: all of it, in as many lines as the table has room for."""


NUMBERS = frozenset({Cell.NUMBER, Cell.PERCENT, Cell.MONEY, Cell.PRICE, Cell.SIZE})
"""They stand at the right."""


class Phone(StrEnum):
    """Where a column stands on a phone, whose rows have three lines."""

    TITLE = "title"
    BESIDE = "beside"
    """At the end of the first line."""
    SECOND = "second"
    THIRD = "third"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``label``: a term; empty: the one of the key."""

    key: str
    kind: Cell = Cell.TEXT
    label: str = ""
    sort: bool = False
    """The list's statement has an order of this key."""
    permission: Permission | None = None
    """Without it the column does not exist for somebody."""
    value: Callable[[Any], Any] | None = None
    """From a row; None: the attribute, or the item, of the key."""
    words: Mapping[str, str] = field(default_factory=dict)
    tones: Mapping[str, str] = field(default_factory=dict)
    shown: bool = True
    """Unless a person wants it otherwise."""
    phone: Phone = Phone.THIRD
    to: Callable[[Any], str] | None = None
    """The address of what a number counts, or of what a word is about; empty: none."""
    when: Callable[[Any], bool] | None = None
    """For which filters (``Found``) it is there at all, and then always; None: for any."""
    blank: str = ""
    """What nothing means here, a word of ``words`` (长期有效); empty: a dash."""
    figure: Callable[[Any], tuple[str, str]] | None = None
    """Its name among the figures that several pages show, and its scope, of a row; None: it is none of them."""

    @property
    def right(self) -> bool:
        """Whether it is of numbers."""
        return self.kind in NUMBERS

    def of(self, row: Any) -> Any:
        """The value in a row."""
        if self.value is not None:
            return self.value(row)
        return getattr(row, self.key) if hasattr(row, self.key) else row[self.key]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a person sees a table."""

    columns: tuple[Column, ...]
    density: str = DENSITIES[0]
    size: int = 20

    @property
    def keys(self) -> frozenset[str]:
        """Of the columns that are shown."""
        return frozenset(column.key for column in self.columns)


def allowed(columns: Sequence[Column], permissions: Collection[Permission]) -> tuple[Column, ...]:
    """The columns that exist for somebody."""
    return tuple(c for c in columns if c.permission is None or c.permission in permissions)


def fitting(columns: Sequence[Column], found: Any) -> tuple[Column, ...]:
    """Those of the columns that are there for a filter."""
    return tuple(c for c in columns if c.when is None or c.when(found))


def layout(columns: Sequence[Column], chosen: Mapping[str, Any]) -> Layout:
    """What was chosen, as far as it can be had; whatever it holds, there is at least one column. Columns stand in the
    order in which they were chosen; the page's own order without a choice."""
    by_key = {column.key: column for column in columns}
    wanted = chosen.get("columns")
    keys = [key for key in wanted if isinstance(key, str)] if isinstance(wanted, list) else []
    picked = tuple(by_key[key] for key in dict.fromkeys(keys) if key in by_key)
    if picked:  # what the filter brings with it stands behind the first
        picked = (*picked[:1], *(c for c in columns if c.when is not None and c not in picked), *picked[1:])
    density, size = chosen.get("density"), chosen.get("size")
    return Layout(
        picked or tuple(c for c in columns if c.shown) or tuple(columns[:1]),
        density if density in DENSITIES else DENSITIES[0],
        size if size in PAGE_SIZES else 20,
    )


# --- order and cursor --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of rows; in an address ``key`` or ``-key``."""

    key: str
    descending: bool = True

    def __str__(self) -> str:
        return f"-{self.key}" if self.descending else self.key


def read_sort(text: str, columns: Sequence[Column], default: Sort) -> Sort:
    """An order that one of the columns has; the default for anything else."""
    key = text.removeprefix("-")
    if any(column.sort and column.key == key for column in columns):
        return Sort(key, text.startswith("-"))
    return default


def cursor(sealer: Sealer, place: str, after: tuple[str, int], *, backwards: bool = False) -> str:
    """A token of the page that begins after a row, or ends before it. ``place``: list, person, filter and order."""
    return tokens.make(sealer, f"cursor {place}", [after[0], after[1], backwards])


def window(sealer: Sealer, place: str, text: str, sort: Sort, size: int) -> Window | None:
    """The window of a cursor (empty: the first one); None for a cursor that was not made for this place."""
    if not text:
        return Window(sort.key, sort.descending, limit=size)
    value = tokens.read(sealer, f"cursor {place}", text)
    match value:
        case [str(key), int(id_), bool(backwards)]:
            return Window(sort.key, sort.descending, (key, id_), backwards, size)
        case _:
            return None


def place(name: str, login: str, state: Mapping[str, str], sort: Sort) -> str:
    """What a cursor or a selection is bound to."""
    said = "\0".join([name, login, str(sort), *(f"{key}={text}" for key, text in sorted(state.items()))])
    return hashlib.sha256(said.encode()).hexdigest()
