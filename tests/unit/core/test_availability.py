"""Availability: what is counted once, what lies outside, and what is nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smsgw.core.availability import availability, merged

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def at(hours: float) -> datetime:
    return BEGIN + timedelta(hours=hours)


@pytest.mark.parametrize(("spans", "hours"), [
    ([], 0), ([(1, 2)], 1), ([(1, 3), (2, 4)], 3), ([(1, 4), (2, 3)], 3), ([(2, 3), (1, 2)], 2),
    ([(-5, 1)], 1), ([(9, 99)], 1), ([(-5, 99)], 10), ([(11, 12)], 0), ([(-2, -1)], 0), ([(3, 3)], 0),
])  # fmt: skip
def test_what_overlaps_is_counted_once_and_what_is_outside_not_at_all(
    spans: list[tuple[float, float]], hours: float
) -> None:
    assert merged([(at(a), at(b)) for a, b in spans], at(0), at(10)) == timedelta(hours=hours)


def test_percent_of_the_time_without_any() -> None:
    assert availability([(at(1), at(2)), (at(1.5), at(2))], at(0), at(10)) == pytest.approx(90)
    assert availability([], at(0), at(10)) == 100
    assert availability([], at(0), at(0)) is None
