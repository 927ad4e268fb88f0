"""Figures of the reports, each beside a count over records by statements of their own."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date

from smsgw.core.actor import Actor
from smsgw.platform.paging import Window
from smsgw.platform.statistics import reports
from smsgw.platform.statistics.reports import Figures, Wanted
from smsgw.store.engine.database import Database

COUNTED = ("submitted", "delivered", "failed", "unknown", "unsent", "pending")
GROUPS = ("", "account", "type", "sign", "carrier", "province", "origin")
_COLUMN = {"": "''", "account": "m.account_id::text"}
# What a message is, by its parts, the first that holds: on its way, never known, failed, not sent, unreported, arrived.
_COUNT = """
SELECT {period} AS day, {column} AS value, count(*) AS submitted,
       count(*) FILTER (WHERE r = 'delivered') AS delivered, count(*) FILTER (WHERE r = 'failed') AS failed,
       count(*) FILTER (WHERE r = 'unknown') AS unknown, count(*) FILTER (WHERE r = 'unsent') AS unsent,
       count(*) FILTER (WHERE r = 'pending') AS pending
FROM (
    SELECT m.*,
           (timestamptz '2024-01-01 00:00:00+00' + (m.id >> 22) * interval '1 ms') AT TIME ZONE 'Asia/Shanghai' AS at,
           (SELECT CASE WHEN bool_or(p.state < 40) THEN 'pending' WHEN bool_or(p.state = 44) THEN 'unknown'
                        WHEN bool_or(p.state = 41) THEN 'failed'
                        WHEN bool_or(p.state = 45) THEN CASE WHEN bool_or(p.state = 45 AND p.by_us) THEN 'unsent'
                                                             ELSE 'failed' END
                        WHEN bool_or(p.state IN (42, 46, 47)) THEN 'unsent' WHEN bool_or(p.state = 43) THEN 'unknown'
                        ELSE 'delivered' END
            FROM part p WHERE p.id = m.id) AS r
    FROM message m WHERE NOT m.test AND m.account_id > 0
) m WHERE at::date BETWEEN $1 AND $2 GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One that a page shows, and what the records come to."""

    what: str
    shown: int
    counted: int


async def sampled(database: Database, first: date, last: date, many: int, seed: int) -> list[Figure]:
    """So many figures of daily and monthly reports, by chance but the same for a seed."""
    found: list[Figure] = []
    for monthly in (False, True):
        for group in GROUPS:
            found += await _compared(database, Wanted(first, last, monthly, group))
    return random.Random(seed).sample(found, min(many, len(found)))  # noqa: S311 - no secret


async def _compared(database: Database, wanted: Wanted) -> list[Figure]:
    lines = {(one.day, one.value): one for one in await _lines(database, wanted)}
    column = _COLUMN.get(wanted.group, f"m.{wanted.group}")
    period = "date_trunc('month', at)::date" if wanted.monthly else "at::date"
    statement = _COUNT.format(period=period, column=column)
    rows = {
        (row["day"], row["value"]): row
        for row in await database.fetch(statement, wanted.first, wanted.last, timeout=600)
    }
    kind = "month" if wanted.monthly else "day"
    return [
        Figure(
            f"{kind} {key[0]} {wanted.group} {key[1]} {name}",
            getattr(lines[key], name) if key in lines else 0,
            rows[key][name] if key in rows else 0,
        )
        for key in sorted(lines.keys() | rows.keys(), key=str)
        for name in COUNTED
    ]


async def _lines(database: Database, wanted: Wanted) -> list[Figures]:
    who, window, found = Actor.system("test"), Window("day", limit=1000), list[Figures]()
    while True:
        got = await reports.search(database, who, wanted, window)
        found += got.rows
        if not got.more:
            return found
        window = Window("day", after=got.keys[-1], limit=1000)
