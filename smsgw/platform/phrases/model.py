"""What a phrase is, and which are looked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MOST = 200
"""Phrases of one person, and of one account those that are no person's."""
MOST_TITLE, MOST_CONTENT = 40, 500


class Scope(StrEnum):
    """Whom a phrase is for."""

    OWN = "own"
    DEPARTMENT = "department"
    """People of the department, and of those below it."""
    ACCOUNT = "account"
    """People who see something of the account."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants a phrase to be."""

    title: str
    content: str
    scope: Scope
    department_id: int | None = None
    account_id: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which ones are looked for; empty and None: all that the reader may use."""

    title: str = ""
    content: str = ""
    scope: str = ""
    account_id: int | None = None
    department_id: int | None = None
    owner: str = ""
    """Login, or a part of the name."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase as it stands."""

    id: int
    owner_id: int | None
    """None: it came by the interface or the command line, and is the account's."""
    owner: str
    """Name of the person; empty: nobody."""
    scope: str
    department_id: int | None
    account_id: int | None
    shared_with: str
    """Name of the department or account; empty: nobody."""
    title: str
    content: str
    updated_at: datetime
