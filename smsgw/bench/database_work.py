"""What a run has made the database do: octets of its log, transactions that have written, dead versions of rows; and
somebody else's transaction beside it, for whose sake none of these can be cleared away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from smsgw.bench.result import Written
from smsgw.store.engine.database import Database, Row, connect

TOLD_AFTER = 10.5
"""Seconds after which the last of the database's processes has told what it has done to rows: an idle one
waits so long with it. The log and the transactions are known at once."""
PATIENCE = 20.0

_LOG = """
SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint AS octets,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS written
"""
_ROWS = """
SELECT sum(n_tup_upd)::bigint AS updated, sum(n_tup_del)::bigint AS deleted, sum(n_tup_hot_upd)::bigint AS hot
FROM pg_stat_user_tables
"""


class DatabaseWork:
    """From ``begin`` to ``done``."""

    def __init__(self, dsn: str, log: Row, rows: Row) -> None:
        self._dsn = dsn
        self._log = log
        self._rows = rows

    @classmethod
    async def begin(cls, dsn: str) -> DatabaseWork:
        """Count from here. ``STORAGE_UNAVAILABLE``."""
        return cls(dsn, *await _read(dsn, 0.0))

    async def done(self, messages: int) -> Written:
        """What it has been for each of so many messages. ``STORAGE_UNAVAILABLE``."""
        log, rows = await _read(self._dsn, TOLD_AFTER)
        updated, deleted, hot = (rows[name] - self._rows[name] for name in ("updated", "deleted", "hot"))
        return Written(
            round((log["octets"] - self._log["octets"]) / messages),
            round((log["written"] - self._log["written"]) / messages, 4),
            round((updated + deleted) / messages, 3),
            round(hot / max(1, updated), 3),
        )


@contextlib.asynccontextmanager
async def pinned(dsn: str) -> AsyncIterator[None]:
    """Beside a transaction that keeps its snapshot, as a long report or a forgotten session does."""
    connection = await connect(dsn, statement_timeout=0)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            await connection.fetchval("SELECT count(*) FROM account")
            yield
    finally:
        connection.terminate()


async def _read(dsn: str, after: float) -> tuple[Row, Row]:
    database = Database(dsn, size=1)
    await database.open()
    try:
        log = await database.fetchrow(_LOG, timeout=PATIENCE)
        await asyncio.sleep(after)
        rows = await database.fetchrow(_ROWS, timeout=PATIENCE)
    finally:
        await database.close()
    if log is None or rows is None:
        raise RuntimeError("the database does not tell what it has done")
    return log, rows
