"""How a text looks on the phone, counted as the gateway counts it."""

from __future__ import annotations

from dataclasses import dataclass

from smsgw.admin.pages.sending.form import MAX_CONTENT
from smsgw.core import text
from smsgw.core.sent_links import SAMPLE


@dataclass(frozen=True, slots=True)
class Preview:
    """What the phone will show, and what it costs."""

    text: str
    characters: int
    """As parts are filled (``text.count_units``), like the API's ``units``: some take the room of two."""
    coding: str
    parts: int
    left: int
    """Characters until the content is too long."""

    @property
    def double(self) -> int:
        """Characters that take the room of two: emoji and rare ones, or those of GSM 7-bit's second table."""
        return self.characters - len(self.text)

    @property
    def sampled(self) -> str:
        """What in it stands for the code of a short link that each number gets for itself; empty: nothing."""
        return SAMPLE if SAMPLE in self.text else ""


def preview(sign: str, content: str) -> Preview:
    """Count as the gateway will: the signature belongs to the text."""
    whole = f"【{sign}】{content}" if sign and content and not content.startswith("【") else content
    try:
        coding = text.choose(whole)
    except text.Unencodable:  # half a character, from a broken client; sending it is refused with its position
        whole = whole.encode("utf-8", "replace").decode()
        coding = text.choose(whole)
    return Preview(
        text=whole,
        characters=text.count_units(whole, coding),
        coding=coding.value,
        parts=text.count_parts(whole, coding) if whole else 0,
        left=MAX_CONTENT - len(whole),
    )
