"""API keys as those see them who hand them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class NewKey:
    """What is shown once when a key is made."""

    key_id: str
    secret: str = field(repr=False)
    bearer: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key as lists show it, without anything secret."""

    id: int
    key_id: str
    account_id: int
    account: str
    mode: str
    """``live`` or ``test``."""
    scopes: tuple[str, ...]
    networks: tuple[str, ...]
    requests_per_second: int
    status: str
    expires_at: datetime | None
    created_at: datetime
    rotated_at: datetime | None
    rotating: bool
    """The secret from before the last rotation is still good."""
    last_used_at: datetime | None
    last_used_ip: str | None


@dataclass(frozen=True, slots=True)
class WantedKeys:
    """Which keys are looked for; what is empty narrows nothing."""

    account_id: int | None = None
    status: str = ""
    mode: str = ""
    key_id: str = ""
    """Part of it."""
