"""When each message of a run is due."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Evenly spread; with a burst in the middle, where more come in a second. Seconds count from the first message."""

    messages: int
    rate: float = 0.0
    """Messages a second; 0: as fast as answers come."""
    burst: float = 0.0
    """Messages a second of the burst; 0: none."""
    burst_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.burst and not self.rate:
            raise ValueError("a burst stands out of a pace: give a rate")
        if self._in_burst > self.messages:
            raise ValueError(f"the burst has {self._in_burst:,} messages, the run {self.messages:,}")

    @property
    def _in_burst(self) -> int:
        return round(self.burst * self.burst_seconds)

    @property
    def _before(self) -> int:
        """Messages before the burst; as many come behind it."""
        return (self.messages - self._in_burst) // 2

    @property
    def seconds(self) -> float:
        """From the first message to the end of the last one's turn; 0 without a pace."""
        return self.due(self.messages)

    def due(self, n: int) -> float:
        """When the n-th (from 0) comes; 0 without a pace."""
        if not self.rate:
            return 0.0
        if not self.burst:
            return n / self.rate
        inside = min(max(0, n - self._before), self._in_burst)
        return (n - inside) / self.rate + inside / self.burst

    def by(self, seconds: float) -> int:
        """How many have come by then."""
        if not self.rate:
            raise ValueError("there is no pace")
        if not self.burst:
            return min(self.messages, int(seconds * self.rate))
        begins = self._before / self.rate
        inside = min(max(0.0, seconds - begins), self._in_burst / self.burst)
        return min(self.messages, round((seconds - inside) * self.rate + inside * self.burst))
