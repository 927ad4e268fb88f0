"""Where the heads of queues are looked for, beside what was taken before them.

A queue is an index; what has been taken stays in it as dead versions until no snapshot can see them any more. While
somebody keeps one (a backup, a long report, a standby's feedback), each look at a head walks over all that was sent
since. When a look has taken long, the next ones begin where the last has ended. What comes into a queue with an older
id (given back, released, entered late) is found by rounds: over all ids that may be open, a stretch at a time, as
often as they can be afforded. When a round costs nothing any more, heads are looked for from the oldest id again.

What a step costs is what it takes beyond a look that walks over nothing: where each statement takes long (the network,
the disk, a busy process), that is no reason to look at less.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from smsgw.core.ids import stretch as stretch_of

Queue = TypeVar("Queue", bound=Hashable)

DEAR = 0.03
"""Seconds that a look may take, or a step cost."""
REST = 19
"""Times as much as it cost rounds rest after a step: a twentieth of the time is theirs."""
LATE = 1.0
"""Seconds after which an id is old: what is entered with an older one is found by rounds …"""
SLOW = 10
"""… and so many times what a look takes, where that is longer: it takes others as long to enter something."""
LOOKS = 16
"""Of so many short looks the quickest tells what a look takes."""
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


class QueueCursors(Generic[Queue]):
    """Of the queues of one reader. Times by ``clock``, in seconds; ids grow with time (``core/ids``)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reached: dict[Queue, int] = {}
        """Up to where a queue has been looked through."""
        self._late = 0
        """The first id that was not old at the last look."""
        self.dear = False
        """Heads are not looked for from the oldest id on."""
        self._short: deque[float] = deque(maxlen=LOOKS)
        """Seconds that the last looks took that did not begin with the oldest id."""
        self._first = 0.0
        """Seconds of the look that was dear."""
        self._due = 0.0
        self._at = 0
        self._length = ALL

    @property
    def late(self) -> timedelta:
        """How old an id may be of what is only just entered."""
        return timedelta(seconds=max(LATE, SLOW * min(self._short, default=self._first)))

    def since(self, queue: Queue, oldest: int, late: int) -> int:
        """From which id on to look now for the queue's head. ``late``: the first id that is not older than ``late``."""
        self._late = late
        return max(oldest, min(self._reached.get(queue, 0), late)) if self.dear else oldest

    def looked(
        self, queues: Collection[Queue], taken: Iterable[tuple[Queue, int]], seconds: float, *, all_of_it: bool
    ) -> None:
        """The queues were looked at together, from ``since`` on. ``taken``: queue and id of what was found;
        ``all_of_it``: no more is there."""
        if all_of_it:
            self._reached.update(dict.fromkeys(queues, self._late))
        else:
            self._reached.update({queue: min(id_, self._late) for queue, id_ in _last(taken).items()})
        if self.dear:
            self._short.append(seconds)
        elif seconds > DEAR:
            self._begin(ALL, seconds)

    def _begin(self, length: int, seconds: float) -> None:
        self.dear, self._at, self._length, self._due = True, 0, length, self._clock()
        self._first = seconds
        self._short.clear()

    @property
    def measured(self) -> bool:
        """Whether a look that did not begin with the oldest id has told what one takes: no round begins before."""
        return bool(self._short)

    @property
    def due(self) -> bool:
        """Whether a round may take a step now."""
        return self.dear and self.measured and self._clock() >= self._due

    def step(self, oldest: int, newest: int, seconds: float) -> Stretch:
        """What is due. It counts as one that has cost ``seconds`` and did not come to its end, unless ``stepped``
        or ``undone``."""
        first = max(oldest, self._at)
        last = min(newest, first + self._length - 1)
        self._length = max(LEAST, min(self._length, SHORT) // 2)
        self._due = self._clock() + REST * seconds
        return Stretch(first, last)

    def undone(self, stretch: Stretch) -> None:
        """The step was not taken, as while the database is away: it is due as before."""
        self._length, self._due = stretch.last - stretch.first + 1, self._clock()

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
        cost = max(0.0, seconds - min(self._short))
        self._due = self._clock() + REST * cost
        length = stretch.last - stretch.first + 1
        self._length = max(LEAST, length * 2 if cost <= DEAR else length // 2)
        if not all_of_it:  # a backlog: the next looks begin with what there is behind it
            for queue, id_ in _last(taken).items():
                self._reached[queue] = min(self._reached.get(queue, 0), id_)
        else:
            self._at = stretch.last + 1 if stretch.last < newest else 0
            if cost <= DEAR and stretch.first <= oldest and stretch.last >= newest:
                self.dear = False

    def back(self, queue: Queue, id_: int) -> None:
        """It was found and was not taken: the next look begins with it."""
        if queue in self._reached:
            self._reached[queue] = min(self._reached[queue], id_)

    def failed(self, queues: Iterable[Queue]) -> None:
        """A look at these, from ``since`` on, did not come to its end: what they have is found by rounds."""
        if not self.dear:
            self._begin(SHORT, 0.0)
        self._reached.update(dict.fromkeys(queues, self._late))


def _last(taken: Iterable[tuple[Queue, int]]) -> dict[Queue, int]:
    last: dict[Queue, int] = {}
    for queue, id_ in taken:
        last[queue] = max(id_, last.get(queue, 0))
    return last
