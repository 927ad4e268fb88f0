"""Events beside a kept snapshot: what was delivered is walked over once and not by each look, and nothing is missed."""

from __future__ import annotations

import contextlib
import itertools
from bisect import bisect_left, insort
from datetime import UTC, datetime, timedelta

import pytest_asyncio

from smsgw.core.errors import Temporary
from smsgw.core.heads import DEAR, Stretch
from smsgw.core.ids import first_id
from smsgw.pipeline.delivery.event_heads import EventHead
from smsgw.store.engine.database import unavailable
from smsgw.store.messages.events import Found

A_ROW = 20e-6
"""Seconds that a look takes for each dead row that it walks over."""
NOW = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)


class Events:
    """An index of events from which nothing is cleared away, and one reader, with a clock of their own."""

    def __init__(self) -> None:
        self.time = 0.0
        self.serial = itertools.count()
        self.waiting: list[int] = []
        self.dead: list[int] = []
        self.walked = 0
        self.gives_up = float("inf")
        """Seconds after which a look is given up."""
        self.away = False
        """There is no server; it takes a while until that is known."""
        self.head = EventHead(self.now)
        self.head._clock = self.head._heads._clock = lambda: self.time

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.time)

    def put(self, age: float = 0.0) -> int:
        id_ = first_id(self.now() - timedelta(seconds=age)) + next(self.serial)
        insort(self.waiting, id_)
        return id_

    async def find(self, within: Stretch, limit: int) -> Found[int]:
        if self.away:
            self.time += 2 * DEAR
            raise unavailable(ConnectionRefusedError()) from ConnectionRefusedError()
        found = [i for i in self.waiting[bisect_left(self.waiting, within.first) :] if i <= within.last][:limit]
        end = found[-1] if len(found) == limit else within.last
        walked = max(0, bisect_left(self.dead, end) - bisect_left(self.dead, within.first))
        seconds = 0.001 + walked * A_ROW
        self.walked += walked
        if seconds > self.gives_up:
            self.time += self.gives_up
            raise unavailable(TimeoutError()) from TimeoutError()
        self.time += seconds
        for id_ in found:
            self.waiting.remove(id_)
            insort(self.dead, id_)
        return Found(found, found, seconds)

    async def take(self, limit: int = 100) -> list[int]:
        found = await self.head.look(limit, self.find)
        assert found.ids == sorted(found.ids)
        return found.events

    async def deliver(self, seconds: int, a_second: int = 200) -> None:
        for _ in range(seconds * 10):
            for _ in range(a_second // 10):
                self.put()
            self.time += 0.1
            try:
                await self.take()
            except Temporary:
                assert self.gives_up < float("inf")


@pytest_asyncio.fixture
async def events() -> Events:
    return Events()


async def test_looks_walk_over_what_is_new_and_not_over_all_that_was_delivered(events: Events) -> None:
    await events.deliver(60)
    assert events.head._heads.dear
    before, dead = events.walked, len(events.dead)
    await events.deliver(60)
    looks, walked = 600, events.walked - before
    assert dead > 10_000
    assert walked / looks < dead / 10, "with those of the rounds"
    assert not events.waiting


async def test_what_comes_in_behind_is_found_by_a_round(events: Events) -> None:
    await events.deliver(60)
    late = [events.put(age) for age in (5.0, 50.0, 2000.0, 86400.0 * 6)]
    for _ in range(100):
        if not set(late) & set(events.waiting):
            break
        events.time += 0.5
        await events.take()
    assert not set(late) & set(events.waiting)


async def test_what_was_found_and_not_taken_is_found_again_at_once(events: Events) -> None:
    await events.deliver(60)
    id_ = events.put()
    events.time += 0.1
    assert await events.take() == [id_]
    await events.deliver(5)
    events.dead.remove(id_)
    insort(events.waiting, id_)
    events.head._heads._due = float("inf")  # no round
    events.head.back(id_)
    assert id_ in await events.take()


async def test_when_a_look_would_not_come_to_its_end_events_go_on(events: Events) -> None:
    """A backup of hours: without heads nothing would be delivered until it is over."""
    await events.deliver(60)
    events.head = EventHead(events.now)  # another node takes over, and begins with the oldest
    events.head._clock = events.head._heads._clock = lambda: events.time
    events.gives_up = 0.1
    old = [events.put(age) for age in (30.0, 3600.0)]
    await events.deliver(2)
    for _ in range(10_000):
        if not events.waiting:
            break
        events.time += 0.5
        await events.take()
    assert not events.waiting, old


async def test_without_a_snapshot_it_is_as_it_was(events: Events) -> None:
    """A look was slow once, for another reason: the next call looks everywhere, and then again and again."""
    events.time = 10.0
    behind = events.put(600.0)
    slow = events.find

    async def once(within: Stretch, limit: int) -> Found[int]:
        found = await slow(within, limit)
        found.seconds = 2 * DEAR
        return found

    assert (await events.head.look(100, once)).events == [behind]
    lapsed = events.put(700.0)
    assert await events.take() == [lapsed]
    assert not events.head._heads.dear


async def test_what_a_round_has_taken_is_not_lost_with_the_look_behind_it(events: Events) -> None:
    """It is leased: nobody else would have it before that lapses."""
    await events.deliver(60)
    assert events.head._heads.dear
    old = events.put(age=3600)
    failing = False

    async def find(within: Stretch, limit: int) -> Found[int]:
        if failing and within.first >= events.head.since:
            raise Temporary("STORAGE_UNAVAILABLE")
        return await events.find(within, limit)

    events.time += 60
    failing = True
    taken: list[int] = []
    for _ in range(50):
        with contextlib.suppress(Temporary):
            taken += (await events.head.look(100, find)).events
        events.time += 1
    assert taken == [old]


async def test_an_outage_leaves_nothing_to_rounds(events: Events) -> None:
    old = events.put(age=30.0)
    events.away = True
    for _ in range(3):
        with contextlib.suppress(Temporary):
            await events.take()
    events.away = False
    assert await events.take() == [old]


async def test_a_round_goes_on_where_an_outage_has_met_it(events: Events) -> None:
    """One that rested as long as after a statement of five seconds would rest for a minute and a half."""
    await events.deliver(60)
    assert events.head._heads.dear
    old = events.put(age=3600.0)
    events.time += 60
    assert events.head.due
    events.away = True
    with contextlib.suppress(Temporary):
        await events.take()
    events.away = False
    events.time += 2
    assert old in [*await events.take(), *await events.take()]


async def test_a_round_that_costs_nothing_is_made_at_once(events: Events) -> None:
    old = [events.put(age) for age in (1e6, 3600.0, 30.0)]
    events.head._heads.failed([None])
    assert await events.take() == old
