"""Day partitions: made ahead, analysed early, dropped when their retention is over and nothing in them is unfinished.

Ids decide the day, not the calendar: partitions are made around today and around the last ids. What finds no partition
goes to the default one and is as good there; the partition that it should have had takes it over when it is made.

Making and dropping is the owner's: functions of the schema do it (docs/adr/036).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import asyncpg
import structlog

from smsgw.core.ids import day_of, day_range
from smsgw.core.words import Wording, listed, phrase
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.states import by_name

log = structlog.get_logger(__name__)

TABLES = (
    "message", "part", "attempt", "event", "mo", "customer_event", "webhook_attempt", "partner_part", "evidence",
    "submit_pdu", "link_click", "message_link",
)  # fmt: skip
DAYS_BACK = 1
DAYS_AHEAD = 8
OF_MESSAGES = ("message", "part", "attempt", "event", "partner_part", "message_link")
"""What a day keeps as long as a part of it is unfinished."""

INDEX_PATIENCE = 1800.0
"""Seconds for one index of a day."""
_DEFAULT = "99991231"
"""In the place of the day: default partitions have the name of a day that never comes."""

TODAY = "SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date"

_EXISTING = f"""
SELECT c.relname
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE p.relname = ANY($1::text[]) AND c.relname <> p.relname || '_{_DEFAULT}'
"""  # noqa: S608 - constant text


def name(table: str, day: date) -> str:
    """The partition of ``table`` for that business day."""
    return f"{table}_{day:%Y%m%d}"


def _split(relname: str) -> tuple[str, date]:
    table, _, text = relname.rpartition("_")
    return table, date(int(text[:4]), int(text[4:6]), int(text[6:]))


_MAKE = "SELECT partition_make($1, $2)"
_DROP = "SELECT partition_drop($1, $2)"
_INDEX = "SELECT partition_index($1, $2)"
SETTLED = {"message": 1, "part": 4}
"""Days until nothing of a day is changed any more: reports come for 72 hours."""


async def index(connection: Connection, today: date, table: str, done: date | None) -> date | None:
    """Make the indexes for searching that the settled days after ``done`` have not yet; the last of these days. One
    statement an index, each of which may take a minute for a million rows and keeps nobody from writing other days."""
    last = today - timedelta(days=SETTLED[table] + 1)
    days = sorted(_split(row["relname"])[1] for row in await connection.fetch(_EXISTING, [table]))
    for day in (day for day in days if day <= last and (done is None or day > done)):
        while made := await connection.fetchval(_INDEX, table, day, timeout=INDEX_PATIENCE):
            log.info("partitions.indexed", index=made)
        done = day
    return done


def wanted(today: date, newest: int = 0) -> list[date]:
    """The days that must have partitions: around today, and around the day of the highest id in use."""
    days = set()
    for middle in {today, day_of(newest) if newest else today}:
        days |= {middle + timedelta(days=n) for n in range(-DAYS_BACK, DAYS_AHEAD + 1)}
    return sorted(days)


async def ensure(connection: Connection, today: date, *, newest: int = 0) -> int:
    """Make every missing partition from yesterday to eight days ahead, and the same around the id ``newest``.

    The number made. What cannot be made beside a long reader is left for the next time: until then its rows go to the
    default partition.
    """
    existing = {row["relname"] for row in await connection.fetch(_EXISTING, list(TABLES))}
    made = 0
    missing = ((table, day) for day in wanted(today, newest) for table in TABLES if name(table, day) not in existing)
    try:
        for table, day in missing:
            await _make(connection, table, day)
            made += 1
    except asyncpg.LockNotAvailableError:
        log.warning("partitions.put_off", partition=name(table, day), reason="somebody reads its table")
    if made:
        log.info("partitions.made", count=made, today=str(today))
    return made


async def _make(connection: Connection, table: str, day: date) -> None:
    if await connection.fetchval(_MAKE, table, day) == "moved":
        reason = "the day had no partition when its rows came"
        log.warning("partitions.moved", partition=name(table, day), reason=reason)


async def overdue(connection: Connection, today: date, table: str, keep_days: int) -> list[date]:
    """Days of a table whose retention is over and whose partition is still there."""
    found = [_split(row["relname"])[1] for row in await connection.fetch(_EXISTING, [table])]
    return sorted(day for day in found if day < today - timedelta(days=keep_days))


# As the index of a settled day's few open parts says it (``partition_index``): final states are those from there on.
_UNFINISHED = by_name("SELECT EXISTS (SELECT FROM part WHERE id >= $1 AND id < $2 AND state < :DELIVERED)")
UNFINISHED_PATIENCE = 300.0
"""Seconds for a day that has no such index yet."""


async def unfinished(connection: Connection, day: date) -> bool:
    """Whether a part of that day has not come to its end."""
    found: bool = await connection.fetchval(_UNFINISHED, *day_range(day), timeout=UNFINISHED_PATIENCE)
    return found


async def old(connection: Connection, today: date, keep_days: dict[str, int]) -> dict[date, list[str]]:
    """Days whose time is over (of tables that are not named it never is), with the tables that have partitions of them,
    oldest first."""
    days: dict[date, list[str]] = {}
    for row in await connection.fetch(_EXISTING, list(keep_days)):
        table, day = _split(row["relname"])
        if table in keep_days and day < today - timedelta(days=keep_days[table]):
            days.setdefault(day, []).append(table)
    return dict(sorted(days.items()))


async def drop(connection: Connection, day: date, tables: Sequence[str]) -> bool:
    """Drop the partitions of a day; whether the next day may be tried.

    A day with a part that is not finished is kept, whatever its age: it stays ``overdue``. Whoever reads a table for
    long (a backup does) must not make all writers queue behind us: the rest is left for the next time.
    """
    dropped = []
    try:
        keeps = OF_MESSAGES if {*tables} & {*OF_MESSAGES} and await unfinished(connection, day) else ()
        for table in sorted(set(tables) - set(keeps)):
            await connection.execute(_DROP, table, day)
            dropped.append(name(table, day))
    except asyncpg.LockNotAvailableError:
        log.info("partitions.put_off", partition=name(table, day), reason="somebody reads its table")
        return False
    finally:
        if dropped:
            log.info("partitions.dropped", names=dropped)
    return True


_STRAYS = " UNION ALL ".join(
    f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {table}_{_DEFAULT})"  # noqa: S608 - our own names
    for table in TABLES
)


async def trouble(database: Database, newest: int, today: date) -> Wording | None:
    """What is wrong with the partitions, for people: rows in default ones, tomorrow without one. None: nothing."""
    strays = [row[0] for row in await database.fetch(_STRAYS)]
    tomorrow = max(today, day_of(newest) if newest else today) + timedelta(days=1)
    wants = [name(table, tomorrow) for table in TABLES]
    missing = await database.fetch("SELECT w FROM unnest($1::text[]) w WHERE to_regclass(w) IS NULL", wants)
    said = []
    if missing:
        said.append(phrase("alarm.no_partition", day=str(tomorrow), tables=listed(row[0] for row in missing)))
    if strays:
        said.append(phrase("alarm.strays", tables=listed(strays)))
    return listed(said) if said else None
