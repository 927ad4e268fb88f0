"""Recordings: nothing personal is left in them, and they are replayed with new ids."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from smsgw.core import text, udh
from smsgw.core.text import Coding
from smsgw.protocols.cmpp import pdus as cmpp, reports as cmpp_reports
from smsgw.protocols.dialects import CMPP30, DIALECTS, SMPP34
from smsgw.protocols.pdu import Tlv, Unknown
from smsgw.protocols.sgip import pdus as sgip
from smsgw.protocols.smgp import pdus as smgp, reports as smgp_reports
from smsgw.protocols.smpp import pdus as smpp, tlvs
from smsgw.recording import Masker, Recorder, Recording, RecordingError, Seen, Turn, read
from smsgw.simulator.plan import understand
from smsgw.simulator.replay import Replay

PHONE = "13800138000"


def submit(n: int, phone: str = PHONE, **more: Any) -> smpp.SubmitSm:
    fields = {"source_addr": "10690001", "destination_addr": phone, "short_message": b"text %d" % n} | more
    return smpp.SubmitSm(sequence=n, **fields)


def receipt(text_id: str, tlv_id: str = "", phone: str = PHONE) -> smpp.DeliverSm:
    text = f"id:{text_id} stat:DELIVRD err:000".encode() if text_id else b""
    given = (Tlv(tlvs.RECEIPTED_MESSAGE_ID, tlv_id.encode() + b"\0"),) if tlv_id else ()
    return smpp.DeliverSm(esm_class=4, source_addr=phone, destination_addr="10690001", short_message=text, tlvs=given)


def exchange(answer: str, report: smpp.DeliverSm, n: int = 1) -> list[Seen | Turn]:
    return [
        Seen(n, 1, True, submit(n)),
        Seen(n + 0.25, 1, False, smpp.SubmitSmResp(sequence=n, message_id=answer)),
        Seen(n + 0.5, 1, False, report),
    ]


def test_ids_are_new_and_spelled_as_they_were() -> None:
    for answers, texts, parameters, bases in (
        (["12345678", "4096"], ["12345678", "4096"], [], (10, 10)),
        (["16fee0e5", "abc"], ["385802469", "2748"], [], (16, 10)),
        (["385802469", "2748"], ["16FEE0E5", "ABC"], [], (10, 16)),
        (["0059113978", "0000436949"], ["59113978", "436949"], ["38601fa", "6aad5"], (10, 10)),
        (["0e999f21", "AB12"], ["E999F21", "ab12"], [], (16, 16)),
        (["SAR-7-1edf843x", "SAR-8-2z"], ["sar-7-1edf843X", "SAR-8-2z"], [], None),
    ):
        events: list[Seen | Turn] = []
        for n, (answer, told) in enumerate(zip(answers, texts, strict=True)):
            tlv = parameters[n] if parameters else ""
            events += exchange(answer, receipt(told, tlv), n + 1)
        plan = understand(Recording("smpp34", events=events))
        assert (plan.timed, plan.bases.get("answer")) == ([], bases[0] if bases else None)
        seen: set[str] = set()
        for seed in range(20):
            replay = Replay(plan, random.Random(seed))  # noqa: S311
            for n in range(len(answers)):
                live = submit(100 + n, f"1390000{n:04}")
                attempt = replay.submit(live)
                ((delay, recorded),) = attempt.answers
                assert delay == 0.25
                told: Any = replay.answer(recorded)
                ((delivery),) = attempt.deliveries
                assert delivery.delay == 0.5
                report: Any = replay.delivery(delivery.pdu, live)
                assert report.source_addr == live.destination_addr
                new = report.short_message.decode().split()[0].removeprefix("id:")
                assert told.message_id not in seen
                seen.add(told.message_id)
                if bases:
                    assert int(told.message_id, bases[0]) == int(new, bases[1])
                    if parameters:
                        assert int(report.tlv(tlvs.RECEIPTED_MESSAGE_ID)[:-1], 16) == int(new, 10)
                else:
                    assert told.message_id.lower() == new.lower()
                zeros = [len(w) - len(w.lstrip("0")) > 0 for w in (answers[n], texts[n])]
                assert [w.startswith("0") for w in (told.message_id, new)] == zeros


@pytest.mark.parametrize("swapped", [False, True])
def test_octets_may_be_turned_round(swapped: bool) -> None:
    ids = [0x1122334455667700, 0x1122334455667701]
    events: list[Seen | Turn] = []
    for n, given in enumerate(ids):
        cited = int.from_bytes(given.to_bytes(8, "little"), "big") if swapped else given
        content = cmpp_reports.encode(cmpp_reports.Report(msg_id=cited, stat="DELIVRD", dest_terminal_id=PHONE), 30)
        request = cmpp.Submit(sequence=n, dest_terminal_id=(PHONE,), msg_content=b"%d" % n)
        events += [
            Seen(n, 1, True, request),
            Seen(n, 1, False, cmpp.Deliver(src_terminal_id=PHONE, registered_delivery=1, msg_content=content)),
            Seen(n + 0.1, 1, False, cmpp.SubmitResp(sequence=n, msg_id=given)),
        ]
    plan = understand(Recording("cmpp30", events=events))
    replay = Replay(plan, random.Random(1))  # noqa: S311
    new = set()
    for n in range(2):
        live = cmpp.Submit(dest_terminal_id=(f"1390000000{n}",), msg_content=b"any")
        attempt = replay.submit(live)
        answer: Any = replay.answer(attempt.answers[0][1])
        report: Any = replay.delivery(attempt.deliveries[0].pdu, live)
        assert attempt.deliveries[0].delay == 0.0  # before its answer
        cited = int.from_bytes(report.msg_content[:8], "little" if swapped else "big")
        assert cited == answer.msg_id not in ids
        new.add(cited)
    assert len(new) == 2


def test_parts_meet_parts_and_repetitions_meet_repetitions() -> None:
    throttled = smpp.SubmitSmResp(sequence=2, command_status=0x58)
    events: list[Seen | Turn] = [
        Seen(0, 1, True, submit(1, short_message=b"\x05\x00\x03\x07\x02\x02b", esm_class=0x40)),
        Seen(1, 1, True, submit(2)),
        Seen(1, 1, False, throttled),
        Seen(2, 1, True, submit(3, short_message=b"text 2")),
        Seen(2, 1, False, smpp.SubmitSmResp(sequence=3, message_id="7")),
        Seen(3, 1, False, smpp.SubmitSmResp(sequence=1, message_id="8")),
    ]
    plan = understand(Recording("smpp34", events=events))
    assert [len(tries) for tries in plan.parts] == [1, 2]
    replay = Replay(plan, random.Random(1))  # noqa: S311
    first = replay.submit(submit(9, "13900000001"))
    assert first.answers == [(0, throttled)]
    second = replay.submit(submit(9, "13900000001"))
    assert second.answers[0][1].command_status == 0  # type: ignore[attr-defined]
    assert replay.submit(submit(9, "13900000001")) is None
    assert replay.left == 1
    third = replay.submit(submit(10, "13900000002"))  # no such place is left: any other one
    assert third.answers[0][0] == 3
    assert replay.submit(submit(11)) is None
    assert (replay.replayed, replay.left) == (3, 0)


def test_ends_of_connections_and_what_is_no_recording() -> None:
    events: list[Seen | Turn] = [
        Turn(0, 1, False), Seen(1, 1, True, submit(1)), Turn(1.5, 1, True, by_carrier=True, reset=True),
        Seen(2, 2, True, submit(2)), Seen(2.25, 2, True, smpp.EnquireLink(sequence=3)),
        Turn(20, 2, True, by_carrier=False), Seen(30, 3, True, submit(3)), Seen(31, 3, False, smpp.Unbind(sequence=1)),
        Turn(31.5, 3, True, by_carrier=True), Seen(40, 4, True, submit(4)), Seen(41, 4, True, smpp.Unbind(sequence=9)),
        Turn(42, 4, True, by_carrier=True), Turn(50, 5, True, by_carrier=True),
    ]  # fmt: skip
    plan = understand(Recording("smpp34", events=events))
    cuts = [tries[0].cuts for tries in plan.parts]
    assert cuts == [[(0.5, "rst")], [(0.25, "freeze")], [(1, "logout")], []]
    assert plan.cuts == [(50, "fin")]
    for lines in (  # what is no recording
        [], [b"{"], [b"{}"], [b'{"recording": 9, "protocol": "cmpp30"}'], [b'{"recording": 1, "protocol": "x"}'],
        [b'{"recording": 1, "protocol": "cmpp30"}', b'{"t": 1}'],
        [b'{"recording": 1, "protocol": "cmpp30"}', b'{"t":1,"link":1,"from":"client","protocol":"cmpp30","hex":"00"}'],
    ):  # fmt: skip
        with pytest.raises(RecordingError):
            read(lines)


def test_reports_of_submits_that_were_never_answered_and_of_none() -> None:
    reference = Tlv(tlvs.USER_MESSAGE_REFERENCE, b"\0\7")
    lost = receipt("555")
    lost.tlvs = (reference,)
    events: list[Seen | Turn] = [
        Seen(1, 1, True, submit(1)),
        Seen(2, 1, False, lost),
        Seen(3, 1, False, receipt("666", phone="13800000009")),
        Seen(4, 1, False, smpp.DeliverSm(source_addr="86" + PHONE, destination_addr="1069000177", short_message=b"TD")),
        Seen(5, 1, False, smpp.DeliverSm(source_addr="13800000008", destination_addr="10690001", short_message=b"TD")),
    ]
    plan = understand(Recording("smpp34", "10690001", events=events))
    (((attempt),),) = plan.parts
    assert [(d.report, d.delay) for d in attempt.deliveries] == [(True, 1), (False, 3)]
    assert [(d.report, d.delay) for d in plan.timed] == [(True, 3), (False, 5)]
    replay = Replay(plan, random.Random(1), new_access_code="95555")  # noqa: S311
    alone: Any = replay.delivery(plan.timed[1].pdu, None)
    assert (alone.source_addr, alone.destination_addr) == ("13800000008", "95555")
    live = submit(1, "13911111111", tlvs=(Tlv(tlvs.USER_MESSAGE_REFERENCE, b"\x12\x34"),))
    replay.submit(live)
    told: Any = replay.delivery(attempt.deliveries[0].pdu, live)
    assert told.tlv(tlvs.USER_MESSAGE_REFERENCE) == b"\x12\x34"
    asked: Any = replay.delivery(attempt.deliveries[1].pdu, live)
    assert (asked.source_addr, asked.destination_addr) == ("8613911111111", "1069000177")


VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "vectors" / "vectors.json").read_text("utf-8"))[
    "pdus"
]
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


def test_the_same_stays_the_same_and_secrets_go() -> None:
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
    masker = Masker(KEY)  # secrets and what is not understood
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
    deliver = cmpp.Deliver(
        registered_delivery=1, src_terminal_id="8613800138000", msg_content=cmpp_reports.encode(report, 30)
    )
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
