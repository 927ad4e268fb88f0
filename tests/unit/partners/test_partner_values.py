"""Partners' ids, times, addresses for receipts, codings."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.core.ids import EPOCH_MS
from smsgw.core.partners import Partner, ReplyTo, Wanted, admits
from smsgw.core.text import Coding
from smsgw.partners import cmpp, smpp
from smsgw.partners.cmpp_ids import from_msg_id, to_msg_id
from smsgw.partners.protocol_server import NotText, Unfit, split_header, text_of
from smsgw.protocols.cmpp import msgid

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@given(
    st.datetimes(datetime(2025, 12, 1), datetime(2026, 11, 24)), st.integers(0, 1023), st.integers(0, 4095),
    st.integers(0, 63),
)  # fmt: skip
def test_an_id_and_its_msg_id_are_one(at: datetime, node: int, sequence: int, index: int) -> None:
    ms = int(at.replace(tzinfo=UTC).timestamp() * 1000) - EPOCH_MS
    id_ = ms << 22 | node << 12 | sequence
    msg_id = to_msg_id(id_, index)
    assert from_msg_id(msg_id, NOW) == id_
    parts = msgid.unpack(msg_id)
    assert 1 <= parts.month <= 12
    assert parts.gateway >> 16 == index


def test_the_ids_of_a_group_follow_each_other() -> None:
    first = 383_000_000_000_000_000 & ~0xFFF
    assert [to_msg_id(first + n) - to_msg_id(first) for n in range(100)] == list(range(100))
    assert (from_msg_id(0, NOW), from_msg_id((1 << 64) - 1, NOW)) == (0, 0)


texts = st.text(st.characters(codec="ascii"), max_size=20)


@given(st.sampled_from(Wanted), texts, texts, st.integers(0, 255), texts, st.booleans())
def test_where_receipts_go_is_kept(wanted: Wanted, source: str, to: str, ton: int, service: str, group: bool) -> None:
    reply = ReplyTo(wanted, source, to, ton, 1, 2, ton, service, group)
    back = ReplyTo.unpack(reply.pack())
    assert "\0" not in reply.pack()
    assert back == ReplyTo.unpack(back.pack())
    if not {"\0", "\t"} & set(source + to + service):
        assert back == reply


@pytest.mark.parametrize("other", ["", "parts", "订单 7", "1\t2", "a\t" * 8 + "b"])
def test_what_others_have_put_there_is_not_mistaken(other: str) -> None:
    assert ReplyTo.unpack(other) is None


def test_addresses() -> None:
    networks = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
    assert admits((), "192.0.2.1")
    found = [admits(networks, one) for one in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1%eth0", "192.0.2.1")]
    assert found == [True, True, True, False]
    wanted = [[one.includes(state) for one in Wanted] for state in ("delivered", "failed")]
    assert wanted == [[False, True, False, True], [False, True, True, False]]


def test_codings() -> None:
    partner = Partner(1, 1, "smpp", "u", "p", alphabet=Coding.LATIN1)
    latin, ucs2 = Coding.LATIN1, Coding.UCS2
    known = {0: latin, 1: Coding.ASCII, 3: latin, 8: ucs2, 0x18: ucs2, 0xF1: latin}
    assert {c: smpp.coding_of(c, partner) for c in known} == known
    for strange in (5, 9, 0x40, 0xC0):
        with pytest.raises(Unfit):
            smpp.coding_of(strange, partner)
    assert [cmpp.coding_of(f) for f in (0, 15, 8, 24, 16)] == [
        Coding.ASCII, Coding.GB18030, Coding.UCS2, Coding.UCS2, Coding.ASCII,
    ]  # fmt: skip
    with pytest.raises(Unfit):
        cmpp.coding_of(0xF5)


@given(st.binary(max_size=200), st.sampled_from(Coding), st.booleans())
def test_any_octets_are_text_or_refused(octets: bytes, coding: Coding, header: bool) -> None:
    try:
        rest, _ = split_header(octets, header)
        assert "\0" not in text_of(rest, coding)
    except NotText:
        pass


def test_words_of_receipts() -> None:
    for status, code, stat in (
        ("delivered", "DELIVRD", ("DELIVRD", "000")), ("failed", "UNDELIV/012", ("UNDELIV", "012")),
        ("failed", "MK:0001", ("UNDELIV", "001")), ("failed", "EXPIRED", ("EXPIRED", "000")),
        ("rejected", "NO_BALANCE", ("REJECTD", "000")),
    ):  # fmt: skip
        assert smpp.stat_of(status, code) == stat
    for code, said in (("MK:0001", "MK:0001"), ("UNDELIV/012", "UNDELIV"), ("0x00000058", "UNDELIV"), ("", "UNDELIV")):
        assert cmpp.stat_of("failed", code) == said
    assert cmpp.stat_of("no_report", "") == "UNKNOWN"


def test_the_document_has_the_statuses_as_they_are() -> None:
    page = (Path(__file__).parents[3] / "docs" / "partners.md").read_text("utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ") and "`" in line]
    for code in smpp.STATUSES | cmpp.STATUSES:
        found = [row for row in rows if f"`{code}`" in row[0] or ("`SIGN_…`" in row[0] and code.startswith("SIGN_"))]
        assert len(found) == 1, code
        (_, by_smpp, by_cmpp) = found[0]
        assert int(by_smpp.split(",")[0], 16) == smpp.STATUSES.get(code, smpp.ESME_RSUBMITFAIL), code
        assert int(by_cmpp) == cmpp.STATUSES.get(code, cmpp.REFUSED), code
