"""Channels, and what carriers have said of which nothing is known, as operators see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ChannelView:
    """A channel as it is configured; without passwords."""

    id: int
    name: str
    protocol: str
    host: str
    port: int
    username: str
    access_code: str
    connections: int
    window: int
    rate: int
    carriers: frozenset[str]
    unknown_policy: str
    profile: Mapping[str, str | int | bool]
    desired: str


@dataclass(frozen=True, slots=True)
class ParkedFact:
    """An answer, report or message that the database has refused as often as it was tried."""

    id: int
    kind: str
    about: str
    """Which part or id it is about: no text, no number."""
    error: str
    node: int
    parked_at: datetime
