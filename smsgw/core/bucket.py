"""A token bucket on the caller's clock (seconds)."""

from __future__ import annotations

import math

# Rounding must not make a caller who waited until `next_at` wait again; what is forgiven here stays owed.
_SLACK = 1e-6


class TokenBucket:
    """At most `burst + rate * t` tokens in any span of t seconds, never more.

    `rate` is tokens per second (0 grants nothing after the burst), `burst` the most that can be saved up,
    at least 1. A new bucket is full. A clock that goes backwards adds nothing.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float = 1.0, *, now: float = 0.0) -> None:
        _check(rate, burst)
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    @property
    def rate(self) -> float:
        """Tokens per second."""
        return self._rate

    @property
    def burst(self) -> float:
        """The most tokens that can be saved up."""
        return self._burst

    def take(self, now: float, n: int = 1) -> int:
        """Take up to `n` tokens; returns how many were granted."""
        self._refill(now)
        granted = max(0, min(n, math.floor(self._tokens + _SLACK)))
        self._tokens -= granted
        return granted

    def give_back(self, n: int) -> None:
        """Return tokens that were taken and not used; the burst is not exceeded."""
        self._tokens = min(self._burst, self._tokens + n)

    def left(self, now: float) -> int:
        """How many tokens `take` would grant at most."""
        self._refill(now)
        return math.floor(self._tokens + _SLACK)

    def next_at(self, now: float, n: int = 1) -> float:
        """When `n` tokens (at most the burst) can be taken: `now` if at once, infinity if never at this rate."""
        self._refill(now)
        missing = min(n, self._burst) - self._tokens
        if missing <= _SLACK:
            return now
        if self._rate == 0:
            return math.inf
        return max(now, self._at) + missing / self._rate

    def set_rate(self, rate: float, now: float, burst: float | None = None) -> None:
        """Change the rate from `now` on; what was saved up stays, as far as the burst allows."""
        burst = self._burst if burst is None else burst
        _check(rate, burst)
        self._refill(now)
        self._rate = rate
        self._burst = burst
        self._tokens = min(self._tokens, burst)

    def _refill(self, now: float) -> None:
        if now > self._at:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now


def _check(rate: float, burst: float) -> None:
    if not (rate >= 0 and math.isfinite(rate)):
        raise ValueError(f"rate {rate}")
    if not (burst >= 1 and math.isfinite(burst)):
        raise ValueError(f"burst {burst}")
