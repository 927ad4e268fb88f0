"""Who takes a free channel, what it gets of a pool, and what as it is accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import MagicMock

import pytest
from call_rows import message_row, part_row
from hypothesis import given, strategies as st
from snapshots import FixedSnapshots
from standins import NoComplaints

from smsgw.channels import balance
from smsgw.channels.balance import PATIENCE, STALE, Balance, Seat, shared_out
from smsgw.channels.manager import ChannelManager
from smsgw.channels.pool_shares import BACKLOG, FADE, STANDBY_AFTER, PoolShares
from smsgw.core.errors import Temporary
from smsgw.core.model import Claimed
from smsgw.core.queue_cursors import REST
from smsgw.pipeline.accept.at_once import AtOnce
from smsgw.pipeline.fleet import Fleet, Membership, Queue
from smsgw.store.engine import leases
from smsgw.store.engine.group_commit import Ended
from smsgw.store.messages.calls import Fence, NewCall

ANY: Any = None


def seats(*connections: int) -> list[Seat]:
    return [Seat(n + 1, one) for n, one in enumerate(connections)]


def test_a_channel_that_is_left_or_begun_anew_goes_to_who_has_least(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shared_out(seats(1, 1, 1, 1), {"a": 0, "b": 0}) == {1: "a", 2: "b", 3: "a", 4: "b"}
    assert shared_out(seats(1, 1, 4), {"a": 0, "b": 1}) == {3: "a", 1: "b", 2: "b"}
    assert shared_out(seats(1), {"a": 0, "b": 5}, {1: {"a"}}) == {1: "b"}, "a is about to end"
    assert shared_out(seats(1), {"a": 0}, {1: {"a"}}) == {1: "a"}, "there is nobody else"
    stage = Stage(monkeypatch, a=1)  # what a node leaves is shared out and what runs stays
    stage.seats = seats(*[1] * 9)
    stage.step()
    assert stage.counts() == [9], "nobody else is there"
    stage.come(2, "b")
    stage.come(3, "c")
    stage.run(600)
    assert (stage.counts(), stage.moves) == ([9, 0, 0], 9)
    stage.go(1)
    stage.run(2)
    assert (sorted(stage.counts()), stage.moves) == ([4, 5], 18)
    stage = Stage(monkeypatch, a=1)  # a channel that is begun anew goes to who has least
    stage.seats = seats(1, 1)
    stage.step()
    stage.come(2, "b")
    stage.run(3)
    both = stage.seats
    stage.seats = both[:1]  # the other is stopped by hand, …
    del stage.held[2]
    stage.run(2)
    stage.seats = both  # … and started
    assert not any(one.mine(2) for one in stage.nodes.values()), "whoever has heard of it first has no right to it"
    stage.run(2)
    assert stage.held == {1: 1, 2: 2}


@given(st.lists(st.integers(1, 8), max_size=30), st.integers(1, 5))
def test_it_is_fair(connections: list[int], machines: int) -> None:
    load = dict.fromkeys((f"m{n}" for n in range(machines)), 0)
    for id_, machine in shared_out(seats(*connections), load).items():
        load[machine] += connections[id_ - 1]
    assert max(load.values()) - min(load.values()) <= max(connections, default=0)


class Stage:
    """Several nodes that look at the same leases, on a clock of the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **machines: int) -> None:
        self.now = 1000.0
        monkeypatch.setattr(balance, "boottime", lambda: self.now)
        self.machines: dict[int, str] = {}
        self.nodes: dict[int, Balance] = {}
        self.blind: set[int] = set()
        """Whose looks find nothing, or that do not share out: they take what is free."""
        self.seats: list[Seat] = []
        self.held: dict[int, int] = {}
        """Channel -> node."""
        self.broken: set[tuple[int, int]] = set()
        """Node and channel that it cannot start."""
        self.moves = 0
        for name, node in machines.items():
            self.come(node, name)

    def come(self, node: int, name: str) -> None:
        self.machines[node], self.nodes[node] = name, Balance(ANY, node)

    def go(self, node: int) -> None:
        del self.machines[node], self.nodes[node]
        self.held = {id_: who for id_, who in self.held.items() if who != node}

    def step(self) -> None:
        """A second: all look, and take what they may."""
        self.now += 1
        for node, one in self.nodes.items():
            if node not in self.blind:
                one.heard(self.seats, self.machines, self.held, self.now)
        for node, one in self.nodes.items():
            for seat in self.seats:
                free = not self.held.keys() & {seat.id, *seat.others}
                if free and one.mine(seat.id) and (node, seat.id) not in self.broken:
                    self.held |= dict.fromkeys((seat.id, *seat.others), node)
                    self.moves += 1

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        began = self.now
        while self.now - began < seconds and not until():
            self.step()
        return self.now - began

    def counts(self) -> list[int]:
        return [sum(who == node for who in self.held.values()) for node in sorted(self.machines)]


def test_nobody_waits_for_one_that_does_not_take_or_start_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, a=1, b=2)
    stage.seats = seats(1, 1)
    stage.broken = {(1, 1), (1, 2)}
    assert stage.run(60, lambda: stage.counts() == [0, 2]) <= PATIENCE + 2
    # As does a node of an earlier release: the others only come too late.
    stage = Stage(monkeypatch, a=1, b=2)
    stage.seats = seats(1, 1, 1)
    stage.step()
    stage.blind = {1, 2}
    stage.held.clear()
    assert stage.run(60, lambda: len(stage.held) == 3) <= STALE + 2
    stage = Stage(monkeypatch, a=1, b=2, c=3)  # one that nobody can start leaves the rest as it is
    stage.seats = [*seats(*[1] * 6), Seat(7, 8)]
    stage.broken = {(node, 7) for node in stage.nodes}
    stage.run(20)
    assert len(stage.held) == 6
    stage.go(3)
    stage.run(2)
    assert stage.counts() == [3, 3]


async def test_a_look_that_finds_nothing_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (Temporary("STORAGE_UNAVAILABLE"), ConnectionResetError(), TimeoutError()):

        async def away(_: object, *, timeout: float, error: Exception = error) -> None:  # noqa: ASYNC109
            assert timeout <= 1
            raise error

        monkeypatch.setattr(leases, "holders", away)
        one = Balance(ANY, 1)
        await one.look(seats(1))
        assert one.mine(1)


def test_listeners_together_and_workers_of_a_machine_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, a=1, b=2)
    stage.seats = [Seat(1, 3, (2, 3)), Seat(4, 1)]
    stage.run(3)
    assert stage.held == {1: 1, 2: 1, 3: 1, 4: 2}
    del stage.held[1]  # the first is being begun anew
    stage.nodes[2].heard(stage.seats, stage.machines, stage.held, stage.now)
    assert not stage.nodes[2].mine(1), "its neighbours have the address"
    stage = Stage(monkeypatch, b=3)
    stage.come(1, "a")
    stage.come(2, "a")
    stage.seats = seats(*[1] * 8)
    stage.run(10)
    by_machine = [sum(stage.machines[who] == name for who in stage.held.values()) for name in ("a", "b")]
    assert by_machine == [4, 4]


POOL = 1


@dataclass
class Carrier:
    well: bool = True
    room: bool = True

    def healthy(self) -> bool:
        return self.well

    def has_room(self) -> bool:
        return self.room


class Hall:
    def __init__(self, **weights: int | str) -> None:
        self.now = 0.0
        self.shares = PoolShares(lambda: self.now)
        self.carriers = {name: Carrier() for name in weights}
        self.ids = {name: n for n, name in enumerate(weights, 1)}
        for name, weight in weights.items():
            standby = weight == "standby"
            self.shares.join(
                self.ids[name], self.carriers[name], {POOL: Membership(1 if standby else int(weight), standby)}
            )

    def may(self, name: str) -> bool:
        return self.shares.may_pull(self.ids[name], POOL)

    def pulls(self, name: str, parts: int = 1) -> None:
        self.shares.pulled(self.ids[name], POOL, parts)

    def share(self, rounds: int = 4000) -> dict[str, float]:
        """Everybody claims as often as allowed, in turn."""
        got = dict.fromkeys(self.ids, 0)
        for n in range(rounds):
            self.now += 0.002
            name = list(self.ids)[n % len(self.ids)]
            if self.may(name):
                self.pulls(name, 8)
                got[name] += 8
        return {name: n / sum(got.values()) for name, n in got.items()}


def test_a_neighbour_without_room_or_health_leaves_its_share() -> None:
    share = Hall(a=3, b=1).share()
    assert 0.70 < share["a"] < 0.80
    hall = Hall(a=1, b=1)
    hall.pulls("a", 1000)
    hall.now += FADE * 6
    assert hall.may("a")
    hall = Hall(a=1, b=1)
    hall.shares.leave(hall.ids["a"])
    assert not hall.may("a")
    assert hall.may("b")
    hall = Hall(a=1)
    hall.shares.slow({hall.ids["a"]: 0.2})
    assert hall.share() == {"a": 1.0}
    hall = Hall(a=1, b=1)
    hall.pulls("a", 1000)
    assert not hall.may("a")
    hall.carriers["b"].room = False
    assert hall.may("a")
    hall.carriers["b"].room = True
    assert not hall.may("a")
    hall.carriers["b"].well = False
    assert hall.may("a")
    hall = Hall(a=5, b=1, c=1)
    for pulls in ((100, 100, 100), (1000, 0, 0), (0, 0, 500)):
        for name, n in zip("abc", pulls, strict=True):
            hall.pulls(name, n)
        assert any(hall.may(name) for name in "abc")


def test_a_standby_is_used_when_no_primary_can() -> None:
    hall = Hall(a=1, s="standby")
    assert not hall.may("s")
    hall.carriers["a"].well = False
    assert hall.may("s")
    hall.carriers["a"].well = True
    assert not hall.may("s")
    hall = Hall(a=1, s="standby")
    hall.shares.waits({POOL: STANDBY_AFTER + 1})
    assert hall.may("s")
    assert hall.may("a")
    hall.shares.waits({})
    assert not hall.may("s")
    hall = Hall(a=9, b=1, c="standby")  # an emergency borrows a standby as soon as no primary has room

    def borrow() -> list[str]:
        return [name for name, id_ in hall.ids.items() if hall.shares.may_borrow(id_, POOL)]

    hall.pulls("b", 1000)  # shares do not count
    assert (hall.may("b"), borrow()) == (False, ["a", "b"])
    hall.carriers["a"].room = False
    assert borrow() == ["a", "b"]
    hall.carriers["b"].well = False
    assert (hall.may("c"), borrow()) == (False, ["a", "b", "c"])
    hall.shares.leave(hall.ids["c"])
    assert borrow() == ["a", "b"]


def test_a_slowed_channel_keeps_a_part_of_its_share() -> None:
    hall = Hall(a=1, b=1)
    hall.shares.slow({hall.ids["a"]: 0.2})
    share = hall.share()
    assert 0.12 < share["a"] < 0.21, "0.2 against 1"
    hall.carriers["b"].room = False
    assert hall.may("a"), "nothing waits for the sake of a figure"
    hall.carriers["b"].room, hall.carriers["b"].well = True, False
    assert hall.may("a")
    hall.carriers["b"].well = True
    hall.shares.slow({})
    hall.now += 20 * FADE
    assert 0.45 < hall.share(8000)["a"] < 0.55, "its share is back"
    # Beside a kept snapshot each walks over all that was sent since.
    (work,) = [one for one in ChannelManager.periodics(MagicMock()) if one.name == "channels.waits"]
    assert work.apart == REST
    shares = PoolShares(lambda: 0.0)  # shares tell who is next and whether there is a backlog
    holder: Any = Taker(1, 9)
    shares.join(1, holder, {POOL: Membership(3)})
    shares.join(2, holder, {POOL: Membership(1)})
    shares.pulled(1, POOL, 3)
    shares.pulled(2, POOL, 2)
    assert (shares.had(1, POOL, 0), shares.had(2, POOL, 0)) == (1.0, 2.0)
    assert shares.had(1, POOL, 6) == 3.0
    shares.waits({POOL: BACKLOG})
    assert not shares.backlog(POOL)
    shares.waits({POOL: BACKLOG + 0.1})
    assert shares.backlog(POOL)
    assert not shares.backlog(99)


LANE = 2


class Taker:
    """A channel with room for so many parts."""

    def __init__(self, id_: int, room: int, weight: float = 1.0) -> None:
        self.id = id_
        self.room = room
        self.weight = weight
        self.reserved: list[Claimed] = []
        self.claimed: list[Claimed] = []
        self.doubted: list[Claimed] = []
        self.told = 0

    def available(self) -> bool:
        return True

    def announce(self, queues: set[Queue]) -> None: ...

    def comes_back(self, pools: set[int]) -> None: ...

    def offer(self, queue: Queue, account_id: int, parts: int) -> float | None:
        return len(self.reserved) / self.weight if len(self.reserved) + parts <= self.room else None

    def reserve(self, message: Sequence[Claimed]) -> Fence:
        self.reserved += message
        return Fence(f"channel/{self.id}", 1, 5, self.id)

    def entered(self, reserved: Sequence[Claimed], claimed: Sequence[Claimed]) -> None:
        self.told += 1
        assert list(reserved) == self.reserved
        self.claimed += claimed

    def in_doubt(self, reserved: Sequence[Claimed]) -> None:
        self.told += 1
        self.doubted += reserved


def call(*ids: int, parts: int = 1, state: int = 10, lane: int = LANE, **about: Any) -> NewCall:
    rows = [message_row(id=id_, content="x", number="86138", parts=parts, concat_ref=9) for id_ in ids]
    of_parts = [
        part_row(id=id_, part=n, total=parts, account_id=7, pool_id=POOL, lane=lane, state=state)
        for id_ in ids
        for n in range(1, parts + 1)
    ]
    return NewCall(7, ids[0], rows, of_parts, 0, (), b"", **about)


def at(*takers: Taker) -> AtOnce:
    fleet = Fleet(FixedSnapshots(), NoComplaints())
    for taker in takers:
        fleet.begun(taker.id, taker)
    return AtOnce(fleet)


def test_who_takes_a_message_and_what_waits() -> None:
    heavy, light = Taker(1, 100, 3.0), Taker(2, 100, 1.0)
    fences = at(heavy, light).open([call(n) for n in range(1, 41)])
    assert Counter(fence.channel_id for fence in fences.values()) == {1: 30, 2: 10}
    one, two = Taker(1, 3), Taker(2, 2)
    fences = at(one, two).open([call(11, 12, parts=2)])
    assert {id_: fence.channel_id for id_, fence in fences.items()} == {11: 1, 12: 2}
    assert [(part.id, part.part, part.total) for part in one.reserved] == [(11, 1, 2), (11, 2, 2)]
    # A short one would find room where the long one before it has none; another queue has nothing to do with that.
    one = Taker(1, 2)
    fences = at(one).open([call(11, parts=3), call(12), call(13, lane=1), call(14)])
    assert set(fences) == {13}
    for about in (  # only what is plain is taken
        {"spooled": True}, {"test": True}, {"joins": (1,)}, {"gate": object()}, {"review": object()},
        {"emergency_by": "staff:a"},
    ):  # fmt: skip
        one = Taker(1, 9)
        assert (at(one).open([call(11, **about)]), at(one).open([call(11, state=2)])) == ({}, {})
        assert at(one).open([call(11)])


def test_a_channel_is_told_once_what_has_become_of_what_it_has() -> None:
    one, two = Taker(1, 2), Taker(2, 2)
    door = at(one, two)
    door.open([call(11, 12, 13)])
    door.taken({11, 12})
    door.ended(Ended.COMMITTED)
    door.ended(Ended.COMMITTED)
    assert [part.key for part in (*one.claimed, *two.claimed)] == [(11, 1, 1), (12, 1, 1)]
    assert (one.told, two.told) == (1, 1)
    for how in (Ended.NOT, Ended.IN_DOUBT):  # what is not known to be committed is in no hand
        one = Taker(1, 2)
        door = at(one)
        door.open([call(11)])
        door.taken({11})
        door.ended(how)
        assert (one.claimed, len(one.doubted), one.told) == ([], how is Ended.IN_DOUBT, 1)

    class Broken(Taker):  # a channel that fails does not keep others from being told
        def entered(self, reserved: Sequence[Claimed], claimed: Sequence[Claimed]) -> None:
            raise OSError

    bad, good = Broken(1, 9), Taker(2, 9)
    door = at(bad, good)
    door.open([call(11, 12)])
    door.taken({11, 12})
    door.ended(Ended.COMMITTED)
    assert [part.id for part in good.claimed] == [12]
