"""The verdict of a bench run, and its percentiles."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from smsgw.bench.result import Carried, Counts, Latency, Result

GOOD = Counts(
    posted=10, accepted=10, billed=10, pulled=10, pulled_again=0, pulled_strange=0, lost_calls=0,
    received=10, received_distinct=10, received_again=0,
)  # fmt: skip


def test_all_witnesses_agree() -> None:
    assert GOOD.problems == []


def test_without_carriers_of_our_own_they_are_no_witness() -> None:
    assert (
        dataclasses.replace(GOOD, received=None, received_distinct=None, received_again=None).problems == []
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"posted": 11}, "not accepted"),
        ({"billed": 9}, "9 billed"),
        ({"pulled": 9}, "no report"),
        ({"pulled_again": 1}, "pulled more than once"),
        ({"pulled_strange": 1}, "nobody accepted"),
        ({"lost_calls": 1}, "no answer"),
        ({"received_distinct": 9}, "9 arrived"),
        ({"received": 11, "received_again": 1}, "arrived at the carriers more than once"),
    ],
)
def test_each_witness_can_object(change: dict[str, Any], words: str) -> None:
    (problem,) = dataclasses.replace(GOOD, **change).problems
    assert words in problem


def test_percentiles_are_by_the_nearest_rank() -> None:
    latency = Latency.of(n / 1000 for n in range(100, 0, -1))
    assert latency == Latency(50.0, 90.0, 99.0, 100.0)
    assert Latency.of([]) is None


def test_what_a_carrier_saw() -> None:
    at = [10 + n / 100 for n in range(500)]
    carried = Carried.of("a", [*at, 12.001, 12.002], accepted=13.0)
    assert carried.messages == 502
    assert carried.peak_second == 102
    assert carried.per_s == pytest.approx(100.4, abs=0.1)
    assert carried.backlog_s == pytest.approx(2.0, abs=0.05)
    assert carried.backlog_per_s == pytest.approx(100, abs=1)
    assert carried.accepting_per_s == pytest.approx(100, abs=1)
    assert carried.wire_peak_second is None
    assert Carried.of("a", at, 13.0, [5.0, 5.5, 5.999, 6.0, 6.4]).wire_peak_second == 4
    assert Carried.of("a", [], accepted=1.0).peak_second == 0


@pytest.mark.parametrize(("samples", "shown"), [(20, "2 4 6 8 10 12 14 16 18 20 MiB"), (9, None)])
def test_a_long_run_shows_how_memory_went(samples: int, shown: str | None) -> None:
    result = Result(
        machine={}, settings={}, raised_limits={}, messages=10, seconds=1.0, accepted_per_s=10.0,
        end_to_end_per_s=10.0, cpu_ms_per_message={}, daemon_peak_mib=20.0, accept=None, post_to_carrier=None,
        post_to_report=None, counts=GOOD, daemon_mib=[float(n) for n in range(1, samples + 1)],
    )  # fmt: skip
    found = [line for line in result.lines() if "each tenth" in line]
    assert found[0].endswith(shown) if shown else not found, found
