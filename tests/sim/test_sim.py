"""The sending path under seeded faults in virtual time; what is simulated and what is not: docs/adr/029."""

from __future__ import annotations

import pytest
from simdb import SimDb
from simulation import calm, run_seed, run_seeds

pytestmark = [pytest.mark.xdist_group("sim"), pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_calm_run_delivers_everything(simdb: SimDb) -> None:
    for seed in range(1, 4):
        run = run_seed(simdb, seed, trouble=calm)
        assert not run.violations, run.text()
        assert set(run.states) == {"DELIVERED"}, run.text()


def test_a_seed_is_played_the_same_way_every_time(simdb: SimDb) -> None:
    assert run_seed(simdb, 7).digest == run_seed(simdb, 7).digest


@pytest.mark.parametrize(("first", "count"), [(1, 10), pytest.param(11, 140, marks=pytest.mark.shard("simulation"))])
def test_the_promise_holds_under_faults(simdb: SimDb, first: int, count: int) -> None:
    failures = run_seeds(simdb, first, count)
    assert not failures, "\n\n".join(run.text() for run in failures[:3])
