"""What others have written, as it may stand in a log or on a terminal."""

from __future__ import annotations

import unicodedata
from typing import Final

_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Controls, among them those of terminals; marks that turn the direction of writing; ends of lines."""


_IN_LINES: Final = str.maketrans("", "", "\n\t\u3000\u00a0")
"""In a text of several lines, as people write: blanks of full width, too."""


def lines_printable(text: str) -> bool:
    """Whether a text of several lines has nothing in it that is not seen."""
    return text.translate(_IN_LINES).isprintable()


def printable(text: str) -> str:
    r"""The text on one line: what would move a cursor, end a line or turn the text around is written as ``\x1b``,
    ``\n``, ``\u202e``."""
    if text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in _UNSAFE else c for c in text)
