"""Day partitions: business days of China, made ahead, dropped when their time is over."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest
from databases import change, drop_old

from smsgw.core.ids import day_of, day_range, first_id, time_of
from smsgw.core.states import FINAL, PartState
from smsgw.core.words import english_of
from smsgw.store.engine import partitions
from smsgw.store.engine.database import Database

TODAY = date(2025, 3, 1)
"""Long ago: what the shortest retention keeps is not dropped, whatever day the caller says it is."""


async def test_every_id_of_the_coming_week_has_a_partition_up_to_the_last_millisecond(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    assert await partitions.ensure(connection, TODAY) == 10 * len(partitions.TABLES)
    assert await partitions.ensure(connection, TODAY) == 0
    low, high = day_range(TODAY)
    assert time_of(low) == datetime(2025, 2, 28, 16, tzinfo=UTC)
    assert (day_of(low), day_of(high - 1), day_of(high)) == (TODAY, TODAY, TODAY + timedelta(days=1))
    for id_ in (low, high - 1, high, day_range(TODAY + timedelta(days=8))[1] - 1):
        table = await connection.fetchval(
            "INSERT INTO event (id, at, part, kind) VALUES ($1, now(), 0, 'x') RETURNING tableoid::regclass::text",
            id_,
        )
        assert table == partitions.name("event", day_of(id_))
    await connection.close()


async def test_only_what_is_older_than_its_retention_goes(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await partitions.ensure(connection, TODAY)
    dropped = await drop_old(connection, TODAY + timedelta(days=8), {"customer_event": 7})
    assert set(dropped) >= {"customer_event_20250228", "customer_event_20250301"}
    assert "customer_event_20250302" not in dropped
    assert all(name.startswith("customer_event_") for name in dropped)
    await connection.close()


async def test_a_long_reader_delays_the_drop_and_not_the_writers(dsn: str) -> None:
    connection, reader = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    await partitions.ensure(connection, TODAY)
    async with reader.transaction():
        await reader.fetchval(
            "SELECT count(*) FROM event WHERE id >= $1", first_id(datetime(2025, 1, 1, tzinfo=UTC))
        )
        begun = time.monotonic()
        assert await drop_old(connection, TODAY + timedelta(days=60), {"event": 7}) == []
        assert await partitions.ensure(connection, TODAY + timedelta(days=60)) == 3, "those before the one that is read"
        assert time.monotonic() - begun < 10, "writers queue behind it for as long"
    assert await drop_old(connection, TODAY + timedelta(days=60), {"event": 7})
    await reader.close()
    await connection.close()


async def test_partitions_follow_the_ids(dsn: str) -> None:
    """Ids of a node whose clock was ahead, or of before the clock was set back, have partitions as well."""
    connection = await asyncpg.connect(dsn)
    far = TODAY + timedelta(days=100)
    assert await partitions.ensure(connection, TODAY, newest=day_range(far)[0]) == 20 * len(partitions.TABLES)
    for offset in (-1, 0, 8):
        low = day_range(far + timedelta(days=offset))[0]
        assert await _event(connection, low) == partitions.name("event", day_of(low))
    await connection.close()


async def _event(connection: asyncpg.Connection, id_: int) -> str:
    table: str = await connection.fetchval(
        "INSERT INTO event (id, at, part, kind) VALUES ($1, now(), 0, 'x') RETURNING tableoid::regclass::text",
        id_,
    )
    return table


async def _part(connection: asyncpg.Connection, id_: int, state: int) -> None:
    await connection.execute(
        "INSERT INTO part (id, part, total, account_id, pool_id, lane, state, accepted_at, expires_at) "
        "VALUES ($1, 1, 1, 1, 1, 2, $2, now(), now())", id_, state,
    )  # fmt: skip


async def test_what_has_no_partition_is_kept_told_of_and_moved(dsn: str) -> None:
    database = Database(dsn, size=2)
    await database.open()
    connection = await asyncpg.connect(dsn)
    low, high = day_range(TODAY)
    try:
        for id_ in (low, high - 1):
            await _part(connection, id_, 10)
            assert await _event(connection, id_) == "event_99991231"
        beyond = day_range(TODAY + timedelta(days=40))[0]
        await _part(connection, beyond, 10)
        told = english_of(await partitions.trouble(database, low, TODAY) or "")
        assert "no partition for 2025-03-02: message_20250302" in told
        assert "rows in the default partition of part, event" in told

        # Found, changed and read like all others, also while the partition is being made.
        await partitions.ensure(connection, TODAY)
        where = "SELECT id, tableoid::regclass::text AS place FROM part WHERE id = ANY($1) ORDER BY id"
        places = [tuple(row) for row in await connection.fetch(where, [low, high - 1, beyond])]
        assert places == [(low, "part_20250301"), (high - 1, "part_20250301"), (beyond, "part_99991231")]
        with pytest.raises(asyncpg.UniqueViolationError):
            await _part(connection, low, 10)
        indexed = "SELECT count(*) FROM pg_index WHERE indrelid = $1::text::regclass"
        assert await connection.fetchval(indexed, "part_20250301") == await connection.fetchval(
            indexed, "part_20250302"
        )
        options = "SELECT reloptions FROM pg_class WHERE relname = $1"
        assert await connection.fetchval(options, "part_20250301") == await connection.fetchval(
            options, "part_20250302"
        )
        said = english_of(await partitions.trouble(database, low, TODAY) or "")
        assert said == "rows in the default partition of part"
        await change(dsn, f"DELETE FROM part WHERE id = {beyond}")  # noqa: S608
        assert await partitions.trouble(database, low, TODAY) is None
    finally:
        await connection.close()
        await database.close()


async def test_a_day_with_an_unfinished_part_is_kept(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await partitions.ensure(connection, TODAY)
    low = day_range(TODAY)[0]
    await _part(connection, low, PartState.DELIVERED)
    await _part(connection, low + 1, PartState.UNKNOWN)
    keep = dict.fromkeys(partitions.OF_MESSAGES, 14) | {"customer_event": 7}
    later = TODAY + timedelta(days=15)
    dropped = await drop_old(connection, later, keep)
    assert await partitions.overdue(connection, later, "part", 14) == [TODAY]
    assert "message_20250228" in dropped
    assert {n for n in dropped if n.endswith("20250301")} == {"customer_event_20250301"}
    for state in PartState:
        await connection.execute("UPDATE part SET state = $2 WHERE id = $1", low + 1, state)
        assert await partitions.unfinished(connection, TODAY) is (state not in FINAL)
    dropped = await drop_old(connection, later, keep)
    assert await partitions.overdue(connection, later, "part", 14) == []
    assert {n for n in dropped if n.endswith("20250301")} == {
        f"{table}_20250301" for table in partitions.OF_MESSAGES
    }
    await connection.close()
