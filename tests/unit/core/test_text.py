from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smsgw.core import text, udh
from smsgw.core.text import Coding

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "vectors.json").read_text("utf-8"))


def derived(kind: str) -> list[Any]:
    cases = [case for case in VECTORS["derived"] if case["kind"] == kind]
    assert cases
    return [pytest.param(case, id=case["id"]) for case in cases]


@pytest.mark.parametrize("case", derived("gsm7_pack"))
def test_vector_gsm7_pack(case: dict[str, Any]) -> None:
    septets = text.encode(case["input"]["text"], Coding.GSM7)
    assert len(septets) == case["expect"]["septets"]
    assert septets.hex() == case["expect"]["unpacked_hex"]
    packed = text.gsm7_pack(septets)
    assert packed.hex() == case["expect"]["packed_hex"]
    assert text.gsm7_unpack(packed, len(septets)) == septets
    assert text.decode(septets, Coding.GSM7) == case["input"]["text"]


@pytest.mark.parametrize("case", derived("gsm7_pack_with_udh"))
def test_vector_gsm7_pack_with_udh(case: dict[str, Any]) -> None:
    header = bytes.fromhex(case["input"]["udh_hex"])
    fill = text.gsm7_fill_bits(len(header))
    assert fill == case["expect"]["fill_bits"]
    septets = text.encode(case["input"]["text"], Coding.GSM7)
    whole = header + text.gsm7_pack(septets, fill)
    assert len(whole) == case["expect"]["octets_total"]
    assert whole.hex() == case["expect"]["packed_hex"]
    assert text.gsm7_unpack(whole[len(header) :], len(septets), fill) == septets


@pytest.mark.parametrize("case", derived("segmentation"))
def test_vector_segmentation(case: dict[str, Any]) -> None:
    coding = Coding(case["input"]["encoding"].split()[0])
    parts = text.split(case["input"]["text"], coding, ref=7)
    unit = 2 if coding is Coding.UCS2 else 1
    assert len(parts) == case["expect"]["count"]
    assert [len(p.octets) // unit for p in parts] == case["expect"]["units_per_part"]
    assert text.count_parts(case["input"]["text"], coding) == len(parts)


@pytest.mark.parametrize(
    ("body", "coding", "ref16", "units"),
    [
        ("", Coding.UCS2, False, [0]),
        ("字" * 71, Coding.UCS2, True, [66, 5]),
        ("a" * 161, Coding.GSM7, True, [152, 9]),
        ("a" * 160, Coding.ASCII, False, [160]),
        ("a" * 161, Coding.ASCII, False, [153, 8]),
        ("é" * 141, Coding.LATIN1, False, [134, 7]),
        ("é" * 141, Coding.LATIN1, True, [133, 8]),
        ("汉" * 71, Coding.GB18030, False, [134, 8]),
        ("汉" * 71, Coding.GB18030, True, [132, 10]),
        # an emoji whose halves would lie on both sides of unit 67
        ("字" * 66 + "😀" + "字" * 9, Coding.UCS2, False, [66, 11]),
        ("字" * 68 + "😀", Coding.UCS2, False, [70]),
        # an escape pair across septet 153
        ("a" * 152 + "€[]" + "a" * 20, Coding.GSM7, False, [152, 26]),
        ("a" * 158 + "€", Coding.GSM7, False, [160]),
        ("a" * 159 + "€", Coding.GSM7, False, [153, 8]),
        # a character of four octets (not in GBK) across octet 134
        ("a" + "汉" * 65 + "😀" + "汉" * 10, Coding.GB18030, False, [131, 24]),
    ],
)
def test_parts(body: str, coding: Coding, ref16: bool, units: list[int]) -> None:
    parts = text.split(body, coding, ref=300, ref16=ref16)
    unit = 2 if coding is Coding.UCS2 else 1
    assert [len(p.octets) // unit for p in parts] == units
    assert [p.number for p in parts] == list(range(1, len(units) + 1))
    assert {p.total for p in parts} == {len(units)}
    assert text.join(parts, coding) == body
    if len(parts) == 1:
        assert parts[0].udh == b""
        return
    for part in parts:
        header = udh.parse(part.udh + part.octets)
        assert header.length == len(part.udh)
        assert header.concat == udh.Concat(300 if ref16 else 300 & 0xFF, len(units), part.number, ref16)


def test_single_limit_is_for_one_part_only() -> None:
    assert text.count_parts("a" * 159, Coding.ASCII, single_limit=159) == 1
    parts = text.split("a" * 160, Coding.ASCII, ref=0, single_limit=159)
    assert [len(p.octets) for p in parts] == [153, 7]


def test_at_most_255_parts() -> None:
    assert len(text.split("字" * 67 * 255, Coding.UCS2, ref=1)) == 255
    with pytest.raises(text.TooLong) as caught:
        text.split("字" * (67 * 255 + 1), Coding.UCS2, ref=1)
    assert caught.value.parts == 256
    assert text.count_parts("字" * (67 * 255 + 1), Coding.UCS2) == 256


def test_choose() -> None:
    assert text.choose("Price: 5€ {a}") is Coding.GSM7
    assert text.choose("`") is Coding.UCS2
    assert text.choose("您好 €") is Coding.UCS2
    assert text.choose("您好", (Coding.ASCII, Coding.GB18030, Coding.UCS2)) is Coding.GB18030
    with pytest.raises(text.Unencodable) as caught:
        text.choose("aé您", (Coding.ASCII, Coding.LATIN1))
    assert (caught.value.position, caught.value.character) == (2, "您")
    with pytest.raises(ValueError, match="no coding"):
        text.choose("a", ())


@pytest.mark.parametrize("coding", [Coding.UCS2, Coding.GB18030, Coding.GSM7, Coding.LATIN1])
def test_half_a_surrogate_pair_is_refused(coding: Coding) -> None:
    with pytest.raises(text.Unencodable):
        text.encode("ok \ud83d", coding)


def test_escape_alone_cannot_be_written() -> None:
    with pytest.raises(text.Unencodable):
        text.encode("\x1b", Coding.GSM7)


def test_decode_reads_anything() -> None:
    assert text.decode(b"a\x1be\x1bAz\x1b", Coding.GSM7) == "a€Az "
    assert text.decode(b"\x80", Coding.GSM7) == "\N{REPLACEMENT CHARACTER}"
    assert text.decode(b"\x00a\xd8", Coding.UCS2).startswith("a")
    assert text.decode(b"\xff", Coding.ASCII) == "\N{REPLACEMENT CHARACTER}"
    assert text.decode(b"\x81", Coding.GB18030) == "\N{REPLACEMENT CHARACTER}"


def test_unpack_without_a_count() -> None:
    assert text.gsm7_unpack(text.gsm7_pack(b"1234567")) == b"1234567"
    assert text.gsm7_unpack(text.gsm7_pack(b"12345678")) == b"12345678"
    assert text.gsm7_unpack(b"") == b""
    with pytest.raises(ValueError, match="9 septets"):
        text.gsm7_unpack(bytes(7), 9)
    with pytest.raises(ValueError, match="not septets"):
        text.gsm7_pack(b"\x80")
