"""Spells in which a carrier throttles: what belongs together, what is told, and how seldom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smsgw.core.throttling import MOST_UNTOLD, QUIET, TELL_EVERY, Spell, Throttling

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_carrier_that_refuses_nothing_leaves_no_trace() -> None:
    one = Throttling()
    one.answered(START, 1_000, 0, 400, None)
    assert not one.open
    assert one.now is None
    assert not one.look(START + QUIET, None)


def test_a_spell_has_its_lowest_rate_and_what_was_taken_in_it() -> None:
    one = Throttling()
    one.answered(START, 90, 10, 400, 280.0)
    one.answered(START + 10 * SECOND, 2_000, 5, 400, 210.0)
    one.answered(START + 20 * SECOND, 3_000, 0, 400, 390.0)  # still recovering
    one.answered(START + 30 * SECOND, 4_000, 0, 400, None)  # back: no part of it
    (told,) = one.look(START + 20 * SECOND + QUIET, None)
    assert told == Spell(START, START + 20 * SECOND, 400, 210.0, 5_090, 15, over=True)
    assert told.carried == pytest.approx(254.5)
    assert not one.open


def test_what_follows_soon_is_the_same_spell() -> None:
    one, at = Throttling(), START
    for _ in range(12):  # an hour of a carrier that is a little too narrow
        one.answered(at, 100, 1, 400, None)
        at += QUIET - SECOND
        assert [spell.over for spell in one.look(at, None)] in ([], [False])
    assert one.now is not None
    assert one.now.refused == 12
    assert one.now.began_at == START
    assert one.now.lowest is None
    one.answered(at + QUIET, 1, 1, 400, None)
    assert one.now.began_at == START  # nobody had looked in between


def test_one_that_goes_on_is_told_at_once_and_then_once_a_minute() -> None:
    one, told = Throttling(), 0
    for n in range(600):
        at = START + n * SECOND
        one.answered(at, 300, 1, 400, 250.0)
        if spells := one.look(at, 250.0):
            told += 1
            one.told(spells, at)
    assert told == 600 // (TELL_EVERY // SECOND)


def test_a_rate_that_is_still_lowered_prolongs_it_without_an_answer() -> None:
    one = Throttling()
    one.answered(START, 0, 8, 400, 100.0)
    one.look(START + 20 * SECOND, 300.0)
    assert one.now is not None
    assert one.now.until == START + 20 * SECOND


def test_what_could_not_be_kept_is_told_again_and_not_for_ever() -> None:
    one, at = Throttling(), START
    for _ in range(MOST_UNTOLD + 3):
        one.answered(at, 1, 1, 0, None)
        at += 2 * QUIET
        one.look(at, None)
    spells = one.look(at, None)
    assert len(spells) == MOST_UNTOLD
    assert spells == one.look(at, None)
    one.told(spells, at)
    assert not one.look(at, None)


def test_it_ends_with_its_channel() -> None:
    one = Throttling()
    one.answered(START, 1, 1, 0, None)
    (told,) = one.look(START + SECOND, None, ended=True)
    assert told.over
    assert told.until == START
    assert told.carried is None


def test_one_that_begins_while_the_last_is_being_kept_is_told_too() -> None:
    one = Throttling()
    one.answered(START, 1, 1, 0, None)
    spells = one.look(START + QUIET, None)
    one.answered(START + QUIET, 1, 1, 0, None)
    one.told(spells, START + QUIET)
    (told,) = one.look(START + QUIET, None)
    assert told.began_at == START + QUIET
    assert not told.over
