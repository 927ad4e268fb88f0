"""Who pulls from which pool: shares by weight, and standbys that wait for trouble.

All channels of a node sit at the same tables. A channel yields a pool for the moment when it has had more than its
share and a healthy neighbour with room could take the messages; a standby pulls only while no primary is healthy or
the oldest message has waited too long. Nobody is assigned anything: what one leaves, the next finds in the queue.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from smsgw.pipeline.fleet import Membership

FADE = 20.0
"""Seconds after which a pulled message counts about a third: shares are those of the last minute."""
TOLERANCE = 1.05
FEW = 20.0
"""Below so many recent parts shares are not judged."""
STANDBY_AFTER = 30.0
"""Seconds that the oldest message of a pool may wait before standbys help."""


class PoolMember(Protocol):
    """A channel, as its neighbours see it."""

    def healthy(self) -> bool:
        """Logged in, and its carrier answers."""

    def has_room(self) -> bool:
        """Could write a message at once."""


@dataclass(slots=True)
class _Seat:
    holder: PoolMember
    membership: Membership
    pulled: float = 0.0


@dataclass(slots=True)
class _Table:
    seats: dict[int, _Seat] = field(default_factory=dict)
    faded_at: float = 0.0
    oldest_wait: float = 0.0

    def fade(self, now: float) -> None:
        if now > self.faded_at:
            factor = math.exp((self.faded_at - now) / FADE)
            for seat in self.seats.values():
                seat.pulled *= factor
            self.faded_at = now


class PoolShares:
    """The tables of a node."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tables: dict[int, _Table] = {}

    def sit(self, channel_id: int, holder: PoolMember, pools: Mapping[int, Membership]) -> None:
        """Take the seats of a channel; those it had elsewhere are given up, counts are kept."""
        for pool_id, table in self._tables.items():
            if pool_id not in pools:
                table.seats.pop(channel_id, None)
        for pool_id, membership in pools.items():
            table = self._tables.setdefault(pool_id, _Table(faded_at=self._clock()))
            old = table.seats.get(channel_id)
            table.seats[channel_id] = _Seat(holder, membership, old.pulled if old else 0.0)

    def leave(self, channel_id: int) -> None:
        """Give up all seats of a channel."""
        for table in self._tables.values():
            table.seats.pop(channel_id, None)

    def waits(self, waits: Mapping[int, float]) -> None:
        """How many seconds the oldest message of each pool has waited; absent: nothing waits."""
        for pool_id, table in self._tables.items():
            table.oldest_wait = waits.get(pool_id, 0.0)

    def pulled(self, channel_id: int, pool_id: int, parts: int) -> None:
        """A channel has claimed parts from a pool."""
        table = self._tables.get(pool_id)
        if table is not None and channel_id in table.seats:
            table.fade(self._clock())
            table.seats[channel_id].pulled += parts

    def may_pull(self, channel_id: int, pool_id: int) -> bool:
        """Whether the channel may claim from the pool now."""
        table = self._tables.get(pool_id)
        seat = table.seats.get(channel_id) if table else None
        if table is None or seat is None:
            return False
        if seat.membership.standby and not self.standby_called(pool_id):
            return False
        if len(table.seats) == 1:
            return True
        table.fade(self._clock())
        peers = [s for s in table.seats.values() if s.membership.standby == seat.membership.standby]
        total = sum(s.pulled for s in peers)
        weights = sum(s.membership.weight for s in peers if s.holder.healthy())
        if total < FEW or not weights:
            return True
        if seat.pulled / total <= seat.membership.weight / weights * TOLERANCE:
            return True
        return not any(
            s is not seat
            and s.pulled / total < s.membership.weight / weights
            and s.holder.healthy()
            and s.holder.has_room()
            for s in peers
        )

    def may_borrow(self, channel_id: int, pool_id: int) -> bool:
        """Whether the channel may claim emergency messages of the pool now: shares do not count, and a standby helps
        as soon as no primary has room."""
        table = self._tables.get(pool_id)
        seat = table.seats.get(channel_id) if table else None
        if table is None or seat is None:
            return False
        return not seat.membership.standby or not any(
            s.holder.healthy() and s.holder.has_room() for s in table.seats.values() if not s.membership.standby
        )

    def standby_called(self, pool_id: int) -> bool:
        """Whether standbys pull: no primary is healthy, or the backlog is too old."""
        table = self._tables.get(pool_id)
        if table is None:
            return False
        primaries = [s for s in table.seats.values() if not s.membership.standby]
        return table.oldest_wait > STANDBY_AFTER or not any(s.holder.healthy() for s in primaries)

    def healthy(self, pool_id: int) -> tuple[int, int]:
        """(primaries, standbys) of the pool that are healthy."""
        table = self._tables.get(pool_id)
        seats = [s for s in table.seats.values() if s.holder.healthy()] if table else []
        standbys = sum(s.membership.standby for s in seats)
        return len(seats) - standbys, standbys
