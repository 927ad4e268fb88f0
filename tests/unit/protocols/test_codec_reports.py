"""Status reports and receipts in all the spellings that peers use."""

from __future__ import annotations

import pytest
from test_codec_vectors import MALFORMED, PDUS, VECTORS

from smsgw.protocols.cmpp import reports as cmpp
from smsgw.protocols.dialects import CMPP30, SGIP12, SMGP30, SMPP34
from smsgw.protocols.errors import Malformed
from smsgw.protocols.fields import Tlv
from smsgw.protocols.sgip import reports as sgip
from smsgw.protocols.smgp import reports as smgp
from smsgw.protocols.smpp import reports as smpp
from smsgw.protocols.smpp import tlvs
from smsgw.protocols.smpp.ids import canonical, same_message_id
from smsgw.protocols.smpp.pdus import DataSm, DeliverSm

DERIVED = {vector["id"]: vector for vector in VECTORS["derived"]}
RECEIPTS = [vector for vector in DERIVED.values() if vector["kind"] == "smpp_receipt_text"]


def test_cmpp_report_of_either_length() -> None:
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


def test_cmpp_report_of_60_octets_in_a_session_of_3_0() -> None:
    vector = MALFORMED["cmpp30-report-60-octets"]
    report = cmpp.of_deliver(CMPP30.decode(bytes.fromhex(vector["hex"])))  # type: ignore[arg-type]
    assert report is not None
    shown = cmpp.to_fields(report)
    expected = vector["expect"]["report"]
    assert {key: shown[key] for key in expected} == expected


def test_cmpp_report_whose_length_says_60_but_has_room_for_71() -> None:
    frame = bytearray.fromhex(PDUS["cmpp30-deliver-report-1"]["hex"])
    at = frame.index(b"\x47" + bytes.fromhex("2eb22e0027110007"))
    frame[at] = 60
    pdu = CMPP30.decode(frame)
    assert len(pdu.msg_content) == 71  # type: ignore[attr-defined]


@pytest.mark.parametrize("declared", [59, 61, 0])
def test_only_a_length_of_60_is_taken_for_71(declared: int) -> None:
    frame = bytearray.fromhex(PDUS["cmpp30-deliver-report-1"]["hex"])
    frame[frame.index(b"\x47" + bytes.fromhex("2eb22e0027110007"))] = declared
    with pytest.raises(Malformed, match="octets left over"):
        CMPP30.decode(frame)


def test_cmpp_report_too_short() -> None:
    with pytest.raises(Malformed, match=r"SMSC_sequence"):
        cmpp.decode(bytes(59))


@pytest.mark.parametrize("vector", RECEIPTS, ids=lambda vector: vector["id"])
def test_receipt_texts(vector: dict[str, dict[str, str]]) -> None:
    receipt = smpp.parse(vector["input"]["text"])
    assert receipt is not None
    assert smpp.to_fields(receipt) == vector["expect"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id:1 submitdate:1 donedate:2 stat:DELIVRD", {"submit_date": "1", "done_date": "2", "stat": "DELIVRD"}),
        ("stat:UNDELIV err:0x2A id:ab-c-1", {"id": "ab-c-1", "err": "0x2A", "stat": "UNDELIV"}),
        ("id:7 stat:EXPIRED err:3 text:your id:9 stat:DELIVRD", {"id": "7", "text": "your id:9 stat:DELIVRD"}),
        ("id:7 text:hello stat:DELIVRD err:000", {"text": "hello", "stat": "DELIVRD", "err": "000"}),
        ("id:7 err: stat:DELIVRD Text:a\0", {"err": "", "stat": "DELIVRD", "text": "a"}),
        ("ID:7 SUB:1 STAT:delivrd", {"id": "7", "sub": "1", "stat": "delivrd"}),
    ],
)
def test_receipts_without_grammar(text: str, expected: dict[str, str]) -> None:
    receipt = smpp.parse(text)
    assert receipt is not None
    shown = smpp.to_fields(receipt)
    assert {key: shown[key] for key in expected} == expected


@pytest.mark.parametrize("text", ["", "hello", "invalid:1 sub:3", "my state:fine"])
def test_no_receipt(text: str) -> None:
    assert smpp.parse(text) is None


def test_built_receipt_reads_back() -> None:
    receipt = smpp.Receipt("0a1b", "001", "001", "2402291234", "2402291235", "DELIVRD", "000", "hello")
    assert smpp.parse(smpp.build(receipt)) == receipt
    with pytest.raises(ValueError, match="blank"):
        smpp.build(smpp.Receipt(id="1 stat:DELIVRD", stat="UNDELIV"))
    with pytest.raises(ValueError, match="needs an id"):
        smpp.build(smpp.Receipt(id="1"))


def test_a_receipt_of_what_little_is_known_is_written_with_zeros() -> None:
    """Appendix B has no way of leaving a label out."""
    written = smpp.build(smpp.Receipt(id="0a1b", stat="UNDELIV", text="x" * 30))
    assert written == (
        "id:0a1b sub:001 dlvrd:000 submit date:0000000000 done date:0000000000 stat:UNDELIV err:000 text:" + "x" * 20
    )


TEXT = b"id:1 sub:001 dlvrd:001 submit date:2402291234 done date:2402291235 stat:DELIVRD err:000 text:"


def test_receipt_by_text_alone() -> None:
    found = smpp.of_deliver(DeliverSm(short_message=TEXT))
    assert found is not None
    assert (found.id, found.state, found.final) == ("1", "DELIVRD", True)
    assert smpp.of_deliver(DeliverSm(short_message=b"id:1 stat:me up")) is None
    assert smpp.of_deliver(DeliverSm(esm_class=0x08, short_message=TEXT)) is None


def test_receipt_in_message_payload() -> None:
    found = smpp.of_deliver(DataSm(esm_class=0x44, tlvs=(Tlv(tlvs.MESSAGE_PAYLOAD, TEXT),)))
    assert found is not None
    assert found.message_ids == ("1",)


def test_receipt_by_parameters_alone() -> None:
    given = (Tlv(tlvs.RECEIPTED_MESSAGE_ID, b"38601fa\0"), Tlv(tlvs.MESSAGE_STATE, b"\x06"))
    found = smpp.of_deliver(DeliverSm(tlvs=given))
    assert found is not None
    assert (found.message_ids, found.state, found.final) == (("38601fa",), "ACCEPTD", False)


def test_parameters_count_more_than_the_text() -> None:
    given = (Tlv(tlvs.MESSAGE_STATE, b"5"),)
    found = smpp.of_deliver(DeliverSm(esm_class=4, short_message=TEXT, tlvs=given))
    assert found is not None
    assert found.state == "UNDELIV"


def test_flagged_without_content_is_an_empty_receipt() -> None:
    found = smpp.of_deliver(DeliverSm(esm_class=4, short_message=b"?"))
    assert found == smpp.Receipt()
    assert smpp.of_deliver(DeliverSm(short_message=b"hello")) is None


def test_truncated_parameter_leaves_the_receipt() -> None:
    frame = bytearray(SMPP34.encode(DeliverSm(esm_class=4, short_message=TEXT)))
    frame += bytes.fromhex("001e0041") + b"12345"
    frame[:4] = len(frame).to_bytes(4, "big")
    found = smpp.of_deliver(SMPP34.decode(frame))  # type: ignore[arg-type]
    assert found is not None
    assert found.id == "1"


def test_message_ids_of_one_pdu_are_the_same_number() -> None:
    pdu = SMPP34.decode(bytes.fromhex(PDUS["smpp34-deliver-sm-receipt-1"]["hex"]))
    found = smpp.of_deliver(pdu)  # type: ignore[arg-type]
    assert found is not None
    assert found.message_ids == ("38601fa", "0059113978")
    assert same_message_id("38601fa", "0059113978", "hex-dec")


@pytest.mark.parametrize(
    ("answer", "receipt", "mode", "same"),
    [
        ("16fee0e525", "98765432101", "hex-dec", True), ("98765432101", "16FEE0E525", "dec-hex", True),
        ("16fee0e525", "98765432101", "text", False), ("0x", "0", "hex-dec", False), ("0x", "0", "text", False),
        ("0e999f21-aa", "E999F21-AA", "text", True), ("00B8BE19", "b8be19", "text", True),
        ("0", "000", "text", True),
        ("SAR-2347039245475-1eedf843-2-1", "SAR-2347039245475-1eedf843-2-1", "hex-dec", True),
        ("ab-1", "ab-2", "hex-dec", False), ("", "", "text", False), ("9" * 65, "9" * 66, "dec", False),
    ],
)  # fmt: skip
def test_message_id_equivalence(answer: str, receipt: str, mode: str, same: bool) -> None:
    assert same_message_id(answer, receipt, mode) is same  # type: ignore[arg-type]


def test_canonical_ids() -> None:
    assert canonical("00FF", "hex") == "255"
    assert canonical("0255", "dec") == "255"
    assert canonical("00fF") == "ff"
    assert canonical("000") == "0"
    assert canonical("") == ""


def test_smgp_report_of_the_field() -> None:
    pdu = SMGP30.decode(bytes.fromhex(PDUS["smgp30-deliver-report-1"]["hex"]))
    report = smgp.of_deliver(pdu)  # type: ignore[arg-type]
    assert report is not None
    assert report.text is not None
    assert report.text.decode("gbk").startswith("中国")
    assert report.final


@pytest.mark.parametrize("identity", [bytes.fromhex("01006101161700012345"), b" stat:NO  ", bytes(10)])
def test_smgp_report_built_and_by_the_book(identity: bytes) -> None:
    report = smgp.Report(identity, "001", "001", "2402291234", "2402291235", "DELIVRD", "000", b"hello")
    octets = smgp.build(report)
    assert smgp.parse(octets) == report
    assert smgp.parse(octets.replace(b"submit date", b"Submit date")) == report


def test_smgp_report_with_the_id_in_digits() -> None:
    report = smgp.parse(b"id:01006101161700012345 sub:001 stat:UNDELIV err:601")
    assert report.id == bytes.fromhex("01006101161700012345")
    assert (report.stat, report.err) == ("UNDELIV", "601")


@pytest.mark.parametrize("content", [b"", b"id:", b"id:123", b"nothing", bytes(200)])
def test_smgp_report_unreadable(content: bytes) -> None:
    assert smgp.parse(content) == smgp.Report()


def test_receipt_in_ucs2() -> None:
    found = smpp.of_deliver(DeliverSm(esm_class=4, data_coding=8, short_message=TEXT.decode().encode("utf-16-be")))
    assert found is not None
    assert (found.id, found.stat) == ("1", "DELIVRD")


def test_sgip_report() -> None:
    pdu = SGIP12.decode(bytes.fromhex(PDUS["sgip12-report-1"]["hex"]))
    receipt = sgip.of_report(pdu)  # type: ignore[arg-type]
    assert (receipt.message_id, receipt.number) == ((3010012345, 229123456, 7), "8613000000001")
    assert receipt.delivered
    assert receipt.final
    assert sgip.message_id_text(receipt.message_id) == "301001234502291234560000000007"
    assert not sgip.Receipt((0, 0, 0), "1", sgip.WAITING, 0).final
