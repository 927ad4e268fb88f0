"""Load tests: scenarios, limits, and what a result says of the tender's clauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from smsgw.core.actor import ActorLabel

LEAST_RATE, MOST_RATE = 1, 3_000
"""Messages a second."""
LEAST_SECONDS, MOST_SECONDS = 10, 1_800
MOST_MESSAGES = 1_800_000
"""1,000/s for half an hour, as the tender asks for."""
LEAST_REASON, MOST_REASON = 2, 200
MOST_BATCH = 100
"""Messages of a post; at low rates fewer, so that they come evenly."""
MOST_WARM_UP = 1_000
"""Messages before those that count."""
KEPT = 100
"""Load tests that are remembered."""
SAMPLES = 300
"""Points of a graph, at most twice as many."""
SPARE_SECONDS = 600
"""For the stage to come up, the last reports, and clearing away."""
OCTETS = 6_144
"""Of the disk for a message, with its part, events, indexes and the log of the database."""
SPARE_OCTETS = 2 << 30
"""Of the disk that have to stay free."""
LEAST_OCTETS = 1 << 30
"""With less than this a load test ends, whoever it is that fills the disk."""
SLOW_SECONDS, SLOW_IN_A_ROW = 2.0, 3
"""A load test ends when so many small writes to this installation's own database took longer: others wait for it."""


class Scenario(StrEnum):
    """How the load comes and what the simulated carriers are like."""

    STEADY = "steady"
    """Batches over HTTP; carriers answer after 5 ms and report after 100 ms."""
    SINGLE = "single"
    """Single recipients over HTTP, 50 connections, reports pushed with a signature."""
    PARTNER = "partner"
    """A partner over SMPP."""
    SLOW = "slow"
    """Carriers answer after 40 ms."""
    LIMITED = "limited"
    """Three channels of 1,000/s each: that none of them is exceeded in any second."""


_OPTIONS: dict[Scenario, Sequence[str]] = {
    Scenario.STEADY: ("--mode", "batch"),
    Scenario.SINGLE: ("--mode", "single", "--push"),
    Scenario.PARTNER: ("--mode", "smpp"),
    Scenario.SLOW: ("--mode", "batch", "--answer-delay", "40"),
    Scenario.LIMITED: ("--mode", "batch", "--channel-rate", "1000"),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """What is asked for."""

    scenario: Scenario
    rate: int
    """Messages a second."""
    seconds: int

    @property
    def messages(self) -> int:
        """In all."""
        return self.rate * self.seconds

    @property
    def octets(self) -> int:
        """Of the disk, about, until it is cleared away."""
        return self.messages * OCTETS + SPARE_OCTETS

    @property
    def within(self) -> int:
        """Seconds after which it ends whatever it is doing."""
        return self.seconds + SPARE_SECONDS

    def options(self) -> list[str]:
        """Of ``smsgwctl bench``. None of them names a gateway, a carrier or a key: the stage is always its own."""
        return [
            *_OPTIONS[self.scenario], "--messages", str(self.messages), "--rate", str(self.rate),
            "--within", str(self.within),
            "--batch", str(max(1, min(MOST_BATCH, self.rate // 10))),
            "--warm-up", str(min(MOST_WARM_UP, self.messages // 10)),
        ]  # fmt: skip


class State(StrEnum):
    """Where a load test stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class LoadTest:
    """One of them."""

    id: int
    job_id: int
    profile: Profile
    reason: str
    node: int
    begun_by: ActorLabel
    begun_at: datetime
    state: State
    ended_at: datetime | None
    error: str
    """Of what kept it from an end."""
    samples: Sequence[Sequence[float]]
    """(seconds, due, accepted, reported) since the load began."""
    result: Mapping[str, Any] | None

    @property
    def scenario(self) -> str:
        """Its key."""
        return self.profile.scenario.value

    @property
    def rate(self) -> int:
        """Messages a second."""
        return self.profile.rate

    @property
    def seconds(self) -> int:
        """Of load."""
        return self.profile.seconds

    @property
    def over(self) -> bool:
        """Whether nothing runs any more."""
        return self.state not in (State.WAITING, State.RUNNING)


class Why(StrEnum):
    """Why one came to no end, as it stands in ``LoadTest.error``: anything else there is what the process said."""

    INTERRUPTED = "interrupted"
    """Its node went away."""
    KILLED = "killed"
    """Its process ended without a word."""
    SLOWED = "slowed"
    """It gave way: this installation's own database had become slow."""
    DISK = "disk"
    """It gave way: the disk had hardly any room left."""


class Verdict(StrEnum):
    """What a result says of a clause."""

    MET = "met"
    MISSED = "missed"
    NOT_TESTED = "not_tested"
    """The load that was asked for is less than the clause asks for, or nothing was measured."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One clause of the tender, by its number in docs/tender.md, and what was measured."""

    clause: str
    required: str
    measured: str
    verdict: Verdict


RATE_REQUIRED, RATE_SECONDS = 1_000, 1_800
DAY_REQUIRED = 5_000_000
P99_REQUIRED = 200.0
"""Milliseconds."""
_NEARLY = 0.99
"""A paced load is never a hair above what was asked for."""


def findings(profile: Profile, result: Mapping[str, Any]) -> list[Finding]:
    """What the figures say, clause by clause."""
    counts, accept = result["counts"], result["accept"]
    per_s, problems = float(result["end_to_end_per_s"]), list(result["problems"])
    long = profile.seconds >= RATE_SECONDS
    full = long and profile.rate >= RATE_REQUIRED
    p99 = None if accept is None else float(accept["p99"])
    day = per_s * 86_400
    return [
        Finding("S13.1", f"≥ {RATE_REQUIRED:,}/s × {RATE_SECONDS // 60} min",
                f"{per_s:,.0f}/s × {profile.seconds / 60:.3g} min",
                _verdict(per_s >= RATE_REQUIRED * _NEARLY and not problems, tested=full)),
        Finding("S13.1", f"p99 < {P99_REQUIRED:.0f} ms", "—" if p99 is None else f"p99 {p99:,.1f} ms",
                _verdict(p99 is not None and p99 < P99_REQUIRED,
                         tested=p99 is not None and profile.rate >= RATE_REQUIRED)),
        Finding("S13.2a", "100 %", f"{counts['accepted']:,} / {counts['posted']:,}",
                _verdict(counts["accepted"] == counts["posted"] == counts["received_distinct"], tested=True)),
        Finding("S13.3a", f"≥ {DAY_REQUIRED:,}", f"{day:,.0f}",
                _verdict(day >= DAY_REQUIRED, tested=long and profile.rate * 86_400 >= DAY_REQUIRED)),
        Finding("S13.3b", "0 / 0",
                f"{counts['accepted'] - (counts['received_distinct'] or 0):,} / {counts['received_again']:,}",
                _verdict(not problems, tested=True)),
    ]  # fmt: skip


def _verdict(good: bool, *, tested: bool) -> Verdict:
    if not tested:
        return Verdict.NOT_TESTED
    return Verdict.MET if good else Verdict.MISSED
