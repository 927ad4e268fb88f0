"""Events on their way to a partner's connection, and connections that go meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from smsgw.core.errors import Temporary
from smsgw.core.heads import ALL
from smsgw.core.ids import IdSource
from smsgw.core.webhooks import REPORT, Way
from smsgw.partners.delivery import Feed, Settler
from smsgw.runtime.aio import spawn
from smsgw.store.engine.database import Database
from smsgw.store.messages import bind_events, events, partner_parts
from smsgw.store.messages.bind_events import Claimed
from smsgw.store.messages.partner_parts import Part

ACCOUNT = 1
DESCRIBE = bind_events.describe


class Bind:
    """A connection with room, to which nothing is ever written in these tests."""

    room = 5


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """With one report that waits."""
    database = Database(dsn)
    await database.open()
    try:
        ids = IdSource(1, lambda: time.time_ns() // 1_000_000)
        part = Part(
            id=ids.next(), account_id=ACCOUNT, partner_id=1, key="k", total=1, part=1, number="13800000001", octets=b"",
            coding="ascii", extend_code="", reply="", urgent=False, send_at=None, expire_at=None,
            received_at=datetime.now(UTC),
        )  # fmt: skip
        async with database.transaction() as connection:
            await partner_parts.note_refused(connection, [(part, "NUMBER_INVALID")], ids.next)
        yield database
    finally:
        await database.close()


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Callable[[], Feed]]:
    settler = Settler(database.dsn)
    await settler.start()
    ways = SimpleNamespace(account_way=lambda _: Way.BIND)
    snapshots: Any = SimpleNamespace(current=SimpleNamespace(hooks=ways))
    made: list[Feed] = []

    def make() -> Feed:
        made.append(Feed(ACCOUNT, database, settler, snapshots, 1, 0))
        made[-1].add(Bind())  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        await one.stop()
    await settler.stop()


async def waits(database: Database) -> bool:
    """Whether the report is nobody's."""
    for _ in range(3000):
        if await database.fetchval("SELECT leased_until IS NULL FROM customer_event"):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_the_last_connection_goes_during_a_claim(
    database: Database, feed: Callable[[], Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    claiming, go_on = asyncio.Event(), asyncio.Event()

    async def describe(*given: Any) -> Sequence[Claimed]:
        claiming.set()
        await go_on.wait()
        return await DESCRIBE(*given)

    monkeypatch.setattr(bind_events, "describe", describe)
    one = feed()
    await asyncio.wait_for(claiming.wait(), 10)
    one.remove(one.binds[0])
    stopping = spawn(one.stop(), name="stop")
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait_for(stopping, 10)
    assert await waits(database), "the next connection gets it at once, not after the lease"


async def test_a_claim_that_fails_half_way(
    database: Database, feed: Callable[[], Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def describe(*_: Any) -> Sequence[Claimed]:
        assert await database.fetchval("SELECT leased_until IS NOT NULL FROM customer_event")
        one._stopping = True  # or it would claim it again
        raise Temporary("STORAGE_UNAVAILABLE")

    monkeypatch.setattr(bind_events, "describe", describe)
    one = feed()
    assert await waits(database)
    assert [e.kind for e in (await events.claim_bound(database, ACCOUNT, REPORT, 5)).events] == [REPORT]


async def test_what_a_lost_connection_gives_back_is_found_by_the_next_look(
    database: Database, feed: Callable[[], Feed]
) -> None:
    """Looks begin behind what was found, and no round is due: as beside a kept snapshot."""
    one = feed()
    one._pump = lambda: None  # type: ignore[method-assign]
    head = one._heads[REPORT]
    head._now = lambda: datetime.now(UTC) + timedelta(minutes=1)
    head._heads._begin(ALL, 1.0)
    head._heads._due = float("inf")
    (bind,) = one.binds
    event = await database.fetchval("SELECT id FROM customer_event")
    async with asyncio.timeout(10):
        while not one._queue:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
        one.remove(bind)
        Feed._pump(one)
        while one.since(REPORT) > event:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
        one.add(bind)
        while not one._queue:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
    assert [delivery.claimed.event.id for delivery in one._queue] == [event]
