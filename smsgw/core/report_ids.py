"""How a carrier spells in its reports the ids that it gave in its answers, and how that is learned.

Letter case and leading zeros are gone before (canonical ids); what is left is another base, or another byte order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

_DECIMAL = re.compile(r"[0-9]{1,40}")
_HEX = re.compile(r"[0-9a-f]{1,32}")
_OCTETS = re.compile(r"(?:[0-9a-f]{2}){8}")

ENOUGH = 3
"""Parts that must be found under one other spelling, and under no other, before it is believed."""
REMEMBERED = 10_000
"""Channels about which evidence is kept."""


class Spelling(StrEnum):
    """The id in the answer, and the same id in the report."""

    SAME = "same"
    HEX_DEC = "hex-dec"
    """Hexadecimal in the answer, decimal in the report."""
    DEC_HEX = "dec-hex"
    """Decimal in the answer, hexadecimal in the report."""
    SWAPPED = "swapped"
    """Eight octets, in the other order."""


OTHERS = (Spelling.HEX_DEC, Spelling.DEC_HEX, Spelling.SWAPPED)


def respell(carrier_id: str, spelling: Spelling) -> str | None:
    """A report's id as its answer had it; None when it cannot be an id in that spelling."""
    if spelling is Spelling.SAME:
        return carrier_id
    if spelling is Spelling.HEX_DEC:
        return f"{int(carrier_id):x}" if _DECIMAL.fullmatch(carrier_id) else None
    if spelling is Spelling.DEC_HEX:
        return str(int(carrier_id, 16)) if _HEX.fullmatch(carrier_id) else None
    return bytes.fromhex(carrier_id)[::-1].hex() if _OCTETS.fullmatch(carrier_id) else None


class Learner:
    """Gathers evidence: parts that fit an unmatched report under exactly one other spelling."""

    def __init__(self) -> None:
        self._evidence: dict[int, tuple[Spelling, set[tuple[int, int]]]] = {}

    def saw(self, channel_id: int, fits: Iterable[tuple[Spelling, int, int]]) -> Spelling | None:
        """One report and what it fits as (spelling, message id, part). The spelling, once there is enough evidence."""
        found = list(fits)
        if len(found) != 1:
            return None
        spelling, id_, part = found[0]
        known, parts = self._evidence.get(channel_id, (spelling, set()))
        if known is not spelling:
            parts = set()  # contradicts what was seen before: begin anew
        parts.add((id_, part))
        if len(parts) >= ENOUGH:
            self._evidence.pop(channel_id, None)
            return spelling
        if channel_id in self._evidence or len(self._evidence) < REMEMBERED:
            self._evidence[channel_id] = (spelling, parts)
        return None
