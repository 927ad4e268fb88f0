from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.core.bucket import TokenBucket
from smsgw.core.pacing import UNLIMITED, Pacer


def run(pacer: Pacer, begin: float, seconds: float) -> list[float]:
    """Write as fast as the pacer allows; the times of the writes."""
    return [at for at, _ in carried(pacer, begin, seconds, lambda _: True)]


def carried(
    pacer: Pacer, begin: float, seconds: float, takes: Callable[[float], bool], *, delay: float = 0.04
) -> list[tuple[float, bool]]:
    """Write as fast as the pacer allows to a carrier that answers after ``delay``: the writes, and whether each was
    taken; the others are refused as too fast."""
    writes: list[tuple[float, bool]] = []
    under_way: deque[tuple[float, bool]] = deque()
    for step in range(int(seconds * 1000)):
        now = begin + step / 1000
        granted = pacer.take(now, 64)
        pacer.wrote(now, granted)
        new = [(now, takes(now)) for _ in range(granted)]
        writes += new
        under_way += new
        answers = []
        while under_way and under_way[0][0] <= now - delay:
            answers.append(under_way.popleft()[1])
        if answers:
            pacer.answered(now, answers.count(True), answers.count(False))
    return writes


def at_most(per_second: float) -> Callable[[float], bool]:
    """A carrier that takes so much and refuses what is too fast; it smooths over a tenth of a second."""
    bucket = TokenBucket(per_second, max(2.0, per_second / 10))
    return lambda now: bool(bucket.take(now))


def by_the_second(per_second: int) -> Callable[[float], bool]:
    """A carrier that counts in seconds of its own."""
    counts: Counter[int] = Counter()

    def takes(now: float) -> bool:
        counts[int(now)] += 1
        return counts[int(now)] <= per_second

    return takes


def at_random(share: float, seed: int = 1) -> Callable[[float], bool]:
    """A carrier that refuses a share of all, however slow we are."""
    dice = random.Random(seed)  # noqa: S311
    return lambda _: dice.random() >= share


def most_in_a_second(times: list[float]) -> int:
    most = low = 0
    for high, at in enumerate(times):
        while times[low] <= at - 1.0:
            low += 1
        most = max(most, high - low + 1)
    return most


@pytest.mark.parametrize("limit", [1, 10, 400, 1000])
def test_never_more_than_the_limit_in_any_second_and_nearly_all_of_it(limit: int) -> None:
    times = run(Pacer(limit, 0.0), 0.0, 10.0)
    assert most_in_a_second(times) <= max(limit * 1.01, limit + 1)
    assert len(times) >= limit * 10 * 0.99


def test_a_process_that_is_put_aside_and_comes_late_sends_no_more_and_nearly_all() -> None:
    """Turns of up to 15 ms, and now and then 40 ms between a grant and its octets."""
    dice = random.Random(7)  # noqa: S311
    pacer = Pacer(1000, 0.0)
    now = 0.0
    writes: list[float] = []
    while now < 60.0:
        granted = pacer.take(now, 64)
        now += 0.04 if granted and dice.random() < 0.001 else 0.0002 * granted
        pacer.wrote(now, granted)
        writes += [now] * granted
        now = max(pacer.next_at(now, 64), now + dice.choice([0.0005, 0.002, 0.015]))
    assert most_in_a_second(writes) <= 1000
    assert len(writes) >= 990 * 60


def test_what_is_caught_up_with_does_not_come_in_heaps_a_second_apart() -> None:
    """After a pause of 60 ms a carrier that reads each other second 10 ms late finds nothing to refuse either."""
    pacer = Pacer(1000, 0.0)
    before = run(pacer, 0.0, 5.0)
    writes = [*before, *run(pacer, 5.06, 5.0)]
    read = [at + (0.0099 if int(at) % 2 else 0.0) for at in writes]
    assert most_in_a_second(sorted(read)) <= 1010
    assert len(writes) >= 990 * 10


@given(
    limit=st.integers(1, 2000),
    steps=st.lists(st.tuples(st.floats(0, 0.4), st.floats(0, 0.1), st.integers(1, 300)), max_size=60),
)
def test_whatever_comes_between_a_grant_and_its_octets_no_second_has_more(
    limit: int, steps: list[tuple[float, float, int]]
) -> None:
    pacer = Pacer(limit, 0.0)
    now = 0.0
    writes: list[float] = []
    for pause, between, wanted in steps:
        now += pause
        granted = pacer.take(now, wanted)
        writes += [now + between * (n + 1) / granted for n in range(granted)]
        now += between
        pacer.wrote(now, granted)
    assert not writes or most_in_a_second(writes) <= limit


@pytest.mark.parametrize("kind", [at_most, by_the_second])
@pytest.mark.parametrize(("limit", "carries"), [(1000, 970), (1000, 300), (1000, 20), (200, 150), (20, 10)])
def test_the_rate_settles_where_the_carrier_takes_nearly_all(
    kind: Callable[[int], Callable[[float], bool]], limit: int, carries: int
) -> None:
    pacer = Pacer(limit, 0.0)
    carried(pacer, 0.0, 30.0, takes := kind(carries))
    writes = carried(pacer, 30.0, 60.0, takes)
    taken = sum(t for _, t in writes)
    assert taken >= 0.85 * carries * 60
    assert len(writes) - taken <= (0.15 if carries * 3 > limit / 2 else 0.25) * len(writes)
    run(pacer, 90.0, 25.0)
    assert pacer.rate == limit


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.15])
@pytest.mark.parametrize("limit", [1000, 200, 20])
def test_refusals_that_are_few_and_scattered_do_not_take_the_rate_away(share: float, limit: int) -> None:
    """Going slower does not cure them, so it is not done: what is refused goes again."""
    pacer = Pacer(limit, 0.0)
    writes = carried(pacer, 0.0, 60.0, at_random(share))
    assert len(writes) >= (0.9 if share <= 0.1 else 0.75) * limit * 60


def test_few_refusals_by_chance_are_forgotten_at_once() -> None:
    pacer = Pacer(1000, 0.0)
    run(pacer, 0.0, 5.0)
    carried(pacer, 5.0, 1.0, at_random(0.1))
    run(pacer, 6.0, 2.0)
    assert pacer.rate == 1000


@pytest.mark.parametrize("share", [1.0, 0.5, 0.3])
def test_a_storm_is_met_with_less_and_less(share: float) -> None:
    """Twenty seconds at a limit of 1,000/s: down to the floor, whatever the share."""
    pacer = Pacer(1000, 0.0)
    run(pacer, 0.0, 5.0)
    writes = carried(pacer, 5.0, 20.0, at_random(share))
    assert len(writes) <= 1_750
    assert pacer.rate <= 25


def test_a_carrier_that_takes_nothing_more_is_noticed_before_a_period_is_over() -> None:
    pacer = Pacer(1000, 0.0)
    run(pacer, 0.0, 5.2)
    carried(pacer, 5.2, 0.1, lambda _: False)
    assert pacer.rate <= 700


def test_a_busier_carrier_is_told_from_scattered_refusals() -> None:
    """What going slower does not cure is borne; what comes on top of it makes us slower again."""
    pacer = Pacer(1000, 0.0)
    scattered, narrow = at_random(0.08), at_most(400)
    carried(pacer, 0.0, 20.0, scattered)
    assert pacer.rate > 900
    carried(pacer, 20.0, 20.0, lambda now: scattered(now) and narrow(now))
    writes = carried(pacer, 40.0, 20.0, lambda now: scattered(now) and narrow(now))
    assert len(writes) / 20 <= 600
    assert sum(t for _, t in writes) / 20 >= 300


def test_one_overload_cuts_once() -> None:
    pacer = Pacer(100, 0.0)
    run(pacer, 0.0, 3.0)
    for n in range(50):
        pacer.answered(3.0 + n * 0.001, 0, 1)
    assert pacer.rate > 60


def test_without_a_limit_what_was_really_sent_is_cut() -> None:
    pacer = Pacer(0, 0.0)
    now = 0.0
    while now < 3.0:  # 500 a second are asked for
        pacer.wrote(now, pacer.take(now, 5))
        now += 0.01
    pacer.answered(now, 0, 10)
    assert 200 < pacer.rate < 500


def test_the_floor_is_never_left() -> None:
    pacer = Pacer(100, 0.0)
    for n in range(200):
        pacer.answered(n * 1.0, 0, 10)
    assert pacer.rate >= 2


@pytest.mark.parametrize("of", [40, 25, 10, 3])
def test_one_refusal_while_little_is_sent_does_not_take_all_away(of: int) -> None:
    """Of a trickle nothing can be said of what the carrier could take: the next burst must not find it all gone."""
    pacer = Pacer(1000, 0.0)
    rates = []
    for n in range(600):  # five a second, one of which is refused
        now = n * 0.2
        pacer.wrote(now, pacer.take(now, 1))
        pacer.answered(now, int(n != 5 * of), int(n == 5 * of))
        rates.append(pacer.rate)
    assert min(rates) >= 20
    after = rates[5 * of :]
    assert sum(rate < 100 for rate in after) / 5 <= 15, "seconds with less than a tenth"
    assert pacer.rate == 1000


@given(
    limit=st.sampled_from([0, 1, 20, 1000]),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(0, 200), st.integers(0, 50)), max_size=40),
)
def test_whatever_a_carrier_said_its_rate_is_within_bounds_and_comes_back(
    limit: int, steps: list[tuple[float, int, int]]
) -> None:
    pacer = Pacer(limit, 0.0)
    least, most = (max(1.0, limit / 50), float(limit)) if limit else (20.0, UNLIMITED)
    now = 0.0
    for pause, taken, refused in steps:
        now += pause
        pacer.wrote(now, pacer.take(now, taken + refused))
        pacer.answered(now, taken, refused)
        assert least <= pacer.rate <= most
    for n in range(1200):
        at = now + 0.05 * (n + 1)
        granted = pacer.take(at, 50)
        pacer.wrote(at, granted)
        pacer.answered(at, granted, 0)
    assert pacer.rate == most


def test_a_changed_limit_is_followed_at_once() -> None:
    pacer = Pacer(100, 0.0)
    pacer.set_limit(10, 1.0)
    assert pacer.rate == 10
    pacer.set_limit(500, 2.0)
    assert pacer.rate == 500
