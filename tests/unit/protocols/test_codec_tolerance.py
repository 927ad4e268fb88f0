"""Liberal in what is read, strict in what is written."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.protocols.cmpp import pdus as cmpp
from smsgw.protocols.dialects import CMPP20, CMPP30, SGIP12, SMGP13, SMGP30, SMPP34, SMPP50, Dialect
from smsgw.protocols.errors import FramingLost, Malformed
from smsgw.protocols.fields import Tlv
from smsgw.protocols.pdu import Unknown
from smsgw.protocols.sgip import pdus as sgip
from smsgw.protocols.smgp import pdus as smgp
from smsgw.protocols.smpp import pdus as smpp


def frame(head: str, body: bytes) -> bytes:
    octets = bytes.fromhex(head) + body
    return (len(octets) + 4).to_bytes(4, "big") + octets


BARE_IN_34 = {smpp.BindTransmitterResp, smpp.BindReceiverResp, smpp.SubmitSmResp}
"""Whose body is not returned with an error: SMPP 3.4, notes to 4.1.2, 4.1.4 and 4.4.2. No other table says so."""
ERROR_BODIES = {
    smpp.BindTransceiverResp: "00",
    smpp.DeliverSmResp: "00",
    smpp.DataSmResp: "00",
    smpp.QuerySmResp: "00000700",
    smpp.SubmitMultiResp: "0000",
    smpp.CancelSmResp: "",
    smpp.ReplaceSmResp: "",
    smpp.UnbindResp: "",
    smpp.EnquireLinkResp: "",
    smpp.GenericNack: "",
}


@pytest.mark.parametrize("kind", [c for i, c in SMPP34.pdus.items() if i & 0x80000000], ids=lambda c: c.pdu_name)
def test_error_answers_have_the_fields_that_the_book_gives_them(kind: type[smpp.SmppPdu]) -> None:
    octets = SMPP34.encode(kind(sequence=7, command_status=0x58))
    assert octets[16:].hex() == ("" if kind in BARE_IN_34 else ERROR_BODIES[kind])
    found = SMPP34.decode(octets)
    assert (type(found), found.command_status) == (kind, 0x58)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [c for i, c in SMPP50.pdus.items() if i & 0x80000000], ids=lambda c: c.pdu_name)
def test_error_answers_have_no_body_in_5_0(kind: type[smpp.SmppPdu]) -> None:
    """5.0, 3.2.1.3."""
    assert len(SMPP50.encode(kind(sequence=7, command_status=0x58))) == 16


@pytest.mark.parametrize("dialect", [SMPP34, SMPP50], ids=lambda d: d.name)
@pytest.mark.parametrize("kind", [c for i, c in SMPP34.pdus.items() if i & 0x80000000], ids=lambda c: c.pdu_name)
def test_error_answers_are_read_with_and_without_a_body(dialect: Dialect, kind: type[smpp.SmppPdu]) -> None:
    head = kind.command_id.to_bytes(4, "big").hex() + "0000005800000007"
    for body in ("", ERROR_BODIES.get(kind, "00")):
        octets = frame(head, bytes.fromhex(body))
        found = dialect.decode(octets)
        assert found == kind(sequence=7, command_status=0x58)
        assert dialect.encode(found) == octets, "as it came"


def test_answers_that_say_yes_have_their_body() -> None:
    assert len(SMPP34.encode(smpp.DeliverSmResp(sequence=7))) == 17
    assert len(SMPP34.encode(smpp.SubmitSmResp(sequence=7))) == 17


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


def test_a_broken_parameter_of_a_delivery_behind_a_nul_leaves_what_came_before() -> None:
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


def test_so_are_those_of_a_centre_that_asks_to_be_bound_to() -> None:
    found = SMPP34.decode(frame("0000000b0000000000000001", b"a-very-long-system-id\0a-very-long-password\0"))
    assert isinstance(found, smpp.Outbind)
    assert (found.system_id, found.password) == ("a-very-long-system-id", "a-very-long-password")
    assert "long-password" not in repr(found)


@pytest.mark.parametrize("field", ["source_addr", "destination_addr"])
def test_long_addresses_are_refused_both_ways(field: str) -> None:
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


@pytest.mark.parametrize(
    ("pdu", "field", "kind"),
    [
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
    ],
)
def test_what_does_not_fit_is_named(pdu: cmpp.CmppPdu, field: str, kind: str) -> None:
    with pytest.raises(Malformed) as caught:
        CMPP30.encode(pdu)
    assert (caught.value.field, caught.value.kind) == (field, kind)
    assert caught.value.command_id == pdu.command_id


CONNECT = CMPP30.encode(cmpp.Connect())
TWO = CMPP30.encode(cmpp.Submit(dest_terminal_id=("1", "2"), msg_content=b"text"))
REPORT = SGIP12.encode(sgip.Report())


@pytest.mark.parametrize(
    ("dialect", "octets", "cut", "field", "offset", "reason"),
    [
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
    ],
)
def test_what_is_cut_off_is_named_with_its_place(
    dialect: Dialect, octets: bytes, cut: int, field: str, offset: int, reason: str
) -> None:
    with pytest.raises(Malformed) as caught:
        dialect.decode(cut.to_bytes(4, "big") + octets[4:cut])
    assert (caught.value.field, caught.value.offset, caught.value.reason) == (field, offset, reason)


def test_other_names_in_a_list_are_refused() -> None:
    with pytest.raises(Malformed, match="cannot stand in dest_address"):
        SMPP34.encode(smpp.SubmitMulti(dest_address=("138",)))  # type: ignore[arg-type]


def test_a_pdu_of_another_version_or_protocol_is_refused() -> None:
    for pdu in (smpp.BroadcastSm(), cmpp.Submit()):
        with pytest.raises(Malformed, match="smpp34 does not have this PDU"):
            SMPP34.encode(pdu)
    assert SMPP50.encode(smpp.BroadcastSm())


@pytest.mark.parametrize(("writer", "reader"), [(CMPP20, CMPP30), (CMPP30, CMPP20)])
def test_cmpp_answers_of_the_other_version(writer: object, reader: object) -> None:
    for pdu in (
        cmpp.ConnectResp(sequence=1, status=3, version=0x20),
        cmpp.SubmitResp(sequence=2, msg_id=3, result=8),
        cmpp.DeliverResp(sequence=2, msg_id=3, result=1),
        cmpp.CancelResp(sequence=2, success_id=1),
    ):
        assert reader.decode(writer.encode(pdu)) == pdu  # type: ignore[attr-defined]


def test_numbers_filled_with_blanks() -> None:
    octets = CMPP20.encode(cmpp.Submit(src_id="10690001", dest_terminal_id=("13800138000",)))
    padded = octets.replace(b"10690001" + bytes(13), b"10690001" + b" " * 13)
    padded = padded.replace(b"13800138000" + bytes(10), b"13800138000" + b" " * 10)
    assert padded != octets
    pdu = CMPP20.decode(padded)
    assert isinstance(pdu, cmpp.Submit)
    assert (pdu.src_id, pdu.dest_terminal_id) == ("10690001", ("13800138000",))


def test_header_only_pdus_with_a_tail() -> None:
    assert isinstance(SMPP34.decode(frame("000000150000000000000001", b"?")), smpp.EnquireLink)
    assert isinstance(CMPP20.decode(frame("0000000800000001", b"\0")), cmpp.ActiveTest)


def test_parameters_where_the_book_has_none() -> None:
    pdu = smpp.CancelSmResp(sequence=1, tlvs=(Tlv(0x0428, b"\x50"),))
    assert SMPP34.decode(SMPP34.encode(pdu)).tlv(0x0428) == b"\x50"
    assert pdu.tlv(0x0001) is None


@pytest.mark.parametrize(("dialect", "size"), [(SMGP30, 126 + 21 + 2), (SMGP13, 120 + 21 + 2)])
def test_smgp_versions(dialect: object, size: int) -> None:
    pdu = smgp.Submit(dest_term_id=("13300000001",), msg_content=b"hi")
    octets = dialect.encode(pdu)  # type: ignore[attr-defined]
    assert len(octets) == size
    assert dialect.decode(octets) == pdu  # type: ignore[attr-defined]


def test_sgip_sequence_is_three_numbers() -> None:
    pdu = sgip.Submit(sequence=(3010012345, 229123456, 7), user_number=("8613800138000",))
    assert SGIP12.decode(SGIP12.encode(pdu)) == pdu
    with pytest.raises(Malformed, match="Sequence_Number"):
        SGIP12.encode(sgip.Unbind(sequence=7))  # type: ignore[arg-type]


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


def test_an_impossible_length_is_seen_before_anything_is_kept() -> None:
    framer = SMPP34.framer(1000)
    assert framer.feed(b"\0\0\x03") == []
    with pytest.raises(FramingLost, match=r"outside 16\.\.1000"):
        framer.feed(b"\xe9")
    with pytest.raises(ValueError, match="smaller"):
        SMPP34.framer(8)


def test_a_frame_must_be_one_pdu() -> None:
    octets = CMPP30.encode(cmpp.ActiveTest(sequence=1))
    for wrong in (octets[:5], octets + b"\0", octets * 2):
        with pytest.raises(Malformed) as caught:
            CMPP30.decode(wrong)
        assert caught.value.kind == "length"


def test_answers_and_their_requests() -> None:
    assert SMPP34.response_class(smpp.SubmitSm()) is smpp.SubmitSmResp
    assert SMPP34.response_class(smpp.Outbind()) is None
    assert SMPP34.response_class(smpp.SubmitSmResp()) is None
    assert SMPP34.response_class(Unknown(command_id=0x110)) is None
    assert SMPP34.is_response(0x80000110)
    assert not SMPP34.is_response(0x00000110)
