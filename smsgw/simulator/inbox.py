"""What arrived, as the phones would show it, and how often: the witness against sending twice."""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass
from typing import TypeVar

from smsgw.core.concat import Reassembly
from smsgw.core.udh import Concat

K = TypeVar("K", str, tuple[str, str])

# Repeats must be noticed long after completion, so nothing is forgotten for a day.
_DAY = 86_400.0
_MAX_PARTS = 500_000


@dataclass(frozen=True, slots=True)
class Received:
    """A whole message on the phone of `destination`."""

    destination: str
    source: str
    text: str
    parts: int
    channel: str
    """Name of the carrier that took it."""
    connection: int
    """Number of the connection that its last part came over, from 1."""
    at: float
    """Loop time of its last part."""


class Inbox:
    """Accepted parts of one carrier, joined to messages and counted.

    `receptions` counts whole messages by (destination, text); a second copy under another reference shows here.
    `repeated_parts` counts parts of long messages that came again under the same reference, by (destination,
    part text). `tokens` counts the marks that `token_pattern` finds.
    """

    def __init__(
        self, channel: str, *, keep: int, max_counted: int = 5_000_000, token_pattern: str | None = None
    ) -> None:
        self.messages: deque[Received] = deque(maxlen=keep)
        self.receptions: Counter[tuple[str, str]] = Counter()
        self.repeated_parts: Counter[tuple[str, str]] = Counter()
        self.tokens: Counter[str] = Counter()
        self.total = 0
        self.uncounted = 0
        """Receptions that no counter had room for."""
        self._max_counted = max_counted
        self._channel = channel
        self._token = re.compile(token_pattern) if token_pattern else None
        self._box: Reassembly[str] = Reassembly(lifetime=_DAY, max_parts=_MAX_PARTS, repeat_window=_DAY)

    def add(self, destination: str, source: str, text: str, concat: Concat | None, connection: int, now: float) -> None:
        """Take one accepted part."""
        parts = 1
        if concat is not None and concat.total > 1:
            key = (destination, source, concat.wide, concat.ref, concat.total)
            added = self._box.add(key, concat.number, concat.total, text, now)
            if added.repeated:
                self._count(self.repeated_parts, (destination, text))
            if added.whole is None:
                return
            text = "".join(added.whole)
            parts = concat.total
        self.total += 1
        self._count(self.receptions, (destination, text))
        if self._token is not None:
            for match in self._token.finditer(text):
                self._count(self.tokens, match[1] if match.re.groups else match[0])
        self.messages.append(Received(destination, source, text, parts, self._channel, connection, now))

    def _count(self, counter: Counter[K], key: K) -> None:
        if len(counter) < self._max_counted or key in counter:
            counter[key] += 1
        else:
            self.uncounted += 1

    @property
    def waiting(self) -> int:
        """Long messages of which parts are missing."""
        return len(self._box)

    def summary(self) -> dict[str, int]:
        """The counts that tell whether anything came twice."""
        return {
            "messages": self.total,
            "unique": len(self.receptions),
            "max_receptions": max(self.receptions.values(), default=0),
            "doubled": sum(1 for count in self.receptions.values() if count > 1) + len(self.repeated_parts),
            "tokens": len(self.tokens),
            "max_token_receptions": max(self.tokens.values(), default=0),
            "incomplete": self.waiting,
            "uncounted": self.uncounted,
        }
