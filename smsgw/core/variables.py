"""Variables in a text: ``{name}`` stands for a recipient's own value. ``{{`` and ``}}`` are braces themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_NAME = 32
_TOKEN = re.compile(r"\{\{|\}\}|\{(\w{1,32})\}")


class Template:
    """A text taken apart once and filled for each recipient; what is filled in is never looked at again."""

    __slots__ = ("_pieces", "_places", "names", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        pieces = [""]
        found: list[str] = []
        end = 0
        for match in _TOKEN.finditer(text):
            pieces[-1] += text[end : match.start()]
            end = match.end()
            if match[1] is None:
                pieces[-1] += match[0][0]
            else:
                found.append(match[1])
                pieces.append("")
        pieces[-1] += text[end:]
        self.names: tuple[str, ...] = tuple(dict.fromkeys(found))
        """The variables in the order of their first appearance."""
        self._places = tuple(self.names.index(name) for name in found)
        self._pieces = tuple(pieces)

    def fill(self, values: Sequence[str]) -> str:
        """The text with ``values``, one a name in the order of ``names``."""
        if not self._places:
            return self._pieces[0]
        filled = [self._pieces[0]]
        for place, piece in zip(self._places, self._pieces[1:], strict=True):
            filled += (values[place], piece)
        return "".join(filled)
