"""What SGIP and SMGP channels make of parts, answers and deliveries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smsgw.channels import profiles
from smsgw.channels.wire.mapping import INTERMEDIATE, mapping_for
from smsgw.core import text
from smsgw.core.errors import Invalid
from smsgw.core.model import ChannelSpec, Claimed, Inbound, OutcomeKind, Report
from smsgw.core.states import PartState
from smsgw.core.text import Coding
from smsgw.protocols.dialects import SGIP12, SMGP13, SMGP30
from smsgw.protocols.pdu import Tlv
from smsgw.protocols.sgip import pdus as sgip
from smsgw.protocols.smgp import pdus as smgp

SEQUENCE = (3010012345, 1124163000, 7)
SEQUENCE_TEXT = "301001234511241630000000000007"
MSG_ID = bytes.fromhex("01006101161700012345")


def mapping(protocol: str, **profile: Any) -> Any:
    spec = ChannelSpec(1, "c", protocol, "h", 1, "user", "secret", access_code="10690001")
    if protocol == "sgip12":
        profile.setdefault("node", 3010012345)
    return mapping_for(spec, profiles.parse(profile, protocol))


def part(content: str, coding: Coding = Coding.UCS2, number: int = 1, total: int = 1) -> Claimed:
    return Claimed(9, number, total, 1, "8613800138000", content, coding.value, "77", 2, None, 5, 1)


def test_sgip_submit() -> None:
    pdu = mapping("sgip12", corp_id="12345", service_id="HELP").submit(part("你好"))
    assert pdu == sgip.Submit(
        sp_number="1069000177", charge_number="0" * 21, user_number=("8613800138000",), corp_id="12345",
        service_type="HELP", fee_type=1, fee_value="0", given_value="0", morelate_to_mt_flag=2, report_flag=1,
        message_coding=8, message_content="你好".encode("utf-16-be"),
    )  # fmt: skip
    assert SGIP12.decode(SGIP12.encode(pdu)) == pdu
    plain = mapping("sgip12", fee_type="2").submit(part("code @ 1", Coding.GSM7))
    assert (plain.message_coding, plain.message_content, plain.fee_type) == (0, b"code @ 1", 2)


def test_long_messages_have_headers() -> None:
    content = "长" * 100
    for number, piece in enumerate(text.split(content, Coding.UCS2, ref=5), 1):
        pdu = mapping("sgip12").submit(part(content, number=number, total=2))
        assert (pdu.tp_udhi, pdu.message_content) == (1, piece.udh + piece.octets)
    content = "长" * 100
    made = mapping("smgp30")
    for number in (1, 2):
        pdu = made.submit(part(content, number=number, total=2))
        assert pdu.tlvs == (Tlv(2, b"\1"), Tlv(9, b"\2"), Tlv(10, bytes((number,))))
        assert pdu.msg_content[:6] == bytes((5, 0, 3, 5, 2, number))
        assert len(pdu.msg_content) <= 140


def test_sgip_ids_and_what_is_not_stored() -> None:
    made = mapping("sgip12")
    pdu = made.submit(part("x"))
    pdu.sequence = SEQUENCE
    assert made.written(pdu) == SEQUENCE_TEXT
    outcome = made.outcome(part("x"), sgip.SubmitResp(sequence=SEQUENCE), 0)
    assert (outcome.kind, outcome.carrier_id) == (OutcomeKind.ACCEPTED, SEQUENCE_TEXT)
    made = mapping("sgip12")
    assert made.incoming(sgip.Report(state=1)) is INTERMEDIATE
    assert made.incoming(sgip.UserRpt()) is INTERMEDIATE
    with pytest.raises(ValueError, match="not a delivery"):
        made.incoming(sgip.SubmitResp())


@pytest.mark.parametrize(
    ("protocol", "status", "kind", "cls"),
    [
        ("sgip12", 88, OutcomeKind.DEFERRED, "FREQ_CARRIER"), ("sgip12", 11, OutcomeKind.DEFERRED, "CHANNEL"),
        ("sgip12", 6, OutcomeKind.REFUSED, "CHANNEL"), ("sgip12", 99, OutcomeKind.REFUSED, "CHANNEL"),
        ("smgp30", 1, OutcomeKind.DEFERRED, "CHANNEL"), ("smgp30", 10, OutcomeKind.REFUSED, "CHANNEL"),
    ],
)  # fmt: skip
def test_refusals(protocol: str, status: int, kind: OutcomeKind, cls: str) -> None:
    answer: Any = sgip.SubmitResp() if protocol == "sgip12" else smgp.SubmitResp()
    outcome = mapping(protocol).outcome(part("x"), answer, status)
    assert (outcome.kind, outcome.cls, outcome.code) == (kind, cls, str(status))


@pytest.mark.parametrize(
    ("state", "error", "expected"),
    [
        (0, 0, (PartState.DELIVERED, "DELIVRD", "")),
        (2, 29, (PartState.UNDELIVERABLE, "29", "EMPTY_NUMBER")),
        (2, 25, (PartState.UNDELIVERABLE, "25", "POWERED_OFF")),
        (2, 33, (PartState.UNDELIVERABLE, "33", "NETWORK")),
        (2, 0, (PartState.UNDELIVERABLE, "0", "UNKNOWN")),
        (2, 88, (PartState.UNDELIVERABLE, "88", "UNKNOWN")),
    ],
)
def test_sgip_reports(state: int, error: int, expected: tuple[PartState, str, str]) -> None:
    report = mapping("sgip12").incoming(
        sgip.Report(
            sequence=(110020, 1, 1), submit_sequence_number=SEQUENCE, user_number="13800138000", state=state,
            error_code=error,
        )
    )  # fmt: skip
    assert isinstance(report, Report)
    assert (report.state, report.code, report.cls) == expected
    assert (report.carrier_id, report.number) == (SEQUENCE_TEXT, "8613800138000")


def deliver(content: bytes, **fields: Any) -> sgip.Deliver:
    return sgip.Deliver(
        sequence=SEQUENCE, user_number="8613800138000", sp_number="1069000177", message_content=content, **fields
    )


def test_sgip_messages_from_phones() -> None:
    made = mapping("sgip12")
    inbound = made.incoming(deliver("退订".encode("gb18030"), message_coding=15))
    assert isinstance(inbound, Inbound)
    assert (inbound.text, inbound.number, inbound.to_code) == ("退订", "8613800138000", "1069000177")
    again = made.incoming(deliver("退订".encode("gb18030"), message_coding=15))
    assert again.carrier_id == inbound.carrier_id, "repeated"
    assert made.incoming(deliver(b"T", message_coding=0)).carrier_id != inbound.carrier_id, "another of that number"
    header = bytes.fromhex("050003070201")
    long = made.incoming(deliver(header + "你".encode("utf-16-be"), message_coding=8, tp_udhi=1))
    assert (long.text, long.concat_ref, long.concat_total, long.concat_number) == ("你", 7, 2, 1)


def test_smgp_submit() -> None:
    pdu = mapping("smgp30", service_id="HELP").submit(part("你好"))
    assert pdu == smgp.Submit(
        msg_type=6, need_report=1, priority=1, service_id="HELP", fee_type="00", fee_code="0", fixed_fee="0",
        msg_format=8, src_term_id="1069000177", dest_term_id=("13800138000",), msg_content="你好".encode("utf-16-be"),
    )  # fmt: skip
    assert SMGP30.decode(SMGP30.encode(pdu)) == pdu
    assert len(SMGP13.encode(pdu)) == len(SMGP30.encode(pdu)) - 6
    assert mapping("smgp30", prefix_86=True).submit(part("x")).dest_term_id == ("8613800138000",)


def test_smgp_ids_are_octets_and_some_reports_are_none() -> None:
    made = mapping("smgp30")
    odd = bytes.fromhex("6495c36ac4ea6b00000c")
    assert made.outcome(part("x"), smgp.SubmitResp(msg_id=odd), 0).carrier_id == odd.hex()
    told = b"sub:001 dlvrd:001 submit_date:2404031200 done_date:2404031201 stat:DELIVRD err:000 txt:x"
    report = made.incoming(smgp.Deliver(is_report=1, src_term_id="13800138000", msg_content=b"id:" + odd + told))
    assert (report.carrier_id, report.state, report.code) == (odd.hex(), PartState.DELIVERED, "DELIVRD")
    assert made.outcome(part("x"), smgp.SubmitResp(), 0).carrier_id == ""
    made = mapping("smgp30")
    content = b"id:" + MSG_ID + b" stat:ENROUTE err:000 text:"
    assert made.incoming(smgp.Deliver(is_report=1, msg_content=content)) is INTERMEDIATE
    with pytest.raises(ValueError, match="without a message id"):
        made.incoming(smgp.Deliver(is_report=1, msg_content=b"stat:DELIVRD"))
    with pytest.raises(ValueError, match="not a delivery"):
        made.incoming(smgp.SubmitResp())


@pytest.mark.parametrize(
    ("stat", "err", "code", "cls"),
    [
        ("UNDELIV", "004", "UNDELIV/004", "EMPTY_NUMBER"), ("EXPIRED", "001", "EXPIRED/001", "POWERED_OFF"),
        ("UNDELIV", "005", "UNDELIV/005", "BLACKLIST_CARRIER"), ("MK:0001", "999", "MK:0001/999", "EMPTY_NUMBER"),
        ("REJECTD", "000", "REJECTD", "UNKNOWN"),
    ],
)  # fmt: skip
def test_smgp_failures(stat: str, err: str, code: str, cls: str) -> None:
    content = b"id:" + MSG_ID + f" Submit date:2404031200 Stat:{stat} Err:{err} Text:".encode()
    report = mapping("smgp30").incoming(smgp.Deliver(is_report=1, msg_content=content))
    assert (report.state, report.code, report.cls) == (PartState.UNDELIVERABLE, code, cls)


def test_smgp_messages_from_phones() -> None:
    made = mapping("smgp30")
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


@pytest.mark.parametrize(
    "wrong",
    [
        {"smgp_version": "2.0"}, {"node": -1}, {"node": 1 << 32}, {"idle": 0}, {"sgip_listen": "8801"},
        {"sgip_listen": "0.0.0.0:99999"}, {"peer_addresses": "10.0.0.0/99"}, {"unheard": 1}, {"bind": "receiver"},
        {"tls": "yes"}, {"tls_ca": "/etc/ca.pem"}, {"tls_insecure": True}, {"source_address": "localhost"},
        {"source_address": "10.0.0.0/24"},
    ],
)  # fmt: skip
def test_profiles_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        profiles.parse(wrong)


@pytest.mark.parametrize("only_smpp", [{"tls": True}, {"bind": "pair"}])
def test_profiles_that_only_smpp_has(only_smpp: dict[str, Any]) -> None:
    assert profiles.parse(only_smpp, "smpp34") == profiles.Profile(**only_smpp)
    with pytest.raises(Invalid):
        profiles.parse(only_smpp, "cmpp30")


def test_profiles_of_a_protocol() -> None:
    with pytest.raises(Invalid):
        profiles.parse({}, "sgip12")
    assert profiles.parse({"sgip_listen": "[::]:8801", "node": 1}, "sgip12").node == 1
    assert profiles.listen_address("[::1]:8801") == ("::1", 8801)
    assert profiles.parse({"source_address": "2001:db8::7"}, "cmpp20").source_address == "2001:db8::7", "for all"
