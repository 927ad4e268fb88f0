"""Which machine takes a channel that nobody has (docs/durability.md). One that runs stays where it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import structlog
from asyncpg import PostgresError

from smsgw.core.errors import SmsgwError
from smsgw.runtime.aio import boottime
from smsgw.store.engine import leases
from smsgw.store.engine.database import Database

log = structlog.get_logger(__name__)

LOOK_EVERY = 1.0
LOOK_WITHIN = 1.0
"""Seconds for a look: it is advice."""
STALE = 5.0
"""Seconds after which it is not known any more who has what."""
PATIENCE = 5.0
"""Seconds for which a free channel is left to the machine whose turn it is; then it is anybody's."""


@dataclass(frozen=True, slots=True)
class Seat:
    """What one machine takes as a whole: a channel, or all that listen for carriers at one address."""

    id: int
    """The least of theirs."""
    connections: int
    others: tuple[int, ...] = ()


def heir(seat: Seat, loads: Mapping[str, int], without: Collection[str] = ()) -> str:
    """The machine that takes a free channel: the one with least, but for those that have just had it (as long as there
    are others)."""
    able = [name for name in loads if name not in without] or list(loads)
    return min(able, key=lambda name: (loads[name], name))


def shared_out(
    free: Iterable[Seat], loads: Mapping[str, int], without: Mapping[int, Collection[str]] | None = None
) -> dict[int, str]:
    """Free channel -> the machine that takes it. All machines that see the same come to the same."""
    load, found = dict(loads), {}
    for seat in sorted(free, key=lambda one: (-one.connections, one.id)):
        found[seat.id] = heir(seat, load, (without or {}).get(seat.id, ()))
        load[found[seat.id]] += seat.connections
    return found


@dataclass(slots=True)
class _Past:
    """What is remembered of a channel."""

    holder: str = ""
    """The machine that has it, or had it last."""
    free_since: float = 0.0
    """0: somebody has it."""


@dataclass(slots=True)
class Balance:
    """As this node sees it. Until ``look`` has found other machines, and when it finds nothing any more, every channel
    is its own to take: the lease decides."""

    database: Database
    node: int
    _machine: str = ""
    _of: dict[int, str] = field(default_factory=dict)
    """Live node -> its machine."""
    _held: dict[int, int] = field(default_factory=dict)
    """Seat -> the node that has it."""
    _past: dict[int, _Past] = field(default_factory=dict)
    """Of the channels that the last look knew."""
    _plan: dict[int, str] = field(default_factory=dict)
    _looked: float = float("-inf")

    async def look(self, seats: Collection[Seat]) -> None:
        """Find out who lives and who has what. Nobody waits for it."""
        try:
            of, holders = await leases.holders(self.database, timeout=LOOK_WITHIN)
        except (SmsgwError, OSError, PostgresError) as exc:
            log.info("channels.not_looked", error=type(exc).__name__)
            return
        self.heard(seats, of, holders, boottime())

    def heard(self, seats: Collection[Seat], of: Mapping[int, str], holders: Mapping[int, int], now: float) -> None:
        """This is who lives on which machine, and who has what."""
        self._machine, self._of, self._looked = of.get(self.node, ""), dict(of), now
        self._held = {s.id: holders[id_] for s in seats for id_ in (s.id, *s.others) if id_ in holders}
        self._past = {seat.id: self._seen(seat.id, now) for seat in seats}
        loads = dict.fromkeys(of.values(), 0)
        for seat in seats:
            if (machine := of.get(self._held.get(seat.id, 0))) is not None:
                loads[machine] += seat.connections
        # What nobody has taken in time, because nobody can, is no reason to leave others to somebody else.
        free = [seat for seat in seats if now - self._past[seat.id].free_since <= PATIENCE]
        self._plan = shared_out(free, loads, {s.id: self._without(s.id) for s in free}) if loads else {}

    def _seen(self, id_: int, now: float) -> _Past:
        past = self._past.get(id_, _Past())
        if (node := self._held.get(id_)) is not None:
            return _Past(self._of.get(node, past.holder))
        return _Past(past.holder, past.free_since or now)

    def _without(self, id_: int) -> set[str]:
        """A machine that has one process and let it go just now is about to end, or gone."""
        holder = self._past[id_].holder
        return {holder} if list(self._of.values()).count(holder) == 1 else set()

    @property
    def alone(self) -> bool:
        """The last look has found no other machine."""
        return len(set(self._of.values())) < 2

    def mine(self, id_: int) -> bool:
        """Whether this node may take a channel that does not run here."""
        now = boottime()
        if self.alone or now - self._looked > STALE:
            return True
        past = self._past.get(id_)
        if past is None:  # newer than the last look
            return False
        if (holder := self._held.get(id_)) is not None:  # what is another machine's cannot be had
            return self._of.get(holder) in (self._machine, None)
        return self._plan.get(id_) == self._machine or now - past.free_since > PATIENCE
