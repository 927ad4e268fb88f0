"""Reports that customers' systems have acknowledged, counted by day (ADR 076).

Of a message its last report counts, once. What was given up, or waits, was acknowledged by nobody.
"""

from __future__ import annotations

from datetime import date

from smsgw.core.ids import day_range
from smsgw.store.engine.database import Connection

PATIENCE = 300.0
"""Seconds for a day."""
# A day is counted by whichever node comes to it, or is asked to.
_TAKE_TURNS = "SELECT pg_advisory_xact_lock(1633907566, $1::date - DATE '2000-01-01')"
_FORGET = "DELETE FROM acknowledged_day WHERE day = $1"
_COUNT = """
INSERT INTO acknowledged_day (day, account_id, origin, messages, delivered)
SELECT $3, m.account_id, m.origin, count(*), count(*) FILTER (WHERE e.status = 'delivered')
FROM (
    SELECT DISTINCT ON (e.message_id) e.message_id, e.status FROM customer_event e
    WHERE e.kind = 'report' AND e.id >= $1 AND e.message_id >= $1 AND e.message_id < $2
      AND e.acknowledged_at IS NOT NULL AND e.dead_at IS NULL AND NOT e.test
    ORDER BY e.message_id, e.id DESC
) e JOIN message m ON m.id = e.message_id AND m.id >= $1 AND m.id < $2
WHERE m.origin IN ('api', 'smpp', 'cmpp') GROUP BY 2, 3
"""


async def count_day(connection: Connection, day: date) -> None:
    """Count a day anew, whose records and events must all be there; after whoever does it now."""
    low, high = day_range(day)
    await connection.execute(_TAKE_TURNS, day, timeout=PATIENCE)
    await connection.execute(_FORGET, day)
    await connection.execute(_COUNT, low, high, day, timeout=PATIENCE)
