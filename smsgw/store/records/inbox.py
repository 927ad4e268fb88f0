"""What people are told, each in rows of their own: entered by triggers and announcements, forgotten here."""

from __future__ import annotations

from smsgw.store.engine.database import Connection

KEPT_DAYS = 90
MOST = 500
"""Rows that one person has, and as many reminders of accounts, which never displace others; the oldest go."""

_OLD = "DELETE FROM inbox WHERE at < now() - make_interval(days => $1)"
_BEYOND = """
DELETE FROM inbox WHERE id IN (
    SELECT id FROM (SELECT id, row_number() OVER (
        PARTITION BY staff_id, kind IN ('contract', 'balance', 'quota') ORDER BY at DESC, id DESC) AS n FROM inbox) x
    WHERE n > $1 LIMIT 10000)
"""
_NOTICES = "DELETE FROM notice WHERE until < now() - make_interval(days => $1)"


async def sweep(connection: Connection) -> None:
    """Forget what is old, and what is more than anybody reads."""
    await connection.execute(_OLD, KEPT_DAYS)
    await connection.execute(_BEYOND, MOST)
    await connection.execute(_NOTICES, 2 * KEPT_DAYS)
