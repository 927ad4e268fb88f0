"""Words as those who keep the list see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ListedWord:
    """A word on the list. ``account`` None (``account_id`` 0) and ``type`` empty: for all."""

    id: int
    account_id: int
    type: str
    word: str
    category: str
    action: str
    replacement: str
    at: datetime
    account: str | None


@dataclass(frozen=True, slots=True)
class WantedWords:
    """Which words are looked for; what is empty narrows nothing."""

    word: str = ""
    """Part of it."""
    category: str = ""
    action: str = ""
    account_id: int | None = None
    type: str = ""
