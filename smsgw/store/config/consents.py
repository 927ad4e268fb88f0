"""Consents in the database, and how a node follows them: as the block list, change by change.

A number may have many rows of an account; the newest counts. That it was withdrawn is known too: who has said no to an
account is not asked of the accounts above it.
"""

from __future__ import annotations

from smsgw.core.blocklist import Entry, Scope
from smsgw.store.config.followed import Followed
from smsgw.store.engine.database import Connection, Row

LOCK = 0x636F6E73656E74  # "consent"
_TAKE_TURNS = "SELECT pg_advisory_xact_lock($1)"
_NEWEST = "SELECT COALESCE(max(version), 0) FROM consent"
_ROW = """
c.number, c.account_id, floor(extract(epoch FROM c.given_at))::float8 AS since, c.withdrawn_at IS NULL AS holds,
c.version
"""
_ALL = f"""
SELECT DISTINCT ON (c.number, c.account_id) {_ROW} FROM consent c ORDER BY c.number, c.account_id, c.id DESC
"""  # noqa: S608 - a constant
_CHANGES = f"""
SELECT {_ROW} FROM consent c
WHERE c.version > $1 AND NOT EXISTS (
    SELECT FROM consent n WHERE n.number = c.number AND n.account_id = c.account_id AND n.id > c.id
)
ORDER BY c.version LIMIT $2
"""  # noqa: S608
GIVEN, WITHDRAWN = "consent", "withdrawn"
"""Sources of the entries that a node holds."""


async def take_turns(connection: Connection) -> None:
    """Wait until nobody else writes, and let nobody else until the caller's transaction ends."""
    await connection.execute(_TAKE_TURNS, LOCK)


def _entry(row: Row, scopes: dict[int, Scope]) -> Entry:
    scope = scopes.setdefault(row["account_id"], Scope(row["account_id"]))
    return Entry(row["number"], scope, GIVEN if row["holds"] else WITHDRAWN, max(int(row["since"]), 0))


def _unreadable(row: Row) -> Entry:
    return Entry(row["number"], Scope(row["account_id"]), WITHDRAWN, 0)


_LEDGER = Followed("consent", _NEWEST, _ALL, _CHANGES, _entry, _unreadable)
load, changes = _LEDGER.load, _LEDGER.changes
"""Of each account and number the newest row."""
