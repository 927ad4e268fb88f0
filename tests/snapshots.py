"""Configuration for parts that are tested without a database of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from smsgw.core.model import Account
from smsgw.pipeline.snapshot import Accounts, Snapshot, Snapshots
from smsgw.store.config.codes import AccessCode, Extension


def snapshot_of(
    accounts: Iterable[Account] = (),
    pools: Mapping[str, int] = MappingProxyType({}),
    codes: Iterable[AccessCode] = (),
    extensions: Iterable[Extension] = (),
    **fields: Any,
) -> Snapshot:
    """A snapshot with these accounts, pools and numbers; ``fields`` are more of its own."""
    made = Snapshot(
        tree=Accounts(accounts), pools=pools, former_codes=tuple(codes), extensions=tuple(extensions), **fields
    )
    return made.numbered()


class FixedSnapshots:
    """Holds what the test gives it."""

    def __init__(self, current: Snapshot | None = None) -> None:
        self.current = current or Snapshot()

    def change(self, **fields: Any) -> None:
        """Put another snapshot in force."""
        self.current = replace(self.current, **fields)

    async def follow(self) -> bool:
        """There is nothing to follow."""
        return False


class Overlay:
    """Snapshots of others with some fields as the test wants them."""

    def __init__(self, below: Snapshots, **fields: Any) -> None:
        self._below = below
        self._fields = fields
        self._seen: Snapshot | None = None
        self._made = Snapshot()

    def change(self, **fields: Any) -> None:
        """Other fields as the test wants them, from now on."""
        self._fields |= fields
        self._seen = None

    @property
    def current(self) -> Snapshot:
        """Made anew when there is another below."""
        if self._below.current is not self._seen:
            self._seen = self._below.current
            self._made = replace(self._seen, **self._fields)
        return self._made

    async def follow(self) -> bool:
        """Let the others follow."""
        return await self._below.follow()
