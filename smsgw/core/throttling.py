"""Throttling by a carrier: when, for how long and down to which rate it has answered that it is sent too fast.

Kept as spells. A carrier that is a little narrower than its channel's rate lets it rise and slows it down again all
day: what follows within ``QUIET`` belongs to the same spell, so that few rows cover months, and hardly any is written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

QUIET = timedelta(minutes=5)
"""A spell is over when for so long nothing was refused and nothing slowed down."""
TELL_EVERY = timedelta(minutes=1)
"""How often one that goes on is told."""
LATELY = timedelta(seconds=30)
"""A refusal so long ago is one of now."""
MOST_UNTOLD = 8
"""Spells that are over and could not be told yet: the oldest go."""


@dataclass(frozen=True, slots=True)
class Spell:
    """A carrier said "too fast", for a while."""

    began_at: datetime
    until: datetime
    """When it was last so."""
    limit: int
    """The channel's rate then; 0: none."""
    lowest: float | None
    """The lowest rate that was kept to; None: there was too little of it to slow down for."""
    taken: int
    """Submits that the carrier took in this time."""
    refused: int
    """Submits that it refused as too fast."""
    over: bool

    @property
    def seconds(self) -> float:
        """For how long."""
        return (self.until - self.began_at).total_seconds()

    @property
    def carried(self) -> float | None:
        """Submits per second that the carrier took; None: it was over in a moment."""
        return self.taken / self.seconds if self.seconds >= 1 else None


class Throttling:
    """Of one channel. ``answered`` when the carrier has refused, and while ``open``; ``look`` now and then."""

    __slots__ = ("_began_at", "_limit", "_lowest", "_over", "_refused", "_taken", "_told_at", "_until", "_waiting")

    def __init__(self) -> None:
        self._began_at: datetime | None = None
        self._over: deque[Spell] = deque(maxlen=MOST_UNTOLD)

    @property
    def open(self) -> bool:
        """Whether a spell goes on."""
        return self._began_at is not None

    def answered(self, at: datetime, taken: int, refused: int, limit: int, slowed_to: float | None) -> None:
        """The carrier has taken so many submits and refused so many as too fast; what the rate is, if it is lowered."""
        if self._began_at is None:
            if not refused:
                return
            self._began_at = self._until = at
            self._told_at: datetime | None = None
            self._lowest: float | None = None
            self._taken = self._refused = self._waiting = 0
        self._limit = limit
        self._waiting += taken
        self._refused += refused
        if refused or slowed_to is not None:
            self._goes_on(at, slowed_to)

    def _goes_on(self, at: datetime, slowed_to: float | None) -> None:
        self._until = max(self._until, at)
        self._taken += self._waiting
        self._waiting = 0
        if slowed_to is not None:
            self._lowest = slowed_to if self._lowest is None else min(self._lowest, slowed_to)

    def look(self, at: datetime, slowed_to: float | None, *, ended: bool = False) -> Sequence[Spell]:
        """What is to be told now. ``ended``: the channel stops, and its spell with it."""
        if self._began_at is not None:
            if slowed_to is not None:
                self._goes_on(at, slowed_to)
            if ended or at - self._until >= QUIET:
                self._over.append(self._spell(self._began_at, over=True))
                self._began_at = None
        due = self._told_at is None or at - self._told_at >= TELL_EVERY if self._began_at is not None else False
        return [*self._over, *([self.now] if due and self.now is not None else [])]

    def told(self, spells: Sequence[Spell], at: datetime) -> None:
        """These are kept."""
        for spell in spells:
            if spell.over and spell in self._over:
                self._over.remove(spell)
            elif spell.began_at == self._began_at:
                self._told_at = at

    @property
    def now(self) -> Spell | None:
        """The spell that goes on; None: there is none."""
        return None if self._began_at is None else self._spell(self._began_at, over=False)

    def _spell(self, began_at: datetime, *, over: bool) -> Spell:
        return Spell(began_at, self._until, self._limit, self._lowest, self._taken, self._refused, over)
