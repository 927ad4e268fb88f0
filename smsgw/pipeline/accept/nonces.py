"""Nonces of signatures, used once at all nodes and over restarts (docs/adr/032).

A call that sends carries its nonce into its own accept transaction, or into the spool; nothing here is asked for it.
Of every other signed call the nonce is entered here, many in a commit. While the database is away, or slow, the node's
own memory decides: what such a call could change is in the database.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta

from smsgw.core.errors import SmsgwError, Temporary
from smsgw.store.engine.database import Connection
from smsgw.store.engine.group_commit import Batcher
from smsgw.store.messages.request_keys import NonceUse, use_nonces

NONCES_KEPT = timedelta(hours=1)
"""Six lives of a signature: also those of a spool that drains late are found."""
PATIENCE = 1.0
"""Seconds that a call waits to hear whether its nonce is new."""
_LIFE = 600.0
"""Seconds in which a signature could come again: so long an entry is tried."""
_LIMIT = 20_000
"""Nonces that wait to be entered."""


class Nonces:
    """Those of calls that do not send."""

    def __init__(self, dsn: str) -> None:
        self._writer: Batcher[NonceUse, SmsgwError | None] = Batcher(
            "nonces", dsn, _commit, limit=_LIMIT, give_up_after=_LIFE
        )

    async def start(self) -> None:
        """Connect the writer."""
        await self._writer.start()

    async def stop(self) -> None:
        """Enter what waits, for a moment."""
        await self._writer.stop(timeout=2)

    async def settled(self) -> None:
        """Returns when everything noted so far is entered, or given up."""
        await self._writer.drain()

    def note(self, account_id: int, nonce: str) -> asyncio.Future[SmsgwError | None] | None:
        """Enter a nonce. The future has ``AUTH_NONCE_REPLAYED`` when it was used before; it need not be looked at.
        None when too many wait: then this node alone knows of it."""
        try:
            future = self._writer.submit(NonceUse(account_id, nonce, ~secrets.randbits(62)))
        except Temporary:
            return None
        future.add_done_callback(_looked_at)
        return future

    async def new(self, noted: asyncio.Future[SmsgwError | None] | None) -> None:
        """Returns when the nonce is known to be new, or the database does not say. Raises ``AUTH_NONCE_REPLAYED``."""
        if noted is None or (self._writer.outage and not noted.done()):
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.shield(noted)
        except (TimeoutError, Temporary):
            return


def _looked_at(noted: asyncio.Future[SmsgwError | None]) -> None:
    if not noted.cancelled():
        noted.exception()


async def _commit(connection: Connection, uses: list[NonceUse], again: bool) -> list[SmsgwError | None]:
    await connection.execute("SET LOCAL synchronous_commit TO off")  # others see it at once
    return await use_nonces(connection, uses)
