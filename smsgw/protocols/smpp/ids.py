"""Is the id in a receipt the one of the answer? Peers spell the same number in two ways."""

from __future__ import annotations

import re
from typing import Literal

#: How a peer spells its message ids, in the answer and in the receipt.
Mode = Literal["text", "hex-dec", "dec-hex", "hex", "dec"]
Base = Literal["text", "hex", "dec"]

_BASES: dict[Mode, tuple[Base, Base]] = {
    "text": ("text", "text"),
    "hex-dec": ("hex", "dec"),
    "dec-hex": ("dec", "hex"),
    "hex": ("hex", "hex"),
    "dec": ("dec", "dec"),
}
_HEX = re.compile(r"[0-9A-Fa-f]{1,64}")
_DEC = re.compile(r"[0-9]{1,64}")


def canonical(message_id: str, base: Base = "text") -> str:
    """One spelling for all equal ids of a base: numbers in decimal, text without case and leading zeros.

    Never fails: what is not a number in its base is text.
    """
    plain = message_id.strip(" \0")
    if base == "hex" and _HEX.fullmatch(plain):
        return str(int(plain, 16))
    if base == "dec" and _DEC.fullmatch(plain):
        return str(int(plain))
    folded = plain.lower()
    return folded.lstrip("0") or folded[:1]


def canonical_pair(mode: Mode) -> tuple[Base, Base]:
    """The bases of the id in the answer and in the receipt."""
    return _BASES[mode]


def same_message_id(answer: str, receipt: str, mode: Mode = "text") -> bool:
    """Whether a receipt's id means the message of an answer. Equal octets are always the same id.

    `mode` ``hex-dec``: hexadecimal in the answer, decimal in the receipt; ``dec-hex`` the reverse.
    Empty ids mean nothing.
    """
    if not answer or not receipt:
        return False
    if answer == receipt:
        return True
    first, second = _BASES[mode]
    return canonical(answer, first) == canonical(receipt, second)
