from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smsgw.core.bucket import TokenBucket

steps = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 50)), max_size=60)


@given(rate=st.floats(0.1, 5000), burst=st.floats(1, 200), steps=steps, start=st.floats(0, 1e7))
def test_no_span_of_time_gets_more_than_burst_and_rate(
    rate: float, burst: float, steps: list[tuple[float, int]], start: float
) -> None:
    bucket = TokenBucket(rate, burst, now=start)
    now = start
    grants: list[tuple[float, int]] = []
    for pause, wanted in steps:
        now += pause
        grants.append((now, bucket.take(now, wanted)))
    for first in range(len(grants)):
        total = 0
        for at, granted in grants[first:]:
            total += granted
            assert total <= burst + rate * (at - grants[first][0]) + 1e-3


@given(rate=st.floats(0.1, 5000), burst=st.floats(1, 200), pauses=st.lists(st.floats(0, 2), max_size=30))
def test_waiting_until_next_at_is_enough(rate: float, burst: float, pauses: list[float]) -> None:
    bucket = TokenBucket(rate, burst)
    now = 0.0
    for pause in pauses:
        now += pause
        bucket.take(now, 1000)
        now = bucket.next_at(now)
        assert bucket.take(now) == 1
