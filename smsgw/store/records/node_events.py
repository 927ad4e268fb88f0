"""What nodes do that no alarm and no entry of the audit log tells: their starts, with the version, and their stops."""

from __future__ import annotations

from smsgw.store.engine.database import Connection, Database

KEPT_DAYS = 800
"""Two years of faults can be looked at with what was deployed around them."""
_START = """
INSERT INTO node_event (node, kind, version, before)
SELECT $1, 'start', $2, COALESCE((SELECT e.version FROM node_event e WHERE e.node = $1 AND e.kind = 'start'
                                  ORDER BY e.id DESC LIMIT 1), '')
"""
_STOP = "INSERT INTO node_event (node, kind) VALUES ($1, 'stop')"
_SWEEP = "DELETE FROM node_event WHERE at < now() - make_interval(days => $1)"


async def started(database: Database, node: int, version: str) -> None:
    """A node serves, with this version of the program."""
    await database.execute(_START, node, version)


async def stopped(database: Database, node: int) -> None:
    """A node ends as it should."""
    await database.execute(_STOP, node)


async def sweep(connection: Connection) -> None:
    """Forget what is old."""
    await connection.execute(_SWEEP, KEPT_DAYS)
