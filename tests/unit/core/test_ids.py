"""Ids: unique, never backwards, a day is a range."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from smsgw.core.errors import Temporary
from smsgw.core.ids import AHEAD, CHINA, EPOCH_MS, IdSource, first_id, time_of
from smsgw.core.moments import FIRST, LAST, day, iso, minute, nearest


def test_more_than_a_millisecond_holds_and_a_clock_that_goes_back() -> None:
    clock = [EPOCH_MS + 1000]
    source = IdSource(3, lambda: clock[0])
    ids = [source.next() for _ in range(9000)]
    clock[0] -= 3_600_000
    ids += [source.next() for _ in range(9000)]
    assert ids == sorted(set(ids))
    assert {i >> 12 & 0x3FF for i in ids} == {3}
    assert (time_of(ids[-1]).timestamp() * 1000 - EPOCH_MS) - 1000 < 6


@pytest.mark.parametrize("node", [-1, 1024])
def test_a_node_number_that_does_not_fit(node: int) -> None:
    with pytest.raises(ValueError, match="node number"):
        IdSource(node, lambda: 0)


def test_a_block_has_no_gap_and_stays_in_its_millisecond() -> None:
    clock = [EPOCH_MS + 1000]
    source = IdSource(3, lambda: clock[0])
    given = []
    for size in (1, 100, 4000, 4096, 1):
        first = source.block(size)
        given += range(first, first + size)
        assert first >> 12 == (first + size - 1) >> 12
    assert given == sorted(set(given))
    assert source.next() > given[-1]
    with pytest.raises(ValueError, match="block"):
        source.block(4097)


def test_a_clock_that_is_behind_what_was_made_before() -> None:
    clock = [EPOCH_MS + 1_000_000]
    before = IdSource(3, lambda: clock[0])
    made = [before.next() for _ in range(5000)]
    clock[0] -= 500_000
    after = IdSource(3, lambda: clock[0], after=made[-1])
    assert after.last > made[-1], "what it may have made since it was last heard of is not known"
    now = datetime.fromtimestamp(clock[0] / 1000, UTC)
    again = [after.next() for _ in range(5000)]
    assert again == sorted(set(again))
    assert again[0] > made[-1]
    assert after.newest(now - timedelta(days=1)) == again[-1], "what was made is not beyond what can be queued"
    assert IdSource(3, lambda: clock[0] + 600_000, after=made[-1]).last == 0


def test_ids_of_other_nodes_exist() -> None:
    source = IdSource(3, lambda: EPOCH_MS)
    now = datetime(2024, 1, 1, tzinfo=UTC)
    assert source.newest(now) == first_id(now + AHEAD)
    far = first_id(now + timedelta(days=3)) + 7
    source.seen(far)
    source.seen(5)
    assert source.newest(now) == source.newest_made == far


def test_a_number_that_is_anothers_makes_no_more_ids() -> None:
    source = IdSource(3, lambda: EPOCH_MS)
    source.revoke()
    for make in (source.next, lambda: source.block(3)):
        with pytest.raises(Temporary, match="请"):
            make()


FAR = [timezone(timedelta(hours=hours)) for hours in (-14, 0, 14)]


@pytest.mark.parametrize("zone", FAR)
def test_a_time_beyond_the_bounds_is_the_bound(zone: timezone) -> None:
    for at, bound in ((datetime.min, FIRST), (datetime.max, LAST)):
        found = nearest(at.replace(tzinfo=zone))
        assert found == bound
        assert found.astimezone(CHINA) == bound  # it can be shown
    assert nearest(datetime(2026, 5, 1, tzinfo=zone)) == datetime(2026, 5, 1, tzinfo=zone)


def test_so_is_a_day() -> None:
    assert [nearest(d) for d in (date.min, date(2026, 5, 1), date.max)] == [
        date(2000, 1, 1), date(2026, 5, 1), date(2099, 12, 31),
    ]  # fmt: skip
    assert type(nearest(date.max)) is date


def test_what_is_typed_may_be_never_but_not_before_the_first() -> None:
    assert minute("9999-12-31 23:59") == iso("9999-12-31T23:59:59.999999-14:00") == LAST
    assert day("9999-12-31") == LAST.date()
    assert iso("2026-05-01T09:00") == iso("2026-05-01T01:00:00Z") == datetime(2026, 5, 1, 1, tzinfo=UTC)
    for read, text in ((minute, "0001-01-01 00:00"), (day, "1999-12-31"), (iso, "0001-01-01T00:00:00+14:00")):
        with pytest.raises(ValueError, match="2000-01-01"):
            read(text)
