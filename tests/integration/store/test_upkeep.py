"""What bounds the disk: each step has its own time, and what one of them cannot do in it keeps no other one waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any, cast

import pytest
import pytest_asyncio
from databases import change
from snapshots import FixedSnapshots
from standins import AnyFleet

from smsgw.core.errors import Temporary
from smsgw.core.ids import CHINA, IdSource, day_range
from smsgw.pipeline.upkeep import maintenance as upkeep
from smsgw.pipeline.upkeep.maintenance import Maintenance
from smsgw.runtime import clock
from smsgw.runtime.config import Config
from smsgw.store.engine import database as engine
from smsgw.store.engine.database import Connection, Database
from smsgw.store.messages import daily, request_keys

_KEYS = """
INSERT INTO request_key (account_id, kind, key, request_sha256, message_id, answer, created_at)
SELECT 1, 'k', n::text, '', n, '', now() - interval '8 days' - n * interval '1 s' FROM generate_series(1, $1::int) AS n
"""
_LEFT = "SELECT count(*) FROM request_key"
_SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.6); RETURN NULL; END $$;
CREATE TRIGGER slow AFTER DELETE ON request_key FOR EACH STATEMENT EXECUTE FUNCTION slow();
"""


@pytest_asyncio.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    made = Database(dsn, size=2)
    await made.open()
    yield made
    await made.close()


async def test_a_day_that_outlasts_its_time_keeps_nothing_else_from_going(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, nothing = Config(), cast(Any, None)
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

    job = Maintenance(database, nothing, FixedSnapshots(), nothing, IdSource(1, lambda: 1), config, AnyFleet())
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


async def test_what_is_counted_is_remembered_while_it_cannot_go(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody reads it for long: it is tried again soon, and counting takes minutes."""
    config = Config()
    day = clock.now().astimezone(CHINA).date() - timedelta(days=config.retention.events_days + 2)
    await database.execute("SELECT partition_make('customer_event', $1)", day)
    counted: list[date] = []

    async def keeping(_: Connection, one: date, oldest: int) -> None:
        counted.append(one)

    monkeypatch.setattr(daily, "keep_ends", keeping)
    nothing = cast(Any, None)
    job = Maintenance(database, nothing, FixedSnapshots(), nothing, IdSource(1, lambda: 1), config, AnyFleet())
    async with database.transaction(timeout=60) as reader:
        await reader.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await reader.fetchval("SELECT count(*) FROM customer_event WHERE id >= $1 AND id < $2", *day_range(day))
        await job._partitions()
        await job._partitions()
    await job._partitions()
    assert counted.count(day) == 1
    assert len(counted) == len({*counted})
    assert await database.fetchval("SELECT to_regclass($1)", f"customer_event_{day:%Y%m%d}") is None


async def test_more_than_goes_in_one_time_goes_in_two(
    dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
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
