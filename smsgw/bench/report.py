"""The report of acceptance: one page in Chinese to print, with nothing to fetch and nothing that runs.

What the figures say of the tender's clauses is found where the portal's report finds it (``platform.load_tests``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from smsgw.admin.words import load_tests as words
from smsgw.bench.result import SPREAD_MS, Course, Result
from smsgw.platform.load_tests.model import Verdict, findings

WIDTH, HEIGHT = 680, 210
LEFT, RIGHT, TOP, BOTTOM = 56, 8, 10, 24
"""Around what is drawn, for the figures of the axes."""
TICKS = 4


@dataclass(frozen=True, slots=True)
class Tick:
    """A figure at an axis; ``at``: where along it."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart as SVG draws it, in its units."""

    across: Sequence[Tick]
    up: Sequence[Tick]
    lines: Sequence[str] = ()
    """Points of each."""
    bars: Sequence[tuple[float, float, float, str]] = ()
    """Left, top, height and figure of each."""
    bar_width: float = 0.0


def page(rate: float, seconds: float, result: Result) -> str:
    """The report of a run that was asked for so many messages a second (0: as fast as answers come) for so long."""
    data = result.as_json()
    found = findings(rate, seconds, data)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((Path(__file__).parent / "report.html").read_text("utf-8"))
    return template.render(
        r=data, findings=found, words=words, verdicts=Counter(one.verdict.value for one in found), verdict=Verdict,
        course=None if result.course is None else course(result.course), spread=spread(result.accept_spread),
        width=WIDTH, height=HEIGHT, left=LEFT, right=WIDTH - RIGHT, top=TOP, floor=HEIGHT - BOTTOM,
    )  # fmt: skip


def course(told: Course) -> Drawing:
    """Messages a second by time."""
    series = (told.accepted_per_s, told.reported_per_s)
    most = round_up(max(1.0, *series[0], *series[1]))
    points, seconds = len(series[0]), len(series[0]) * told.step_s
    lines = [
        " ".join(f"{_across((n + 0.5) / points):.1f},{_up(per_s / most):.1f}" for n, per_s in enumerate(one))
        for one in series
    ]
    across = [Tick(_across(n / TICKS), _clock(seconds * n / TICKS)) for n in range(TICKS + 1)]
    return Drawing(across, _heights(most), lines)


def spread(counts: Sequence[int]) -> Drawing:
    """How many calls were answered within how many milliseconds."""
    most = round_up(max(1, *counts)) if counts else 1.0
    room = (WIDTH - LEFT - RIGHT) / (len(SPREAD_MS) + 1)
    labels = [*(f"≤ {ms:,}" for ms in SPREAD_MS), f"> {SPREAD_MS[-1]:,}"]
    bars = [
        (LEFT + room * (n + 0.1), _up(count / most), _up(0.0) - _up(count / most), f"{count:,}" if count else "")
        for n, count in enumerate(counts)
    ]
    across = [Tick(LEFT + room * (n + 0.5), label) for n, label in enumerate(labels)]
    return Drawing(across, _heights(most), bars=bars, bar_width=room * 0.8)


def round_up(value: float) -> float:
    """The next of 1, 2, 4, 8 or 10 times a power of ten: four steps of it are easy to read."""
    power = 1.0
    while value > 10 * power:
        power *= 10
    return next(step * power for step in (1, 2, 4, 8, 10) if step * power >= value)


def _heights(most: float) -> list[Tick]:
    return [Tick(_up(n / TICKS), f"{most * n / TICKS:,.0f}") for n in range(TICKS + 1)]


def _across(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _up(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
