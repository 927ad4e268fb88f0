"""Lists of numbers that were looked at, and how long they stay."""

from __future__ import annotations

from smsgw.store.engine.database import Connection

KEPT_DAYS = 90
AT_ONCE = 20
"""Lists that one sweep forgets: each may have thousands of numbers."""
_SWEEP = """
DELETE FROM number_filter WHERE id IN (
    SELECT f.id FROM number_filter f
    WHERE f.created_at < now() - make_interval(days => $1)
      AND NOT EXISTS (SELECT FROM job j WHERE j.id = f.job_id AND j.state IN ('waiting', 'running'))
    ORDER BY f.id LIMIT $2
)
"""


async def sweep(connection: Connection) -> None:
    """Forget lists whose time is over, with their numbers; what they have cost stands in the audit log."""
    await connection.execute(_SWEEP, KEPT_DAYS, AT_ONCE)
