"""Who takes a free channel: fair, the same whoever computes it, and never nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.channels import balance
from smsgw.channels.balance import PATIENCE, STALE, Balance, Seat, shared_out
from smsgw.core.errors import Temporary
from smsgw.store.engine import leases

ANY: Any = None


def seats(*connections: int) -> list[Seat]:
    return [Seat(n + 1, one) for n, one in enumerate(connections)]


def test_free_channels_go_to_who_has_least() -> None:
    assert shared_out(seats(1, 1, 1, 1), {"a": 0, "b": 0}) == {1: "a", 2: "b", 3: "a", 4: "b"}
    assert shared_out(seats(1, 1, 4), {"a": 0, "b": 1}) == {3: "a", 1: "b", 2: "b"}
    assert shared_out(seats(1), {"a": 0, "b": 5}, {1: {"a"}}) == {1: "b"}, "a is about to end"
    assert shared_out(seats(1), {"a": 0}, {1: {"a"}}) == {1: "a"}, "there is nobody else"


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


def test_what_a_node_leaves_is_shared_out_and_what_runs_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, a=1)
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


def test_a_channel_that_is_begun_anew_goes_to_who_has_least(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, a=1)
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


def test_nobody_waits_for_one_that_does_not_take_or_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_one_that_nobody_can_start_leaves_the_rest_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, a=1, b=2, c=3)
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
