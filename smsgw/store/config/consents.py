"""Consents in the database, and how a node follows them: as the block list, change by change."""

from __future__ import annotations

from collections.abc import AsyncIterator

from smsgw.core.blocklist import BlockList, Entry, Scope
from smsgw.store.engine.database import Connection, Database, Row

LOCK = 0x636F6E73656E74  # "consent"
PAGE = 20_000
_TAKE_TURNS = "SELECT pg_advisory_xact_lock($1)"
_NEWEST = "SELECT COALESCE(max(version), 0) FROM consent"
_ROW = """
number, account_id, floor(extract(epoch FROM given_at))::bigint AS since, withdrawn_at IS NOT NULL AS removed, version
"""
_ALL = f"SELECT {_ROW} FROM consent WHERE withdrawn_at IS NULL ORDER BY number"  # noqa: S608 - a constant
_CHANGES = f"SELECT {_ROW} FROM consent WHERE version > $1 ORDER BY version LIMIT $2"  # noqa: S608


async def take_turns(connection: Connection) -> None:
    """Wait until nobody else writes, and let nobody else until the caller's transaction ends."""
    await connection.execute(_TAKE_TURNS, LOCK)


def _entry(row: Row, scopes: dict[int, Scope]) -> Entry:
    scope = scopes.setdefault(row["account_id"], Scope(row["account_id"]))
    return Entry(row["number"], scope, "consent", max(row["since"], 0), 0, row["removed"])


async def load(database: Database) -> tuple[BlockList, int]:
    """All that hold, and the version of this."""
    found, scopes = BlockList(), dict[int, Scope]()
    async with (
        database.acquire(timeout=300) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        version: int = await connection.fetchval(_NEWEST)
        async for row in connection.cursor(_ALL, prefetch=PAGE):
            found.append(_entry(row, scopes))
    return found, version


async def changes(database: Database, version: int) -> AsyncIterator[tuple[list[Entry], int]]:
    """Pages of what has changed after ``version``, each with the version that it leads to."""
    scopes = dict[int, Scope]()
    while True:
        rows = await database.fetch(_CHANGES, version, PAGE, timeout=30)
        if not rows:
            return
        version = rows[-1]["version"]
        yield [_entry(row, scopes) for row in rows], version
        if len(rows) < PAGE:
            return
