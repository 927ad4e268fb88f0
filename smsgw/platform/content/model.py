"""Signatures and templates as everybody above sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SIGN, TEMPLATE = "sign", "template"
"""The two kinds of them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A signature or template as it stands."""

    row: Mapping[str, Any]
    carriers: Mapping[str, Mapping[str, str]]
    """Carrier -> state and note; all mainland carriers."""
