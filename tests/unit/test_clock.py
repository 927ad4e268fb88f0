"""The clock of the system: follows the database, never steps, and does not care what the machine's clock does."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from smsgw.core.words import english_of
from smsgw.runtime.clock import SLEW, Clock, Word

START = 1_900_000_000.0


class World:
    """Three clocks: the machine's wall clock, its steady one, the database's."""

    def __init__(self) -> None:
        self.steady, self.wall, self.database = 5000.0, START, START
        self.clock = Clock(lambda: self.wall, lambda: self.steady)
        self.hear()

    def passes(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += seconds
        self.database += seconds

    def hear(self, there: float = 0.0, back: float = 0.0) -> None:
        asked = self.steady
        self.passes(there)
        said = datetime.fromtimestamp(self.database, UTC)
        self.passes(back)
        self.clock.hear(Word(said, asked, self.steady))


def test_without_a_word_and_with_slow_ones() -> None:
    assert Clock(lambda: 12.0, lambda: 99.0).time() == 12.0
    world = World()
    world.passes(100)
    for there, back in ((1.9, 0.0), (0.0, 1.9), (1.0, 1.0)):
        world.hear(there, back)
        assert world.clock.time() == pytest.approx(world.database, abs=1e-6)
        assert world.clock.trouble() == (None, False)


@pytest.mark.parametrize("step", [3600, -3600, 86_400, -86_400, 7 * 86_400])
def test_the_machines_clock_may_be_set(step: float) -> None:
    world = World()
    world.wall += step
    assert world.clock.time() == pytest.approx(START)
    world.passes(2)
    world.hear()
    assert world.clock.time() == pytest.approx(START + 2)
    said, grave = world.clock.trouble()
    assert f"{abs(step)} s {'ahead of' if step > 0 else 'behind'}" in english_of(said or "")
    assert grave
    world.wall -= step
    world.hear()
    assert world.clock.trouble() == (None, False)


@pytest.mark.parametrize("step", [20.0, -20.0])
def test_the_databases_clock_is_followed_without_a_step(step: float) -> None:
    world = World()
    world.database += step
    world.wall += step  # they are the same machine's
    times = []
    while abs(world.clock.time() - world.database) > 0.001:
        world.hear()
        for _ in range(20):
            times.append(world.clock.time())
            world.passes(0.1)
        assert len(times) < 20 * 60 / SLEW
    gains = [b - a for a, b in pairwise(times)]
    assert min(gains) > 0.1 * (1 - SLEW) - 1e-6
    assert max(gains) < 0.1 * (1 + SLEW) + 1e-6
    assert sum(gains) == pytest.approx(0.1 * len(gains) + step, abs=0.3)


def test_what_is_being_made_up_is_told() -> None:
    world = World()
    world.database += 100
    world.hear()
    assert "set forward by 100 s" in english_of(world.clock.trouble()[0] or "")
    assert world.clock.trouble()[1]
    world.passes(500)
    assert "by 50 s, which are being made up" in english_of(world.clock.trouble()[0] or "")
    assert world.clock.machine_off == pytest.approx(-100), "the machine's clock was not set: it is behind now"
