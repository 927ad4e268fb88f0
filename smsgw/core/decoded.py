"""A PDU taken apart, for those who show it and know no protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decoded:
    """Its fields with the specification's names, in the order of the wire."""

    protocol: str = ""
    """The version that fits; empty: none does."""
    name: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    inside: tuple[tuple[str, str], ...] = ()
    """Those of the report or receipt in it."""
    trouble: str = ""
    """Why it could not be taken apart."""


Decode = Callable[[str, bytes], Decoded]
"""By the protocol that its channel speaks, and its octets."""
