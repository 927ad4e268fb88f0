"""Contacts and audiences as everybody above sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ContactInput:
    """What is known of a person; ``number`` as written. None leaves what is stored as it is."""

    number: str
    name: str | None = None
    tags: tuple[str, ...] | None = None
    fields: Mapping[str, str] | None = None
    """Values for the variables of texts, e.g. ``{"city": "北京"}``."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A stored contact; ``number`` in E.164 digits."""

    id: int
    number: str
    name: str
    tags: tuple[str, ...]
    fields: Mapping[str, str]
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Audience:
    """A named set of contacts of an account."""

    id: int
    name: str
    members: int
    created_at: datetime


@dataclass(slots=True)
class Imported:
    """What became of a list of contacts. ``rejected``: (number as written, code)."""

    created: int = 0
    updated: int = 0
    rejected: list[tuple[str, str]] = field(default_factory=list)
