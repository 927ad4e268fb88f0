from __future__ import annotations

from collections.abc import Iterator

import pytest

from smsgw.core import numbers
from smsgw.core.numbers import Home, Segments, masked_as_written


@pytest.mark.parametrize(
    "written",
    [
        "13800138000", "8613800138000", "+8613800138000", "008613800138000", " 138-0013-8000 ", "+86 138 0013 8000",
        "\uff11\uff13\uff18\uff10\uff10\uff11\uff13\uff18\uff10\uff10\uff10", "\u202a13800138000\u202c",
    ],
)  # fmt: skip
def test_mainland_numbers(written: str) -> None:
    assert numbers.normalize(written) == "8613800138000"


def test_foreign_numbers() -> None:
    assert numbers.normalize("+852 9123 4567") == "85291234567"
    assert numbers.normalize("0085291234567") == "85291234567"
    assert numbers.normalize("+1 (212) 555-0100") == "12125550100"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "empty"), ("+", "empty"), ("1380013800a", "characters"), ("13800138000\n", "characters"),
        ("१३८००१३८०००", "characters"), ("++8613800138000", "characters"), ("1380013800", "prefix"),
        ("12345678901", "prefix"), ("85291234567", "prefix"), ("+861234567890", "mainland"),
        ("+862112345678", "mainland"), ("+86138001380001", "mainland"), ("123456", "length"), ("+123456", "length"),
        ("+1234567890123456", "length"), ("+0123456789", "length"), ("1380013800" + "-" * 60 + "0", "length"),
    ],
)  # fmt: skip
def test_what_is_no_number(written: str, reason: str) -> None:
    with pytest.raises(numbers.InvalidNumber) as caught:
        numbers.normalize(written)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("number", "country"),
    [("14155550100", "1"), ("18765550100", "1876"), ("79161234567", "7"), ("447700900123", "44"),
     ("85261230001", "852"), ("37061234567", "370"),
     ("8801712345678", "880"), ("2348012345678", "234"), ("201001234567", "20")],
)  # fmt: skip
def test_country(number: str, country: str) -> None:
    assert numbers.country(number) == country


def test_mask_and_national() -> None:
    assert numbers.mask("8613800138000") == "138****8000"
    assert numbers.mask("13800138000") == "138****8000"
    assert numbers.mask("85291234567") == "852****4567"
    assert numbers.mask("12345678") == "12****78"
    assert numbers.mask("10086") == "****"
    assert numbers.mask("") == "****"
    assert numbers.national("8613800138000") == "13800138000"
    assert numbers.national("85291234567") == "85291234567"


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
            ("138", Home(numbers.CBN)),
            ("1380013", Home(numbers.CMCC, "北京", "北京")),
            ("13800138", Home(numbers.CTCC, "上海", "上海")),
            ("13800138000", jilin),
            ("1380014", Home(numbers.CMCC)),
            ("1380014", jilin),
        ]
    )
    assert len(segments) == 6
    assert segments.home("8613800138000") == jilin
    assert segments.home("8613800138001") == Home(numbers.CTCC, "上海", "上海")
    assert segments.home("8613800130000") == Home(numbers.CMCC, "北京", "北京")
    assert segments.home("8613800140000") == jilin
    assert segments.home("8613900000000") == Home(numbers.CMCC)
    assert segments.home("8613812340000") == Home(numbers.CBN)
    assert segments.home("85291234567") is None


@pytest.mark.parametrize(
    ("number", "carrier"),
    [
        ("8613412345678", numbers.CMCC), ("8613491234567", numbers.CTCC), ("8619812345678", numbers.CMCC),
        ("8619612345678", numbers.CUCC), ("8619312345678", numbers.CTCC), ("8619212345678", numbers.CBN),
        ("8617001234567", numbers.CTCC), ("8617031234567", numbers.CMCC), ("8617041234567", numbers.CUCC),
        ("8616212345678", numbers.CTCC), ("8616512345678", numbers.CMCC), ("8616112345678", numbers.UNKNOWN),
        ("85291234567", numbers.INTL),
    ],
)  # fmt: skip
def test_built_in_prefixes(number: str, carrier: str) -> None:
    assert numbers.carrier_of(number, Segments()) == carrier


@pytest.mark.parametrize("prefix", ["13", "138001380001", "238", "13a", "\uff11\uff13\uff18", ""])
def test_prefixes_that_are_none(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Segments([(prefix, Home(numbers.CMCC))])


@pytest.mark.parametrize("number", ["8613800138000", "13105551234", "85291234567", "12025550123", "4915112345678"])
def test_what_is_written_is_read_as_the_same_number(number: str) -> None:
    """Without its plus a number of the United States would be one of the mainland."""
    assert numbers.normalize(numbers.written(number)) == number


@pytest.mark.parametrize("written", [
    "13800138000", "138 0013 8000", "138-0013-8000", "１３８００１３８０００", "+86 138 0013 8000",
    "8613800138000", "0086-138-0013-8000", "013800138000", "①③⑧00138000", "138.0013.8000", "138 0013\u30008000",
    "1 3 8 0 0 1 3 8 0 0 0", "138\u200b00138000",
])  # fmt: skip
def test_numbers_are_hidden_however_people_write_them(written: str) -> None:
    for around in ("号码{}，请查", "tel{}x"):
        assert masked_as_written(around.format(written)) == around.format("138****8000")


@pytest.mark.parametrize(("written", "shown"), [
    ("010-65521234", "010****1234"), ("(010) 6552 1234", "(010****1234"),
    ("（0755）8652-1234转801", "（075****1234转801"),
    ("057186521234", "057****1234"), ("+852 9123 4567", "852****4567"), ("00852-91234567", "852****4567"),
    ("+1 (202) 555-0123", "120****0123"), ("+44 20 7946 0958", "442****0958"), ("85291234567", "852****4567"),
    ("4915112345678", "491****5678"), ("9123456789", "91****89"),
])  # fmt: skip
def test_landlines_and_numbers_abroad_are_hidden_too(written: str, shown: str) -> None:
    assert masked_as_written(f"来电{written}，请查") == f"来电{shown}，请查"


@pytest.mark.parametrize("text", [
    "短信 7012345138001380001", "①信号 ２０２６-11-29 13:00，三次", "订单 202611291380013800", "10086", "5% 1.5 元",
    "UTC+8 2026-11-29 13:00", "20261129130000 收到", "端口 106900001234", "热线 4008001234，12345",
    "09-12 08:30 至 18:00",
    "共 123456789 条",
])  # fmt: skip
def test_what_is_no_number_stays_as_it_was_written(text: str) -> None:
    assert masked_as_written(text) == text
