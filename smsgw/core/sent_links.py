"""The short link in a text: where it is put, and which code a message carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from smsgw.core.short_codes import LENGTH

NAME = "link"
"""What the place is called as a variable of a text."""
PLACE = "{link}"
"""Where the address is put."""
SAMPLE = "X" * LENGTH
"""In the place of a code that nobody has been given yet: as long as one."""


@dataclass(frozen=True, slots=True)
class LinkCode:
    """One code of a short link, as a message carries it."""

    link_id: int
    n: int
    """Which of the link's codes, from 0."""
    address: str = field(compare=False)
    """What stands in the text."""
    target: str = field(compare=False)
    """Where it leads."""
    personal: bool = True
    """Whether one recipient alone has it."""

    def put(self, text: str) -> str:
        """The text with the address in its places."""
        return text.replace(PLACE, self.address)

    def values(self, params: Mapping[str, str]) -> dict[str, str]:
        """A template's values with the address in their places; the variable ``NAME`` has it unless it has its own."""
        return {NAME: self.address} | {name: self.put(value) for name, value in params.items()}

    def bare(self, text: str) -> str:
        """The text without what tells one recipient's from another's."""
        return text.replace(self.address, PLACE) if self.personal and self.address else text
