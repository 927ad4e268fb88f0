"""Load tests: scenarios, limits, and what a result says of the tender's clauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    FLOOD = "flood"
    """Batches over HTTP as fast as answers come."""
    OTP = "otp"
    """One-time codes, one by one, beside batches; all channels serve all numbers."""
    PERSONALISED = "personalised"
    """Batches of a template whose variables each recipient has values of."""
    CMPP = "cmpp"
    """A partner over CMPP."""


_OPTIONS: dict[Scenario, Sequence[str]] = {
    Scenario.STEADY: ("--mode", "batch"),
    Scenario.SINGLE: ("--mode", "single", "--push"),
    Scenario.PARTNER: ("--mode", "smpp"),
    Scenario.SLOW: ("--mode", "batch", "--answer-delay", "40"),
    Scenario.LIMITED: ("--mode", "batch", "--channel-rate", "1000"),
    Scenario.FLOOD: ("--profile", "flood"),
    Scenario.OTP: ("--profile", "otp"),
    Scenario.PERSONALISED: ("--profile", "personalised"),
    Scenario.CMPP: ("--profile", "cmpp"),
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
    def pace(self) -> int:
        """Messages a second that are asked for; 0: as many as are answered."""
        return 0 if self.scenario is Scenario.FLOOD else self.rate

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
            *_OPTIONS[self.scenario], "--messages", str(self.messages), "--rate", str(self.pace),
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
    OUTAGE = "outage"
    """Its daemon or database had an outage that nobody asked for: it has a result, which says which."""


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
    what: str
    """Key of the words that say what of it this is."""
    required: str
    measured: str
    verdict: Verdict


RATE_REQUIRED, RATE_SECONDS = 1_000, 1_800
DAY_REQUIRED = 5_000_000
P99_REQUIRED = 200.0
"""Milliseconds."""
CODES_P99_REQUIRED, LEAST_CODES = 300.0, 100
"""Milliseconds from the post of a one-time code to the carrier, beside a mass of other messages; with fewer codes
nothing is said. The tender has no figure: this one is ours."""
SHARE_OFF, LEAST_SHARED = 5.0, 1_000
"""Points of a hundred by which the share of a channel may be off an even one; of fewer messages nothing is said. Ours,
too."""
_NEARLY = 0.99
"""A paced load is never a hair above what was asked for."""
NOTHING = "—"


def findings(rate: float, seconds: float, result: Mapping[str, Any]) -> list[Finding]:
    """What the figures of a bench say, clause by clause: every clause that one can say something of, whether or not
    this one does. ``rate`` and ``seconds``: what was asked for; rate 0: as fast as answers come, so that what came is
    all that there was to come."""
    counts = result["counts"]
    per_s, problems = float(result["end_to_end_per_s"]), list(result["problems"])
    fault = result.get("fault")
    flood = not rate
    if flood:
        rate, seconds = float(result["accepted_per_s"]), float(result["seconds"])
    long, calm = seconds >= RATE_SECONDS, fault is None
    much = rate >= RATE_REQUIRED * _NEARLY
    p99 = None if result["accept"] is None else float(result["accept"]["p99"])
    day = per_s * 86_400
    seen = counts["received_distinct"] is not None
    lost = max(0, counts["accepted"] - (counts["received_distinct"] or 0) - counts.get("unknown", 0))
    again = counts["received_again"] or 0
    found = [
        Finding("S13.1", "rate", f"≥ {RATE_REQUIRED:,}/s × {RATE_SECONDS // 60} min",
                f"{per_s:,.0f}/s × {seconds / 60:.3g} min",
                _verdict(per_s >= RATE_REQUIRED * _NEARLY and not problems, tested=long and (much or flood) and calm)),
        Finding("S13.1", "accept", f"p99 < {P99_REQUIRED:.0f} ms", NOTHING if p99 is None else f"p99 {p99:,.1f} ms",
                _verdict(p99 is not None and p99 < P99_REQUIRED, tested=p99 is not None and much and calm)),
        Finding("S13.2a", "submitted", "100 %", f"{counts['accepted']:,} / {counts['posted']:,}",
                _verdict(counts["accepted"] == counts["posted"] == counts["received_distinct"],
                         tested=seen)),
        Finding("S13.3a", "day", f"≥ {DAY_REQUIRED:,}", f"{day:,.0f}",
                _verdict(day >= DAY_REQUIRED, tested=long and (flood or rate * 86_400 >= DAY_REQUIRED) and calm)),
        Finding("S13.3b", "exact", "0 / 0", f"{lost:,} / {again:,}" if seen else NOTHING,
                _verdict(not problems, tested=seen)),
        _survived("S14a", "database", result, lost, again),
        Finding("S14b", "server", "0 / 0", NOTHING, Verdict.NOT_TESTED),
        _survived("S14c", "daemon", result, lost, again),
        _each_channel(rate, result),
        _even_shares(result),
        _codes_in_time(much, result),
    ]  # fmt: skip
    if result.get("outages"):  # whatever the figures are, they are not of a system that works
        found = [replace(one, verdict=Verdict.MISSED) if one.verdict is Verdict.MET else one for one in found]
    return found


def _survived(clause: str, what: str, result: Mapping[str, Any], lost: int, again: int) -> Finding:
    """It died in the middle of the load."""
    fault = result.get("fault")
    if fault is None or fault["what"] != what:
        return Finding(clause, what, "0 / 0", NOTHING, Verdict.NOT_TESTED)
    measured = f"{lost:,} / {again:,} / {result['counts']['unknown']:,} · {fault['seconds']:,.1f} s"
    return Finding(clause, what, "0 / 0", measured, _verdict(not result["problems"], tested=True))


def _each_channel(rate: float, result: Mapping[str, Any]) -> Finding:
    """Each was offered so much, and carried it."""
    carried, limit = result.get("carried") or [], int(result.get("channel_rate", 0))
    measured = " · ".join(f"{one['carrier']} {one['per_s']:,.0f}/s" for one in carried)
    enough = RATE_REQUIRED * _NEARLY
    tested = (
        bool(carried)
        and result.get("fault") is None
        and (not limit or limit >= RATE_REQUIRED)
        and rate >= enough * len(carried)
    )
    good = tested and min(float(one["per_s"]) for one in carried) >= enough
    return Finding("S16b", "channel", f"≥ {RATE_REQUIRED:,}/s", measured or NOTHING, _verdict(good, tested=tested))


def _even_shares(result: Mapping[str, Any]) -> Finding:
    """Channels that could all have had each message had as many."""
    carried = result.get("carried") or []
    sent = sum(int(one["messages"]) for one in carried)
    tested = bool(result.get("balanced")) and len(carried) > 1 and sent >= LEAST_SHARED
    shares = [100 * int(one["messages"]) / sent for one in carried] if tested else []
    even = 100 / max(1, len(shares))
    return Finding(
        "S20a", "balance", f"{even:.0f} ± {SHARE_OFF:.0f} %" if shares else f"± {SHARE_OFF:.0f} %",
        " · ".join(f"{share:.1f} %" for share in shares) or NOTHING,
        _verdict(all(abs(share - even) <= SHARE_OFF for share in shares), tested=tested),
    )  # fmt: skip


def _codes_in_time(much: bool, result: Mapping[str, Any]) -> Finding:
    """One-time codes came to the carrier in time beside the mass."""
    codes = result.get("codes")
    timed = None if codes is None else codes["post_to_carrier"]
    tested = timed is not None and codes is not None and codes["posted"] >= LEAST_CODES and much
    measured = NOTHING if timed is None else f"p50 {timed['p50']:,.1f} · p99 {timed['p99']:,.1f} ms"
    good = timed is not None and float(timed["p99"]) <= CODES_P99_REQUIRED
    return Finding("S20b", "codes", f"p99 ≤ {CODES_P99_REQUIRED:.0f} ms", measured,
                   _verdict(good, tested=tested and result.get("fault") is None))  # fmt: skip


def _verdict(good: bool, *, tested: bool) -> Verdict:
    if not tested:
        return Verdict.NOT_TESTED
    return Verdict.MET if good else Verdict.MISSED
