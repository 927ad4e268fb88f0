"""Filings as everybody above sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.url_filings import Filing


@dataclass(frozen=True, slots=True)
class CarrierSays:
    """How a filing stands with a carrier."""

    state: Filing
    note: str = ""


@dataclass(frozen=True, slots=True)
class FiledLink:
    """A filing."""

    id: int
    account_id: int
    account: str
    """Its name; empty: everybody's."""
    target: str
    icp: str
    note: str
    created_at: datetime
    carriers: Mapping[str, CarrierSays]
    """All mainland carriers."""
