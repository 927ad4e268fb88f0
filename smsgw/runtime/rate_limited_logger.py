"""Log lines that somebody outside can provoke as often as they like: told at once, then counted by the minute, so that
nobody outside can fill our disk or bury what else is told."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Any

EVERY = 60.0
MAX_KINDS = 1000
"""Kinds of lines kept apart; those beyond are counted as one."""


class _Kind:
    """Lines of one kind, since it was last quiet for a minute."""

    __slots__ = ("fields", "level", "loop", "more", "said", "until")

    def __init__(self, loop: asyncio.AbstractEventLoop, until: float) -> None:
        self.loop = loop
        self.said = 0
        self.more = 0
        """Not told yet."""
        self.until = until
        """On the loop's clock: when those are told."""
        self.level = ""
        self.fields: dict[str, Any] = {}


class RateLimitedLogger:
    """A logger for such lines, one a module. Outside of an event loop all are written.

    Of a kind (an event and what it is ``about``, such as a link and a sort of violation) the first ``at_once`` lines
    are written, then at most one in ``every`` seconds: the last of them, with their number as ``times``.
    """

    def __init__(self, log: Any, *, at_once: int = 1, every: float = EVERY, max_kinds: int = MAX_KINDS) -> None:
        self._log = log
        self._at_once = at_once
        self._every = every
        self._max = max_kinds
        self._kinds: dict[Hashable, _Kind] = {}

    def info(self, event: str, about: Hashable, **fields: Any) -> None:
        """As the logger's."""
        self._say("info", event, about, fields)

    def warning(self, event: str, about: Hashable, **fields: Any) -> None:
        """As the logger's."""
        self._say("warning", event, about, fields)

    def error(self, event: str, about: Hashable, **fields: Any) -> None:
        """As the logger's; ``exc_info`` goes with the first lines only."""
        self._say("error", event, about, fields)

    def critical(self, event: str, about: Hashable, **fields: Any) -> None:
        """As the logger's."""
        self._say("critical", event, about, fields)

    def _say(self, level: str, event: str, about: Hashable, fields: dict[str, Any]) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # nothing from outside comes here
            getattr(self._log, level)(event, **fields)
            return
        key = (event, about)
        kind = self._kinds.get(key)
        if kind is None and len(self._kinds) >= self._max:
            key = (event, None)
            kind = self._kinds.get(key)
        if kind is None or kind.loop is not loop:  # of one that is no more
            kind = self._kinds[key] = _Kind(loop, loop.time() + self._every)
            loop.call_later(self._every, self._tell, key, kind)
        if kind.said < self._at_once:
            kind.said += 1
            getattr(self._log, level)(event, **fields)
            return
        kind.more += 1
        fields.pop("exc_info", None)
        kind.level, kind.fields = level, fields

    def _tell(self, key: tuple[str, Hashable], kind: _Kind) -> None:
        if self._kinds.get(key) is not kind:
            return
        if not kind.more:
            del self._kinds[key]
            return
        getattr(self._log, kind.level)(key[0], **kind.fields, times=kind.more)
        kind.more = 0
        loop = asyncio.get_running_loop()
        kind.until = loop.time() + self._every
        loop.call_later(self._every, self._tell, key, kind)
