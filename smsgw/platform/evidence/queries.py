"""The daily roots, as they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from smsgw.core.ids import CHINA
from smsgw.platform.paging import Order, Slice, Window, clauses, slice_of
from smsgw.store.engine.database import Database


@dataclass(frozen=True, slots=True)
class RootView:
    """The root of a day. Its id is the day as a number: 20261126."""

    id: int
    day: date
    leaves: int
    root: str
    made_at: datetime


_PAGE = """
SELECT to_char(r.day, 'YYYYMMDD')::bigint AS id, {key} AS _key, r.day, r.leaves, encode(r.root, 'hex') AS root,
       r.made_at
FROM evidence_root r WHERE r.day >= $1 AND r.day <= $2 AND {where} ORDER BY {order}
"""
ORDERS = {"day": Order("to_char(r.day, 'YYYYMMDD')::bigint", "bigint")}
_ID = "to_char(r.day, 'YYYYMMDD')::bigint"


async def search(database: Database, window: Window, first: datetime, last: datetime) -> Slice[RootView]:
    """Roots of the days between two times."""
    days = [at.astimezone(CHINA).date() for at in (first, last)]
    c = clauses(ORDERS, window, id_=_ID, first=3)
    rows = await database.fetch(_PAGE.format(key=c.key, where=c.where, order=c.order), *days, *c.arguments)
    got = slice_of(rows, window, c.limit)
    return Slice([RootView(**{n: r[n] for n in RootView.__slots__}) for r in got.rows], got.keys, got.more)


_ROOTS = "SELECT day, encode(root, 'hex') AS root, leaves FROM evidence_root WHERE day >= $1 AND day < $2 ORDER BY day"


async def roots(database: Database, first: date, before: date) -> list[tuple[date, str, int]]:
    """(day, root in hex, leaves) of the days from ``first`` on."""
    return [(r["day"], r["root"], r["leaves"]) for r in await database.fetch(_ROOTS, first, before)]
