"""Why somebody wants to see a whole number, and what is shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MOST_NOTE = 200
LEAST_NOTE = 2


class Purpose(StrEnum):
    """The reasons that there are."""

    COMPLAINT = "complaint"
    CUSTOMER = "customer"
    CHECK = "check"
    INQUIRY = "inquiry"
    """Of an authority."""
    OTHER = "other"
    """Said in words."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A number as it is, and how many the person has seen today, this one among them."""

    number: str
    shown: int
    text: str = ""
    """That of a message, where it is shown without its verification code otherwise and the person may read texts."""
