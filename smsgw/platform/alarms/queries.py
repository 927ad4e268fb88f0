"""The alarms that people look at. ``accounts`` (None: all) is whose they may see: who sees some accounts alone sees the
alarms about those, and none about channels, nodes and the platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Database, Row
from smsgw.store.records import alarms
from smsgw.store.records.alarms import Alarm

__all__ = ["Alarm", "Alike", "Wanted", "alike", "count", "one", "page", "search", "unattended"]


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


_PAGE = f"""
SELECT {alarms.COLUMNS} FROM alarm
WHERE $1 OR cleared_at IS NULL ORDER BY cleared_at IS NOT NULL, severity = 'warning', since DESC LIMIT $2
"""  # noqa: S608 - a constant


async def page(database: Database, *, everything: bool = False, limit: int = 200) -> list[Alarm]:
    """Open alarms of all accounts, the gravest first; with ``everything`` the cleared ones after them."""
    return [_alarm(row) for row in await database.fetch(_PAGE, everything, limit)]


@dataclass(slots=True)
class Alike:
    """Open alarms of one kind and severity."""

    newest: list[Alarm]
    """Some of them."""
    number: int
    since: datetime
    """Of the oldest."""
    taken: int
    """How many somebody looks after."""


_ALIKE = f"""
SELECT * FROM (
    SELECT {alarms.COLUMNS}, count(*) OVER alike AS _number, min(since) OVER alike AS _since,
        count(acked_at) OVER alike AS _taken, max(since) OVER alike AS _newest,
        row_number() OVER (PARTITION BY severity, kind ORDER BY since DESC, id) AS _nth
    FROM alarm WHERE cleared_at IS NULL AND ($1::bigint[] IS NULL OR account_id = ANY($1))
    WINDOW alike AS (PARTITION BY severity, kind)
) a WHERE _nth <= $2 ORDER BY severity = 'warning', _newest DESC, kind, _nth
"""  # noqa: S608 - constants


async def alike(database: Database, *, accounts: Sequence[int] | None, kinds: int, each: int) -> list[Alike]:
    """Open alarms by kind, the gravest first: at most so many kinds, and the newest of each."""
    found: dict[tuple[str, str], Alike] = {}
    for row in await database.fetch(_ALIKE, _whose(accounts), each):
        own = found.setdefault(
            (row["severity"], row["kind"]), Alike([], row["_number"], row["_since"], row["_taken"])
        )
        own.newest.append(_alarm(row))
    return list(found.values())[:kinds]


_STANDING = "(cleared_at IS NULL)::int::text || to_char(since AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')"
_ORDERS = {"since": Order("since", "timestamptz"), "state": Order(_STANDING, "text")}
"""``state``: what stands before what is over, each by its time."""
_MATCHES = """
($1 = '' OR $1 = CASE WHEN cleared_at IS NOT NULL THEN 'cleared' WHEN acked_at IS NOT NULL THEN 'taken' ELSE 'open' END)
AND ($2 = '' OR severity = $2) AND ($3 = '' OR kind = $3) AND ($4 = '' OR strpos(object, $4) > 0)
AND ($5::timestamptz IS NULL OR since >= $5) AND ($6::timestamptz IS NULL OR since < $6)
AND ($7::bigint[] IS NULL OR account_id = ANY($7))
"""
_SEARCH = f"SELECT {alarms.COLUMNS}, {{key}} AS _key FROM alarm WHERE {_MATCHES} AND {{where}} ORDER BY {{order}}"  # noqa: S608
_COUNT = f"SELECT count(*) FROM (SELECT FROM alarm WHERE {_MATCHES} LIMIT $8) f"  # noqa: S608
_ONE = f"SELECT {alarms.COLUMNS} FROM alarm WHERE id = $1 AND ($2::bigint[] IS NULL OR account_id = ANY($2))"  # noqa: S608
_OPEN = """
SELECT count(*) FROM (
    SELECT FROM alarm WHERE cleared_at IS NULL AND acked_at IS NULL AND ($1::bigint[] IS NULL OR account_id = ANY($1))
    LIMIT $2) f
"""
MOST_OPEN = 100
"""Beyond which alarms that nobody looks after are not counted."""


def _whose(accounts: Sequence[int] | None) -> list[int] | None:
    return None if accounts is None else list(accounts)


def _asked(wanted: Wanted, accounts: Sequence[int] | None) -> tuple[object, ...]:
    w = wanted
    return w.state, w.severity, w.kind, w.object, w.since, w.until, _whose(accounts)


async def search(
    database: Database, wanted: Wanted, window: Window, *, accounts: Sequence[int] | None
) -> Slice[Alarm]:
    """Alarms, open and over."""
    return await read(database, _SEARCH, _asked(wanted, accounts), _ORDERS, window, _alarm, id_="id")


def _alarm(row: Row) -> Alarm:
    return alarms.read({name: value for name, value in row.items() if not name.startswith("_")})


async def count(database: Database, wanted: Wanted, most: int, *, accounts: Sequence[int] | None) -> int:
    """How many ``search`` finds, counted up to one more than ``most``."""
    number: int = await database.fetchval(_COUNT, *_asked(wanted, accounts), most + 1)
    return number


async def one(database: Database, id_: int, *, accounts: Sequence[int] | None) -> Alarm | None:
    """An alarm by its id."""
    row = await database.fetchrow(_ONE, id_, _whose(accounts))
    return None if row is None else alarms.read(dict(row))


async def unattended(database: Database, *, accounts: Sequence[int] | None) -> int:
    """Open alarms that nobody looks after yet; at most ``MOST_OPEN``."""
    number: int = await database.fetchval(_OPEN, _whose(accounts), MOST_OPEN)
    return number
