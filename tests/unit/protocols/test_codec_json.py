"""PDUs as JSON objects: what does not fit is refused where it is read, by the name of its field."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.protocols.dialects import CMPP20, CMPP30, SGIP12, SMGP30, SMPP34, Dialect
from smsgw.protocols.errors import Malformed
from smsgw.protocols.fields import Tlv
from smsgw.protocols.pdu import Unknown
from smsgw.protocols.render import from_fields, to_fields
from smsgw.protocols.sgip import pdus as sgip
from smsgw.protocols.smpp import pdus as smpp


@pytest.mark.parametrize(
    ("dialect", "name", "field", "value"),
    [
        (CMPP30, "CMPP_SUBMIT", "Pk_total", 256), (CMPP30, "CMPP_SUBMIT", "Pk_total", -1),
        (CMPP30, "CMPP_SUBMIT", "Pk_total", "1"), (CMPP30, "CMPP_SUBMIT", "Pk_total", True),
        (CMPP30, "CMPP_SUBMIT", "Msg_Id_hex", "00"), (CMPP30, "CMPP_SUBMIT", "Msg_Id_hex", "no hexadecimal x"),
        (CMPP30, "CMPP_SUBMIT", "Service_Id", "x" * 11), (CMPP30, "CMPP_SUBMIT", "Service_Id", 10),
        (CMPP30, "CMPP_SUBMIT", "Service_Id", "企业"), (CMPP30, "CMPP_SUBMIT", "Dest_terminal_Id", "13800138000"),
        (CMPP30, "CMPP_SUBMIT", "Dest_terminal_Id", [13800138000]),
        (CMPP30, "CMPP_SUBMIT", "Msg_Content_hex", "00" * 256), (CMPP30, "CMPP_SUBMIT", "Msg_Content_hex", 10),
        (CMPP30, "CMPP_CONNECT", "AuthenticatorSource_hex", "00" * 15),
        (SMPP34, "submit_sm", "destination_addr", "1" * 21), (SMPP34, "submit_sm", "tlvs", {"tag": 1}),
        (SMPP34, "submit_sm", "tlvs", 7), (SMPP34, "submit_sm", "tlvs", [["0x0204", "0007"]]),
        (SMPP34, "submit_sm", "tlvs", [{"tag": "port", "value_hex": ""}]),
        (SMPP34, "submit_sm", "tlvs", [{"value_hex": "00"}]),
        (SMPP34, "submit_sm", "tlvs", [{"tag": 65536, "value_hex": ""}]),
        (SMPP34, "submit_sm", "tlvs", [{"tag": 1, "value_hex": "0"}]),
        (SMPP34, "submit_multi", "dest_address", {"dest_flag": 1}),
        (SMPP34, "submit_multi", "dest_address", ["13800138000"]),
        (SGIP12, "SGIP_REPORT", "SubmitSequenceNumber", [1, 2]), (SGIP12, "SGIP_REPORT", "SubmitSequenceNumber", 7),
        (SGIP12, "SGIP_REPORT", "SubmitSequenceNumber", [1, 2, 1 << 32]),
        (SGIP12, "SGIP_UNBIND", "Sequence_Number", [1, 2]), (SGIP12, "SGIP_UNBIND", "Sequence_Number", 7),
        (CMPP20, "CMPP_ACTIVE_TEST", "Sequence_Id", 1 << 32), (CMPP20, "CMPP_ACTIVE_TEST", "Sequence_Id", "seven"),
        (CMPP20, "CMPP_SUBMIT", "LinkID", "of 3.0 only"), (SMGP30, "SMGP_SUBMIT", "Priorty", 1),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_its_name(dialect: Dialect, name: str, field: str, value: Any) -> None:
    with pytest.raises(Malformed) as caught:
        from_fields(dialect, {field: value}, name=name)
    assert (caught.value.pdu_name, caught.value.field) == (name, field)


def test_one_of_the_entries_of_a_list_is_refused_by_its_own_name() -> None:
    with pytest.raises(Malformed) as caught:
        from_fields(SMPP34, {"dest_address": [{"dest_flag": 3}]}, name="submit_multi")
    assert caught.value.field == "dest_flag"


def test_what_is_missing_is_the_default() -> None:
    assert from_fields(SMPP34, {}, name="submit_sm") == smpp.SubmitSm()
    assert from_fields(SGIP12, {}, name="SGIP_UNBIND") == sgip.Unbind()
    assert from_fields(CMPP20, {"Command_Id": "0x00000008"}) == CMPP20.pdus[8]()


def test_tags_are_numbers_in_either_way_of_writing() -> None:
    entries = [{"tag": "0x0204", "value_hex": "0007"}, {"tag": 0x020A}]
    pdu = from_fields(SMPP34, {"tlvs": entries}, name="submit_sm")
    assert pdu == smpp.SubmitSm(tlvs=(Tlv(0x0204, b"\0\7"), Tlv(0x020A, b"")))


def test_an_answer_of_a_header_alone_has_no_body_and_one_with_fields_has() -> None:
    head = {"command_id": "0x80000004", "command_status": 8, "sequence_number": 7}
    assert len(SMPP34.encode(from_fields(SMPP34, head))) == 16
    said = from_fields(SMPP34, {**head, "message_id": "a"})
    assert SMPP34.encode(said)[16:] == b"a\0"
    assert "message_id" not in to_fields(SMPP34, from_fields(SMPP34, head))
    # Requests have their body in any case, and other protocols' answers.
    assert len(SMPP34.encode(from_fields(SMPP34, {"sequence_number": 7}, name="submit_sm"))) > 16
    assert len(SGIP12.encode(from_fields(SGIP12, {}, name="SGIP_SUBMIT_RESP"))) == 29


def test_a_command_that_nobody_knows_keeps_its_octets() -> None:
    fields = {"command_id": 0x01FF, "sequence_number": 7, "body_hex": "0102"}
    assert from_fields(SMPP34, fields) == Unknown(0x01FF, 7, 0, b"\1\2")
    for wrong, field in (({"command_id": -1}, "command_id"), ({}, "command_id")):
        with pytest.raises(Malformed) as caught:
            from_fields(SMPP34, wrong)
        assert caught.value.field == field
    with pytest.raises(Malformed, match="no PDU of this name"):
        from_fields(SMPP34, {}, name="SGIP_BIND")
    with pytest.raises(Malformed, match="not the command id of submit_sm"):
        from_fields(SMPP34, {"command_id": 5}, name="submit_sm")
