"""Taking care of alarms."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.core.errors import Invalid
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change

_ACK = """
UPDATE alarm SET acked_at = now(), acked_by = $2 WHERE id = ANY($1::bigint[]) AND cleared_at IS NULL
AND ($3::bigint[] IS NULL OR account_id = ANY($3)) RETURNING id
"""


async def acknowledge(change: Change, ids: Sequence[int]) -> int:
    """Somebody looks after these: they stay open, and are shown as taken.
    ``NOT_FOUND`` when none that the actor sees is open."""
    whose = change.actor.scope.whole
    async with change.unit(Permission.ALARM_HANDLE) as unit:
        rows = await unit.connection.fetch(_ACK, list(ids), change.actor.label, None if whose is None else list(whose))
        if not rows:
            raise Invalid("NOT_FOUND")
        for row in rows:
            unit.record("alarm.ack", f"alarm/{row['id']}")
    return len(rows)
