"""Which channels get less because others of their pools deliver more: from when, for how long, until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from smsgw.core.settings import Settings
from smsgw.core.shifting import HOLD, Shift, Standing, judge

ON = Settings(success_shift=80)
T = datetime(2026, 11, 26, 12, tzinfo=UTC)
BOTH = [(1, 2)]


def at(one: int, delivered: int, ended: int = 1000, left_out: int = 0) -> Standing:
    return Standing(one, f"c{one}", ended, delivered, left_out)


def run(*standings: Standing, before: Mapping[int, Shift] | None = None, minutes: float = 0, settings: Settings = ON,
        pools: list[tuple[int, ...]] = BOTH) -> dict[int, Shift]:  # fmt: skip
    return judge(standings, pools, before or {}, settings, T + timedelta(minutes=minutes))


def test_a_channel_gets_less_beside_one_that_delivers_enough_and_not_otherwise() -> None:
    low, good = at(1, 900), at(2, 995)
    found = run(low, good)[1]
    assert (found.rate, found.ended, found.better, found.better_rate) == (90, 1000, "c2", 99.5)
    assert run(low, good, settings=Settings()) == {}, "it is off by default"
    assert run(low, good, settings=Settings(success_shift=80, success_limit=0)) == {}
    assert run(low) == {}, "alone"
    assert run(low, good, pools=[(1,), (2,)]) == {}, "of another pool"
    assert run(low, at(2, 910)) == {}, "a bad list makes all of them look bad"
    assert run(at(1, 900, left_out=95), good) == {}, "what does not count does not shift"
    assert set(run(low, at(2, 905), at(3, 999), pools=[(1, 2, 3)])) == {1, 2}


def test_it_lasts_for_some_minutes_and_ends_when_the_channel_has_clearly_recovered() -> None:
    before = run(at(1, 900), at(2, 995))
    held = HOLD.total_seconds() / 60
    assert set(run(at(1, 1000), at(2, 995), before=before, minutes=held - 1)) == {1}, "nothing swings to and fro"
    assert run(at(1, 1000), at(2, 995), before=before, minutes=held) == {}
    assert set(run(at(1, 992), at(2, 995), before=before, minutes=held)) == {1}, "between the limits it stays"
    assert run(at(1, 995), at(2, 995), before=before, minutes=held) == {}


def test_it_ends_when_nobody_delivers_enough_any_more_and_when_nothing_is_known_for_long() -> None:
    before = run(at(1, 900), at(2, 995))
    assert run(at(1, 900), at(2, 900), before=before, minutes=30) == {}, "the others are no better"
    later = run(at(1, 910), at(2, 995), before=before, minutes=30)
    assert later[1].since == T
    assert (later[1].low_at, later[1].rate) == (T + timedelta(minutes=30), 91)
    assert set(run(at(2, 995), before=later, minutes=89)) == {1}
    assert run(at(2, 995), before=later, minutes=90) == {}, "it is tried anew"
    assert run(at(1, 900), at(2, 995), before=before, settings=Settings()) == {}, "turned off"


def test_of_two_that_are_low_at_once_none_is_the_others_reason() -> None:
    before = run(at(1, 900), at(2, 995))
    found = run(at(1, 995), at(2, 900), before=before, minutes=1)
    assert set(found) == {1}, "the one that gets less takes nothing over yet"
