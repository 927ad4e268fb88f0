"""The alarms that people look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Database, Row
from smsgw.store.records import alarms
from smsgw.store.records.alarms import Alarm

__all__ = ["Alarm", "Wanted", "count", "one", "page", "search", "unattended"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alarms are looked for; what is empty narrows nothing."""

    state: str = ""
    """``open``: nobody looks after it yet; ``taken``: open, and somebody does; ``cleared``."""
    severity: str = ""
    kind: str = ""
    object: str = ""
    """Part of it."""
    since: datetime | None = None
    until: datetime | None = None


async def page(database: Database, *, everything: bool = False, limit: int = 200) -> list[Alarm]:
    """Open alarms, the gravest first; with ``everything`` the cleared ones after them."""
    return await alarms.list_(database, everything=everything, limit=limit)


_STANDING = "(cleared_at IS NULL)::int::text || to_char(since AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')"
_ORDERS = {"since": Order("since", "timestamptz"), "state": Order(_STANDING, "text")}
"""``state``: what stands before what is over, each by its time."""
_MATCHES = """
($1 = '' OR $1 = CASE WHEN cleared_at IS NOT NULL THEN 'cleared' WHEN acked_at IS NOT NULL THEN 'taken' ELSE 'open' END)
AND ($2 = '' OR severity = $2) AND ($3 = '' OR kind = $3) AND ($4 = '' OR strpos(object, $4) > 0)
AND ($5::timestamptz IS NULL OR since >= $5) AND ($6::timestamptz IS NULL OR since < $6)
"""
_SEARCH = f"SELECT {alarms.COLUMNS}, {{key}} AS _key FROM alarm WHERE {_MATCHES} AND {{where}} ORDER BY {{order}}"  # noqa: S608
_COUNT = f"SELECT count(*) FROM (SELECT FROM alarm WHERE {_MATCHES} LIMIT $7) f"  # noqa: S608
_ONE = f"SELECT {alarms.COLUMNS} FROM alarm WHERE id = $1"  # noqa: S608
_OPEN = "SELECT count(*) FROM (SELECT FROM alarm WHERE cleared_at IS NULL AND acked_at IS NULL LIMIT $1) f"
MOST_OPEN = 100
"""Beyond which alarms that nobody looks after are not counted."""


def _asked(wanted: Wanted) -> tuple[object, ...]:
    return wanted.state, wanted.severity, wanted.kind, wanted.object, wanted.since, wanted.until


async def search(database: Database, wanted: Wanted, window: Window) -> Slice[Alarm]:
    """Alarms, open and over."""
    return await read(database, _SEARCH, _asked(wanted), _ORDERS, window, _alarm, id_="id")


def _alarm(row: Row) -> Alarm:
    return alarms.read({name: value for name, value in row.items() if name != "_key"})


async def count(database: Database, wanted: Wanted, most: int) -> int:
    """How many ``search`` finds, counted up to one more than ``most``."""
    number: int = await database.fetchval(_COUNT, *_asked(wanted), most + 1)
    return number


async def one(database: Database, id_: int) -> Alarm | None:
    """An alarm by its id."""
    row = await database.fetchrow(_ONE, id_)
    return None if row is None else alarms.read(dict(row))


async def unattended(database: Database) -> int:
    """Open alarms that nobody looks after yet; at most ``MOST_OPEN``."""
    number: int = await database.fetchval(_OPEN, MOST_OPEN)
    return number
