"""What a node measures of the platform every so often, for the alarms about it, the metrics and the board."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from smsgw.core.alarm_rules import Rules
from smsgw.core.alarms import CRITICAL, WARNING, Finding
from smsgw.core.ids import first_id
from smsgw.core.model import ChannelStatus, Lane
from smsgw.core.wording_json import Moment
from smsgw.core.words import label, phrase
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshots
from smsgw.runtime import clock
from smsgw.store.engine import nodes
from smsgw.store.engine.database import Database
from smsgw.store.engine.nodes import Missing
from smsgw.store.records import measures as store
from smsgw.store.records.alarms import MISSING
from smsgw.store.records.measures import Low, Queue, Replication

EVERY = 10.0
SHARE = 0.01
"""Of the database's time at most: queues that take longer to count are counted less often."""
LONGEST_PAUSE = 120.0
HOLDS = 30.0
"""Seconds for which something measured is told of at least; longer where it is measured less often than that."""
MOST_LOW = 1000
T = TypeVar("T")


class Measure(Generic[T]):
    """One thing that is measured every so often, whatever becomes of the others."""

    def __init__(self, ask: Callable[[], Awaitable[T]], share: float = 1.0) -> None:
        self._ask = ask
        self._share = share
        self._next = 0.0
        self._got: tuple[T, float] | None = None

    async def step(self) -> None:
        """Measure it, if it has its turn."""
        loop = asyncio.get_running_loop()
        if (begun := loop.time()) < self._next:
            return
        try:
            got = await self._ask()
        finally:
            self._next = begun + min((loop.time() - begun) / self._share, LONGEST_PAUSE)
        self._got = got, loop.time()

    @property
    def last(self) -> T | None:
        """What it was at last; None: that is not known, or was long ago."""
        if self._got is None:
            return None
        got, at = self._got
        holds = max(HOLDS, 2 * (self._next - at))
        return got if asyncio.get_running_loop().time() - at <= holds else None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits, as of a moment."""

    at: datetime
    queues: Sequence[Queue]
    most: int
    """Of one pool in a lane no more are counted."""


class Measures:
    """On this node. ``open_for``: messages of before are not queued any more."""

    def __init__(self, database: Database, snapshots: Snapshots, open_for: timedelta) -> None:
        self._database = database
        self._snapshots = snapshots
        self._open_for = open_for
        self.waiting = Measure(self._waiting, SHARE)
        self.replication = Measure[Replication](lambda: store.replication(database))
        self.missing = Measure[Sequence[Missing]](lambda: nodes.missing(database))
        self._balances = Measure(self._low)

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        what: Mapping[str, Measure[Any]] = {
            "queues": self.waiting, "database": self.replication, "balances": self._balances,
        }  # fmt: skip
        return [Periodic(f"measures.{name}", EVERY, one.step, jitter=EVERY / 10) for name, one in what.items()]

    @property
    def _rules(self) -> Rules:
        return self._snapshots.current.alarm_rules

    async def _waiting(self) -> Waiting:
        now, rules = clock.now(), self._rules
        most = max(rule.values["threshold"] for rule in (rules.of("queue_long"), *rules.exceptions("queue_long"))) + 1
        oldest = first_id(now - self._open_for)
        found = [await store.queue(self._database, lane, oldest, most) for lane in Lane]
        return Waiting(now, [one for one in found if one is not None], most)

    async def _low(self) -> Sequence[Low]:
        rules = self._rules
        if not rules.wanted("balance_low"):
            return []
        rule = rules.of("balance_low")
        own = {one.object.partition("/")[2]: one.values["threshold"] if one.on else None
               for one in rules.exceptions("balance_low")}  # fmt: skip
        limit = rule.values["threshold"] if rule.on else None
        return await store.low_balances(self._database, limit, own, self._snapshots.current.halted, MOST_LOW)

    async def findings(self) -> Sequence[Finding]:
        """What is wrong with what is measured in the background."""
        return [*self._queue_findings(), *self._database_findings(), *self._balance_findings()]

    async def absent(self) -> Sequence[Finding]:
        """Nodes that were there and are not; as of this moment, so that one that was removed is missed no more."""
        await self.missing.step()
        return [
            Finding(MISSING, f"node/{one.number}", CRITICAL,
                    phrase("alarm.missing", place=one.place, seen=Moment(one.seen_at)))
            for one in self.missing.last or ()
        ]  # fmt: skip

    def _queue_findings(self) -> list[Finding]:
        rules, found = self._rules, list[Finding]()
        if (last := self.waiting.last) is None:
            return []
        for one in last.queues:
            name = Lane(one.lane).name.lower()
            about, lane = f"lane/{name}", label("lane", name)
            limit = rules.threshold("queue_long", about)
            if one.waiting is None:
                detail = phrase("alarm.queue_uncounted", lane=lane, seconds=f"{store.PATIENCE:g}", limit=limit)
                found.append(Finding("queue_long", about, WARNING, detail))
            elif one.waiting > limit:
                detail = phrase("alarm.queue_long", lane=lane, n=one.waiting, limit=limit)
                found.append(Finding("queue_long", about, WARNING, detail))
            limit = rules.threshold("queue_old", about)
            if one.oldest is not None and (last.at - one.oldest).total_seconds() > limit:
                detail = phrase("alarm.queue_old", lane=lane, oldest=Moment(one.oldest), limit=limit)
                found.append(Finding("queue_old", about, WARNING, detail))
        return found

    def _database_findings(self) -> list[Finding]:
        limit, last = self._rules.threshold("database_lag"), self.replication.last
        if last is None or last.lag <= limit:
            return []
        detail = phrase("alarm.database_lag", seconds=f"{last.lag:.0f}", limit=limit)
        return [Finding("database_lag", "database", WARNING, detail)]

    def _balance_findings(self) -> list[Finding]:
        return [
            Finding("balance_low", f"account/{one.account}", WARNING,
                    phrase("alarm.balance_low", units=one.available, limit=one.threshold))
            for one in self._balances.last or ()
        ]  # fmt: skip

    def near_limit(self, channels: Sequence[ChannelStatus]) -> list[Finding]:
        """Channels that send about as fast as they may."""
        rules, found = self._rules, list[Finding]()
        if not rules.wanted("rate_near"):
            return []
        for one in channels:
            limit = rules.threshold("rate_near", f"channel/{one.name}")
            if one.rate_limit and one.rate_now * 100 >= one.rate_limit * limit:
                detail = phrase("alarm.rate_near", rate=f"{one.rate_now:.0f}", limit=one.rate_limit)
                found.append(Finding("rate_near", f"channel/{one.name}", WARNING, detail))
        return found
