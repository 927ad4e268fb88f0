"""Nodes know how many of them live: accounts' rates are shared among those."""

from __future__ import annotations

from smsgw.store import leases
from smsgw.store.db import Database


async def test_nodes_count_those_that_have_said_so_lately(dsn: str) -> None:
    database = Database(dsn)
    await database.open()
    try:
        assert await leases.beat(database, 1) == 1
        assert await leases.beat(database, 2) == 2
        assert await leases.beat(database, 1) == 2
        await database.execute(
            "UPDATE lease SET expires_at = now() - interval '1 s' WHERE resource = 'node/2'"
        )
        assert await leases.beat(database, 1) == 1
        held = await leases.acquire(database, "channel/1", 3)
        assert held is not None
        assert await leases.beat(database, 1) == 1  # a lease of something else is no sign of life
    finally:
        await database.close()
