"""Loads by name: presets over the options that there are, and when the messages of a run are due."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from smsgw.bench.pace import Pace
from smsgw.bench.profiles import PRESETS
from smsgw.bench.run import Options
from smsgw.commands import bench as command
from smsgw.commands.bench import bench

NAMES = {parameter.name for parameter in bench.params}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    found = list[Options]()

    def run(options: Options, _: Any) -> Any:
        found.append(options)
        raise RuntimeError("enough")

    monkeypatch.setattr(command, "_until_told", run)
    return found


def told(asked: list[Options], *arguments: str) -> Options:
    done = CliRunner().invoke(bench, [*arguments])
    assert "enough" in str(done.exception) or "enough" in done.output, done.output
    return asked[-1]


@pytest.mark.parametrize("name", PRESETS)
def test_a_profile_says_nothing_but_what_could_be_said(name: str, asked: list[Options]) -> None:
    assert PRESETS[name].options.keys() <= NAMES
    options = told(asked, "--profile", name)
    assert options.load.messages == PRESETS[name].options.get("messages", 20_000)
    assert options.load.rate == PRESETS[name].options.get("rate", 0.0)


def test_what_is_said_beside_a_profile_goes_before_it(asked: list[Options]) -> None:
    options = told(asked, "--messages", "3000", "--profile", "day", "--burst-seconds", "1")
    assert (options.load.messages, options.load.rate, options.load.burst_seconds) == (3000, 58.0, 1.0)
    day = told(asked, "--profile", "day").load
    assert (round(day.rate * 86_400, -6), day.pace.seconds) == (5_000_000, pytest.approx(310))
    steady = told(asked, "--profile", "steady")
    assert (steady.load.rate, steady.load.pace.seconds, steady.setting.balanced) == (1000.0, 60.0, True)
    assert told(asked, "--profile", "flood").load.rate == 0
    assert told(asked, "--profile", "otp").load.codes_rate == 20
    assert told(asked, "--profile", "otp", "--codes-account").setting.codes_account
    assert told(asked, "--profile", "personalised").setting.template
    cmpp = told(asked, "--profile", "cmpp")
    assert (cmpp.setting.partner, cmpp.setting.partner_binds, cmpp.load.connections) == ("cmpp", 4, 4)
    assert told(asked, "--profile", "smpp", "--connections", "2").setting.partner_binds == 2


def test_the_help_says_what_each_is() -> None:
    shown = CliRunner().invoke(bench, ["--help"]).output
    for name, preset in PRESETS.items():
        assert f"{name} " in shown
        assert preset.about in " ".join(shown.split())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("--mode cmpp --codes 5", "beside posts"),
        ("--profile smpp --kill daemon", "has none"),
        ("--kill daemon --push", "pulled"),
        ("--codes-account", "for --codes"),
        ("--mode cmpp --push", "--mode cmpp brings"),
        ("--burst 100", "give a rate"),
        ("--rate 10 --burst 100 --burst-seconds 1000", "the burst has"),
        ("--url http://127.0.0.1:1 --bearer x --kill database", "of our own"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: str, why: str) -> None:
    done = CliRunner().invoke(bench, arguments.split())
    assert done.exit_code == 2
    assert why in done.output


def test_messages_are_due_evenly_or_at_once() -> None:
    pace = Pace(100, 20.0)
    assert [pace.due(n) for n in (0, 1, 99)] == [0.0, 0.05, 4.95]
    assert pace.seconds == 5.0
    assert [pace.by(at) for at in (0.0, 1.0, 4.99, 60.0)] == [0, 20, 99, 100]
    assert Pace(10).due(9) == Pace(10).seconds == 0.0


def test_a_burst_comes_in_the_middle_and_the_rest_on_both_sides() -> None:
    pace = Pace(240, 20.0, 100.0, 2.0)  # a second, two of burst, a second
    assert [pace.due(n) for n in (0, 20, 120, 220)] == [0.0, 1.0, 2.0, 3.0]
    assert (pace.due(221), pace.seconds) == (pytest.approx(3.05), 4.0)
    assert [pace.by(at) for at in (0.5, 1.0, 2.0, 3.0, 3.5, 9.0)] == [10, 20, 120, 220, 230, 240]
    due = [pace.due(n) for n in range(240)]
    assert due == sorted(due)


@pytest.mark.parametrize("pace", [(10, 0.0, 100.0, 1.0), (99, 10.0, 100.0, 1.0)])
def test_a_burst_that_is_none_is_refused(pace: tuple[int, float, float, float]) -> None:
    with pytest.raises(ValueError, match="burst"):
        Pace(*pace)
