"""Questions to the database that take half a minute each, as many as a customer likes: messages go out beside them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
from databases import owner
from harness import mark_of, site, until

from smsgw.runtime import aio
from smsgw.store.engine.leases import TTL


async def test_questions_that_take_long_cost_no_channel_its_lease(dsn: str, data_dir: Path) -> None:
    """More of them than the node has connections for them, for longer than a lease lasts."""
    few = {"database_pool": "2", "database_read_pool": "2"}
    async with site(data_dir, dsn=dsn, channels=["cmpp30"], **few) as built:
        client, customer = built.client, built.customer
        before = await customer.send("cmpp30")
        await customer.reaches(before.message_id, "delivered")
        locker = await asyncpg.connect(owner(dsn))
        try:
            async with locker.transaction():
                await locker.execute("LOCK TABLE mo IN ACCESS EXCLUSIVE MODE")
                asked = [aio.spawn(client.get("/mo?content=x"), name="asked") for _ in range(10)]
                await asyncio.sleep(TTL + 5)
                assert not any(one.done() for one in asked), "they take long"
                mark = mark_of((await customer.send("cmpp30")).content)
                await until(lambda: built.received()[mark], within=10, what="it goes out")
        finally:
            await locker.close()
        assert {one.code for one in await asyncio.gather(*asked)} <= {"OK", "STORAGE_UNAVAILABLE", "BACKPRESSURE"}
        assert not [line for line in built.node.log_lines() if '"lease.' in line]
