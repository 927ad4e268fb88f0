"""What single carriers do differently, and that docs/interop.md tells all of it."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from smsgw.channels import profiles
from smsgw.channels.profiles import Profile
from smsgw.channels.wire.mapping import Mapping, mapping_for
from smsgw.core.errors import Invalid
from smsgw.core.model import ChannelSpec, Claimed, Inbound
from smsgw.core.text import Coding
from smsgw.protocols.cmpp import pdus as cmpp
from smsgw.protocols.dump import LIMIT, masked

TESTS = Path(__file__).parents[2]
TABLES = (TESTS.parent / "docs" / "interop.md").read_text(encoding="utf-8")
TRAPS = re.findall(r"^\| ([A-G]\d+a?) \|.*\|(.*)\| `(.*)::(\w+)` \|$", TABLES, re.MULTILINE)


def mapping(**profile: Any) -> Mapping:
    spec = ChannelSpec(
        id=1, name="a", protocol="cmpp30", host="h", port=1, username="900001", password="p", access_code="1069"
    )  # fmt: skip
    return mapping_for(replace(spec, profile=profile), profiles.parse(profile))


def part(content: str, number: int = 1, total: int = 1, coding: Coding = Coding.UCS2) -> Claimed:
    return Claimed(
        id=7, part=number, total=total, attempt=1, number="8613800138000", content=content, coding=coding,
        extend_code="", lane=2, valid_until=None, ref=9,
    )  # fmt: skip


def text_of(carrier: Mapping, *parts: Claimed) -> list[str]:
    texts = []
    for one in parts:
        pdu = carrier.submit(one)
        assert isinstance(pdu, cmpp.Submit)
        octets = pdu.msg_content[6:] if pdu.tp_udhi else pdu.msg_content
        texts.append(octets.decode("utf-16-be" if pdu.msg_fmt == 8 else "ascii"))
    return texts


def test_the_gateway_adds_the_signature() -> None:
    added = mapping(signature="added")
    assert text_of(added, part("【小店】您好")) == ["您好"]
    assert text_of(mapping(), part("【小店】您好")) == ["【小店】您好"]
    assert text_of(added, part("您好【小店】"), part("【小店】")) == ["您好【小店】", "【小店】"]
    long = "【小店】" + "长" * 100
    first, second = text_of(added, part(long, 1, 2), part(long, 2, 2))
    assert (len(first), len(second)) == (67 - 4, 104 - 67)  # the parts are those that were accepted


def test_a_text_of_160_in_two_parts() -> None:
    text = "a" * 160
    strict = [part(text, n, 2, Coding.GSM7) for n in (1, 2)]
    assert [len(t) for t in text_of(mapping(single_limit=159), *strict)] == [153, 7]
    assert text_of(mapping(), part(text, coding=Coding.GSM7)) == [text]
    with pytest.raises(ValueError, match="2 were accepted"):
        mapping().submit(part("a" * 159, 1, 2, Coding.GSM7))


def test_a_byte_order_mark_is_no_text() -> None:
    octets = "\ufeffTD".encode("utf-16-be")
    said = mapping().incoming(
        cmpp.Deliver(msg_id=5, dest_id="1069", src_terminal_id="13800138000", msg_fmt=8, msg_content=octets)
    )
    assert isinstance(said, Inbound)
    assert said.text == "TD"


def test_a_dump_shows_lengths_and_no_text() -> None:
    header = bytes.fromhex("000000ff0000000400000001")
    body = b"\0\1\x0013800138000\0" + "验证码 secret".encode("utf-16-be") + "é".encode() + b"\xff"
    shown = bytes.fromhex(masked(header + body, len(header)))
    assert (shown[:12], shown[12:15], len(shown)) == (header, b"\0\1\0", len(header + body))
    assert set(shown[12:]) <= {*range(0x21), 0x30, 0x78}
    assert masked(bytes(LIMIT + 1), 12).endswith(f"… of {LIMIT + 1}")


@pytest.mark.parametrize("wrong", [{"signature": "x"}, {"single_limit": 158}, {"long_reports": "last"}])
def test_values_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(Invalid) as caught:
        profiles.parse(wrong)
    assert f"profile.{next(iter(wrong))}" in str(caught.value)


def test_every_key_is_described() -> None:
    table = TABLES[TABLES.index("## The profile") :]
    rows = re.findall(r"^\| (`[^|]*`) \| ([^|]*?) ?\| [^|]+ \|$", table, re.MULTILINE)
    described = {key for row, _ in rows for key in re.findall(r"`(\w+)`", row)}
    assert described == {f.name for f in fields(Profile)}
    for keys, default in rows:
        names = re.findall(r"`(\w+)`", keys)
        shown = re.findall(r"`(.*?)`", default)
        wanted = [str(getattr(Profile(), name)).replace("False", "false") for name in names]
        assert shown == [w for w in wanted if w], keys


def test_every_trap_has_an_answer_and_a_test_that_exists() -> None:
    wanted = [*(f"{s}{n}" for s, last in zip("ABCDE", (21, 8, 21, 22, 31), strict=True) for n in range(1, last + 1))]
    wanted += [*(f"F{n}" for n in range(1, 12)), "G1", "G2", "G3", "E26a"]
    assert sorted(t[0] for t in TRAPS) == sorted(wanted)
    keys = {key for t in TRAPS for key in re.findall(r"`(\w+)`", t[1])}
    assert keys <= {f.name for f in fields(Profile)}
    for trap, _, file, name in TRAPS:
        assert f"def test_{name}(" in (TESTS / file).read_text(encoding="utf-8"), (trap, file, name)
