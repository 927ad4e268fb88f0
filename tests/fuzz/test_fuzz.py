"""A short turn of every fuzzing target, always the same inputs; ``scripts/fuzz`` has no end to them."""

from __future__ import annotations

import time
from pathlib import Path

import fuzzing
import pytest
from fuzzing import Probe, plainly
from targets import TARGETS, Target

SECONDS = 3.0


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.slow
def test_a_short_turn(target: Target, tmp_path: Path) -> None:
    probe = plainly(target, seconds=SECONDS, seed=1, most=3000, out=tmp_path)
    assert not probe.found, {kind: data[:200] for kind, data in probe.found.items()}
    assert probe.executions > 20


def _busy(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("pace", [fuzzing.PACE, fuzzing.PACE / 10])
def test_what_is_slow_is_found(pace: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing, "_known", lambda: _busy(pace))
    probe = Probe(Target("t", lambda _: _busy(0.2), lambda: ()), tmp_path)
    assert probe.run(b"x")
    assert probe.found == {"slow": b"x"}


def test_a_slow_moment_and_a_slow_machine_are_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing, "_known", lambda: _busy(fuzzing.PACE))
    costs = iter([0.2] * 5 + [0.001])
    probe = Probe(Target("t", lambda _: _busy(next(costs)), lambda: ()), tmp_path)
    assert probe.run(b"x") is None
    assert next(costs, None) is None, "as often as it took"
    monkeypatch.setattr(fuzzing, "_known", lambda: _busy(3 * fuzzing.PACE))
    slow = Probe(Target("t", lambda _: _busy(0.08), lambda: ()), tmp_path)
    assert slow.run(b"x") is None
    assert not probe.found | slow.found
