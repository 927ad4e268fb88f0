"""When guessing is an alarm, what it says, and when it is over."""

from __future__ import annotations

import random

import pytest

from smsgw.core.guessing import MOST, SOURCES, SPAN, Guesses
from smsgw.core.words import english_of


@pytest.mark.parametrize("way", MOST)
def test_many_wrong_ones_are_an_alarm_that_ends_by_itself(way: str) -> None:
    guesses = Guesses()
    for n in range(MOST[way] - 1):
        guesses.note(way, "192.0.2.1" if n % 5 else "192.0.2.2", 1020.0 + n / 100)
    assert guesses.findings("node/1", 1031.0) == []
    guesses.note(way, "192.0.2.2", 1031.0)
    (found,) = guesses.findings("node/1", 1031.0)
    assert (found.kind, found.object, found.severity, found.after) == ("guessing", "node/1", "warning", 0.0)
    most = MOST[way] - MOST[way] // 5 - 1
    told = english_of(found.detail)
    assert f"{way}: {MOST[way]} in 10 minutes, 2 sources, most from 192.0.2.1 ({most}), 192.0.2.2" in told
    assert guesses.findings("node/1", 1031.0 + SPAN - 60)
    assert guesses.findings("node/1", 1031.0 + SPAN + 60) == []


def test_slow_ones_are_none() -> None:
    """A program with an old password that tries again every ten seconds."""
    guesses = Guesses()
    for n in range(1000):
        guesses.note("partners", "192.0.2.1", 10.0 * n)
        assert guesses.findings("node/1", 10.0 * n) == []


def test_it_does_not_flap_about_the_limit() -> None:
    guesses, changes, stood = Guesses(), 0, False
    for second in range(0, 3600, 10):
        for _ in range(1 + (second // 600) % 2):  # 60 and 120 in ten minutes
            guesses.note("partners", "192.0.2.1", float(second))
        stands = bool(guesses.findings("node/1", float(second)))
        changes += stands is not stood
        stood = stands
    assert changes == 1


def test_edges_are_counted_apart_and_told_together() -> None:
    guesses = Guesses()
    for way in ("portal", "partners"):
        for _ in range(MOST[way]):
            guesses.note(way, "192.0.2.1", 1.0)
    (found,) = guesses.findings("node/1", 1.0)
    assert "portal: 50" in english_of(found.detail)
    assert "partners: 100" in english_of(found.detail)
    assert "api" not in english_of(found.detail)


def test_any_number_of_sources_takes_bounded_room() -> None:
    guesses, dice = Guesses(), random.Random(1)  # noqa: S311
    for n in range(20 * SOURCES):
        guesses.note("api", str(dice.random()), n / 10)
    assert sum(len(some) for _, some in guesses._ways["api"].steps) <= (SPAN // 60) * (SOURCES + 1)
    (found,) = guesses.findings("node/1", 2 * SOURCES)
    assert "most from 0." in english_of(found.detail)
    assert len(english_of(found.detail)) < 300
