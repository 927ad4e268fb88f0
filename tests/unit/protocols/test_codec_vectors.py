"""Every vector both ways, reports, logins, and PDUs as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smsgw.protocols.cmpp import auth, msgid, reports as cmpp
from smsgw.protocols.dialects import CMPP20, CMPP30, DIALECTS, SGIP12, SMGP30, SMPP34, by_name
from smsgw.protocols.errors import FramingLost, Malformed
from smsgw.protocols.fields import Tlv
from smsgw.protocols.pdu import Pdu, Unknown
from smsgw.protocols.render import from_fields, to_fields
from smsgw.protocols.sgip import pdus as sgip_pdus, reports as sgip
from smsgw.protocols.smgp import reports as smgp
from smsgw.protocols.smgp.auth import authenticator_client, authenticator_server
from smsgw.protocols.smpp import pdus as smpp_pdus, reports as smpp, tlvs
from smsgw.protocols.smpp.ids import canonical, same_message_id
from smsgw.protocols.smpp.pdus import DataSm, DeliverSm

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "vectors.json").read_text(encoding="utf-8"))
PDUS: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in VECTORS["pdus"]}
MALFORMED: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in VECTORS["malformed"]}


def test_octets_to_fields() -> None:
    for vector in PDUS.values():
        dialect = by_name(vector["protocol"])
        frame = bytes.fromhex(vector["hex"])
        pdu = dialect.decode(frame)
        assert pdu.pdu_name == vector["pdu"]
        assert list(to_fields(dialect, pdu).items()) == list(vector["fields"].items())
        assert dialect.encode(pdu) == frame
        assert dialect.decode(memoryview(frame)) == pdu
    for vector in PDUS.values():  # fields to octets
        dialect = by_name(vector["protocol"])
        assert dialect.encode(from_fields(dialect, vector["fields"])).hex() == vector["hex"]


#: What the codec must make of each malformed vector; a PDU class name, "incomplete", "lost", or the
#: kind of `Malformed`. Vectors that are sound PDUs in a wrong context are the session's business.
OUTCOMES = {
    "cmpp-bad-len-8": "lost", "cmpp-http-on-port": "lost", "cmpp-truncated-submit": "incomplete",
    "cmpp-unknown-command": "Unknown", "cmpp-submit-msglen-overrun": "message-length", "cmpp-submit-no-body": "length",
    "cmpp-version-confusion": "length", "cmpp-connect-wrong-auth": "Connect",
    "cmpp-connect-resp-short-form": "ConnectResp", "cmpp-active-test-resp-no-reserved": "ActiveTestResp",
    "cmpp30-report-60-octets": "Deliver", "cmpp-submit-long-part-9-of-2": "Submit", "smpp-len-15": "lost",
    "smpp-unknown-command": "Unknown", "smpp-truncated": "incomplete", "smpp-tlv-overrun": "tlv",
    "smpp-tlv-unknown": "SubmitSm", "smpp-smlen-overrun": "message-length", "smpp-submit-on-receiver": "SubmitSm",
    "smpp-bind-wrong-password": "BindReceiver", "smpp-dest-too-long": "address-too-long",
    "smpp-resp-without-nul": "SubmitSmResp", "smpp-resp-unknown-seq": "SubmitSmResp",
    "smpp-submit-sar-and-udh": "SubmitSm", "sgip-bad-len-19": "lost", "smgp-tlv-half": "tlv",
}  # fmt: skip


def outcome(vector: dict[str, Any]) -> tuple[str, Pdu | Malformed | None]:
    dialect = by_name(vector["protocol"])
    try:
        frames = dialect.framer().feed(bytes.fromhex(vector["hex"]))
    except FramingLost:
        return "lost", None
    if not frames:
        return "incomplete", None
    try:
        pdu = dialect.decode(frames[0])
    except Malformed as fault:
        return fault.kind, fault
    return type(pdu).__name__, pdu


@pytest.mark.parametrize("vector", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(vector: dict[str, Any]) -> None:
    found, result = outcome(vector)
    assert found == OUTCOMES[vector["id"]]
    if isinstance(result, Malformed):
        reply = vector["expect"]["reply"]
        assert result.sequence == reply["sequence"]
        assert result.command_id | 0x80000000 == int(reply["command_id"], 16)
        assert result.offset is not None


def test_dialects_know_their_pdus_and_layouts() -> None:
    _, pdu = outcome(MALFORMED["cmpp-connect-resp-short-form"])
    assert (pdu.status, pdu.version) == (0, 0x21)  # type: ignore[union-attr]
    broadcast = bytes.fromhex(PDUS["smpp50-broadcast-sm-1"]["hex"])  # dialects know only their pdus
    assert isinstance(DIALECTS["smpp34"].decode(broadcast), Unknown)
    assert not isinstance(DIALECTS["smpp50"].decode(broadcast), Unknown)


DERIVED = {vector["id"]: vector for vector in VECTORS["derived"]}
RECEIPTS = [vector for vector in DERIVED.values() if vector["kind"] == "smpp_receipt_text"]


def test_cmpp_reports_of_either_length() -> None:
    for width, version in ((60, 20), (71, 30)):
        report = cmpp.Report(
            msg_id=0xB2B9DA8000010000,
            stat="MK:0012",
            submit_time="2402291234",
            done_time="2402291236",
            dest_terminal_id="13800138000",
            smsc_sequence=5,
        )
        octets = cmpp.encode(report, version)
        assert len(octets) == width
        assert cmpp.decode(octets) == report
    vector = MALFORMED["cmpp30-report-60-octets"]  # cmpp report of 60 octets in a session of 3 0
    report = cmpp.of_deliver(CMPP30.decode(bytes.fromhex(vector["hex"])))  # type: ignore[arg-type]
    assert report is not None
    shown = cmpp.to_fields(report)
    expected = vector["expect"]["report"]
    assert {key: shown[key] for key in expected} == expected
    frame = bytearray.fromhex(PDUS["cmpp30-deliver-report-1"]["hex"])
    at = frame.index(b"\x47" + bytes.fromhex("2eb22e0027110007"))
    frame[at] = 60
    pdu = CMPP30.decode(frame)
    assert len(pdu.msg_content) == 71  # type: ignore[attr-defined]
    for declared in (59, 61, 0):  # only a length of 60 is taken for 71
        frame = bytearray.fromhex(PDUS["cmpp30-deliver-report-1"]["hex"])
        frame[frame.index(b"\x47" + bytes.fromhex("2eb22e0027110007"))] = declared
        with pytest.raises(Malformed, match="octets left over"):
            CMPP30.decode(frame)
    with pytest.raises(Malformed, match=r"SMSC_sequence"):  # cmpp report too short
        cmpp.decode(bytes(59))


def test_receipt_texts_are_read_and_built() -> None:
    for vector in RECEIPTS:
        receipt = smpp.parse(vector["input"]["text"])
        assert receipt is not None
        assert smpp.to_fields(receipt) == vector["expect"]
    for text, expected in (  # receipts without grammar
        ("id:1 submitdate:1 donedate:2 stat:DELIVRD", {"submit_date": "1", "done_date": "2", "stat": "DELIVRD"}),
        ("stat:UNDELIV err:0x2A id:ab-c-1", {"id": "ab-c-1", "err": "0x2A", "stat": "UNDELIV"}),
        ("id:7 stat:EXPIRED err:3 text:your id:9 stat:DELIVRD", {"id": "7", "text": "your id:9 stat:DELIVRD"}),
        ("id:7 text:hello stat:DELIVRD err:000", {"text": "hello", "stat": "DELIVRD", "err": "000"}),
        ("id:7 err: stat:DELIVRD Text:a\0", {"err": "", "stat": "DELIVRD", "text": "a"}),
        ("ID:7 SUB:1 STAT:delivrd", {"id": "7", "sub": "1", "stat": "delivrd"}),
    ):
        receipt = smpp.parse(text)
        assert receipt is not None
        shown = smpp.to_fields(receipt)
        assert {key: shown[key] for key in expected} == expected
    for text in ("", "hello", "invalid:1 sub:3", "my state:fine"):  # no receipt
        assert smpp.parse(text) is None
    receipt = smpp.Receipt("0a1b", "001", "001", "2402291234", "2402291235", "DELIVRD", "000", "hello")
    assert smpp.parse(smpp.build(receipt)) == receipt
    with pytest.raises(ValueError, match="blank"):
        smpp.build(smpp.Receipt(id="1 stat:DELIVRD", stat="UNDELIV"))
    with pytest.raises(ValueError, match="needs an id"):
        smpp.build(smpp.Receipt(id="1"))
    # Appendix B has no way of leaving a label out.
    written = smpp.build(smpp.Receipt(id="0a1b", stat="UNDELIV", text="x" * 30))
    assert written == (
        "id:0a1b sub:001 dlvrd:000 submit date:0000000000 done date:0000000000 stat:UNDELIV err:000 text:" + "x" * 20
    )


TEXT = b"id:1 sub:001 dlvrd:001 submit date:2402291234 done date:2402291235 stat:DELIVRD err:000 text:"


def test_receipts_are_found_in_text_payload_or_parameters() -> None:
    found = smpp.of_deliver(DeliverSm(short_message=TEXT))
    assert found is not None
    assert (found.id, found.state, found.final) == ("1", "DELIVRD", True)
    assert smpp.of_deliver(DeliverSm(short_message=b"id:1 stat:me up")) is None
    assert smpp.of_deliver(DeliverSm(esm_class=0x08, short_message=TEXT)) is None
    found = smpp.of_deliver(DataSm(esm_class=0x44, tlvs=(Tlv(tlvs.MESSAGE_PAYLOAD, TEXT),)))
    assert found is not None
    assert found.message_ids == ("1",)
    given = (Tlv(tlvs.RECEIPTED_MESSAGE_ID, b"38601fa\0"), Tlv(tlvs.MESSAGE_STATE, b"\x06"))
    found = smpp.of_deliver(DeliverSm(tlvs=given))
    assert found is not None
    assert (found.message_ids, found.state, found.final) == (("38601fa",), "ACCEPTD", False)
    given = (Tlv(tlvs.MESSAGE_STATE, b"5"),)  # parameters count more than the text
    found = smpp.of_deliver(DeliverSm(esm_class=4, short_message=TEXT, tlvs=given))
    assert found is not None
    assert found.state == "UNDELIV"
    found = smpp.of_deliver(DeliverSm(esm_class=4, short_message=b"?"))  # flagged without content is an empty receipt
    assert found == smpp.Receipt()
    assert smpp.of_deliver(DeliverSm(short_message=b"hello")) is None
    frame = bytearray(SMPP34.encode(DeliverSm(esm_class=4, short_message=TEXT)))
    frame += bytes.fromhex("001e0041") + b"12345"
    frame[:4] = len(frame).to_bytes(4, "big")
    found = smpp.of_deliver(SMPP34.decode(frame))  # type: ignore[arg-type]
    assert found is not None
    assert found.id == "1"
    found = smpp.of_deliver(DeliverSm(esm_class=4, data_coding=8, short_message=TEXT.decode().encode("utf-16-be")))
    assert found is not None
    assert (found.id, found.stat) == ("1", "DELIVRD")


def test_message_ids_are_the_same_number() -> None:
    pdu = SMPP34.decode(bytes.fromhex(PDUS["smpp34-deliver-sm-receipt-1"]["hex"]))
    found = smpp.of_deliver(pdu)  # type: ignore[arg-type]
    assert found is not None
    assert found.message_ids == ("38601fa", "0059113978")
    assert same_message_id("38601fa", "0059113978", "hex-dec")
    for answer, receipt, mode, same in (  # message id equivalence
        ("16fee0e525", "98765432101", "hex-dec", True), ("98765432101", "16FEE0E525", "dec-hex", True),
        ("16fee0e525", "98765432101", "text", False), ("0x", "0", "hex-dec", False), ("0x", "0", "text", False),
        ("0e999f21-aa", "E999F21-AA", "text", True), ("00B8BE19", "b8be19", "text", True),
        ("0", "000", "text", True),
        ("SAR-2347039245475-1eedf843-2-1", "SAR-2347039245475-1eedf843-2-1", "hex-dec", True),
        ("ab-1", "ab-2", "hex-dec", False), ("", "", "text", False), ("9" * 65, "9" * 66, "dec", False),
    ):  # fmt: skip
        assert same_message_id(answer, receipt, mode) is same  # type: ignore[arg-type]
    assert canonical("00FF", "hex") == "255"  # canonical ids
    assert canonical("0255", "dec") == "255"
    assert canonical("00fF") == "ff"
    assert canonical("000") == "0"
    assert canonical("") == ""


def test_smgp_and_sgip_reports() -> None:
    pdu = SMGP30.decode(bytes.fromhex(PDUS["smgp30-deliver-report-1"]["hex"]))
    report = smgp.of_deliver(pdu)  # type: ignore[arg-type]
    assert report is not None
    assert report.text is not None
    assert report.text.decode("gbk").startswith("中国")
    assert report.final
    for identity in (bytes.fromhex("01006101161700012345"), b" stat:NO  ", bytes(10)):
        report = smgp.Report(identity, "001", "001", "2402291234", "2402291235", "DELIVRD", "000", b"hello")
        octets = smgp.build(report)
        assert smgp.parse(octets) == report
        assert smgp.parse(octets.replace(b"submit date", b"Submit date")) == report
    report = smgp.parse(b"id:01006101161700012345 sub:001 stat:UNDELIV err:601")  # smgp report with the id in digits
    assert report.id == bytes.fromhex("01006101161700012345")
    assert (report.stat, report.err) == ("UNDELIV", "601")
    for content in (b"", b"id:", b"id:123", b"nothing", bytes(200)):  # smgp report unreadable
        assert smgp.parse(content) == smgp.Report()
    pdu = SGIP12.decode(bytes.fromhex(PDUS["sgip12-report-1"]["hex"]))  # sgip report
    receipt = sgip.of_report(pdu)  # type: ignore[arg-type]
    assert (receipt.message_id, receipt.number) == ((3010012345, 229123456, 7), "8613000000001")
    assert receipt.delivered
    assert receipt.final
    assert sgip.message_id_text(receipt.message_id) == "301001234502291234560000000007"
    assert not sgip.Receipt((0, 0, 0), "1", sgip.WAITING, 0).final


MSG_IDS = [vector for vector in DERIVED.values() if vector["kind"] == "cmpp_msg_id"]


def test_msg_ids() -> None:
    for vector in MSG_IDS:
        value = int(vector["input"]["hex"], 16)
        expected = dict(vector["expect"])
        assert str(value) == expected.pop("decimal")
        assert msgid.unpack(value)._asdict() == expected
        assert msgid.pack(msgid.unpack(value)) == value
    first = msgid.pack(msgid.MsgId(11, 5, 14, 29, 42, 1, 0xFFFF))  # msg id of a group wraps inside its sequence
    assert msgid.unpack(msgid.of_destination(first, 1)) == msgid.MsgId(11, 5, 14, 29, 42, 1, 0)
    assert msgid.of_destination(first, 0) == first
    with pytest.raises(ValueError, match="gateway"):  # msg id refuses what does not fit
        msgid.pack(msgid.MsgId(1, 1, 1, 1, 1, msgid.MAX_GATEWAY + 1, 0))


def test_authenticators() -> None:
    given, expected = DERIVED["auth-1"]["input"], DERIVED["auth-1"]["expect"]
    assert auth.timestamp_text(given["timestamp"]) == expected["timestamp_text"]
    assert auth.authenticator_source(**given).hex() == expected["digest_hex"]
    for answer, width in (("cmpp20-connect-resp-1", 1), ("cmpp30-connect-resp-1", 4)):  # cmpp gateway digest
        source = bytes.fromhex(PDUS["cmpp20-connect-1"]["fields"]["AuthenticatorSource_hex"])
        digest = bytes.fromhex(PDUS[answer]["fields"]["AuthenticatorISMG_hex"])
        assert auth.authenticator_ismg(0, source, "888888", width) == digest
        assert auth.ismg_width(digest, 0, source, "888888") == width
        assert auth.ismg_width(digest, 0, source, "999999") is None
    given, expected = DERIVED["auth-2"]["input"], DERIVED["auth-2"]["expect"]  # smgp authenticators
    digest = authenticator_client(**given)
    assert digest.hex() == expected["digest_hex"]
    server = PDUS["smgp30-login-resp-1"]["fields"]["AuthenticatorServer_hex"]
    assert authenticator_server(0, digest, "smgp-secret").hex() == server


def test_what_does_not_fit_is_refused_by_its_name() -> None:
    for dialect, name, field, value in (
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
    ):  # fmt: skip
        with pytest.raises(Malformed) as caught:
            from_fields(dialect, {field: value}, name=name)
        assert (caught.value.pdu_name, caught.value.field) == (name, field)
    with pytest.raises(Malformed) as caught:  # one of the entries of a list is refused by its own name
        from_fields(SMPP34, {"dest_address": [{"dest_flag": 3}]}, name="submit_multi")
    assert caught.value.field == "dest_flag"


def test_fields_are_read_as_people_write_them() -> None:
    assert from_fields(SMPP34, {}, name="submit_sm") == smpp_pdus.SubmitSm()
    assert from_fields(SGIP12, {}, name="SGIP_UNBIND") == sgip_pdus.Unbind()
    assert from_fields(CMPP20, {"Command_Id": "0x00000008"}) == CMPP20.pdus[8]()
    entries = [{"tag": "0x0204", "value_hex": "0007"}, {"tag": 0x020A}]  # tags are numbers in either way of writing
    pdu = from_fields(SMPP34, {"tlvs": entries}, name="submit_sm")
    assert pdu == smpp_pdus.SubmitSm(tlvs=(Tlv(0x0204, b"\0\7"), Tlv(0x020A, b"")))
    head = {"command_id": "0x80000004", "command_status": 8, "sequence_number": 7}
    assert len(SMPP34.encode(from_fields(SMPP34, head))) == 16
    said = from_fields(SMPP34, {**head, "message_id": "a"})
    assert SMPP34.encode(said)[16:] == b"a\0"
    assert "message_id" not in to_fields(SMPP34, from_fields(SMPP34, head))
    # Requests have their body in any case, and other protocols' answers.
    assert len(SMPP34.encode(from_fields(SMPP34, {"sequence_number": 7}, name="submit_sm"))) > 16
    assert len(SGIP12.encode(from_fields(SGIP12, {}, name="SGIP_SUBMIT_RESP"))) == 29
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
