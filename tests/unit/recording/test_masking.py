"""Nothing personal is left of a PDU, and everything still belongs together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from smsgw.core import text, udh
from smsgw.core.text import Coding
from smsgw.protocols.cmpp import pdus as cmpp
from smsgw.protocols.cmpp import reports as cmpp_reports
from smsgw.protocols.dialects import CMPP30, DIALECTS, SMPP34
from smsgw.protocols.pdu import Tlv, Unknown
from smsgw.protocols.sgip import pdus as sgip
from smsgw.protocols.smgp import pdus as smgp
from smsgw.protocols.smgp import reports as smgp_reports
from smsgw.protocols.smpp import pdus as smpp
from smsgw.protocols.smpp import tlvs
from smsgw.recording import Masker, Recorder, read

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "vectors.json").read_text("utf-8")
)["pdus"]
KEY = b"k" * 32


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_every_pdu_stays_one_and_keeps_no_number(vector: dict[str, Any]) -> None:
    dialect = DIALECTS[vector["protocol"]]
    pdu = dialect.decode(bytes.fromhex(vector["hex"].replace(" ", "")))
    octets = dialect.encode(Masker(KEY).pdu(pdu))
    masked = dialect.decode(octets)
    assert (type(masked), masked.sequence) == (type(pdu), pdu.sequence)
    for number in set(re.findall(rb"(?<![0-9])(?:1[3-9][0-9]{9}|1069[0-9]{4,})(?![0-9])", dialect.encode(pdu))):
        at_ids = isinstance(pdu, smgp.SubmitResp)  # digits by chance
        assert at_ids or number not in octets, number


def test_the_same_stays_the_same() -> None:
    masker = Masker(KEY)
    number = masker.number("13800138000")
    assert re.fullmatch(r"138[0-9]{8}", number)
    assert number != "13800138000"
    assert masker.number("8613800138000") == "86" + number
    assert masker.number("+8613800138000") == "+86" + number
    assert masker.number("13800138001") not in (number, "13800138001")
    # What replies hang behind a service number stands behind the masked one.
    assert masker.number("1069000177")[:8] == masker.number("10690001")
    assert len({masker.number(f"138{n:08}") for n in range(5000)}) == 5000
    assert Masker(b"other" * 8).number("13800138000") != number


@pytest.mark.parametrize("coding", [Coding.UCS2, Coding.ASCII])
def test_texts_keep_their_length_and_their_headers(coding: Coding) -> None:
    whole = ("短信" if coding is Coding.UCS2 else "text ") * 60
    for segment in text.split(whole, coding, ref=77):
        submit = cmpp.Submit(
            tp_udhi=1, msg_fmt=8 if coding is Coding.UCS2 else 0, msg_content=segment.udh + segment.octets
        )
        masked = Masker(KEY).pdu(submit).msg_content  # type: ignore[attr-defined]
        assert udh.parse(masked).concat == udh.parse(segment.udh).concat
        assert len(masked) == len(segment.udh + segment.octets)
        shown = text.decode(masked[6:], coding)
        assert shown.isprintable()
        assert not set(shown) & set(whole) or coding is Coding.ASCII
        assert masked == Masker(KEY).pdu(submit).msg_content  # type: ignore[attr-defined]


def test_reports_are_still_about_their_submits() -> None:
    masker = Masker(KEY)
    report = cmpp_reports.Report(msg_id=77, stat="MK:0012", dest_terminal_id="13800138000", submit_time="2611241201")
    deliver = cmpp.Deliver(registered_delivery=1, src_terminal_id="8613800138000",
                           msg_content=cmpp_reports.encode(report, 30))  # fmt: skip
    masked: Any = masker.pdu(deliver)
    again = cmpp_reports.decode(masked.msg_content)
    assert (again.msg_id, again.stat, again.submit_time) == (77, "MK:0012", "2611241201")
    assert again.dest_terminal_id == masked.src_terminal_id[2:] == masker.number("13800138000")

    content = smgp_reports.build(smgp_reports.Report(id=b"0123456789", stat="UNDELIV", err="005", text=b"secret"))
    told: Any = masker.pdu(smgp.Deliver(is_report=1, msg_content=content))
    found = smgp_reports.parse(told.msg_content)
    assert (found.id, found.stat, found.err) == (b"0123456789", "UNDELIV", "005")
    assert b"secret" not in told.msg_content

    one = sgip.Report(submit_sequence_number=(1, 2, 3), user_number="8613800138000", state=2, error_code=5)
    assert masker.pdu(one) == one.replace(user_number=masker.number("8613800138000"))


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("id:0aF3 sub:001 dlvrd:001 submit date:2611241201 done date:2611241202 stat:DELIVRD err:000 text:您好",
         "id:0aF3 sub:001 dlvrd:001 submit date:2611241201 done date:2611241202 stat:DELIVRD err:000 text:"),
        ("hello id:77 stat:UNDELIV to 13800138000 err:0x1F", "id:77 stat:UNDELIV"),
        ("id:8613800138000-7 stat:DELIVRD", "stat:DELIVRD"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("coding", ["latin-1", "utf-16-be"])
def test_receipts_keep_their_labels_and_codes(written: str, kept: str, coding: str) -> None:
    octets = written.encode(coding, "replace")
    pdu = smpp.DeliverSm(
        esm_class=4, source_addr="8613800138000", short_message=octets,
        tlvs=(Tlv(tlvs.RECEIPTED_MESSAGE_ID, b"8613800138000-7\0"), Tlv(tlvs.MESSAGE_STATE, b"\2"),
              Tlv(tlvs.CALLBACK_NUM, b"\1\1\x0013800138000"), Tlv(0x1400, b"vendor")),
    )  # fmt: skip
    masked: Any = Masker(KEY).pdu(pdu)
    shown = masked.short_message.decode(coding)
    assert kept in shown
    assert len(masked.short_message) == len(octets)
    assert "hello" not in shown
    assert "您好" not in shown
    everything = SMPP34.encode(masked)
    assert "13800138000".encode(coding) not in everything
    assert b"13800138000" not in everything
    assert b"vendor" not in everything
    assert masked.tlv(tlvs.MESSAGE_STATE) == b"\2"


def test_secrets_and_what_is_not_understood() -> None:
    masker = Masker(KEY)
    connect: Any = masker.pdu(cmpp.Connect(source_addr="901234", authenticator_source=b"0123456789abcdef"))
    assert connect.authenticator_source == bytes(16)
    assert connect.source_addr != "901234"
    assert masker.pdu(smpp.BindTransceiver(system_id="esme", password="pass word")).password == "masked"  # type: ignore[attr-defined]
    assert masker.pdu(sgip.Bind(login_password="geheim")).login_password == "masked"  # type: ignore[attr-defined]
    assert masker.pdu(Unknown(0x0BAD, 7, 0, b"13800138000")).body == bytes(11)  # type: ignore[attr-defined]
    odd: Any = masker.pdu(cmpp.Deliver(registered_delivery=1, msg_content=b"13800138000"))
    assert odd.msg_content == bytes(11)
    fake = b"\x0b13800138000"  # says that it has a header, and has none that could be read
    assert b"13800138000" not in masker.pdu(cmpp.Submit(tp_udhi=1, msg_content=fake)).msg_content  # type: ignore[attr-defined]


def test_a_recording_is_bounded_and_begins_in_the_middle_of_a_frame() -> None:
    recorder = Recorder({"protocol": "cmpp30"}, Masker(KEY), 100.0, max_bytes=2000)
    frame = CMPP30.encode(cmpp.Submit(sequence=5, dest_terminal_id=("13800138000",), msg_content=b"x"))
    tap = recorder.tap(lambda: CMPP30, 100.0, we_are="client", held=frame[:20])
    tap.received(frame[20:], 101.0)
    tap.written(b"\0\0\0\1garbage", 102.0)
    tap.written(b"more", 103.0)
    tap.closed(104.0, by_us=False, reset=True)
    lines = recorder.lines(recorder.take()) + recorder.end()
    events = [json.loads(line) for line in lines.splitlines()]
    assert [e.get("name") or e.get("event") for e in events] == [
        None, "open", "Submit", "rubbish", "rubbish", "closed", "end",
    ]  # fmt: skip
    assert (events[2]["t"], events[2]["from"], events[2]["sequence"]) == (1.0, "carrier", 5)
    assert (events[5]["by"], events[5]["how"]) == ("carrier", "rst")
    recording = read(lines.splitlines())
    assert recording.unreadable == 2

    for _ in range(20):
        tap.received(frame, 105.0)
    more = recorder.lines(recorder.take())
    assert recorder.over == "the file is full"
    assert len(lines) + len(more) <= 2000 + len(recorder.end())
    tap.received(frame, 106.0)
    assert recorder.take() == []
