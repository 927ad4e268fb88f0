"""A rate for requests of different size."""

from __future__ import annotations

from smsgw.core.rates import Meter


def test_one_second_may_come_at_once_and_then_the_rate() -> None:
    meter = Meter()
    assert [meter.take(10, 0.0) for _ in range(10)] == [0.0] * 10
    assert 0.09 < meter.take(10, 0.0) <= 0.1
    assert meter.take(10, 0.1) == 0.0
    assert meter.take(10, 0.1) > 0
    assert meter.remaining(10, 0.6) == 5


def test_a_request_larger_than_the_rate_is_paid_off() -> None:
    meter = Meter()
    assert meter.take(10, 0.0, 1000) == 0.0
    assert meter.take(10, 0.0) > 99
    wait = meter.take(10, 50.0)
    assert 49 < wait < 51
    assert meter.take(10, 50.0 + wait) == 0.0


def test_the_average_holds_however_the_requests_are_cut() -> None:
    for size in (1, 7, 100, 1000):
        meter, taken, now = Meter(), 0, 0.0
        while now < 200:
            taken += size if meter.take(100, now, size) == 0 else 0
            now += 0.01
        assert 200 * 100 - size <= taken <= 200 * 100 + 100 + size


def test_a_clock_that_goes_back_gives_nothing() -> None:
    meter = Meter()
    assert meter.take(1, 100.0) == 0.0
    assert meter.take(1, 0.0) > 0
    assert meter.take(1, 101.0) == 0.0
