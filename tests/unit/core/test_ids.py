"""Ids: unique, never backwards, a day is a range."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smsgw.core.errors import Temporary
from smsgw.core.ids import AHEAD, EPOCH_MS, IdSource, first_id, time_of


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
    assert after.newest(now - timedelta(days=1)) == again[-1], (
        "what was made is not beyond what can be queued"
    )
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
