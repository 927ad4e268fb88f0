"""Texts in their codings: parts, user data headers, and parts that become a message again."""

from __future__ import annotations

import json
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from smsgw.core import text, udh
from smsgw.core.concat import Reassembly
from smsgw.core.text import Coding

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "vectors.json").read_text("utf-8"))


def derived(kind: str) -> list[Any]:
    cases = [case for case in VECTORS["derived"] if case["kind"] == kind]
    assert cases
    return cases


def test_vectors_of_gsm7_are_packed() -> None:
    for case in derived("gsm7_pack"):
        septets = text.encode(case["input"]["text"], Coding.GSM7)
        assert len(septets) == case["expect"]["septets"]
        assert septets.hex() == case["expect"]["unpacked_hex"]
        packed = text.gsm7_pack(septets)
        assert packed.hex() == case["expect"]["packed_hex"]
        assert text.gsm7_unpack(packed, len(septets)) == septets
        assert text.decode(septets, Coding.GSM7) == case["input"]["text"]
    for case in derived("gsm7_pack_with_udh"):  # vector gsm7 pack with udh
        header = bytes.fromhex(case["input"]["udh_hex"])
        fill = text.gsm7_fill_bits(len(header))
        assert fill == case["expect"]["fill_bits"]
        septets = text.encode(case["input"]["text"], Coding.GSM7)
        whole = header + text.gsm7_pack(septets, fill)
        assert len(whole) == case["expect"]["octets_total"]
        assert whole.hex() == case["expect"]["packed_hex"]
        assert text.gsm7_unpack(whole[len(header) :], len(septets), fill) == septets


@pytest.mark.parametrize("case", derived("segmentation"), ids=itemgetter("id"))
def test_vector_segmentation(case: dict[str, Any]) -> None:
    coding = Coding(case["input"]["encoding"].split()[0])
    parts = text.split(case["input"]["text"], coding, ref=7)
    unit = 2 if coding is Coding.UCS2 else 1
    assert len(parts) == case["expect"]["count"]
    assert [len(p.octets) // unit for p in parts] == case["expect"]["units_per_part"]
    assert text.count_parts(case["input"]["text"], coding) == len(parts)


def test_parts_and_their_limits() -> None:
    for body, coding, ref16, units in (
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
    ):
        parts = text.split(body, coding, ref=300, ref16=ref16)
        unit = 2 if coding is Coding.UCS2 else 1
        assert [len(p.octets) // unit for p in parts] == units
        assert [p.number for p in parts] == list(range(1, len(units) + 1))
        assert {p.total for p in parts} == {len(units)}
        assert text.join(parts, coding) == body
        if len(parts) == 1:
            assert parts[0].udh == b""
            continue
        for part in parts:
            header = udh.parse(part.udh + part.octets)
            assert header.length == len(part.udh)
            assert header.concat == udh.Concat(300 if ref16 else 300 & 0xFF, len(units), part.number, ref16)
    assert text.count_parts("a" * 159, Coding.ASCII, single_limit=159) == 1  # single limit is for one part only
    parts = text.split("a" * 160, Coding.ASCII, ref=0, single_limit=159)
    assert [len(p.octets) for p in parts] == [153, 7]
    assert len(text.split("字" * 67 * 255, Coding.UCS2, ref=1)) == 255  # at most 255 parts
    with pytest.raises(text.TooLong) as caught:
        text.split("字" * (67 * 255 + 1), Coding.UCS2, ref=1)
    assert caught.value.parts == 256
    assert text.count_parts("字" * (67 * 255 + 1), Coding.UCS2) == 256


def test_choose_and_refuse_what_cannot_be_written() -> None:
    assert text.choose("Price: 5€ {a}") is Coding.GSM7
    assert text.choose("`") is Coding.UCS2
    assert text.choose("您好 €") is Coding.UCS2
    assert text.choose("您好", (Coding.ASCII, Coding.GB18030, Coding.UCS2)) is Coding.GB18030
    with pytest.raises(text.Unencodable) as caught:
        text.choose("aé您", (Coding.ASCII, Coding.LATIN1))
    assert (caught.value.position, caught.value.character) == (2, "您")
    with pytest.raises(ValueError, match="no coding"):
        text.choose("a", ())
    for coding in (Coding.UCS2, Coding.GB18030, Coding.GSM7, Coding.LATIN1):  # half a surrogate pair is refused
        with pytest.raises(text.Unencodable):
            text.encode("ok \ud83d", coding)
    with pytest.raises(text.Unencodable):  # escape alone cannot be written
        text.encode("\x1b", Coding.GSM7)


def test_decode_reads_anything() -> None:
    assert text.decode(b"a\x1be\x1bAz\x1b", Coding.GSM7) == "a€Az "
    assert text.decode(b"\x80", Coding.GSM7) == "\N{REPLACEMENT CHARACTER}"
    assert text.decode(b"\x00a\xd8", Coding.UCS2).startswith("a")
    assert text.decode(b"\xff", Coding.ASCII) == "\N{REPLACEMENT CHARACTER}"
    assert text.decode(b"\x81", Coding.GB18030) == "\N{REPLACEMENT CHARACTER}"
    assert text.gsm7_unpack(text.gsm7_pack(b"1234567")) == b"1234567"  # unpack without a count
    assert text.gsm7_unpack(text.gsm7_pack(b"12345678")) == b"12345678"
    assert text.gsm7_unpack(b"") == b""
    with pytest.raises(ValueError, match="9 septets"):
        text.gsm7_unpack(bytes(7), 9)
    with pytest.raises(ValueError, match="not septets"):
        text.gsm7_pack(b"\x80")


def test_headers_are_read_or_refused() -> None:
    assert udh.concat8(0x1FF, 3, 2) == bytes.fromhex("050003ff0302")
    assert udh.concat16(0x1FF, 3, 2) == bytes.fromhex("06080401ff0302")
    assert udh.parse(udh.concat8(0, 2, 1)).concat == udh.Concat(0, 2, 1)
    assert udh.parse(udh.concat16(0xFFFE, 255, 255)).concat == udh.Concat(0xFFFE, 255, 255, wide=True)
    header = udh.parse(bytes.fromhex("0b05040b8423f0000341020168656c6c6f"))  # concatenation beside ports
    assert header.length == 12
    assert header.concat == udh.Concat(0x41, 2, 1)
    assert [e.iei for e in header.elements] == [udh.IEI_PORTS16, udh.IEI_CONCAT8]
    assert udh.build(header.elements) == bytes.fromhex("0b05040b8423f00003410201")
    for octets in ("050003010001", "050003010200", "050003010203", "0400020102", "0500030102"):
        data = bytes.fromhex(octets)
        if data[0] + 1 > len(data):
            with pytest.raises(udh.InvalidUdh):
                udh.parse(data)
        else:
            assert udh.parse(data).concat is None
    for octets in ("", "05", "ff0003010201", "0100", "040003010201", "0300"):  # headers that lie
        with pytest.raises(udh.InvalidUdh):
            udh.parse(bytes.fromhex(octets))
    assert udh.parse(bytes.fromhex("0a" + "0003010201" + "0003020302")).concat == udh.Concat(2, 3, 2)
    with pytest.raises(udh.InvalidUdh):  # build refuses what does not fit
        udh.build((udh.Element(0x70, bytes(138)),))
    with pytest.raises(udh.InvalidUdh):
        udh.build((udh.Element(0x70, bytes(256)),))
    assert len(udh.build((udh.Element(0x70, bytes(137)),))) == 140


def test_vector_parts_of_a_long_reply_in_any_order() -> None:
    case = next(c for c in VECTORS["derived"] if c["id"] == "reassembly-1")
    pdus = {p["id"]: p["fields"] for p in VECTORS["pdus"]}
    box: Reassembly[bytes] = Reassembly()
    whole = None
    for name in case["input"]["pdus_in_order"]:
        content = bytes.fromhex(pdus[name]["Msg_Content_hex"])
        header = udh.parse(content)
        assert header.concat is not None
        concat = header.concat
        whole = box.add(concat.ref, concat.number, concat.total, content[header.length :], 0.0).whole
    assert whole is not None
    assert text.decode(b"".join(whole), text.Coding.UCS2) == case["expect"]["text"]


def test_parts_become_a_message_and_repeats_do_no_harm() -> None:
    box: Reassembly[str] = Reassembly()
    assert box.add("k", 1, 1, "a", 0.0).whole == ("a",)
    assert len(box) == 0
    box: Reassembly[str] = Reassembly(repeat_window=10)  # repeats do no harm before and after completion
    assert box.add("k", 2, 2, "b", 0.0).whole is None
    assert box.add("k", 2, 2, "b", 1.0).repeated
    assert box.add("k", 1, 2, "a", 2.0).whole == ("a", "b")
    again = box.add("k", 2, 2, "b", 11.9)
    assert again.repeated
    assert again.whole is None
    assert len(box) == 0
    # later the same text under the same reference is a new message
    assert box.add("k", 2, 2, "b", 12.0).whole is None
    assert box.add("k", 1, 2, "a", 12.5).whole == ("a", "b")
    box: Reassembly[str] = Reassembly()  # a reference used again gives up the old message
    box.add("k", 1, 3, "old 1", 0.0)
    added = box.add("k", 1, 3, "new 1", 1.0)
    assert [a.parts for a in added.abandoned] == [{1: "old 1"}]
    other_total = box.add("k", 1, 2, "newer 1", 1.5)
    assert [a.parts for a in other_total.abandoned] == [{1: "new 1"}]
    assert box.add("k", 2, 2, "newer 2", 2.0).whole == ("newer 1", "newer 2")
    assert box.parts_held == 0
    box: Reassembly[str] = Reassembly()  # a new message right after a complete one
    box.add("k", 1, 2, "a", 0.0)
    assert box.add("k", 2, 2, "b", 0.0).whole == ("a", "b")
    assert not box.add("k", 1, 2, "c", 1.0).repeated
    # its second part equals the old one, and still belongs to the new message
    assert box.add("k", 2, 2, "b", 1.0).whole == ("c", "b")


def test_expiry_and_bounds() -> None:
    box: Reassembly[str] = Reassembly(lifetime=100)
    assert box.deadline() is None
    box.add("old", 1, 2, "a", 0.0)
    box.add("new", 1, 2, "b", 50.0)
    assert box.deadline() == 100
    assert box.expire(99.9) == []
    given_up = box.expire(100.0)
    assert [(g.key, g.total, g.parts) for g in given_up] == [("old", 2, {1: "a"})]
    assert (len(box), box.parts_held) == (1, 1)
    box: Reassembly[int] = Reassembly(max_parts=255)  # bounded
    abandoned = []
    for n in range(300):
        abandoned += box.add(n, 1, 2, n, float(n)).abandoned
        assert box.parts_held <= 255
    assert [a.key for a in abandoned] == list(range(45))
    for number, total in ((0, 2), (3, 2), (1, 0), (1, 256)):  # impossible places are refused
        with pytest.raises(ValueError, match="part"):
            Reassembly[str]().add("k", number, total, "a", 0.0)
