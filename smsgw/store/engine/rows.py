"""Reading many rows: one that cannot be read is logged, passed over and an alarm; all others are taken up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import asyncpg
import structlog

from smsgw.core.alarms import CRITICAL, Finding
from smsgw.core.errors import Temporary
from smsgw.core.words import listed, phrase
from smsgw.runtime import clock
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.engine.database import Row
from smsgw.store.engine.secrets import KeyFileError

T = TypeVar("T")
sparing = RateLimitedLogger(structlog.get_logger(__name__))

KEPT_SECONDS = 86_400.0
"""How long the alarm stands for a row that nobody has read again."""
MOST_KEPT = 1000
MOST_NAMED = 5

_OF_ALL = (Temporary, KeyFileError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What is no row's fault, but the database's, the disk's or the network's."""
_NAMES = ("id", "channel_id", "version", "account_id", "name")
_skipped: dict[tuple[str, str], float] = {}
"""Rows that are passed over, and when each was seen to be."""


def skip(what: str, which: object, exc: Exception) -> None:
    """Note that one of many is passed over. What is no fault of its own is raised again: it would be every one's."""
    if isinstance(exc, _OF_ALL):
        raise exc
    sparing.error("row.skipped", (what, type(exc)), what=what, which=str(which), error=repr(exc)[:200])
    if len(_skipped) < MOST_KEPT:
        _skipped[what, str(which)] = clock.steady()


@contextmanager
def apart(what: str, which: object = "") -> Iterator[None]:
    """What goes wrong within is of this one alone, and passed over (``skip``)."""
    try:
        yield
    except Exception as exc:  # as ``each`` has it
        skip(what, which, exc)
    else:
        _skipped.pop((what, str(which)), None)


def each(what: str, rows: Iterable[Row], read: Callable[[Row], T]) -> list[T]:
    """What ``read`` makes of the rows, in their order, without those of which it makes nothing."""
    found = []
    for row in rows:
        try:
            found.append(read(row))
        except Exception as exc:  # one row, whatever is wrong with it, must not keep the others out
            skip(what, _name(row), exc)
        else:
            if _skipped:
                _skipped.pop((what, _name(row)), None)
    return found


def findings(about: str) -> list[Finding]:
    """The alarm about a process that passes rows over."""
    since = clock.steady() - KEPT_SECONDS
    for key in [key for key, at in _skipped.items() if at < since]:
        del _skipped[key]
    if not _skipped:
        return []
    named = [f"{what} {which}".strip() for what, which in list(_skipped)[:MOST_NAMED]]
    return [Finding("rows_skipped", about, CRITICAL, phrase("alarm.rows_skipped", n=len(_skipped), rows=listed(named)))]


def _name(row: Row) -> str:
    return str(next((row[name] for name in _NAMES if name in row), ""))
