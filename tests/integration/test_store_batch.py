"""The group-commit writer against a real server: what is repeated, what is given up, and who hears of it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest
import pytest_asyncio
from dbproxy import DatabaseProxy

from smsgw import aio
from smsgw.core.errors import Refused, SmsgwError, Temporary
from smsgw.store import batch
from smsgw.store.batch import Batcher
from smsgw.store.db import Connection

Writer = Batcher[int, "int | SmsgwError"]


class Book:
    """A commit function that writes numbers into a table, and can be told to misbehave."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[int], bool]] = []
        self.before: Callable[[Connection], object] | None = None
        self.after: Callable[[Connection], object] | None = None

    async def commit(self, connection: Connection, items: list[int], again: bool) -> list[int | SmsgwError]:
        self.calls.append((items, again))
        if self.before is not None:
            await self.before(connection)  # type: ignore[misc]
        await connection.executemany(
            "INSERT INTO book VALUES ($1) ON CONFLICT DO NOTHING", [(n,) for n in items if n != 13]
        )
        if self.after is not None:
            await self.after(connection)  # type: ignore[misc]
        return [Refused("ACCOUNT_STOPPED") if n == 13 else n * 2 for n in items]


@pytest_asyncio.fixture
async def side(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection beside the writer's, and the table."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE book (n int PRIMARY KEY)")
    yield connection
    await connection.close()


async def writer_pid(side: asyncpg.Connection) -> int:
    """The backend of the only other connection."""
    pid: int = await side.fetchval(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    return pid


async def test_items_of_one_turn_share_a_commit_and_each_hears_its_own_result(
    dsn: str, side: asyncpg.Connection
) -> None:
    book = Book()
    writer: Writer = Batcher("test", dsn, book.commit)
    await writer.start()
    results = await asyncio.gather(*(writer.put(n) for n in (1, 13, 3)), return_exceptions=True)
    assert results[0] == 2
    assert results[2] == 6
    assert isinstance(results[1], Refused)
    assert len(book.calls) == 1
    assert await side.fetchval("SELECT count(*) FROM book") == 2
    await writer.stop()


async def test_a_commit_whose_outcome_is_lost_is_repeated_as_such(dsn: str, side: asyncpg.Connection) -> None:
    book = Book()

    async def die(connection: Connection) -> None:
        book.after = None
        await side.execute("SELECT pg_terminate_backend($1)", await writer_pid(side))

    book.after = die
    writer: Writer = Batcher("test", dsn, book.commit)
    await writer.start()
    assert await asyncio.gather(writer.put(1), writer.put(2)) == [2, 4]
    assert book.calls == [([1, 2], False), ([1, 2], True)]
    assert writer.outage == 0.0
    await writer.stop()


async def test_an_argument_that_cannot_be_encoded_fails_alone_and_is_no_outage(
    dsn: str, side: asyncpg.Connection
) -> None:
    book = Book()
    writer: Writer = Batcher("test", dsn, book.commit)
    await writer.start()
    results = await asyncio.wait_for(
        asyncio.gather(writer.put(1), writer.put(2**40), writer.put(3), return_exceptions=True), 10
    )
    assert results[0] == 2
    assert isinstance(results[1], asyncpg.DataError)
    assert results[2] == 6
    assert sorted(r["n"] for r in await side.fetch("SELECT n FROM book")) == [1, 3]
    assert await writer.put(4) == 8
    await writer.stop()


async def test_a_neighbour_of_a_bad_item_still_knows_that_it_is_repeated(
    dsn: str, side: asyncpg.Connection
) -> None:
    book = Book()

    async def die(connection: Connection) -> None:
        book.before = None
        await side.execute("SELECT pg_terminate_backend($1)", await writer_pid(side))

    book.before = die
    writer: Writer = Batcher("test", dsn, book.commit)
    await writer.start()
    results = await asyncio.gather(writer.put(1), writer.put(2**40), return_exceptions=True)
    assert results[0] == 2
    assert book.calls[-2:] == [([1], True), ([2**40], True)]
    await writer.stop()


async def test_conflicts_are_tried_again(dsn: str, side: asyncpg.Connection) -> None:
    book = Book()

    async def deadlock(connection: Connection) -> None:
        book.after = None
        await connection.execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$")

    book.after = deadlock
    writer: Writer = Batcher("test", dsn, book.commit)
    await writer.start()
    assert await writer.put(1) == 2
    assert book.calls == [([1], False), ([1], False)]
    await writer.stop()


async def test_a_frozen_server_is_waited_for_no_longer_than_agreed(
    dsn: str, side: asyncpg.Connection
) -> None:
    book = Book()
    frozen: list[int] = []

    async def freeze(connection: Connection) -> None:
        book.before = None
        frozen.append(await writer_pid(side))
        os.kill(frozen[0], signal.SIGSTOP)

    book.before = freeze
    writer: Writer = Batcher("test", dsn, book.commit, give_up_after=0.5)
    await writer.start()
    try:
        start = asyncio.get_running_loop().time()
        with pytest.raises(Temporary) as caught:
            await writer.put(1)
        assert asyncio.get_running_loop().time() - start < 3
        assert caught.value.code == "STORAGE_UNAVAILABLE"
    finally:
        os.kill(frozen[0], signal.SIGCONT)
    assert await writer.put(2) == 4
    assert writer.outage == 0.0
    await writer.stop()


async def test_facts_are_kept_through_an_outage(dsn: str, side: asyncpg.Connection) -> None:
    book = Book()
    failures = 3

    async def refuse(connection: Connection) -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            await connection.execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '25006'; END $$")

    book.before = refuse
    writer: Writer = Batcher("test", dsn, book.commit)
    await writer.start()
    assert await writer.put(1) == 2
    assert [again for _, again in book.calls] == [False, True, True, True]
    await writer.stop()


async def test_a_full_queue_refuses_and_a_writer_of_facts_never_does(
    dsn: str, side: asyncpg.Connection
) -> None:
    book = Book()
    writer: Writer = Batcher("test", dsn, book.commit, give_up_after=3.0, limit=2)
    await writer.start()
    first = [writer.submit(1), writer.submit(2)]
    with pytest.raises(Temporary) as caught:
        writer.submit(3)
    assert caught.value.code == "BACKPRESSURE"
    await asyncio.gather(*first)
    await writer.drain()
    await asyncio.sleep(0)
    assert writer.waiting == 0
    assert await writer.put(3) == 6
    await writer.stop()

    patient: Writer = Batcher("test", dsn, book.commit, limit=1)
    await patient.start()
    futures = [patient.submit(n) for n in (10, 11, 12)]
    assert patient.full
    assert await asyncio.gather(*futures) == [20, 22, 24]
    await patient.stop()


async def test_drain_does_not_wait_for_what_comes_later(dsn: str, side: asyncpg.Connection) -> None:
    book = Book()
    writer: Writer = Batcher("test", dsn, book.commit)
    await writer.start()
    busy = True

    async def load() -> None:
        while busy:
            await asyncio.gather(writer.put(1), writer.put(2))

    loads = [aio.spawn(load(), name="load") for _ in range(4)]
    for _ in range(3):
        await asyncio.wait_for(writer.drain(), 5)
    busy = False
    await asyncio.gather(*loads)
    await writer.stop()


async def test_no_caller_is_left_waiting_when_the_writer_is_stopped_in_the_middle(
    dsn: str, side: asyncpg.Connection
) -> None:
    book = Book()

    stalled = asyncio.Event()

    async def stall(connection: Connection) -> None:
        stalled.set()
        await connection.execute("SELECT pg_sleep(5)")

    book.before = stall
    writer: Writer = Batcher("test", dsn, book.commit, max_batch=1)
    await writer.start()
    waiting = [aio.spawn(writer.put(n), name="put") for n in (1, 2)]
    await asyncio.wait_for(stalled.wait(), 5)
    await writer.stop(timeout=0.1)
    results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 1)
    assert [type(r) for r in results] == [Temporary, Temporary]


async def test_a_bell_that_breaks_does_not_end_the_writer(dsn: str, side: asyncpg.Connection) -> None:
    book = Book()

    def ring() -> None:
        raise RuntimeError("broken bell")

    writer: Writer = Batcher("test", dsn, book.commit, after_commit=ring)
    await writer.start()
    assert await writer.put(1) == 2
    assert await writer.put(2) == 4
    await writer.stop()


async def test_a_loop_that_stands_still_is_no_outage(dsn: str, side: asyncpg.Connection) -> None:
    book = Book()
    writer: Writer = Batcher("test", dsn, book.commit, give_up_after=0.5)

    async def stall(_: Connection) -> None:
        asyncio.get_running_loop().call_later(0.05, time.sleep, 1.0)
        await side.fetchval("SELECT pg_sleep(0.2)")

    await writer.start()
    assert await writer.put(1) == 2
    book.before = stall
    assert await writer.put(2) == 4
    assert [again for _, again in book.calls] == [False, False]
    await writer.stop()


async def test_who_waits_behind_a_batch_that_is_given_up_hears_of_it_with_it(
    dsn: str, side: asyncpg.Connection
) -> None:
    book = Book()
    async with DatabaseProxy(dsn) as proxy:
        writer: Writer = Batcher(
            "test", proxy.dsn, book.commit, max_batch=1, give_up_after=0.5,
            patience=lambda n: 60.0 if n > 9 else 0.5,
        )  # fmt: skip
        await writer.start()
        with proxy.frozen():
            began = time.monotonic()
            waiting = [aio.spawn(writer.put(n), name="put") for n in (1, 2, 10, 3)]
            await asyncio.wait([w for w in waiting if w is not waiting[2]], timeout=5)
            assert time.monotonic() - began < 1.0
            assert [isinstance(w.exception(), Temporary) for w in waiting if w.done()] == [True] * 3
        assert await asyncio.wait_for(waiting[2], 15) == 20
        assert writer.waiting == 0
        await writer.stop()


async def test_a_server_that_is_slower_than_patience_commits_facts_nevertheless(
    dsn: str, side: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "COMMIT_TIMEOUT", 0.2)
    book = Book()
    async with DatabaseProxy(dsn) as proxy:
        writer: Writer = Batcher("test", proxy.dsn, book.commit)
        await writer.start()
        proxy.latency = 0.15
        assert await asyncio.wait_for(writer.put(1), 15) == 2
        await writer.stop()
