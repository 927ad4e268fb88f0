"""The sending path under seeded faults in virtual time; what is simulated and what is not: docs/adr/029."""

from __future__ import annotations

import pytest
from simulation import calm, run_seed, run_seeds

pytestmark = pytest.mark.xdist_group("sim")


def test_a_calm_run_delivers_everything() -> None:
    for seed in range(1, 6):
        run = run_seed(seed, trouble=calm)
        assert not run.violations, run.text()
        assert set(run.states) == {"DELIVERED"}, run.text()


def test_a_seed_is_played_the_same_way_every_time() -> None:
    assert run_seed(7).digest == run_seed(7).digest


@pytest.mark.timeout(600)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "count"), [(1, 30), pytest.param(31, 470, marks=pytest.mark.shard("simulation"))]
)
def test_the_promise_holds_under_faults(first: int, count: int) -> None:
    failures = run_seeds(first, count)
    assert not failures, "\n\n".join(run.text() for run in failures[:3])
