"""Day partitions: made ahead, analysed early, dropped when their retention is over."""

from __future__ import annotations

from datetime import date, timedelta

import structlog

from smsgw.core.ids import day_range
from smsgw.store.db import Connection

log = structlog.get_logger(__name__)

TABLES = ("message", "part", "attempt", "event", "mo", "customer_event", "webhook_attempt", "partner_part")
DAYS_BACK = 1
DAYS_AHEAD = 7

# Updates of a part stay on their page (part keeps room for four versions of a row).
_STORAGE = {
    "part": " WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)"
}

TODAY = "SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date"

_EXISTING = """
SELECT c.relname
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE p.relname = ANY($1::text[])
"""


def name(table: str, day: date) -> str:
    """The partition of ``table`` for that business day."""
    return f"{table}_{day:%Y%m%d}"


async def _change(connection: Connection, statement: str) -> None:
    """Change the set of partitions. Whoever reads the table for long must not make all writers queue behind us."""
    async with connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '2s'")
        await connection.execute(statement)


async def ensure(connection: Connection, today: date) -> int:
    """Make every missing partition from yesterday to a week ahead; the number made."""
    existing = {row["relname"] for row in await connection.fetch(_EXISTING, list(TABLES))}
    made = 0
    for offset in range(-DAYS_BACK, DAYS_AHEAD + 1):
        day = today + timedelta(days=offset)
        low, high = day_range(day)
        for table in TABLES:
            partition = name(table, day)
            if partition not in existing:
                await _change(
                    connection,
                    f"CREATE TABLE IF NOT EXISTS {partition} PARTITION OF {table} "
                    f"FOR VALUES FROM ({low}) TO ({high}){_STORAGE.get(table, '')}",
                )
                made += 1
    if made:
        log.info("partitions.made", count=made, today=str(today))
    return made


async def overdue(connection: Connection, today: date, table: str, keep_days: int) -> list[date]:
    """Days of a table whose retention is over and whose partition is still there."""
    days = []
    for row in await connection.fetch(_EXISTING, [table]):
        text = row["relname"].rpartition("_")[2]
        day = date(int(text[:4]), int(text[4:6]), int(text[6:]))
        if day < today - timedelta(days=keep_days):
            days.append(day)
    return sorted(days)


async def expire(connection: Connection, today: date, keep_days: dict[str, int]) -> list[str]:
    """Drop partitions older than ``keep_days`` of their table (tables not named are kept); the names dropped."""
    dropped = []
    for relname in sorted(row["relname"] for row in await connection.fetch(_EXISTING, list(keep_days))):
        table, _, day_text = relname.rpartition("_")
        day = date(int(day_text[:4]), int(day_text[4:6]), int(day_text[6:]))
        if table in keep_days and day < today - timedelta(days=keep_days[table]):
            await _change(connection, f"DROP TABLE {relname}")
            dropped.append(relname)
    if dropped:
        log.info("partitions.dropped", names=dropped)
    return dropped
