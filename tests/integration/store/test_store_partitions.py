"""Day partitions: business days of China, made ahead, dropped when their time is over. What bounds the disk: each step
has its own time, and what one of them cannot do in it keeps no other one waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio
from databases import change, drop_old
from ledger import upkeep as upkeep_of

from smsgw.core.errors import Temporary
from smsgw.core.ids import CHINA, day_of, day_range, first_id, time_of
from smsgw.core.states import FINAL, PartState
from smsgw.core.words import english_of
from smsgw.pipeline.upkeep import maintenance as upkeep
from smsgw.runtime import clock
from smsgw.runtime.config import Config
from smsgw.store.engine import database as engine, partitions
from smsgw.store.engine.database import Connection, Database
from smsgw.store.messages import daily, request_keys

TODAY = date(2025, 3, 1)
"""Long ago: what the shortest retention keeps is not dropped, whatever day the caller says it is."""


@pytest_asyncio.fixture
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    made = await asyncpg.connect(dsn)
    yield made
    await made.close()


async def test_every_id_of_the_coming_week_has_a_partition(connection: asyncpg.Connection) -> None:
    assert await partitions.ensure(connection, TODAY) == 10 * len(partitions.TABLES)
    assert await partitions.ensure(connection, TODAY) == 0
    low, high = day_range(TODAY)
    assert time_of(low) == datetime(2025, 2, 28, 16, tzinfo=UTC)
    assert (day_of(low), day_of(high - 1), day_of(high)) == (TODAY, TODAY, TODAY + timedelta(days=1))
    for id_ in (low, high - 1, high, day_range(TODAY + timedelta(days=8))[1] - 1):
        assert await _event(connection, id_) == partitions.name("event", day_of(id_))


async def test_only_what_is_older_than_its_retention_goes(connection: asyncpg.Connection) -> None:
    await partitions.ensure(connection, TODAY)
    dropped = await drop_old(connection, TODAY + timedelta(days=8), {"customer_event": 7})
    assert set(dropped) >= {"customer_event_20250228", "customer_event_20250301"}
    assert "customer_event_20250302" not in dropped
    assert all(name.startswith("customer_event_") for name in dropped)


async def test_a_long_reader_delays_the_drop_and_not_the_writers(dsn: str, connection: asyncpg.Connection) -> None:
    reader = await asyncpg.connect(dsn)
    await partitions.ensure(connection, TODAY)
    async with reader.transaction():
        await reader.fetchval("SELECT count(*) FROM event WHERE id >= $1", first_id(datetime(2025, 1, 1, tzinfo=UTC)))
        begun = time.monotonic()
        assert await drop_old(connection, TODAY + timedelta(days=60), {"event": 7}) == []
        assert await partitions.ensure(connection, TODAY + timedelta(days=60)) == 3, "those before the one that is read"
        assert time.monotonic() - begun < 10, "writers queue behind it for as long"
    assert await drop_old(connection, TODAY + timedelta(days=60), {"event": 7})
    await reader.close()


async def test_partitions_follow_the_ids(connection: asyncpg.Connection) -> None:
    """Ids of a node whose clock was ahead, or of before the clock was set back, have partitions as well."""
    far = TODAY + timedelta(days=100)
    assert await partitions.ensure(connection, TODAY, newest=day_range(far)[0]) == 20 * len(partitions.TABLES)
    for offset in (-1, 0, 8):
        low = day_range(far + timedelta(days=offset))[0]
        assert await _event(connection, low) == partitions.name("event", day_of(low))


async def _event(connection: asyncpg.Connection, id_: int) -> str:
    insert = "INSERT INTO event (id, at, part, kind) VALUES ($1, now(), 0, 'x') RETURNING tableoid::regclass::text"
    return str(await connection.fetchval(insert, id_))


async def _part(connection: asyncpg.Connection, id_: int, state: int) -> None:
    await connection.execute(
        "INSERT INTO part (id, part, total, account_id, pool_id, lane, state, accepted_at, expires_at) "
        "VALUES ($1, 1, 1, 1, 1, 2, $2, now(), now())", id_, state,
    )  # fmt: skip


async def test_what_has_no_partition_is_kept_and_moved(database: Database, connection: asyncpg.Connection) -> None:
    low, high = day_range(TODAY)
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
    assert await connection.fetchval(indexed, "part_20250301") == await connection.fetchval(indexed, "part_20250302")
    options = "SELECT reloptions FROM pg_class WHERE relname = $1"
    assert await connection.fetchval(options, "part_20250301") == await connection.fetchval(options, "part_20250302")
    said = english_of(await partitions.trouble(database, low, TODAY) or "")
    assert said == "rows in the default partition of part"
    await change(database.dsn, f"DELETE FROM part WHERE id = {beyond}")  # noqa: S608
    assert await partitions.trouble(database, low, TODAY) is None


async def test_a_day_with_an_unfinished_part_is_kept(connection: asyncpg.Connection) -> None:
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
    assert {n for n in dropped if n.endswith("20250301")} == {f"{table}_20250301" for table in partitions.OF_MESSAGES}


_KEYS = """
INSERT INTO request_key (account_id, kind, key, request_sha256, message_id, answer, created_at)
SELECT 1, 'k', n::text, '', n, '', now() - interval '8 days' - n * interval '1 s' FROM generate_series(1, $1::int) AS n
"""
_LEFT = "SELECT count(*) FROM request_key"
_SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.6); RETURN NULL; END $$;
CREATE TRIGGER slow AFTER DELETE ON request_key FOR EACH STATEMENT EXECUTE FUNCTION slow();
"""


async def test_a_day_that_stays_keeps_no_other(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config()
    today = clock.now().astimezone(CHINA).date()
    late, other = (today - timedelta(days=config.retention.events_days + n) for n in (3, 2))
    gone = {("customer_event", other), ("mo", today - timedelta(days=config.retention.mo_days + 2))}
    await database.execute(_KEYS, 3)
    for table, day in {*gone, ("customer_event", late)}:
        await database.execute("SELECT partition_make($1, $2)", table, day)
    keep_ends, counted = daily.keep_ends, list[date]()

    async def keeping(connection: Connection, day: date, oldest: int) -> None:
        counted.append(day)
        if counted.count(late) == 1 and day == late:
            await asyncio.sleep(3600)
        await keep_ends(connection, day, oldest)

    monkeypatch.setattr(daily, "keep_ends", keeping)
    monkeypatch.setattr(upkeep, "DAY_PATIENCE", 5.0)

    async def there(days: set[tuple[str, date]]) -> set[str]:
        names = [f"{table}_{day:%Y%m%d}" for table, day in days]
        rows = await database.fetch("SELECT n FROM unnest($1::text[]) n WHERE to_regclass(n) IS NOT NULL", names)
        return {row[0] for row in rows}

    job = upkeep_of(database, config)
    with pytest.raises(Temporary):
        await job._partitions()
    assert await there(gone) == set()
    assert await there({("customer_event", late)}), "what is not counted does not go"
    assert await database.fetchval(_LEFT) == 0
    events_gone = await database.fetchval("SELECT events_gone FROM stat_cursor")
    assert events_gone < late
    await job._partitions()
    assert await there({("customer_event", late)}) == set()
    assert await database.fetchval("SELECT events_gone FROM stat_cursor") >= other
    assert sorted(day for day in counted if day >= late) == [late, late, other], "what is counted is not counted again"


async def test_what_is_counted_is_kept_while_it_cannot_go(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody reads it for long: it is tried again soon, and counting takes minutes."""
    config = Config()
    day = clock.now().astimezone(CHINA).date() - timedelta(days=config.retention.events_days + 2)
    await database.execute("SELECT partition_make('customer_event', $1)", day)
    counted: list[date] = []

    async def keeping(_: Connection, one: date, oldest: int) -> None:
        counted.append(one)

    monkeypatch.setattr(daily, "keep_ends", keeping)
    job = upkeep_of(database, config)
    async with database.transaction(timeout=60) as reader:
        await reader.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await reader.fetchval("SELECT count(*) FROM customer_event WHERE id >= $1 AND id < $2", *day_range(day))
        await job._partitions()
        await job._partitions()
    await job._partitions()
    assert counted.count(day) == 1
    assert len(counted) == len({*counted})
    assert await database.fetchval("SELECT to_regclass($1)", f"customer_event_{day:%Y%m%d}") is None


async def test_more_than_one_time_goes_in_two(dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """One DELETE of all would be taken back as a whole each time, and never come to its end."""
    monkeypatch.setattr(engine, "DELETED_AT_ONCE", 2)
    await database.execute(_KEYS, 40)
    await change(dsn, _SLOW)
    left = [40]
    for _ in range(2):
        with pytest.raises(Temporary):
            async with database.acquire(timeout=4) as connection:
                await request_keys.sweep(connection, clock.now())
        left.append(await database.fetchval(_LEFT))
    assert 0 < left[2] < left[1] < left[0], left
    await change(dsn, "DROP TRIGGER slow ON request_key")
    async with database.acquire(timeout=30) as connection:
        assert await request_keys.sweep(connection, clock.now() - timedelta(days=9)) == 0
        assert await request_keys.sweep(connection, clock.now()) == left[2]
