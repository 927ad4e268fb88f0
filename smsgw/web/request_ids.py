"""Request ids: ULIDs, ordered by time and unique without coordination."""

from __future__ import annotations

import os
from collections.abc import Callable

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_SHIFTS = tuple(range(120, -1, -10))


class RequestIds:
    """Gives ULIDs (48 bits of milliseconds, 80 random bits); those of one millisecond count upwards."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._ms = 0
        self._value = 0

    def next(self) -> str:
        """A new id, 26 characters of Crockford's base 32, greater than all before it."""
        ms = int(self._wall() * 1000)
        if ms > self._ms:
            self._ms = ms
            self._value = ms << 80 | int.from_bytes(os.urandom(10))
        else:  # the same millisecond, or a clock that went backwards
            self._value += 1
        value = self._value
        return "".join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS])
