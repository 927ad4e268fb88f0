"""Who pulls from which pool: shares by weight, and standbys that wait for trouble.

All channels of a node share the same pools. A channel yields a pool for the moment when it has had more than its
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
BACKLOG = 1.0
"""Seconds that a message may wait in a pool without being called a backlog."""
STANDBY_AFTER = 30.0
"""Seconds that the oldest message of a pool may wait before standbys help."""


class PoolMember(Protocol):
    """A channel, as its neighbours see it."""

    def healthy(self) -> bool:
        """Logged in, and its carrier answers."""

    def has_room(self) -> bool:
        """Could write a message at once."""


@dataclass(slots=True)
class _Member:
    id: int
    holder: PoolMember
    membership: Membership
    pulled: float = 0.0


@dataclass(slots=True)
class _Pool:
    members: dict[int, _Member] = field(default_factory=dict)
    faded_at: float = 0.0
    oldest_wait: float = 0.0

    def fade(self, now: float) -> None:
        if now > self.faded_at:
            factor = math.exp((self.faded_at - now) / FADE)
            for member in self.members.values():
                member.pulled *= factor
            self.faded_at = now


class PoolShares:
    """The pools of a node, and which channels share them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pools: dict[int, _Pool] = {}
        self._left: Mapping[int, float] = {}
        """What is left of a channel's weight, of those that get less than their share (ADR 075)."""

    def slow(self, left: Mapping[int, float]) -> None:
        """These channels keep such a part of their weight, and all others the whole. Where nobody else has room, they
        pull as ever: nothing waits for the sake of a figure."""
        self._left = left

    def _weight(self, member: _Member) -> float:
        return member.membership.weight * self._left.get(member.id, 1.0) if self._left else member.membership.weight

    def join(self, channel_id: int, holder: PoolMember, pools: Mapping[int, Membership]) -> None:
        """Make a channel a member of these pools and of no others; counts are kept."""
        for pool_id, pool in self._pools.items():
            if pool_id not in pools:
                pool.members.pop(channel_id, None)
        for pool_id, membership in pools.items():
            pool = self._pools.setdefault(pool_id, _Pool(faded_at=self._clock()))
            old = pool.members.get(channel_id)
            pool.members[channel_id] = _Member(channel_id, holder, membership, old.pulled if old else 0.0)

    def leave(self, channel_id: int) -> None:
        """It is a member of none any more."""
        for pool in self._pools.values():
            pool.members.pop(channel_id, None)

    def waits(self, waits: Mapping[int, float]) -> None:
        """How many seconds the oldest message of each pool has waited; absent: nothing waits."""
        for pool_id, pool in self._pools.items():
            pool.oldest_wait = waits.get(pool_id, 0.0)

    def pulled(self, channel_id: int, pool_id: int, parts: int) -> None:
        """A channel has claimed parts from a pool."""
        pool = self._pools.get(pool_id)
        if pool is not None and channel_id in pool.members:
            pool.fade(self._clock())
            pool.members[channel_id].pulled += parts

    def may_pull(self, channel_id: int, pool_id: int) -> bool:
        """Whether the channel may claim from the pool now."""
        pool = self._pools.get(pool_id)
        member = pool.members.get(channel_id) if pool else None
        if pool is None or member is None:
            return False
        if member.membership.standby and not self.standby_called(pool_id):
            return False
        if len(pool.members) == 1:
            return True
        pool.fade(self._clock())
        peers = [s for s in pool.members.values() if s.membership.standby == member.membership.standby]
        total = sum(s.pulled for s in peers)
        weights = sum(self._weight(s) for s in peers if s.holder.healthy())
        if total < FEW or not weights:
            return True
        if member.pulled / total <= self._weight(member) / weights * TOLERANCE:
            return True
        return not any(
            s is not member
            and s.pulled / total < self._weight(s) / weights
            and s.holder.healthy()
            and s.holder.has_room()
            for s in peers
        )

    def had(self, channel_id: int, pool_id: int, more: int) -> float:
        """What the channel has had lately from the pool, and ``more``, for its weight: who has had least is next."""
        pool = self._pools.get(pool_id)
        member = pool.members.get(channel_id) if pool else None
        if pool is None or member is None:
            return math.inf
        pool.fade(self._clock())
        return (member.pulled + more) / max(self._weight(member), 1e-9)

    def backlog(self, pool_id: int) -> bool:
        """Whether messages of the pool wait for longer than it takes to claim them, when last looked."""
        pool = self._pools.get(pool_id)
        return pool is not None and pool.oldest_wait > BACKLOG

    def may_borrow(self, channel_id: int, pool_id: int) -> bool:
        """Whether the channel may claim emergency messages of the pool now: shares do not count, and a standby helps
        as soon as no primary has room."""
        pool = self._pools.get(pool_id)
        member = pool.members.get(channel_id) if pool else None
        if pool is None or member is None:
            return False
        return not member.membership.standby or not any(
            s.holder.healthy() and s.holder.has_room() for s in pool.members.values() if not s.membership.standby
        )

    def standby_called(self, pool_id: int) -> bool:
        """Whether standbys pull: no primary is healthy, or the backlog is too old."""
        pool = self._pools.get(pool_id)
        if pool is None:
            return False
        primaries = [s for s in pool.members.values() if not s.membership.standby]
        return pool.oldest_wait > STANDBY_AFTER or not any(s.holder.healthy() for s in primaries)

    def healthy(self, pool_id: int) -> tuple[int, int]:
        """(primaries, standbys) of the pool that are healthy."""
        pool = self._pools.get(pool_id)
        members = [s for s in pool.members.values() if s.holder.healthy()] if pool else []
        standbys = sum(s.membership.standby for s in members)
        return len(members) - standbys, standbys
