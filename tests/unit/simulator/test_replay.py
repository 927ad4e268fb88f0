"""What a recording is understood as, and ids that are new in the old spelling."""

from __future__ import annotations

import random
from typing import Any

import pytest

from smsgw.protocols.cmpp import pdus as cmpp
from smsgw.protocols.cmpp import reports as cmpp_reports
from smsgw.protocols.pdu import Tlv
from smsgw.protocols.smpp import pdus as smpp
from smsgw.protocols.smpp import tlvs
from smsgw.recording import Recording, RecordingError, Seen, Turn, read
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


@pytest.mark.parametrize(
    ("answers", "texts", "parameters", "bases"),
    [
        (["12345678", "4096"], ["12345678", "4096"], [], (10, 10)),
        (["16fee0e5", "abc"], ["385802469", "2748"], [], (16, 10)),
        (["385802469", "2748"], ["16FEE0E5", "ABC"], [], (10, 16)),
        (["0059113978", "0000436949"], ["59113978", "436949"], ["38601fa", "6aad5"], (10, 10)),
        (["0e999f21", "AB12"], ["E999F21", "ab12"], [], (16, 16)),
        (["SAR-7-1edf843x", "SAR-8-2z"], ["sar-7-1edf843X", "SAR-8-2z"], [], None),
    ],
)
def test_ids_are_new_and_spelled_as_they_were(
    answers: list[str], texts: list[str], parameters: list[str], bases: tuple[int, int] | None
) -> None:
    events: list[Seen | Turn] = []
    for n, (answer, text) in enumerate(zip(answers, texts, strict=True)):
        tlv = parameters[n] if parameters else ""
        events += exchange(answer, receipt(text, tlv), n + 1)
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


def test_ends_of_connections() -> None:
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


@pytest.mark.parametrize(
    "lines",
    [[], [b"{"], [b"{}"], [b'{"recording": 9, "protocol": "cmpp30"}'], [b'{"recording": 1, "protocol": "x"}'],
     [b'{"recording": 1, "protocol": "cmpp30"}', b'{"t": 1}'],
     [b'{"recording": 1, "protocol": "cmpp30"}', b'{"t":1,"link":1,"from":"client","protocol":"cmpp30","hex":"00"}']],
)  # fmt: skip
def test_what_is_no_recording(lines: list[bytes]) -> None:
    with pytest.raises(RecordingError):
        read(lines)
