"""Submits that come again under their number: each is done once, and whoever sends it gets its answer.

A partner that has no answer in time sends its submit again (CMPP 7.1), over its connection or, when that is gone, over
the next one. The first may be under way still: a commit takes its time. It may have been answered to a connection that
was no more. Both are known here, by number and by all that the request says. A part of a long message may come again
under another number, too: when its sender may not have read the answer.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from smsgw.protocols.events import Request
from smsgw.protocols.pdu import Pdu
from smsgw.store.messages.partner_parts import REPEATED_WITHIN, Part

MAX_LEFT = 10_000
GOOD_FOR = 240.0
"""Seconds after which nobody sends a submit again: CMPP's T, 60 s, N + 1 times."""


class Asking(Protocol):
    """A connection by which a submit came again."""

    def tell(self, request: Request, pdu: Pdu) -> bool:
        """Answer a submit that was accepted; False when nobody is there to read it."""

    def turn_down(self, request: Request, pdu: Pdu) -> None:
        """Answer a submit that was refused."""


@dataclasses.dataclass(slots=True, eq=False)
class UnderWay:
    """A submit that has no answer, and its repeats."""

    request: Request
    again: list[tuple[Asking, Request]] = dataclasses.field(default_factory=list)
    """At most as many as windows allow."""
    answer: Pdu | None = None
    """Given when its connection was gone."""
    left_at: float = 0.0
    key: object = None
    """Where it is left."""


class Left:
    """Submits of connections that went before their answers. ``now`` is in seconds, monotonic.

    A partner's connections count each for itself: when they go together their submits have the same numbers, and what
    they say tells them apart.
    """

    def __init__(self, limit: int = MAX_LEFT) -> None:
        self._limit = limit
        self._left: OrderedDict[object, UnderWay] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def add(self, partner_id: int, submits: Iterable[tuple[int, UnderWay]], now: float) -> None:
        """A connection of this partner is gone. ``submits``: each with its fingerprint."""
        for fingerprint, one in submits:
            one.left_at = now
            one.key = partner_id, one.request.pdu.sequence, fingerprint
            self._left[one.key] = one
            self._left.move_to_end(one.key)
        while self._left and (len(self._left) > self._limit or self._oldest.left_at < now - GOOD_FOR):
            self._left.popitem(last=False)

    @property
    def _oldest(self) -> UnderWay:
        return next(iter(self._left.values()))

    def find(self, partner_id: int, pdu: Pdu, fingerprint: int | None, now: float) -> UnderWay | None:
        """The submit that this one repeats."""
        one = self._left.get((partner_id, pdu.sequence, fingerprint))
        if one is None or one.left_at < now - GOOD_FOR or one.request.pdu != pdu:
            return None
        return one

    def drop(self, one: UnderWay) -> None:
        """It was answered after all, or refused."""
        if self._left.get(one.key) is one:
            del self._left[one.key]


MAX_PARTS = 100_000
IMPATIENT_AFTER = timedelta(seconds=5)
"""Nobody sends a submit again sooner over a connection that is well."""


class Line(Protocol):
    """A partner's connection."""

    number: int
    read_until: datetime | None
    """It is lost, and answers from then on may not have been read. None while it is well, and when it was closed in
    order."""


@dataclasses.dataclass(slots=True)
class _Answer:
    """To the submit of a part."""

    line: Line
    came_at: datetime
    given_at: datetime | None = None
    refused: bool = False


class Answers:
    """Of parts that have come to this process lately: whether their senders may send them again."""

    def __init__(self, limit: int = MAX_PARTS) -> None:
        self._limit = limit
        self._answers: OrderedDict[int, _Answer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def came(self, part: Part, line: Line) -> None:
        """A submit of a part; what is older than a repeat can be is forgotten."""
        self._answers[part.id] = _Answer(line, part.received_at)
        while self._answers:
            oldest = next(iter(self._answers.values()))
            if len(self._answers) <= self._limit and part.received_at - oldest.came_at <= REPEATED_WITHIN:
                break
            self._answers.popitem(last=False)

    def given(self, id_: int, line: Line, now: datetime) -> None:
        """The id was answered over this connection."""
        if (answer := self._answers.get(id_)) is not None:
            answer.line, answer.given_at = line, now

    def refused(self, id_: int) -> None:
        """The submit was answered with an error: its sender knows of no id."""
        if (answer := self._answers.get(id_)) is not None:
            answer.refused = True

    def line_of(self, id_: int) -> int:
        """The connection that a part came by; 0: not known."""
        answer = self._answers.get(id_)
        return 0 if answer is None else answer.line.number

    def open(self, id_: int, at: datetime) -> bool:
        """Whether a part like this one, received then, may be the same submit: its sender may not have read its answer.
        Of what came to another process, or before a restart, nothing is known, and it may."""
        answer = self._answers.get(id_)
        if answer is None or answer.refused:
            return True
        read_until = answer.line.read_until
        if answer.given_at is None or answer.given_at >= at:
            return read_until is not None or at - answer.came_at >= IMPATIENT_AFTER
        return read_until is not None and answer.given_at >= read_until
