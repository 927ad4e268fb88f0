from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.core.pacing import Pacer


def run(pacer: Pacer, begin: float, seconds: float, *, throttle_above: float = 1e9) -> list[float]:
    """Write as fast as the pacer allows; the times of the writes. Above ``throttle_above``/s half is throttled."""
    times: list[float] = []
    now = begin
    while now < begin + seconds:
        granted = pacer.take(now, 64)
        pacer.wrote(now, granted)
        times += [now] * granted
        recent = [t for t in times[-4000:] if t > now - 1.0]
        if granted and len(recent) > throttle_above:
            pacer.throttled(now)
        now += 0.001
    return times


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


def test_throttling_slows_down_and_quiet_seconds_bring_the_limit_back() -> None:
    pacer = Pacer(1000, 0.0)
    run(pacer, 0.0, 20.0, throttle_above=300)
    assert pacer.slowed
    assert len(run(pacer, 20.0, 5.0, throttle_above=300)) / 5 < 400  # converges around what the carrier takes
    run(pacer, 25.0, 25.0)
    assert pacer.rate == 1000


def test_one_overload_cuts_once() -> None:
    pacer = Pacer(100, 0.0)
    run(pacer, 0.0, 3.0)
    for n in range(50):
        pacer.throttled(3.0 + n * 0.001)
    assert pacer.rate > 60


def test_without_a_limit_what_was_really_sent_is_cut() -> None:
    pacer = Pacer(0, 0.0)
    now = 0.0
    while now < 3.0:  # 500 a second are asked for
        pacer.wrote(now, pacer.take(now, 5))
        now += 0.01
    pacer.throttled(now)
    assert 200 < pacer.rate < 500


def test_the_floor_is_never_left() -> None:
    pacer = Pacer(100, 0.0)
    for n in range(200):
        pacer.throttled(n * 1.0)
    assert pacer.rate >= 2


def test_a_changed_limit_is_followed_at_once() -> None:
    pacer = Pacer(100, 0.0)
    pacer.set_limit(10, 1.0)
    assert pacer.rate == 10
    pacer.set_limit(500, 2.0)
    assert pacer.rate == 500
