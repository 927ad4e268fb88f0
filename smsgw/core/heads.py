"""Where the heads of queues are looked for, beside what was taken before them.

A queue is an index; what has been taken stays in it as dead versions until no snapshot can see them any more. While
somebody keeps one (a backup, a long report, a standby's feedback), each look at a head walks over all that was sent
since. When a look has taken long, the next ones begin where the last has ended. What comes into a queue with an older
id (given back, released, entered late) is found by rounds: over all ids that may be open, a stretch at a time, as
often as they can be afforded. When a round takes no time any more, heads are looked for from the oldest id again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from smsgw.core.ids import stretch as stretch_of

Queue = TypeVar("Queue", bound=Hashable)

DEAR = 0.03
"""Seconds that a look may take."""
REST = 19
"""Times as long as it took rounds rest after a step: a twentieth of the time is theirs."""
LATE = timedelta(seconds=1)
"""What is entered with an id older than this is found by rounds."""
SHORT = stretch_of(timedelta(hours=1))
"""Ids of a stretch after a look that did not come to its end; half of them when a stretch has not, either, but not less
than the next."""
LEAST = stretch_of(timedelta(seconds=10))
ALL = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Stretch:
    """Ids that a step of a round looks at."""

    first: int
    last: int


class Heads(Generic[Queue]):
    """Of the queues of one reader. Times by ``clock``, in seconds; ids grow with time (``core/ids``)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reached: dict[Queue, int] = {}
        """Up to where a queue has been looked through."""
        self.dear = False
        """Heads are not looked for from the oldest id on."""
        self._due = 0.0
        self._at = 0
        self._length = ALL

    def since(self, queue: Queue, oldest: int, late: int) -> int:
        """From which id on to look for the queue's head. ``late``: what is older may still be entered."""
        return max(oldest, min(self._reached.get(queue, 0), late)) if self.dear else oldest

    def looked(
        self, queues: Collection[Queue], taken: Iterable[tuple[Queue, int]], seconds: float, *, all_of_it: bool
    ) -> None:
        """The queues were looked at together. ``taken``: queue and id of what was found; ``all_of_it``: no more is
        there."""
        if all_of_it:
            self._reached.update(dict.fromkeys(queues, ALL))
        else:
            self._reached.update(_last(taken))
        if seconds > DEAR and not self.dear:
            self.dear, self._at, self._length = True, 0, ALL
            self._due = self._clock() + REST * seconds

    @property
    def due(self) -> bool:
        """Whether a round may take a step now."""
        return self.dear and self._clock() >= self._due

    def step(self, oldest: int, newest: int, seconds: float) -> Stretch:
        """What is due. It counts as one that has taken ``seconds`` and did not come to its end, unless ``stepped``."""
        first = max(oldest, self._at)
        last = min(newest, first + self._length - 1)
        self._length = _shorter(self._length)
        self._due = self._clock() + REST * seconds
        return Stretch(first, last)

    def stepped(
        self,
        stretch: Stretch,
        oldest: int,
        newest: int,
        taken: Iterable[tuple[Queue, int]],
        seconds: float,
        *,
        all_of_it: bool,
    ) -> None:
        """What became of the step."""
        self._due = self._clock() + REST * seconds
        length = stretch.last - stretch.first + 1
        self._length = length * 2 if seconds <= DEAR else max(LEAST, length // 2)
        for queue, id_ in _last(taken).items():  # there may be more behind it
            self._reached[queue] = min(self._reached.get(queue, 0), id_)
        if all_of_it:
            self._at = stretch.last + 1 if stretch.last < newest else 0
            if seconds <= DEAR and stretch.first <= oldest and stretch.last >= newest:
                self.dear = False

    def failed(self, queues: Iterable[Queue]) -> None:
        """A look at these did not come to its end: what they have is found by rounds."""
        if not self.dear:
            self.dear, self._at, self._length, self._due = True, 0, SHORT, self._clock()
        self._reached.update(dict.fromkeys(queues, ALL))


def _shorter(length: int) -> int:
    return max(LEAST, min(length, SHORT) // 2)


def _last(taken: Iterable[tuple[Queue, int]]) -> dict[Queue, int]:
    last: dict[Queue, int] = {}
    for queue, id_ in taken:
        last[queue] = max(id_, last.get(queue, 0))
    return last
