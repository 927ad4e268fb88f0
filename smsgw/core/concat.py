"""Long messages put together again: parts in any order, repeated, or never complete."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from smsgw.core.udh import MAX_PARTS

P = TypeVar("P", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Incomplete(Generic[P]):
    """A message that will not be completed: too old, pushed out, or its reference was used again."""

    key: Hashable
    total: int
    parts: dict[int, P]


@dataclass(frozen=True, slots=True)
class Added(Generic[P]):
    """What one part did: completed a message (`whole`, in order), or was a `repeated` one, or neither."""

    whole: tuple[P, ...] | None = None
    repeated: bool = False
    abandoned: tuple[Incomplete[P], ...] = ()


@dataclass(slots=True)
class _Open(Generic[P]):
    total: int
    since: float
    parts: dict[int, P] = field(default_factory=dict)


class Reassembly(Generic[P]):
    """Collects parts by a key of the caller's: account, source, destination, kind of reference, reference.

    The key must not hold the connection: parts of one message may come over several. Parts are compared for
    equality, so that a part sent again is told from a reference used again.

    * lifetime: seconds from the first part until a message is given up;
    * max_parts: parts held in all; beyond it the oldest messages are given up;
    * repeat_window: seconds after completion in which the same part again counts as repeated.
    """

    def __init__(self, *, lifetime: float = 7200.0, max_parts: int = 50_000, repeat_window: float = 300.0) -> None:
        if lifetime <= 0 or max_parts < MAX_PARTS or repeat_window < 0:
            raise ValueError("lifetime > 0, max_parts >= 255 and repeat_window >= 0 are needed")
        self._lifetime = lifetime
        self._max_parts = max_parts
        self._repeat_window = repeat_window
        self._open: OrderedDict[Hashable, _Open[P]] = OrderedDict()
        self._done: OrderedDict[Hashable, tuple[float, tuple[int, ...]]] = OrderedDict()
        self._held = 0
        self._done_held = 0

    def __len__(self) -> int:
        """Messages that wait for parts."""
        return len(self._open)

    @property
    def parts_held(self) -> int:
        """Parts that wait for others."""
        return self._held

    def add(self, key: Hashable, number: int, total: int, part: P, now: float) -> Added[P]:
        """Take one part. Raises `ValueError` unless 1 <= number <= total <= 255."""
        if not 1 <= number <= total <= MAX_PARTS:
            raise ValueError(f"part {number} of {total}")
        if total == 1:
            return Added(whole=(part,))
        abandoned = self.expire(now)
        if self._is_repeat_of_done(key, number, total, part):
            return Added(repeated=True, abandoned=tuple(abandoned))
        entry = self._open.get(key)
        if entry is not None and (entry.total != total or number in entry.parts):
            if entry.total == total and entry.parts[number] == part:
                return Added(repeated=True, abandoned=tuple(abandoned))
            abandoned.append(self._drop(key))
            entry = None
        if entry is None:
            entry = self._open[key] = _Open(total, now)
        entry.parts[number] = part
        self._held += 1
        if len(entry.parts) == total:
            self._drop(key)
            whole = tuple(entry.parts[n] for n in range(1, total + 1))
            self._remember(key, whole, now)
            return Added(whole=whole, abandoned=tuple(abandoned))
        while self._held > self._max_parts:
            # Never empty here: the oldest may be the one just touched when it alone is left, and it fits.
            abandoned.append(self._drop(next(iter(self._open))))
        return Added(abandoned=tuple(abandoned))

    def expire(self, now: float) -> list[Incomplete[P]]:
        """Give up what is older than the lifetime."""
        abandoned: list[Incomplete[P]] = []
        while self._open:
            key, entry = next(iter(self._open.items()))
            if now - entry.since < self._lifetime:
                break
            abandoned.append(self._drop(key))
        while self._done:
            key, (at, marks) = next(iter(self._done.items()))
            if now - at < self._repeat_window and self._done_held <= self._max_parts:
                break
            del self._done[key]
            self._done_held -= len(marks)
        return abandoned

    def deadline(self) -> float | None:
        """When `expire` has something to give up, or None."""
        for entry in self._open.values():
            return entry.since + self._lifetime
        return None

    def _drop(self, key: Hashable) -> Incomplete[P]:
        entry = self._open.pop(key)
        self._held -= len(entry.parts)
        return Incomplete(key, entry.total, entry.parts)

    def _remember(self, key: Hashable, whole: tuple[P, ...], now: float) -> None:
        old = self._done.pop(key, None)
        if old is not None:
            self._done_held -= len(old[1])
        self._done[key] = (now, tuple(hash(part) for part in whole))
        self._done_held += len(whole)

    def _is_repeat_of_done(self, key: Hashable, number: int, total: int, part: P) -> bool:
        done = self._done.get(key)
        if done is None or key in self._open:
            return False
        marks = done[1]
        return len(marks) == total and marks[number - 1] == hash(part)
