"""How fast a channel may go: its configured rate, and what the carrier lets through right now.

Answers "too fast" (CMPP 8, SMPP 0x58 and their like) lower the rate by their share, and time raises it step by step to
the limit again. Where much is refused the carrier is in trouble: the rate is cut hard, as often as that goes on. Where
hardly anything is, the rate follows what was taken. Between the two nobody can know what is meant, so it is tried out:
the rate is cut, and if no less is refused then, it has reasons that going slower does not cure (one busy node of many,
a counter by number); the rate comes back at once, and for a while nothing is given up for such a share.

Three things hold a submit back. The schedule gives the average, a little below the limit; what it could not spend for a
moment (a commit, a busy machine) it may catch up with, but no faster than a smooth stream that is a little above the
limit; and no second, wherever it begins, ever has more than the limit. A carrier that counts by seconds of its own, and
receives with a little jitter, so finds nothing to refuse.

That last promise is one about writes, not about plans: a process is put aside, or encodes for a while, between the
grant and the octets. So a grant is followed by ``wrote`` with the time after the write, and that time is what counts: a
second that ends with a write then has at most what was allowed when that write was granted.

And it is one about a carrier that reads a little late. What is caught up with goes in a heap, and when that heap is a
second old there would be room for the next one at once: read unevenly, both are in one second.
So a second with its edges has at most a hundredth more than the limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from smsgw.core.bucket import TokenBucket
from smsgw.core.sliding_window import SlidingCount

CUT = 0.7
"""Factor of the rate when much is refused, and of a trial."""
MUCH = 0.25
"""Share of refusals from which on that is so."""
AT_ONCE = 8
"""So many refusals, with no more than twice as much taken since the first, are much at once: a carrier in trouble is
not sent half a second more."""
FEW = 0.025
"""Share of refusals that is simply followed: what it costs in a period is what is given back in one."""
PERIOD = 0.5
"""Seconds of answers that are judged together: refusals within them belong to the same overload."""
ENOUGH = 30
"""Answers that tell a share; with fewer a period lasts longer …"""
PERIOD_MOST = 5.0
"""… up to this."""
CHANCE = 1.5
"""So many times of what is not cured by going slower may be refused by chance."""
BORNE_FOR = 30.0
"""Seconds until it is tried out again."""
RAISE = 0.05
"""Share of the limit that is given back in each second …"""
RAISE_MOST = 0.5
"""… and no more than this share of the rate: a narrow carrier is not flooded anew each second."""
FLOOR = 0.02
"""Share of the limit that is never taken away."""
AIM = 0.999
"""Share of the limit that is aimed at. A full second is counted by slots, which costs a thousandth."""
CATCH_UP = 0.1
"""Seconds of rate that may be made up for."""
HASTE = 1.2
"""How much faster than the limit that goes."""
BURST = 0.05
"""Seconds of rate that may go at once: fifty submits at 1,000/s. A busy event loop comes by so seldom."""
STEP = 0.005
"""Seconds of rate that are waited for together: a write for each submit would cost more than the submit."""
EDGES = 0.01
"""Seconds by which a carrier may read unevenly and still find no more than ``1 + EDGES`` of the limit in a second."""
UNLIMITED = 100_000.0
"""Submits per second beyond any carrier: what "no limit" means to the arithmetic."""


@dataclass(frozen=True, slots=True)
class _Trial:
    """Going slower for a period to see whether less is refused."""

    rate: float
    """Before it."""
    carried: float
    """Submits per second that the carrier took then."""
    share: float
    """Of refusals, then."""


class Pacer:
    """``take`` grants submits, ``wrote`` says that they are written, ``answered`` what the carrier has said to them.

    All times are the caller's monotonic clock, read when it is asked: that of an event loop stands still in a turn.
    """

    __slots__ = (
        "_borne", "_borne_until", "_cut_at", "_limit", "_period_at", "_raised_at", "_rate", "_recent", "_recent_at",
        "_refused", "_schedule", "_second", "_since", "_stream", "_taken", "_trial", "_wide",
    )  # fmt: skip

    def __init__(self, limit: int, now: float) -> None:
        self._limit = float(limit) if limit else UNLIMITED
        self._rate = self._limit
        self._schedule = TokenBucket(self._rate * AIM, self._saved(CATCH_UP), now=now)
        self._stream = TokenBucket(self._rate * HASTE, self._saved(BURST), now=now)
        self._second = SlidingCount(int(self._limit))
        self._wide = SlidingCount(_wide(self._limit), 1.0 + EDGES)
        self._taken = self._refused = self._since = 0
        self._period_at = now
        self._trial: _Trial | None = None
        self._borne = 0.0
        """Share of refusals that going slower does not cure."""
        self._borne_until = now
        self._cut_at = -math.inf
        self._raised_at = now
        self._recent = 0.0
        self._recent_at = now

    def _saved(self, seconds: float) -> float:
        return max(1.0, self._rate * seconds)

    @property
    def rate(self) -> float:
        """Submits per second allowed now."""
        return self._rate

    @property
    def slowed(self) -> bool:
        """Whether the carrier has slowed us below the configured limit."""
        return self._rate < self._limit

    def take(self, now: float, n: int) -> int:
        """Up to ``n`` submits that may be written now. ``wrote`` must follow before anything else is asked."""
        self._recover(now)
        left = min(self._schedule.left(now), self._second.left(now), self._wide.left(now))
        granted = self._stream.take(now, min(n, left))
        self._schedule.take(now, granted)
        return granted

    def wrote(self, now: float, n: int) -> None:
        """``n`` submits have been written, the last one a moment ago."""
        self._second.add(now, n)
        self._wide.add(now, n)
        self._measure(now, n)

    def next_at(self, now: float, n: int = 1) -> float:
        """When the next submit may be written; with ``n``, so many in one go as are worth to wait for."""
        n = max(1, min(n, int(self._saved(STEP))))
        return max(one.next_at(now, n) for one in (self._schedule, self._stream, self._second, self._wide))

    def answered(self, now: float, taken: int, refused: int) -> None:
        """The carrier has answered: so many submits taken, so many refused as too fast."""
        if self._refused or refused:
            self._since += taken
        self._taken += taken
        self._refused += refused
        elapsed = now - self._period_at
        if (elapsed >= PERIOD and (self._taken + self._refused >= ENOUGH or elapsed >= PERIOD_MOST)) or (
            self._at_once and now - self._cut_at >= PERIOD
        ):
            self._judge(now)

    @property
    def _at_once(self) -> bool:
        return self._refused >= AT_ONCE and self._since <= 2 * self._refused

    def _judge(self, now: float) -> None:
        """A period is over."""
        refused, answers = self._refused, self._taken + self._refused
        much = self._at_once or refused > max(1.0, answers * MUCH)
        share = refused / max(1, answers)
        self._taken = self._refused = self._since = 0
        self._period_at = now
        trial, self._trial = self._trial, None
        if now >= self._borne_until:
            self._borne = 0.0
        if much:
            self._borne = 0.0
            self._slow_down(now, CUT)
        elif trial is not None:
            if share > trial.share / 2:
                self._borne, self._borne_until = max(share, trial.share), now + BORNE_FOR
                self._set(min(trial.rate, self._limit), now)
            else:  # where little was wanted, little was carried: that says nothing of what could be
                self._set(min(max(trial.carried, self._rate), self._limit), now)
        elif (excess := share - self._borne * CHANCE) > FEW and not self._borne:
            self._trial = _Trial(self._rate, self._sent(now) * (1 - share), share)
            self._slow_down(now, CUT)
        elif excess > 0:
            self._set(max(self._floor, self._sent(now) * (1 - excess)), now)

    def _slow_down(self, now: float, factor: float) -> None:
        self._cut_at = self._raised_at = now
        self._set(max(self._floor, self._sent(now) * factor), now)

    @property
    def _floor(self) -> float:
        return max(1.0, min(self._limit, 1_000.0) * FLOOR)

    def _sent(self, now: float) -> float:
        """The rate, or without a limit of our own, or far below it, what was really sent and was too fast."""
        self._measure(now, 0)
        return self._rate if self._recent * 2 > self._rate else max(1.0, self._recent)

    def set_limit(self, limit: int, now: float) -> None:
        """Follow a change of configuration; what the carrier has taught stays as far as it fits."""
        self._recover(now)
        slowed = self.slowed
        self._limit = float(limit) if limit else UNLIMITED
        self._second.limit = int(self._limit)
        self._wide.limit = _wide(self._limit)
        self._set(min(self._rate, self._limit) if slowed else self._limit, now)

    def _recover(self, now: float) -> None:
        if not self.slowed or now - self._raised_at < 0.1:
            return
        step = min(RAISE * min(self._limit, max(1_000.0, self._recent * 4)), RAISE_MOST * self._rate)
        step *= now - self._raised_at
        self._raised_at = now
        if now - self._cut_at >= PERIOD and not self._doubtful:
            rate = self._rate + step
            if self._limit >= UNLIMITED and rate > max(1_000.0, self._recent * 4):
                rate = self._limit  # nothing that is sent now is held back any more
            self._set(min(self._limit, rate), now)

    @property
    def _doubtful(self) -> bool:
        """Whether more is refused in this period than may be."""
        return self._refused > 1 + (self._borne * CHANCE + FEW) * (self._taken + self._refused)

    def _set(self, rate: float, now: float) -> None:
        self._rate = rate
        self._schedule.set_rate(rate * AIM, now, self._saved(CATCH_UP))
        self._stream.set_rate(rate * HASTE, now, self._saved(BURST))

    def _measure(self, now: float, n: int) -> None:
        """A smoothed count of submits per second."""
        elapsed = now - self._recent_at
        if elapsed > 0:
            fade = math.exp(-elapsed)
            self._recent *= fade
            self._recent_at = now
        self._recent += n


def _wide(limit: float) -> int:
    return math.ceil(limit * (1 + EDGES))
