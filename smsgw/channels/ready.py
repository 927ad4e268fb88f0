"""What a channel has claimed and not yet written, in the order in which it will be."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from operator import itemgetter

from smsgw.core.model import Claimed, Lane

HEAD_START = 4
"""Claims by which a lane goes before the next one: codes overtake marketing of the last eight claims, and no more, so
that nothing that is claimed waits for ever."""
_FIRST = -1


class Ready:
    """Emergency messages go before everything, other lanes have a head start; within that, as it was claimed."""

    def __init__(self) -> None:
        self._parts: deque[tuple[int, Claimed]] = deque()
        self._claims = 0

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Claimed]:
        return (claimed for _, claimed in self._parts)

    @property
    def urgent(self) -> int:
        """How many are emergency messages."""
        return sum(claimed.lane == Lane.EMERGENCY for _, claimed in self._parts)

    def add(self, claimed: Iterable[Claimed]) -> None:
        """What one claim has brought."""
        self._claims += 1
        keyed = [(self._rank(part), part) for part in claimed]
        # Stable: what was claimed together stays in its order.
        self._parts = deque(sorted((*self._parts, *keyed), key=itemgetter(0)))

    def _rank(self, claimed: Claimed) -> int:
        return _FIRST if claimed.lane == Lane.EMERGENCY else self._claims + HEAD_START * claimed.lane

    def take(self, n: int) -> list[Claimed]:
        """The first ``n``, or all."""
        return [self._parts.popleft()[1] for _ in range(min(n, len(self._parts)))]

    def put_back(self, claimed: list[Claimed]) -> None:
        """They were taken and could not be written: they are the first again."""
        self._parts.extendleft((_FIRST, part) for part in reversed(claimed))

    def remove(self, accounts: Collection[int]) -> list[Claimed]:
        """Take out what is of these accounts."""
        removed = [claimed for claimed in self if claimed.account_id in accounts]
        if removed:
            self._parts = deque(entry for entry in self._parts if entry[1].account_id not in accounts)
        return removed

    def clear(self) -> list[Claimed]:
        """Take out everything."""
        parts = list(self)
        self._parts.clear()
        return parts
