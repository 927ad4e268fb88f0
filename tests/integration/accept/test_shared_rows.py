"""Acceptances on their way into the ledger: large beside small, and rows that all of an account change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio
from ledger import BALANCE, Ledger

from smsgw.core.errors import SmsgwError
from smsgw.core.states import PartState
from smsgw.pipeline.accept.entering import LARGE, Entering
from smsgw.runtime import aio
from smsgw.store.engine.database import Connection
from smsgw.store.engine.group_commit import Batcher
from smsgw.store.messages import credit, outcomes
from smsgw.store.messages.calls import NewCall, Stored

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
    """Blocks of the tables that the ledger's connection has looked at by now."""
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
    return NewCall(account, 1, [], [()] * parts, parts, (), b"", guards=guards)


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
