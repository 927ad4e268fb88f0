"""Several changes as one statement.

Each statement of a transaction is a way to the server and back, and a turn of an event loop that others keep busy: most
of the time that a short transaction takes is waiting for those. Changes that need nothing of one another go as the
common table expressions of one statement.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, get_type_hints

from smsgw.store.engine.database import Connection, Row

COPIED = 40
"""Rows from which on they are copied: fewer go with a statement. A copy is two more ways to the server, but the driver
looks at each value of an array as if it could be an array, too."""
AT_ONCE = 500
"""Rows that are copied without a turn for others: a few milliseconds."""
TIMEOUT = 10
"""Seconds that a statement or a copy may take."""

_PARAMETER = re.compile(r"\$(\d+)")


def columns_of(row: type[tuple[Any, ...]]) -> dict[str, str]:
    """Column -> type in PostgreSQL, in order, of a ``NamedTuple`` whose fields are annotated with it. A trailing
    underscore keeps a column apart from a keyword of Python."""
    hints = get_type_hints(row, include_extras=True)
    return {name.rstrip("_"): hint.__metadata__[0] for name, hint in hints.items()}


def arrays(types: Iterable[str], first: int = 1) -> str:
    """The arguments of ``unnest`` for columns of these types, from ``$first`` on."""
    return ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(types, first))


@lru_cache(maxsize=512)
def _moved(text: str, by: int) -> str:
    """The text with its parameters counted from ``by`` + 1 on."""
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + by}", text)


@lru_cache(maxsize=64)
def _insert(table: str, columns: tuple[tuple[str, str], ...]) -> str:
    names = ", ".join(name for name, _ in columns)
    values = arrays(kind for _, kind in columns)
    return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({values})"  # noqa: S608 - names of tables


async def _unhurried(rows: Sequence[Sequence[object]]) -> AsyncIterator[Sequence[object]]:
    for n, row in enumerate(rows, 1):
        yield row
        if n % AT_ONCE == 0:
            await asyncio.sleep(0)


class Together:
    """Changes of one transaction. None of them may need to see another's, or change the same row."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._arguments: list[object] = []
        self._question = "SELECT 1"
        self._asked = False

    def add(self, changes: Mapping[str, str], *arguments: object) -> None:
        """By name, which must be the only one of its kind; ``$1`` is the first of ``arguments``. Rows that several
        writers share have to be touched in the order of their keys."""
        by = len(self._arguments)
        self._texts += [f"{name} AS ({_moved(text, by)})" for name, text in changes.items()]
        self._arguments += arguments

    async def enter(
        self, connection: Connection, table: str, types: Mapping[str, str], rows: Sequence[Sequence[object]]
    ) -> None:
        """New rows of a table with the columns of ``types`` (PostgreSQL's): with the statement, or copied at once when
        they are many."""
        if len(rows) >= COPIED:
            await copy(connection, table, tuple(types), rows, timeout=TIMEOUT)
        elif rows:
            self.insert(table, types, rows)

    def insert(self, table: str, types: Mapping[str, str], rows: Sequence[Sequence[object]]) -> None:
        """New rows, with the statement however many they are."""
        name = f"new_{table}_{len(self._texts)}"
        self.add({name: _insert(table, tuple(types.items()))}, *zip(*rows, strict=True))

    def ask(self, question: str) -> None:
        """A query of what the changes return, by their names; it takes no arguments."""
        self._question, self._asked = question, True

    @property
    def text(self) -> str:
        """The statement; empty when there are no changes."""
        return f"WITH {', '.join(self._texts)} {self._question}" if self._texts else ""

    async def run(self, connection: Connection) -> list[Row]:
        """Make the changes; the rows that were asked for. Nothing is sent when there are no changes."""
        if self._texts and self._asked:
            return await connection.fetch(self.text, *self._arguments, timeout=TIMEOUT)
        if self._texts:
            await connection.execute(self.text, *self._arguments, timeout=TIMEOUT)
        return []


async def copy(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *,
    timeout: float,  # noqa: ASYNC109
) -> None:  # fmt: skip
    """Copy new rows into a table, with others' turns in between. ``TimeoutError`` when it has not ended by then: the
    driver's own limit does not hold while a server that reads no more holds it up."""
    async with asyncio.timeout(timeout):
        records = rows if len(rows) <= AT_ONCE else _unhurried(rows)
        await connection.copy_records_to_table(table, records=records, columns=columns, timeout=timeout)


async def enter(connection: Connection, table: str, types: Mapping[str, str], rows: Iterable[Sequence[object]]) -> None:
    """New rows of one table."""
    alone = Together()
    await alone.enter(connection, table, types, list(rows))
    await alone.run(connection)
