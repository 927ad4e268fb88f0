"""The group-commit writer against a real server: what is repeated, what is given up, and who hears
of it; changes that go as one statement, and the time that the server gives one."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from databases import admin, change, no_standby, owner
from dbproxy import DatabaseProxy

from smsgw.core.errors import Refused, SmsgwError, Temporary
from smsgw.runtime import aio
from smsgw.store.engine import cte_batch, database as db, group_commit, migrate
from smsgw.store.engine.cte_batch import COPIED, Together, enter
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.database_roles import APPLICATION
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.group_commit import Batcher
from smsgw.store.engine.migrate import SCHEMA_VERSION, Migration

Writer = Batcher[int, "int | SmsgwError"]
Hook = Callable[[Connection, list[int]], Awaitable[None]]
Start = Callable[..., Awaitable[Writer]]
_OTHER = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


async def raised(connection: Connection, code: str) -> None:
    await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$")


class Book:
    """A commit function that writes numbers into a table, and can be told to misbehave before and after that."""

    def __init__(self, before: Hook | None = None, after: Hook | None = None) -> None:
        self.calls: list[tuple[list[int], bool]] = []
        self.before = before
        self.after = after

    @property
    def again(self) -> list[bool]:
        return [again for _, again in self.calls]

    async def commit(self, connection: Connection, items: list[int], again: bool) -> list[int | SmsgwError]:
        self.calls.append((items, again))
        if self.before is not None:
            await self.before(connection, items)
        await connection.executemany(
            "INSERT INTO book VALUES ($1) ON CONFLICT DO NOTHING", [(n,) for n in items if n != 13]
        )
        if self.after is not None:
            await self.after(connection, items)
        return [Refused("ACCOUNT_STOPPED") if n == 13 else n * 2 for n in items]

    def poisoned(self, *numbers: int, code: str) -> Book:
        """Batches that have one of these fail with an SQLSTATE."""

        async def fail(connection: Connection, items: list[int]) -> None:
            if set(items) & set(numbers):
                await raised(connection, code)

        self.before = fail
        return self


@pytest_asyncio.fixture
async def side(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    await change(dsn, "CREATE TABLE book (n int PRIMARY KEY)", f"GRANT ALL ON book TO {APPLICATION}")
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def start(dsn: str, side: asyncpg.Connection) -> AsyncIterator[Start]:
    begun: list[Writer] = []

    async def start(book: Book, at: str = dsn, **how: object) -> Writer:
        writer: Writer = Batcher("test", at, book.commit, **how)  # type: ignore[arg-type]
        begun.append(writer)
        await writer.start()
        return writer

    yield start
    for writer in begun:
        await writer.stop(timeout=1.0)


async def stopped(writer: Writer, *waiting: Awaitable[object]) -> None:
    """When the writer is stopped, nobody is left waiting."""
    await writer.stop(timeout=0.1)
    results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 40)
    assert [type(result) for result in results] == [Temporary] * len(waiting)


async def test_items_of_a_turn_share_a_commit_and_hear_their_own_result(start: Start, side: asyncpg.Connection) -> None:
    book = Book()
    writer = await start(book)
    results = await asyncio.gather(*(writer.put(n) for n in (1, 13, 3)), return_exceptions=True)
    assert (results[0], type(results[1]), results[2]) == (2, Refused, 6)
    assert len(book.calls) == 1
    assert await side.fetchval("SELECT count(*) FROM book") == 2


@pytest.mark.parametrize("late", [0.0, 0.5])
async def test_a_commit_in_doubt_is_repeated(dsn: str, start: Start, side: asyncpg.Connection, late: float) -> None:
    """It has been made, or the server is still at it: the writer cannot tell."""
    there: list[int] = []

    async def look(*_: object) -> None:
        there.append(await side.fetchval("SELECT count(*) FROM book"))

    book = Book(before=look)
    async with DatabaseProxy(dsn) as proxy:
        writer = await start(book, proxy.dsn)
        proxy.lose_commits(late=late)
        assert await asyncio.gather(writer.put(1), writer.put(2)) == [2, 4]
        assert book.calls == [([1, 2], False), ([1, 2], True)]
        assert late or there == [0, 2]
        assert await side.fetchval("SELECT count(*) FROM book") == 2
        assert writer.outage == 0.0
        await writer.stop()


async def test_an_argument_that_cannot_be_encoded_fails_alone(start: Start, side: asyncpg.Connection) -> None:
    writer = await start(Book())
    results = await asyncio.wait_for(
        asyncio.gather(writer.put(1), writer.put(2**40), writer.put(3), return_exceptions=True), 40
    )
    assert (results[0], isinstance(results[1], asyncpg.DataError), results[2]) == (2, True, 6)
    assert sorted(r["n"] for r in await side.fetch("SELECT n FROM book")) == [1, 3]
    assert await writer.put(4) == 8


async def test_a_neighbour_of_a_bad_item_knows_that_it_is_repeated(start: Start, side: asyncpg.Connection) -> None:
    async def die(*_: object) -> None:
        book.before = None
        await side.execute("SELECT pg_terminate_backend($1)", await side.fetchval(_OTHER))

    book = Book(before=die)
    writer = await start(book)
    results = await asyncio.gather(writer.put(1), writer.put(2**40), return_exceptions=True)
    assert results[0] == 2
    assert book.calls[-2:] == [([1], True), ([2**40], True)]


async def test_a_frozen_server_is_waited_for_no_longer_than_agreed(start: Start, side: asyncpg.Connection) -> None:
    frozen: list[int] = []

    async def freeze(*_: object) -> None:
        book.before = None
        frozen.append(await side.fetchval(_OTHER))
        os.kill(frozen[0], signal.SIGSTOP)

    book = Book(before=freeze)
    writer = await start(book, give_up_after=0.5)
    try:
        await fails_in_time(aio.spawn(writer.put(1), name="put"))
    finally:
        os.kill(frozen[0], signal.SIGCONT)
    assert await writer.put(2) == 4
    assert writer.outage == 0.0


@pytest.mark.parametrize(("code", "times", "again"), [("40P01", 1, [False] * 2), ("25006", 3, [False, *[True] * 3])])
async def test_conflicts_are_retried_facts_survive_outages(
    start: Start, code: str, times: int, again: list[bool]
) -> None:
    async def fail(connection: Connection, _: object) -> None:
        if len(book.calls) <= times:
            await raised(connection, code)

    book = Book(after=fail)
    assert await (await start(book)).put(1) == 2
    assert book.again == again


async def test_a_full_queue_refuses_and_a_writer_of_facts_never_does(start: Start) -> None:
    writer = await start(Book(), give_up_after=30.0, limit=2)
    first = [writer.submit(1), writer.submit(2)]
    with pytest.raises(Temporary) as caught:
        writer.submit(3)
    assert caught.value.code == "BACKPRESSURE"
    await asyncio.gather(*first)
    await writer.drain()
    await asyncio.sleep(0)
    assert writer.waiting == 0
    assert await writer.put(3) == 6
    patient = await start(Book(), limit=1)
    futures = [patient.submit(n) for n in (10, 11, 12)]
    assert patient.full
    assert await asyncio.gather(*futures) == [20, 22, 24]


async def test_drain_does_not_wait_for_what_comes_later(start: Start) -> None:
    writer = await start(Book())
    busy = True

    async def load() -> None:
        while busy:
            await asyncio.gather(writer.put(1), writer.put(2))

    loads = [aio.spawn(load(), name="load") for _ in range(4)]
    for _ in range(3):
        await asyncio.wait_for(writer.drain(), 30)
    busy = False
    await asyncio.gather(*loads)


async def test_no_caller_is_left_waiting_when_the_writer_is_stopped_in_the_middle(start: Start) -> None:
    stalled = asyncio.Event()

    async def stall(connection: Connection, _: object) -> None:
        stalled.set()
        await connection.execute("SELECT pg_sleep(5)")

    writer = await start(Book(before=stall), max_batch=1)
    waiting = [aio.spawn(writer.put(n), name="put") for n in (1, 2)]
    await asyncio.wait_for(stalled.wait(), 30)
    await stopped(writer, *waiting)


async def test_a_bell_that_breaks_does_not_end_the_writer(start: Start) -> None:
    def ring() -> None:
        raise RuntimeError("broken hub")

    writer = await start(Book(), after_commit=ring)
    assert [await writer.put(1), await writer.put(2)] == [2, 4]


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


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "RETRY_MOST", 0.02)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.mark.parametrize("code", ["55P03", "XX000", "0A000", "42P01", "P0001", "57014", "40P01", "23505"])
async def test_no_error_of_the_moment_costs_a_fact(start: Start, shelf: Shelf, hurried: None, code: str) -> None:
    """Also one that a lonely fact meets several times."""

    async def fail(connection: Connection, _: object) -> None:
        if len(book.calls) <= 4:
            await raised(connection, code)

    book = Book(before=fail)
    writer = await start(book, parking=shelf)
    assert await asyncio.wait_for(writer.put(1), 60) == 2
    assert shelf.kept == []


async def test_what_a_connection_remembers_goes_with_it(dsn: str, start: Start, shelf: Shelf) -> None:
    """A cached statement of a table that has changed under way: on a fresh connection it is a statement again."""
    await change(dsn, "CREATE TABLE shape (a int)", f"GRANT ALL ON shape TO {APPLICATION}")

    async def look(connection: Connection, _: object) -> None:
        await connection.fetch("SELECT * FROM shape")

    book = Book(before=look)
    writer = await start(book, parking=shelf)
    assert await writer.put(1) == 2
    await change(dsn, "ALTER TABLE shape ADD COLUMN b text")
    assert await asyncio.gather(*(writer.put(n) for n in (2, 3))) == [4, 6]
    assert len(book.calls) == 3


async def until_done(writer: Writer, *futures: asyncio.Future[int | SmsgwError]) -> int:
    """Others succeed while these do not; how many of them."""
    n = 400
    while not all(future.done() for future in futures):
        await asyncio.wait_for(writer.put(n), 40)
        n += 1
        assert n < 2000
    return n - 400


@pytest.mark.parametrize(
    ("code", "name"), [("22P02", "InvalidTextRepresentationError"), ("XX000", "InternalServerError")]
)
async def test_a_fact_that_is_refused_is_laid_aside_and_its_neighbours_are_committed(
    start: Start, shelf: Shelf, hurried: None, code: str, name: str
) -> None:
    book = Book().poisoned(77, 200, code=code)
    writer = await start(book, parking=shelf)
    facts = {n: writer.submit(n) for n in range(20, 320)}
    others = [future for n, future in facts.items() if n not in (77, 200)]
    await asyncio.wait_for(asyncio.gather(*others), 40)
    more = await until_done(writer, facts[77], facts[200])
    assert (facts[77].result(), facts[200].result()) == (-1, -1)
    assert sorted(shelf.kept) == [(77, f"{name} {code}"), (200, f"{name} {code}")]
    assert (writer.parked, writer.waiting) == (2, 0)
    tried = [items for items, _ in book.calls]
    assert len(tried) == more + len([items for items in tried if max(items) < 400])


async def test_what_fails_with_all_else_is_not_laid_aside(start: Start, shelf: Shelf, hurried: None) -> None:
    """It is the database, not the fact."""
    book = Book().poisoned(1, 2, 3, code="XX000")
    writer = await start(book, parking=shelf)
    facts = [writer.submit(n) for n in (1, 2, 3)]
    while len(book.calls) < 6 * group_commit.FAILURES:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert shelf.kept == []
    book.before = None
    assert await asyncio.wait_for(asyncio.gather(*facts), 40) == [2, 4, 6]


async def test_nobody_drains_for_a_fact_that_is_tried_apart(start: Start, shelf: Shelf, hurried: None) -> None:
    """Nothing else is committed while a start settles what was in flight: it would wait for ever."""
    writer = await start(Book().poisoned(1, code="XX000"), parking=shelf)
    fact, other = writer.submit(1), writer.submit(2)
    await asyncio.wait_for(writer.drain(), 40)
    assert (fact.done(), other.result()) == (False, 4)
    await stopped(writer, fact)


async def test_a_fact_stays_until_it_can_be_laid_aside(start: Start, shelf: Shelf, hurried: None) -> None:
    shelf.closed = True
    writer = await start(Book().poisoned(1, code="22P02"), parking=shelf)
    fact = writer.submit(1)
    assert await writer.put(2) == 4
    await asyncio.sleep(0.3)
    assert (fact.done(), writer.waiting) == (False, 1)
    shelf.closed = False
    assert await asyncio.wait_for(fact, 40) == -1


async def test_what_is_no_fact_fails_at_its_caller(start: Start, shelf: Shelf) -> None:
    writer = await start(Book().poisoned(1001, code="XX000"), parking=shelf)
    with pytest.raises(asyncpg.InternalServerError):
        await asyncio.wait_for(writer.put(1001), 30)


async def test_a_fact_that_always_meets_a_conflict_does_not_hold_its_neighbours_up(
    start: Start, shelf: Shelf, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "CONFLICTS", 2)
    writer = await start(Book().poisoned(1, code="40P01"), parking=shelf)
    fact = writer.submit(1)
    assert await asyncio.wait_for(asyncio.gather(*(writer.put(n) for n in (2, 3))), 40) == [4, 6]
    await until_done(writer, fact)
    assert shelf.kept == [(1, "DeadlockDetectedError 40P01")]


async def test_a_loop_that_stands_still_is_no_outage(start: Start, side: asyncpg.Connection) -> None:
    async def stall(*_: object) -> None:
        asyncio.get_running_loop().call_later(0.05, time.sleep, 3.0)
        await side.fetchval("SELECT pg_sleep(0.2)")

    book = Book()
    writer = await start(book, give_up_after=2.0)
    assert await writer.put(1) == 2
    book.before = stall
    assert await writer.put(2) == 4
    assert book.again == [False, False]


def patience(seconds: float = 0.5) -> dict[str, object]:
    """Callers wait for so long, but for 30 s with numbers above 9."""
    return {"give_up_after": seconds, "patience": lambda n: 30.0 if n > 9 else seconds}


async def fails_in_time(*waiting: asyncio.Future[int | SmsgwError]) -> None:
    done, _ = await asyncio.wait(waiting, timeout=10)
    assert len(done) == len(waiting), "they wait as long as the most patient"
    for future in waiting:
        assert isinstance(error := future.exception(), Temporary)
        assert error.code == "STORAGE_UNAVAILABLE"


async def test_a_server_that_is_slower_than_patience_commits_facts_nevertheless(
    dsn: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "COMMIT_TIMEOUT", 0.2)
    async with DatabaseProxy(dsn) as proxy:
        writer = await start(Book(), proxy.dsn)
        proxy.latency = 0.15
        assert await asyncio.wait_for(writer.put(1), 40) == 2
        await writer.stop()


async def test_nobody_waits_longer_because_another_one_in_his_batch_is_patient(dsn: str, start: Start) -> None:
    book = Book()
    async with DatabaseProxy(dsn) as proxy:
        writer = await start(book, proxy.dsn, **patience())
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
async def test_who_comes_during_an_attempt_waits_as_agreed(dsn: str, start: Start, cut: bool) -> None:
    """Also for one that has to connect first."""
    async with DatabaseProxy(dsn) as proxy:
        writer = await start(Book(), proxy.dsn, **patience())
        with proxy.frozen():
            if cut:
                proxy.cut()
            ahead = writer.submit(10)
            await asyncio.sleep(0.3)
            await fails_in_time(writer.submit(1))
            assert not ahead.done()
        assert await asyncio.wait_for(ahead, 40) == 20
        await writer.stop()


async def test_an_attempt_that_nobody_impatient_waits_for_may_take_its_time(start: Start) -> None:
    """When those who had no time for it are gone."""

    async def slow(connection: Connection, _: object) -> None:
        await connection.execute("SELECT pg_sleep(3)")

    book = Book(before=slow)
    writer = await start(book, **patience())
    ahead, live = writer.submit(10), writer.submit(1)
    await fails_in_time(live)
    assert await asyncio.wait_for(ahead, 40) == 20
    assert [items for items, _ in book.calls] == [[10, 1], [10]]


async def test_who_waits_for_his_piece_of_a_batch_hears_of_an_outage_in_time(dsn: str, start: Start) -> None:
    async with DatabaseProxy(dsn) as proxy:

        async def freeze(_: Connection, items: list[int]) -> None:
            if items == [10]:
                book.before = None
                proxy.freeze()

        book = Book(before=freeze)
        writer = await start(book, proxy.dsn, **patience(3.0))
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


async def test_plans_that_were_made_for_an_empty_table_are_made_anew(dsn: str, start: Start) -> None:
    """It was analysed while it had nothing, so reading all of it looks as cheap as the key, for good."""
    await change(dsn, "VACUUM ANALYZE book")
    found: list[str] = []

    async def look(connection: Connection, _: object) -> None:
        if not found:
            await connection.execute(
                "PREPARE looked AS SELECT n FROM unnest($1::int[]) AS a (id) JOIN book ON n = a.id AND n >= $2"
            )
        plan = await connection.fetch("EXPLAIN EXECUTE looked('{1,2}', 0)")
        found.append("\n".join(row[0] for row in plan))

    writer = await start(Book(before=look), max_batch=5)
    for first in range(100, 200, 5):
        await asyncio.gather(*(writer.put(n) for n in range(first, first + 5)))
    by_key = ["Index Cond: ((n = a.id)" in plan for plan in found]
    assert not by_key[0], found[0]
    assert not by_key[1], "nothing else makes it anew"
    assert by_key[-1], found[-1]


async def test_another_warning_is_no_lost_commit(start: Start) -> None:
    """Where transaction ids run out the server warns with every one of them, and goes on."""
    heard: list[asyncpg.PostgresLogMessage] = []

    async def warned(connection: Connection, _: object) -> None:
        connection.add_log_listener(lambda _, message: heard.append(message))
        await connection.execute("DO $$ BEGIN RAISE WARNING 'must be vacuumed within 1 transactions'; END $$")

    book = Book(before=warned)
    assert await (await start(book)).put(1) == 2
    assert [(one.sqlstate, one.severity) for one in heard] == [("01000", "WARNING")]
    assert len(book.calls) == 1


@pytest.mark.parametrize("lost", [True, False])
async def test_what_is_committed_here_and_on_no_standby_is_not_answered(
    dsn: str, start: Start, side: asyncpg.Connection, lost: bool
) -> None:
    """The wait for a standby is broken off, as by a crash: rows are seen, and the repeat waits for its own record."""
    book = Book()
    writer = await start(book)
    async with no_standby(dsn) as waiting:
        done = writer.submit(1)
        await waiting.until(waiting.pid)
        first = await waiting.pid()
        assert await side.fetchval("SELECT count(*) FROM book") == 0
        if lost:
            writer._connection.terminate()
        await waiting.cancel(first)  # the writer, if it hears it, is told of success
        await waiting.until(lambda: side.fetchval("SELECT count(*) = 1 FROM book"))

        async def repeated() -> object:
            return done.done() or (len(book.calls) == 2 and await waiting.pid(first if lost else 0))

        await waiting.until(repeated)
        assert not done.done()
    assert await done == 2
    assert book.again == [False, True]


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
async def test_internal_errors_are_told_as_such(
    dsn: str, start: Start, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """It is no outage that would end by itself: whoever waits hears of it, and the log says which it was."""
    await change(
        dsn, f"CREATE FUNCTION broken() RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE SQLSTATE ''{state}''; END'"
    )
    monkeypatch.setattr(group_commit, "_RECORD", "SELECT broken()")

    async def lose(*_: object) -> None:
        book.before = None
        writer._connection.terminate()

    book = Book(before=lose)
    writer = await start(book)
    async with asyncio.timeout(20):
        with pytest.raises(asyncpg.InternalServerError) as told:
            await writer.put(1)
    assert told.value.sqlstate == state


TYPES = {"id": "int", "name": "text"}


@pytest_asyncio.fixture
async def connection(dsn: str) -> AsyncIterator[Connection]:
    tables = ("a (id int PRIMARY KEY, name text)", "b (n int)")
    await change(dsn, *(f"CREATE TABLE {table}" for table in tables), f"GRANT ALL ON a, b TO {APPLICATION}")
    one = await asyncpg.connect(dsn)
    async with one.transaction():
        yield one
    await one.close()


async def test_each_change_has_its_own_arguments(connection: Connection) -> None:
    changes = Together()
    await changes.run(connection)  # nothing is no statement
    await changes.enter(connection, "a", TYPES, [(1, "one"), (2, None)])
    changes.add(
        {"given": "SELECT * FROM unnest($1::int[]) AS g(n)", "kept": "INSERT INTO b SELECT n + $2::int FROM given"},
        [1, 2],
        10,
    )
    await changes.enter(connection, "a", TYPES, [(3, "three")])
    assert not await connection.fetchval("SELECT count(*) FROM a")  # nothing is sent before
    await changes.run(connection)
    assert await connection.fetch("SELECT id, name FROM a ORDER BY id") == [(1, "one"), (2, None), (3, "three")]
    assert [row["n"] for row in await connection.fetch("SELECT n FROM b ORDER BY n")] == [11, 12]


@pytest.mark.parametrize("n", [0, 1, COPIED - 1, COPIED, COPIED * 3])
async def test_few_rows_and_many(connection: Connection, n: int) -> None:
    await enter(connection, "a", TYPES, ((i, f"{i}") for i in range(n)))
    assert await connection.fetchval("SELECT count(*) FROM a WHERE name = id::text") == n


async def test_all_or_nothing(connection: Connection) -> None:
    changes = Together()
    await changes.enter(connection, "a", TYPES, [(1, "one")])
    await changes.enter(connection, "a", TYPES, [(1, "again")])
    with pytest.raises(asyncpg.UniqueViolationError):
        async with connection.transaction():
            await changes.run(connection)
    assert not await connection.fetchval("SELECT count(*) FROM a")


async def test_a_server_that_reads_no_more_holds_nobody_up(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cte_batch, "TIMEOUT", 1.0)
    async with DatabaseProxy(dsn) as proxy:
        await change(dsn, "CREATE TABLE a (id int PRIMARY KEY, name text)", f"GRANT ALL ON a TO {APPLICATION}")
        held = await asyncpg.connect(proxy.dsn)
        transaction = held.transaction()
        await transaction.start()
        proxy.freeze()
        async with asyncio.timeout(30):
            with pytest.raises(TimeoutError):
                await enter(held, "a", TYPES, ((n, "x" * 2000) for n in range(20_000)))
        held.terminate()


async def test_the_server_gives_a_statement_as_long_as_its_caller(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "SERVER_TIMEOUT", 1.0)
    monkeypatch.setattr(db, "COMMAND_TIMEOUT", 1.2, raising=False)
    database = Database(dsn, size=1)
    await database.open()
    try:
        assert await database.fetchval("SELECT 1 FROM pg_sleep(1.5)", timeout=20) == 1
        async with database.transaction(timeout=20) as connection:
            assert await connection.fetchval("SELECT 1 FROM pg_sleep(1.5)", timeout=20) == 1
        async with database.acquire(timeout=3600) as connection:
            assert await connection.fetchval("SHOW statement_timeout") == "1h"
        assert await database.fetchval("SHOW statement_timeout", timeout=1.0) == "1s", "it came back as it was"
    finally:
        await database.close()


async def test_a_migration_may_take_long(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "COMMAND_TIMEOUT", 0.3, raising=False)
    slow = Migration(SCHEMA_VERSION + 1, "slow", "SELECT pg_sleep(1)")
    monkeypatch.setattr(migrate, "migrations", lambda: [slow])
    assert await migrate.migrate(owner(dsn)) == 1
