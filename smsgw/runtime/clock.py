"""The time of the system: what the database says, carried from one word of it to the next by a clock nobody can set.

Ids, validities and deadlines of all nodes lie in the same rows, so all nodes must mean the same time by them. A node
asks the database with each of its beats (``store/engine/nodes``) and never looks at the wall clock of its machine
again: that may be set, step or be wrong. What the database says is followed without a step, for its clock may be set,
too: the time here runs at most ``SLEW`` faster or slower until both agree, so that nothing expires early and no
second comes twice.

Before the first word (commands, tools) it is the machine's clock.
"""

from __future__ import annotations

import time as _time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime

from smsgw.core.words import Wording, listed, phrase
from smsgw.runtime.aio import boottime

SLEW = 0.1
"""Seconds that may be made up in one: an hour takes ten (a start takes the database's time at once)."""
WARN = 2.0
"""Seconds between two clocks that somebody should know of."""
LIMIT = 60.0
"""Seconds between the machine's clock and the database's with which a node does not start."""


@dataclass(frozen=True, slots=True)
class Word:
    """What the database has said: its time, and ``Clock.steady`` before the question and after the answer."""

    at: datetime
    asked: float
    answered: float


class Clock:
    """Owned by one process; ``hear`` it what the database says."""

    def __init__(self, wall: Callable[[], float] = _time.time, steady: Callable[[], float] = boottime) -> None:
        self._wall = wall
        self.steady = steady
        """Seconds on a clock that runs on while the machine sleeps and that nobody sets."""
        self._base: float | None = None
        self._since = 0.0
        self._left = 0.0
        """Time is ``steady`` and ``_base``; so much more was still to be made up at ``_since``."""
        self.machine_off = 0.0
        """Seconds that the machine's wall clock is ahead of the database's, as far as the last word can tell."""

    def time(self) -> float:
        """Seconds since 1970. Never less than a moment ago."""
        if self._base is None:
            return self._wall()
        steady = self.steady()
        return steady + self._base + (self._made_up(steady) if self._left else 0.0)

    def now(self) -> datetime:
        """The same as a date, UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def ms(self) -> int:
        """The same in milliseconds."""
        return int(self.time() * 1000)

    @property
    def behind(self) -> float:
        """Seconds that the database's clock is ahead and that are still to be made up (behind: negative)."""
        if self._base is None:
            return 0.0
        return self._left - self._made_up(self.steady())

    def _made_up(self, steady: float) -> float:
        most = (steady - self._since) * SLEW
        return max(-most, min(self._left, most))

    def hear(self, word: Word) -> None:
        """Take what the database says, as exact as the way there and back allows; the first word at once."""
        said = word.at.timestamp()
        earliest, latest = said - word.answered, said - word.asked
        steady = self.steady()
        wall = self._wall() - steady
        self.machine_off = wall - min(max(wall, earliest), latest)
        if self._base is None:
            self._base, self._left = (earliest + latest) / 2, 0.0
        else:
            self._base += self._made_up(steady)
            self._left = min(max(self._base, earliest), latest) - self._base
        self._since = steady

    def trouble(self) -> tuple[Wording | None, bool]:
        """What is wrong with the clocks, for people (None: nothing), and whether it is grave."""
        off, behind = self.machine_off, self.behind
        said = []
        if abs(off) > WARN:
            way = "alarm.machine_ahead" if off > 0 else "alarm.machine_behind"
            said.append(phrase(way, seconds=f"{abs(off):.0f}"))
        if abs(behind) > WARN:
            way = "alarm.database_forward" if behind > 0 else "alarm.database_back"
            said.append(phrase(way, seconds=f"{abs(behind):.0f}"))
        return listed(said) if said else None, max(abs(off), abs(behind)) > LIMIT


current: ContextVar[Clock] = ContextVar("clock", default=Clock())  # noqa: B039 - one for the whole process
"""The clock of whoever asks: a process has one. Where many nodes live in one process each has its own context."""


def time() -> float:
    """``Clock.time`` of this process."""
    return current.get().time()


def now() -> datetime:
    """``Clock.now`` of this process."""
    return current.get().now()


def ms() -> int:
    """``Clock.ms`` of this process."""
    return current.get().ms()


def steady() -> float:
    """``Clock.steady`` of this process."""
    return current.get().steady()


def hear(word: Word) -> None:
    """``Clock.hear`` of this process."""
    current.get().hear(word)


def trouble() -> tuple[Wording | None, bool]:
    """``Clock.trouble`` of this process."""
    return current.get().trouble()
