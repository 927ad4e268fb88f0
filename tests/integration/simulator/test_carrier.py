"""The simulated carrier over real sockets, by the protocols' own sessions, and as a command."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from harness import until
from recordings import leaks
from simulator_client import Client, Start, cmpp_client, config, smgp_client, smpp_client

from smsgw.core import text as texts
from smsgw.core.text import Coding
from smsgw.protocols.cmpp import pdus as cmpp, reports as cmpp_reports
from smsgw.protocols.dialects import CMPP30
from smsgw.protocols.events import Closed, Refused, Request, Violation
from smsgw.protocols.pdu import Tlv
from smsgw.protocols.smpp import pdus as smpp, reports as smpp_reports
from smsgw.simulator import Carrier, CarrierConfig, Delay, Mix, Mo, Rule, ScenarioError, WireLog

PHONE = "13800138000"
SESSIONS = {
    "cmpp20": lambda **k: cmpp_client(0x20, **k), "cmpp30": lambda **k: cmpp_client(0x30, **k), "smpp34": smpp_client,
}  # fmt: skip
every_protocol = pytest.mark.parametrize("spoken", SESSIONS)


def session(spoken: str, **keys: Any) -> Any:
    return SESSIONS[spoken](**keys)


@contextlib.asynccontextmanager
async def talk(spoken: str, **keys: Any) -> AsyncIterator[tuple[Carrier, Client]]:
    """A carrier (``simulator_client.config``), and somebody who is logged in."""
    async with Carrier(config(spoken[:4], **keys)) as gate, Client(session(spoken), gate.port) as client:
        yield gate, client


def report_of(pdu: Any) -> Any:
    return (cmpp_reports if isinstance(pdu, cmpp.Deliver) else smpp_reports).of_deliver(pdu)


def state(pdu: Any) -> str:
    report = report_of(pdu)
    return str(report.stat if isinstance(pdu, cmpp.Deliver) else report.state)


def report_id(pdu: Any) -> Any:
    report = report_of(pdu)
    return report.msg_id if isinstance(pdu, cmpp.Deliver) else report.id


def answer_id(pdu: Any) -> Any:
    return pdu.msg_id if isinstance(pdu, cmpp.SubmitResp) else pdu.message_id


@every_protocol
async def test_submit_answer_report(spoken: str) -> None:
    async with talk(spoken) as (gate, client):
        assert client.session.dialect.name == spoken
        for n in range(300):
            client.submit(f"138{n:08d}", f"你好 {n}")
        await client.until(lambda: len(client.answers) == 300 and len(client.delivered) == 300)
        assert [answer.status for answer in client.answers] == [0] * 300
        ids = [answer_id(answer.pdu) for answer in client.answers]
        assert len(set(ids)) == 300
        assert [report_id(pdu) for pdu in client.delivered] == ids
        assert {state(pdu) for pdu in client.delivered} == {"DELIVRD"}
        assert [m.text for m in gate.messages] == [f"你好 {n}" for n in range(300)]
        assert {(m.source, m.parts, m.connection) for m in gate.messages} == {("10690001", 1, 1)}
    summary = gate.summary()
    assert (summary["unique"], summary["max_receptions"], summary["doubled"]) == (300, 1, 0)
    assert gate.waiting == 0


@every_protocol
async def test_no_report_is_sent_unasked(spoken: str) -> None:
    async with talk(spoken) as (gate, client):
        client.submit(PHONE, "a", registered_delivery=0)
        client.submit("13800138001", "b")
        await client.until(lambda: client.delivered)
    assert (gate.counts.accepted, gate.counts.reports) == (2, 1)


async def test_smpp_report_only_for_failures() -> None:
    async with talk("smpp34", rules=(Rule(suffix="1", report="EXPIRED"),)) as (gate, client):
        client.submit(PHONE, "a", registered_delivery=2)
        client.submit("13800138001", "b", registered_delivery=2)
        await client.until(lambda: client.delivered)
    assert [state(pdu) for pdu in client.delivered] == ["EXPIRED"]
    assert gate.counts.reports == 1


@every_protocol
async def test_long_message_is_joined_and_counted(spoken: str) -> None:
    body = "长" * 66 + "😀" + "尾巴" * 20
    first, second = texts.split(body, Coding.UCS2, ref=77)
    async with talk(spoken) as (gate, client):
        for part in (second, first, first):
            client.submit(PHONE, "", part=part.udh + part.octets)
        await client.until(lambda: len(client.answers) == 3)
    (message,) = gate.messages
    assert (message.text, message.parts) == (body, 2)
    assert gate.receptions == {(PHONE, body): 1}
    # the part that came again is a message that a phone could get twice
    assert gate.summary()["doubled"] == 1


async def test_a_long_message_is_reported_once() -> None:
    first, second = texts.split("长" * 80, Coding.UCS2, ref=77)
    async with talk("cmpp30", one_report=True, report_delay=Delay()) as (_, client):
        for part in (second, first):
            client.submit(PHONE, "", part=part.udh + part.octets)
        await client.until(lambda: client.delivered)
        client.submit(PHONE, "short")
        await client.until(lambda: len(client.delivered) == 2)
    assert [report_id(pdu) for pdu in client.delivered] == [answer_id(a.pdu) for a in client.answers[1:]]


async def test_sar_payload_and_several_destinations() -> None:
    def sar(number: int, content: str) -> smpp.SubmitSm:
        tlvs = (Tlv(0x020C, b"\0\5"), Tlv(0x020E, b"\2"), Tlv(0x020F, bytes((number,))))
        return smpp.SubmitSm(source_addr="1069", destination_addr=PHONE, short_message=content.encode(), tlvs=tlvs)

    async with talk("smpp34") as (gate, client):
        payload = Tlv(0x0424, ("很长" * 100).encode("utf-16-be"))
        several = tuple(smpp.SmeAddress(destination_addr=n) for n in ("1", "2"))
        client.send(
            sar(2, "world"),
            sar(1, "hello "),
            smpp.SubmitSm(destination_addr="13800138001", data_coding=8, tlvs=(payload,)),
            smpp.SubmitMulti(source_addr="1069", dest_address=several, short_message=b"\x1b\x65"),
        )
        await client.until(lambda: len(client.answers) == 4)
    assert gate.receptions == {
        (PHONE, "hello world"): 1, ("13800138001", "很长" * 100): 1, ("1", "€"): 1, ("2", "€"): 1,
    }  # fmt: skip


async def test_cmpp_several_destinations_get_ids_in_a_row() -> None:
    numbers = ("13800138000", "13800138001", "13800138002")
    content = "群发".encode("utf-16-be")
    async with talk("cmpp30") as (_, client):
        client.send(cmpp.Submit(registered_delivery=1, msg_fmt=8, dest_terminal_id=numbers, msg_content=content))
        client.submit("13800138003", "单发")
        await client.until(lambda: len(client.delivered) == 4)
    first = client.answers[0].pdu.msg_id
    found = {pdu.src_terminal_id: report_id(pdu) for pdu in client.delivered}
    assert [found[n] for n in numbers] == [first, first + 1, first + 2]
    assert len(set(found.values())) == 4


@pytest.mark.parametrize(("spoken", "status"), [("cmpp20", 3), ("cmpp30", 3), ("smpp34", 0x0E)])
async def test_logins_are_refused(carrier: Start, spoken: str, status: int) -> None:
    gate = await carrier(spoken[:4], max_connections=1)
    async with Client(session(spoken, password="wrong"), gate.port, refused=True) as wrong:
        assert [one.status for one in wrong.of(Refused)] == [status]
    assert (gate.counts.logins, gate.counts.logins_refused) == (0, 1)
    async with Client(session(spoken), gate.port) as first:
        async with Client(session(spoken), gate.port, refused=True) as second:
            assert second.of(Refused)
        assert not first.closed
    gate.change(refuse_login=5)
    async with Client(session(spoken), gate.port, refused=True) as third:
        assert third.of(Refused)[0].status == 5


async def test_a_gateway_that_knows_2_0_only(carrier: Start) -> None:
    gate = await carrier("cmpp", cmpp_version="2.0")
    async with Client(cmpp_client(0x30), gate.port, refused=True) as newer, Client(cmpp_client(0x21), gate.port):
        assert newer.of(Refused)[0].status == 4


@every_protocol
async def test_rules_by_number_and_text(spoken: str) -> None:
    rules = (
        Rule(suffix="0001", report="UNDELIV"), Rule(suffix="0002", report="none"), Rule(contains="退订", answer=8),
        Rule(suffix="0003", lose_answer=True),
    )  # fmt: skip
    async with talk(spoken, rules=rules) as (gate, client):
        for to in ("13800000001", "13800000002", "13800000003", "13800000004"):
            client.submit(to, "正文")
        client.submit("13800000005", "回T退订")
        await client.until(lambda: len(client.answers) == 4 and len(client.delivered) == 3)
    assert sorted(answer.status for answer in client.answers) == [0, 0, 0, 8]
    assert sorted(state(pdu) for pdu in client.delivered) == ["DELIVRD", "DELIVRD", "UNDELIV"]
    assert gate.counts.answers_lost == 1
    # what was refused has reached no phone
    assert ("13800000005", "回T退订") not in gate.receptions


@every_protocol
async def test_mixes_are_drawn_by_weight(spoken: str) -> None:
    reports = Mix.parse("DELIVRD:1,UNDELIV:1,none:2", str)
    async with talk(spoken, answers=Mix({0: 3.0, 8: 1.0}), reports=reports) as (gate, client):
        for n in range(800):
            client.submit(PHONE, str(n))
        await client.until(lambda: len(client.answers) == 800)
        await until(lambda: gate.counts.reports_acknowledged > 245)
    assert 140 < sum(answer.status == 8 for answer in client.answers) < 260
    states = [state(pdu) for pdu in client.delivered]
    assert 80 < states.count("DELIVRD") < 230
    assert 80 < states.count("UNDELIV") < 230


@pytest.mark.parametrize(("spoken", "status"), [("cmpp30", 8), ("smpp34", 0x58)])
async def test_throttling(spoken: str, status: int) -> None:
    async with talk(spoken, rate=0.1, rate_burst=10.0) as (gate, client):
        for n in range(30):
            client.submit(PHONE, str(n))
        await client.until(lambda: len(client.answers) == 30)
    statuses = [answer.status for answer in client.answers]
    assert statuses[:10] == [0] * 10
    assert statuses.count(status) >= 19
    assert gate.counts.refused[status] == statuses.count(status)


@every_protocol
async def test_answers_late_twice_and_lost(spoken: str) -> None:
    async with talk(spoken, answer_delay=Delay.fixed(0.15), reports=Mix({"none": 1.0})) as (gate, client):
        client.submit(PHONE, "slow")
        await client.until(lambda: len(client.answers) == 1)
        assert client.answers[0].elapsed >= 0.14
        gate.change(answer_delay="0", duplicate_answers=1.0)
        client.submit(PHONE, "twice")
        await client.until(lambda: client.of(Violation))
        assert [v.kind for v in client.of(Violation)] == ["unknown-answer"]
        gate.change(duplicate_answers=0, late_answers=1.0, late_by="200")
        client.submit(PHONE, "late")
        await client.until(lambda: len(client.answers) == 3)
        assert client.answers[2].elapsed >= 0.19
        gate.change(late_answers=0, lose_answers=1)
        client.submit(PHONE, "lost")
        await gate.received(4)
        gate.change(lose_answers=0)
        client.submit(PHONE, "again")
        await client.until(lambda: len(client.answers) == 4)
    assert client.of(Closed)[0].lost[0].sequence == client.answers[3].pdu.sequence - 1


@every_protocol
async def test_a_lost_answer_does_not_hold_up_the_logout(spoken: str) -> None:
    async with talk(spoken, lose_answers=1.0) as (_, client):
        client.submit(PHONE, "lost")
        await client.until(lambda: client.delivered)
        client.log_out()
        await client.until(lambda: client.closed)


@pytest.mark.parametrize("protocol", ["cmpp", "smpp"])
async def test_each_user_gets_its_own_reports(carrier: Start, protocol: str) -> None:
    gate = await carrier(protocol, users={"900001": "secret", "900002": "secret"})
    make = cmpp_client if protocol == "cmpp" else smpp_client
    async with Client(make(), gate.port) as one, Client(make(user="900002"), gate.port) as two:
        one.submit("13800138001", "1")
        two.submit("13800138002", "2")
        gate.send_mo("13800138003", "1069", "MO", user="900002")
        await one.until(lambda: len(one.delivered) == 1)
        await two.until(lambda: len(two.delivered) == 2)
    assert "13800138001" in str(one.delivered)
    assert "13800138002" in str(two.delivered)
    assert "13800138003" in str(two.delivered)


@every_protocol
async def test_reports_early_twice_and_lost(spoken: str) -> None:
    async with talk(spoken, early_reports=1.0) as (gate, client):
        client.submit(PHONE, "early")
        await client.until(lambda: client.answers)
        kinds = [type(event).__name__ for event in client.events]
        assert kinds.index("Request") < kinds.index("Answer")
        assert report_id(client.delivered[0]) == answer_id(client.answers[0].pdu)
        gate.change(early_reports=0, duplicate_reports=1, report_copies=3)
        client.submit(PHONE, "three")
        await client.until(lambda: len(client.delivered) == 4)
        assert len({report_id(pdu) for pdu in client.delivered[1:]}) == 1
        gate.change(duplicate_reports=0, lose_reports=1)
        client.submit(PHONE, "none")
        await client.until(lambda: len(client.answers) == 3)
    assert gate.counts.reports == 4


@every_protocol
@pytest.mark.parametrize("rst", [False, True])
async def test_disconnect_and_redelivery_of_reports(carrier: Start, spoken: str, rst: bool) -> None:
    gate = await carrier(spoken[:4], disconnect_after=5, disconnect_rst=rst, report_delay=Delay.fixed(0.05))
    async with Client(session(spoken), gate.port) as client:
        for n in range(8):
            client.submit(PHONE, str(n))
        await client.until(lambda: client.closed)
        # the fifth was taken and not answered; what came behind it was not taken
        assert len(client.of(Closed)[0].lost) >= 4
    assert gate.counts.accepted == 5
    gate.change(disconnect_after=None)
    async with Client(session(spoken), gate.port) as again:
        await again.until(lambda: len(again.delivered) == 5)
    assert len({report_id(pdu) for pdu in again.delivered}) == 5
    assert gate.summary()["doubled"] == 0


@every_protocol
async def test_unacknowledged_reports_go_again_in_order(carrier: Start, spoken: str) -> None:
    gate = await carrier(spoken[:4])
    async with Client(session(spoken), gate.port) as client:
        client.acknowledge = False
        for n in range(10):
            client.submit(PHONE, str(n))
        await client.until(lambda: len(client.delivered) == 10)
        first = [report_id(pdu) for pdu in client.delivered]
    async with Client(session(spoken), gate.port) as again:
        await again.until(lambda: len(again.delivered) == 10)
        assert [report_id(pdu) for pdu in again.delivered] == first
    assert gate.counts.repeated == 10
    assert gate.counts.reports_acknowledged <= 10


async def test_refused_reports_are_repeated_and_given_up() -> None:
    async with talk("smpp34", redeliveries=1) as (gate, client):
        client.acknowledge = False
        client.submit(PHONE, "a")
        for n in (1, 2):
            await client.until(lambda n=n: len(client.delivered) == n)
            assert gate.owed(within=10) == 1
            client.session.answer(client.of(Request)[-1], status=0x64)
            client.flush()
        await until(lambda: gate.counts.given_up)
        assert gate.owed(within=10) == 0
    assert (gate.counts.repeated, gate.counts.given_up, gate.waiting) == (1, 1, 0)


@every_protocol
async def test_without_a_window_all_reports_come_at_once(spoken: str) -> None:
    async with talk(spoken, window=10, report_delay=Delay.fixed(60.0)) as (gate, client):
        client.acknowledge = False
        for n in range(100):
            client.submit(f"138{n:08d}", "x")
        await client.until(lambda: len(client.answers) == 100)
        assert gate.owed(within=100) == 100
        gate.report_now()
        await client.until(lambda: len(client.delivered) == 10)
        gate.change(no_window=True)
        gate.send_mo(PHONE, "10690001", "TD")
        await client.until(lambda: len(client.delivered) == 101)
        assert gate.counts.reports_acknowledged == 0
        for request in client.of(Request):
            client.session.answer(request)
        client.flush()
        await until(lambda: gate.counts.reports_acknowledged == 100)
        assert gate.counts.repeated == 0


@every_protocol
async def test_refused_reports_are_repeated_until_they_are_taken(spoken: str) -> None:
    async with talk(spoken, redeliveries=1, repeat_refused=Delay.fixed(0.02)) as (gate, client):
        client.acknowledge = False
        client.submit(PHONE, "a")
        for n in range(1, 6):
            await client.until(lambda n=n: len(client.delivered) == n)
            client.session.answer(client.of(Request)[-1], status=0 if n == 5 else 8)
            client.flush()
        await until(lambda: gate.counts.reports_acknowledged)
    assert (gate.counts.repeated, gate.counts.given_up, gate.waiting) == (4, 0, 0)


async def test_a_nack_is_a_refusal() -> None:
    async with talk("smpp34", repeat_refused=Delay.fixed(0.02)) as (_, client):
        client.acknowledge = False
        client.submit(PHONE, "a")
        await client.until(lambda: client.delivered)
        nack = smpp.GenericNack(sequence=client.delivered[0].sequence, command_status=0x14)
        client.session.answer(client.of(Request)[0], nack)
        client.flush()
        await client.until(lambda: len(client.delivered) == 2)


async def test_reports_of_a_transmitter_wait_for_a_receiver(carrier: Start) -> None:
    gate = await carrier("smpp")
    async with Client(smpp_client("transmitter"), gate.port) as sender:
        sender.submit(PHONE, "a")
        await sender.until(lambda: sender.answers)
        async with Client(smpp_client("receiver"), gate.port) as receiver:
            await receiver.until(lambda: receiver.delivered)
        assert not sender.delivered


async def test_reports_are_spread_over_connections(carrier: Start) -> None:
    gate = await carrier("cmpp", window=10)
    async with Client(cmpp_client(), gate.port) as one, Client(cmpp_client(), gate.port) as two:
        for n in range(200):
            one.submit(PHONE, str(n))
        await until(lambda: gate.counts.reports_acknowledged == 200)
        assert len(one.delivered) > 50
        assert len(two.delivered) > 50


@pytest.mark.parametrize(
    ("answer_form", "report_form", "read"),
    [
        ("hex", "dec", lambda a, r: int(a, 16) == int(r)),
        ("dec", "hex", lambda a, r: int(a) == int(r, 16)),
        ("hex8", "HEX", lambda a, r: a.upper() == r and len(a) == 8),
        ("dec10", "same", lambda a, r: a == r and len(a) == 10),
    ],
)
async def test_report_ids_in_another_form(answer_form: str, report_form: str, read: Callable[[str, str], bool]) -> None:
    async with talk("smpp34", answer_id=answer_form, report_id=report_form) as (_, client):
        client.submit(PHONE, "a")
        await client.until(lambda: client.delivered)
    assert read(answer_id(client.answers[0].pdu), report_id(client.delivered[0]))


@pytest.mark.parametrize("form", ["text", "tlv"])
async def test_report_in_one_form_only(form: str) -> None:
    async with talk("smpp34", report_form=form) as (_, client):
        client.submit(PHONE, "a")
        await client.until(lambda: client.delivered)
    (pdu,) = client.delivered
    assert (bool(pdu.short_message), bool(pdu.tlvs)) == (form == "text", form == "tlv")
    assert state(pdu) == "DELIVRD"


@every_protocol
async def test_replies_short_and_long(spoken: str) -> None:
    long = "上行" * 40
    async with talk(spoken) as (gate, client):
        assert gate.send_mo(PHONE, "10690001", "TD") == 1
        assert gate.send_mo(PHONE, "10690001", long, ref=300, ref16=True, order=(2, 1, 2)) == 3
        await client.until(lambda: len(client.delivered) == 4)
        await until(lambda: gate.counts.replies_acknowledged == 4)
    short, *parts = client.delivered
    if spoken == "smpp34":
        assert (short.source_addr, short.destination_addr, short.short_message) == (PHONE, "10690001", b"TD")
        octets = [pdu.short_message for pdu in parts]
        assert {pdu.esm_class for pdu in parts} == {0x40}
    else:
        assert (short.src_terminal_id, short.dest_id, short.msg_content) == (PHONE, "10690001", b"TD")
        assert short.registered_delivery == 0
        octets = [pdu.msg_content for pdu in parts]
        assert {pdu.tp_udhi for pdu in parts} == {1}
    assert octets[0] == octets[2]
    assert (octets[1][7:] + octets[0][7:]).decode("utf-16-be") == long
    assert octets[1][:7] == bytes.fromhex("060804012c0201")


async def test_scripted_replies() -> None:
    mo = Mo(PHONE, "10690001", "reply {n}", after=0.02, every=0.02, count=3)
    async with talk("cmpp30", mo=(mo,)) as (gate, client):
        await client.until(lambda: len(client.delivered) == 3)
        for about, wrong in (({"order": (2,)}, "1 parts"), ({"user": "nobody"}, "nobody")):
            with pytest.raises(ValueError, match=wrong):
                gate.send_mo("1", "2", "text", **about)
    assert [pdu.msg_content for pdu in client.delivered] == [b"reply 1", b"reply 2", b"reply 3"]


@every_protocol
async def test_silence_and_pause(spoken: str) -> None:
    async with talk(spoken, silent=True) as (gate, client):
        client.submit(PHONE, "into the void")
        await gate.received(1)
        gate.change(silent=False)
        gate.pause()
        client.submit(PHONE, "wait")
        client.submit(PHONE, "for it")
        with pytest.raises(TimeoutError):
            await gate.received(2, within=0.1)
        gate.resume()
        await client.until(lambda: len(client.answers) == 2)
    assert client.answers[0].elapsed >= 0.1
    assert len(gate.messages) == 3


@every_protocol
async def test_stop_says_goodbye_and_start_goes_on(carrier: Start, spoken: str) -> None:
    gate = await carrier(spoken[:4])
    port = gate.port
    async with Client(session(spoken), gate.port) as client:
        client.acknowledge = False
        client.submit(PHONE, "before")
        await client.until(lambda: client.delivered)
        await gate.stop()
        await client.until(lambda: client.closed)
    await gate.start()
    assert gate.port == port
    async with Client(session(spoken), gate.port) as client:
        await client.until(lambda: client.delivered)
    assert len(gate.messages) == 1


async def test_tokens() -> None:
    async with talk("cmpp30", token_pattern=r"#(\w+)") as (gate, client):
        client.submit(PHONE, "a #one")
        client.submit("13800138001", "b #one #two")
        await client.until(lambda: len(client.answers) == 2)
    assert gate.inbox.tokens == {"one": 2, "two": 1}
    assert gate.summary()["max_token_receptions"] == 2


async def test_query_and_cancel() -> None:
    for spoken, asked, statuses in (
        ("cmpp30", (cmpp.Query(time="20260101"), cmpp.Cancel(msg_id=7)), [0, 1]),
        ("smpp34", [of(message_id="1") for of in (smpp.QuerySm, smpp.CancelSm, smpp.ReplaceSm)], [0x67, 0x11, 0x13]),
    ):
        async with talk(spoken) as (_, client):
            client.send(*asked)
            await client.until(lambda client=client, asked=asked: len(client.answers) == len(asked))
            assert [answer.status for answer in client.answers] == statuses


async def test_rubbish_ends_the_connection_and_not_the_carrier(carrier: Start) -> None:
    gate = await carrier("cmpp")
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()
    assert gate.counts.violations == {"framing": 1}
    async with Client(cmpp_client(), gate.port):
        pass


async def test_change_refuses_nonsense_whole(carrier: Start) -> None:
    gate = await carrier("cmpp")
    with pytest.raises(ScenarioError) as caught:
        gate.change(lose_answers=2, unknown=1, reports="DELIVRD:x", rate=5)
    assert len(caught.value.errors) == 3
    assert gate.behaviour.rate is None
    with pytest.raises(ScenarioError):
        gate.change(rate=-1)


@every_protocol
async def test_wire_log_has_every_pdu(tmp_path: Path, spoken: str) -> None:
    file = tmp_path / "pdus.jsonl"
    wirelog = WireLog(file, octets=True)
    named = CarrierConfig(name="logged", protocol=spoken[:4])
    named.behaviour.report_delay = Delay.fixed(0.0)
    async with Carrier(named, wirelog=wirelog) as gate, Client(session(spoken), gate.port) as client:
        client.submit(PHONE, "你好")
        await client.until(lambda: client.delivered)
        client.log_out()
        await client.until(lambda: client.closed)
    wirelog.close()
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    names = [(line["dir"], line["name"]) for line in lines]
    assert len(names) == 8
    if spoken != "smpp34":
        assert names[:4] == [("in", "Connect"), ("out", "ConnectResp"), ("in", "Submit"), ("out", "SubmitResp")]
        assert set(names[4:6]) == {("out", "Deliver"), ("in", "DeliverResp")}
        submit, answer, report = lines[2], lines[3], lines[4]
        assert (submit["dest_terminal_id"], submit["content"]) == ([PHONE], "4f60597d")
        assert (report["report_id"], report["stat"]) == (answer["msg_id"], "DELIVRD")
    else:
        assert names[2:4] == [("in", "SubmitSm"), ("out", "SubmitSmResp")]
        assert lines[3]["message_id"] in lines[4]["receipt"]
    assert {line["protocol"] for line in lines} == {spoken}
    assert {(line["carrier"], line["connection"]) for line in lines} == {("logged", 1)}
    # the one thing that a log must not hold, in clear or in hexadecimal
    assert "secret" not in file.read_text("utf-8")
    assert b"secret".hex() not in file.read_text("utf-8")
    if spoken == "cmpp30":
        assert CMPP30.decode(bytes.fromhex(lines[2]["hex"])).sequence == lines[2]["sequence"]


ROOT = Path(__file__).parents[3]
RUN = "from smsgw.commands.simulate import simulate; simulate()"


class Process:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def says(self, event: str) -> dict[str, Any]:
        """The next line, which must be this event."""
        line = await asyncio.wait_for(self.process.stdout.readline(), 20)
        said: dict[str, Any] = json.loads(line)
        assert said["event"] == event, said
        return said

    def tell(self, command: Any) -> None:
        line = command if isinstance(command, str) else json.dumps(command)
        self.process.stdin.write(line.encode() + b"\n")

    async def fails(self, code: int, told: bytes) -> None:
        """It ends by itself, saying why."""
        _, said = await self.process.communicate()
        assert (self.process.returncode, told in said) == (code, True), said


Run = Callable[..., Awaitable[Process]]


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    started: list[asyncio.subprocess.Process] = []

    async def start(*arguments: str) -> Process:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", RUN, *arguments, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe
        )
        started.append(process)
        return Process(process)

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_flags_commands_signal_and_summary(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "pdus.jsonl"
    flags = ("--cmpp", "127.0.0.1:0", "--smpp", "127.0.0.1:0", "--report-delay", "0", "--log", str(log))
    process = await run(*flags, "--rule", "suffix=0001,report=UNDELIV", "--rule", "contains=流控,answer=8")
    ports = {c["protocol"]: c["port"] for c in (await process.says("ready"))["carriers"]}
    async with Client(cmpp_client(), ports["cmpp"]) as one, Client(smpp_client(), ports["smpp"]) as two:
        one.submit("13800130001", "一")
        one.submit("13800138000", "流控")
        await one.until(lambda: len(one.answers) == 2 and one.delivered)
        two.submit("13800138000", "二")  # the last: the connections are not read in the order in which they are written
        two.submit("13800138000", "二")
        await two.until(lambda: len(two.answers) == 2 and len(two.delivered) == 2)
        assert b"UNDELIV" in one.delivered[0].msg_content
        assert [answer.status for answer in one.answers] == [0, 8]
        process.tell({"do": "mo", "source": "13800138000", "destination": "1069", "text": "TD"})
        assert (await process.says("done"))["result"] == {"parts": 1}
        await one.until(lambda: len(one.delivered) == 2)
        process.tell({"do": "set", "carrier": "smpp-2", "reports": "none:1", "answers": "0:1"})
        assert (await process.says("done"))["result"] == ["answers", "reports"]
        process.tell({"do": "messages", "limit": 1})
        assert [m["text"] for m in (await process.says("done"))["result"]] == ["二"]
        for nonsense in ("{", "[]", {"do": "dance"}, {"do": "mo"}, {"do": "set", "rate": "x"}, {"carrier": "x"}):
            process.tell(nonsense)
            assert (await process.says("error"))["message"]
        process.process.send_signal(signal.SIGUSR1)
        counts = await process.says("counts")
        assert (counts["submits"], counts["accepted"], counts["doubled"]) == (4, 3, 1)
        process.tell({"do": "disconnect", "rst": True})
        assert (await process.says("done"))["result"] == {"closed": 2}
        await one.until(lambda: one.closed)
        assert one.reset
    process.process.send_signal(signal.SIGTERM)
    summary = await process.says("summary")
    assert await process.process.wait() == 0
    assert (summary["unique"], summary["max_receptions"], summary["doubled"]) == (2, 2, 1)
    names = [json.loads(line)["name"] for line in log.read_text("utf-8").splitlines()]
    assert names.count("Submit") == 2
    assert names.count("SubmitSmResp") == 2


async def test_a_scenario_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "one.toml"
    file.write_text(
        '[[carrier]]\nname="x"\nlisten="127.0.0.1:0"\nanswers="8"\n[[carrier.rule]]\nsuffix="1"\nanswer=0\n'
    )
    process = await run(str(file), "--answers", "7")
    (listener,) = (await process.says("ready"))["carriers"]
    async with Client(cmpp_client(), listener["port"]) as client:
        client.submit("13800138000", "a")
        client.submit("13800138001", "b")
        await client.until(lambda: len(client.answers) == 2)
        assert [answer.status for answer in client.answers] == [7, 0]
    process.tell({"do": "quit"})
    assert (await process.says("summary"))["messages"] == 1
    assert await process.process.wait() == 0


async def test_record_and_replay(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "exchange.jsonl"
    flags = ("--smgp", "127.0.0.1:0", "--report-delay", "0", "--answer-delay", "20")
    process = await run(*flags, "--rule", "suffix=0001,report=UNDELIV", "--record", str(file))
    port = (await process.says("ready"))["carriers"][0]["port"]
    async with Client(smgp_client(), port) as client:
        client.submit("13300130001", "一")
        client.submit("13300130002", "二")
        await client.until(lambda: len(client.answers) == 2 and len(client.delivered) == 2)
    process.tell({"do": "quit"})
    await process.says("summary")
    assert await process.process.wait() == 0
    assert not leaks(file, ("13300130001", "13300130002"))
    again = await run("--replay", str(file), "--smgp", "127.0.0.1:0", "--replay-speed", "10")
    ready = await again.says("ready")
    assert ready["carriers"][0]["protocol"] == "smgp"
    async with Client(smgp_client(), ready["carriers"][0]["port"]) as client:
        for phone in ("13300000007", "13300000008", "13300000009"):
            client.submit(phone, "三")
        await client.until(lambda: len(client.answers) == 3 and len(client.delivered) == 3)
        reports = {pdu.src_term_id: pdu.msg_content for pdu in client.delivered}
        assert b"UNDELIV" in reports["13300000007"]
        assert b"DELIVRD" in reports["13300000008"]
        ids = {answer.pdu.msg_id for answer in client.answers}
        assert all(any(id_ in content for id_ in ids) for content in reports.values())
    again.tell({"do": "counts"})
    counts = (await again.says("done"))["result"]
    assert (counts["replayed"], counts["left"], counts["submits"]) == (2, 0, 3)
    for wrong in (("--cmpp", "127.0.0.1:0"), ("--smgp", "127.0.0.1:0", "--smgp", "127.0.0.1:0")):
        await (await run("--replay", str(file), *wrong)).fails(2, b"replay")
    await (await run("--smgp", "127.0.0.1:0", "--record", str(file))).fails(2, b"exists")


async def test_usage_errors(run: Run, tmp_path: Path) -> None:
    for flags, code, told in (
        (("--answers", "x", "--rule", "report=UNDELIV"), 2, b"answers: no mix"),
        (("--log", str(tmp_path / "missing" / "log")), 2, b"log:"),
        (("--rule", "nonsense"), 2, b""),
        (("--cmpp", "192.0.2.1:7890"), 1, b"cannot listen"),
    ):
        await (await run(*flags)).fails(code, told)
