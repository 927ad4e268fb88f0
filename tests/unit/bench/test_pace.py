"""When the messages of a run are due."""

from __future__ import annotations

import pytest

from smsgw.bench.pace import Pace


def test_evenly() -> None:
    pace = Pace(100, 20.0)
    assert [pace.due(n) for n in (0, 1, 99)] == [0.0, 0.05, 4.95]
    assert pace.seconds == 5.0
    assert [pace.by(at) for at in (0.0, 1.0, 4.99, 60.0)] == [0, 20, 99, 100]


def test_a_burst_comes_in_the_middle_and_the_rest_on_both_sides() -> None:
    pace = Pace(240, 20.0, 100.0, 2.0)  # a second, two of burst, a second
    assert [pace.due(n) for n in (0, 20, 120, 220)] == [0.0, 1.0, 2.0, 3.0]
    assert pace.due(221) == pytest.approx(3.05)
    assert pace.seconds == 4.0
    assert [pace.by(at) for at in (0.5, 1.0, 2.0, 3.0, 3.5, 9.0)] == [10, 20, 120, 220, 230, 240]
    due = [pace.due(n) for n in range(240)]
    assert due == sorted(due)


def test_without_a_pace_all_are_due_at_once() -> None:
    assert Pace(10).due(9) == Pace(10).seconds == 0.0


@pytest.mark.parametrize("pace", [(10, 0.0, 100.0, 1.0), (99, 10.0, 100.0, 1.0)])
def test_a_burst_that_is_none_is_refused(pace: tuple[int, float, float, float]) -> None:
    with pytest.raises(ValueError, match="burst"):
        Pace(*pace)
