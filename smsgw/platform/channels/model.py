"""Channels, and what carriers have said of which nothing is known, as operators see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.states import success_percent


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


def connected(states: Iterable[str]) -> tuple[int, int]:
    """Of channels in these states those that are logged in, or would be at once, and those that should be."""
    counted = Counter(states)
    return counted["bound"] + counted["idle"], counted.total() - counted["stopped"] - counted["draining"]


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


@dataclass(frozen=True, slots=True)
class ChannelDay:
    """What has become of a channel's parts since midnight, by the figures of minutes."""

    submitted: int = 0
    delivered: int = 0
    failed: int = 0
    unknown: int = 0

    @property
    def success(self) -> float | None:
        """Percent of what carriers have reported on; None: nothing yet."""
        return success_percent(self.delivered, self.failed)


@dataclass(frozen=True, slots=True)
class ChannelLoad:
    """What a channel still owes, each counted up to ``MOST_OWED`` and one more."""

    queued: int
    """Messages that wait in its pools, for it or for another channel of them."""
    deferred: int
    """Parts that it was refused for now, and that wait for it."""
    sending: int
    """Parts that are on the wire, without an answer."""
    unreported: int
    """Parts that the carrier has taken and not reported on."""
    unknown: int
    """Parts whose answer was lost."""


@dataclass(frozen=True, slots=True)
class ResultCode:
    """A code of the carrier, its class (empty: a good one, or none known) and how many parts have it."""

    code: str
    cls: str
    n: int


MOST_OWED = 100_000
"""Beyond which what a channel owes is not counted."""
