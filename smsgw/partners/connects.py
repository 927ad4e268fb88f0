"""CMPP_CONNECTs that have let a partner in: whoever has seen one on its way does not come in with it again.

A CONNECT proves the password with a time of the partner's clock, to the second and without a year; nothing in it is
ours. So its time must be near ours, as far as clocks and zones are wrong among honest people, and is good once, but for
the connections that a partner opens in the same second, which cannot but be alike.

No clock in it: ``now`` is in seconds, monotonic, ``at`` the time of day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.guard import Bounded
from smsgw.core.ids import CHINA

OFF = timedelta(hours=24)
"""A partner's clock may be so wrong: a zone, and twelve hours for twenty-four, are mistakes that are made."""
KEPT = 2 * OFF.total_seconds()
"""Seconds for which a CONNECT is remembered: by then its time is too old, however much it was ahead."""
TOGETHER = 60.0
"""Seconds in which the connections of one second of the partner's clock come."""
AGAIN = 4
"""More of them than it may have at a time: some are lost and made anew within the second."""
MAX_OF_ONE = 5_000
"""CONNECTs of one partner that are remembered, the newest …"""
MAX_PARTNERS = 2_000
"""… and of so many partners."""


@dataclass(slots=True)
class _Seen:
    first: float
    times: int = 1


def distance(stamp: int, at: datetime) -> timedelta | None:
    """From our time to MMDDHHMMSS in China, of the year that brings them together; None when it is no time."""
    text = f"{stamp:010d}"
    year = at.astimezone(CHINA).year
    found = []
    for one in (year - 1, year, year + 1):
        try:
            found.append(datetime.strptime(f"{one}{text}", "%Y%m%d%H%M%S").replace(tzinfo=CHINA) - at)
        except ValueError:  # the 29th of February, or no time at all
            continue
    return min(found, key=abs, default=None)


class Connects:
    """What was seen, by partner."""

    def __init__(self) -> None:
        self._seen: Bounded[int, Bounded[int, _Seen]] = Bounded(MAX_PARTNERS)

    def problem(self, partner_id: int, stamp: int, *, own: bool, most: int, now: float, at: datetime) -> str:
        """Why a CONNECT with a right proof is not good: ``clock``, ``replayed``; empty when it is.

        ``own``: its address is one that the partner has logged in from; ``most``: connections that it may have.
        """
        off = distance(stamp, at)
        if off is None or abs(off) > OFF:
            return "clock"
        seen = self._get(partner_id, stamp, now)
        if seen is not None and (not own or seen.times >= most + AGAIN or now - seen.first > TOGETHER):
            return "replayed"
        return ""

    def note(self, partner_id: int, stamp: int, now: float) -> bool:
        """It has let somebody in; True when it is the first of its kind."""
        seen = self._get(partner_id, stamp, now)
        if seen is not None:
            seen.times += 1
            return False
        self._put(partner_id, stamp, _Seen(now))
        return True

    def learn(self, partner_id: int, stamp: int, first: float, now: float) -> None:
        """It has, on another node or before."""
        if self._get(partner_id, stamp, now) is None:
            self._put(partner_id, stamp, _Seen(first))

    def _get(self, partner_id: int, stamp: int, now: float) -> _Seen | None:
        of_one = self._seen.get(partner_id)
        seen = None if of_one is None else of_one.get(stamp)
        return None if seen is None or now - seen.first > KEPT else seen

    def _put(self, partner_id: int, stamp: int, seen: _Seen) -> None:
        of_one = self._seen.get(partner_id)
        if of_one is None:
            of_one = Bounded(MAX_OF_ONE)
        of_one.put(stamp, seen)
        self._seen.put(partner_id, of_one)
