from __future__ import annotations

import math

import pytest

from smsgw.core.bucket import TokenBucket


def test_burst_then_rate() -> None:
    bucket = TokenBucket(10, burst=5, now=100.0)
    assert bucket.take(100.0, 20) == 5
    assert bucket.take(100.0) == 0
    assert bucket.next_at(100.0) == pytest.approx(100.1)
    assert bucket.take(100.1) == 1
    assert bucket.take(101.1, 100) == 5


def test_never_and_nothing() -> None:
    bucket = TokenBucket(0, burst=1)
    assert bucket.take(0.0, 0) == 0
    assert bucket.take(0.0, -3) == 0
    assert bucket.take(0.0) == 1
    assert bucket.next_at(1e9) == math.inf


def test_set_rate_keeps_what_was_saved() -> None:
    bucket = TokenBucket(1, burst=10)
    bucket.take(0.0, 10)
    bucket.set_rate(100, 3.0)
    assert bucket.take(3.0, 10) == 3
    assert bucket.take(3.05, 10) == 5
    bucket.set_rate(100, 10.0, burst=2)
    assert (bucket.rate, bucket.burst) == (100, 2)
    assert bucket.take(10.0, 10) == 2


def test_give_back() -> None:
    bucket = TokenBucket(1, burst=3)
    assert bucket.take(0.0, 3) == 3
    bucket.give_back(2)
    assert bucket.take(0.0, 3) == 2
    bucket.give_back(9)
    assert bucket.take(0.0, 9) == 3


def test_a_clock_that_goes_back_adds_nothing() -> None:
    bucket = TokenBucket(10, now=50.0)
    assert bucket.take(50.0) == 1
    assert bucket.take(10.0) == 0
    assert bucket.next_at(10.0) == pytest.approx(50.1)
    assert bucket.take(50.1) == 1


@pytest.mark.parametrize(("rate", "burst"), [(-1, 1), (math.inf, 1), (math.nan, 1), (1, 0.5), (1, math.inf)])
def test_values_without_meaning(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match=r"rate|burst"):
        TokenBucket(rate, burst)
