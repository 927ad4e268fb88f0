"""The fleet: what the channels of all nodes can do, as routing, accepting and outcomes need to know it.

Read by many, told by the channel manager alone: which channels are configured, which run here, and what other nodes
have said of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from smsgw.core.model import TEST_CHANNEL, TEST_POOL_NAME, ChannelSpec, Claimed
from smsgw.core.routes import DEFAULT_POOL, RouteTable
from smsgw.pipeline.snapshot import Snapshots
from smsgw.store.messages.calls import Fence

Queue = tuple[int, int]
"""(pool id, lane)."""


@dataclass(frozen=True, slots=True)
class Membership:
    """How a channel belongs to a pool."""

    weight: int = 1
    standby: bool = False


def membership(spec: ChannelSpec, pool: str, table: RouteTable) -> Membership | None:
    """Whether and how a channel pulls from a pool.

    The route table names the channels of its pools; a built-in pool has every channel that serves its carrier (no
    carriers given: all of them).
    """
    if spec.id == TEST_CHANNEL or pool == TEST_POOL_NAME:  # they are for each other and for nobody else
        return Membership() if spec.id == TEST_CHANNEL and pool == TEST_POOL_NAME else None
    if pool in table.pools:
        for member in table.members(pool):
            if member.channel == spec.name:
                return Membership(member.weight, member.standby)
        return None
    if pool in DEFAULT_POOL.values() and (not spec.carriers or pool in spec.carriers):
        return Membership()
    return None


def pools_of(spec: ChannelSpec, pools: Mapping[str, int], table: RouteTable) -> dict[int, Membership]:
    """Pool id -> membership, for every pool that a channel pulls from."""
    return {
        pool_id: found
        for name, pool_id in sorted(pools.items())
        if (found := membership(spec, name, table)) is not None
    }


class Running(Protocol):
    """A channel that runs on this node."""

    def available(self) -> bool:
        """Whether it is logged in, or was a moment ago."""

    def announce(self, queues: set[Queue]) -> None:
        """Messages have been queued: pull from there."""

    def comes_back(self, pools: set[int]) -> None:
        """Messages are about to be queued again there, older than what comes."""

    def offer(self, queue: Queue, account_id: int, parts: int) -> float | None:
        """Whether it has nothing to do and would take a message of so many parts as it is accepted: how much it has had
        lately from the pool for its weight, or None."""

    def reserve(self, message: Sequence[Claimed]) -> Fence:
        """Keep room for a message that it has offered to take. ``entered`` or ``in_doubt`` is said of it in the end."""

    def entered(self, reserved: Sequence[Claimed], claimed: Sequence[Claimed]) -> None:
        """The transaction is over: of what was reserved this is committed as claimed, and nothing else will be."""

    def in_doubt(self, reserved: Sequence[Claimed]) -> None:
        """It is not known whether what was reserved is committed as claimed, or will be: it is in nobody's hand."""


class Complaints(Protocol):
    """Where marketing has been stopped."""

    def marketing_stopped(self, channel_id: int) -> bool:
        """Whether complaints keep marketing off a channel."""


class Fleet:
    """The channels of all nodes. Without what the manager tells there are none."""

    def __init__(self, snapshots: Snapshots, complaints: Complaints) -> None:
        self._snapshots = snapshots
        self._complaints = complaints
        self._specs: Mapping[int, ChannelSpec] = {}
        self._running: dict[int, Running] = {}
        self._lately: frozenset[int] = frozenset()
        self._elsewhere: frozenset[int] = frozenset()
        self._table: RouteTable | None = None
        self._members: dict[str, tuple[ChannelSpec, ...]] = {}
        """By pool, as far as somebody has asked; under ``_table``."""
        self.listeners: list[Callable[[set[Queue]], None]] = []
        """Called with the queues that are announced here; they must be quick."""
        self.reporting_once: frozenset[int] = frozenset()
        """Ids of the channels whose carriers report a long message once."""

    # --- what the manager tells --------------------------------------------------------------------------------

    def configured(self, specs: Mapping[int, ChannelSpec]) -> None:
        """These are the channels that there are, by id."""
        self._specs = dict(specs)
        self._table = None
        self.reporting_once = frozenset(id_ for id_, s in specs.items() if s.profile.get("long_reports") == "first")

    def begun(self, channel_id: int, channel: Running) -> None:
        """A channel runs here."""
        self._running[channel_id] = channel

    def ended(self, channel_id: int) -> None:
        """A channel runs here no more."""
        self._running.pop(channel_id, None)

    def heard(self, lately: Iterable[int], elsewhere: Iterable[int]) -> None:
        """Channels of which an owner, whichever, was logged in a moment ago; and those that are on other nodes.

        While the database is away both stand still: nothing new is heard of anybody.
        """
        self._lately, self._elsewhere = frozenset(lately), frozenset(elsewhere)

    # --- what others ask ---------------------------------------------------------------------------------------

    def announce(self, queues: set[Queue]) -> None:
        """Messages have been queued: wake the channels that pull from there."""
        self.announced(queues)
        for listener in self.listeners:
            listener(queues)

    def announced(self, queues: set[Queue]) -> None:
        """The same has been said by another process: of the channels here."""
        for channel in self._running.values():
            channel.announce(queues)

    def comes_back(self, pools: set[int]) -> None:
        """A channel here gives messages of these pools back: what comes waits behind them for a while."""
        for channel in self._running.values():
            channel.comes_back(pools)

    def taker(self, queue: Queue, account_id: int, parts: int) -> Running | None:
        """The channel here that takes a message as it is accepted, of those that have nothing to do; None: it waits."""
        best, least = None, math.inf
        for channel in self._running.values():
            had = channel.offer(queue, account_id, parts)
            if had is not None and had < least:
                best, least = channel, had
        return best

    def members(self, pool: str) -> tuple[ChannelSpec, ...]:
        """The channels that pull from a pool."""
        table = self._snapshots.current.table
        if table is not self._table:
            self._members.clear()
            self._table = table
        found = self._members.get(pool)
        if found is None:
            found = tuple(s for s in self._specs.values() if membership(s, pool, table) is not None)
            if pool in self._snapshots.current.pools:  # of these there are only so many
                self._members[pool] = found
        return found

    def available(self, pool: str) -> bool:
        """Whether messages may be routed to the pool: a channel of it, here or on another node, is logged in or was
        a moment ago.

        What waits belongs to the pool and not to a channel: it goes to whichever logs in first.
        """
        return any(self._takes(spec) for spec in self.members(pool))

    def _takes(self, spec: ChannelSpec) -> bool:
        channel = self._running.get(spec.id)
        if channel is not None and channel.available():
            return True
        # The last owner was logged in a moment ago: the next one will be.
        return spec.desired == "started" and spec.id in self._lately

    def serving(self, pool_id: int) -> frozenset[int]:
        """Ids of the channels, here or on another node, that can take messages of the pool now."""
        name = next((name for name, id_ in self._snapshots.current.pools.items() if id_ == pool_id), None)
        if name is None:
            return frozenset()
        found = set()
        for spec in self.members(name):
            channel = self._running.get(spec.id)
            if channel.available() if channel is not None else spec.id in self._elsewhere:
                found.add(spec.id)
        return frozenset(found)

    def ascii_only(self, pool: str) -> bool:
        """Whether some channel of the pool cannot carry GSM 7-bit text beyond ASCII."""
        return any(not s.protocol.startswith("smpp") for s in self.members(pool))

    def single_limit(self, pool: str) -> int:
        """Characters in 7 bits that every channel of the pool takes in one part."""
        return min((int(s.profile.get("single_limit", 160)) for s in self.members(pool)), default=160)

    def marketing_stopped(self, channel_id: int) -> bool:
        """Whether complaints keep marketing off a channel."""
        return self._complaints.marketing_stopped(channel_id)

    def marketing_open(self, pool: str) -> bool:
        """Whether complaints leave a channel of the pool for marketing."""
        members = self.members(pool)
        return not members or not all(self._complaints.marketing_stopped(s.id) for s in members)
