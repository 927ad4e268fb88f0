"""Simulated carriers: scenarios, voices, and what they keep."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random

import pytest

from smsgw.core.text import Coding
from smsgw.core.udh import Concat
from smsgw.protocols.cmpp import msgid, pdus as cmpp
from smsgw.protocols.dialects import by_name
from smsgw.protocols.pdu import Tlv
from smsgw.protocols.smpp import pdus as smpp
from smsgw.simulator import config
from smsgw.simulator.config import Behaviour, CarrierConfig, Delay, Mix, Mo, Rule, ScenarioError
from smsgw.simulator.dialects import CmppDialect, SmppDialect, coding_of, dialect_of
from smsgw.simulator.inbox import Inbox
from smsgw.simulator.timers import Timers

SCENARIO = """
seed = 7
log = "pdus.jsonl"

[[carrier]]
name = "cmcc"
protocol = "cmpp"
listen = "127.0.0.1:7890"
user = "900001"
password = "secret"
answer_delay = "20..80"
report_delay = 2000
answers = "0:95,8:5"
reports = "DELIVRD:90,MK:0001:5,none:5"
rate = 400
token_pattern = "#(\\\\d+)"

[[carrier.rule]]
suffix = "0001"
report = "UNDELIV"
answer_delay = "5~1"

[[carrier.mo]]
source = "13800138000"
destination = "10690001"
text = "TD"
every = 5

[[carrier]]
name = "intl"
protocol = "smpp"
listen = "[::1]:2775"
users = { a = "1", b = "2" }
default_alphabet = "latin1"
report_id = "hex"
"""


def test_a_scenario_and_the_example_are_valid(tmp_path: Path) -> None:
    file = tmp_path / "carriers.toml"
    file.write_text(SCENARIO.replace("MK:0001:5", "UNDELIV:5"), "utf-8")
    scenario = config.load_scenario(file)
    assert scenario.log == Path("pdus.jsonl")
    cmcc, intl = scenario.carriers
    assert (cmcc.name, cmcc.host, cmcc.port, cmcc.users) == ("cmcc", "127.0.0.1", 7890, {"900001": "secret"})
    assert (cmcc.seed, cmcc.token_pattern) == (7, r"#(\d+)")
    assert cmcc.behaviour.answer_delay == Delay(0.02, 0.08)
    assert cmcc.behaviour.report_delay == Delay.fixed(2.0)
    assert cmcc.behaviour.answers == Mix({0: 95.0, 8: 5.0})
    assert cmcc.behaviour.reports == Mix({"DELIVRD": 90.0, "UNDELIV": 5.0, "none": 5.0})
    assert cmcc.behaviour.rate == 400.0
    assert cmcc.behaviour.rules == (Rule(suffix="0001", report="UNDELIV", answer_delay=Delay(0.005, 0.005, 0.001)),)
    assert cmcc.mo == (Mo("13800138000", "10690001", "TD", every=5.0),)
    assert (intl.host, intl.port, intl.users) == ("::1", 2775, {"a": "1", "b": "2"})
    assert (intl.default_alphabet, intl.report_id) == (Coding.LATIN1, "hex")
    scenario = config.load_scenario(Path(__file__).parents[3] / "conf" / "simulator.toml")
    assert [(c.name, c.protocol) for c in scenario.carriers] == [
        ("cmcc", "cmpp"), ("cmcc-2.0", "cmpp"), ("intl", "smpp"), ("ctcc", "smgp"), ("cucc", "sgip"),
    ]  # fmt: skip
    told = scenario.carriers[0].behaviour
    for name in ("lose_answers", "late_answers", "duplicate_answers", "early_reports", "late_by"):
        assert getattr(told, name) == getattr(Behaviour(), name)


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    one = {
        "name": "a", "protocol": "ucp", "listen": "nowhere", "user": "lonely", "answer_delay": "soon",
        "lose_answers": 1.5, "silent": "yes", "rate": 0, "typo": 1, "token_pattern": "(",
        "rule": [{"suffix": "1", "then": "x"}, {"report": "too long"}], "mo": [{"source": "1"}],
    }  # fmt: skip
    other = {"name": "a", "users": {"toolong": "x"}, "report_form": "xml", "answer_id": "oct", "cmpp_version": "4.0"}
    with pytest.raises(ScenarioError) as caught:
        config.parse_scenario({"colour": "red", "seed": "x", "carrier": [one, other]})
    told = "\n".join(caught.value.errors)
    for word in (
        "'colour'", "seed:", "protocol:", "listen:", "user and password", "answer_delay: no delay",
        "lose_answers: a chance", "silent: bool", "rate: above 0", "'typo'", "token_pattern:", "'then'",
        "'too long' is no state", "destination", "two carriers are called 'a'", "at most 6", "report_form:",
        "answer_id:", "cmpp_version:",
    ):  # fmt: skip
        assert word in told, word
    for data in ({}, {"carrier": []}, {"carrier": {"name": "x"}}, {"carrier": ["x"]}):  # what is no scenario
        with pytest.raises(ScenarioError, match="at least one"):
            config.parse_scenario(data)
    (tmp_path / "bad").write_text("[[")
    for name in ("none", "bad"):
        with pytest.raises(ScenarioError, match=name):
            config.load_scenario(tmp_path / name)


def test_delays_and_mixes_are_as_written() -> None:
    for written in ("", "x", "5..1", "-1", "1..", "1~x", "1e12", "nan"):
        with pytest.raises(ValueError, match="delay"):
            Delay.parse(written)
    dice = Random(1)  # noqa: S311
    uniform = [Delay.parse("20..80").draw(dice) for _ in range(500)]
    assert 0.02 <= min(uniform) < 0.03
    assert 0.07 < max(uniform) <= 0.08
    normal = [Delay.parse("10~10").draw(dice) for _ in range(500)]
    assert min(normal) == 0.0
    assert 0.008 < sum(normal) / 500 < 0.013
    assert Delay.parse("40ms").draw(dice) == 0.04
    for written in ("", "DELIVRD:x", "DELIVRD:-1", "DELIVRD:0", "tiny", "DELIVERED"):  # mixes that are none
        with pytest.raises(ScenarioError):
            config.parse_behaviour({"reports": written})
    assert (Behaviour().no_window, Behaviour().repeat_refused) == (False, None)
    behaviour = config.parse_behaviour({"no_window": True, "repeat_refused": "100"})
    assert (behaviour.no_window, behaviour.repeat_refused) == (True, Delay.fixed(0.1))
    assert config.parse_behaviour({"repeat_refused": None}, behaviour).repeat_refused is None
    for wrong in ({"no_window": 1}, {"repeat_refused": "soon"}):
        with pytest.raises(ScenarioError):
            config.parse_behaviour(wrong)
    behaviour = config.parse_behaviour({"reports": "MK:0001=5, DELIVRD=95", "answers": "0x58=1,0=3"})
    assert behaviour.reports == Mix({"MK:0001": 5.0, "DELIVRD": 95.0})
    assert behaviour.answers == Mix({0x58: 1.0, 0: 3.0})


VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "vectors.json").read_text("utf-8"))


def test_submits_are_read_as_others_write_them() -> None:
    for number, coding in (
        (0, Coding.ASCII), (1, Coding.ASCII), (3, Coding.LATIN1), (4, Coding.BINARY), (8, Coding.UCS2),
        (15, Coding.GB18030), (0x11, Coding.GSM7), (0x15, Coding.BINARY), (0x18, Coding.UCS2), (25, Coding.UCS2),
        (0xF0, Coding.GSM7), (0xF6, Coding.BINARY), (0xC8, Coding.BINARY),
    ):  # fmt: skip
        assert coding_of(number, Coding.ASCII) is coding
    voice = CmppDialect(CarrierConfig(), lambda: 1)  # cmpp reads what others write
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
    for name in ("cmpp20", "cmpp30", "smpp34"):  # every submit of the vectors is read
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


def test_ids_never_repeat_and_the_inbox_counts_no_more_than_it_may() -> None:
    voice = CmppDialect(CarrierConfig(gateway=4711), lambda: 7890)
    ids = [voice.new_id(1) for _ in range(5000)]
    assert len(set(ids)) == 5000
    assert {msgid.unpack(id).gateway for id in ids} == {4711}
    assert 1 <= msgid.unpack(ids[0]).month <= 12
    group = voice.new_id(3)
    assert voice.new_id(1) not in {group, voice.id_after(group, 1), voice.id_after(group, 2)}
    inbox = Inbox("x", keep=2, max_counted=2, token_pattern="t.")  # inbox counts no more than it may
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
