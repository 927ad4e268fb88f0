"""The block list in memory says what a plain list of entries would say."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.core.blocklist import CARRIER, FOLD_AT, MANUAL, OPT_OUT, BlockList, Entry, Scope

EVERYBODY = Scope()
MARKETING = Scope(0, "marketing", "")
NOW = 1000.0

numbers = st.integers(8613800000000, 8613800000005)
scopes = st.sampled_from([EVERYBODY, MARKETING, Scope(1), Scope(1, "marketing", "店")])
entries = st.builds(
    Entry, numbers, scopes, st.sampled_from([MANUAL, OPT_OUT]), st.just(5), st.sampled_from([0, 900, 1100])
)


def state(entries: list[Entry]) -> dict[tuple[int, Scope], Entry]:
    return {(e.number, e.scope): e for e in entries}


@given(st.lists(entries), st.lists(st.tuples(entries, st.booleans())), st.integers(0, 30))
def test_like_a_plain_list(first: list[Entry], later: list[tuple[Entry, bool]], fold_after: int) -> None:
    known = state(first)
    list_ = BlockList(sorted(known.values(), key=lambda e: e.number))
    for n, (entry, removed) in enumerate(later):
        if n == fold_after:
            list_ = list_.folded()
        change = Entry(entry.number, entry.scope, entry.source, entry.since, entry.until, removed)
        list_.change(change)
        known.pop((entry.number, entry.scope), None)
        if not removed:
            known[entry.number, entry.scope] = change
    for candidate in (list_, list_.folded()):
        for number in range(8613800000000, 8613800000006):
            of_number = [e for e in known.values() if e.number == number]
            assert state(candidate.entries(number)) == state(of_number)
            for subject in ((1, "marketing", "店"), (1, "otp", ""), (2, "marketing", "店"), (2, "notice", "")):
                hits = [e for e in of_number if e.scope.covers(*subject) and (not e.until or e.until > NOW)]
                found = candidate.find(str(number), *subject, NOW)
                assert (found in hits) if hits else found is None
                if found is not None and found.source == OPT_OUT:
                    assert all(e.source == OPT_OUT for e in hits)  # a block is the graver reason


def test_scopes() -> None:
    scope = Scope(7, "marketing", "店")
    assert scope.covers(7, "marketing", "店")
    assert not scope.covers(7, "marketing", "别家")
    assert not scope.covers(7, "notice", "店")
    assert not scope.covers(8, "marketing", "店")
    assert EVERYBODY.covers(8, "otp", "")


def test_order_is_checked() -> None:
    with pytest.raises(ValueError, match="in order"):
        BlockList([Entry(2, EVERYBODY, MANUAL, 1), Entry(1, EVERYBODY, MANUAL, 1)])
    with pytest.raises(ValueError, match="in order"):
        BlockList([Entry(1, EVERYBODY, MANUAL, 1, removed=True)])


def test_many_changes_are_folded_in_at_some_time() -> None:
    list_ = BlockList()
    for n in range(FOLD_AT):
        assert not list_.heavy
        list_.change(Entry(8613000000000 + n, EVERYBODY, MANUAL, 1))
    assert list_.heavy
    assert not list_.folded().heavy
    assert len(list_.folded()) == FOLD_AT


def test_entries_are_small() -> None:
    list_ = BlockList(Entry(8613000000000 + n, EVERYBODY, CARRIER, 1) for n in range(50_000))
    arrays = [v for name in BlockList.__init__.__code__.co_names for v in [getattr(list_, name, None)] if v]
    octets = sum(sys.getsizeof(a) for a in arrays if type(a).__name__ == "array")
    assert 20 <= octets / len(list_) < 25
    assert list_.find("8613000049999", 1, "otp", "", NOW)
    assert not list_.find("8613000050000", 1, "otp", "", NOW)
