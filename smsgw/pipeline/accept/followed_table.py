"""Followed tables: a big table of numbers kept in memory, read whole once and then change by change."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

from smsgw.core.blocklist import BlockList, Entry
from smsgw.runtime import clock
from smsgw.store.engine import rows

READ_AGAIN = 600.0
"""Seconds after which a table with rows that cannot be read is read whole again: by hand they are mended without a new
version."""


class FollowedTable(ABC):
    """Without ``load`` it is empty. Its changes carry versions, and what is removed stays for a while as a change."""

    def __init__(self, table: str) -> None:
        self.rows = BlockList()
        self._table = table
        self._version = 0
        self._loaded_at = 0.0
        self._following = asyncio.Lock()

    @abstractmethod
    async def _read(self) -> tuple[BlockList, int]:
        """All rows, and the version of this."""

    @abstractmethod
    def _changes(self, version: int) -> AsyncIterator[tuple[list[Entry], int]]:
        """Pages of what has changed after ``version``, each with the version that it leads to."""

    async def load(self) -> None:
        """Read everything. ``STORAGE_UNAVAILABLE``."""
        async with self._following:
            self.rows, self._version = await self._read()
            self._loaded_at = clock.steady()

    async def follow(self) -> None:
        """Take up what has changed. ``STORAGE_UNAVAILABLE``."""
        if rows.skips(self._table) and clock.steady() >= self._loaded_at + READ_AGAIN:
            await self.load()
        async with self._following:  # a change that comes while rows are folded would be gone with the old ones
            async for entries, version in self._changes(self._version):
                for entry in entries:
                    self.rows.change(entry)
                self._version = version
                if self.rows.heavy:
                    self.rows = await asyncio.to_thread(self.rows.folded)

    def __len__(self) -> int:
        return len(self.rows)
