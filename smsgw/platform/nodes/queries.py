"""Nodes that there are and were, with what they own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.actor import Actor
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.records.measures import Replication, replication

__all__ = ["Listed", "Replication", "listed", "replication"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A node as people see it."""

    id: int
    """Its number."""
    place: str
    state: str
    """``live``, ``missing``, or ``removed``: somebody has said that it will not come back."""
    since: datetime
    """It has this number since then."""
    seen_at: datetime
    channels: Sequence[str]
    """Those that it owns now."""
    jobs: Sequence[str]
    """Other work that it alone does now."""
    pushed: int
    """Endpoints of customers that it alone pushes to."""
    removed_by: str
    alarms: int
    """That stand, and that it has found."""


_ALL = """
SELECT n.number AS id, n.place, n.since, n.seen_at, n.removed_by,
       CASE WHEN EXISTS (SELECT FROM lease l
                         WHERE l.resource = 'node/' || n.number AND l.expires_at > clock_timestamp())
            THEN 'live' WHEN n.removed_at IS NULL THEN 'missing' ELSE 'removed' END AS state,
       ARRAY(SELECT c.name FROM lease l JOIN channel c ON l.resource = 'channel/' || c.id
             WHERE l.node = n.number AND l.expires_at > clock_timestamp() ORDER BY c.name LIMIT 200) AS channels,
       ARRAY(SELECT l.resource FROM lease l
             WHERE l.node = n.number AND l.expires_at > clock_timestamp()
               AND l.resource NOT LIKE 'node/%' AND l.resource NOT LIKE 'channel/%'
               AND l.resource NOT LIKE 'push/%' ORDER BY 1 LIMIT 200) AS jobs,
       (SELECT count(*) FROM lease l WHERE l.node = n.number AND l.expires_at > clock_timestamp()
          AND l.resource LIKE 'push/%') AS pushed,
       (SELECT count(*) FROM alarm a WHERE a.cleared_at IS NULL
        AND (a.object = 'node/' || n.number OR starts_with(a.object, 'node/' || n.number || '/')
             OR n.number = ANY (a.nodes))) AS alarms
FROM node n WHERE $1 AND ($2::int IS NULL OR n.number = $2)
ORDER BY n.removed_at IS NOT NULL, n.number LIMIT 1100
"""


def _listed(row: Row) -> Listed:
    return Listed(**dict(row))


async def listed(database: Database | Connection, actor: Actor, number: int | None = None) -> list[Listed]:
    """All of them, or the one; for who sees the whole platform."""
    return [_listed(row) for row in await database.fetch(_ALL, actor.scope.whole is None, number)]
