"""Published route tables, and the limits of what operators know of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from smsgw.core.actor import ActorLabel
from smsgw.core.numbers import CBN, CMCC, CTCC, CUCC

EMPTY: Mapping[str, Any] = {"pool": [], "rule": []}
"""The table while nothing was published: version 0."""
CARRIERS = (CMCC, CUCC, CTCC, CBN)


@dataclass(frozen=True, slots=True)
class RouteVersion:
    """A published route table."""

    id: Annotated[int, "r.version"]
    """Its number."""
    document: dict[str, Any]
    note: str
    actor: ActorLabel
    published_at: datetime
    newest: Annotated[bool, "r.version = (SELECT max(version) FROM route_version)"]
    """It is in force."""

    @property
    def version(self) -> int:
        """Its number."""
        return self.id
