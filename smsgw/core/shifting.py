"""Which channels get less of what their pools hold, because others there deliver clearly more (ADR 075).

Pure: figures, pools and what was decided before come in, what holds from now on goes out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from smsgw.core.settings import Settings

HOLD = timedelta(minutes=10)
"""For so long a shift lasts at least: nothing swings to and fro with every look."""
HALF = 2
"""A channel gets its share back when it has made up for this part of what the limit leaves to 100 %."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What has ended at a channel within the minutes that are looked at."""

    channel_id: int
    name: str
    ended: int
    delivered: int
    left_out: int = 0
    """Failures that do not count."""

    @property
    def rate(self) -> float:
        """Percent of what counts."""
        counts = self.ended - self.left_out
        return 100 * self.delivered / counts if counts > 0 else 100.0


@dataclass(frozen=True, slots=True)
class Shift:
    """A channel that gets less, and the figures for which it does."""

    channel_id: int
    since: datetime
    low_at: datetime
    """When it was last below the limit."""
    rate: float
    ended: int
    better: str
    """A channel of one of its pools that delivers enough, …"""
    better_rate: float


def judge(
    standings: Iterable[Standing], pools: Iterable[Collection[int]], before: Mapping[int, Shift], settings: Settings,
    now: datetime,
) -> dict[int, Shift]:  # fmt: skip
    """The channels that get less from now on. ``standings``: of channels with enough that has ended to say anything;
    ``pools``: the channels of each.

    Only beside one that delivers enough and keeps its share itself: a bad list of numbers makes all of a pool look bad,
    and then none is taken for the cause.
    """
    if not settings.success_shift or not settings.success_limit:
        return {}
    known = {one.channel_id: one for one in standings}
    beside = [frozenset(pool) for pool in pools]
    minutes, limit = timedelta(minutes=settings.success_minutes), settings.success_limit

    def better(channel_id: int) -> Standing | None:
        there = frozenset[int]().union(*(pool for pool in beside if channel_id in pool)) - {channel_id}
        good = [s for id_ in there if (s := known.get(id_)) and s.rate >= limit and id_ not in before]
        return max(good, key=lambda one: (one.rate, one.ended), default=None)

    after = dict[int, Shift]()
    for id_ in sorted(before.keys() | known.keys()):
        old, one, other = before.get(id_), known.get(id_), better(id_)
        low = one is not None and one.rate < limit
        if old is None:
            if low and one is not None and other is not None:
                after[id_] = Shift(id_, now, now, one.rate, one.ended, other.name, other.rate)
            continue
        if low and one is not None:
            old = replace(old, low_at=now, rate=one.rate, ended=one.ended)
        if now - old.since < HOLD:
            after[id_] = old
            continue
        well = one is not None and one.rate >= limit + (100 - limit) / HALF
        if other is not None and not well and now - old.low_at < minutes:
            after[id_] = replace(old, better=other.name, better_rate=other.rate)
    return after
