"""Time-ordered 64-bit ids: milliseconds since 2024-01-01 UTC, 10-bit node number, 12-bit sequence.

Because ids grow with time, a day is a range of ids: tables are partitioned by id and need no day column.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone

from smsgw.core.errors import Temporary

EPOCH_MS = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000)
CHINA = timezone(timedelta(hours=8))
"""The business day is China's."""
MAX_NODE = 1023
COMMANDS = 0
"""The number under which commands make ids. No node has it."""
AHEAD = timedelta(hours=1)
"""No node's clock is so far ahead: later ids do not exist, unless a node has said so."""
_SHIFT = 22
_DAY_MS, _CHINA_MS = 86_400_000, 28_800_000
_UNTOLD_MS = 10_000
"""Milliseconds of ids that a node may have borrowed since it last said how far it was (4096 ids each)."""


class IdSource:
    """Gives ids that never repeat and never go backwards, even when the clock does.

    ``after``: the last id that is known to have been made under this number, in an earlier run.
    """

    def __init__(self, node: int, wall_ms: Callable[[], int], *, after: int = 0) -> None:
        if not 0 <= node <= MAX_NODE:
            raise ValueError(f"node number {node} is not in 0..{MAX_NODE}")
        self._node = node << 12
        self._wall_ms = wall_ms
        self._last = 0
        self._sequence = 0
        self._elsewhere = 0
        self._revoked = False
        if after >> _SHIFT > wall_ms() - EPOCH_MS:  # the clock was ahead: what has been since then is not known
            self._last = (after >> _SHIFT) + _UNTOLD_MS

    @property
    def last(self) -> int:
        """The last id made, or what all ids to come are above."""
        return self._last << _SHIFT | self._node | self._sequence if self._last else 0

    def seen(self, id_: int) -> None:
        """Another node has made this id."""
        self._elsewhere = max(self._elsewhere, id_)

    @property
    def newest_made(self) -> int:
        """The highest id that is known to have been made, here or by other nodes."""
        return max(self.last, self._elsewhere)

    def newest(self, now: datetime) -> int:
        """Above this nothing can be queued: what the clock allows, or what nodes have made whose clock was ahead."""
        return max(first_id(now + AHEAD), self.newest_made)

    def revoke(self) -> None:
        """The number is another's: no more ids."""
        self._revoked = True

    def next(self) -> int:
        """A new id. ``BACKPRESSURE`` when the number is not ours any more."""
        if self._revoked:
            raise Temporary("BACKPRESSURE", retry_after=5, n=5)
        ms = self._wall_ms() - EPOCH_MS
        if ms > self._last:
            self._last = ms
            self._sequence = 0
        else:
            self._sequence += 1
            if self._sequence > 0xFFF:  # more than 4096 in a millisecond: borrow from the next one
                self._last += 1
                self._sequence = 0
        return self._last << _SHIFT | self._node | self._sequence

    def block(self, n: int) -> int:
        """The first of ``n`` ids that follow each other without a gap (1 to 4096)."""
        if not 1 <= n <= 0x1000:
            raise ValueError(f"a block of {n} ids")
        first = self.next()
        if self._sequence + n > 0x1000:  # the rest of this millisecond is too short: borrow the next one
            self._last += 1
            self._sequence = 0
            first = self._last << _SHIFT | self._node
        self._sequence += n - 1
        return first


def first_id(at: datetime) -> int:
    """The smallest id that can be made at ``at``."""
    return (int(at.timestamp() * 1000) - EPOCH_MS) << _SHIFT


def stretch(of: timedelta) -> int:
    """By how much ids grow in this time."""
    return int(of.total_seconds() * 1000) << _SHIFT


def time_of(id_: int) -> datetime:
    """When the id was made, UTC, to the millisecond."""
    return datetime.fromtimestamp(((id_ >> _SHIFT) + EPOCH_MS) / 1000, UTC)


def day_of(id_: int) -> date:
    """The business day (China) of the id."""
    return time_of(id_).astimezone(CHINA).date()


def day_start(id_: int) -> int:
    """The smallest id of the business day of this one."""
    ms = (id_ >> _SHIFT) + EPOCH_MS + _CHINA_MS
    return (ms - ms % _DAY_MS - _CHINA_MS - EPOCH_MS) << _SHIFT


def day_end(id_: int) -> int:
    """What all ids of the business day of this one are below: the first of the next day."""
    return day_start(id_) + (_DAY_MS << _SHIFT)


def day_range(day: date) -> tuple[int, int]:
    """``[low, high)``: the ids of that business day."""
    start = datetime(day.year, day.month, day.day, tzinfo=CHINA)
    return first_id(start), first_id(start + timedelta(days=1))
