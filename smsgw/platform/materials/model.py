"""What a piece of material is, and which are looked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from smsgw.core.actor import ActorLabel

MOST = 1000
"""Pieces of one account, …"""
MOST_OCTETS = 512 * 1024 * 1024
"""… and what they take."""
MOST_TITLE, MOST_TAGS, MOST_TAG = 60, 10, 20


class Kind(StrEnum):
    """What it is by its content."""

    PICTURE = "picture"
    AUDIO = "audio"
    VIDEO = "video"


class State(StrEnum):
    """Whether it may be used."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Made:
    """A file as it is kept: nothing but what is seen and heard."""

    kind: Kind
    media_type: str
    octets: bytes
    width: int = 0
    height: int = 0
    millis: int = 0
    thumbnail: bytes | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What is said of it."""

    title: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Material:
    """One piece as it stands."""

    id: int
    account_id: int
    account: str
    kind: str
    title: str
    tags: tuple[str, ...]
    file_id: int
    media_type: str
    size: int
    width: int
    height: int
    millis: int
    pictured: bool
    """It has a thumbnail."""
    state: str
    answer: str
    taken: int
    added_by: ActorLabel
    added_at: datetime
    decided_by: ActorLabel
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which ones are looked for; empty and None: all."""

    title: str = ""
    kind: str = ""
    state: str = ""
    tag: str = ""
    account_id: int | None = None
