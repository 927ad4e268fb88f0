"""A short turn of every fuzzing target, always the same inputs; ``scripts/fuzz`` has no end to them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzzing import plainly
from targets import TARGETS, Target

SECONDS = 3.0


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.slow
def test_a_short_turn(target: Target, tmp_path: Path) -> None:
    probe = plainly(target, seconds=SECONDS, seed=1, most=3000, out=tmp_path)
    assert not probe.found, {kind: data[:200] for kind, data in probe.found.items()}
    assert probe.executions > 20
