"""When carriers have said that they are sent too fast, as operators see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.ids import CHINA
from smsgw.core.throttling import TELL_EVERY, Spell
from smsgw.store.config import throttles
from smsgw.store.engine.database import Database

KEPT = throttles.KEPT
SHOWN = 20
DAYS = 7
"""Of the chart and the sums."""
SILENT = 3 * TELL_EVERY
"""A spell that goes on and was not told for so long has lost its node: nobody knows how it went on."""


@dataclass(frozen=True, slots=True)
class Line:
    """A spell of a channel, and the node that had it then."""

    node: int
    spell: Spell
    goes_on: bool


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour in which the channel was slowed down, or not."""

    at: datetime
    lowest: float | None
    """The lowest rate that was kept to; None: none was lowered."""


@dataclass(frozen=True, slots=True)
class History:
    """Of one channel."""

    lines: Sequence[Line]
    """The newest, newest first."""
    n: int
    """Spells of the last ``DAYS``."""
    lasted: timedelta
    """All of them together, as far as they lie in these days."""
    refused: int
    hours: Sequence[Hour]
    """Of the same days, oldest first."""

    @property
    def slowed(self) -> bool:
        """Whether a rate was lowered in these days."""
        return any(hour.lowest is not None for hour in self.hours)


async def newest(database: Database, channel_id: int, now: datetime, limit: int) -> list[Line]:
    """Spells of a channel, newest first."""
    return [_line(kept, now) for kept in await throttles.newest(database, channel_id, None, limit)]


def _line(kept: throttles.Kept, now: datetime) -> Line:
    return Line(kept.node, kept.spell, not kept.spell.over and now - kept.spell.until < SILENT)


async def history(database: Database, channel_id: int, now: datetime) -> History:
    """What the page of a channel shows."""
    since = now.astimezone(CHINA).replace(minute=0, second=0, microsecond=0) - timedelta(hours=DAYS * 24 - 1)
    lately = [kept.spell for kept in await throttles.newest(database, channel_id, since, KEPT)]
    return History(
        await newest(database, channel_id, now, SHOWN), len(lately),
        sum((s.until - max(s.began_at, since) for s in lately), timedelta()), sum(s.refused for s in lately),
        hours(lately, since),
    )  # fmt: skip


def hours(spells: Sequence[Spell], since: datetime) -> list[Hour]:
    """``DAYS`` of hours from ``since`` on."""
    lowest: dict[int, float] = {}
    for spell in spells:
        if spell.lowest is None:
            continue
        first = max(0, (spell.began_at - since) // timedelta(hours=1))
        for n in range(first, min(DAYS * 24 - 1, (spell.until - since) // timedelta(hours=1)) + 1):
            lowest[n] = min(spell.lowest, lowest.get(n, spell.lowest))
    return [Hour(since + timedelta(hours=n), lowest.get(n)) for n in range(DAYS * 24)]
