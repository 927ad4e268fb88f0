"""A machine whose wall clock is wrong, or is set while the gateway runs: what is accepted is sent, and in time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from databases import change
from harness import FAKETIME, Node, Site, Wall, alarmed, site, until

from smsgw.store.engine.partitions import TABLES

needs_faketime = pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")


async def _sent(built: Site) -> None:
    """Accepted by bearer and by signature, sent, reported."""
    customer = built.customer
    one = await customer.send("cmpp30")
    await customer.reaches(one.message_id, "delivered")
    assert (await built.signer.get("/balance")).code == "OK", "a signature of this moment is in time"


@needs_faketime
@pytest.mark.slow
async def test_the_wall_clock_steps_while_it_runs(dsn: str, data_dir: Path) -> None:
    wall = Wall(data_dir.with_name("wall"))
    async with site(data_dir, dsn=dsn, channels=["cmpp30"], start=False) as built:
        built.node.clock = wall.environment
        await built.node.start()
        await built.bound()
        await _sent(built)
        at = datetime.now(UTC) + timedelta(seconds=600)
        later = await built.customer.send("cmpp30", send_at=at.isoformat())
        for offset, told in (("-2h", "7200 s behind"), ("+9d", "777600 s ahead"), ("-1d", "86400 s behind")):
            wall.step(offset)
            await until(lambda told=told: alarmed(built.node, told), what="an alarm")  # type: ignore[misc]
            await _sent(built)
        wall.step("+0")
        await until(lambda: alarmed(built.node, "clock_wrong", False), what="the alarm is over")
        assert await built.customer.status(later.message_id) == "scheduled", "nothing has come due early"
        await built.client.post(f"/messages/{later.message_id}/cancel")
        books = await built.clean()
        assert books.statuses == {"delivered": 4, "cancelled": 1}


@needs_faketime
@pytest.mark.slow
async def test_a_machine_whose_clock_is_wrong_does_not_begin(dsn: str, data_dir: Path) -> None:
    wall = Wall(data_dir.with_name("wall"), "+90s")
    node = Node(data_dir, dsn=dsn)
    node.clock = wall.environment
    try:
        assert await node.ends() == 1
        assert re.search("(89|90) s ahead of the database's", node.log_tail())  # as exact as its answer was quick
        wall.step("-20s")
        await node.start()
        await until(lambda: alarmed(node, "clock_wrong"), what="an alarm")
    finally:
        if node.process is not None:
            await node.stop()


@pytest.mark.slow
async def test_a_day_without_partitions(dsn: str, data_dir: Path) -> None:
    """As if nobody had made any for a week: messages are accepted, sent and found, and the day is made up for."""
    async with site(data_dir, dsn=dsn, channels=["cmpp30"]) as built:
        customer, carrier = built.customer, built.carriers["cmpp30"]
        connection = await asyncpg.connect(dsn)
        gone = [row[0] for row in await connection.fetch(_OF_DAYS, list(TABLES))]
        await change(dsn, *(f"DROP TABLE {name}" for name in gone))
        await customer.reaches((await customer.send("cmpp30")).message_id, "delivered")
        await until(lambda: alarmed(built.node, "rows in the default partition of message"), what="an alarm")
        carrier.pause()
        waits = await customer.send("cmpp30")
        await built.node.ctl("migrate")
        assert await connection.fetchval("SELECT count(*) FROM part_99991231") == 0
        assert await connection.fetchval("SELECT count(*) FROM part") == 2
        await connection.close()
        carrier.resume()
        await customer.reaches(waits.message_id, "delivered")

        async def over() -> bool:
            await built.node.ctl("migrate")  # beside a reader, a partition is left for the next time
            return await alarmed(built.node, "partition_missing", False)

        await until(over, every=2.0, what="the alarm is over")
        await built.clean()


_OF_DAYS = """
SELECT inhrelid::regclass::text FROM pg_inherits
WHERE inhparent = ANY($1::text[]::regclass[]) AND inhrelid::regclass::text NOT LIKE '%99991231'
"""
