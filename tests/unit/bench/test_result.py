"""The verdict of a bench run, and its percentiles."""

from __future__ import annotations

import dataclasses
import os
import time
from array import array
from pathlib import Path
from typing import Any

import pytest

from smsgw.bench.kannel import held_against
from smsgw.bench.load import Observed
from smsgw.bench.processes import Cores, CpuMeter, machine_seconds
from smsgw.bench.result import Against, Carried, Counts, Latency, Result, Rival, Written, by_tenth

GOOD = Counts(
    posted=10, accepted=10, billed=10, pulled=10, pulled_again=0, pulled_strange=0, lost_calls=0,
    received=10, received_distinct=10, received_again=0,
)  # fmt: skip


BARE: dict[str, Any] = {
    "machine": {}, "settings": {}, "raised_limits": {}, "messages": 10, "seconds": 1.0, "accepted_per_s": 10.0,
    "end_to_end_per_s": 10.0, "cpu_ms_per_message": {}, "daemon_peak_mib": None, "accept": None,
    "post_to_carrier": None, "post_to_report": None, "counts": GOOD,
}  # fmt: skip


def test_all_witnesses_agree() -> None:
    assert GOOD.problems == []
    without = dataclasses.replace(GOOD, received=None, received_distinct=None, received_again=None)
    assert without.problems == [], "where there are no carriers of our own"


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


@pytest.mark.parametrize(("accepted", "arrived", "reported"), [(98, 98, 98), (100, 98, 100), (100, 100, 79), (0, 0, 0)])
def test_nothing_is_compared_to_one_that_has_failed(accepted: int, arrived: int, reported: int) -> None:
    with pytest.raises(RuntimeError, match=f"accepted {accepted}, {arrived} came to the carrier, {reported} were"):
        held_against(Rival(50, 50, 1), carried(accepted, reported), 100, arrived, 0.2, "1")


def test_the_other_ones_processor_time_is_of_what_it_has_carried() -> None:
    against = held_against(Rival(50, 50, 1), carried(99, 80), 100, 99, 0.198, "1")
    assert (against.figures, against.throughput_ratio, against.cpu_ratio) == (Rival(49.5, 20, 2), 2.5, 0.5)


def carried(accepted: int, reported: int) -> Observed:
    seen = Observed(array("d", [1.0] * 100), first_post=1.0, last_accept=3.0, last_pull=5.0, accepted=accepted)
    seen.ids = {n: n for n in range(accepted)}
    seen.pulled = dict.fromkeys(range(reported), 5.0)
    return seen


def test_percentiles_and_tenths() -> None:
    latency = Latency.of(n / 1000 for n in range(100, 0, -1))
    assert latency == Latency(50.0, 90.0, 99.0, 100.0)
    assert Latency.of([]) is None
    times = [100 + n / 100 for n in range(0, 5000)] + [150.0 + n / 50 for n in range(0, 2500)] + [200.0]
    assert by_tenth(times, 100.0, 100.0) == [100.0] * 5 + [50.0] * 4 + [50.1]


def test_what_a_carrier_saw() -> None:
    at = [10 + n / 100 for n in range(500)]
    carried = Carried.of("a", [*at, 12.001, 12.002], accepted=13.0)
    assert (carried.messages, carried.peak_second) == (502, 102)
    assert carried.per_s == pytest.approx(100.4, abs=0.1)
    assert carried.backlog_s == pytest.approx(2.0, abs=0.05)
    assert carried.backlog_per_s == pytest.approx(100, abs=1)
    assert carried.accepting_per_s == pytest.approx(100, abs=1)
    assert carried.wire_peak_second is None
    assert Carried.of("a", at, 13.0, [5.0, 5.5, 5.999, 6.0, 6.4]).wire_peak_second == 4
    assert Carried.of("a", [], accepted=1.0).peak_second == 0


@pytest.mark.parametrize(("samples", "shown"), [(20, "2 4 6 8 10 12 14 16 18 20 MiB"), (9, None)])
def test_a_long_run_shows_how_memory_went(samples: int, shown: str | None) -> None:
    result = Result(**BARE | {"daemon_peak_mib": 20.0, "daemon_mib": [float(n) for n in range(1, samples + 1)]})
    assert "CPU per message" not in result.lines(), "nobody has seen any"
    found = [line for line in result.lines() if "each tenth" in line]
    assert found[0].endswith(shown) if shown else not found, found


def test_what_is_held_against_each_other_is_shown() -> None:
    latency = Latency.of([0.01])
    against = Against("1.4.5", Rival(1100.0, 1000.0, 1.2), 10, 10, 9, 2.0, 0.41, latency, latency)
    written = Written(1200, 0.0512, 3.04, 0.25)
    result = Result(**BARE | {"end_to_end_per_s": 2000.0, "written": written, "against": against})
    told = "\n".join(result.lines())
    for line in (
        "1,200 octets", "0.051", "3.04   (25% of the updates HOT)", "Kannel 1.4.5 under the same load",
        "accepted 10, at the carrier 10, reported 9", "2.00 of the throughput, 0.41 of the CPU",
    ):  # fmt: skip
        assert line in told
    assert result.as_json()["against"]["cpu_ratio"] == 0.41


def test_the_cores_say_how_much_faster_a_run_could_be() -> None:
    used = {"daemon": 0.2, "database": 0.1}
    result = Result(**BARE | {"cpu_ms_per_message": used, "cores": Cores(2, 0.2, 0.05)})
    (line,) = [line for line in result.lines() if "2 cores" in line]
    assert "20% idle, 5% for others" in line
    assert "at most 1.25 times" in line


def test_the_account_of_the_machine() -> None:
    meter = CpuMeter({"this": os.getpid()})
    meter.start()
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    used = meter.used()
    cores = meter.cores(used)
    assert used["this"] >= 0.25
    assert 0 <= cores.idle < 1
    assert 0 <= cores.others < 1
    assert cores.idle + cores.others < 1
    assert cores.bound >= 1
    # All that a core had, and time stolen by other machines with it.
    def told() -> float:
        head = Path("/proc/stat").read_text("ascii").partition("\n")[0]
        return sum(map(int, head.split()[1:9])) / os.sysconf("SC_CLK_TCK")

    before, found, after = told(), sum(machine_seconds()), told()
    assert before - 0.01 <= found <= after + 0.01
