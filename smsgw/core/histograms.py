"""Histograms of durations, as metrics take them: counts by upper bound, and their sum."""

from __future__ import annotations

from bisect import bisect_left

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Seconds."""


class Histogram:
    """Durations in seconds."""

    __slots__ = ("_counts", "sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def note(self, seconds: float) -> None:
        """One more; what is below nothing, as two clocks had it, is nothing."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """Upper bound and how many were not above it, for all bounds and the last for all."""
        found, so_far = list[tuple[str, float]](), 0
        for bound, n in zip((*BOUNDS, float("inf")), self._counts, strict=True):
            so_far += n
            found.append(("+Inf" if bound == float("inf") else str(bound), so_far))
        return found
