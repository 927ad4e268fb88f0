"""What accepting a message reads and writes in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest_asyncio
from call_rows import part_row
from databases import admin
from ledger import BALANCE, LANE, NODE, POOL, Ledger, carrier_id
from ledger_costs import AT_ONCE, Idle, Meter, each, live

from smsgw.core.errors import SmsgwError
from smsgw.core.frequency import Watch, scope_of, seconds_of
from smsgw.core.ids import first_id
from smsgw.core.model import MessageType, Outcome, OutcomeKind
from smsgw.core.policy import Rate
from smsgw.core.states import PartState
from smsgw.pipeline.accept.entering import LARGE, Entering
from smsgw.runtime import aio
from smsgw.store.engine import partitions
from smsgw.store.engine.database import Connection
from smsgw.store.engine.group_commit import Batcher
from smsgw.store.messages import claiming, credit, outcomes, reattempt, sweeps
from smsgw.store.messages.accepting import commit_calls
from smsgw.store.messages.calls import Fence, NewCall, Stored

MOST = {"accept": 1040, "claim": 455, "answer": 475, "report": 1065}
"""Octets of a message of a batch of 500, by stage: what is measured, and some for pages that split. An entry in one
more index is 64 at least."""
MOST_AT_ONCE = 1125
"""Of a message that a channel takes as it is accepted, in a batch of 25: less than both stages apart."""
ROUNDS = 5
N = 1000


async def test_a_message_writes_no_more_than_it_did(ledger: Ledger) -> None:
    """In the best of some rounds: what the server does of itself meanwhile comes on top."""
    await ledger.change("DROP TRIGGER watch ON part")  # a trigger before an update locks the row: that is written, too
    await partitions.ensure(ledger.connection, await ledger.connection.fetchval(partitions.TODAY))
    beside = await asyncpg.connect(admin(ledger.dsn))
    rounds = []
    try:
        for _ in range(ROUNDS):
            meter = Meter(beside)
            await live(ledger, meter, batch=500, batches=N // 500)
            rounds.append(each(meter.costs, N))
    finally:
        await beside.close()
    least = {name: min(told[name][0] for told in rounds) for name in MOST}
    assert {name: wal for name, wal in least.items() if wal > MOST[name]} == {}
    assert min(least.values()) > 300, "nothing is measured"
    assert await ledger.connection.fetchval("SELECT count(*) FROM part WHERE state = 40") == ROUNDS * N


async def test_a_message_that_is_claimed_as_it_is_accepted_writes_less(ledger: Ledger) -> None:
    """And leaves no dead row behind for it."""
    await ledger.change("DROP TRIGGER watch ON part")
    await partitions.ensure(ledger.connection, await ledger.connection.fetchval(partitions.TODAY))
    beside = await asyncpg.connect(admin(ledger.dsn))
    least: dict[bool, float] = {}
    try:
        for _ in range(ROUNDS):
            for at_once in (False, True):
                meter = Meter(beside)
                await live(ledger, meter, batch=25, batches=4, at_once=at_once)
                told = each(meter.costs, 100)
                wal = told[AT_ONCE][0] if at_once else told["accept"][0] + told["claim"][0]
                least[at_once] = min(wal, least.get(at_once, wal))
    finally:
        await beside.close()
    assert 300 < least[True] < MOST_AT_ONCE
    assert least[True] < least[False] - 350


class Spy:
    """A connection that notes each way to the server."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.ways: list[str] = []

    async def fetch(self, sql: str, *args: Any, **named: Any) -> Any:
        self.ways.append(sql)
        return await self._connection.fetch(sql, *args, **named)

    async def execute(self, sql: str, *args: Any, **named: Any) -> Any:
        self.ways.append(sql)
        return await self._connection.execute(sql, *args, **named)


def watched(ledger: Ledger, number: int) -> NewCall:
    """A call with a message that counts against its number: one is allowed."""
    call = ledger.call()
    scope = scope_of(call.account_id, MessageType.NOTICE, "")
    return replace(call, watches=(Watch(0, number, seconds_of(ledger.clock), scope, 1, (Rate(1, 3600),), 0, 0),))


def without(call: NewCall, reasons: Any) -> NewCall:
    """The call when its message is one too many."""
    return replace(call, messages=[], parts=[], watches=(), units=0)


async def accept(ledger: Ledger, *calls: NewCall) -> tuple[list[Any], list[str]]:
    spy: Any = Spy(ledger.connection)
    async with ledger.connection.transaction():
        results = await commit_calls(spy, list(calls), False, node=NODE, revise=without)
    return results, spy.ways


async def test_single_messages_whose_numbers_are_counted_go_to_the_server_three_times(ledger: Ledger) -> None:
    results, ways = await accept(ledger, *(watched(ledger, 8613900000000 + n) for n in range(20)))
    assert all(isinstance(one, Stored) and one.revised is None for one in results)
    assert len(ways) == 3, [way.split("(")[0] for way in ways]
    again, _ = await accept(ledger, watched(ledger, 8613900000007))
    assert again[0].revised is not None, "what is read with the lock of the accounts is what counts"


async def test_messages_that_are_not_counted_go_to_the_server_twice(ledger: Ledger) -> None:
    _, ways = await accept(ledger, *(ledger.call() for _ in range(20)))
    assert len(ways) == 2, [way.split("(")[0] for way in ways]


async def test_messages_that_a_channel_takes_at_once_go_to_the_server_no_more_often(ledger: Ledger) -> None:
    await ledger.fence()
    lease = ledger.leases["a"]
    idle: Any = Idle(Fence(lease.resource, NODE, lease.epoch, ledger.channels["a"]))
    calls = [ledger.call() for _ in range(20)]
    spy: Any = Spy(ledger.connection)
    async with ledger.connection.transaction():
        results = await commit_calls(spy, calls, False, node=NODE, entrances=idle)
    assert [one.waits for one in results if isinstance(one, Stored)] == [False] * 20
    assert len(spy.ways) == 2, [way.split("(")[0] for way in spy.ways]
    assert [await ledger.state(call.batch_id) for call in calls] == [PartState.SENDING] * 20


BEFORE = range(20, 25)
"""How many days ago: nothing of them is open any more."""

_LOCKED = """
SELECT relation::regclass::text AS name FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'
"""


async def test_neither_a_plan_nor_its_run_looks_at_days_that_are_over(ledger: Ledger) -> None:
    """What is done for each message (claims, answers, reports) looks at no days to come, either."""
    connection, now = ledger.connection, datetime.now(UTC)
    today = await connection.fetchval(partitions.TODAY)
    days = [today - timedelta(days=ago) for ago in BEFORE]
    for table in ("message", "part", "attempt"):
        for day in (today, *days):
            await connection.execute("SELECT partition_make($1, $2)", table, day)
    id_, fence = await ledger.accept(), await ledger.fence()
    oldest, newest = first_id(now - timedelta(days=7)), ledger.ids.newest(now)
    patience = outcomes.Patience(timedelta(days=3), timedelta(minutes=3), timedelta(minutes=5))
    async with connection.transaction():
        (claimed,) = await claiming.claim(
            connection, fence, limit=10, queues=[(POOL, LANE)], oldest=oldest, newest=newest
        )
        outcome = Outcome(id_, 1, claimed.attempt, OutcomeKind.ACCEPTED, carrier_id=carrier_id(claimed))
        answer = outcomes.Answer(outcome, now, now + timedelta(days=3))
        taken, _ = await outcomes.commit_answers(connection, [answer], outcomes.Tally(), patience)
        assert [row["state"] for row in taken] == [PartState.SENT]
        changed, unmatched = await outcomes.match_reports(
            connection, [ledger.report(claimed)], outcomes.Tally(), recent=oldest, newest=newest,
            oldest=first_id(now - timedelta(days=17)),
        )  # fmt: skip
        assert [row["state"] for row in changed] == [PartState.DELIVERED]
        assert not unmatched
        locked = {row["name"] for row in await connection.fetch(_LOCKED)}
    assert partitions.name("part", today) in locked
    ahead = [partitions.name(table, today + timedelta(days=n)) for table in ("part", "message") for n in range(2, 9)]
    assert await connection.fetchval("SELECT count(*) FROM pg_class WHERE relname = ANY($1)", ahead) > 4
    assert not locked & set(ahead)
    async with connection.transaction():
        await ledger.store(replace(ledger.call(), callback_url="https://customer.example/"), again=True)
        await claiming.claim_deferred(connection, fence, now=now, limit=10, oldest=oldest)
        await reattempt.parts_of_answers(connection, [outcome])
        await outcomes.report(connection, {id_: changed}, ledger.ids.next, {ledger.account_id})
        assert not await sweeps.end_report_wait(connection, now, oldest)
        locked |= {row["name"] for row in await connection.fetch(_LOCKED)}
    over = [f"{day:%Y%m%d}" for day in days]
    assert not {name for name in locked if any(day in name for day in over)}


SHARED = ("account", "usage_day", "quota_used")
_AGE = """
DO $$ BEGIN
    FOR n IN 1..4000 LOOP
        UPDATE account SET balance = balance WHERE id = ACCOUNT;
        UPDATE usage_day SET units = units WHERE account_id = ACCOUNT;
        UPDATE quota_used SET parts = parts WHERE account_id = ACCOUNT;
    END LOOP;
END $$
"""
_READ = """
SELECT relname, heap_blks_read + heap_blks_hit AS blocks FROM pg_statio_user_tables WHERE relname = ANY($1::text[])
"""
_PAGES = """
SELECT relname, pg_relation_size(oid) / 8192 AS pages FROM pg_class WHERE relname = ANY($1::text[])
"""


@pytest_asyncio.fixture
async def kept(ledger: Ledger) -> AsyncIterator[Ledger]:
    """A ledger whose account has had many acceptances since somebody began to keep a snapshot."""
    await ledger.accept()
    keeper = await asyncpg.connect(ledger.dsn)
    try:
        async with keeper.transaction(isolation="repeatable_read", readonly=True):
            await keeper.fetchval("SELECT count(*) FROM account")
            await ledger.change(_AGE.replace("ACCOUNT", str(ledger.account_id)))
            await ledger.change(*(f"VACUUM ANALYZE {table}" for table in SHARED))
            yield ledger
    finally:
        await keeper.close()


async def read(ledger: Ledger) -> dict[str, int]:
    await ledger.connection.execute("SELECT pg_stat_force_next_flush()")
    await ledger.connection.execute("SELECT pg_stat_clear_snapshot()")
    return {row["relname"]: row["blocks"] for row in await ledger.connection.fetch(_READ, list(SHARED))}


async def test_acceptances_and_refunds_meet_the_newest_first_and_book_what_is_right(kept: Ledger) -> None:
    await kept.accept()  # plans are made
    pages = {row["relname"]: row["pages"] for row in await kept.connection.fetch(_PAGES, list(SHARED))}
    assert all(n >= 20 for n in pages.values()), "the versions are there"
    before = await read(kept)
    await kept.accept()
    after = await read(kept)
    met = {table: after[table] - before[table] for table in SHARED}
    assert all(0 < n <= 10 for n in met.values()), met
    for parts in (3, 5):
        await kept.accept(parts=parts)
    rows = await kept.connection.fetch("SELECT messages, parts, units FROM usage_day")
    assert [tuple(row) for row in rows] == [(5, 11, 11)]
    assert await kept.connection.fetchval("SELECT sum(parts) FROM quota_used") == 11
    assert await kept.balance() == BALANCE - 11
    id_ = await kept.accept(parts=2)
    rejected = [{"id": id_, "state": PartState.REJECTED}]
    for measured in (False, True):
        before = await read(kept)
        trying = kept.connection.transaction()
        await trying.start()
        await outcomes.refund(kept.connection, rejected)  # type: ignore[arg-type]
        (balance,) = await kept.connection.fetchrow("SELECT balance FROM ledger WHERE id = $1 AND units = 1", id_)
        assert balance == BALANCE - 11 - 2 + 1
        await trying.rollback()
        met = await read(kept)
        if measured:
            assert all(0 < met[table] - before[table] <= 20 for table in SHARED[:2]), (before, met)


async def test_use_and_quota_that_others_change_at_once_are_added_to_as_well(ledger: Ledger) -> None:
    """Who changes them without the account's lock, as for one below it, is waited for, and nothing is lost."""
    await ledger.accept()
    other = await asyncpg.connect(ledger.dsn)
    try:
        async with other.transaction():
            await other.execute("UPDATE usage_day SET messages = messages + 10")
            await other.execute("UPDATE quota_used SET parts = parts + 10")
            accepting = aio.spawn(ledger.accept(), name="accepting")
            await asyncio.sleep(0.3)
            assert not accepting.done()
        await asyncio.wait_for(accepting, 10)
    finally:
        await other.close()
    assert await ledger.connection.fetchval("SELECT messages FROM usage_day") == 12
    assert await ledger.connection.fetchval("SELECT parts FROM quota_used") == 12


async def test_an_account_that_is_not_there_locks_no_other(ledger: Ledger) -> None:
    """What is looked for from above meets the account below it, and that is not meant."""
    found = await ledger.connection.fetch(credit.LOCK, [ledger.account_id, ledger.account_id + 1])
    assert [row["id"] for row in found] == [ledger.account_id]


def call(account: int, parts: int, guards: tuple[int, ...] = ()) -> NewCall:
    return NewCall(account, 1, [], [part_row()] * parts, parts, (), b"", guards=guards)


class Writes:
    """Writes calls that are held back as long as the test says; in which order they were written."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.written: list[tuple[int, int]] = []

    async def commit(self, connection: Connection, calls: list[NewCall], again: bool) -> list[Stored | SmsgwError]:
        await connection.execute("SELECT 1")
        if any(len(one.parts) >= LARGE for one in calls):
            await self.free.wait()
        self.written += [(one.account_id, len(one.parts)) for one in calls]
        return [Stored(one.batch_id) for one in calls]


@pytest_asyncio.fixture
async def writes() -> Writes:
    return Writes()


@pytest_asyncio.fixture
async def entering(dsn: str, writes: Writes) -> AsyncIterator[Entering]:
    made = Entering(
        lambda: Batcher("accept", dsn, writes.commit, weigh=lambda one: max(1, len(one.parts)), max_batch=2000),
        lambda one: max(1, len(one.parts)),
    )
    await made.start()
    yield made
    await made.stop()


async def test_small_calls_do_not_wait_for_a_large_one_of_another_account(entering: Entering, writes: Writes) -> None:
    large = entering.submit(call(1, LARGE, guards=(1, 7)))
    own = entering.submit(call(1, 1))
    kin = entering.submit(call(3, 1, guards=(7,)))
    async with asyncio.timeout(10):
        await asyncio.gather(*(entering.put(call(2, 1)) for _ in range(20)))
    assert not large.done()
    assert not own.done(), "it would wait for the account's row, and everybody with it"
    assert not kin.done(), "as would this one, for the row of the account above both"
    assert entering.waiting == LARGE + 2
    writes.free.set()
    async with asyncio.timeout(10):
        await asyncio.gather(large, own, kin)
        await entering.put(call(1, 2))
    assert writes.written == [(2, 1)] * 20 + [(1, LARGE), (1, 1), (3, 1), (1, 2)]
    assert entering.waiting == 0
