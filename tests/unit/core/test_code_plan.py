"""The plan of numbers: the tree, what is not plain, and what is free."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from smsgw.core.code_plan import MOST_RANGES, Access, Clash, Holder, Kind, conflicts, free, tree

A = Access(1, "mobile-a", "10690001")


def holder(digits: str, account_id: int = 1, kind: Kind = Kind.ACCOUNT, sign: str = "") -> Holder:
    return Holder(digits, kind, account_id, f"a{account_id}", sign)


def found(access: list[Access], *holders: Holder) -> list[tuple[Clash, str]]:
    return [(one.kind, one.number) for one in conflicts(access, holders)]


def test_each_lies_below_what_it_begins_with() -> None:
    roots = tree([holder("77", 2), holder("7"), holder("771", 2, Kind.SIGN, "店铺"), holder("8", 3), holder("", 4)])
    assert [branch.digits for branch in roots] == ["", "7", "8"]
    assert [branch.digits for branch in roots[1].below] == ["77"]
    assert [branch.digits for branch in roots[1].below[0].below] == ["771"]


def test_a_plain_plan_has_no_conflicts() -> None:
    assert found([A], holder("01"), holder("02", 2), holder("011", 1, Kind.SIGN, "店铺")) == []


def test_two_accounts_with_the_same_digits_share_their_replies() -> None:
    assert found([A], holder("01"), holder("01", 2)) == [(Clash.SHARED, "01")]


def test_an_access_code_that_goes_on_as_another_with_an_extension() -> None:
    """10690001 with 77 and 3 behind it is 1069000177 with 3: a reply could belong to either."""
    longer = Access(2, "mobile-b", "1069000177")
    assert found([A, longer], holder("773"), holder("3", 2)) == [(Clash.CONTINUED, "10690001773")]
    assert found([A, longer], holder("773"), holder("3", 1, Kind.SIGN, "店铺")) == [], "it is its own"
    assert found([A, longer], holder("773"), holder("4", 2)) == [], "nobody has 3"
    former = Access(1, "mobile-a", "1069000177", datetime(2027, 1, 1, tzinfo=UTC))
    assert found([A, former], holder("773"), holder("3", 2)) == [(Clash.CONTINUED, "10690001773")]


def test_more_digits_than_carriers_take() -> None:
    long = Access(1, "mobile-a", "1" * 18)
    assert found([long], holder("01"), holder("012", 1, Kind.SIGN, "店铺")) == [(Clash.TOO_LONG, "1" * 18 + "012")]


def test_a_task_s_or_scenario_s_digits_that_another_account_has_taken() -> None:
    task = Holder("771", Kind.TASK, 1, "a1", title="体检", id=9)
    assert found([A], holder("77"), task, holder("7", 2)) == [(Clash.BELOW, "77")], "its own account's are longer"
    assert found([A], holder("77"), task, holder("771", 2))[0] == (Clash.COVERED, "771")
    scenario = Holder("7712", Kind.SCENARIO, 1, "a1", title="提醒", id=9)
    assert found([A], holder("77"), scenario, holder("771", 2, Kind.SIGN, "店铺"))[0] == (Clash.COVERED, "7712")
    assert found([A], holder("77"), scenario, holder("771", 1, Kind.SIGN, "店铺")) == [], "it is its own"
    longer = Access(2, "mobile-b", "1069000177")
    assert found([A, longer], holder("7"), Holder("773", Kind.TASK, 1, "a1"), holder("3", 2)) == [
        (Clash.CONTINUED, "10690001773")
    ]


def test_a_conflict_is_another_one_by_its_kind_and_by_whom_it_concerns() -> None:
    task = Holder("771", Kind.TASK, 1, "a1", id=9)
    one = conflicts([A], [holder("77"), task, holder("771", 2)])[0]
    assert one.concerns == conflicts([A], [holder("77"), task, holder("771", 2), holder("8", 5)])[0].concerns
    assert one.concerns != conflicts([A], [holder("77"), task, holder("771", 3)])[0].concerns
    codes = [Access(1, "mobile-a", "1" * 16), Access(2, "mobile-b", "1" * 18)]
    same = [c for c in conflicts(codes, [holder("11345"), holder("345", 2)]) if c.number == "1" * 16 + "11345"]
    assert [c.kind for c in same] == [Clash.CONTINUED, Clash.TOO_LONG], "one number, two things to know"
    assert len({c.concerns for c in same}) == 2


def test_ten_thousand_extensions_and_overlapping_access_codes_take_no_time() -> None:
    """What a page looks at while nothing else runs: a walk of everybody for each would take minutes."""
    some = [holder(f"{n:05d}", n) for n in range(20_000)] + [holder("", n) for n in range(20_000, 21_000)]
    codes = [Access(n, f"m{n}", f"1069{n}") for n in range(1, 21)]
    began = time.process_time()
    said = conflicts(codes, some)
    assert time.process_time() - began < 20
    assert any(one.kind is Clash.CONTINUED for one in said)


def test_what_is_good_to_know_comes_behind_what_is_bad() -> None:
    twice = Access(2, "mobile-b", A.code)
    said = found([A, twice], holder("7"), holder("77", 2), holder("77", 3), holder("", 4), holder("", 5))
    assert said[0] == (Clash.SHARED, "77")
    assert {kind for kind, _ in said[1:]} == {Clash.SAME_ACCESS, Clash.BELOW, Clash.PLAIN}


@pytest.mark.parametrize(
    ("taken", "length", "under", "ranges"),
    [
        ((), 2, "", [("00", "99")]), (("05",), 2, "", [("00", "04"), ("06", "99")]),
        (("5",), 2, "", [("00", "49"), ("60", "99")]), (("051",), 2, "", [("00", "04"), ("06", "99")]),
        (("7", "771"), 3, "7", [("700", "770"), ("772", "799")]), (("7",), 1, "7", []), ((), 13, "", []),
    ],
)  # fmt: skip
def test_what_is_free(taken: tuple[str, ...], length: int, under: str, ranges: list[tuple[str, str]]) -> None:
    assert [(one.first, one.last) for one in free([holder(d) for d in taken], length, under)] == ranges


def test_ranges_have_a_limit_and_their_number_is_right() -> None:
    some = [holder(f"{n:04d}") for n in range(0, 2000, 2)]
    assert len(free(some, 4)) == MOST_RANGES
    whole = free([holder(f"{n:02d}") for n in range(0, 60, 2)], 2)
    assert sum(one.n for one in whole) == 70
