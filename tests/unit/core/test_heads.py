"""Heads of queues beside what was taken before them: found, cheaply, wherever they come in."""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from datetime import timedelta

import pytest

from smsgw.core.heads import DEAR, LEAST, REST, SHORT, Heads
from smsgw.core.ids import stretch

SECOND = stretch(timedelta(seconds=1))
A_ROW = 20e-6
"""Seconds that a look takes for each dead row that it walks over."""


class Queues:
    """Some queues in an index from which nothing is cleared away, and one reader."""

    def __init__(self) -> None:
        self.now = 0.0
        self.live: dict[str, list[int]] = {"a": [], "b": []}
        self.dead: dict[str, list[int]] = {"a": [], "b": []}
        self.heads: Heads[str] = Heads(lambda: self.now)
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


def test_while_nothing_is_dear_every_look_begins_with_the_oldest() -> None:
    queues = Queues()
    for n in range(100):
        queues.now += 0.1
        old = queues.put("b", age=n / 20)
        assert ("b", old) in queues.look()
        assert not queues.heads.dear


def test_beside_what_is_dead_a_look_stays_cheap() -> None:
    """A million was sent while somebody kept a snapshot: the looks at what is new walk over little of it."""
    queues = beside_dead(100)
    before, begun = queues.walked, queues.now
    for n in range(2000):
        queues.now += 0.01
        new = queues.put("a" if n % 3 else "b")
        assert queues.look()[-1][1] == new
    looks = 2000 * 100  # what a second leaves, for each
    rounds = (queues.now - begun) / (REST + 1) / A_ROW
    assert queues.walked - before < looks * 1.2 + rounds * 1.2
    assert queues.now - begun < 20 * 1.5


def test_what_comes_in_late_is_found_by_a_round() -> None:
    queues = beside_dead(20)
    for age in (900.0, 5.0, 500.0, 1.5):
        late, begun = queues.put("a", age=age), queues.now
        while ("a", late) not in queues.look():
            queues.now += 0.01
            assert queues.now - begun < 60, "a round goes on for ever"


def test_a_backlog_that_is_released_is_taken_without_a_pause() -> None:
    """Its rows are old: the first is found by a round, the others behind it at once."""
    queues = beside_dead(20)
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
    heads: Heads[str] = Heads(lambda: now)
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
