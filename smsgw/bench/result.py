"""What a run has shown: figures for people and programs, and whether every message was handled exactly once."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from smsgw.bench.processes import Cores

TENTHS = 10
POINTS = 300
"""Of a course at most: each of them whole seconds."""
SPREAD_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Where the classes of a spread end, in milliseconds; what took longer is in one more."""
LONG = 30.0
"""Seconds from which on a run is told by tenths, too."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in milliseconds."""

    p50: float
    p90: float
    p99: float
    worst: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Latency | None:
        """By the nearest rank; None without values."""
        ordered = sorted(seconds)
        if not ordered:
            return None
        ranks = [ordered[max(0, math.ceil(q * len(ordered)) - 1)] * 1000 for q in (0.5, 0.9, 0.99, 1.0)]
        return cls(*(round(ms, 2) for ms in ranks))

    def __str__(self) -> str:
        return f"p50 {self.p50:.1f}  p90 {self.p90:.1f}  p99 {self.p99:.1f}  max {self.worst:.1f} ms"


@dataclass(frozen=True, slots=True)
class Carried:
    """What one carrier saw, by its own clock."""

    carrier: str
    messages: int
    per_s: float
    """From the first arrival to the last."""
    backlog_s: float
    """Seconds from the last accepted post to the last arrival: what came then had been waiting."""
    backlog_per_s: float
    """In those seconds."""
    accepting_per_s: float
    """From the first arrival to the last accepted post: while the load generator was posting all it could."""
    peak_second: int
    """Most that arrived in any span of one second."""
    wire_peak_second: int | None = None
    """Most that was sent in any span of one second, warm-up included, by the kernel's time stamps; None: not seen."""

    @classmethod
    def of(
        cls, carrier: str, arrivals: Iterable[float], accepted: float, sent: Sequence[float] | None = None
    ) -> Carried:
        """From the times of arrival, in any order, that of the last accepted post, and those of the wire, in order."""
        at = sorted(arrivals)
        span = at[-1] - at[0] if at else 0.0
        waited = sum(when > accepted for when in at)
        backlog = at[-1] - accepted if waited else 0.0
        accepting = accepted - at[0] if at else 0.0
        return cls(
            carrier, len(at), round((len(at) - 1) / span, 1) if span else 0.0,
            round(backlog, 1), round(waited / backlog, 1) if backlog else 0.0,
            round((len(at) - waited) / accepting, 1) if accepting > 0 else 0.0, _fullest_second(at),
            None if sent is None else _fullest_second(sent),
        )  # fmt: skip


def _fullest_second(times: Sequence[float]) -> int:
    peak = first = 0
    for last, when in enumerate(times):
        while times[first] <= when - 1.0:
            first += 1
        peak = max(peak, last - first + 1)
    return peak


def by_tenth(times: Iterable[float], begin: float, seconds: float) -> list[float]:
    """How many of these times a second lie in each tenth of a run."""
    counts = [0] * TENTHS
    for at in times:
        counts[min(TENTHS - 1, max(0, int((at - begin) * TENTHS / seconds)))] += 1
    return [round(n * TENTHS / seconds, 1) for n in counts]


@dataclass(frozen=True, slots=True)
class Course:
    """How a run went, in steps of ``step_s`` seconds from the first post."""

    step_s: int
    accepted_per_s: list[float]
    reported_per_s: list[float]

    @classmethod
    def of(
        cls, begin: float, seconds: float, accepted: Iterable[tuple[float, int]], reported: Iterable[float]
    ) -> Course:
        """From the times of accepted calls with their messages, and of reports."""
        step = max(1, math.ceil(seconds / POINTS))
        points = max(1, math.ceil(seconds / step))
        last = seconds - (points - 1) * step  # a step that is not whole

        def rates(counted: Iterable[tuple[float, int]]) -> list[float]:
            sums = [0] * points
            for at, n in counted:
                sums[min(points - 1, max(0, int((at - begin) / step)))] += n
            return [round(n / (last if at == points - 1 and last > 0 else step), 1) for at, n in enumerate(sums)]

        return cls(step, rates(accepted), rates((at, 1) for at in reported))


def spread(seconds: Iterable[float]) -> list[int]:
    """How many took how long, by the classes of ``SPREAD_MS``."""
    counts = [0] * (len(SPREAD_MS) + 1)
    for one in seconds:
        counts[bisect.bisect_left(SPREAD_MS, one * 1000)] += 1
    return counts


@dataclass(frozen=True, slots=True)
class Codes:
    """One-time codes beside the load."""

    per_s: float
    posted: int
    accept: Latency | None
    post_to_carrier: Latency | None
    post_to_report: Latency | None


@dataclass(frozen=True, slots=True)
class Fault:
    """What died in the middle of the load."""

    what: str
    """``database`` or ``daemon``."""
    after_s: float
    """From the first post."""
    seconds: float
    """Until it was back."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Of the daemon or its database, that nobody asked for."""

    what: str
    """``database`` or ``daemon``."""
    at: str
    """By the clock of China, with the offset."""
    after_s: float | None
    """From the first post; negative in what came before, None when there was none."""
    cause: str
    """A line of a log, or how a process has ended."""

    def __str__(self) -> str:
        when = "" if self.after_s is None else f" ({self.after_s:.1f} s after the first post)"
        return f"outage of the {self.what} at {self.at}{when}: {self.cause}"


@dataclass(frozen=True, slots=True)
class Written:
    """What a message costs the database, the warm-up and all that the daemon does beside it included."""

    wal_octets: int
    transactions: float
    """That have written."""
    dead_versions: float
    """Of rows, which vacuum has to clear away: one for each update and each delete."""
    hot_share: float
    """Of the updates, those that no index had to learn of."""


@dataclass(frozen=True, slots=True)
class Rival:
    """What is held against each other."""

    accepted_per_s: float
    end_to_end_per_s: float
    cpu_ms: float
    """Of a message, without carriers and load generator."""


@dataclass(frozen=True, slots=True)
class Against:
    """Kannel under the same load."""

    version: str
    figures: Rival
    accepted: int
    received: int
    reported: int
    throughput_ratio: float
    """Ours by theirs, end to end."""
    cpu_ratio: float
    accept: Latency | None
    post_to_report: Latency | None

    def lines(self) -> list[str]:
        """For people."""
        f = self.figures
        return [
            f"Kannel {self.version} under the same load",
            f"  accepted            {f.accepted_per_s:10,.0f} /s",
            f"  end to end          {f.end_to_end_per_s:10,.0f} /s",
            f"  CPU per message     {f.cpu_ms:10.3f} ms (bearerbox and smsbox)",
            f"  post answered       {self.accept}",
            f"  post to report      {self.post_to_report}",
            f"  accepted {self.accepted:,}, at the carrier {self.received:,}, reported {self.reported:,}",
            f"  ours by Kannel's    {self.throughput_ratio:.2f} of the throughput, {self.cpu_ratio:.2f} of the CPU",
        ]


@dataclass(slots=True)
class Counts:
    """One message, four witnesses: the answer to the post, the account's balance, the carriers, the reports."""

    posted: int
    accepted: int
    billed: int
    """Units that the balance went down by."""
    pulled: int
    """Messages whose report was pulled."""
    pulled_again: int
    pulled_strange: int
    """Reports of messages that were never accepted."""
    lost_calls: int
    unknown: int = 0
    """Accepted messages that have no report because the platform says that it cannot know what became of them: what
    dies while submits are without an answer leaves some."""
    offered_again: int = 0
    """Reports that came again since nobody had answered that they were taken: as promised."""
    repeated_calls: int = 0
    """Made again with their key, for want of an answer."""
    received: int | None = None
    """Messages that arrived at the carriers; None when the carriers are not ours."""
    received_distinct: int | None = None
    received_again: int | None = None
    refusals: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """Everything that contradicts "each accepted message submitted, reported and pulled exactly once"."""
        found = []
        if self.accepted != self.posted:
            found.append(f"{self.posted - self.accepted} of {self.posted} posted messages were not accepted")
        if self.lost_calls:
            found.append(f"{self.lost_calls} calls got no answer")
        if self.billed != self.accepted:
            found.append(f"{self.accepted} accepted, {self.billed} billed")
        if self.pulled + self.unknown != self.accepted:
            found.append(f"{self.accepted - self.pulled - self.unknown} accepted messages have no report")
        if self.pulled_again:
            found.append(f"{self.pulled_again} reports were pulled more than once")
        if self.pulled_strange:
            found.append(f"{self.pulled_strange} reports are of messages that nobody accepted")
        least = self.accepted - self.unknown
        if self.received_distinct is not None and not least <= self.received_distinct <= self.accepted:
            found.append(f"{self.accepted} accepted, {self.received_distinct} arrived at the carriers")
        if self.received_again:
            found.append(f"{self.received_again} messages arrived at the carriers more than once")
        return found


@dataclass(slots=True)
class Result:
    """One run."""

    machine: dict[str, str]
    settings: dict[str, Any]
    raised_limits: dict[str, str]
    messages: int
    """Messages of the measured part, without the warm-up."""
    seconds: float
    accepted_per_s: float
    end_to_end_per_s: float
    cpu_ms_per_message: dict[str, float]
    daemon_peak_mib: float | None
    accept: Latency | None
    post_to_carrier: Latency | None
    post_to_report: Latency | None
    counts: Counts
    carried: list[Carried] = field(default_factory=list)
    """By carrier, the measured part."""
    by_tenth_per_s: list[float] = field(default_factory=list)
    """Reports that came in each tenth of the time; empty for a short run."""
    daemon_mib: list[float] = field(default_factory=list)
    """Resident memory of the daemon, every ten seconds of the measured part."""
    written: Written | None = None
    cores: Cores | None = None
    """None: the gateway is not on a stage of ours."""
    against: Against | None = None
    course: Course | None = None
    accept_spread: list[int] = field(default_factory=list)
    """Of calls, by the classes of ``SPREAD_MS``."""
    codes: Codes | None = None
    fault: Fault | None = None
    outages: list[Outage] = field(default_factory=list)
    """With one of them the run has failed."""
    balanced: bool = False
    """Every channel could have had every message."""
    channel_rate: int = 0
    """Submits a second that each channel was allowed; 0: any."""
    asked: dict[str, Any] = field(default_factory=dict)
    """As ``settings``, for who says it in other words."""
    daemon_log: list[str] = field(default_factory=list)
    """Warnings and errors of the daemon."""

    @property
    def problems(self) -> list[str]:
        """Why the run has failed; empty when it has not."""
        return [*map(str, self.outages), *self.counts.problems]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self) | {"problems": self.problems}

    def lines(self) -> list[str]:
        """For people."""
        c = self.counts
        cpu = self.cpu_ms_per_message
        lines = [
            *_section("machine", self.machine),
            *_section("run", self.settings),
            *_section("raised limits", self.raised_limits),
            "throughput",
            f"  accepted            {self.accepted_per_s:10,.0f} /s",
            f"  end to end          {self.end_to_end_per_s:10,.0f} /s   ({self.messages:,} in {self.seconds:.2f} s)",
        ]
        if self.by_tenth_per_s:
            lines.append(f"  by tenth            {' '.join(f'{per_s:,.0f}' for per_s in self.by_tenth_per_s)} /s")
        if cpu:
            lines.append("CPU per message")
        lines += [f"  {name:<18}  {ms:8.3f} ms" for name, ms in cpu.items()]
        if "daemon" in cpu and "database" in cpu:
            lines.append(f"  {'daemon + database':<20}{cpu['daemon'] + cpu['database']:8.3f} ms")
            lines.append(f"  {'all':<20}{sum(cpu.values()):8.3f} ms")
        if self.cores is not None:
            cores = self.cores
            lines.append(
                f"  of {cores.cores} cores          {cores.idle:8.0%} idle, {cores.others:.0%} for others: "
                f"with the same work a message at most {cores.bound:.2f} times as fast"
            )
        if self.written is not None:
            w = self.written
            lines += [
                "database per message, warm-up included",
                f"  written ahead       {w.wal_octets:10,d} octets",
                f"  transactions        {w.transactions:10.3f}",
                f"  dead row versions   {w.dead_versions:10.2f}   ({w.hot_share:.0%} of the updates HOT)",
            ]
        if self.daemon_peak_mib is not None:
            lines.append(f"daemon memory, peak   {self.daemon_peak_mib:8.0f} MiB")
        if len(self.daemon_mib) >= TENTHS:
            tenths = [self.daemon_mib[len(self.daemon_mib) * n // TENTHS - 1] for n in range(1, TENTHS + 1)]
            lines.append(f"  after each tenth    {' '.join(f'{mib:.0f}' for mib in tenths)} MiB")
        lines += ["latency"]
        for name, latency in (
            ("post answered", self.accept),
            ("post to carrier", self.post_to_carrier),
            ("post to report", self.post_to_report),
        ):
            lines.append(f"  {name:<20}{latency if latency is not None else 'not known'}")
        if self.codes is not None:
            codes = self.codes
            lines += [
                f"one-time codes, {codes.per_s:g}/s beside it: {codes.posted:,}",
                f"  post answered       {codes.accept or 'not known'}",
                f"  post to carrier     {codes.post_to_carrier or 'not known'}",
                f"  post to report      {codes.post_to_report or 'not known'}",
            ]
        if self.fault is not None:
            fault = self.fault
            lines.append(
                f"the {fault.what} was killed after {fault.after_s:.1f} s and was back {fault.seconds:.1f} s later"
            )
        if self.carried:
            lines.append("at the carriers, by their clock")
            lines += [
                f"  {one.carrier:<20}{one.per_s:8,.1f} /s in all, {one.accepting_per_s:,.1f} /s until the last post, "
                f"{one.backlog_per_s:,.1f} /s in the "
                f"{one.backlog_s:.1f} s after the last post, {one.peak_second:,} in the fullest second"
                + (f", {one.wire_peak_second:,} on the wire" if one.wire_peak_second is not None else "")
                for one in self.carried
            ]
        lines += [
            "counts, warm-up included",
            f"  accepted {c.accepted:,} of {c.posted:,} posted, billed {c.billed:,}",
            "  at the carriers     "
            + ("not known (not ours)" if c.received is None else f"{c.received:,}, {c.received_distinct:,} different"),
            f"  reports pulled      {c.pulled:,}, {c.pulled_again:,} again  {_mix(c.statuses)}",
        ]
        if self.fault is not None:
            lines.append(
                f"  unknown, and called so {c.unknown:,}; calls repeated with their key {c.repeated_calls:,}; "
                f"reports offered again {c.offered_again:,}"
            )
        if c.refusals:
            lines.append(f"  asked to wait       {_mix(c.refusals)}")
        if self.daemon_log:
            lines += [f"the daemon's log has {len(self.daemon_log)} lines; the last ones:", *self.daemon_log[-5:]]
        if self.against is not None:
            lines += self.against.lines()
        lines += [f"PROBLEM: {problem}" for problem in self.problems] or [
            "every accepted message was submitted, reported and pulled exactly once"
            if c.received is not None and not c.unknown
            else "every accepted message was reported and pulled exactly once"
            if not c.unknown
            else f"no message was lost or doubled; of {c.unknown:,} nobody can know whether they arrived"
        ]
        return lines


def _section(title: str, values: Mapping[str, Any]) -> list[str]:
    return [title, *(f"  {name:<28}{value}" for name, value in values.items())] if values else []


def _mix(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {n:,}" for name, n in sorted(counts.items()))
