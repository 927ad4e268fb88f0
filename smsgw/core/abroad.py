"""How fast an account sends outside mainland China: what a stolen key is used for first, since it pays (toll fraud)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from smsgw.core.errors import Reason
from smsgw.core.words import phrase

CODE = "INTERNATIONAL_LIMITED"


@dataclass(frozen=True, slots=True)
class Abroad:
    """A message that goes abroad, and the limits that hold for it; 0: no such limit."""

    index: int
    """Its place among the messages of its call."""
    country: str
    """``numbers.country``."""
    hourly: int
    """Messages abroad in an hour."""
    countries: int
    """Countries in an hour that the account has not sent to in the last 30 days."""


class Velocity:
    """What an account has sent abroad lately. Messages that pass are counted."""

    __slots__ = ("fresh", "known", "sent")

    def __init__(self) -> None:
        self.sent = 0
        """Messages of the last hour."""
        self.known: set[str] = set()
        """Countries of the last 30 days."""
        self.fresh = 0
        """Those of them that were new in the last hour."""

    def judge(self, messages: Iterable[Abroad]) -> dict[int, Reason]:
        """Which messages, by index, are too many, and why."""
        refused: dict[int, Reason] = {}
        for one in messages:
            new = one.country not in self.known
            if one.hourly and self.sent >= one.hourly:
                refused[one.index] = CODE, {"rule": phrase("abroad.hourly", most=one.hourly)}
            elif new and one.countries and self.fresh >= one.countries:
                rule = phrase("abroad.countries", most=one.countries)
                refused[one.index] = CODE, {"rule": rule}
            else:
                self.sent += 1
                self.fresh += new
                self.known.add(one.country)
        return refused
