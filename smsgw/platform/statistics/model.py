"""Figures as those who ask see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

DIMENSIONS = ("day", "account", "type", "sign", "channel", "carrier", "province", "origin")
STATUSES = ("delivered", "failed", "expired", "no_report", "unconfirmed", "rejected", "cancelled", "duplicate")
"""How messages end."""


@dataclass(frozen=True, slots=True)
class Line:
    """Counts of one group. All are messages but ``parts`` and ``units`` (billable parts, before refunds)."""

    keys: Mapping[str, str | date]
    accepted: int
    parts: int
    units: int
    ended: Mapping[str, int]
    """Final status -> messages; what is missing from ``accepted`` is on its way."""
