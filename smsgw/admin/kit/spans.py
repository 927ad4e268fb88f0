"""Spans of the day in a form: lines of from, to and weekdays, which make one text (``core.schedule.written``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import time
from typing import Any

from smsgw.admin.words import times as words
from smsgw.core.schedule import ALL_DAYS, MAX_WINDOWS, Window, Windows, written

EVERY_DAY = tuple(str(day) for day in sorted(ALL_DAYS))
Line = tuple[int, str, str, tuple[str, ...]]
"""A line of a form: its number, when the span begins and ends as it was typed, and on which days."""


def typed(data: Mapping[str, Any], name: str) -> str:
    """What was typed; a line without any time is none, one without one of them goes to the end of the day."""

    def text(key: str) -> str:
        value = data.get(key, "")
        return value.strip()[:5] if isinstance(value, str) else ""

    several: Callable[[str, list[str]], list[str]] | None = getattr(data, "getall", None)
    found = []
    for n in range(1, MAX_WINDOWS + 1):
        begin, end = text(f"{name}{n}_from"), text(f"{name}{n}_to")
        if not begin and not end:
            continue
        ticked = several(f"{name}{n}_days", []) if several else []
        days = [day for day in EVERY_DAY if day in ticked]
        end = "24:00" if end in ("", "00:00") else end
        found.append((",".join(days) or "-", f"{begin or '00:00'}-{end}"))
    text_ = "; ".join(f"{days} {span}" for days, span in found)
    try:
        return str(written(text_)) if found else ""
    except ValueError:
        return text_


def lines(text: str) -> list[Line]:
    """What a form shows of it, to its last line; what was typed stays, though it may be wrong."""
    try:
        found = [
            (f"{one.begin:%H:%M}", f"{one.end:%H:%M}", tuple(map(str, sorted(one.days)))) for one in written(text).spans
        ]
    except ValueError:
        found = []
        for group in text.split(";")[:MAX_WINDOWS]:
            days, _, span = group.strip().partition(" ")
            begin, _, end = span.partition("-")
            found.append((begin[:5], end[:5], tuple(day for day in EVERY_DAY if day in days.split(","))))
    blank = [("", "", EVERY_DAY)] * (MAX_WINDOWS - len(found))
    return [(n, *line) for n, line in enumerate([*found, *blank], 1)]


def said(windows: Windows, tell: Callable[[str], str]) -> str:
    """For people: days, and their spans."""
    groups: list[tuple[frozenset[int], list[str]]] = []
    for span in windows.spans:
        if not groups or groups[-1][0] != span.days:
            groups.append((span.days, []))
        groups[-1][1].append(_hours(span))
    both = ((_days(days, tell), tell(words.AND).join(spans)) for days, spans in groups)
    return tell(words.ALSO).join(f"{days} {spans}".strip() for days, spans in both)


def _hours(span: Window) -> str:
    end = "24:00" if span.end == time(0) else f"{span.end:%H:%M}"
    return f"{span.begin:%H:%M}–{end}"


def _days(days: frozenset[int], tell: Callable[[str], str]) -> str:
    """Nothing for all of them; more than two that follow each other from the first to the last."""
    if days == ALL_DAYS:
        return ""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    named = {n: tell(word) for n, word in enumerate(words.DAYS, 1)}
    said_ = [
        [tell(words.TO) % {"first": named[run[0]], "last": named[run[-1]]}] if len(run) > 2 else [named[n] for n in run]
        for run in runs
    ]
    return tell(words.AND).join(one for run in said_ for one in run)
