"""Numbers that are pasted into one field, taken apart. Pure."""

from __future__ import annotations

import re

from smsgw.core import numbers

_BETWEEN = re.compile(r"[\n\r\t,;|/\uff0c\uff1b\u3001]+")


def pieces(text: str) -> list[str]:
    """One a line, or separated by commas, semicolons or blanks; all of them as written, right or wrong. A piece that is
    one number with blanks or hyphens in it stays one."""
    found: list[str] = []
    for piece in (p.strip() for p in _BETWEEN.split(text)):
        try:
            numbers.normalize(piece)
        except numbers.InvalidNumber:
            found.extend(piece.split())
        else:
            found.append(piece)
    return found
