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


class Doubts:
    """Of one channel. Connections are known by their names, which are the same when they are opened again."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._of: dict[str, _Doubt] = {}
        self._trial = ""
        """The connection by which a part is tried."""
        self.misses = 0
        """Parts tried in vain since an answer came by a connection in doubt."""
        self._try_at = -inf

    def lost(self, connection: Connection, *, expired: bool) -> None:
        """Submits will have no answer: they have ``expired``, or the connection has ended."""
        name, now = connection.name, self._loop.time()
        doubt = self._of.get(name)
        if doubt is None:
            doubt = self._of[name] = _Doubt()
        elif name == self._trial:
            self._trial = ""
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.misses, 16))
            self.misses += 1
            self._try_at = now + pause
            log.warning("link.not_answering", channel=self._channel, link=name, tried=self.misses, again_in_s=pause)
        else:
            return  # the rest of the same window
        # Where nobody is at the other end, keep-alives end the connection before another part is lost by it.
        if expired and connection.session.config.keepalive_interval is not None and connection.session.test():
            doubt.heard_after = now

    def answered(self, connection: Connection) -> None:
        """An answer has come by it, in time or not."""
        if self._of.pop(connection.name, None) is not None:
            self._trial = "" if self._trial == connection.name else self._trial
            self.misses = 0
            self._try_at = -inf

    def wrote(self, connection: Connection) -> None:
        """A part has been given to it."""
        if (doubt := self._of.get(connection.name)) is not None:
            self._trial = connection.name
            doubt.tried_at = self._loop.time()

    def places(self, sending: Sequence[Connection]) -> list[tuple[Connection, int]]:
        """Those of ``sending`` that take parts now, and how many. Of those in doubt one, and one part."""
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
            return self._loop.time() >= self._try_at
        return self._next(sending) is not None

    def _next(self, sending: Sequence[Connection]) -> Connection | None:
        """The one in doubt by which a part may be tried: that which was not for longest, while none is under way."""
        if self._loop.time() < self._try_at:
            return None
        doubted = [(one, doubt) for one in sending if (doubt := self._of.get(one.name)) is not None]
        if any(one.session.outstanding for one, _ in doubted):
            return None
        able = [
            (doubt.tried_at, number)
            for number, (one, doubt) in enumerate(doubted)
            if one.writable and one.session.window_free and one.session.heard_at >= doubt.heard_after
        ]
        return doubted[min(able)[1]][0] if able else None
