"""Events in the ledger: whose way they go, partners' connections that take them, and what a look for them reads."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from changes import by_test

from smsgw.core import heads
from smsgw.core.errors import Temporary
from smsgw.core.heads import Stretch
from smsgw.core.ids import IdSource, first_id
from smsgw.core.webhooks import Way
from smsgw.pipeline.delivery import event_heads, pulling
from smsgw.pipeline.delivery.event_heads import EventHead
from smsgw.pipeline.events import OTHERS
from smsgw.platform.accounts import service as accounts
from smsgw.platform.webhooks import queries as webhook_queries
from smsgw.platform.webhooks import service as webhooks
from smsgw.platform.webhooks.model import EventSetting
from smsgw.runtime import clock
from smsgw.store.config import webhooks as webhooks_store
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import events, pushing
from smsgw.store.messages.events import Found


class Stage:
    """A database with an account and reports that wait for it."""

    def __init__(self, database: Database, account_id: int) -> None:
        self.database = database
        self.account_id = account_id
        self.ids = IdSource(1, lambda: time.time_ns() // 1_000_000)

    async def reports(self, *message_ids: int, account_id: int | None = None) -> list[int]:
        """Reports about these messages, which are made where they are missing; the ids of the events."""
        made = []
        for message_id in message_ids:
            await self.database.execute(
                """INSERT INTO message (id, batch_id, account_id, origin, type, number, carrier, province, content,
                                        sign, coding, parts, concat_ref, price)
                   VALUES ($1, $1, $2, 'api', 'otp', '8613800000000', 'CMCC', '', 'x', '', 'gsm7', 1, 0, 1)
                   ON CONFLICT DO NOTHING""",
                message_id, account_id or self.account_id,
            )  # fmt: skip
            made.append(self.ids.next())
            await self.database.execute(
                """INSERT INTO customer_event (id, account_id, kind, message_id, status, class, code, parts_ok)
                   VALUES ($1, $2, 'report', $3, 'delivered', '', 'DELIVRD', 1)""",
                made[-1], account_id or self.account_id, message_id,
            )  # fmt: skip
        return made

    async def pull(self, *, primary: bool = True, lease_s: int = 60) -> tuple[int | None, list[int]]:
        batch = self.ids.next()
        found = await events.pull_events(
            self.database, self.account_id, "report", 500, batch=batch, primary=primary, lease_s=lease_s
        )
        return batch if found else None, [int(str(item["event_id"])) for item in found.events]

    async def take(self, kind: str, *tests: bool, known: pulling.PullHeads | None = None) -> Any:
        """What is pulled of it: the batch, its items, and whether there is more."""
        stored = await webhooks_store.load(self.database, Sealer(secrets.token_bytes(32)))
        return await pulling.take(
            self.database, known or pulling.PullHeads(clock.now), stored, self.account_id, kind, 500,
            ids=self.ids.next, tests=tests or (False,),
        )  # fmt: skip

    async def record(self, kind: str, **detail: int) -> None:
        async with self.database.transaction() as connection:
            await events.record(connection, kind, [(self.account_id, detail)], ids=self.ids.next)

    async def claim(self, limit: int = 10, **how: Any) -> list[int]:
        return (await events.claim_bound(self.database, self.account_id, "report", limit, **how)).ids


@pytest_asyncio.fixture
async def stage(database: Database) -> Stage:
    return Stage(database, await accounts.add(by_test(database), "acme"))


async def test_events_for_a_connection_are_claimed_once_and_come_back(stage: Stage) -> None:
    a, b, c = await stage.reports(*(stage.ids.next() for _ in range(3)))
    first = (await events.claim_bound(stage.database, stage.account_id, "report", 2)).events
    assert [e.id for e in first] == [a, b]
    assert first[0].code == "DELIVRD"
    assert await stage.claim() == [c], "what is claimed is nobody else's"
    assert await events.ack_bound(stage.database, stage.account_id, [a]) == 1
    assert await events.ack_bound(stage.database, stage.account_id, [a]) == 0
    assert await events.return_bound(stage.database, stage.account_id, [b]) == 1
    again = (await events.claim_bound(stage.database, stage.account_id, "report", 10)).events
    assert [(e.id, e.tries) for e in again] == [(b, 0)], "a lost connection is no failed try"
    await events.return_bound(stage.database, stage.account_id, [b], delay_s=30, problem="0x14")
    assert await stage.claim() == [], "it has to wait"
    await events.return_bound(stage.database, stage.account_id, [b], problem="0x14")
    claimed = await events.claim_bound(stage.database, stage.account_id, "report", 9)
    assert [e.tries for e in claimed.events] == [2]


async def test_a_claim_that_is_forgotten_lapses(stage: Stage) -> None:
    (a,) = await stage.reports(stage.ids.next())
    assert await stage.claim(lease_s=4) == [a]
    assert await stage.claim() == []
    await asyncio.sleep(4.05)  # the database's own clock decides
    assert await stage.claim() == [a]


async def test_a_second_report_of_a_message_waits_for_the_first(stage: Stage) -> None:
    message = stage.ids.next()
    first, second, other = await stage.reports(message, message, stage.ids.next())
    assert await stage.claim(1) == [first]
    assert await stage.claim() == [other]
    await events.return_bound(stage.database, stage.account_id, [first], delay_s=30, problem="busy")
    assert await stage.claim() == [], "nor while the first has to be tried again"
    await events.ack_bound(stage.database, stage.account_id, [first])
    assert await stage.claim() == [second]


async def test_many_connections_claim_without_overlap(stage: Stage) -> None:
    made = await stage.reports(*(stage.ids.next() for _ in range(60)))
    taken: list[int] = []

    async def connection() -> None:
        while got := await stage.claim(4):
            taken.extend(got)

    await asyncio.gather(*(connection() for _ in range(6)))
    assert sorted(taken) == made


async def test_only_the_accounts_own_events(stage: Stage) -> None:
    other = await accounts.add(by_test(stage.database), "other")
    (theirs,) = await stage.reports(stage.ids.next(), account_id=other)
    assert await stage.claim() == []
    assert await events.ack_bound(stage.database, stage.account_id, [theirs]) == 0
    assert await events.return_bound(stage.database, stage.account_id, [theirs]) == 0


async def test_each_way_takes_what_is_its_own(stage: Stage) -> None:
    a, b = await stage.reports(stage.ids.next(), stage.ids.next())
    await stage.database.execute("UPDATE customer_event SET way = 'pull' WHERE id = $1", b)
    assert await stage.claim() == [a], "b was put down for pulling"
    assert (await stage.pull(primary=False))[1] == [b]
    await events.return_bound(stage.database, stage.account_id, [a])
    assert await stage.claim(primary=False) == []
    batch, got = await stage.pull(primary=True, lease_s=0)
    assert got == [a]
    assert await events.ack_events(stage.database, stage.account_id, ["report"], batch or 0, test=True) == 0
    assert await events.ack_events(stage.database, stage.account_id, ["report"], batch or 0) == 1


async def test_who_rehearses_pulls_what_is_real_and_what_is_not(stage: Stage) -> None:
    real, rehearsed = await stage.reports(stage.ids.next(), stage.ids.next())
    await stage.database.execute("UPDATE customer_event SET test = true WHERE id = $1", rehearsed)
    batch, items, _ = await stage.take("report", False, True)
    assert {int(str(i["event_id"])) for i in items} == {real, rehearsed}
    assert await events.ack_events(stage.database, stage.account_id, ["report"], batch, test=None) == 2


async def test_recorded_events_are_pulled_with_what_they_say(stage: Stage) -> None:
    await stage.record("balance.low", available=7, below=100)
    with pytest.raises(ValueError, match="no type"):
        await stage.record("message.report", available=7)
    batch, items, more = await stage.take(OTHERS)
    assert not more
    assert [(i["type"], i["available"], i["below"]) for i in items] == [("balance.low", 7, 100)]
    assert await events.ack_events(stage.database, stage.account_id, events.OTHER_KINDS, batch) == 1


async def test_what_a_pull_has_leased_before_it_failed_is_its_batch(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else would have it before that lease lapses."""
    first, *others = events.OTHER_KINDS
    await stage.record(first, available=7, below=100)
    known, real, failing = pulling.PullHeads(clock.now), events.pull_events, {first}

    async def away(database: Database, account_id: int, kind: str, *about: Any, **how: Any) -> Any:
        if kind in failing:
            raise Temporary("STORAGE_UNAVAILABLE")
        return await real(database, account_id, kind, *about, **how)

    monkeypatch.setattr(events, "pull_events", away)
    with pytest.raises(Temporary):
        await stage.take(OTHERS, known=known)
    failing.clear()
    failing.update(others)
    batch, items, more = await stage.take(OTHERS, known=known)
    assert ([i["type"] for i in items], more) == ([first], True)
    failing.clear()
    assert await stage.take(OTHERS, known=known) == (None, [], False)
    assert await events.ack_events(stage.database, stage.account_id, events.OTHER_KINDS, batch) == 1


async def test_the_way_is_set_and_followed(stage: Stage) -> None:
    sealer = Sealer(secrets.token_bytes(32))
    assert (await webhooks_store.load(stage.database, sealer)).account_way(stage.account_id) is Way.PULL
    await webhooks.edit_setting(by_test(stage.database), stage.account_id, way="bind", balance_below=50)
    hooks = await webhooks_store.load(stage.database, sealer)
    assert hooks.way(stage.account_id, "message.report") is Way.BIND
    assert hooks.way(stage.account_id, "balance.low") is Way.PULL, "a connection takes only messages"
    assert await webhook_queries.setting(stage.database, stage.account_id) == EventSetting("bind", 50)


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
