"""Reading many rows: one that cannot be read is logged, passed over and an alarm; all others are taken up.

The alarm stands for as long as such a row is there: until it is read, or a later reading of the whole table does not
find it any more. Nobody has to remember it beyond the process: the next one reads the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import asyncpg
import structlog

from smsgw.core.alarms import CRITICAL, Finding
from smsgw.core.errors import Temporary
from smsgw.core.numbers import mask
from smsgw.core.words import listed, phrase
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.engine.database import Row
from smsgw.store.engine.secrets import KeyFileError

R = TypeVar("R")
T = TypeVar("T")
sparing = RateLimitedLogger(structlog.get_logger(__name__))

MOST_KEPT = 100_000
"""Rows of a table that are told apart; of more it is said that there are at least so many."""
MOST_NAMED = 5

_OF_ALL = (Temporary, KeyFileError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What is no row's fault, but the database's, the disk's or the network's."""
_NAMES = ("id", "channel_id", "version", "account_id", "name")
_skipped: dict[str, dict[Hashable, str]] = {}
"""Table -> the rows of it that are passed over, each with its name."""


class WholeTable:
    """One reading of all rows of a table: what it skips takes the place of what earlier ones have skipped."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._skipped: dict[Hashable, str] = {}

    def skip(self, key: Hashable, name: str, exc: Exception) -> None:
        """As ``skip``."""
        log_skipped(self._table, name, exc)
        _keep(self._skipped, key, name)

    def done(self) -> None:
        """All were read."""
        if self._skipped:
            _skipped[self._table] = self._skipped
        else:
            _skipped.pop(self._table, None)


def log_skipped(table: str, name: str, exc: Exception) -> None:
    """Log that one of many is passed over. What is no fault of its own is raised again: it would be every one's."""
    if isinstance(exc, _OF_ALL):
        raise exc
    sparing.error("row.skipped", (table, type(exc)), what=table, which=name, error=repr(exc)[:200])


def skip(table: str, key: Hashable, name: str, exc: Exception) -> None:
    """Pass over the row with this key until ``taken`` or a reading of the whole table ends it."""
    log_skipped(table, name, exc)
    _keep(_skipped.setdefault(table, {}), key, name)


def taken(table: str, key: Hashable) -> None:
    """The row with this key was read, or is there no more."""
    there = _skipped.get(table)
    if there is not None and there.pop(key, None) is not None and not there:
        del _skipped[table]


def skips(table: str) -> bool:
    """Whether rows of a table are passed over."""
    return table in _skipped


@contextmanager
def apart(table: str, name: object) -> Iterator[None]:
    """What goes wrong within is of this one alone, and passed over (``skip``)."""
    try:
        yield
    except Exception as exc:  # as ``each`` has it
        skip(table, str(name), str(name), exc)
    else:
        taken(table, str(name))


def name_of(row: Row) -> str:
    """What people find a row by."""
    for name in _NAMES:
        if name in row:
            return str(row[name])
    return ""


def each(table: str, rows: Iterable[R], read: Callable[[R], T], name: Callable[[Any], str] = name_of) -> list[T]:
    """What ``read`` makes of all rows of a table, in their order, without those of which it makes nothing."""
    found, whole = [], WholeTable(table)
    for n, row in enumerate(rows):
        try:
            found.append(read(row))
        except Exception as exc:  # one row, whatever is wrong with it, must not keep the others out
            whole.skip(n, name(row), exc)
    whole.done()
    return found


def some(table: str, rows: Iterable[Row], read: Callable[[Row], T]) -> list[T]:
    """As ``each``, of rows with an ``id`` that have changed; what is known of the others holds."""
    found = []
    for row in rows:
        with apart(table, row["id"]):
            found.append(read(row))
    return found


def masked_number(row: Row) -> str:
    """Name of a row that people find by its number."""
    return mask(str(row["number"]))


def findings(about: str) -> list[Finding]:
    """The alarm about a process that passes rows over."""
    if not _skipped:
        return []
    n, some_more = sum(map(len, _skipped.values())), any(len(one) >= MOST_KEPT for one in _skipped.values())
    named = [f"{table} {name}".strip() for table, names in _skipped.items() for name in _first(names)]
    detail = phrase("alarm.rows_skipped", n=f"{n}+" if some_more else n, rows=listed(named[:MOST_NAMED]))
    return [Finding("rows_skipped", about, CRITICAL, detail)]


def _first(names: dict[Hashable, str]) -> list[str]:
    return [name for name, _ in zip(names.values(), range(MOST_NAMED), strict=False)]


def _keep(there: dict[Hashable, str], key: Hashable, name: str) -> None:
    if len(there) < MOST_KEPT:
        there[key] = name
