"""Keyed hashes in the place of numbers whose time is over: the same number has the same one, and none leads back."""

from __future__ import annotations

import hmac
from typing import Final

PREFIX: Final = "#"
"""Of what stands for a number; no number begins so."""
GONE: Final = PREFIX
"""In the place of a number that is shown to somebody: there is one, and it is not known any more. The hash itself
is for comparing, never for people."""
OCTETS = 16
"""Of the hash that are kept: enough that no two numbers meet."""


def pseudonym(key: bytes, number: str) -> str:
    """The hash of a number in E.164 digits (HMAC-SHA-256, 128 bits)."""
    return PREFIX + hmac.digest(key, number.encode(), "sha256")[:OCTETS].hex()


def is_pseudonym(text: str) -> bool:
    """Whether that stands for a number that is not known any more."""
    return text.startswith(PREFIX)


def told_number(number: str) -> str:
    """A stored number as programs are told it: itself, or nothing."""
    return "" if number.startswith(PREFIX) else number


def shown(number: str) -> str:
    """A stored number as it may be told: itself, or ``GONE``."""
    return GONE if number.startswith(PREFIX) else number
