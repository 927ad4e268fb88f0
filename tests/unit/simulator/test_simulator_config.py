from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from smsgw.core.text import Coding
from smsgw.simulator import config
from smsgw.simulator.config import Behaviour, Delay, Mix, Mo, Rule, ScenarioError

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


def test_a_scenario(tmp_path: Path) -> None:
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


def test_the_example_is_valid_and_says_the_defaults() -> None:
    scenario = config.load_scenario(Path(__file__).parents[3] / "conf" / "simulator.toml")
    assert [(c.name, c.protocol) for c in scenario.carriers] == [
        ("cmcc", "cmpp"), ("cmcc-2.0", "cmpp"), ("intl", "smpp"), ("ctcc", "smgp"), ("cucc", "sgip"),
    ]  # fmt: skip
    told = scenario.carriers[0].behaviour
    for name in ("lose_answers", "late_answers", "duplicate_answers", "early_reports", "late_by"):
        assert getattr(told, name) == getattr(Behaviour(), name)


def test_everything_wrong_is_told_at_once() -> None:
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


def test_what_is_no_scenario(tmp_path: Path) -> None:
    for data in ({}, {"carrier": []}, {"carrier": {"name": "x"}}, {"carrier": ["x"]}):
        with pytest.raises(ScenarioError, match="at least one"):
            config.parse_scenario(data)
    (tmp_path / "bad").write_text("[[")
    for name in ("none", "bad"):
        with pytest.raises(ScenarioError, match=name):
            config.load_scenario(tmp_path / name)


@pytest.mark.parametrize("written", ["", "x", "5..1", "-1", "1..", "1~x", "1e12", "nan"])
def test_delays_that_are_none(written: str) -> None:
    with pytest.raises(ValueError, match="delay"):
        Delay.parse(written)


def test_delays_stay_in_their_range() -> None:
    dice = Random(1)  # noqa: S311
    uniform = [Delay.parse("20..80").draw(dice) for _ in range(500)]
    assert 0.02 <= min(uniform) < 0.03
    assert 0.07 < max(uniform) <= 0.08
    normal = [Delay.parse("10~10").draw(dice) for _ in range(500)]
    assert min(normal) == 0.0
    assert 0.008 < sum(normal) / 500 < 0.013
    assert Delay.parse("40ms").draw(dice) == 0.04


@pytest.mark.parametrize("written", ["", "DELIVRD:x", "DELIVRD:-1", "DELIVRD:0", "tiny", "DELIVERED"])
def test_mixes_that_are_none(written: str) -> None:
    with pytest.raises(ScenarioError):
        config.parse_behaviour({"reports": written})


def test_how_deliveries_and_mixes_are_written() -> None:
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
