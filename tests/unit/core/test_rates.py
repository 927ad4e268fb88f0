"""Token buckets, meters, and the share of a rate that a node takes."""

from __future__ import annotations

import math

import pytest

from smsgw.core.bucket import TokenBucket
from smsgw.core.demand import EVERY, FRESH, LEAST, MOST, Asked, Demand
from smsgw.core.rates import Meter


def test_a_bucket_gives_its_burst_and_then_the_rate() -> None:
    bucket = TokenBucket(10, burst=5, now=100.0)
    assert bucket.take(100.0, 20) == 5
    assert bucket.take(100.0) == 0
    assert bucket.next_at(100.0) == pytest.approx(100.1)
    assert bucket.take(100.1) == 1
    assert bucket.take(101.1, 100) == 5
    bucket = TokenBucket(0, burst=1)  # never and nothing
    assert bucket.take(0.0, 0) == 0
    assert bucket.take(0.0, -3) == 0
    assert bucket.take(0.0) == 1
    assert bucket.next_at(1e9) == math.inf
    bucket = TokenBucket(1, burst=10)  # set rate keeps what was saved
    bucket.take(0.0, 10)
    bucket.set_rate(100, 3.0)
    assert bucket.take(3.0, 10) == 3
    assert bucket.take(3.05, 10) == 5
    bucket.set_rate(100, 10.0, burst=2)
    assert (bucket.rate, bucket.burst) == (100, 2)
    assert bucket.take(10.0, 10) == 2
    bucket = TokenBucket(1, burst=3)  # give back
    assert bucket.take(0.0, 3) == 3
    bucket.give_back(2)
    assert bucket.take(0.0, 3) == 2
    bucket.give_back(9)
    assert bucket.take(0.0, 9) == 3
    bucket = TokenBucket(10, now=50.0)  # a clock that goes back adds nothing
    assert bucket.take(50.0) == 1
    assert bucket.take(10.0) == 0
    assert bucket.next_at(10.0) == pytest.approx(50.1)
    assert bucket.take(50.1) == 1
    for rate, burst in ((-1, 1), (math.inf, 1), (math.nan, 1), (1, 0.5), (1, math.inf)):  # values without meaning
        with pytest.raises(ValueError, match=r"rate|burst"):
            TokenBucket(rate, burst)


def test_a_meter_keeps_the_average_whatever_the_size() -> None:
    meter = Meter()
    assert [meter.take(10, 0.0) for _ in range(10)] == [0.0] * 10
    assert 0.09 < meter.take(10, 0.0) <= 0.1
    assert meter.take(10, 0.1) == 0.0
    assert meter.take(10, 0.1) > 0
    assert meter.remaining(10, 0.6) == 5
    meter = Meter()  # a request larger than the rate is paid off
    assert meter.take(10, 0.0, 1000) == 0.0
    assert meter.take(10, 0.0) > 99
    wait = meter.take(10, 50.0)
    assert 49 < wait < 51
    assert meter.take(10, 50.0 + wait) == 0.0
    for size in (1, 7, 100, 1000):  # the average holds however the requests are cut
        meter, taken, now = Meter(), 0, 0.0
        while now < 200:
            taken += size if meter.take(100, now, size) == 0 else 0
            now += 0.01
        assert 200 * 100 - size <= taken <= 200 * 100 + 100 + size
    meter = Meter()  # a clock that goes back gives nothing
    assert meter.take(1, 100.0) == 0.0
    assert meter.take(1, 0.0) > 0
    assert meter.take(1, 101.0) == 0.0


RATE = 100.0


def heard(*others: float, asked: int = 1, at: float = 10.0, now: float = 10.0) -> float:
    demand = Demand()
    for node, told in enumerate(others, 2):
        demand.hear(node, Asked({7: told} if told else {}), at)
    return demand.share(7, RATE, len(others) + 1, now, asked)


def test_a_node_takes_what_the_others_leave() -> None:
    assert Demand().share(7, RATE, 1, 0.0, 5) == RATE
    demand = Demand()  # without a word of each it is divided equally
    demand.hear(2, Asked({7: 0.0}), 10.0)
    assert demand.share(7, RATE, 3, 10.0, 5) == pytest.approx(RATE / 3)
    assert heard(0.0, now=10.0 + FRESH + 0.1) == RATE / 2, "an old word is none"
    assert heard(0.0) == RATE  # it takes what the others leave
    assert heard(30.0) == 70.0
    assert heard(80.0) == RATE / 2, "never less than an equal part while there is room"
    demand = Demand()  # what is too much in all is divided by what is asked
    demand.hear(2, Asked({7: 75.0}), 10.0)
    demand.share(7, RATE, 2, 10.0, 25)
    demand.word(10.0 + EVERY)  # 50 a second
    assert demand.share(7, RATE, 2, 10.5, 1) == 40.0
    assert heard(10_000.0) == RATE / 2 * LEAST, "something is left for each"
    demand = Demand()  # who asks for far more than there is leaves others what they need
    demand.hear(2, Asked({7: 100_000.0}), 10.0)
    assert demand.share(7, RATE, 2, 10.0, 10) > 9.0, "what is refused is no reason to have it all"
    demand = Demand()  # what a cut word does not have is divided equally
    demand.hear(2, Asked({8: 40.0}, cut=True), 10.0)
    assert demand.share(7, RATE, 2, 10.0, 10) == RATE / 2
    assert demand.share(8, RATE, 2, 10.0, 10) == 60.0
    one = Demand()
    for account in range(MOST + 1):
        one.share(account, RATE, 2, 10.0, 2 if account else 1)
    one.hear(2, Asked({0: 90.0}), 10.0)
    assert one.word(10.5).cut
    assert one.share(0, RATE, 2, 10.5, 200) == RATE / 2, "nor do the others know of it"


@pytest.mark.parametrize("asked", [(10, 10), (200, 10), (300, 300), (1, 900)])
def test_together_they_take_the_rate_once_they_have_heard_of_each_other(asked: tuple[int, int]) -> None:
    one, two = Demand(), Demand()
    shares = [0.0, 0.0]
    for turn in range(1, 6):
        now = turn * EVERY
        shares = [d.share(7, RATE, 2, now, int(n * EVERY)) for d, n in zip((one, two), asked, strict=True)]
        words = one.word(now), two.word(now)
        one.hear(2, words[1], now)
        two.hear(1, words[0], now)
    granted = [min(share, n) for share, n in zip(shares, asked, strict=True)]
    assert sum(granted) <= RATE * 1.06
    assert sum(granted) >= min(RATE, sum(asked)) * 0.85


@pytest.mark.parametrize("asked", [1, 30, 1000])
def test_beside_workers_that_meter_together_the_rate_is_kept(asked: int) -> None:
    """They take their equal shares whatever they hear: two of three here."""
    demand = Demand()
    for node in (2, 3):
        demand.hear(node, Asked({7: 500.0}, fixed=True), 10.0)
    assert demand.share(7, RATE, 3, 10.0, asked) == pytest.approx(RATE / 3)
    demand.hear(4, Asked({}), 10.0)
    assert demand.share(7, RATE, 4, 10.0, asked) == pytest.approx(RATE / 2), "what the free ones leave each other"
