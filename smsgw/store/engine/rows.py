"""Reading many rows: one that cannot be read is logged and passed over, and all others are taken up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import structlog

from smsgw.core.errors import Temporary
from smsgw.runtime.sparing import Sparing
from smsgw.store.engine.database import Row
from smsgw.store.engine.secrets import KeyFileError

T = TypeVar("T")
sparing = Sparing(structlog.get_logger(__name__))

_NAMES = ("id", "channel_id", "version", "name")


def skip(what: str, which: object, exc: Exception) -> None:
    """Log that one of many is passed over. What is no fault of its own is raised again: it would be every one's."""
    if isinstance(exc, Temporary | KeyFileError):
        raise exc
    sparing.error("row.skipped", (what, type(exc)), what=what, which=str(which), error=repr(exc)[:200])


def each(what: str, rows: Iterable[Row], read: Callable[[Row], T]) -> list[T]:
    """What ``read`` makes of the rows, in their order, without those of which it makes nothing."""
    found = []
    for row in rows:
        try:
            found.append(read(row))
        except Exception as exc:  # one row, whatever is wrong with it, must not keep the others out
            skip(what, next((row[name] for name in _NAMES if name in row), ""), exc)
    return found
