"""Between parts and PDUs, in all protocols, and what single carriers do differently."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from smsgw.channels import profiles
from smsgw.channels.profiles import Profile
from smsgw.channels.wire.mapping import INTERMEDIATE, Mapping, mapping_for
from smsgw.channels.wire.mapping.base import MAX_RETRY, Cutter
from smsgw.core import text
from smsgw.core.errors import Invalid
from smsgw.core.model import ChannelSpec, Claimed, Inbound, OutcomeKind, Report
from smsgw.core.references import reference_of
from smsgw.core.states import PartState
from smsgw.core.text import Coding, TooLong, split
from smsgw.protocols.cmpp import pdus as cmpp, reports as cmpp_reports
from smsgw.protocols.dialects import SGIP12, SMGP13, SMGP30
from smsgw.protocols.dump import LIMIT, masked
from smsgw.protocols.pdu import Tlv
from smsgw.protocols.sgip import pdus as sgip
from smsgw.protocols.smgp import pdus as smgp
from smsgw.protocols.smpp import pdus as smpp, tlvs


def mapping(protocol: str, **profile: Any) -> Any:
    spec = ChannelSpec(1, "a", protocol, "h", 1, "user", "secret", access_code="1069")
    return mapping_for(spec, profiles.parse(profile))


def claimed(
    content: str = "hi", coding: Coding = Coding.GSM7, part: int = 1, total: int = 1, attempt: int = 1
) -> Claimed:
    return Claimed(7, part, total, attempt, "8613800138000", content, coding.value, "01", 2, None, 5, 1)


def test_submits_are_as_the_profile_says() -> None:
    pdu = mapping("cmpp30", service_id="svc").submit(claimed())
    assert (pdu.src_id, pdu.dest_terminal_id, pdu.msg_src) == ("106901", ("13800138000",), "user")
    assert (pdu.msg_fmt, pdu.msg_content, pdu.registered_delivery) == (0, b"hi", 1)
    assert mapping("cmpp30", prefix_86=True).submit(claimed()).dest_terminal_id == ("8613800138000",)
    pdu = mapped("sgip12", corp_id="12345", service_id="HELP").submit(said("你好"))  # sgip submit
    assert pdu == sgip.Submit(
        sp_number="1069000177", charge_number="0" * 21, user_number=("8613800138000",), corp_id="12345",
        service_type="HELP", fee_type=1, fee_value="0", given_value="0", morelate_to_mt_flag=2, report_flag=1,
        message_coding=8, message_content="你好".encode("utf-16-be"),
    )  # fmt: skip
    assert SGIP12.decode(SGIP12.encode(pdu)) == pdu
    plain = mapped("sgip12", fee_type="2").submit(said("code @ 1", Coding.GSM7))
    assert (plain.message_coding, plain.message_content, plain.fee_type) == (0, b"code @ 1", 2)
    pdu = mapped("smgp30", service_id="HELP").submit(said("你好"))  # smgp submit
    assert pdu == smgp.Submit(
        msg_type=6, need_report=1, priority=1, service_id="HELP", fee_type="00", fee_code="0", fixed_fee="0",
        msg_format=8, src_term_id="1069000177", dest_term_id=("13800138000",), msg_content="你好".encode("utf-16-be"),
    )  # fmt: skip
    assert SMGP30.decode(SMGP30.encode(pdu)) == pdu
    assert len(SMGP13.encode(pdu)) == len(SMGP30.encode(pdu)) - 6
    assert mapped("smgp30", prefix_86=True).submit(said("x")).dest_term_id == ("8613800138000",)
    told = cmpp_reports.Report(msg_id=7, stat="DELIVRD", submit_time="2611241201", dest_terminal_id="13800138000")
    deliver = cmpp.Deliver(registered_delivery=1, msg_content=cmpp_reports.encode(told, 30))
    for allowed in (False, True):
        report = mapping("cmpp30", match_by_destination=allowed).incoming(deliver)
        assert report.by_number is allowed
        assert report.submitted is not None


def test_long_messages_have_headers_and_all_of_the_text() -> None:
    for protocol in ("cmpp20", "cmpp30", "smpp34"):
        content = "长" * 200
        one = mapping(protocol)
        total = len(split(content, Coding.UCS2, ref=5))
        pdus = [one.submit(claimed(content, Coding.UCS2, n, total)) for n in range(1, total + 1)]
        bodies = [getattr(p, "msg_content", None) or p.short_message for p in pdus]
        assert [b[:6] for b in bodies] == [bytes((5, 0, 3, 5, total, n)) for n in range(1, total + 1)]
        assert b"".join(b[6:] for b in bodies).decode("utf-16-be") == content
        with pytest.raises(ValueError, match="parts"):
            one.submit(claimed(content, Coding.UCS2, 1, total + 1))
    content = "长" * 100  # long messages have headers
    for number, piece in enumerate(text.split(content, Coding.UCS2, ref=5), 1):
        pdu = mapped("sgip12").submit(said(content, number=number, total=2))
        assert (pdu.tp_udhi, pdu.message_content) == (1, piece.udh + piece.octets)
    content = "长" * 100
    made = mapped("smgp30")
    for number in (1, 2):
        pdu = made.submit(said(content, number=number, total=2))
        assert pdu.tlvs == (Tlv(2, b"\1"), Tlv(9, b"\2"), Tlv(10, bytes((number,))))
        assert pdu.msg_content[:6] == bytes((5, 0, 3, 5, 2, number))
        assert len(pdu.msg_content) <= 140
    cutter = Cutter(profiles.Profile())  # what cannot be split gets no pieces of another message
    part = claimed("字" * 100, Coding.UCS2, 1, 2)
    first = cutter.piece(part)
    for number in (1, 2):
        with pytest.raises(TooLong):
            cutter.piece(replace(claimed("字" * 67 * 256, Coding.UCS2, number, 2), id=2))
    assert cutter.piece(part) == first
    assert cutter.piece(replace(part, part=2)).octets != first.octets


def test_refusals_are_judged_by_their_code_and_retried_ever_more_slowly() -> None:
    for protocol, answer, status, kind in (
        ("cmpp30", cmpp.SubmitResp(msg_id=10), 0, OutcomeKind.ACCEPTED),
        ("cmpp30", cmpp.SubmitResp(msg_id=10, result=8), 8, OutcomeKind.DEFERRED),
        ("cmpp30", cmpp.SubmitResp(result=9), 9, OutcomeKind.REFUSED),
        ("smpp34", smpp.SubmitSmResp(message_id="AB"), 0, OutcomeKind.ACCEPTED),
        ("smpp34", smpp.SubmitSmResp(), 0x58, OutcomeKind.DEFERRED),
        ("smpp34", smpp.GenericNack(), 0x0B, OutcomeKind.REFUSED),
    ):
        outcome = mapping(protocol).outcome(claimed(), answer, status)
        assert outcome.kind is kind
        assert bool(outcome.carrier_id) == (kind is OutcomeKind.ACCEPTED)
    one = mapping("smpp34")  # refusals are retried ever more slowly and ids are told apart
    delays = [one.outcome(claimed(attempt=n), smpp.SubmitSmResp(), 0x58).delay for n in (1, 2, 3, 10, 30_000)]
    assert delays == [1.0, 2.0, 4.0, MAX_RETRY, MAX_RETRY]
    pdu = cmpp.Deliver(msg_id=0, src_terminal_id="13800138000", dest_id="1069", msg_content=b"a")
    assert len({mapping("cmpp30").incoming(pdu).carrier_id for _ in range(2)}) == 2
    pdu = cmpp.Deliver(msg_id=9, tp_udhi=1, msg_fmt=8, src_terminal_id="13800138000", dest_id="1069")
    contents = [bytes((5, 0, 3, 1, 2, n)) + "字".encode("utf-16-be") for n in (1, 2)]
    found = [mapping("cmpp30").incoming(pdu.replace(msg_content=content)) for content in contents]
    assert [(i.concat_ref, i.concat_total, i.concat_number, i.text) for i in found] == [(1, 2, n, "字") for n in (1, 2)]
    assert len({i.carrier_id for i in found}) == 2
    for protocol, status, kind, cls in (  # refusals
        ("sgip12", 88, OutcomeKind.DEFERRED, "FREQ_CARRIER"), ("sgip12", 11, OutcomeKind.DEFERRED, "CHANNEL"),
        ("sgip12", 6, OutcomeKind.REFUSED, "CHANNEL"), ("sgip12", 99, OutcomeKind.REFUSED, "CHANNEL"),
        ("smgp30", 1, OutcomeKind.DEFERRED, "CHANNEL"), ("smgp30", 10, OutcomeKind.REFUSED, "CHANNEL"),
    ):  # fmt: skip
        answer: Any = sgip.SubmitResp() if protocol == "sgip12" else smgp.SubmitResp()
        outcome = mapped(protocol).outcome(said("x"), answer, status)
        assert (outcome.kind, outcome.cls, outcome.code) == (kind, cls, str(status))


TEXT = st.text(st.characters(max_codepoint=255), max_size=30)


@given(
    st.integers(0, 2**64 - 1), st.integers(0, 255), st.integers(0, 255), st.sampled_from([0, 1]), TEXT, TEXT,
    st.binary(max_size=140),
)  # fmt: skip
def test_whatever_cmpp_delivers(
    msg_id: int, fmt: int, udhi: int, registered: int, source: str, dest: str, content: bytes
) -> None:
    pdu = cmpp.Deliver(
        msg_id=msg_id, msg_fmt=fmt, tp_udhi=udhi, registered_delivery=registered, src_terminal_id=source,
        dest_id=dest, msg_content=content,
    )  # fmt: skip
    check(mapping("cmpp30"), pdu)


@given(st.integers(0, 255), st.integers(0, 255), TEXT, TEXT, st.binary(max_size=254))
def test_whatever_smpp_delivers(esm: int, dcs: int, source: str, dest: str, content: bytes) -> None:
    pdu = smpp.DeliverSm(
        esm_class=esm, data_coding=dcs, source_addr=source, destination_addr=dest, short_message=content
    )
    check(mapping("smpp34"), pdu)


def check(one: Any, pdu: Any) -> None:
    try:
        found = one.incoming(pdu)
    except ValueError:
        return
    if found is INTERMEDIATE:
        return
    assert isinstance(found, Report | Inbound)
    texts = [found.carrier_id, found.number]
    texts += [found.text, found.to_code] if isinstance(found, Inbound) else [found.code]
    for told in texts:
        assert "\0" not in told
        told.encode()


def test_smpp_references_go_out_and_come_back_when_the_profile_says_so() -> None:
    plain, referring = mapping("smpp34"), mapping("smpp34", message_reference=True)
    assert plain.submit(claimed()).tlvs == ()
    (reference,) = referring.submit(claimed()).tlvs
    assert reference == (tlvs.USER_MESSAGE_REFERENCE, reference_of(claimed().id, 1).to_bytes(2, "big"))
    text = b"id:77 sub:001 dlvrd:001 submit date:2611241201 done date:2611241202 stat:DELIVRD err:000 text:"
    receipt = smpp.DeliverSm(esm_class=4, source_addr="8613300000001", short_message=text, tlvs=(reference,))
    report = referring.incoming(receipt)
    assert isinstance(report, Report)
    assert (report.carrier_id, report.number, report.by_number) == ("77", "8613300000001", False)
    assert report.reference == reference_of(claimed().id, 1)
    assert report.submitted == datetime(2026, 11, 24, 12, 1, tzinfo=UTC)
    code = plain.submit(claimed()).source_addr
    unturned = smpp.DeliverSm(esm_class=4, source_addr=code, destination_addr="8613300000001", short_message=text)
    assert plain.incoming(unturned).number == "8613300000001"
    assert plain.incoming(receipt).reference is None
    state = Tlv(tlvs.MESSAGE_STATE, b"\2")
    nameless = smpp.DeliverSm(esm_class=4, source_addr="8613300000001", tlvs=(reference, state))
    found = referring.incoming(nameless)
    assert found.carrier_id
    assert found.reference == report.reference
    with pytest.raises(ValueError, match="without a message id"):
        plain.incoming(nameless)


SEQUENCE = (3010012345, 1124163000, 7)
SEQUENCE_TEXT = "301001234511241630000000000007"
MSG_ID = bytes.fromhex("01006101161700012345")


def mapped(protocol: str, **profile: Any) -> Any:
    spec = ChannelSpec(1, "c", protocol, "h", 1, "user", "secret", access_code="10690001")
    if protocol == "sgip12":
        profile.setdefault("node", 3010012345)
    return mapping_for(spec, profiles.parse(profile, protocol))


def said(content: str, coding: Coding = Coding.UCS2, number: int = 1, total: int = 1) -> Claimed:
    return Claimed(9, number, total, 1, "8613800138000", content, coding.value, "77", 2, None, 5, 1)


def test_ids_of_sgip_and_smgp_are_ours_and_octets() -> None:
    made = mapped("sgip12")
    pdu = made.submit(said("x"))
    pdu.sequence = SEQUENCE
    assert made.written(pdu) == SEQUENCE_TEXT
    outcome = made.outcome(said("x"), sgip.SubmitResp(sequence=SEQUENCE), 0)
    assert (outcome.kind, outcome.carrier_id) == (OutcomeKind.ACCEPTED, SEQUENCE_TEXT)
    made = mapped("sgip12")
    assert made.incoming(sgip.Report(state=1)) is INTERMEDIATE
    assert made.incoming(sgip.UserRpt()) is INTERMEDIATE
    with pytest.raises(ValueError, match="not a delivery"):
        made.incoming(sgip.SubmitResp())
    made = mapped("smgp30")  # smgp ids are octets and some reports are none
    odd = bytes.fromhex("6495c36ac4ea6b00000c")
    assert made.outcome(said("x"), smgp.SubmitResp(msg_id=odd), 0).carrier_id == odd.hex()
    told = b"sub:001 dlvrd:001 submit_date:2404031200 done_date:2404031201 stat:DELIVRD err:000 txt:x"
    report = made.incoming(smgp.Deliver(is_report=1, src_term_id="13800138000", msg_content=b"id:" + odd + told))
    assert (report.carrier_id, report.state, report.code) == (odd.hex(), PartState.DELIVERED, "DELIVRD")
    assert made.outcome(said("x"), smgp.SubmitResp(), 0).carrier_id == ""
    made = mapped("smgp30")
    content = b"id:" + MSG_ID + b" stat:ENROUTE err:000 text:"
    assert made.incoming(smgp.Deliver(is_report=1, msg_content=content)) is INTERMEDIATE
    with pytest.raises(ValueError, match="without a message id"):
        made.incoming(smgp.Deliver(is_report=1, msg_content=b"stat:DELIVRD"))
    with pytest.raises(ValueError, match="not a delivery"):
        made.incoming(smgp.SubmitResp())


def test_reports_of_sgip_and_smgp() -> None:
    for state, error, expected in (
        (0, 0, (PartState.DELIVERED, "DELIVRD", "")), (2, 29, (PartState.UNDELIVERABLE, "29", "EMPTY_NUMBER")),
        (2, 25, (PartState.UNDELIVERABLE, "25", "POWERED_OFF")), (2, 33, (PartState.UNDELIVERABLE, "33", "NETWORK")),
        (2, 0, (PartState.UNDELIVERABLE, "0", "UNKNOWN")), (2, 88, (PartState.UNDELIVERABLE, "88", "UNKNOWN")),
    ):  # fmt: skip
        report = mapped("sgip12").incoming(
            sgip.Report(
                sequence=(110020, 1, 1), submit_sequence_number=SEQUENCE, user_number="13800138000", state=state,
                error_code=error,
            )
        )  # fmt: skip
        assert isinstance(report, Report)
        assert (report.state, report.code, report.cls) == expected
        assert (report.carrier_id, report.number) == (SEQUENCE_TEXT, "8613800138000")
    for stat, err, code, cls in (  # smgp failures
        ("UNDELIV", "004", "UNDELIV/004", "EMPTY_NUMBER"), ("EXPIRED", "001", "EXPIRED/001", "POWERED_OFF"),
        ("UNDELIV", "005", "UNDELIV/005", "BLACKLIST_CARRIER"), ("MK:0001", "999", "MK:0001/999", "EMPTY_NUMBER"),
        ("REJECTD", "000", "REJECTD", "UNKNOWN"),
    ):  # fmt: skip
        content = b"id:" + MSG_ID + f" Submit date:2404031200 Stat:{stat} Err:{err} Text:".encode()
        report = mapped("smgp30").incoming(smgp.Deliver(is_report=1, msg_content=content))
        assert (report.state, report.code, report.cls) == (PartState.UNDELIVERABLE, code, cls)


def deliver(content: bytes, **fields: Any) -> sgip.Deliver:
    return sgip.Deliver(
        sequence=SEQUENCE, user_number="8613800138000", sp_number="1069000177", message_content=content, **fields
    )


def test_messages_from_phones_over_sgip_and_smgp() -> None:
    made = mapped("sgip12")
    inbound = made.incoming(deliver("退订".encode("gb18030"), message_coding=15))
    assert isinstance(inbound, Inbound)
    assert (inbound.text, inbound.number, inbound.to_code) == ("退订", "8613800138000", "1069000177")
    again = made.incoming(deliver("退订".encode("gb18030"), message_coding=15))
    assert again.carrier_id == inbound.carrier_id, "repeated"
    assert made.incoming(deliver(b"T", message_coding=0)).carrier_id != inbound.carrier_id, "another of that number"
    header = bytes.fromhex("050003070201")
    long = made.incoming(deliver(header + "你".encode("utf-16-be"), message_coding=8, tp_udhi=1))
    assert (long.text, long.concat_ref, long.concat_total, long.concat_number) == ("你", 7, 2, 1)
    made = mapped("smgp30")  # smgp messages from phones
    header = bytes.fromhex("0608040123 0201".replace(" ", ""))
    pdu = smgp.Deliver(
        msg_id=MSG_ID, msg_format=8, src_term_id="13800138000", dest_term_id="1069000177",
        msg_content=header + "你".encode("utf-16-be"), tlvs=(Tlv(smgp.TP_UDHI, b"\1"),),
    )  # fmt: skip
    inbound = made.incoming(pdu)
    assert (inbound.text, inbound.concat_ref, inbound.concat_total) == ("你", 0x0123, 2)
    assert inbound.carrier_id == MSG_ID.hex() + "/1"
    # without an id, each is a message of its own
    bare = replace(pdu, msg_id=bytes(10), tlvs=(), msg_content=b"x", msg_format=0)
    assert len({made.incoming(bare).carrier_id for _ in range(2)}) == 2


def test_profiles_are_what_their_protocol_allows() -> None:
    for wrong in (
        {"smgp_version": "2.0"}, {"node": -1}, {"node": 1 << 32}, {"idle": 0}, {"sgip_listen": "8801"},
        {"sgip_listen": "0.0.0.0:99999"}, {"peer_addresses": "10.0.0.0/99"}, {"unheard": 1}, {"bind": "receiver"},
        {"tls": "yes"}, {"tls_ca": "/etc/ca.pem"}, {"tls_insecure": True}, {"source_address": "localhost"},
        {"source_address": "10.0.0.0/24"},
    ):  # fmt: skip
        with pytest.raises(Invalid):
            profiles.parse(wrong)
    for only_smpp in ({"tls": True}, {"bind": "pair"}):  # profiles that only smpp has
        assert profiles.parse(only_smpp, "smpp34") == profiles.Profile(**only_smpp)
        with pytest.raises(Invalid):
            profiles.parse(only_smpp, "cmpp30")
    with pytest.raises(Invalid):  # profiles of a protocol
        profiles.parse({}, "sgip12")
    assert profiles.parse({"sgip_listen": "[::]:8801", "node": 1}, "sgip12").node == 1
    assert profiles.listen_address("[::1]:8801") == ("::1", 8801)
    assert profiles.parse({"source_address": "2001:db8::7"}, "cmpp20").source_address == "2001:db8::7", "for all"
    for wrong in ({"signature": "x"}, {"single_limit": 158}, {"long_reports": "last"}):  # values that cannot be
        with pytest.raises(Invalid) as caught:
            profiles.parse(wrong)
        assert f"profile.{next(iter(wrong))}" in str(caught.value)


TESTS = Path(__file__).parents[2]
TABLES = (TESTS.parent / "docs" / "interop.md").read_text(encoding="utf-8")
TRAPS = re.findall(r"^\| ([A-G]\d+a?) \|.*\|(.*)\| `(.*)::(\w+)` \|$", TABLES, re.MULTILINE)


def text_of(carrier: Mapping, *parts: Claimed) -> list[str]:
    texts = []
    for one in parts:
        pdu = carrier.submit(one)
        assert isinstance(pdu, cmpp.Submit)
        octets = pdu.msg_content[6:] if pdu.tp_udhi else pdu.msg_content
        texts.append(octets.decode("utf-16-be" if pdu.msg_fmt == 8 else "ascii"))
    return texts


def test_texts_are_as_the_profile_says() -> None:
    added = mapping("cmpp30", signature="added")
    assert text_of(added, claimed("【小店】您好", Coding.UCS2)) == ["您好"]
    assert text_of(mapping("cmpp30"), claimed("【小店】您好", Coding.UCS2)) == ["【小店】您好"]
    for kept in ("您好【小店】", "【小店】"):
        assert text_of(added, claimed(kept, Coding.UCS2)) == [kept]
    long = "【小店】" + "长" * 100
    first, second = text_of(added, claimed(long, Coding.UCS2, 1, 2), claimed(long, Coding.UCS2, 2, 2))
    assert (len(first), len(second)) == (67 - 4, 104 - 67)  # the parts are those that were accepted
    text = "a" * 160  # a text of 160 in two parts
    strict = [claimed(text, Coding.GSM7, n, 2) for n in (1, 2)]
    assert [len(t) for t in text_of(mapping("cmpp30", single_limit=159), *strict)] == [153, 7]
    assert text_of(mapping("cmpp30"), claimed(text)) == [text]
    with pytest.raises(ValueError, match="2 were accepted"):
        mapping("cmpp30").submit(claimed("a" * 159, Coding.GSM7, 1, 2))
    octets = "\ufeffTD".encode("utf-16-be")  # a byte order mark is no text
    said = mapping("cmpp30").incoming(
        cmpp.Deliver(msg_id=5, dest_id="1069", src_terminal_id="13800138000", msg_fmt=8, msg_content=octets)
    )
    assert isinstance(said, Inbound)
    assert said.text == "TD"
    header = bytes.fromhex("000000ff0000000400000001")  # a dump shows lengths and no text
    body = b"\0\1\x0013800138000\0" + "验证码 secret".encode("utf-16-be") + "é".encode() + b"\xff"
    shown = bytes.fromhex(masked(header + body, len(header)))
    assert (shown[:12], shown[12:15], len(shown)) == (header, b"\0\1\0", len(header + body))
    assert set(shown[12:]) <= {*range(0x21), 0x30, 0x78}
    assert masked(bytes(LIMIT + 1), 12).endswith(f"… of {LIMIT + 1}")


def test_every_key_and_trap_is_described() -> None:
    table = TABLES[TABLES.index("## The profile") :]
    rows = re.findall(r"^\| (`[^|]*`) \| ([^|]*?) ?\| [^|]+ \|$", table, re.MULTILINE)
    described = {key for row, _ in rows for key in re.findall(r"`(\w+)`", row)}
    assert described == {f.name for f in fields(Profile)}
    for keys, default in rows:
        names = re.findall(r"`(\w+)`", keys)
        shown = re.findall(r"`(.*?)`", default)
        wanted = [str(getattr(Profile(), name)).replace("False", "false") for name in names]
        assert shown == [w for w in wanted if w], keys
    wanted = [*(f"{s}{n}" for s, last in zip("ABCDE", (21, 8, 21, 22, 31), strict=True) for n in range(1, last + 1))]
    wanted += [*(f"F{n}" for n in range(1, 12)), "G1", "G2", "G3", "E26a"]
    assert sorted(t[0] for t in TRAPS) == sorted(wanted)
    keys = {key for t in TRAPS for key in re.findall(r"`(\w+)`", t[1])}
    assert keys <= {f.name for f in fields(Profile)}
    for trap, _, file, name in TRAPS:
        assert f"def test_{name}(" in (TESTS / file).read_text(encoding="utf-8"), (trap, file, name)
