"""Numbers that are typed into one field: what is read of them, and what is wrong with them."""

from __future__ import annotations

import re

from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.forms import Field, Kind
from smsgw.admin.words import audience as words
from smsgw.core.numbers import InvalidNumber, normalize

MOST = 1000
MOST_CHARACTERS = 20_000


def read(text: str) -> tuple[list[str], list[int]]:
    """The numbers (E.164 digits, each once, in their order) and the places, from 1, of what is none."""
    found: dict[str, None] = {}
    bad: list[int] = []
    for at, piece in enumerate(re.split(r"[\s,;，；、]+", text.strip()), 1):
        try:
            found[normalize(piece)] = None
        except InvalidNumber:
            bad.append(at)
    return list(found), bad


def problem(text: str) -> Problem | None:
    """What is wrong with what was typed."""
    found, bad = read(text)
    if bad:
        shown = ", ".join(map(str, bad[:5])) + (" …" if len(bad) > 5 else "")
        return Problem(words.BAD_LINES, {"lines": shown})
    if len(found) > MOST:
        return Problem(words.TOO_MANY, {"n": MOST, "have": len(found)})
    return None


FIELD = Field(
    "numbers", Kind.LINES, "number", words.NUMBERS_HELP, required=True, most=MOST_CHARACTERS, check=problem
)
