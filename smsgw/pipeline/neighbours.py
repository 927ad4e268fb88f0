"""What nodes tell each other beside the database, so that they need not find it out by looking (docs/adr/090).

How much was asked of an account's rate, who was wrong at a login, what was queued, what waits for customers, that the
configuration has moved. Each is a hint: without it a node divides rates equally, counts logins alone, and looks every
second. Words are sealed with keys derived from the key file, and numbered: whoever rules Redis reads none, makes none,
and has none heard twice by a node that hears them. He may keep them back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from smsgw.core.alarms import WARNING, Finding
from smsgw.core.demand import EVERY, Asked, Demand
from smsgw.core.guessing import Guesses
from smsgw.core.words import phrase
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.fleet import Fleet
from smsgw.pipeline.periodic import Periodic
from smsgw.runtime import clock
from smsgw.runtime.config import RedisConfig
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.engine.secrets import Passing, Sealer

if TYPE_CHECKING:
    from smsgw.net.bus import Bus, Seen

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

SOON = 0.02
"""Seconds in which what is told is gathered into one word, or for as long as others wait to go out."""
MOST = 500
"""Of each kind in a word; what is beyond is found by looking."""
STALE = 10.0
"""Seconds after which a word is not believed any more: somebody may have kept it."""
LOOK_EVERY = 60.0
FOLLOW_AFTER = 0.2
"""Seconds from when the configuration has moved; what moves meanwhile is taken up with it."""
PATIENCE = 5.0
"""Seconds without Redis that are no alarm."""
DEAF = 30.0
"""Seconds without words of a node that lives that are no alarm: one that begins has yet to connect, one that was killed
counts until its lease is over."""


class Word(msgspec.Struct, omit_defaults=True):
    """What one node tells the others."""

    node: int
    life: int
    """When the node began, in microseconds: a later life has more of them."""
    n: int
    """Of the word in it."""
    at: float
    demand: Asked | None = None
    queues: list[tuple[int, int]] = []
    events: list[tuple[int, str]] = []
    logins: list[tuple[str, str, str, str, str]] = []
    """Of which guard, what (``failed``, ``succeeded``, ``admitted``, ``forgiven``), address, user, device."""
    config: bool = False


_decoder = msgspec.json.Decoder(Word)


class Neighbours:
    """One a node; without ``[redis]`` it tells nobody anything."""

    def __init__(
        self, config: RedisConfig, sealer: Sealer, node: int, demand: Demand, fleet: Fleet, hub: EventHub,
        guesses: Guesses, live: Callable[[], int], granting: Callable[[], int],
    ) -> None:  # fmt: skip
        """``live``: nodes that live; ``granting``: those that meter together, this one among them."""
        self._passing = Passing(sealer, "neighbours")
        self._node = node
        self._life, self._n = int(clock.now().timestamp() * 1e6), 0
        self._live = live
        self._granting = granting
        self._last: dict[int, tuple[tuple[int, int], float]] = {}
        """Of each node that is heard: its last word, and when it came."""
        self._whole_at = clock.steady()
        """When all nodes were heard, or Redis was away."""
        self._demand = demand
        self._fleet = fleet
        self._hub = hub
        self._guards = guesses.guards
        self._queues: set[tuple[int, int]] = set()
        self._events: set[tuple[int, str]] = set()
        self._logins: list[tuple[str, str, str, str, str]] = []
        self._config = False
        self._due: asyncio.TimerHandle | None = None
        self._hearing = False
        self._moved = asyncio.Event()
        topic = f"smsgw/{sealer.ids[-1]}"
        self.bus = _bus(config, topic, self._hear) if config.used else None
        self.heard = self.refused = 0
        """Words of others, and what was none."""
        if self.bus is not None:
            fleet.listeners.append(self._queued)
            hub.neighbours.append(self._waits)
            guesses.listeners.append(self._login)

    async def start(self) -> None:
        """Begin to listen."""
        if self.bus is not None:
            await self.bus.start()

    async def stop(self) -> None:
        """Say nothing more."""
        if self._due is not None:
            self._due.cancel()
        if self.bus is not None:
            await self.bus.stop()

    def periodics(self, follow: Callable[[], Awaitable[object]]) -> Sequence[Periodic]:
        """What tells of the demand; ``follow`` takes up a configuration that has moved."""
        if self.bus is None:
            return ()

        async def followed() -> None:
            await asyncio.sleep(FOLLOW_AFTER)
            await follow()

        return (
            Periodic("neighbours.demand", EVERY, self._tell_demand),
            Periodic("neighbours.config", LOOK_EVERY, followed, wake=self._moved),
        )

    def findings(self, node: str) -> list[Finding]:
        """That Redis is away, where there should be one, or is not the others'."""
        if self.bus is None:
            return []
        if self.bus.away >= PATIENCE:
            detail = phrase("alarm.redis_away", seconds=int(self.bus.away), problem=self.bus.problem or "-")
        elif clock.steady() - self._whole_at > DEAF:
            detail = phrase("alarm.redis_deaf", others=self._live() - 1, heard=self.hears)
        else:
            return []
        return [Finding("redis_away", node, WARNING, detail)]

    @property
    def hears(self) -> int:
        """Other nodes of which a word came lately."""
        now = clock.steady()
        return sum(now - at <= STALE for _, at in self._last.values())

    @property
    def status(self) -> Mapping[str, Any] | None:
        """For people; None without Redis."""
        if self.bus is None:
            return None
        return {
            "server": self.bus.server, "away": round(self.bus.away, 1), "problem": self.bus.problem,
            "sent": self.bus.sent, "dropped": self.bus.dropped, "heard": self.heard,
            "hears": self.hears, "others": max(0, self._live() - 1),
            "sentinels": [msgspec.to_builtins(seen) for seen in self.bus.seen],
        }  # fmt: skip

    @property
    def sentinels(self) -> Sequence[Seen]:
        """What they said last."""
        return () if self.bus is None else self.bus.seen

    # --- telling -----------------------------------------------------------------------------------------------

    def configured(self) -> None:
        """The configuration has moved."""
        self._config = True
        self._soon()

    def _queued(self, queues: set[tuple[int, int]]) -> None:
        if not self._hearing and len(self._queues) < MOST:
            self._queues |= queues
            self._soon()

    def _waits(self, accounts: list[int], kind: str) -> None:
        if room := MOST - len(self._events):
            self._events |= {(account, kind) for account in accounts[:room]}
            self._soon()

    def _login(self, name: str, what: str, ip: str, user: str, device: str) -> None:
        if not self._hearing and len(self._logins) < MOST:
            self._logins.append((name, what, ip, user, device))
            self._soon()

    def _soon(self) -> None:
        if self.bus is None or not self.bus.up:
            self._forget()
        elif self._due is None:
            self._due = asyncio.get_running_loop().call_later(SOON, self._tell)

    def _forget(self) -> None:
        self._queues, self._events, self._logins, self._config = set(), set(), [], False

    async def _tell_demand(self) -> None:
        self._passing.follow()
        live, steady = self._live(), clock.steady()
        if self.bus is None or not self.bus.up or self.hears >= live - 1:
            self._whole_at = steady
        word = self._demand.word(time.monotonic(), fixed=min(self._granting(), live) > 1)
        self._say(self._word(demand=word))

    def _tell(self) -> None:
        self._due = None
        if self.bus is not None and self.bus.busy:  # a slow server has fewer and longer words
            self._soon()
            return
        word = self._word(
            queues=sorted(self._queues), events=sorted(self._events), logins=self._logins, config=self._config
        )
        self._forget()
        self._say(word)

    def _word(self, **what: Any) -> Word:
        self._n += 1
        return Word(self._node, self._life, self._n, clock.now().timestamp(), **what)

    def _say(self, word: Word) -> None:
        if self.bus is not None and self.bus.up:
            self.bus.say(self._passing.seal(msgspec.json.encode(word), word.at))

    # --- hearing -----------------------------------------------------------------------------------------------

    def _hear(self, octets: bytes) -> None:
        now = clock.now().timestamp()
        opened = self._passing.open(octets, now)
        try:
            word = None if opened is None else _decoder.decode(opened)
        except msgspec.DecodeError:  # of another version
            word = None
        if word is None:
            self.refused += 1
            sparing.warning("neighbours.not_ours", "word")
            return
        if word.node == self._node or abs(now - word.at) > STALE or not self._new(word):
            return
        self.heard += 1
        self._hearing = True
        try:
            self._take(word)
        finally:
            self._hearing = False

    def _new(self, word: Word) -> bool:
        """Whether the node has said nothing later yet: somebody may play words again."""
        now, this = clock.steady(), (word.life, word.n)
        for gone in [node for node, (_, at) in self._last.items() if now - at > 2 * STALE]:
            del self._last[gone]  # its words are not believed any more by their time; and its clock may have been set
        if word.node in self._last and this <= self._last[word.node][0]:
            return False
        self._last[word.node] = this, now
        return True

    def _take(self, word: Word) -> None:
        now = clock.steady()
        if word.demand is not None:
            self._demand.hear(word.node, word.demand, time.monotonic())
        if word.queues:
            self._fleet.announced(set(word.queues[:MOST]))
        for account, kind in word.events[:MOST]:
            self._hub.notified((account,), kind)  # the other workers of this machine hear it themselves
        for name, what, ip, user, device in word.logins[:MOST]:
            if (guard := self._guards.get(name)) is not None:
                guard.hear(what, ip, user, now, device)
        if word.config:
            self._moved.set()


def _bus(config: RedisConfig, topic: str, hear: Callable[[bytes], None]) -> Bus:
    """A node without Redis does not load its client."""
    from smsgw.net.bus import Bus

    return Bus(config, topic, hear)
