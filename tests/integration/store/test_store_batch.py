"""The group-commit writer against a real server: what is repeated, what is given up, and who hears of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio
from databases import admin, change, no_standby
from dbproxy import DatabaseProxy

from smsgw.core.errors import Refused, SmsgwError, Temporary
from smsgw.runtime import aio
from smsgw.store.engine import group_commit
from smsgw.store.engine.database import Connection
from smsgw.store.engine.database_roles import APPLICATION
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.group_commit import Batcher

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
    await change(dsn, "CREATE TABLE book (n int PRIMARY KEY)", f"GRANT ALL ON book TO {APPLICATION}")
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


class Wire:
    """Between the writer and the server: passes everything on, until it is to lose a COMMIT, or the answer to one."""

    COMMIT = b"Q\x00\x00\x00\x0cCOMMIT;\x00"

    def __init__(self, dsn: str) -> None:
        address = urlsplit(dsn)
        query = dict(parse_qsl(address.query))
        self._server = f"{query['host']}/.s.PGSQL.{query.get('port', 5432)}"
        self._folder = Path(tempfile.mkdtemp(prefix="wire"))
        query |= {"host": str(self._folder), "port": "5432"}
        self.dsn = urlunsplit(address._replace(query=urlencode(query)))
        self.lose = ""
        """``request`` or ``answer``, once."""
        self._listener: asyncio.Server | None = None

    async def __aenter__(self) -> Wire:
        self._listener = await asyncio.start_unix_server(self._serve, self._folder / ".s.PGSQL.5432")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        self._listener.close()
        shutil.rmtree(self._folder)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, out = await asyncio.open_unix_connection(self._server)
        lost = asyncio.Event()

        async def answers() -> None:
            while data := await back.read(1 << 16):
                if lost.is_set():
                    break  # the server has said what became of it; nobody hears
                writer.write(data)

        answering = aio.spawn(answers(), name="wire")
        while data := await reader.read(1 << 16):
            if self.COMMIT in data and self.lose:
                what, self.lose = self.lose, ""
                lost.set()
                if what == "request":
                    break
                out.write(data)
                await asyncio.wait_for(answering, 30)
                break
            out.write(data)
        out.close()
        await aio.cancel(answering)
        writer.transport.abort()


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_a_commit_whose_outcome_is_lost_is_repeated_as_such(
    dsn: str, side: asyncpg.Connection, lost: str
) -> None:
    """It did not reach the server, or it did and the answer was lost: the writer cannot tell."""
    book = Book()
    there: list[int] = []

    async def look(connection: Connection) -> None:
        there.append(await side.fetchval("SELECT count(*) FROM book"))

    book.before = look
    async with Wire(dsn) as wire:
        writer: Writer = Batcher("test", wire.dsn, book.commit)
        await writer.start()
        wire.lose = lost
        assert await asyncio.gather(writer.put(1), writer.put(2)) == [2, 4]
        assert book.calls == [([1, 2], False), ([1, 2], True)]
        assert there == ([0, 2] if lost == "answer" else [0, 0])
        assert await side.fetchval("SELECT count(*) FROM book") == 2
        assert writer.outage == 0.0
        await writer.stop()


async def test_a_connection_that_is_lost_in_the_middle_of_a_transaction(
    dsn: str, side: asyncpg.Connection
) -> None:
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
    writer: Writer = Batcher("test", dsn, book.commit, give_up_after=30.0, limit=2)
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
        await asyncio.wait_for(writer.drain(), 30)
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
    await asyncio.wait_for(stalled.wait(), 30)
    await writer.stop(timeout=0.1)
    results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 40)
    assert [type(r) for r in results] == [Temporary, Temporary]


async def test_a_bell_that_breaks_does_not_end_the_writer(dsn: str, side: asyncpg.Connection) -> None:
    book = Book()

    def ring() -> None:
        raise RuntimeError("broken hub")

    writer: Writer = Batcher("test", dsn, book.commit, after_commit=ring)
    await writer.start()
    assert await writer.put(1) == 2
    assert await writer.put(2) == 4
    await writer.stop()


# --- facts ------------------------------------------------------------------------------------------------------------


class Shelf:
    """Where the writer of these tests lays numbers aside; odd ones above 1000 are no facts."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, str]] = []
        self.closed = False

    def keeps(self, item: int) -> bool:
        return item < 1000

    async def park(self, connection: Connection, item: int, error: str) -> int:
        if self.closed:
            await connection.execute("SELECT 1 / 0")
        self.kept.append((item, error))
        return -1


def poison(*numbers: int, code: str) -> Callable[[Connection, list[int]], object]:
    """Batches that have one of these fail with an SQLSTATE."""

    async def fail(connection: Connection, items: list[int]) -> None:
        if set(items) & set(numbers):
            await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$")

    return fail


class Facts(Book):
    """Knows what it is asked to write."""

    def __init__(self, fail: Callable[[Connection, list[int]], object] | None = None) -> None:
        super().__init__()
        self.fail = fail

    async def commit(self, connection: Connection, items: list[int], again: bool) -> list[int | SmsgwError]:
        if self.fail is not None:
            await self.fail(connection, items)  # type: ignore[misc]
        return await super().commit(connection, items, again)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes two minutes takes a second."""
    monkeypatch.setattr(group_commit, "RETRY_MOST", 0.02)


@pytest.mark.parametrize("code", ["55P03", "XX000", "0A000", "42P01", "P0001", "57014", "40P01", "23505"])
async def test_no_error_of_the_moment_costs_a_fact(
    dsn: str, side: asyncpg.Connection, hurried: None, code: str
) -> None:
    """Also one that a lonely fact meets several times."""
    left = 4

    async def fail(connection: Connection, items: list[int]) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            await poison(1, code=code)(connection, items)  # type: ignore[misc]

    shelf = Shelf()
    writer: Writer = Batcher("test", dsn, Facts(fail).commit, parking=shelf)
    await writer.start()
    assert await asyncio.wait_for(writer.put(1), 60) == 2
    assert shelf.kept == []
    await writer.stop()


async def test_what_a_connection_remembers_goes_with_it(dsn: str, side: asyncpg.Connection) -> None:
    """A cached statement of a table that has changed under way: on a fresh connection it is a statement again."""
    await change(dsn, "CREATE TABLE shape (a int)", f"GRANT ALL ON shape TO {APPLICATION}")
    book = Book()

    async def look(connection: Connection) -> None:
        await connection.fetch("SELECT * FROM shape")

    book.before = look
    writer: Writer = Batcher("test", dsn, book.commit, parking=Shelf())
    await writer.start()
    assert await writer.put(1) == 2
    await change(dsn, "ALTER TABLE shape ADD COLUMN b text")
    assert await asyncio.gather(*(writer.put(n) for n in (2, 3))) == [4, 6]
    assert len(book.calls) == 3
    await writer.stop()


@pytest.mark.parametrize(
    ("code", "name"), [("22P02", "InvalidTextRepresentationError"), ("XX000", "InternalServerError")]
)
async def test_a_fact_that_is_refused_is_laid_aside_and_its_neighbours_are_committed(
    dsn: str, side: asyncpg.Connection, hurried: None, code: str, name: str
) -> None:
    shelf = Shelf()
    book = Facts(poison(77, 200, code=code))
    writer: Writer = Batcher("test", dsn, book.commit, parking=shelf)
    await writer.start()
    facts = {n: writer.submit(n) for n in range(20, 320)}
    others = [future for n, future in facts.items() if n not in (77, 200)]
    await asyncio.wait_for(asyncio.gather(*others), 40)
    n = 400
    while not (facts[77].done() and facts[200].done()):  # others succeed while these do not
        await asyncio.wait_for(writer.put(n), 40)
        n += 1
        assert n < 2000
    assert (facts[77].result(), facts[200].result()) == (-1, -1)
    assert sorted(shelf.kept) == [(77, f"{name} {code}"), (200, f"{name} {code}")]
    assert writer.parked == 2
    assert writer.waiting == 0
    tried = [items for items, _ in book.calls]
    assert len(tried) == n - 400 + len([items for items in tried if max(items) < 400])
    await writer.stop()


async def test_what_fails_while_nothing_else_succeeds_is_not_laid_aside(
    dsn: str, side: asyncpg.Connection, hurried: None
) -> None:
    """It is the database, not the fact."""
    shelf = Shelf()
    tries = 0
    broken = True

    async def fail(connection: Connection, items: list[int]) -> None:
        nonlocal tries
        tries += 1
        if broken:
            await connection.execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = 'XX000'; END $$")

    writer: Writer = Batcher("test", dsn, Facts(fail).commit, parking=shelf)
    await writer.start()
    facts = [writer.submit(n) for n in (1, 2, 3)]
    while tries < 6 * group_commit.FAILURES:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert shelf.kept == []
    broken = False
    assert await asyncio.wait_for(asyncio.gather(*facts), 40) == [2, 4, 6]
    await writer.stop()


async def test_nobody_drains_for_a_fact_that_is_tried_apart(
    dsn: str, side: asyncpg.Connection, hurried: None
) -> None:
    """Nothing else is committed while a start settles what was in flight: it would wait for ever."""
    writer: Writer = Batcher("test", dsn, Facts(poison(1, code="XX000")).commit, parking=Shelf())
    await writer.start()
    fact, other = writer.submit(1), writer.submit(2)
    await asyncio.wait_for(writer.drain(), 40)
    assert (fact.done(), other.result()) == (False, 4)
    await writer.stop(timeout=0.1)
    with pytest.raises(Temporary):
        await asyncio.wait_for(fact, 40)


async def test_a_fact_stays_with_its_writer_until_it_can_be_laid_aside(
    dsn: str, side: asyncpg.Connection, hurried: None
) -> None:
    shelf = Shelf()
    shelf.closed = True
    writer: Writer = Batcher("test", dsn, Facts(poison(1, code="22P02")).commit, parking=shelf)
    await writer.start()
    fact = writer.submit(1)
    assert await writer.put(2) == 4
    await asyncio.sleep(0.3)
    assert not fact.done()
    assert writer.waiting == 1
    shelf.closed = False
    assert await asyncio.wait_for(fact, 40) == -1
    await writer.stop()


async def test_what_is_no_fact_fails_at_its_caller_and_a_stop_leaves_nobody_waiting(
    dsn: str, side: asyncpg.Connection
) -> None:
    writer: Writer = Batcher("test", dsn, Facts(poison(1001, 5, code="XX000")).commit, parking=Shelf())
    await writer.start()
    with pytest.raises(asyncpg.InternalServerError):
        await asyncio.wait_for(writer.put(1001), 30)
    fact = writer.submit(5)
    assert await writer.put(6) == 12
    await writer.stop(timeout=0.1)
    with pytest.raises(Temporary):
        await asyncio.wait_for(fact, 40)


@pytest.mark.parametrize("code", ["40P01", "40001"])
async def test_every_third_batch_meets_a_conflict_and_nothing_is_lost(
    dsn: str, side: asyncpg.Connection, code: str
) -> None:
    """Raised by the server itself, from a trigger."""
    await change(
        dsn,
        f"""
        CREATE SEQUENCE batches;
        GRANT ALL ON SEQUENCE batches TO {APPLICATION};
        CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('batches') % 3 = 0 THEN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER conflict AFTER INSERT ON book FOR EACH STATEMENT EXECUTE FUNCTION conflict()
        """,
    )
    shelf = Shelf()
    writer: Writer = Batcher("test", dsn, Facts().commit, parking=shelf, max_batch=1)
    await writer.start()
    assert await asyncio.gather(*(writer.put(n) for n in range(100, 130))) == [2 * n for n in range(100, 130)]
    assert await side.fetchval("SELECT count(*) FROM book") == 30
    assert writer.conflicts == (await side.fetchval("SELECT last_value FROM batches")) // 3
    assert writer.conflicts >= 10
    assert shelf.kept == []
    await writer.stop()


async def test_a_fact_that_always_meets_a_conflict_does_not_hold_its_neighbours_up(
    dsn: str, side: asyncpg.Connection, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "CONFLICTS", 2)
    shelf = Shelf()
    writer: Writer = Batcher("test", dsn, Facts(poison(1, code="40P01")).commit, parking=shelf)
    await writer.start()
    fact = writer.submit(1)
    assert await asyncio.wait_for(asyncio.gather(*(writer.put(n) for n in (2, 3))), 40) == [4, 6]
    n = 100
    while not fact.done():
        await asyncio.wait_for(writer.put(n), 40)
        n += 1
    assert shelf.kept == [(1, "DeadlockDetectedError 40P01")]
    await writer.stop()


async def test_a_loop_that_stands_still_is_no_outage(dsn: str, side: asyncpg.Connection) -> None:
    book = Book()
    writer: Writer = Batcher("test", dsn, book.commit, give_up_after=2.0)

    async def stall(_: Connection) -> None:
        asyncio.get_running_loop().call_later(0.05, time.sleep, 3.0)
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
            "test", proxy.dsn, book.commit, max_batch=1, give_up_after=2.0,
            patience=lambda n: 60.0 if n > 9 else 2.0,
        )  # fmt: skip
        await writer.start()
        with proxy.frozen():
            began = time.monotonic()
            waiting = [aio.spawn(writer.put(n), name="put") for n in (1, 2, 10, 3)]
            await asyncio.wait([w for w in waiting if w is not waiting[2]], timeout=20)
            assert time.monotonic() - began < 5.5, "not one after the other"
            assert [isinstance(w.exception(), Temporary) for w in waiting if w.done()] == [True] * 3
        assert await asyncio.wait_for(waiting[2], 40) == 20
        assert writer.waiting == 0
        await writer.stop()


async def test_a_server_that_is_slower_than_patience_commits_facts_nevertheless(
    dsn: str, side: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "COMMIT_TIMEOUT", 0.2)
    book = Book()
    async with DatabaseProxy(dsn) as proxy:
        writer: Writer = Batcher("test", proxy.dsn, book.commit)
        await writer.start()
        proxy.latency = 0.15
        assert await asyncio.wait_for(writer.put(1), 40) == 2
        await writer.stop()


def patient(dsn: str, book: Book, seconds: float = 0.5) -> Writer:
    """A writer whose callers wait for so long, but for 30 s with numbers above 9."""
    return Batcher("test", dsn, book.commit, give_up_after=seconds, patience=lambda n: 30.0 if n > 9 else seconds)


async def fails_in_time(*waiting: asyncio.Future[int | SmsgwError]) -> None:
    """All of them are given up, long before the patience of the others is over."""
    done, _ = await asyncio.wait(waiting, timeout=10)
    assert len(done) == len(waiting), "they wait as long as the most patient"
    for future in waiting:
        assert isinstance(error := future.exception(), Temporary)
        assert error.code == "STORAGE_UNAVAILABLE"


async def test_nobody_waits_longer_because_another_one_in_his_batch_is_patient(
    dsn: str, side: asyncpg.Connection
) -> None:
    book = Book()
    async with DatabaseProxy(dsn) as proxy:
        writer = patient(proxy.dsn, book)
        await writer.start()
        with proxy.frozen():
            ahead, live = writer.submit(10), writer.submit(1)
            await asyncio.sleep(0.2)
            behind = writer.submit(2)
            await fails_in_time(live, behind)
            assert writer.waiting == 1
        assert await asyncio.wait_for(ahead, 40) == 20
        assert book.calls[-1] == ([10], True)
        assert writer.waiting == 0
        await writer.stop()


@pytest.mark.parametrize("cut", [False, True])
async def test_who_comes_during_an_attempt_waits_for_it_no_longer_than_agreed(
    dsn: str, side: asyncpg.Connection, cut: bool
) -> None:
    """Also for one that has to connect first."""
    book = Book()
    async with DatabaseProxy(dsn) as proxy:
        writer = patient(proxy.dsn, book)
        await writer.start()
        with proxy.frozen():
            if cut:
                proxy.cut()
            ahead = writer.submit(10)
            await asyncio.sleep(0.3)
            await fails_in_time(writer.submit(1))
            assert not ahead.done()
        assert await asyncio.wait_for(ahead, 40) == 20
        await writer.stop()


async def test_an_attempt_that_nobody_impatient_waits_for_may_take_its_time(
    dsn: str, side: asyncpg.Connection
) -> None:
    """When those who had no time for it are gone."""
    book = Book()

    async def slow(connection: Connection) -> None:
        await connection.execute("SELECT pg_sleep(3)")

    book.before = slow
    writer = patient(dsn, book)
    await writer.start()
    ahead, live = writer.submit(10), writer.submit(1)
    await fails_in_time(live)
    assert await asyncio.wait_for(ahead, 40) == 20
    assert [items for items, _ in book.calls] == [[10, 1], [10]]
    await writer.stop()


async def test_who_waits_for_his_piece_of_a_batch_hears_of_an_outage_in_time(
    dsn: str, side: asyncpg.Connection
) -> None:
    book = Facts()
    async with DatabaseProxy(dsn) as proxy:

        async def freeze(_: Connection, items: list[int]) -> None:
            if items == [10]:
                book.fail = None
                proxy.freeze()

        book.fail = freeze
        writer = patient(proxy.dsn, book, 3.0)
        await writer.start()
        good, bad, ahead, live = (writer.submit(n) for n in (3, 2**40, 10, 1))
        assert await asyncio.wait_for(good, 30) == 6
        with pytest.raises(asyncpg.DataError):
            await asyncio.wait_for(bad, 30)
        await fails_in_time(live)
        proxy.thaw()
        assert await asyncio.wait_for(ahead, 40) == 20
        assert [1] not in [items for items, _ in book.calls]
        assert writer.waiting == 0
        await writer.stop()


async def test_plans_that_were_made_for_an_empty_table_are_made_anew(dsn: str, side: asyncpg.Connection) -> None:
    """It was analysed while it had nothing, so reading all of it looks as cheap as the key, for good."""
    await change(dsn, "VACUUM ANALYZE book")
    found: list[str] = []

    async def look(connection: Connection) -> None:
        if not found:
            await connection.execute(
                "PREPARE looked AS SELECT n FROM unnest($1::int[]) AS a (id) JOIN book ON n = a.id AND n >= $2"
            )
        plan = await connection.fetch("EXPLAIN EXECUTE looked('{1,2}', 0)")
        found.append("\n".join(row[0] for row in plan))

    book = Book()
    book.before = look
    writer: Writer = Batcher("test", dsn, book.commit, max_batch=5)
    await writer.start()
    try:
        for start in range(0, 5 * 20, 5):
            await asyncio.gather(*(writer.put(n) for n in range(100 + start, 105 + start)))
        by_key = ["Index Cond: ((n = a.id)" in plan for plan in found]
        assert not by_key[0], found[0]
        assert not by_key[1], "nothing else makes it anew"
        assert by_key[-1], found[-1]
    finally:
        await writer.stop()


async def test_another_warning_is_no_lost_commit(dsn: str, side: asyncpg.Connection) -> None:
    """Where transaction ids run out the server warns with every one of them, and goes on."""
    book = Book()
    heard: list[asyncpg.PostgresLogMessage] = []

    async def warned(connection: Connection) -> None:
        connection.add_log_listener(lambda _, message: heard.append(message))
        await connection.execute("DO $$ BEGIN RAISE WARNING 'must be vacuumed within 1 transactions'; END $$")

    book.before = warned
    writer: Writer = Batcher("test", dsn, book.commit)
    await writer.start()
    assert await writer.put(1) == 2
    assert [(one.sqlstate, one.severity) for one in heard] == [("01000", "WARNING")]
    assert len(book.calls) == 1
    await writer.stop()


@pytest.mark.parametrize("lost", [True, False])
async def test_what_is_committed_here_and_on_no_standby_is_not_answered(
    dsn: str, side: asyncpg.Connection, lost: bool
) -> None:
    """The wait for a standby is broken off, as by a crash: rows are seen, and the repeat waits for its own record."""
    book = Book()
    writer: Writer = Batcher("test", dsn, book.commit)
    await writer.start()
    async with no_standby(dsn) as waiting:
        done = writer.submit(1)
        await waiting.until(waiting.pid)
        first = await waiting.pid()
        assert await side.fetchval("SELECT count(*) FROM book") == 0
        assert writer._connection is not None
        if lost:
            writer._connection.terminate()
        await waiting.cancel(first)  # the writer, if it hears it, is told of success
        await waiting.until(lambda: side.fetchval("SELECT count(*) = 1 FROM book"))

        async def repeated() -> object:
            return done.done() or (len(book.calls) == 2 and await waiting.pid(first if lost else 0))

        await waiting.until(repeated)
        assert not done.done()
    assert await done == 2
    assert [again for _, again in book.calls] == [False, True]
    await writer.stop()


async def test_a_server_in_recovery_is_an_outage(tmp_path: Path) -> None:
    """A primary that has stepped down answers for moments longer: nothing fails there, and it is done when there is one
    again."""
    server = EmbeddedPostgres(tmp_path / "data")
    server.data_dir.mkdir()
    try:
        dsn = await server.start()
        await change(dsn, "CREATE TABLE book (n int PRIMARY KEY)", f"GRANT ALL ON book TO {APPLICATION}")
        await server.stop()
        (server.home / "pg" / "standby.signal").touch()
        await server._up()
        book = Book()
        writer: Writer = Batcher("test", dsn, book.commit)
        await writer.start()
        done = writer.submit(1)
        async with asyncio.timeout(20):
            while not writer.outage:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)  # several tries
        assert not done.done()
        superuser = await asyncpg.connect(admin(dsn))
        await superuser.execute("SELECT pg_promote()")
        await superuser.close()
        assert await done == 2
        await writer.stop()
    finally:
        await server.discard()


@pytest.mark.parametrize("state", ["XX000", "XX001", "XX002"])
async def test_an_internal_error_of_a_primary_is_told_as_it_is(
    dsn: str, side: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """It is no outage that would end by itself: whoever waits hears of it, and the log says which it was."""
    await change(
        dsn, f"CREATE FUNCTION broken() RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE SQLSTATE ''{state}''; END'"
    )
    monkeypatch.setattr(group_commit, "_RECORD", "SELECT broken()")
    book = Book()
    writer: Writer = Batcher("test", dsn, book.commit)
    await writer.start()

    async def lose(_: Connection) -> None:
        book.before = None
        assert writer._connection is not None
        writer._connection.terminate()

    book.before = lose
    async with asyncio.timeout(20):
        with pytest.raises(asyncpg.InternalServerError) as told:
            await writer.put(1)
    assert told.value.sqlstate == state
    await writer.stop()
