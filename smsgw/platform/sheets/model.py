"""An uploaded table, and what has become of one of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from smsgw.core.actor import ActorLabel
from smsgw.platform.files.model import FileKind

FILES = FileKind("sheet", most=64 * 1024 * 1024, kept=timedelta(days=2))
MOST_KEPT = 20
"""Tables that one person has at a time."""
MOST_ROWS = 10_000
"""Of tables whose rows are read at once, …"""
MOST_LARGE = 1_000_000
"""… and of those that are brought in page by page."""
MOST_TOLD = 100_000
"""Rows of one table that were not taken and are written down; what is beyond that is counted."""
MOST_COLUMNS = 64
MOST_CELL = 200
"""Characters of a cell that are read."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table."""

    id: int
    node: int
    """Where its octets lie."""
    purpose: str
    name: str
    form: dict[str, Any]
    """How it is to be read."""
    columns: tuple[str, ...]
    first_rows: Sequence[Sequence[str]]
    rows: int
    submitter: ActorLabel
    expires_at: datetime


class Outcome(StrEnum):
    """What has become of a row."""

    CREATED = "created"
    UPDATED = "updated"
    SKIPPED = "skipped"
    """There is such a thing already."""
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Result:
    """One row of a table that was brought in."""

    line: int
    outcome: Outcome
    key: str = ""
    """What it is called by: of people the login."""
    name: str = ""
    row_id: int | None = None
    """What was made of it."""
    said: str = ""
    """Why nothing was, …"""
    said_en: str = ""
    """… and in English."""
