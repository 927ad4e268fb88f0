"""Heads of queues and of events beside what was taken before them: found, cheaply, wherever they come in."""

from __future__ import annotations

import contextlib
import itertools
import random
from bisect import bisect_left, insort
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from smsgw.core.errors import Temporary
from smsgw.core.ids import first_id, stretch
from smsgw.core.queue_cursors import DEAR, LEAST, REST, SHORT, QueueCursors, Stretch
from smsgw.pipeline.delivery.event_heads import EventHead
from smsgw.store.engine.database import unavailable
from smsgw.store.messages.events import Found

SECOND = stretch(timedelta(seconds=1))
A_ROW = 20e-6
"""Seconds that a look takes for each dead row that it walks over."""


class Queues:
    """Some queues in an index from which nothing is cleared away, and one reader."""

    def __init__(self) -> None:
        self.now = 0.0
        self.live: dict[str, list[int]] = {"a": [], "b": []}
        self.dead: dict[str, list[int]] = {"a": [], "b": []}
        self.heads: QueueCursors[str] = QueueCursors(lambda: self.now)
        self.walked = 0
        self.takes = 0.001
        """Seconds of every statement, whatever it finds."""
        self.gives_up = float("inf")
        """Seconds after which the server does."""

    @property
    def newest(self) -> int:
        return int(self.now * SECOND) + 1

    def put(self, queue: str, age: float = 0.0) -> int:
        insort(self.live[queue], id_ := max(1, self.newest - int(age * SECOND)))
        return id_

    def _find(self, queue: str, first: int, last: int, room: int) -> tuple[list[int], float]:
        live, dead = self.live[queue], self.dead[queue]
        found = [id_ for id_ in live[bisect_left(live, first) :] if id_ <= last][:room]
        end = found[-1] if found and len(found) == room else last
        walked = bisect_left(dead, end) - bisect_left(dead, first)
        self.walked += max(0, walked)
        for id_ in found:
            live.remove(id_)
            insort(dead, id_)
        return found, self.takes / 2 + max(0, walked) * A_ROW

    def _give_back(self, found: list[tuple[str, int]]) -> None:
        for queue, id_ in found:
            self.dead[queue].remove(id_)
            insort(self.live[queue], id_)

    def look(self, room: int = 10) -> list[tuple[str, int]]:
        """A step of a round when one is due, then all queues: as ``channels/claims`` does. When the server gives a
        statement up nothing is taken: what was claimed before it, in the same breath, goes back."""
        found: list[tuple[str, int]] = []
        heads = self.heads
        if heads.due:
            part, newest = heads.step(0, self.newest, 5.0), self.newest
            seconds = 0.0
            for queue in ("a", "b"):
                ids, took = self._find(queue, part.first, part.last, room - len(found))
                found += [(queue, id_) for id_ in ids]
                seconds += took
            self.now += min(seconds, self.gives_up)
            if seconds > self.gives_up:
                self._give_back(found)
                return []
            heads.stepped(part, 0, newest, found, seconds, all_of_it=len(found) < room)
        more: list[tuple[str, int]] = []
        left, seconds = room - len(found), 0.0
        if left:
            for queue in ("a", "b"):
                since = heads.since(queue, 0, self.newest - stretch(heads.late))
                ids, took = self._find(queue, since, self.newest, left - len(more))
                more += [(queue, id_) for id_ in ids]
                seconds += took
            self.now += min(seconds, self.gives_up)
            if seconds > self.gives_up:
                heads.failed(("a", "b"))
                self._give_back(found + more)
                return []
            heads.looked(("a", "b"), more, seconds, all_of_it=len(more) < left)
        return found + more


def beside_dead(a_second: int, gives_up: float = float("inf")) -> Queues:
    """After 1,000 s, of which so many dead rows a second lie in one queue, and a look that was dear."""
    queues = Queues()
    queues.now, queues.gives_up = 1000.0, gives_up
    queues.dead["a"] = [n * SECOND // a_second for n in range(1000 * a_second)]
    queues.look()
    assert queues.heads.dear
    return queues


def test_looks_begin_with_the_oldest_and_stay_cheap_beside_what_is_dead() -> None:
    queues = Queues()
    for n in range(100):
        queues.now += 0.1
        old = queues.put("b", age=n / 20)
        assert ("b", old) in queues.look()
        assert not queues.heads.dear
    # A million was sent while somebody kept a snapshot: the looks at what is new walk over little of it.
    queues = beside_dead(100)  # beside what is dead a look stays cheap
    before, begun = queues.walked, queues.now
    for n in range(2000):
        queues.now += 0.01
        new = queues.put("a" if n % 3 else "b")
        assert queues.look()[-1][1] == new
    looks = 2000 * 100  # what a second leaves, for each
    rounds = (queues.now - begun) / (REST + 1) / A_ROW
    assert queues.walked - before < looks * 1.2 + rounds * 1.2
    assert queues.now - begun < 20 * 1.5


def test_what_comes_in_late_and_what_is_released_is_found() -> None:
    queues = beside_dead(20)
    for age in (900.0, 5.0, 500.0, 1.5):
        late, begun = queues.put("a", age=age), queues.now
        while ("a", late) not in queues.look():
            queues.now += 0.01
            assert queues.now - begun < 60, "a round goes on for ever"
    # Its rows are old: the first is found by a round, the others behind it at once.
    queues = beside_dead(20)  # a backlog that is released is taken without a pause
    for n in range(5000):
        queues.put("b", age=800 - n / 100)
    while not queues.look():
        queues.now += 0.01
    for _ in range(499):
        assert len(queues.look()) == 10


def test_what_came_while_nobody_looked_is_found_at_once() -> None:
    """The carrier was away, or had no room: what has come since the last look is no business of rounds."""
    queues = beside_dead(20)
    for away in (5.0, 60.0):
        while queues.heads.due:
            queues.look()
        queues.now += 0.01
        came = [queues.put("a"), queues.put("b")]
        queues.now += away
        queues.heads._due = queues.now + 1  # no round comes to its help
        assert queues.look() == [("a", came[0]), ("b", came[1])]


def test_one_that_a_round_finds_is_taken_though_no_look_comes_to_its_end_from_there() -> None:
    """Behind it lies more than a look can walk over in its time: looks that began there would all fail, and what the
    step has found in the same breath would go back each time."""
    queues = beside_dead(400, gives_up=4.0)  # a look takes 8 s
    for age in (900.0, 500.0):
        late, begun, failed = queues.put("a", age=age), queues.now, 0
        while True:
            new = queues.put("a")  # there is always something new as well
            taken = queues.look()
            if ("a", late) in taken:
                break
            failed += ("a", new) not in taken
            queues.now += 0.1
            assert queues.now - begun < 900, "it stands still"
        assert failed < 10


def test_when_a_round_takes_no_time_any_more_it_is_over() -> None:
    queues = Queues()
    queues.now = 1000.0
    queues.dead["a"] = list(range(0, 10_000 * SECOND // 100, SECOND // 100))
    queues.look()
    assert queues.heads.dear
    queues.dead["a"].clear()  # the snapshot is gone, and vacuum has come
    for _ in range(1000):
        queues.now += 0.5
        queues.look()
        if not queues.heads.dear:
            return
    pytest.fail("it stays dear")


def test_a_look_that_never_ends_is_made_in_pieces() -> None:
    """From its beginning on, and in shorter ones each time one does not come to its end."""
    now = 0.0
    heads: QueueCursors[str] = QueueCursors(lambda: now)
    newest = 100 * SHORT
    assert heads.since("a", 0, newest - 2 * SECOND) == 0
    heads.failed(["a"])
    assert not heads.due, "before a look has told what one takes"
    heads.looked(["a"], [], 0.001, all_of_it=True)
    assert heads.due
    assert heads.since("a", 0, newest - SECOND) == newest - 2 * SECOND
    lengths = []
    for _ in range(20):
        step = heads.step(7, newest, 5.0)
        assert step.first == 7
        assert not heads.due
        now += REST * 5.0
        assert heads.due
        lengths.append(step.last - step.first + 1)
    assert lengths[0] == SHORT
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] == LEAST
    heads.stepped(step, 7, newest, [], DEAR / 2, all_of_it=True)
    now += REST * DEAR
    assert heads.step(7, newest, 5.0).first == step.last + 1


@pytest.mark.parametrize("takes", [0.05, 0.5, 2.0])
def test_where_all_takes_long_nothing_waits_for_rounds(takes: float) -> None:
    """A slow disk, or network: what is entered with an id of some seconds ago is in the next looks."""
    queues = Queues()
    queues.now, queues.takes = 1000.0, takes
    waited = []
    for n in range(200):
        queues.now += 0.1
        new = queues.put("a", age=5 * takes if n % 2 else 300.0)
        looks = 1
        while ("a", new) not in queues.look():
            looks += 1
            assert looks < 10
        waited.append(looks)
    assert sum(waited) / len(waited) < 1.7


@pytest.mark.parametrize("seed", range(20))
def test_nothing_stands_still(seed: int) -> None:
    """Whatever comes in, however old and in whatever order, is taken in the end, and once."""
    chance = random.Random(seed)  # noqa: S311 - a test's own
    queues = Queues()
    queues.now = 500.0
    taken: list[tuple[str, int]] = []
    put: list[tuple[str, int]] = []
    for _ in range(1500):
        queues.now += chance.choice((0.0, 0.01, 0.01, 0.5))
        for _ in range(chance.choice((0, 1, 5, 30))):
            queue = chance.choice("ab")
            put.append((queue, queues.put(queue, chance.choice((0, 0, 0, chance.random() * 400)))))
        if chance.random() < 0.002:
            queues.heads.failed(["a", "b"])
        if chance.random() < 0.01:
            queues.takes = chance.choice((0.001, 0.001, 0.04, 0.5))
        taken += queues.look(chance.choice((1, 10, 100)))
    for _ in range(5000):
        queues.now += 0.5
        taken += queues.look()
        if not (queues.live["a"] or queues.live["b"]):
            break
    assert sorted(taken) == sorted(put)


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
