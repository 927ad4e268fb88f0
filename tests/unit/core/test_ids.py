"""Ids: unique, never backwards, a day is a range."""

from __future__ import annotations

import pytest

from smsgw.core.ids import EPOCH_MS, IdSource, time_of


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
