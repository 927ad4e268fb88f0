"""Lists of numbers that nodes hold in memory: loaded whole with their version, then followed change by change.

Writers take turns until they commit, so an entry with a higher version never becomes visible before one with a lower
version: "everything after the last version I have seen" is a sound question.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from smsgw.core.blocklist import BlockList, Entry, Scope
from smsgw.store.engine.database import Database, Row
from smsgw.store.engine.rows import each, skip

PAGE = 20_000


@dataclass(frozen=True, slots=True)
class Followed:
    """One such list."""

    newest: str
    """The version that it has."""
    all: str
    """Its entries as they are now."""
    changed: str
    """Those after version $1 with their ``version``, by it, at most $2."""
    entry: Callable[[Row, dict[Any, Scope]], Entry]
    """Of a row; equal scopes are one object, kept in the second."""

    async def load(self, database: Database) -> tuple[BlockList, int]:
        """The whole list as it is now, and the version that it has."""
        found, scopes = BlockList(), dict[Any, Scope]()
        async with (
            database.acquire(timeout=300) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            version: int = await connection.fetchval(self.newest)
            async for row in connection.cursor(self.all, prefetch=PAGE):
                try:
                    found.append(self.entry(row, scopes))
                except Exception as exc:  # as ``each`` has it
                    skip("list of numbers", "", exc)
        return found, version

    async def changes(self, database: Database, version: int) -> AsyncIterator[tuple[list[Entry], int]]:
        """Pages of what has changed after ``version``, each with the version that it leads to."""
        scopes = dict[Any, Scope]()
        while True:
            rows = await database.fetch(self.changed, version, PAGE, timeout=30)
            if not rows:
                return
            version = rows[-1]["version"]
            yield each("list of numbers", rows, lambda row: self.entry(row, scopes)), version
            if len(rows) < PAGE:
                return
