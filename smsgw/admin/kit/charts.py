"""Charts: what one shows, made into options for the browser's library here, and into a table for those who read it.

Colours are named by their tokens: the browser puts the theme's in, so that a chart follows day and night.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

BESIDE = 24
"""Pixels from the middle of a bar to a dot beside it."""
MOST_POINTS = 2000
"""Of one line; a chart that needs more is to be counted in larger steps."""
TONES = ("blue", "green", "red", "orange", "purple", "azure", "yellow", "secondary")


class ChartKind(StrEnum):
    """What it looks like."""

    LINE = "line"
    BAR = "bar"
    STACK = "stack"
    """Bars on top of each other."""
    PIE = "pie"
    HEAT = "heat"


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one colour of bars; None: no value there."""

    label: str
    values: Sequence[float | None]
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart. Labels are in the reader's language already; ``summary`` says in a sentence what is to be seen."""

    title: str
    kind: ChartKind
    labels: Sequence[str]
    """Along the axis, or of the pieces of a pie."""
    series: Sequence[Series]
    unit: str = ""
    summary: str = ""
    rates: Sequence[Series] = ()
    """Lines in percent, over bars, with an axis of their own."""
    dots: bool = False
    """The labels do not follow each other, as days do: the rates are dots, for a line would tell of a course."""

    def __post_init__(self) -> None:
        for one in self.all:
            if len(one.values) != len(self.labels):
                raise ValueError(f"{self.title}: {one.label} has {len(one.values)} values for {len(self.labels)}")
        if len(self.labels) > MOST_POINTS:
            raise ValueError(f"{self.title}: more than {MOST_POINTS} points")

    @property
    def all(self) -> Sequence[Series]:
        """What it shows, in the order of a table."""
        return (*self.series, *self.rates)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to be seen."""
        return not any(value for one in self.series for value in one.values)

    @property
    def options(self) -> dict[str, Any]:
        """For echarts; ``tone`` stands for colours, which ``js/chart.js`` takes from the theme."""
        options = {ChartKind.PIE: _pie, ChartKind.HEAT: _heat}.get(self.kind, _lines)(self)
        return {"aria": {"enabled": True, "label": {"description": self.summary or self.title}}} | options


def spark(values: Sequence[float]) -> str:
    """Points of a line in a box of 100 by 24, zero at its foot; empty when there is nothing to be seen."""
    most = max(values, default=0)
    if len(values) < 2 or most <= 0:
        return ""
    step = 100 / (len(values) - 1)
    return " ".join(f"{at * step:.1f},{22 - 20 * max(0, value) / most:.1f}" for at, value in enumerate(values))


def _tone(chart: Chart, at: int) -> str:
    return chart.series[at].tone or TONES[at % len(TONES)]


def _lines(chart: Chart) -> dict[str, Any]:
    kind = "line" if chart.kind is ChartKind.LINE else "bar"
    stack = {"stack": "all"} if chart.kind is ChartKind.STACK else {}
    look = {"showSymbol": False, "smooth": False} if kind == "line" else {"barMaxWidth": 28}
    series: list[dict[str, Any]] = [
        {"name": one.label, "type": kind, "data": list(one.values), "tone": _tone(chart, at)} | look | stack
        for at, one in enumerate(chart.series)
    ]
    dots = {"lineStyle": {"width": 0}, "symbolSize": 11, "symbolOffset": [BESIDE, 0]} if chart.dots else {}
    series += [
        {"name": one.label, "type": "line", "data": list(one.values), "tone": one.tone or "blue", "yAxisIndex": 1,
         "showSymbol": chart.dots or len(chart.labels) == 1, "symbol": "circle"} | dots
        for one in chart.rates
    ]  # fmt: skip
    counts: dict[str, Any] = {"type": "value", "name": chart.unit, "minInterval": 1}
    percent = {
        "type": "value", "min": 0, "max": 100, "axisLabel": {"formatter": "{value}%"}, "splitLine": {"show": False},
    }  # fmt: skip
    return {
        "tooltip": {"trigger": "axis"},
        "legend": {"show": len(series) > 1, "top": 0, "type": "scroll"},
        "grid": {  # room above for the legend, or for the unit
            "left": 8,
            "right": 12,
            "top": 36 if len(series) > 1 else 32 if chart.unit else 16,
            "bottom": 4,
            "containLabel": True,
        },
        "xAxis": {"type": "category", "data": list(chart.labels), "boundaryGap": kind == "bar"},
        "yAxis": [counts, percent] if chart.rates else counts,
        "series": series,
    }


def _pie(chart: Chart) -> dict[str, Any]:
    values = chart.series[0].values if chart.series else ()
    data = [
        {"name": label, "value": value, "tone": TONES[at % len(TONES)]}
        for at, (label, value) in enumerate(zip(chart.labels, values, strict=True))
        if value
    ]
    return {
        "tooltip": {"trigger": "item"},
        "legend": {"show": True, "bottom": 0},
        "series": [{"type": "pie", "radius": ["45%", "70%"], "center": ["50%", "44%"], "data": data}],
    }


def _heat(chart: Chart) -> dict[str, Any]:
    data = [[x, y, value] for y, one in enumerate(chart.series) for x, value in enumerate(one.values) if value]
    most = max((value for _, _, value in data), default=1)
    return {
        "tooltip": {"position": "top"},
        "grid": {"left": 8, "right": 12, "top": 8, "bottom": 44, "containLabel": True},
        "xAxis": {"type": "category", "data": list(chart.labels), "splitArea": {"show": True}},
        "yAxis": {"type": "category", "data": [one.label for one in chart.series], "splitArea": {"show": True}},
        "visualMap": {
            "min": 0,
            "max": most,
            "orient": "horizontal",
            "left": "center",
            "bottom": 0,
            "tone": "blue",
            "text": [f"{most:,}", "0"],
        },
        "series": [{"type": "heatmap", "data": data, "name": chart.unit, "label": {"show": True}}],
    }
