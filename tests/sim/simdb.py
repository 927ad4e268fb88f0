"""The database of simulations: PostgreSQL, asked so that a run is the same every time.

Statements are the program's own. Each is carried out at once, while virtual time stands still; one that has to wait for
the lock of another transaction stays with the server and has its answer when that one has ended. Who closes a circle of
waiting is told of a deadlock. The simulation's clock stands in the statements in the place of the server's.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import databases

from smsgw.core.model import ChannelSpec
from smsgw.store.engine.database import COMMON_SETTINGS, WRITER_SETTINGS, Writer
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.messages import outcomes, reattempt
from smsgw.store.messages.calls import MESSAGE_TYPES, PART_TYPES, NewCall

ACCOUNT = 7
Row = asyncpg.Record
_connect, _seconds = asyncpg.connect, time.monotonic  # as they are outside of simulations
_SETTINGS = {
    **COMMON_SETTINGS, **WRITER_SETTINGS, "idle_in_transaction_session_timeout": "0", "synchronous_commit": "off",
}  # fmt: skip
_CHANGES = re.compile(r"\b(?:INSERT|UPDATE|DELETE|LOCK|FOR|nextval|pg_advisory\w*)\b")
_CLOCK = re.compile(r"\b(?:clock_timestamp|now)\(\)")
_REPORTING = {outcomes._REPORTS, outcomes._PARK, reattempt._LOOK_REPORTS}
"""Statements that store or count reports: their first parameters are channels and ids of the carriers."""
_TOLD = """
CREATE OR REPLACE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state IS DISTINCT FROM NEW.state THEN
        RAISE NOTICE '% % % % % % %', NEW.id, NEW.part, OLD.state, NEW.state, NEW.attempt, NEW.epoch, NEW.code;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER told AFTER INSERT OR UPDATE ON part FOR EACH ROW EXECUTE FUNCTION told();
"""
_WRITTEN = (
    "account", "attempt", "channel", "channel_state", "customer_event", "event", "lease", "message", "node", "part",
    "receipt_orphan",
)  # fmt: skip
_WAITS_FOR = "SELECT pid, pg_blocking_pids(pid) AS holders FROM unnest($1::int[]) AS pid"
AT_ONCE = 0.01
"""Seconds until it is asked whether a statement waits for a lock."""


class _Loop(asyncio.SelectorEventLoop):
    """By the machine's clock."""

    def time(self) -> float:
        return _seconds()


@lru_cache(maxsize=1024)
def _timed(sql: str, place: int) -> str:
    return _CLOCK.sub(f"${place}::timestamptz", sql)


class Step:
    """A statement under way."""

    def __init__(self, session: asyncpg.Connection, work: Coroutine[Any, Any, Any]) -> None:
        self.pid = session.get_server_pid()
        self.task = asyncio.get_running_loop().create_task(work)
        self.victim = False
        """Of a deadlock."""

    def result(self) -> Any:
        """What it has brought."""
        if self.victim and isinstance(self.task.exception(), asyncpg.QueryCanceledError):
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        return self.task.result()


class SimDb:
    """The server and what is committed there. Its connections have a loop of their own, which runs while that of the
    simulation stands still."""

    clock: Callable[[], datetime]
    on_change: Callable[[str], None]
    """Told of each change of a part's state that is committed."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._loop = _Loop()
        self.said: dict[int, list[str]] = defaultdict(list)
        """What the server has told a session of its transaction under way."""
        self._eyes: asyncpg.Connection = self._do(self._connect(databases.admin(dsn)))
        self._free: list[asyncpg.Connection] = []
        self._open: dict[int, asyncpg.Connection] = {}
        """By their pids, sessions in a transaction."""
        self._steps: list[Step] = []
        self._waiters: list[asyncio.Future[None]] = []
        self.stored_reports: set[tuple[int, str]] = set()
        """(channel, carrier's id) of reports in committed transactions."""
        self._do(self._eyes.execute(_TOLD))
        self._do(self._eyes.execute("SET session_replication_role = replica; COMMIT"))

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Now: the loop that runs stands still meanwhile."""
        outside = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            return self._loop.run_until_complete(work)
        finally:
            asyncio._set_running_loop(outside)

    def reset(self, clock: Callable[[], datetime], channels: list[ChannelSpec]) -> None:
        """As for a new run."""
        self.clock, self.on_change = clock, lambda _: None
        self.stored_reports, self._waiters = set(), []
        self.said.clear()
        self._do(self._empty(channels))

    async def _clear(self) -> None:
        """Break off what is under way."""
        await self._eyes.execute("SELECT pg_terminate_backend(pid, 60000) FROM unnest($1::int[]) AS pid", [*self._open])
        for session in self._open.values():
            session.terminate()
        self._open.clear()
        await asyncio.gather(*(step.task for step in self._steps), return_exceptions=True)
        self._steps = []

    async def _empty(self, channels: list[ChannelSpec]) -> None:
        await self._clear()
        await self._eyes.execute(";".join(f"DELETE FROM {table}" for table in _WRITTEN))  # noqa: S608 - our names
        await self._eyes.execute("ALTER SEQUENCE lease_epoch RESTART")
        await self._eyes.execute("INSERT INTO account (id, name) OVERRIDING SYSTEM VALUE VALUES ($1, 'shop')", ACCOUNT)
        for spec in channels:
            await self._eyes.execute(
                "INSERT INTO channel (id, name, protocol, host, port, username, password_sealed)"
                " OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6, '')",
                spec.id, spec.name, spec.protocol, spec.host, spec.port, spec.username,
            )  # fmt: skip

    def close(self) -> None:
        """End all connections."""
        self._do(self._close())
        self._loop.close()

    async def _close(self) -> None:
        await self._clear()
        for session in (*self._free, self._eyes):
            await session.close()

    # --- what is committed -------------------------------------------------------------------------------------

    def fetch(self, sql: str, *args: Any) -> list[Row]:
        """Look at it."""
        rows: list[Row] = self._do(self._eyes.fetch(sql, *args))
        return rows

    def part(self, id_: int, part: int) -> Row | None:
        """One part."""
        return next(iter(self.fetch("SELECT * FROM part WHERE id = $1 AND part = $2", id_, part)), None)

    def lease(self, resource: str) -> Row | None:
        """One lease."""
        return next(iter(self.fetch("SELECT * FROM lease WHERE resource = $1", resource)), None)

    def accept(self, call: NewCall) -> None:
        """Enter a call, as if another node had done so long ago: without waiting for locks."""
        for table, columns, rows in (("message", MESSAGE_TYPES, call.messages), ("part", PART_TYPES, call.parts)):
            self._do(self._eyes.copy_records_to_table(table, records=rows, columns=list(columns)))

    # --- transactions ------------------------------------------------------------------------------------------

    def begin(self) -> asyncpg.Connection:
        """A session in a new transaction."""
        session = self._free.pop() if self._free else self._do(self._connect(self._dsn))
        self._open[session.get_server_pid()] = session
        return session

    async def _connect(self, dsn: str) -> asyncpg.Connection:
        session = await _connect(dsn, server_settings=_SETTINGS, connection_class=Writer)
        session.add_log_listener(lambda one, said: self.said[one.get_server_pid()].append(said.message))
        await session.execute("BEGIN")
        return session

    def end(self, session: asyncpg.Connection, how: str, *, idle: bool) -> list[str]:
        """COMMIT or ROLLBACK, unless it was ``idle``; what was said in the transaction. The next one has begun."""
        pid = session.get_server_pid()
        if any(step.pid == pid and not step.task.done() for step in self._steps):
            return []  # the run is over, and whoever waited was cut short
        if self._open.pop(pid, None) is None:  # of the run before
            return []
        self._free.append(session)
        if idle:
            return []
        self._do(self._end(session, f"{how} AND CHAIN"))
        self._wake()
        return self.said.pop(pid, [])

    async def _end(self, session: asyncpg.Connection, how: str) -> None:
        await session.execute(how)
        await self._settle()

    async def ask(self, session: asyncpg.Connection, work: Coroutine[Any, Any, Any]) -> Any:
        """Carry something out in a session."""
        step: Step = self._do(self._begin(session, work))
        self._wake()
        while not step.task.done():
            self._waiters.append(asyncio.get_running_loop().create_future())
            await self._waiters[-1]
        return step.result()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _begin(self, session: asyncpg.Connection, work: Coroutine[Any, Any, Any]) -> Step:
        step = Step(session, work)
        self._steps.append(step)
        await asyncio.wait([step.task], timeout=AT_ONCE)
        await self._settle()
        return step

    async def _settle(self) -> None:
        """Wait until each statement has its answer or waits for a lock of one of our transactions."""
        while running := [step for step in self._steps if not step.task.done()]:
            rows = await self._eyes.fetch(_WAITS_FOR, [step.pid for step in running])
            holders = {row["pid"]: set(row["holders"]) for row in rows}
            if not all(pids and pids <= self._open.keys() for pids in holders.values()):
                await asyncio.wait([step.task for step in running], timeout=AT_ONCE, return_when="FIRST_COMPLETED")
            elif closing := [step for step in running if step.pid in _reached(holders, step.pid)]:
                closing[-1].victim = True
                await self._eyes.execute("SELECT pg_cancel_backend($1)", closing[-1].pid)
                await asyncio.wait([closing[-1].task])
            else:
                break
        self._steps = running


def _reached(holders: dict[int, set[int]], pid: int) -> set[int]:
    """All that this one waits for, and they, and so on."""
    found: set[int] = set()
    todo = {pid}
    while todo:
        todo = set().union(*(holders.get(one, set()) for one in todo)) - found
        found |= todo
    return found


class Transaction:
    """From its first statement to ``commit`` or ``rollback``."""

    def __init__(self, db: SimDb) -> None:
        self.db = db
        self.over = False
        self._session = db.begin()
        self._idle = True
        """It has done nothing that lasts or that others could wait for."""
        self._reports: list[tuple[int, str]] = []

    async def run(self, sql: str, args: tuple[Any, ...]) -> list[Row]:
        """Execute a statement; its rows."""
        if sql in _REPORTING:
            self._reports += zip(args[0], args[1], strict=True)
        self._idle = self._idle and _CHANGES.search(sql) is None
        timed = _timed(sql, len(args) + 1)
        if timed != sql:
            args = (*args, self.db.clock())
        try:
            rows: list[Row] = await self.db.ask(self._session, self._session.fetch(timed, *args))
        except asyncpg.PostgresError:
            self._idle = False
            raise
        return rows

    async def copy(self, table: str, records: list[Any], columns: Any) -> None:
        """COPY of rows into a table."""
        self._idle = False
        await self.db.ask(self._session, self._session.copy_records_to_table(table, records=records, columns=columns))

    def commit(self) -> None:
        """Others see it from now on."""
        if self.over:
            raise asyncpg.ConnectionDoesNotExistError("the session was terminated")
        self.over = True
        said = self.db.end(self._session, "COMMIT", idle=self._idle)
        self.db.stored_reports.update(self._reports)
        for change in said:
            self.db.on_change(change)

    def rollback(self) -> None:
        """It never was."""
        if not self.over:
            self.over = True
            self.db.end(self._session, "ROLLBACK", idle=self._idle)


@contextmanager
def served() -> Iterator[SimDb]:
    """With a server of its own."""
    with TemporaryDirectory(prefix="smsgw-sim-") as folder, asyncio.Runner() as runner:
        embedded = EmbeddedPostgres(Path(folder))
        db = SimDb(runner.run(databases.migrated(embedded)))
        try:
            yield db
        finally:
            db.close()
            runner.run(embedded.stop())
            shutil.rmtree(embedded.home, ignore_errors=True)
