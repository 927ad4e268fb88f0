"""Reports that customers' systems have acknowledged, counted by day (ADR 076).

Of a message its last report counts, once. What was given up, or waits, was acknowledged by nobody.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

from smsgw.core.ids import day_range, first_id, time_of
from smsgw.store.engine.database import Connection

PATIENCE = 300.0
"""Seconds for a statement, and for whoever counts the day before us."""
HOURS = 24
"""A day is read by the hour: small sorts, and no snapshot that lasts."""
FOLLOWED = timedelta(days=21)
"""Later than this nothing is told of a message: it is open for two weeks, and reports are late by days."""
# A day is counted by whichever node comes to it, or is asked to.
_TAKE_TURNS = "SELECT pg_advisory_xact_lock(1633907566, $1::date - DATE '2000-01-01')"
_GONE = "SELECT $1 <= events_gone FROM stat_cursor"
_COUNT = """
SELECT m.account_id, m.origin, count(*) AS messages, count(*) FILTER (WHERE e.status = 'delivered') AS delivered
FROM (
    SELECT DISTINCT ON (e.message_id) e.message_id, e.status FROM customer_event e
    WHERE e.kind = 'report' AND e.id >= $1 AND e.id < $3 AND e.message_id >= $1 AND e.message_id < $2
      AND e.acknowledged_at IS NOT NULL AND e.dead_at IS NULL AND NOT e.test
    ORDER BY e.message_id, e.id DESC
) e JOIN message m ON m.id = e.message_id AND m.id >= $1 AND m.id < $2
WHERE m.origin IN ('api', 'smpp', 'cmpp') GROUP BY 1, 2
"""
_FORGET = "DELETE FROM acknowledged_day WHERE day = $1"
_KEEP = """
INSERT INTO acknowledged_day (day, account_id, origin, messages, delivered)
SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::bigint[])
"""


async def count_day(connection: Connection, day: date) -> None:
    """Count a day anew, whose records must all be there; after whoever does it now. Not when its events have begun to
    go: then its figures stay."""
    await connection.execute(_TAKE_TURNS, day, timeout=PATIENCE)
    if await connection.fetchval(_GONE, day):
        return
    low, high = day_range(day)
    step, until = (high - low) // HOURS, first_id(time_of(high) + FOLLOWED)
    messages, delivered = Counter[tuple[int, str]](), Counter[tuple[int, str]]()
    for hour in range(HOURS):
        begin = low + hour * step
        for row in await connection.fetch(_COUNT, begin, begin + step, until, timeout=PATIENCE):
            key = row["account_id"], row["origin"]
            messages[key] += row["messages"]
            delivered[key] += row["delivered"]
    accounts, origins = [key[0] for key in messages], [key[1] for key in messages]
    await connection.execute(_FORGET, day)
    counts = list(messages.values()), [delivered[key] for key in messages]
    await connection.execute(_KEEP, day, accounts, origins, *counts)
