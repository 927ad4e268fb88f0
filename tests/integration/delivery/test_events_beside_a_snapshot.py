"""What a look for events reads of the index, beside somebody who keeps a snapshot, for each way of delivery."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import asyncpg
import pytest
import pytest_asyncio
from changes import by_test

from smsgw.core import heads
from smsgw.core.heads import Stretch
from smsgw.core.ids import IdSource, first_id
from smsgw.pipeline.delivery import event_heads, pulling
from smsgw.pipeline.delivery.event_heads import EventHead
from smsgw.platform.accounts import service as accounts
from smsgw.runtime import clock
from smsgw.store.config import webhooks as webhooks_store
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import events, pushing
from smsgw.store.messages.events import Found

DELIVERED = 3000

_ENTER = """
INSERT INTO customer_event (id, account_id, kind, message_id, status, class, code, parts_ok)
SELECT id, $1, 'report', id, 'delivered', '', 'DELIVRD', 1 FROM unnest($2::bigint[]) AS id
"""
_MESSAGE = """
INSERT INTO message (id, batch_id, account_id, origin, type, number, carrier, province, content, sign, coding, parts,
                     concat_ref, price)
SELECT id, id, $1, 'api', 'otp', '8613800000000', 'CMCC', '', 'x', '', 'gsm7', 1, 0, 1 FROM unnest($2::bigint[]) AS id
"""
_READ = "SELECT sum(idx_tup_read)::bigint FROM pg_stat_all_indexes WHERE relname ~ '^customer_event' AND idx_scan > 0"


class Beside:
    """An account many of whose reports have been delivered since somebody began to keep a snapshot."""

    def __init__(self, database: Database, watch: asyncpg.Connection, account_id: int) -> None:
        self.database = database
        self.watch = watch
        self.account_id = account_id
        self.ids = IdSource(1, lambda: time.time_ns() // 1_000_000)

    async def enter(self, ids: list[int]) -> list[int]:
        await self.database.execute(_MESSAGE, self.account_id, ids)
        await self.database.execute(_ENTER, self.account_id, ids)
        return ids

    async def acknowledge(self, ids: list[int]) -> None:
        await self.database.execute(
            "UPDATE customer_event SET acknowledged_at = now() WHERE id = ANY($1::bigint[])", ids
        )

    async def read(self) -> int:
        """Entries of indexes of events that statements have come across by now."""
        async with self.database.acquire() as connection:  # whose own figures are told by itself
            await connection.execute("SELECT pg_stat_force_next_flush()")
            await connection.execute("SELECT 1")
        await self.watch.execute("SELECT pg_stat_clear_snapshot()")
        return int(await self.watch.fetchval(_READ) or 0)

    async def pushed(self, within: Stretch, limit: int) -> Found[pushing.Due]:
        return await pushing.claim(
            self.database, self.account_id, "report", limit, now=clock.now(), primary=True, under_way=[], within=within
        )

    async def pulled(self, within: Stretch, limit: int) -> Found[dict[str, object]]:
        return await events.pull_events(
            self.database, self.account_id, "report", limit, batch=self.ids.next(), primary=True, within=within
        )

    async def bound(self, within: Stretch, limit: int) -> Found[events.BoundEvent]:
        return await events.claim_bound(self.database, self.account_id, "report", limit, within=within)


@pytest_asyncio.fixture
async def beside(dsn: str) -> AsyncIterator[Beside]:
    database = Database(dsn, size=1)
    await database.open()
    watch, keeper = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    try:
        account_id = await accounts.add(by_test(database), "acme")
        keeping = keeper.transaction(isolation="repeatable_read", readonly=True)
        await keeping.start()
        await keeper.fetchval("SELECT count(*) FROM account")
        one = Beside(database, watch, account_id)
        begin = first_id(clock.now() - timedelta(seconds=60))
        await one.acknowledge(await one.enter([begin + n * 4096 for n in range(DELIVERED)]))
        await watch.execute("VACUUM ANALYZE customer_event")
        yield one
    finally:
        await keeper.close()
        await watch.close()
        await database.close()


@pytest.mark.parametrize("way", ["pushed", "pulled", "bound"])
async def test_a_look_reads_what_is_new(beside: Beside, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "DEAR", -1.0)  # each look is dear
    monkeypatch.setattr(event_heads, "DEAR", -1.0)
    find: Callable[[Stretch, int], Awaitable[Found[object]]] = getattr(beside, way)
    head = EventHead(clock.now)
    before = await beside.read()
    assert not (await head.look(100, find)).ids
    first = await beside.read() - before
    assert first >= DELIVERED, "it walks over all that was delivered"
    head._heads._due = float("inf")  # no rounds
    (new,) = await beside.enter([beside.ids.next()])
    before = await beside.read()
    assert (await head.look(100, find)).ids == [new]
    assert await beside.read() - before < DELIVERED / 10
    await beside.acknowledge([new])
    (late,) = await beside.enter([first_id(clock.now() - timedelta(days=2))])
    assert not (await head.look(100, find)).ids
    head._heads._due = 0.0
    assert (await head.look(100, find)).ids == [late]


async def test_a_pull_whose_round_cannot_be_looked_through_has_what_is_new(
    beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "DEAR", -1.0)
    known = pulling.PullHeads(clock.now)
    hooks = await webhooks_store.load(beside.database, Sealer(secrets.token_bytes(32)))

    async def take() -> list[int]:
        _, items, _ = await pulling.take(
            beside.database, known, hooks, beside.account_id, "report", 100, ids=beside.ids.next, tests=(False,)
        )
        return [int(str(item["event_id"])) for item in items]

    assert await take() == []
    head = known.of((beside.account_id, "report", True, False))
    assert head.since > first_id(clock.now() - timedelta(days=1))
    real = events.pull_events

    async def given_up(*about: object, within: Stretch, **how: object) -> Found[dict[str, object]]:
        if within.last != heads.ALL:
            async with beside.database.acquire() as connection:
                await connection.execute("SET statement_timeout = 10")
                try:
                    await connection.execute("SELECT pg_sleep(10)")
                finally:
                    await connection.execute("RESET statement_timeout")
        return await real(*about, within=within, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(events, "pull_events", given_up)
    (new,) = await beside.enter([beside.ids.next()])
    (late,) = await beside.enter([first_id(clock.now() - timedelta(hours=3))])
    head._heads._due = 0.0
    assert await take() == [new]
    assert not head.due, "it rests"
    monkeypatch.setattr(events, "pull_events", real)
    monkeypatch.setattr(heads, "DEAR", 60.0)
    found: list[int] = []
    for _ in range(50):
        head._heads._due = 0.0
        found += await take()
        if found:
            break
    assert found == [late]
