"""Wakes who waits for events of an account. A hint: who misses it finds the event at the next look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from smsgw.core.webhooks import MO, REPORT

OTHERS = "others"
"""Stands for all kinds but reports and inbound messages when they are waited for."""

Listener = Callable[[int, str], None]


class EventHub:
    """``wait`` returns when ``notify`` is called for the account and kind, or when the time is over."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, str], set[asyncio.Future[None]]] = {}
        self.listeners: list[Listener] = []
        """Called with each account and kind that is notified; they must be quick."""
        self.neighbours: list[Callable[[list[int], str], None]] = []
        """Called with what is notified here, for other processes."""

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

    def notify(self, account_ids: Iterable[int], kind: str) -> None:
        """Wake all who wait for events of this kind for these accounts."""
        told = list(account_ids)
        self.notified(told, kind)
        for neighbour in self.neighbours:
            neighbour(told, kind)

    def notified(self, account_ids: Iterable[int], kind: str) -> None:
        """The same has been said by another process: wake those here."""
        waited_for = kind if kind in (REPORT, MO) else OTHERS
        for account_id in account_ids:
            for future in self._waiting.get((account_id, waited_for), ()):
                if not future.done():
                    future.set_result(None)
            for listener in self.listeners:
                listener(account_id, kind)
