"""Entering accepted calls into the database: small ones do not wait behind large ones.

A call of a thousand long texts is fourteen thousand rows, which the database takes a third of a second to write. So
there are two writers, each with a connection of its own: one for large calls, and for all that the accounts of these
send meanwhile, as it would wait for the rows that a large call has locked (and so keep the order of an account); and
one for everybody else.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from smsgw.core.errors import SmsgwError
from smsgw.store.engine.group_commit import Batcher
from smsgw.store.messages.calls import NewCall, Stored

LARGE = 500
"""Parts from which on a call is a large one: some ten milliseconds of the database's time."""

Writer = Batcher[NewCall, "Stored | SmsgwError"]


class Entering:
    """``make`` makes a writer of calls; ``weigh`` tells how many parts a call counts for."""

    def __init__(self, make: Callable[[], Writer], weigh: Callable[[NewCall], int]) -> None:
        self._weigh = weigh
        self._small, self._large = make(), make()
        self._under_way: Counter[int] = Counter()
        """By account (by department, negative) whose row they lock, the calls that the writer of large ones has; only
        those with some."""

    async def start(self) -> None:
        """Connect; raises ``STORAGE_UNAVAILABLE`` when the server cannot be reached."""
        await self._small.start()
        try:
            await self._large.start()
        except BaseException:
            await self._small.stop()
            raise

    async def stop(self) -> None:
        """Commit what waits, for a while, then end."""
        await asyncio.gather(self._small.stop(), self._large.stop())

    @property
    def waiting(self) -> int:
        """Parts that are not committed yet."""
        return self._small.waiting + self._large.waiting

    @property
    def outage(self) -> float:
        """Seconds since the database was last reached; 0 while it is there."""
        return max(self._small.outage, self._large.outage)

    def submit(self, call: NewCall, *, beyond: bool = False) -> asyncio.Future[Stored | SmsgwError]:
        """As ``Batcher.submit``."""
        locked = {call.account_id, *call.guards, *(-department for department in call.departments)}
        if self._weigh(call) < LARGE and locked.isdisjoint(self._under_way):
            return self._small.submit(call, beyond=beyond)
        entered = self._large.submit(call, beyond=beyond)
        self._under_way.update(locked)
        entered.add_done_callback(lambda _: self._done(locked))
        return entered

    async def put(self, call: NewCall) -> Stored | SmsgwError:
        """As ``Batcher.put``."""
        return await self.submit(call)

    def _done(self, locked: set[int]) -> None:
        for account in locked:
            self._under_way[account] -= 1
            if not self._under_way[account]:
                del self._under_way[account]
