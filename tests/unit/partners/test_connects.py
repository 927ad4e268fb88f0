"""A CMPP_CONNECT is good once, near its time, and for the connections of one second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsgw.partners.connects import AGAIN, KEPT, MAX_OF_ONE, TOGETHER, Connects, distance

AT = datetime(2026, 11, 25, 4, 0, 0, tzinfo=UTC)
"""Noon in China."""
STAMP = 1125120000


def problem(connects: Connects, stamp: int = STAMP, **how: Any) -> str:
    return connects.problem(7, stamp, **{"own": True, "most": 4, "now": 0.0, "at": AT} | how)


@pytest.mark.parametrize(
    ("stamp", "at", "hours"),
    [
        (STAMP, AT, 0),
        (1125040000, AT, -8),  # UTC
        (1124230000, AT, -13),  # New York
        (1125000000, AT, -12),  # hh for HH
        (1231235900, datetime(2026, 12, 31, 16, 0, tzinfo=UTC), -1 / 60),  # the year has just turned here …
        (101000100, datetime(2026, 12, 31, 15, 59, tzinfo=UTC), 2 / 60),  # … and has turned there
        (229120000, datetime(2028, 2, 29, 4, 0, tzinfo=UTC), 0),
    ],
)
def test_how_far_a_clock_is_off(stamp: int, at: datetime, hours: float) -> None:
    assert (distance(stamp, at), problem(Connects(), stamp, at=at)) == (timedelta(hours=hours), "")


@pytest.mark.parametrize("stamp", [0, 1123110000, 1126130000, 1332000000, 4294967295, 601120000, 101080000])
def test_a_time_that_is_none_or_far_away(stamp: int) -> None:
    assert problem(Connects(), stamp) == "clock"


def test_the_connections_of_one_second_come_in_and_the_same_connect_later_or_from_elsewhere_does_not() -> None:
    connects = Connects()
    for n in range(4 + AGAIN):
        assert problem(connects, now=n * 0.01, own=n > 0) == ""
        assert connects.note(7, STAMP, n * 0.01) is (n == 0)
    assert problem(connects, now=1.0) == "replayed", "more than it may have"
    connects = Connects()
    connects.note(7, STAMP, 0.0)
    assert problem(connects, now=1.0, own=False) == "replayed", "from an address that is not the partner's"
    assert problem(connects, now=TOGETHER + 1) == "replayed"
    assert problem(connects, now=KEPT - 1, at=AT + timedelta(hours=20)) == "replayed"
    assert problem(connects, STAMP + 1, own=False) == "", "a new one is good from anywhere"
    assert connects.problem(8, STAMP, own=False, most=1, now=0.0, at=AT) == "", "another partner's is another one"


def test_when_it_is_forgotten_its_time_is_over() -> None:
    first = distance(1126120000, AT)
    assert first == timedelta(hours=24)
    for hours in (24, 36, 47.9, 48.1, 60):
        connects = Connects()
        connects.note(7, 1126120000, 0.0)
        assert problem(connects, 1126120000, now=hours * 3600, at=AT + timedelta(hours=hours)) != ""


def test_what_is_remembered_is_of_all_nodes_and_has_a_limit() -> None:
    connects = Connects()
    connects.learn(7, STAMP, -100.0, 0.0)
    assert problem(connects) == "replayed"
    connects = Connects()
    for n in range(MAX_OF_ONE + 100):
        connects.note(7, n, 0.0)
    of_one = connects._seen.get(7)
    assert len(of_one) == MAX_OF_ONE
