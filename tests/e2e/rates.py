"""Windows and rates at their full length: ``scripts/rates``. Exit 1 when a figure is missed.

Each is a run of ``smsgwctl bench``. Averages are those of arrival at the simulated carriers. The fullest second is that
of the wire, by the kernel's time stamps, where they may be had (root): a simulated carrier that shares the machine with
all the rest reads late and in heaps, which is not what was sent. Without them it is the carriers' own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Carried = list[dict[str, Any]]


@dataclass(frozen=True)
class Proof:
    """A run, and what it has to show."""

    name: str
    arguments: str
    holds: Callable[[Carried], dict[str, tuple[float, bool]]]
    """Figure -> its value, and whether it is good enough."""


def _window(least: float) -> Callable[[Carried], dict[str, tuple[float, bool]]]:
    def holds(carried: Carried) -> dict[str, tuple[float, bool]]:
        rate = sum(c["backlog_per_s"] for c in carried)
        return {f"messages/s (at least {least:g})": (rate, rate >= least)}

    return holds


def _limited(carried: Carried) -> dict[str, tuple[float, bool]]:
    figures: dict[str, tuple[float, bool]] = {}
    for c in carried:
        figures[f"{c['carrier']}: s under backlog (at least 60)"] = (c["backlog_s"], c["backlog_s"] >= 60)
        figures[f"{c['carrier']}: messages/s (at least 990)"] = (c["backlog_per_s"], c["backlog_per_s"] >= 990)
        wire = c["wire_peak_second"]
        peak, where = (c["peak_second"], "as read") if wire is None else (wire, "on the wire")
        figures[f"{c['carrier']}: fullest second {where} (at most 1,010)"] = (peak, peak <= 1010)
        if wire is not None:
            figures[f"{c['carrier']}: fullest second as the carrier read it"] = (c["peak_second"], True)
    together = sum(c["backlog_per_s"] for c in carried)
    figures["together (at least 990 each)"] = (together, together >= 990 * len(carried))
    return figures


FAR = "--mode batch --channels 1 --window 16 --answer-delay 40"
LIMITED = "--mode batch --window 16 --links 4 --channel-rate 1000"
PROOFS = [
    Proof("one-connection", f"{FAR} --links 1 --messages 10000", _window(0.95 * 400)),
    Proof("four-connections", f"{FAR} --links 4 --messages 40000", _window(0.95 * 1600)),
    Proof("one-channel", f"{LIMITED} --channels 1 --messages 70000", _limited),
    Proof("two-channels", f"{LIMITED} --channels 2 --messages 158000", _limited),
]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="scripts/rates", description=__doc__)
    parser.add_argument("--only", action="append", choices=[p.name for p in PROOFS])
    given = parser.parse_args()
    missed = 0
    for proof in PROOFS:
        if given.only and proof.name not in given.only:
            continue
        print(f"{proof.name}: smsgwctl bench {proof.arguments}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "smsgw", "bench", "--json", *proof.arguments.split()],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        if not done.stdout.startswith("{"):
            print(f"  failed: {done.stderr}")
            missed += 1
            continue
        result = json.loads(done.stdout)
        for name, (value, good) in proof.holds(result["carried"]).items():
            print(f"  {value:10,.1f}  {name}{'' if good else '  MISSED'}")
            missed += not good
        cpu = result["cpu_ms_per_message"]
        print(f"  CPU per message: daemon {cpu['daemon']:.3f} ms, database {cpu['database']:.3f} ms")
        for problem in result["problems"]:
            print(f"  PROBLEM {problem}")
            missed += 1
    print("all figures are reached" if not missed else f"{missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
