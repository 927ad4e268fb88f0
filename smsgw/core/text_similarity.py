"""How much a text is like another one, and where they differ: at a cost that grows with their lengths (ADR 065).

Pairs of characters that stand once in each of both are anchors; the longest row of anchors in the order of both is what
they share, each anchor drawn out as far as the characters around it are the same. What lies between differs, but for
single characters that are found in it in the same manner.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

MOST = 1200
"""Characters that are compared."""
ANY = "\ue000"
"""Stands in a text for a place that may hold anything."""


def pairs(text: str) -> Counter[str]:
    """Of neighbouring characters."""
    text = text[:MOST]
    return Counter(text[at : at + 2] for at in range(len(text) - 1))


def likeness(one: Counter[str], other: Counter[str]) -> float:
    """0: nothing in common; 1: the same pairs."""
    whole = one.total() + other.total()
    return 2 * (one & other).total() / whole if whole else 0.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """What stands at the same place of both: ``same``, or what each has there."""

    one: str
    other: str
    same: bool


def compared(one: str, other: str) -> list[Stretch]:
    """Both, stretch by stretch; the texts are cut off after ``MOST`` characters."""
    found: list[Stretch] = []
    for stretch in _compared(one[:MOST], other[:MOST], 2):
        between = not stretch.same and stretch.one and stretch.other
        found += _compared(stretch.one, stretch.other, 1) if between else [stretch]
    return found


def _compared(one: str, other: str, size: int) -> list[Stretch]:
    found: list[Stretch] = []
    a = b = 0
    for at, to in [*_anchors(one, other, size), (len(one), len(other))]:
        if at < a or to < b:  # inside what the anchor before was drawn out to
            continue
        begin, to_begin = at, to
        while begin > a and to_begin > b and one[begin - 1] == other[to_begin - 1]:
            begin, to_begin = begin - 1, to_begin - 1
        if begin > a or to_begin > b:
            found.append(Stretch(one[a:begin], other[b:to_begin], False))
        end, to_end = at, to
        while end < len(one) and to_end < len(other) and one[end] == other[to_end]:
            end, to_end = end + 1, to_end + 1
        if end > begin:
            found.append(Stretch(one[begin:end], other[to_begin:to_end], True))
        a, b = end, to_end
    return found


def _anchors(one: str, other: str, size: int) -> Sequence[tuple[int, int]]:
    """Places of what is unique in both, in the order of both: as many as there can be. Before them the beginning of
    both, for what has none."""
    ours, theirs = _unique(one, size), _unique(other, size)
    shared = sorted((at, theirs[pair]) for pair, at in ours.items() if pair in theirs)
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for n, (_, to) in enumerate(shared):
        at = bisect_left(ends, to)
        before.append(last[at - 1] if at else -1)
        if at == len(ends):
            ends.append(to)
            last.append(n)
        else:
            ends[at], last[at] = to, n
    row: list[tuple[int, int]] = []
    n = last[-1] if last else -1
    while n >= 0:
        row.append(shared[n])
        n = before[n]
    return [(0, 0), *reversed(row)]


def _unique(text: str, size: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for at in range(len(text) - size + 1):
        pair = text[at : at + size]
        found[pair] = -1 if pair in found else at
    return {pair: at for pair, at in found.items() if at >= 0}
