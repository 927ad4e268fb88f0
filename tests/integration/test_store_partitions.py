"""Day partitions: business days of China, made ahead, dropped when their time is over."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from smsgw.core.ids import day_of, day_range, first_id, time_of
from smsgw.store import partitions

TODAY = date(2031, 3, 1)


async def test_every_id_of_the_coming_week_has_a_partition_up_to_the_last_millisecond(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    assert await partitions.ensure(connection, TODAY) == 9 * len(partitions.TABLES)
    assert await partitions.ensure(connection, TODAY) == 0
    low, high = day_range(TODAY)
    assert time_of(low) == datetime(2031, 2, 28, 16, tzinfo=UTC)
    assert (day_of(low), day_of(high - 1), day_of(high)) == (TODAY, TODAY, TODAY + timedelta(days=1))
    for id_ in (low, high - 1, high, day_range(TODAY + timedelta(days=7))[1] - 1):
        table = await connection.fetchval(
            "INSERT INTO event (id, at, part, kind) VALUES ($1, now(), 0, 'x') RETURNING tableoid::regclass::text",
            id_,
        )
        assert table == partitions.name("event", day_of(id_))
    await connection.close()


async def test_only_what_is_older_than_its_retention_goes(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await partitions.ensure(connection, TODAY)
    dropped = await partitions.expire(connection, TODAY + timedelta(days=8), {"customer_event": 7})
    assert set(dropped) >= {"customer_event_20310228", "customer_event_20310301"}
    assert "customer_event_20310302" not in dropped
    assert all(name.startswith("customer_event_") for name in dropped)
    await connection.close()


async def test_a_long_reader_delays_the_drop_and_not_the_writers(dsn: str) -> None:
    connection, reader = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    await partitions.ensure(connection, TODAY)
    async with reader.transaction():
        await reader.fetchval(
            "SELECT count(*) FROM event WHERE id >= $1", first_id(datetime(2031, 1, 1, tzinfo=UTC))
        )
        with pytest.raises(asyncpg.LockNotAvailableError):
            await partitions.expire(connection, TODAY + timedelta(days=60), {"event": 7})
    assert await partitions.expire(connection, TODAY + timedelta(days=60), {"event": 7})
    await reader.close()
    await connection.close()
