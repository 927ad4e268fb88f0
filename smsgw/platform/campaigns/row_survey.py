"""What an import would make of rows, found out beforehand: how many of each class, some to be looked at, all numbers.

Judges by the import's own ``RowValidator``: what is said here is what then happens.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import msgspec

from smsgw.platform.campaigns.row_rules import MOST_HELD, HeldRow, RowRules
from smsgw.platform.campaigns.rows import Plan, RowValidator

MOST_KEPT = 20_000
"""Rows of one class that are given back whole, and …"""
HELD = "held"
"""The class of good rows that a reviewer has to see."""
KEPT_CHARACTERS = 8 * 1024**2
"""… what all their cells may have together."""


class Wanted(msgspec.Struct, frozen=True):
    """What is to be found out."""

    plan: Plan
    every: int = 1
    """Of the good rows one of so many is given back with its values."""
    shown: int = 100
    """Bad rows of each class that are given back, …"""
    whole: str = ""
    """… and of this one up to ``MOST_KEPT`` and ``KEPT_CHARACTERS``, with their cells."""
    rules: RowRules | None = None
    """By which rows are held for a reviewer."""


class BadRow(msgspec.Struct, frozen=True):
    """A row that would get no message."""

    line: int
    number: str
    """As written."""
    message: str
    cells: list[str] = []


class GoodRow(msgspec.Struct, frozen=True):
    """A row with the values of the text's variables."""

    line: int
    number: str
    ext: str
    values: list[str]


class Surveyed(msgspec.Struct):
    """What there is."""

    total: int
    valid: int
    problems: dict[str, int]
    bad: dict[str, list[BadRow]]
    chosen: list[GoodRow]
    numbers: bytes
    """Of all good rows, in their order: 64 bits each."""
    lines: bytes
    """Their lines, 32 bits each."""
    held: int = 0
    """Good rows that a reviewer has to see, …"""
    held_rows: list[HeldRow] = []
    """… the first of them, …"""
    reasons: list[str] = []
    """… and why."""


class RowSurvey:
    """Takes rows in, and tells."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        keep = MOST_KEPT if wanted.whole == HELD else MOST_HELD
        self._validator = RowValidator(wanted.plan, wanted.rules, keep=keep)
        self._room = KEPT_CHARACTERS
        self._bad: dict[str, list[BadRow]] = {}
        self._chosen: list[GoodRow] = []
        self._numbers = array("Q")
        self._lines = array("I")

    def take(self, rows: Iterable[tuple[int, list[str]]]) -> None:
        """Judge rows; may be called again with more."""
        every, shown, whole = self._wanted.every, self._wanted.shown, self._wanted.whole
        for good, bad in self._validator.validate(rows):
            for _, n, line, number, ext, values in good:
                self._numbers.append(int(number))
                self._lines.append(line)
                if (n - 1) % every == 0:
                    self._chosen.append(GoodRow(line, number, ext or "", list(values or ())))
            for _, _, line, _, written, code, message, cells in bad:
                kept = self._bad.setdefault(code, [])
                if code != whole:
                    if len(kept) < shown:
                        kept.append(BadRow(line, written, message, []))
                elif len(kept) < MOST_KEPT and self._room > 0:
                    self._room -= sum(map(len, cells or ()))
                    kept.append(BadRow(line, written, message, list(cells or ())))

    def result(self) -> Surveyed:
        """What was found."""
        validator = self._validator
        return Surveyed(
            validator.total, validator.valid, dict(validator.problems), self._bad, self._chosen,
            self._numbers.tobytes(), self._lines.tobytes(), validator.held, validator.held_rows, validator.reasons,
        )  # fmt: skip
