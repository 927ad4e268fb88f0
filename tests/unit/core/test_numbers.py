"""Phone numbers, where they are from, and the plan of extensions."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smsgw.core import numbers
from smsgw.core.code_plan import MOST_RANGES, Access, Clash, Holder, Kind, conflicts, free, tree
from smsgw.core.numbers import Home, Segments, masked_as_written
from smsgw.store.config.segments import SegmentsUnreadable, load_segments


def test_numbers_are_read_however_they_are_written() -> None:
    for written in (
        "13800138000", "8613800138000", "+8613800138000", "008613800138000", " 138-0013-8000 ", "+86 138 0013 8000",
        "\uff11\uff13\uff18\uff10\uff10\uff11\uff13\uff18\uff10\uff10\uff10", "\u202a13800138000\u202c",
    ):  # fmt: skip
        assert numbers.normalize(written) == "8613800138000"
    assert numbers.normalize("+852 9123 4567") == "85291234567"  # foreign numbers
    assert numbers.normalize("0085291234567") == "85291234567"
    assert numbers.normalize("+1 (212) 555-0100") == "12125550100"
    for written, reason in (  # what is no number
        ("", "empty"), ("+", "empty"), ("1380013800a", "characters"), ("13800138000\n", "characters"),
        ("१३८००१३८०००", "characters"), ("++8613800138000", "characters"), ("1380013800", "prefix"),
        ("12345678901", "prefix"), ("85291234567", "prefix"), ("+861234567890", "mainland"),
        ("+862112345678", "mainland"), ("+86138001380001", "mainland"), ("123456", "length"), ("+123456", "length"),
        ("+1234567890123456", "length"), ("+0123456789", "length"), ("1380013800" + "-" * 60 + "0", "length"),
    ):  # fmt: skip
        with pytest.raises(numbers.InvalidNumber) as caught:
            numbers.normalize(written)
        assert caught.value.reason == reason
    # Without its plus a number of the United States would be one of the mainland.
    for number in ("8613800138000", "13105551234", "85291234567", "12025550123", "4915112345678"):
        assert numbers.normalize(numbers.written(number)) == number


def test_a_number_has_its_country_carrier_and_mask() -> None:
    for number, country in (
        ("14155550100", "1"), ("18765550100", "1876"), ("79161234567", "7"), ("447700900123", "44"),
        ("85261230001", "852"), ("37061234567", "370"),
        ("8801712345678", "880"), ("2348012345678", "234"), ("201001234567", "20"),
    ):  # fmt: skip
        assert numbers.country(number) == country
    assert numbers.mask("8613800138000") == "138****8000"  # mask and national
    assert numbers.mask("13800138000") == "138****8000"
    assert numbers.mask("85291234567") == "852****4567"
    assert numbers.mask("12345678") == "12****78"
    assert numbers.mask("10086") == "****"
    assert numbers.mask("") == "****"
    assert numbers.national("8613800138000") == "13800138000"
    assert numbers.national("85291234567") == "85291234567"
    for number, carrier in (  # built in prefixes
        ("8613412345678", numbers.CMCC), ("8613491234567", numbers.CTCC), ("8619812345678", numbers.CMCC),
        ("8619612345678", numbers.CUCC), ("8619312345678", numbers.CTCC), ("8619212345678", numbers.CBN),
        ("8617001234567", numbers.CTCC), ("8617031234567", numbers.CMCC), ("8617041234567", numbers.CUCC),
        ("8616212345678", numbers.CTCC), ("8616512345678", numbers.CMCC), ("8616112345678", numbers.UNKNOWN),
        ("85291234567", numbers.INTL),
    ):  # fmt: skip
        assert numbers.carrier_of(number, Segments()) == carrier


def test_segments_given_as_numbers_are_like_others_before_all_others() -> None:
    north, south = Home(numbers.CTCC, "北京"), Home(numbers.CUCC, "广东")

    def sevens() -> Iterator[tuple[int, Home]]:
        yield 1_300_000, north
        for prefix in range(1_380_000, 1_380_200):  # homes that nobody keeps
            yield prefix, Home(numbers.CMCC, f"{prefix}")
        yield 1_999_999, south
        yield 1_234_567, south

    segments = Segments([("1380013", south)], sevens=sevens())
    assert len(segments) == 204
    assert segments.home("8613000001111") == north
    assert segments.home("8619999991111") == south
    assert segments.home("8612345671111") == south, "outside of the table"
    assert segments.home("8613800131111") == south
    assert {segments.home(f"86{prefix}1111") for prefix in range(1_380_014, 1_380_200)} == {
        Home(numbers.CMCC, f"{prefix}") for prefix in range(1_380_014, 1_380_200)
    }
    with pytest.raises(ValueError, match="2000000"):
        Segments(sevens=[(2_000_000, north)])


def test_segments_longest_prefix_wins() -> None:
    jilin = Home(numbers.CUCC, "吉林", "长春")
    segments = Segments(
        [
            ("138", Home(numbers.CBN)), ("1380013", Home(numbers.CMCC, "北京", "北京")),
            ("13800138", Home(numbers.CTCC, "上海", "上海")), ("13800138000", jilin), ("1380014", Home(numbers.CMCC)),
            ("1380014", jilin),
        ]
    )  # fmt: skip
    assert len(segments) == 6
    assert segments.home("8613800138000") == jilin
    assert segments.home("8613800138001") == Home(numbers.CTCC, "上海", "上海")
    assert segments.home("8613800130000") == Home(numbers.CMCC, "北京", "北京")
    assert segments.home("8613800140000") == jilin
    assert segments.home("8613900000000") == Home(numbers.CMCC)
    assert segments.home("8613812340000") == Home(numbers.CBN)
    assert segments.home("85291234567") is None
    for prefix in ("13", "138001380001", "238", "13a", "\uff11\uff13\uff18", ""):  # prefixes that are none
        with pytest.raises(ValueError, match="prefix"):
            Segments([(prefix, Home(numbers.CMCC))])


def test_numbers_in_texts_are_hidden_and_others_stay() -> None:
    for written in (
        "13800138000", "138 0013 8000", "138-0013-8000", "１３８００１３８０００", "+86 138 0013 8000",
        "8613800138000", "0086-138-0013-8000", "013800138000", "①③⑧00138000", "138.0013.8000", "138 0013\u30008000",
        "1 3 8 0 0 1 3 8 0 0 0", "138\u200b00138000",
    ):  # fmt: skip
        for around in ("号码{}，请查", "tel{}x"):
            assert masked_as_written(around.format(written)) == around.format("138****8000")
    for written, shown in (  # landlines and numbers abroad are hidden too
        ("010-65521234", "010****1234"), ("(010) 6552 1234", "(010****1234"),
        ("（0755）8652-1234转801", "（075****1234转801"),
        ("057186521234", "057****1234"), ("+852 9123 4567", "852****4567"), ("00852-91234567", "852****4567"),
        ("+1 (202) 555-0123", "120****0123"), ("+44 20 7946 0958", "442****0958"), ("85291234567", "852****4567"),
        ("4915112345678", "491****5678"), ("9123456789", "91****89"),
    ):  # fmt: skip
        assert masked_as_written(f"来电{written}，请查") == f"来电{shown}，请查"
    for text in (  # what is no number stays as it was written
        "短信 7012345138001380001", "①信号 ２０２６-11-29 13:00，三次", "订单 202611291380013800", "10086", "5% 1.5 元",
        "UTC+8 2026-11-29 13:00", "20261129130000 收到", "端口 106900001234", "热线 4008001234，12345",
        "09-12 08:30 至 18:00",
        "共 123456789 条",
    ):  # fmt: skip
        assert masked_as_written(text) == text


@pytest.fixture(scope="module")
def installed() -> Segments:
    return load_segments()


def test_installed_data_agrees_with_the_package_and_can_be_overridden(installed: Segments) -> None:
    from phone import Phone

    peer = Phone()
    kinds = {"移动": "CMCC", "联通": "CUCC", "电信": "CTCC", "广电": "CBN"}
    checked = 0
    for prefix in range(1_300_000, 2_000_000, 1_999):
        theirs = peer.find(prefix)
        if theirs is None:
            continue
        home = installed.home(f"86{prefix}0000")
        assert (home.carrier, home.province, home.city) == (
            kinds[theirs["phone_type"][:2]], theirs["province"], theirs["city"],
        )  # fmt: skip
        checked += 1
    assert checked > 200
    assert len(installed) > 400_000
    assert installed.home("8617899991234") is not None  # installed data falls back and can be overridden
    ported = load_segments(overrides=[("13800138000", Home(numbers.CUCC))])
    assert numbers.carrier_of("8613800138000", ported) == numbers.CUCC
    assert numbers.carrier_of("8613800138001", ported) == numbers.CMCC


def test_a_broken_or_missing_file_is_named(tmp_path: Path) -> None:
    for content in (
        None, b"", b"2312" + struct.pack("<i", 9999),
        b"2312" + struct.pack("<i", 8) + struct.pack("<iiB", 1380013, 4, 1),
        b"2312" + struct.pack("<i", 20) + b"no record\0\0\0" + struct.pack("<iiB", 1380013, 8, 1),
    ):  # fmt: skip
        file = tmp_path / "phone.dat"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(SegmentsUnreadable, match=r"phone\.dat"):
            load_segments(file)


A = Access(1, "mobile-a", "10690001")


def holder(digits: str, account_id: int = 1, kind: Kind = Kind.ACCOUNT, sign: str = "") -> Holder:
    return Holder(digits, kind, account_id, f"a{account_id}", sign)


def found(access: list[Access], *holders: Holder) -> list[tuple[Clash, str]]:
    return [(one.kind, one.number) for one in conflicts(access, holders)]


def test_a_plain_plan_is_a_tree_without_conflicts() -> None:
    roots = tree([holder("77", 2), holder("7"), holder("771", 2, Kind.SIGN, "店铺"), holder("8", 3), holder("", 4)])
    assert [branch.digits for branch in roots] == ["", "7", "8"]
    assert [branch.digits for branch in roots[1].below] == ["77"]
    assert [branch.digits for branch in roots[1].below[0].below] == ["771"]
    assert found([A], holder("01"), holder("02", 2), holder("011", 1, Kind.SIGN, "店铺")) == []


def test_digits_that_two_accounts_could_mean_are_conflicts() -> None:
    assert found([A], holder("01"), holder("01", 2)) == [(Clash.SHARED, "01")]
    # 10690001 with 77 and 3 behind it is 1069000177 with 3: a reply could belong to either.
    longer = Access(2, "mobile-b", "1069000177")  # an access code that goes on as another with an extension
    assert found([A, longer], holder("773"), holder("3", 2)) == [(Clash.CONTINUED, "10690001773")]
    assert found([A, longer], holder("773"), holder("3", 1, Kind.SIGN, "店铺")) == [], "it is its own"
    assert found([A, longer], holder("773"), holder("4", 2)) == [], "nobody has 3"
    former = Access(1, "mobile-a", "1069000177", datetime(2027, 1, 1, tzinfo=UTC))
    assert found([A, former], holder("773"), holder("3", 2)) == [(Clash.CONTINUED, "10690001773")]
    long = Access(1, "mobile-a", "1" * 18)  # more digits than carriers take
    assert found([long], holder("01"), holder("012", 1, Kind.SIGN, "店铺")) == [(Clash.TOO_LONG, "1" * 18 + "012")]
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


def test_a_conflict_is_told_apart_and_what_is_bad_comes_first() -> None:
    task = Holder("771", Kind.TASK, 1, "a1", id=9)
    one = conflicts([A], [holder("77"), task, holder("771", 2)])[0]
    assert one.concerns == conflicts([A], [holder("77"), task, holder("771", 2), holder("8", 5)])[0].concerns
    assert one.concerns != conflicts([A], [holder("77"), task, holder("771", 3)])[0].concerns
    codes = [Access(1, "mobile-a", "1" * 16), Access(2, "mobile-b", "1" * 18)]
    same = [c for c in conflicts(codes, [holder("11345"), holder("345", 2)]) if c.number == "1" * 16 + "11345"]
    assert [c.kind for c in same] == [Clash.CONTINUED, Clash.TOO_LONG], "one number, two things to know"
    assert len({c.concerns for c in same}) == 2
    twice = Access(2, "mobile-b", A.code)  # what is good to know comes behind what is bad
    said = found([A, twice], holder("7"), holder("77", 2), holder("77", 3), holder("", 4), holder("", 5))
    assert said[0] == (Clash.SHARED, "77")
    assert {kind for kind, _ in said[1:]} == {Clash.SAME_ACCESS, Clash.BELOW, Clash.PLAIN}


def test_ten_thousand_extensions_and_overlapping_access_codes_take_no_time() -> None:
    """What a page looks at while nothing else runs: a walk of everybody for each would take minutes."""
    some = [holder(f"{n:05d}", n) for n in range(20_000)] + [holder("", n) for n in range(20_000, 21_000)]
    codes = [Access(n, f"m{n}", f"1069{n}") for n in range(1, 21)]
    began = time.process_time()
    said = conflicts(codes, some)
    assert time.process_time() - began < 20
    assert any(one.kind is Clash.CONTINUED for one in said)


def test_what_is_free() -> None:
    for taken, length, under, ranges in (
        ((), 2, "", [("00", "99")]), (("05",), 2, "", [("00", "04"), ("06", "99")]),
        (("5",), 2, "", [("00", "49"), ("60", "99")]), (("051",), 2, "", [("00", "04"), ("06", "99")]),
        (("7", "771"), 3, "7", [("700", "770"), ("772", "799")]), (("7",), 1, "7", []), ((), 13, "", []),
    ):  # fmt: skip
        assert [(one.first, one.last) for one in free([holder(d) for d in taken], length, under)] == ranges
    some = [holder(f"{n:04d}") for n in range(0, 2000, 2)]  # ranges have a limit and their number is right
    assert len(free(some, 4)) == MOST_RANGES
    whole = free([holder(f"{n:02d}") for n in range(0, 60, 2)], 2)
    assert sum(one.n for one in whole) == 70
