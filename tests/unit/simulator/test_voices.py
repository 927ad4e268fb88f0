from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random

import pytest

from smsgw.core.text import Coding
from smsgw.core.udh import Concat
from smsgw.protocols.cmpp import msgid
from smsgw.protocols.cmpp import pdus as cmpp
from smsgw.protocols.dialects import by_name
from smsgw.protocols.pdu import Tlv
from smsgw.protocols.smpp import pdus as smpp
from smsgw.simulator.config import CarrierConfig
from smsgw.simulator.dialects import CmppDialect, SmppDialect, coding_of, dialect_of
from smsgw.simulator.inbox import Inbox
from smsgw.simulator.timers import Timers

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "vectors.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("number", "coding"),
    [
        (0, Coding.ASCII), (1, Coding.ASCII), (3, Coding.LATIN1), (4, Coding.BINARY), (8, Coding.UCS2),
        (15, Coding.GB18030), (0x11, Coding.GSM7), (0x15, Coding.BINARY), (0x18, Coding.UCS2), (25, Coding.UCS2),
        (0xF0, Coding.GSM7), (0xF6, Coding.BINARY), (0xC8, Coding.BINARY),
    ],
)  # fmt: skip
def test_alphabets(number: int, coding: Coding) -> None:
    assert coding_of(number, Coding.ASCII) is coding


def test_cmpp_ids_hold_the_time_and_the_gateway_and_never_repeat() -> None:
    voice = CmppDialect(CarrierConfig(gateway=4711), lambda: 7890)
    ids = [voice.new_id(1) for _ in range(5000)]
    assert len(set(ids)) == 5000
    assert {msgid.unpack(id).gateway for id in ids} == {4711}
    assert 1 <= msgid.unpack(ids[0]).month <= 12
    group = voice.new_id(3)
    assert voice.new_id(1) not in {group, voice.id_after(group, 1), voice.id_after(group, 2)}


def test_cmpp_reads_what_others_write() -> None:
    voice = CmppDialect(CarrierConfig(), lambda: 1)
    both_bits = [
        voice.read(cmpp.Submit(tp_udhi=bit, msg_fmt=8, msg_content=bytes.fromhex("0500030702014f60")))
        for bit in (1, 0x40)
    ]
    assert both_bits[0] == both_bits[1]
    assert (both_bits[0].text, both_bits[0].concat) == ("你", Concat(7, 2, 1))
    # a header that lies is text
    broken = voice.read(cmpp.Submit(tp_udhi=1, msg_fmt=0, msg_content=b"\x7fhello"))
    assert (broken.text, broken.concat) == ("\x7fhello", None)
    assert voice.read(cmpp.Query()) is None


def test_smpp_sar_that_cannot_be_is_no_part() -> None:
    voice = SmppDialect(CarrierConfig(protocol="smpp"), Random(1))  # noqa: S311

    def concat(ref: bytes, total: bytes, number: bytes) -> Concat | None:
        tlvs = (Tlv(0x020C, ref), Tlv(0x020E, total), Tlv(0x020F, number))
        submission = voice.read(smpp.SubmitSm(tlvs=tlvs))
        return submission.concat

    assert concat(b"\0\0", b"\2", b"\2") == Concat(0, 2, 2, wide=True)
    assert concat(b"\7", b"\2", b"\1") == Concat(7, 2, 1, wide=True)
    assert concat(b"\0\1", b"\2", b"\3") is None
    assert concat(b"\0\1", b"\0", b"\0") is None
    assert concat(b"", b"\2", b"\1") is None


@pytest.mark.parametrize("name", ["cmpp20", "cmpp30", "smpp34"])
def test_every_submit_of_the_vectors_is_read(name: str) -> None:
    config = CarrierConfig(protocol=name[:4])
    voice = dialect_of(config, Random(1), lambda: 1)  # noqa: S311
    read = {}
    told = {}
    for vector in VECTORS["pdus"]:
        if vector["protocol"] == name:
            submission = voice.read(by_name(name).decode(bytes.fromhex(vector["hex"])))
            if submission is not None:
                assert all(submission.destinations)
                read[vector["id"]] = submission.text
                told[vector["id"]] = vector.get("text", submission.text)
    assert len(read) > 1
    assert read == told


def test_inbox_counts_no_more_than_it_may() -> None:
    inbox = Inbox("x", keep=2, max_counted=2, token_pattern="t.")
    for text in ("t1", "t2", "t3", "t1"):
        inbox.add("1", "2", text, None, 1, 0.0)
    assert inbox.receptions == {("1", "t1"): 2, ("1", "t2"): 1}
    assert inbox.tokens == {"t1": 2, "t2": 1}
    assert (inbox.total, inbox.uncounted, len(inbox.messages)) == (4, 2, 2)


async def test_timers_call_in_order_and_survive_a_failing_call() -> None:
    loop = asyncio.get_running_loop()
    failures: list[object] = []
    loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
    timers = Timers(loop)
    called: list[int] = []
    done = asyncio.Event()
    now = loop.time()
    timers.at(now + 0.03, called.append, 3)
    timers.at(now + 0.01, called.append, 1)
    timers.at(now + 0.01, called.append, 2)
    timers.at(now + 0.02, int, "no number")
    timers.at(now + 0.04, done.set)
    assert len(timers) == 5
    await asyncio.wait_for(done.wait(), 30)
    assert called == [1, 2, 3]
    assert [type(failure) for failure in failures] == [ValueError]
    timers.at(now + 9, done.set)
    timers.clear()
    assert len(timers) == 0
