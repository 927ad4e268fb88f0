"""Numbers that are pasted into one field: what is read of them, and what is wrong with the rest. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.forms import Input, InputKind
from smsgw.admin.words import audience as words
from smsgw.core import numbers
from smsgw.core.number_parsing import pieces

MOST = 1000
MOST_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Recipients:
    """Pasted numbers, cleaned: each valid number once, in the order given."""

    valid: tuple[str, ...] = ()
    """E.164 digits."""
    invalid: tuple[tuple[str, str], ...] = ()
    """What was written, and why it is no number (``words.NUMBER_PROBLEM``)."""
    duplicates: int = 0
    beyond: bool = False
    """There were more characters than ``MOST`` numbers have, and nobody has looked at them."""

    @property
    def total(self) -> int:
        """How many were given."""
        return len(self.valid) + len(self.invalid) + self.duplicates


def recipients(text: str) -> Recipients:
    """Take pasted numbers apart: one a line, or separated by commas, semicolons or blanks.

    A piece that is one number with blanks or hyphens in it stays one number.
    """
    if len(text) > MOST_CHARACTERS:
        return Recipients(beyond=True)
    valid: dict[str, None] = {}
    invalid: list[tuple[str, str]] = []
    duplicates = 0
    for piece in pieces(text):
        try:
            number = numbers.normalize(piece)
        except numbers.InvalidNumber as exc:
            invalid.append((piece, exc.reason))
            continue
        if number in valid:
            duplicates += 1
        valid[number] = None
    return Recipients(tuple(valid), tuple(invalid), duplicates)


def problem(text: str) -> Problem | None:
    """What is wrong with what was typed into ``FIELD``; one bad number spoils no others (``left_out``)."""
    found = recipients(text)
    if found.invalid and not found.valid:
        return Problem(words.BAD_NUMBERS, {"numbers": _first(found)})
    if len(found.valid) > MOST:
        return Problem(words.TOO_MANY, {"n": MOST, "have": len(found.valid)})
    return None


def left_out(text: str) -> Problem | None:
    """What is passed over of what was typed into ``FIELD``: how many are no numbers, and how many came before."""
    found = recipients(text)
    said = {"bad": len(found.invalid), "numbers": _first(found), "twice": found.duplicates}
    if found.invalid:
        return Problem(words.LEFT_OUT_BOTH if found.duplicates else words.LEFT_OUT_BAD, said)
    return Problem(words.LEFT_OUT_TWICE, said) if found.duplicates else None


def _first(found: Recipients) -> str:
    return ", ".join(piece[:20] for piece, _ in found.invalid[:5]) + (" …" if len(found.invalid) > 5 else "")


FIELD = Input(
    "numbers", InputKind.LINES, "number", words.NUMBERS_HELP, required=True, most=MOST_CHARACTERS, check=problem
)
