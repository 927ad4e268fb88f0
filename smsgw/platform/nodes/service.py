"""Nodes that will not come back."""

from __future__ import annotations

from smsgw.core.errors import Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change
from smsgw.runtime import clock

_LOCK = """
SELECT n.number, n.place, n.removed_at, EXISTS (
    SELECT FROM lease l WHERE l.resource = 'node/' || n.number AND l.expires_at > clock_timestamp()) AS lives
FROM node n WHERE n.number = $1 FOR UPDATE
"""
_REMOVE = "UPDATE node SET removed_at = $2, removed_by = $3 WHERE number = $1"
# What it alone has known; what others name, too, stands on.
_OVER = """
UPDATE alarm SET cleared_at = $2, nodes = '{}' WHERE cleared_at IS NULL
  AND (object = 'node/' || $1::int OR starts_with(object, 'node/' || $1::int || '/')
       OR nodes <> '{}' AND alarm_nodes_left(nodes, $1) = '{}' AND $1 = ANY (nodes))
RETURNING id
"""


async def remove(change: Change, number: int) -> int:
    """Say of a node that it will not come back: nobody misses it any more, and its alarms are over; how many these
    were. One that comes back all the same is as it was. ``NOT_FOUND``; ``STATE_CONFLICT`` while it lives, or when it
    was removed before."""
    now = clock.now()
    async with change.unit(Permission.NODE_EDIT, EVERYBODY) as unit:
        row = await unit.connection.fetchrow(_LOCK, number)
        if row is None:
            raise Refused("NOT_FOUND")
        if row["lives"]:
            raise Refused("STATE_CONFLICT", reason=phrase("node.lives"))
        if row["removed_at"] is not None:
            raise Refused("STATE_CONFLICT", reason=phrase("node.removed"))
        await unit.connection.execute(_REMOVE, number, now, unit.actor.label)
        over = await unit.connection.fetch(_OVER, number, now)
        unit.record("node.remove", f"node/{number}", before={"place": row["place"]}, after={"alarms": len(over)})
    return len(over)
