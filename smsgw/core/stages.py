"""Sending in steps: a small part first, then more, then all, unless what was sent does badly. Pure (docs/adr/056).

A stage sends the rows up to a share of all; a run has as many stages as there are shares, and one more for all. While
a stage goes out and after it, failures, opt-outs and complaints are measured. The next one is released when nothing
is beyond its limit, the time of watching is over, and most results are known.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil, isfinite
from typing import Any

from smsgw.core.errors import Invalid
from smsgw.core.words import phrase

MOST_SHARES = 5
LEAST_SHARE, MOST_SHARE = 0.1, 99.0
MOST_MINUTES = 24 * 60
MINUTE = timedelta(minutes=1)
KNOWN_SHARE = 80
"""Percent of the messages of which the result has to be known before more are sent."""
PATIENCE = timedelta(hours=24)
"""After which a stage whose results do not come is halted."""
SAMPLE = 100
"""Messages that a share is counted of at least, as long as the stage has so many rows."""
MOST_PAST = 50
"""Decisions that are remembered."""
LIMITS = ("failed", "opted_out", "complained")
_FAILED = ("failed", "expired")
_KNOWN = ("delivered", "failed", "expired", "unconfirmed")
_WAITING = ("held", "scheduled", "queued")
_NEVER_SENT = ("rejected", "cancelled", "duplicate")


@dataclass(frozen=True, slots=True)
class Steps:
    """How a task sends in steps."""

    shares: tuple[float, ...]
    """Percent of the rows that have been sent to by the end of each stage, rising; the last stage is all."""
    minutes: int
    """How long a stage is watched at least after it was sent."""
    failed: float
    """Percent of the messages that may fail, …"""
    opted_out: float
    """… that may be answered by an opt-out, …"""
    complained: float
    """… that may be complained about."""

    @property
    def stages(self) -> int:
        """How many there are."""
        return len(self.shares) + 1

    def end(self, stage: int, rows: int) -> int:
        """The last row of a stage (from 1): never fewer than one more than before it."""
        end = 0
        for n in range(1, stage + 1):
            share = self.shares[n - 1] if n <= len(self.shares) else 100.0
            end = min(rows, max(end + 1, ceil(rows * share / 100 - 1e-9)))
        return end

    def limit(self, name: str) -> float:
        """One of ``LIMITS``."""
        found: float = getattr(self, name)
        return found

    def plain(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "shares": list(self.shares), "minutes": self.minutes, "failed": self.failed, "opted_out": self.opted_out,
            "complained": self.complained,
        }  # fmt: skip


def steps_of(given: Mapping[str, Any]) -> Steps:
    """``{"shares": [1, 10], "minutes": 30, "failed": 5, "opted_out": 1, "complained": 0.1}``. ``PARAM_INVALID``."""
    shares = given.get("shares")
    if not isinstance(shares, list | tuple) or not 0 < len(shares) <= MOST_SHARES:
        raise _wrong("shares", "steps.shares", most=MOST_SHARES)
    values = [_number(share, "shares", LEAST_SHARE, MOST_SHARE) for share in shares]
    if any(a >= b for a, b in itertools.pairwise(values)):
        raise _wrong("shares", "steps.rising")
    minutes = given.get("minutes")
    if not isinstance(minutes, int) or isinstance(minutes, bool) or not 1 <= minutes <= MOST_MINUTES:
        raise _wrong("minutes", "number.in", low=1, high=MOST_MINUTES)
    limits = {name: _number(given.get(name), name, 0.0, 100.0) for name in LIMITS}
    return Steps(tuple(values), minutes, **limits)


def _number(value: Any, field: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or not low <= value <= high:
        raise _wrong(field, "number.in", low=f"{low:g}", high=f"{high:g}")
    return float(value)


def _wrong(field: str, key: str, **values: Any) -> Invalid:
    return Invalid("PARAM_INVALID", field=f"steps.{field}", reason=phrase(key, **values))


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a run stands."""

    stage: int
    """From 1."""
    begin: int
    """Rows behind this one are measured: all of the run, or those since somebody let it go on in spite of a halt."""
    end: int
    """The last row that may be fed."""
    since: datetime | None = None
    """Since when it is watched; None: it is still sent."""
    halted: str = ""
    """Which limit has stopped it, or ``unknown``: results are missing; empty: none."""
    past: tuple[Mapping[str, Any], ...] = ()
    """What was decided: stage, what (``passed``, ``halted``, ``released``), when, by whom, the figures of that time."""

    def plain(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "stage": self.stage, "begin": self.begin, "end": self.end,
            "since": None if self.since is None else self.since.isoformat(), "halted": self.halted,
            "past": [dict(one) for one in self.past[-MOST_PAST:]],
        }  # fmt: skip


def stage_of(kept: Mapping[str, Any] | None) -> Stage | None:
    """As it was kept; None: the run is not in stages."""
    if not kept:
        return None
    since = kept["since"]
    return Stage(
        kept["stage"], kept["begin"], kept["end"], None if since is None else datetime.fromisoformat(since),
        kept["halted"], tuple(kept["past"]),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """What has become of the messages that are measured."""

    sent: int = 0
    """Messages made that were not refused, cancelled or doubled by ourselves."""
    waiting: int = 0
    """Of them, those that no channel has taken yet."""
    known: int = 0
    """Those whose result is known."""
    failed: int = 0
    opted_out: int = 0
    complained: int = 0

    def plain(self) -> dict[str, int]:
        """As it is kept with a decision."""
        return {name: getattr(self, name) for name in ("sent", "known", *LIMITS)}


def measured(statuses: Mapping[str, int], opted_out: int, complained: int) -> Measured:
    """From what messages were counted as."""

    def of(names: Sequence[str]) -> int:
        return sum(statuses.get(name, 0) for name in names)

    sent = sum(statuses.values()) - of(_NEVER_SENT)
    return Measured(sent, of(_WAITING), of(_KNOWN), of(_FAILED), opted_out, complained)


class Verdict(StrEnum):
    """What is to be done now."""

    SENDING = "sending"
    WATCH = "watch"
    """All of it was sent: its time of watching begins."""
    WATCHING = "watching"
    PASS = "pass"  # noqa: S105 - not a word to enter
    """The next stage may begin."""
    HALT = "halt"


def whole(stage: Stage, found: Measured, fed: int, last: bool) -> int:
    """What a share is counted of: a stage that is still going out is judged as a whole, so that what is beyond the
    limit now stays so; the last one by what was sent, and no fewer than a sample."""
    rows = max(0, stage.end - stage.begin)
    if last:
        return max(found.sent, min(SAMPLE, rows))
    return max(found.sent, rows) if fed < stage.end else found.sent


def beyond(steps: Steps, found: Measured, of: int) -> str:
    """The first limit that is exceeded; empty: none is."""
    for name in LIMITS:
        count = getattr(found, name)
        if count and count * 100 > steps.limit(name) * of + 1e-9:
            return name
    return ""


def judge(
    steps: Steps, stage: Stage, found: Measured, *, rows: int, fed: int, aside: bool, now: datetime
) -> tuple[Verdict, str]:
    """What is to be done, and for a halt why. ``aside``: rows of it wait for a channel."""
    last = stage.end >= rows
    if why := beyond(steps, found, whole(stage, found, fed, last)):
        return Verdict.HALT, why
    if last or fed < stage.end or aside:
        return Verdict.SENDING, ""
    if stage.since is None:
        return (Verdict.SENDING if found.waiting else Verdict.WATCH), ""
    watched = now - stage.since
    known = found.known * 100 >= KNOWN_SHARE * found.sent
    if watched >= steps.minutes * MINUTE and known:
        return Verdict.PASS, ""
    if watched >= PATIENCE and not known:
        return Verdict.HALT, "unknown"
    return Verdict.WATCHING, ""
