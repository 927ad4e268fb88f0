"""Cells as plain values: what a file, or a chart as a table, has of a column."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from smsgw.admin.kit import spans
from smsgw.admin.kit.tables import Cell, Column
from smsgw.admin.words import kit as words
from smsgw.admin.words.agents import device
from smsgw.admin.words.terms import TERMS
from smsgw.core import numbers
from smsgw.core.ids import CHINA
from smsgw.core.pseudonyms import is_pseudonym
from smsgw.core.words import Wording

Say = Callable[[str | Wording], str]
"""A text in the reader's language."""
CellValue = str | int | float | Decimal


def heading(column: Column, say: Say) -> str:
    """The label of a column."""
    return say(TERMS[column.label or column.key])


def plain(column: Column, row: Any, say: Say) -> CellValue:
    """The value of a cell as text or number; phone numbers masked, states and words by their labels."""
    return of(column.of(row), column, say)


def of(value: Any, column: Column, say: Say) -> CellValue:
    """The same of the value itself."""
    if value is None or value == "":
        return ""
    return _PLAIN.get(column.kind, _text)(value, column, say)


def _text(value: Any, _: Column, say: Say) -> CellValue:
    if isinstance(value, Wording):
        return say(value)
    return value if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else str(value)


def _percent(value: Any, _: Column, __: Say) -> CellValue:
    return f"{value:.2f}%"


def _progress(value: Any, _: Column, say: Say) -> CellValue:
    percent, rest = value if isinstance(value, tuple) else (value, "")
    return f"{percent}% · {say(rest)}" if rest else int(percent)


def _price(value: Any, _: Column, __: Say) -> CellValue:
    return f"{value:.4f}"


def _time(value: Any, _: Column, __: Say) -> CellValue:
    return f"{value.astimezone(CHINA):%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)


def _span(value: Any, _: Column, __: Say) -> CellValue:
    return round(value.total_seconds(), 3) if isinstance(value, timedelta) else str(value)


def _hours(value: Any, _: Column, say: Say) -> CellValue:
    return spans.said(value, say)


def masked(number: str, say: Say) -> str:
    """A number as people see it: masked, or that it is not known any more."""
    return say(words.NUMBER_GONE) if is_pseudonym(number) else numbers.mask(number)


def _phone(value: Any, _: Column, say: Say) -> CellValue:
    return masked(str(value), say)


def _word(value: Any, column: Column, say: Say) -> CellValue:
    label = column.words.get(str(value))
    return say(label or value) if label or isinstance(value, Wording) else str(value)


def _bool(value: Any, _: Column, say: Say) -> CellValue:
    return say(words.YES if value else words.NO)


def _first(value: Any, _: Column, __: Say) -> CellValue:
    return str(value[0])


def _user(value: Any, _: Column, say: Say) -> CellValue:
    name, login = value
    if isinstance(name, Wording):
        name = say(name)
    return f"{name} ({login})" if name and name != login else str(login)


def _tags(value: Any, column: Column, say: Say) -> CellValue:
    return ", ".join(str(_word(one, column, say)) for one in value)


def _marked(value: Any, _: Column, __: Say) -> CellValue:
    return "".join(piece for piece, _why in value)


def _device(value: Any, _: Column, say: Say) -> CellValue:
    return device(str(value), say)


_PLAIN: dict[Cell, Callable[[Any, Column, Say], CellValue]] = {
    Cell.PERCENT: _percent,
    Cell.PROGRESS: _progress,
    Cell.PRICE: _price,
    Cell.TIME: _time,
    Cell.SPAN: _span,
    Cell.HOURS: _hours,
    Cell.PHONE: _phone,
    Cell.STATE: _word,
    Cell.WORD: _word,
    Cell.BOOL: _bool,
    Cell.LINK: _first,
    Cell.USER: _user,
    Cell.TAGS: _tags,
    Cell.MARKED: _marked,
    Cell.DEVICE: _device,
}
