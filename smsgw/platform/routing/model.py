"""Published route tables, and the limits of what operators know of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smsgw.core.actor import ActorLabel
from smsgw.core.numbers import CBN, CMCC, CTCC, CUCC

EMPTY: Mapping[str, Any] = {"pool": [], "rule": []}
"""The table while nothing was published: version 0."""
CARRIERS = (CMCC, CUCC, CTCC, CBN)


@dataclass(frozen=True, slots=True)
class RouteVersion:
    """A published route table."""

    version: int
    document: dict[str, Any]
    note: str
    actor: ActorLabel
    published_at: datetime
    newest: bool = True
    """It is in force."""

    @property
    def id(self) -> int:
        """Of the row, in pages of a list."""
        return self.version
