"""Codes, widths and times as the books have them; liberal in what is read, strict in what is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsgw.protocols.cmpp import codes as cmpp_codes, pdus as cmpp, rules as cmpp_rules
from smsgw.protocols.codes import Code, CodeClass
from smsgw.protocols.dialects import CMPP20, CMPP30, SGIP12, SMGP13, SMGP30, SMPP34, SMPP50, Dialect
from smsgw.protocols.errors import FramingLost, Malformed
from smsgw.protocols.fields import Tlv
from smsgw.protocols.pdu import Pdu, Unknown
from smsgw.protocols.sgip import codes as sgip_codes, pdus as sgip, rules as sgip_rules
from smsgw.protocols.smgp import codes as smgp_codes, pdus as smgp, rules as smgp_rules
from smsgw.protocols.smpp import codes as smpp_codes, pdus as smpp, times, tlvs


def frame(head: str, body: bytes) -> bytes:
    octets = bytes.fromhex(head) + body
    return (len(octets) + 4).to_bytes(4, "big") + octets


BARE_IN_34 = {smpp.BindTransmitterResp, smpp.BindReceiverResp, smpp.SubmitSmResp}
"""Whose body is not returned with an error: SMPP 3.4, notes to 4.1.2, 4.1.4 and 4.4.2. No other table says so."""
ERROR_BODIES = {
    smpp.BindTransceiverResp: "00", smpp.DeliverSmResp: "00", smpp.DataSmResp: "00", smpp.QuerySmResp: "00000700",
    smpp.SubmitMultiResp: "0000", smpp.CancelSmResp: "", smpp.ReplaceSmResp: "", smpp.UnbindResp: "",
    smpp.EnquireLinkResp: "", smpp.GenericNack: "",
}  # fmt: skip


def test_error_answers_have_the_fields_that_the_book_gives_them() -> None:
    for kind in [c for i, c in SMPP34.pdus.items() if i & 0x80000000]:
        octets = SMPP34.encode(kind(sequence=7, command_status=0x58))
        assert octets[16:].hex() == ("" if kind in BARE_IN_34 else ERROR_BODIES[kind])
        found = SMPP34.decode(octets)
        assert (type(found), found.command_status) == (kind, 0x58)  # type: ignore[attr-defined]
    # 5.0, 3.2.1.3.
    for kind in [c for i, c in SMPP50.pdus.items() if i & 0x80000000]:  # error answers have no body in 5 0
        assert len(SMPP50.encode(kind(sequence=7, command_status=0x58))) == 16
    assert len(SMPP34.encode(smpp.DeliverSmResp(sequence=7))) == 17  # answers that say yes have their body
    assert len(SMPP34.encode(smpp.SubmitSmResp(sequence=7))) == 17


@pytest.mark.parametrize("dialect", [SMPP34, SMPP50], ids=lambda d: d.name)
@pytest.mark.parametrize("kind", [c for i, c in SMPP34.pdus.items() if i & 0x80000000], ids=lambda c: c.pdu_name)
def test_error_answers_are_read_with_and_without_a_body(dialect: Dialect, kind: type[smpp.SmppPdu]) -> None:
    head = kind.command_id.to_bytes(4, "big").hex() + "0000005800000007"
    for body in ("", ERROR_BODIES.get(kind, "00")):
        octets = frame(head, bytes.fromhex(body))
        found = dialect.decode(octets)
        assert found == kind(sequence=7, command_status=0x58)
        assert dialect.encode(found) == octets, "as it came"


USER_MESSAGE_REFERENCE = Tlv(0x0204, b"\0\7")
NUL_AFTER = [smpp.SubmitSm, smpp.DeliverSm, smpp.ReplaceSm, smpp.SubmitMulti]


@pytest.mark.parametrize("kind", NUL_AFTER, ids=lambda c: c.pdu_name)
@pytest.mark.parametrize("tlvs", [(), (USER_MESSAGE_REFERENCE,), (Tlv(0x0424, b"text"), USER_MESSAGE_REFERENCE)])
def test_a_nul_after_the_text_is_no_parameter(kind: type[smpp.SmppPdu], tlvs: tuple[Tlv, ...]) -> None:
    pdu: Any = kind(sequence=7, short_message=b"hello", tlvs=tlvs)  # type: ignore[call-arg]
    octets = SMPP34.encode(pdu)
    at = octets.index(b"hello") + 5
    shifted = frame(octets[4:16].hex(), octets[16:at] + b"\0" + octets[at:])
    assert SMPP34.decode(shifted) == pdu, "neither the text nor the parameters have changed"


def test_only_one_nul_and_only_where_it_makes_sense() -> None:
    octets = SMPP34.encode(smpp.SubmitSm(sequence=7, short_message=b"hello"))
    # What can be read where it stands is read there: tag 0, no octets.
    found = SMPP34.decode(frame(octets[4:16].hex(), octets[16:] + bytes(4)))
    assert isinstance(found, smpp.SubmitSm)
    assert (found.short_message, found.tlvs) == (b"hello", (Tlv(0, b""),))
    for tail in (b"\0\0", b"!", b"\0\2\4\0\3\0\7", b"\2\4\0\3\0\7"):
        with pytest.raises(Malformed) as caught:
            SMPP34.decode(frame(octets[4:16].hex(), octets[16:] + tail))
        assert (caught.value.kind, caught.value.offset) == ("tlv", len(octets)), tail
    with pytest.raises(Malformed):
        SMPP34.decode(frame(SMPP34.encode(smpp.DataSm(sequence=7))[4:16].hex(), bytes(11)))
    octets = SMPP34.encode(smpp.DeliverSm(sequence=7, short_message=b"hello"))
    found = SMPP34.decode(frame(octets[4:16].hex(), octets[16:] + bytes.fromhex("00020400020007000100ff")))
    assert isinstance(found, smpp.DeliverSm)
    assert found.short_message == b"hello"
    assert found.tlvs == (), "two faults are one too many to guess"


def test_long_passwords_are_read_but_not_written() -> None:
    body = b"a-very-long-system-id\0a-very-long-password\0\0" + bytes([0x34, 1, 1]) + b"\0"
    bind = SMPP34.decode(frame("000000090000000000000001", body))
    assert isinstance(bind, smpp.BindTransceiver)
    assert (bind.system_id, bind.password) == ("a-very-long-system-id", "a-very-long-password")
    assert "long-password" not in repr(bind)
    with pytest.raises(Malformed) as caught:
        SMPP34.encode(bind)
    assert (caught.value.kind, caught.value.field, caught.value.offset) == ("text-too-long", "system_id", None)
    found = SMPP34.decode(frame("0000000b0000000000000001", b"a-very-long-system-id\0a-very-long-password\0"))
    assert isinstance(found, smpp.Outbind)
    assert (found.system_id, found.password) == ("a-very-long-system-id", "a-very-long-password")
    assert "long-password" not in repr(found)


def test_what_is_too_long_or_cannot_be_written_is_named() -> None:
    for field in ("source_addr", "destination_addr"):
        pdu = smpp.SubmitSm(sequence=5, **{field: "1" * 20})  # type: ignore[arg-type]
        good = SMPP34.encode(pdu)
        assert SMPP34.decode(good) == pdu
        with pytest.raises(Malformed) as caught:
            SMPP34.encode(pdu.replace(**{field: "1" * 21}))
        assert (caught.value.kind, caught.value.field) == ("address-too-long", field)
        bad = bytearray(good.replace(b"1" * 20, b"1" * 21))
        bad[3] += 1
        with pytest.raises(Malformed) as caught:
            SMPP34.decode(bad)
        assert (caught.value.kind, caught.value.field, caught.value.sequence) == ("address-too-long", field, 5)
    for pdu, field, kind in (  # what does not fit is named
        (cmpp.Submit(service_id="x" * 11), "Service_Id", "text-too-long"),
        (cmpp.Submit(src_id="1" * 22), "Src_Id", "address-too-long"),
        (cmpp.Submit(dest_terminal_id=("1" * 33,)), "Dest_terminal_Id", "address-too-long"),
        (cmpp.Submit(dest_terminal_id=("1",) * 256), "Dest_terminal_Id", "structure"),
        (cmpp.Submit(msg_content=bytes(256)), "Msg_Content", "text-too-long"),
        (cmpp.Submit(msg_src="企业"), "Msg_src", "structure"),
        (cmpp.Submit(msg_src="a\0b"), "Msg_src", "structure"),
        (cmpp.Submit(msg_fmt=256), "Msg_Fmt", "structure"),
        (cmpp.Submit(msg_id=-1), "Msg_Id", "structure"),
        (cmpp.Submit(msg_content=[1, 2]), "Msg_Content", "structure"),  # type: ignore[arg-type]
        (cmpp.Connect(authenticator_source=b"short"), "AuthenticatorSource", "structure"),
        (cmpp.Connect(sequence=1 << 32), "Sequence_Id", "structure"),
    ):
        with pytest.raises(Malformed) as caught:
            CMPP30.encode(pdu)
        assert (caught.value.field, caught.value.kind) == (field, kind)
        assert caught.value.command_id == pdu.command_id
    with pytest.raises(Malformed, match="cannot stand in dest_address"):  # other names in a list are refused
        SMPP34.encode(smpp.SubmitMulti(dest_address=("138",)))  # type: ignore[arg-type]
    for pdu in (smpp.BroadcastSm(), cmpp.Submit()):  # a pdu of another version or protocol is refused
        with pytest.raises(Malformed, match="smpp34 does not have this PDU"):
            SMPP34.encode(pdu)
    assert SMPP50.encode(smpp.BroadcastSm())
    pdu = sgip.Submit(sequence=(3010012345, 229123456, 7), user_number=("8613800138000",))
    assert SGIP12.decode(SGIP12.encode(pdu)) == pdu
    with pytest.raises(Malformed, match="Sequence_Number"):
        SGIP12.encode(sgip.Unbind(sequence=7))  # type: ignore[arg-type]


CONNECT = CMPP30.encode(cmpp.Connect())
TWO = CMPP30.encode(cmpp.Submit(dest_terminal_id=("1", "2"), msg_content=b"text"))
REPORT = SGIP12.encode(sgip.Report())


def test_what_is_cut_off_is_named_with_its_place() -> None:
    for dialect, octets, cut, field, offset, reason in (
        (CMPP30, CONNECT, 15, "Source_Addr", 12, "6 octets needed, 3 left"),
        (CMPP30, CONNECT, 23, "AuthenticatorSource", 18, "16 octets needed, 5 left"),
        (CMPP30, CONNECT, 34, "Version", 34, "1 octets needed, 0 left"),
        (CMPP30, CONNECT, 36, "Timestamp", 35, "4 octets needed, 1 left"),
        (CMPP30, TWO, 140, "DestUsr_tl", 140, "DestUsr_tl is missing"),
        (CMPP30, TWO, 150, "DestUsr_tl", 140, "2 numbers of 32 octets declared, 9 octets left"),
        (CMPP30, TWO, 205, "Dest_terminal_type", 205, "1 octets needed, 0 left"),
        (CMPP30, TWO, 206, "Msg_Length", 206, "Msg_Length is missing"),
        (CMPP30, TWO, 209, "Msg_Length", 206, "4 octets of content declared, 2 left"),
        (CMPP30, TWO, 220, "LinkID", 211, "20 octets needed, 9 left"),
        (SGIP12, REPORT, 25, "SubmitSequenceNumber", 20, "12 octets needed, 5 left"),
        (SGIP12, REPORT, 32, "ReportType", 32, "1 octets needed, 0 left"),
    ):
        with pytest.raises(Malformed) as caught:
            dialect.decode(cut.to_bytes(4, "big") + octets[4:cut])
        assert (caught.value.field, caught.value.offset, caught.value.reason) == (field, offset, reason)


def test_what_others_write_otherwise_is_read() -> None:
    for writer, reader in ((CMPP20, CMPP30), (CMPP30, CMPP20)):
        for pdu in (
            cmpp.ConnectResp(sequence=1, status=3, version=0x20), cmpp.SubmitResp(sequence=2, msg_id=3, result=8),
            cmpp.DeliverResp(sequence=2, msg_id=3, result=1), cmpp.CancelResp(sequence=2, success_id=1),
        ):  # fmt: skip
            assert reader.decode(writer.encode(pdu)) == pdu  # type: ignore[attr-defined]
    octets = CMPP20.encode(cmpp.Submit(src_id="10690001", dest_terminal_id=("13800138000",)))
    padded = octets.replace(b"10690001" + bytes(13), b"10690001" + b" " * 13)
    padded = padded.replace(b"13800138000" + bytes(10), b"13800138000" + b" " * 10)
    assert padded != octets
    pdu = CMPP20.decode(padded)
    assert isinstance(pdu, cmpp.Submit)
    assert (pdu.src_id, pdu.dest_terminal_id) == ("10690001", ("13800138000",))
    assert isinstance(SMPP34.decode(frame("000000150000000000000001", b"?")), smpp.EnquireLink)
    assert isinstance(CMPP20.decode(frame("0000000800000001", b"\0")), cmpp.ActiveTest)
    pdu = smpp.CancelSmResp(sequence=1, tlvs=(Tlv(0x0428, b"\x50"),))  # parameters where the book has none
    assert SMPP34.decode(SMPP34.encode(pdu)).tlv(0x0428) == b"\x50"
    assert pdu.tlv(0x0001) is None
    for dialect, size in ((SMGP30, 126 + 21 + 2), (SMGP13, 120 + 21 + 2)):  # smgp versions
        pdu = smgp.Submit(dest_term_id=("13300000001",), msg_content=b"hi")
        octets = dialect.encode(pdu)  # type: ignore[attr-defined]
        assert len(octets) == size
        assert dialect.decode(octets) == pdu  # type: ignore[attr-defined]


def test_frames_before_the_fault_are_not_lost() -> None:
    good = CMPP30.encode(cmpp.ActiveTest(sequence=1))
    framer = CMPP30.framer()
    with pytest.raises(FramingLost) as caught:
        framer.feed(good + b"GET / HTTP/1.1\r\n")
    assert caught.value.frames == (good,)
    assert caught.value.header == b"GET / HTTP/1"
    assert "HTTP" in caught.value.reason
    with pytest.raises(FramingLost):
        framer.feed(good)
    octets = CMPP30.encode(cmpp.ActiveTest(sequence=1))  # a frame must be one pdu
    for wrong in (octets[:5], octets + b"\0", octets * 2):
        with pytest.raises(Malformed) as caught:
            CMPP30.decode(wrong)
        assert caught.value.kind == "length"
    assert SMPP34.response_class(smpp.SubmitSm()) is smpp.SubmitSmResp  # answers and their requests
    assert SMPP34.response_class(smpp.Outbind()) is None
    assert SMPP34.response_class(smpp.SubmitSmResp()) is None
    assert SMPP34.response_class(Unknown(command_id=0x110)) is None
    assert SMPP34.is_response(0x80000110)
    assert not SMPP34.is_response(0x00000110)
    framer = SMPP34.framer(1000)  # an impossible length is seen before anything is kept
    assert framer.feed(b"\0\0\x03") == []
    with pytest.raises(FramingLost, match=r"outside 16\.\.1000"):
        framer.feed(b"\xe9")
    with pytest.raises(ValueError, match="smaller"):
        SMPP34.framer(8)


def test_statuses_mean_what_the_books_say() -> None:
    for code, kind in (
        (cmpp_codes.result(150), CodeClass.UNKNOWN), (cmpp_codes.connect_status(77), CodeClass.BIND),
        (smpp_codes.status(0), CodeClass.OK), (smpp_codes.status(0x0B), CodeClass.PERMANENT),
        (smpp_codes.status(0x14), CodeClass.TEMPORARY), (smpp_codes.status(0x58), CodeClass.THROTTLE),
        (smpp_codes.status(0x0E), CodeClass.BIND), (smpp_codes.status(0x3FF), CodeClass.UNKNOWN),
        (smpp_codes.status(0x400), CodeClass.TEMPORARY), (smpp_codes.status(0x4FF), CodeClass.TEMPORARY),
        (smpp_codes.status(0x500), CodeClass.UNKNOWN), (smpp_codes.status(0x99), CodeClass.UNKNOWN),
        (sgip_codes.result(0), CodeClass.OK), (smgp_codes.status(47), CodeClass.PERMANENT),
        (smgp_codes.report_err("007"), CodeClass.TEMPORARY), (smgp_codes.report_err("005"), CodeClass.PERMANENT),
        (smgp_codes.report_err("999"), CodeClass.UNKNOWN), (smgp_codes.report_err("AB"), CodeClass.UNKNOWN),
        (smgp_codes.report_err(None), CodeClass.UNKNOWN),
    ):  # fmt: skip
        assert code.kind is kind
        assert code.name
    words = SMPP.split()  # smpp has the books numbers and names
    book = {int(value, 16): f"ESME_{name}" for value, name in zip(words[::2], words[1::2], strict=True)}
    assert {value: code.name for value, code in smpp_codes.STATUS.items()} == book
    assert all(smpp_codes.status(value).value == value for value in book)
    words = TAGS.split()  # smpp parameters have the books tags and names
    book = {int(tag, 16): name for tag, name in zip(words[::2], words[1::2], strict=True)}
    book[tlvs.DESTINATION_PORT] = "destination_port"  # so in 3.4; dest_port in 5.0
    assert {tag: name for tag, (name, _) in tlvs.NAMES.items()} == book
    for code_of, names in ANSWERED:  # what we answer is called so by the book
        assert {number: code_of(number).name for number in names} == names


SMPP = """
0 ROK 1 RINVMSGLEN 2 RINVCMDLEN 3 RINVCMDID 4 RINVBNDSTS 5 RALYBND 6 RINVPRTFLG 7 RINVREGDLVFLG 8 RSYSERR
A RINVSRCADR B RINVDSTADR C RINVMSGID D RBINDFAIL E RINVPASWD F RINVSYSID 11 RCANCELFAIL 13 RREPLACEFAIL
14 RMSGQFUL 15 RINVSERTYP 33 RINVNUMDESTS 34 RINVDLNAME 40 RINVDESTFLAG 42 RINVSUBREP 43 RINVESMCLASS
44 RCNTSUBDL 45 RSUBMITFAIL 48 RINVSRCTON 49 RINVSRCNPI 50 RINVDSTTON 51 RINVDSTNPI 53 RINVSYSTYP
54 RINVREPFLAG 55 RINVNUMMSGS 58 RTHROTTLED 61 RINVSCHED 62 RINVEXPIRY 63 RINVDFTMSGID 64 RX_T_APPN
65 RX_P_APPN 66 RX_R_APPN 67 RQUERYFAIL C0 RINVOPTPARSTREAM C1 ROPTPARNOTALLWD C2 RINVPARLEN
C3 RMISSINGOPTPARAM C4 RINVOPTPARAMVAL FE RDELIVERYFAILURE FF RUNKNOWNERR 100 RSERTYPUNAUTH 101 RPROHIBITED
102 RSERTYPUNAVAIL 103 RSERTYPDENIED 104 RINVDCS 105 RINVSRCADDRSUBUNIT 106 RINVDSTADDRSUBUNIT
107 RINVBCASTFREQINT 108 RINVBCASTALIAS_NAME 109 RINVBCASTAREAFMT 10A RINVNUMBCAST_AREAS
10B RINVBCASTCNTTYPE 10C RINVBCASTMSGCLASS 10D RBCASTFAIL 10E RBCASTQUERYFAIL 10F RBCASTCANCELFAIL
110 RINVBCAST_REP 111 RINVBCASTSRVGRP 112 RINVBCASTCHANIND
"""
"""5.0, table 4-45, from 0xC0 to 0xC4 with the names of 3.4, 5.1.3."""


TAGS = """
0005 dest_addr_subunit 0006 dest_network_type 0007 dest_bearer_type 0008 dest_telematics_id
000D source_addr_subunit 000E source_network_type 000F source_bearer_type 0010 source_telematics_id
0017 qos_time_to_live 0019 payload_type 001D additional_status_info_text 001E receipted_message_id
0030 ms_msg_wait_facilities 0201 privacy_indicator 0202 source_subaddress 0203 dest_subaddress
0204 user_message_reference 0205 user_response_code 020A source_port 020B dest_port 020C sar_msg_ref_num
020D language_indicator 020E sar_total_segments 020F sar_segment_seqnum 0210 sc_interface_version
0302 callback_num_pres_ind 0303 callback_num_atag 0304 number_of_messages 0381 callback_num 0420 dpf_result
0421 set_dpf 0422 ms_availability_status 0423 network_error_code 0424 message_payload
0425 delivery_failure_reason 0426 more_messages_to_send 0427 message_state 0428 congestion_state
0501 ussd_service_op 0600 broadcast_channel_indicator 0601 broadcast_content_type
0602 broadcast_content_type_info 0603 broadcast_message_class 0604 broadcast_rep_num
0605 broadcast_frequency_interval 0606 broadcast_area_identifier 0607 broadcast_error_status
0608 broadcast_area_success 0609 broadcast_end_time 060A broadcast_service_group 060B billing_identification
060D source_network_id 060E dest_network_id 060F source_node_id 0610 dest_node_id
0611 dest_addr_np_resolution 0612 dest_addr_np_information 0613 dest_addr_np_country 1201 display_time
1203 sms_signal 1204 ms_validity 130C alert_on_message_delivery 1380 its_reply_type 1383 its_session_info
"""
"""5.0, table 4-60."""


def test_the_tables_have_the_books_numbers() -> None:
    for table, book in (
        # QB-GF-028-2003, 8.4.1.2 and 8.4.3.2.
        (cmpp_codes.CONNECT, {CodeClass.OK: {0}, CodeClass.BIND: {1, 2, 3, 4}}),
        (
            cmpp_codes.RESULT,
            {
                CodeClass.OK: {0}, CodeClass.TEMPORARY: {3}, CodeClass.THROTTLE: {8},
                CodeClass.PERMANENT: {1, 2, *range(4, 8), *range(9, 14)},
            },
        ),
        # SGIP 1.2, table 5-2; 54, 57, 64, 88, 93 and 106 are the field's.
        (
            sgip_codes.RESULT,
            {
                CodeClass.OK: {0},
                CodeClass.BIND: {1, 2, 3, 4, 57, 93},
                CodeClass.PERMANENT: {*range(5, 11), 21, 22, 23, 24, *range(27, 32), 64, 106},
                CodeClass.TEMPORARY: {11, 25, 26, 32, 33, 54},
                CodeClass.THROTTLE: {88},
            },
        ),
        # SMGP 3.0.3, 6.2.6; 74, 75 and 76 are the field's.
        (
            smgp_codes.STATUS,
            {
                CodeClass.OK: {0}, CodeClass.TEMPORARY: {1, 74, 75}, CodeClass.BIND: {2, 20, 21, 22, 76},
                CodeClass.PERMANENT: {10, 11, 12, *range(30, 50), *range(56, 74)},
            },
        ),
        # SMGP 3.0.3, 6.2.63.2.
        (smgp_codes.ERR,
         {CodeClass.OK: {0}, CodeClass.TEMPORARY: {1, 2, 6, 7, 10}, CodeClass.PERMANENT: {3, 4, 5, 8, 9}}),
    ):  # fmt: skip
        assert {kind: {value for value, code in table.items() if code.kind is kind} for kind in book} == book
        assert len(table) == sum(map(len, book.values()))


ANSWERED: list[tuple[Callable[[int], Code], dict[int, str]]] = [
    (cmpp_codes.result, {
        cmpp_rules.STRUCTURE: "message structure", cmpp_rules.COMMAND: "command word",
        cmpp_rules.LENGTH: "message length", cmpp_rules.TOO_LONG: "message too long",
        cmpp_rules.FLOW_CONTROL: "flow control",
    }),
    (cmpp_codes.connect_status, {
        cmpp_rules.CONNECT_SOURCE: "illegal source address", cmpp_rules.CONNECT_AUTH: "authentication failed",
        cmpp_rules.CONNECT_VERSION: "version too high", cmpp_rules.CONNECT_OTHER: "login refused (5)",
    }),
    (sgip_codes.result, {
        sgip_rules.ILLEGAL_LOGIN: "illegal login", sgip_rules.LOGIN_REPEATED: "login repeated",
        sgip_rules.TOO_MANY_CONNECTIONS: "too many connections", sgip_rules.LOGIN_TYPE: "login type",
        sgip_rules.PARAMETER: "parameter format", sgip_rules.ILLEGAL_NUMBER: "illegal mobile number",
        sgip_rules.LENGTH: "message length", sgip_rules.ILLEGAL_SEQUENCE: "illegal sequence number",
        sgip_rules.NODE_BUSY: "node busy", sgip_rules.ADDRESS_NOT_ADMITTED: "address not admitted",
        sgip_rules.FLOW_CONTROL: "flow control",
    }),
    (smgp_codes.status, {
        smgp_rules.BUSY: "system busy", smgp_rules.TOO_MANY_CONNECTIONS: "too many connections",
        smgp_rules.STRUCTURE: "message structure", smgp_rules.COMMAND: "command word",
        smgp_rules.ILLEGAL_ADDRESS: "illegal address", smgp_rules.AUTHENTICATION: "authentication failed",
        smgp_rules.VERSION_TOO_HIGH: "version too high", smgp_rules.MESSAGE_LENGTH: "MsgLength",
        smgp_rules.DESTINATION: "DestTermId",
    }),
]  # fmt: skip
"""What we answer, and what the books call it."""


COUNTERS = "4 4 4 4 4 4 4 4"

BOOKS: list[tuple[Dialect, type[Pdu], str]] = [
    # QB-GF-028-2003, chapter 8; a list or a content counts with its length alone.
    (CMPP30, cmpp.Connect, "6 16 1 4"),
    (CMPP30, cmpp.ConnectResp, "4 16 1"),
    (CMPP30, cmpp.Submit, "8 1 1 1 1 10 1 32 1 1 1 1 6 2 6 17 17 21 1 1 1 20"),
    (CMPP30, cmpp.SubmitResp, "8 4"),
    (CMPP30, cmpp.Query, "8 1 10 8"),
    (CMPP30, cmpp.QueryResp, f"8 1 10 {COUNTERS}"),
    (CMPP30, cmpp.Deliver, "8 21 10 1 1 1 32 1 1 1 20"),
    (CMPP30, cmpp.DeliverResp, "8 4"),
    (CMPP30, cmpp.Cancel, "8"),
    (CMPP30, cmpp.CancelResp, "4"),
    (CMPP30, cmpp.ActiveTestResp, "1"),
    (CMPP30, cmpp.Fwd, "6 6 1 1 8 1 1 1 1 10 1 21 32 1 1 1 1 6 2 6 17 17 21 32 1 1 1 32 1 1 20"),
    (CMPP30, cmpp.FwdResp, "8 1 1 4"),
    (CMPP20, cmpp.ConnectResp, "1 16 1"),
    (CMPP20, cmpp.Submit, "8 1 1 1 1 10 1 21 1 1 1 6 2 6 17 17 21 1 1 8"),
    (CMPP20, cmpp.SubmitResp, "8 1"),
    (CMPP20, cmpp.Deliver, "8 21 10 1 1 1 21 1 1 8"),
    # SGIP 1.2, 4.2.3, 4.3 and 4.4.
    (SGIP12, sgip.Bind, "1 16 16 8"),
    (SGIP12, sgip.BindResp, "1 8"),
    (SGIP12, sgip.Submit, "21 21 1 5 10 1 6 6 1 1 1 16 16 1 1 1 1 1 4 8"),
    (SGIP12, sgip.SubmitResp, "1 8"),
    (SGIP12, sgip.Deliver, "21 21 1 1 1 4 8"),
    (SGIP12, sgip.DeliverResp, "1 8"),
    (SGIP12, sgip.Report, "12 1 21 1 1 8"),
    (SGIP12, sgip.ReportResp, "1 8"),
    (SGIP12, sgip.CheckUser, "16 16 21 8"),
    (SGIP12, sgip.CheckUserResp, "1 1 8"),
    (SGIP12, sgip.UserRpt, "21 21 1 8"),
    (SGIP12, sgip.UserRptResp, "1 8"),
    (SGIP12, sgip.Trace, "12 21 8"),
    (SGIP12, sgip.TraceResp, "1"),
    # SMGP 3.0.3, 5.2.2; parameters may follow (0). 1.3 has no FixedFee.
    (SMGP30, smgp.Login, "8 16 1 4 1"),
    (SMGP30, smgp.LoginResp, "4 16 1"),
    (SMGP30, smgp.Submit, "1 1 1 10 2 6 6 1 17 17 21 21 1 1 8 0"),
    (SMGP30, smgp.SubmitResp, "10 4 0"),
    (SMGP30, smgp.Deliver, "10 1 1 14 21 21 1 8 0"),
    (SMGP30, smgp.DeliverResp, "10 4 0"),
    (SMGP30, smgp.Forward, "10 6 6 6 1 1 1 10 2 6 6 1 17 17 21 21 21 1 8 0"),
    (SMGP30, smgp.ForwardResp, "10 4 0"),
    (SMGP30, smgp.Query, "8 1 10"),
    (SMGP30, smgp.QueryResp, f"8 1 10 {COUNTERS} 8"),
    (SMGP13, smgp.Submit, "1 1 1 10 2 6 1 17 17 21 21 1 1 8 0"),
    (SMGP13, smgp.Forward, "10 6 6 6 1 1 1 10 2 6 1 17 17 21 21 21 1 8 0"),
]


@pytest.mark.parametrize(("dialect", "kind", "widths"), BOOKS, ids=[f"{d.name}-{k.__name__}" for d, k, _ in BOOKS])
def test_rows_are_as_wide_as_in_the_book(dialect: Dialect, kind: type[Pdu], widths: str) -> None:
    rows = [row for row in dialect.layout(kind).rows if row.kind is not None]
    assert [len(row.kind.write(row.default)) for row in rows if row.kind] == [int(n) for n in widths.split()]
    assert len(dialect.encode(kind())) - dialect.header_size == sum(map(int, widths.split()))


def test_lists_are_as_wide_as_in_the_book() -> None:
    """SGIP 1.2, 4.4.2."""
    one, two = (SGIP12.encode(sgip.TraceResp(nodes=(sgip.TraceNode(),) * n)) for n in (1, 2))
    assert len(two) - len(one) == 1 + 6 + 16 + 16 + 8
    for given in (smpp.SmeAddress(destination_addr="1" * 20), smpp.DistributionList(dl_name="1" * 20)):
        pdu = smpp.SubmitMulti(dest_address=(given,))
        assert SMPP34.decode(SMPP34.encode(pdu)) == pdu
    for refused in (smpp.SmeAddress(destination_addr="1" * 21), smpp.DistributionList(dl_name="1" * 21)):
        with pytest.raises(Malformed, match="20 are allowed"):
            SMPP34.encode(smpp.SubmitMulti(dest_address=(refused,)))
    failed = smpp.SubmitMultiResp(unsuccess_sme=(smpp.UnsuccessSme(1, 1, "1" * 20, 0xFFFFFFFF),))
    assert SMPP34.decode(SMPP34.encode(failed)) == failed


TEXTS = {
    "system_id": 16, "password": 65, "system_type": 13, "address_range": 41, "service_type": 6,
    "schedule_delivery_time": 17, "validity_period": 17, "final_date": 17, "message_id": 65,
    "source_addr": 21, "destination_addr": 21, "esme_addr": 65,
}  # fmt: skip
"""Octets with the terminator: 3.4, chapter 4. Passwords of 9 are the book's, those of carriers are longer."""
OTHER_TEXTS = {
    (smpp.Outbind, "password"): 9, (smpp.DataSm, "source_addr"): 65, (smpp.DataSm, "destination_addr"): 65,
    (smpp.AlertNotification, "source_addr"): 65,
}  # fmt: skip


@pytest.mark.parametrize("dialect", [SMPP34, SMPP50], ids=lambda d: d.name)
def test_smpp_texts_may_be_as_long_as_in_the_book(dialect: Dialect) -> None:
    seen = set()
    for kind in dialect.pdus.values():
        for name in {field.name for field in fields(kind)} & TEXTS.keys():
            seen.add(name)
            longest = OTHER_TEXTS.get((kind, name), TEXTS[name]) - 1
            pdu = kind(**{name: "1" * longest})
            found = dialect.decode(dialect.encode(pdu))
            assert getattr(found, name) == "1" * longest, (kind, name)
            with pytest.raises(Malformed, match=f" {longest} are allowed"):
                dialect.encode(pdu.replace(**{name: "1" * (longest + 1)}))
    assert seen == TEXTS.keys()


NOW = datetime(2026, 5, 1, 1, 0, tzinfo=UTC)


def test_times_are_read_as_smpp_writes_them() -> None:
    for text, after in (
        ("000000000001000R", timedelta(seconds=1)), ("000000000100000R", timedelta(minutes=1)),
        ("000000010000000R", timedelta(hours=1)), ("000001000000000R", timedelta(days=1)),
        ("000100000000000R", timedelta(days=30)), ("010000000000000R", timedelta(days=365)),
        ("020304050607000R", timedelta(days=2 * 365 + 3 * 30 + 4, hours=5, minutes=6, seconds=7)),
    ):  # fmt: skip
        assert times.parse(text, NOW) == NOW + after
    for text, at in (  # an absolute time has its zone
        ("260501090000032+", "2026-05-01T09:00:00+08:00"), ("260501090000732+", "2026-05-01T09:00:00.7+08:00"),
        ("260501090000001-", "2026-05-01T09:00:00-00:15"), ("260501090000048-", "2026-05-01T09:00:00-12:00"),
        ("260501090000000+", "2026-05-01T09:00:00+00:00"), (" 991231235959032+\0", "2099-12-31T23:59:59+08:00"),
    ):  # fmt: skip
        found = times.parse(text, NOW)
        assert found == datetime.fromisoformat(at)
        assert found is not None
        assert times.absolute(found) == text.strip(" \0")
    for text in ("", " ", "\0\0"):  # no time is none
        assert times.parse(text, NOW) is None
    for text in (  # what is no time is refused
        "1", "26050109000003+", "2605010900000320+", "260501090000032x", "260501090000049+", "260501o90000032+",
        "２60501090000032+", "261301090000032+", "260501250000032+", "-60501090000032+",
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r".+"):
            times.parse(text, NOW)
