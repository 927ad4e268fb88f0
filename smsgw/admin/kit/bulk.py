"""Lists of which millions of rows are taken away: the server writes cells, and what is left here is done by columns.

A list says of each column what it is in SQL (``Bulk``); words, masks and formulas are this module's, so that a file has
what the list shows. A test holds both ways against each other, row by row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from smsgw.admin.kit import cells
from smsgw.admin.kit.cells import CellValue, Say
from smsgw.admin.kit.filters import Found
from smsgw.admin.kit.tables import Cell, Column
from smsgw.core import numbers
from smsgw.core.actor import Actor
from smsgw.core.cells import harmless
from smsgw.platform.handles import Database

MOST_KNOWN = 5000
Sink = Callable[[bytes], Coroutine[Any, Any, None]]
"""Takes octets of rows, as PostgreSQL copies them as text, cut anywhere."""


class Copy(Protocol):
    """Copies the fields of a day's rows into a sink, in the order of their ids."""

    async def __call__(
        self, database: Database, actor: Actor, found: Found, day: date, fields: Sequence[str], sink: Sink, *,
        descending: bool,
    ) -> None: ...  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bulk:
    """How a list is copied."""

    fields: frozenset[str]
    """Keys of columns that the server can write."""
    days: Callable[[Database, Actor, Found], Awaitable[Sequence[tuple[date, int]]]]
    """Days and how many rows they have, the newest last."""
    copy: Copy
    made: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    """What the value of a column is by what was copied, where it is not the text itself."""


class _Known(dict[str, str]):
    """Cells by what was copied: of columns with few values, or what has come of late."""

    def __init__(self, make: Callable[[str], CellValue]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: str) -> str:
        if len(self) >= MOST_KNOWN:
            self.clear()
        made = self[text] = str(harmless(self._make(text)))
        return made


_FEW = frozenset({Cell.WORD, Cell.STATE, Cell.TAGS, Cell.BOOL})
_SAFE = frozenset({Cell.NUMBER, Cell.TIME, Cell.MONEY, Cell.PRICE, Cell.PERCENT})
"""What the server has written of these is no formula."""
_UNESCAPED = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r", "\\b": "\b", "\\f": "\f", "\\v": "\v"}


def _plain(text: str) -> str:
    """A cell of a copy without its escapes."""
    made, at = [], 0
    while (found := text.find("\\", at)) >= 0:
        made += [text[at:found], _UNESCAPED[text[found : found + 2]]]
        at = found + 2
    return "".join([*made, text[at:]])


class Reader:
    """Turns octets of a copy into cells of the columns."""

    def __init__(self, columns: Sequence[Column], bulk: Bulk, say: Say) -> None:
        self._left = b""
        self._ways: list[tuple[int, Callable[[str], str]]] = []
        for at, column in enumerate(columns):
            if column.kind in _FEW:
                self._ways.append((at, _Known(_shown(column, bulk, say)).__getitem__))
            elif column.kind is Cell.PHONE:
                self._ways.append((at, _masked))
            elif column.kind not in _SAFE:
                self._ways.append((at, _harmless))

    def rows(self, octets: bytes) -> list[list[str]]:
        """The whole rows of what has come so far."""
        whole, end, self._left = (self._left + octets).rpartition(b"\n")
        if not end:
            return []
        ways, made = self._ways, []
        for line in whole.decode().split("\n"):
            row = line.split("\t")
            if "\\" in line:
                row = [_plain(cell) if "\\" in cell else cell for cell in row]
            for at, way in ways:
                row[at] = way(row[at])
            made.append(row)
        return made


def _shown(column: Column, bulk: Bulk, say: Say) -> Callable[[str], CellValue]:
    value = bulk.made.get(column.key)

    def shown(text: str) -> CellValue:
        got = text if value is None else value(text)
        return cells.of(got, column, say)

    return shown


def _masked(text: str) -> str:
    return numbers.mask(text) if text else ""


def _harmless(text: str) -> str:
    return text if text[:1].isalnum() or text[:1] == "【" else str(harmless(text))
