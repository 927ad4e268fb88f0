"""Connections that have lost submits without an answer since: each is given one part at a time until it answers.

A window that was lost may be followed by another one into the same hole: a carrier that keeps its connections and
answers no submit, or one that is gone and whose connection does not know it. What is in doubt stays so when it is
connected anew, until an answer has come by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import structlog

from smsgw.net.connection import Connection

log = structlog.get_logger(__name__)

FIRST_PAUSE = 5.0
"""Seconds between a part that was tried in vain and the next one; twice as many after each."""
LONGEST_PAUSE = 60.0


@dataclass(slots=True)
class _Doubt:
    heard_after: float = -inf
    """Nothing is written before the peer has said something after that: it was asked whether it is there."""
    tried_at: float = -inf
    trying: bool = False
    """A part is under way by it."""
    misses: int = 0
    """Parts tried in vain."""
    try_at: float = -inf
    """From when on the next one may be tried."""


class Doubts:
    """Of one channel. Connections are known by their names, which are the same when they are opened again."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._of: dict[str, _Doubt] = {}

    @property
    def misses(self) -> int:
        """Parts that were tried in vain, by the connection by which most were."""
        return max((doubt.misses for doubt in self._of.values()), default=0)

    def lost(self, connection: Connection, *, expired: bool) -> None:
        """Submits will have no answer: they have ``expired``, or the connection has ended."""
        name, now = connection.name, self._loop.time()
        doubt = self._of.get(name)
        if doubt is None:
            doubt = self._of[name] = _Doubt()
        elif doubt.trying:
            doubt.trying = False
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(doubt.misses, 16))
            doubt.misses += 1
            doubt.try_at = now + pause
            log.warning("link.not_answering", channel=self._channel, link=name, tried=doubt.misses, again_in_s=pause)
        else:
            return  # the rest of the same window
        # Where nobody is at the other end, keep-alives end the connection before another part is lost by it.
        if expired and connection.session.config.keepalive_interval is not None and connection.session.test():
            doubt.heard_after = now

    def answered(self, connection: Connection) -> None:
        """An answer has come by it, in time or not."""
        self._of.pop(connection.name, None)

    def wrote(self, connection: Connection) -> None:
        """A part has been given to it."""
        if (doubt := self._of.get(connection.name)) is not None:
            doubt.trying = True
            doubt.tried_at = self._loop.time()

    def places(self, sending: Sequence[Connection]) -> list[tuple[Connection, int]]:
        """Those of ``sending`` that take parts now, and how many. Of those in doubt one, and one part; when it is under
        way the next one has its turn: that one of them is mute keeps nobody from finding out that others are not."""
        found = [(one, free) for one in sending if one.writable and (free := one.session.window_free)]
        if not self._of:
            return found
        trusted = [(one, free) for one, free in found if one.name not in self._of]
        tried = self._next(sending)
        return trusted if tried is None else [*trusted, (tried, 1)]

    def all_of(self, sending: Sequence[Connection]) -> bool:
        """Whether none of them is trusted."""
        return bool(self._of) and all(one.name in self._of for one in sending)

    def trial_due(self, sending: Sequence[Connection], *, asleep: int) -> bool:
        """Whether a part may be tried by one of them, or by one that would be opened for it."""
        if asleep and not any(one.session.outstanding for one in sending):
            return any(self._loop.time() >= doubt.try_at for doubt in self._of.values())
        return self._next(sending) is not None

    def _next(self, sending: Sequence[Connection]) -> Connection | None:
        """The one in doubt by which a part may be tried: that which was not for longest, and has none under way."""
        now = self._loop.time()
        able = [
            (doubt.tried_at, number)
            for number, one in enumerate(sending)
            if (doubt := self._of.get(one.name)) is not None
            and now >= doubt.try_at
            and not one.session.outstanding
            and one.writable
            and one.session.window_free
            and one.session.heard_at >= doubt.heard_after
        ]
        return sending[min(able)[1]] if able else None
