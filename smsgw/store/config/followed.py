"""Lists of numbers that nodes hold in memory: loaded whole with their version, then followed change by change.

Writers take turns until they commit, so an entry with a higher version never becomes visible before one with a lower
version: "everything after the last version I have seen" is a sound question.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from smsgw.core.blocklist import BlockList, Entry, Scope
from smsgw.store.engine import rows as reading
from smsgw.store.engine.database import Database, Row

PAGE = 20_000


@dataclass(frozen=True, slots=True)
class Followed:
    """One such list. Its rows have a ``version``, and times as float8: some that SQL has are no bigint."""

    table: str
    newest: str
    """The version that it has."""
    all: str
    """Its entries as they are now, in the order of their numbers."""
    changed: str
    """Those after version $1 by their version, at most $2."""
    entry: Callable[[Row, dict[Any, Scope]], Entry]
    """Of a row; equal scopes are one object, kept in the second."""
    unreadable: Callable[[Row], Entry]
    """What holds instead of a row of which ``entry`` makes nothing: on the safe side."""

    async def load(self, database: Database, *args: object) -> tuple[BlockList, int]:
        """The whole list as it is now, and the version that it has. ``args``: those of ``all``."""
        found, scopes, whole = BlockList(), dict[Any, Scope](), reading.WholeTable(self.table)
        async with (
            database.acquire(timeout=300) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            version: int = await connection.fetchval(self.newest)
            async for row in connection.cursor(self.all, *args, prefetch=PAGE):
                try:
                    found.append(self.entry(row, scopes))
                except Exception as exc:  # as ``rows.each`` has it
                    instead = self.unreadable(row)
                    whole.skip((instead.number, instead.scope), str(row["version"]), exc)
                    if not instead.removed and instead.number >= 0:
                        found.append(instead)
        whole.done()
        return found, version

    async def changes(self, database: Database, version: int, *args: object) -> AsyncIterator[tuple[list[Entry], int]]:
        """Pages of what has changed after ``version``, each with the version that it leads to. ``args``: what
        ``changed`` wants beside."""
        scopes = dict[Any, Scope]()
        while True:
            rows = await database.fetch(self.changed, version, PAGE, *args, timeout=30)
            if not rows:
                return
            version = rows[-1]["version"]
            yield [self._changed(row, scopes) for row in rows], version
            if len(rows) < PAGE:
                return

    def _changed(self, row: Row, scopes: dict[Any, Scope]) -> Entry:
        try:
            entry = self.entry(row, scopes)
            entry.check()
        except Exception as exc:  # as ``rows.each`` has it
            entry = self.unreadable(row)
            reading.skip(self.table, (entry.number, entry.scope), str(row["version"]), exc)
        else:
            reading.taken(self.table, (entry.number, entry.scope))
        return entry
