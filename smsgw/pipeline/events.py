"""Wakes long polls when an account has new events. A hint: who misses it finds the event at the next look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable


class EventBell:
    """``wait`` returns when ``ring`` is called for the account and kind, or when the time is over."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, str], set[asyncio.Future[None]]] = {}
        self.listeners: list[Callable[[Collection[int]], None]] = []
        """Called with the accounts of every ring; must not raise."""

    async def wait(self, account_id: int, kind: str, timeout_s: float) -> bool:
        """Sleep until there may be something new; False when only the time is over."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters = self._waiting.setdefault((account_id, kind), set())
        waiters.add(future)
        try:
            await asyncio.wait((future,), timeout=timeout_s)
            return future.done()
        finally:
            waiters.discard(future)
            if not waiters:
                self._waiting.pop((account_id, kind), None)

    def ring(self, account_ids: Iterable[int], kind: str) -> None:
        """Wake all who wait for events of this kind for these accounts."""
        account_ids = tuple(account_ids)
        for listener in self.listeners if account_ids else ():
            listener(account_ids)
        for account_id in account_ids:
            for future in self._waiting.get((account_id, kind), ()):
                if not future.done():
                    future.set_result(None)
