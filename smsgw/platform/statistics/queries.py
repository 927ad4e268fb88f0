"""The statements that read figures; ``accounts`` (None: all) is whose are counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from smsgw.core.errors import Invalid
from smsgw.core.ids import time_of
from smsgw.core.words import phrase
from smsgw.platform.statistics.model import DIMENSIONS, STATUSES, Line
from smsgw.store.engine.database import Database

MAX_ROWS = 10_000
MAX_DAYS = 366

_COLUMN = {
    "day": "s.day",
    "account": "a.name",
    "type": "s.type",
    "sign": "s.sign",
    "channel": "COALESCE(c.name, '')",
    "carrier": "s.carrier",
    "province": "s.province",
    "origin": "s.origin",
}
_COUNTS = ", ".join(
    f"COALESCE(sum(s.messages) FILTER (WHERE s.status = '{status}'), 0)::bigint AS {status}" for status in STATUSES
)
_ASK = """
SELECT {keys}
       COALESCE(sum(s.messages) FILTER (WHERE s.status = 'accepted'), 0)::bigint AS accepted,
       COALESCE(sum(s.parts) FILTER (WHERE s.status = 'accepted'), 0)::bigint AS parts,
       COALESCE(sum(s.units) FILTER (WHERE s.status = 'accepted'), 0)::bigint AS units,
       {counts}
FROM stat_day s JOIN account a ON a.id = s.account_id LEFT JOIN channel c ON c.id = s.channel_id
WHERE s.day >= $1 AND s.day <= $2 AND ($3::bigint[] IS NULL OR s.account_id = ANY($3))
      AND ($4::text IS NULL OR s.type = $4) AND ($5::text IS NULL OR s.sign = $5)
{group} LIMIT $6
"""
_UP_TO = "SELECT LEAST(message_id, event_id) FROM stat_cursor"


async def by_day(
    database: Database,
    *,
    first: date,
    last: date,
    group: Sequence[str],
    accounts: Sequence[int] | None,
    type_: str | None = None,
    sign: str | None = None,
) -> list[Line]:
    """Counts from day ``first`` to day ``last``, in groups; at most ``MAX_ROWS``. ``accounts`` None: all.

    By channel the ends of messages are counted, and what was accepted stands in the group without a channel.
    Raises ``PARAM_INVALID`` for an unknown group or too many days.
    """
    if not group:
        raise Invalid("PARAM_MISSING", field="group")
    if unknown := [name for name in group if name not in DIMENSIONS]:
        reason = phrase("group.unknown", name=unknown[0], known=", ".join(DIMENSIONS))
        raise Invalid("PARAM_INVALID", field="group", reason=reason)
    if not timedelta(0) <= last - first < timedelta(days=MAX_DAYS):
        raise Invalid("PARAM_INVALID", field="to_day", reason=phrase("span.days", days=MAX_DAYS))
    names = list(dict.fromkeys(group))
    keys = "".join(f"{_COLUMN[name]} AS {name}_, " for name in names)
    by = ", ".join(str(n) for n in range(1, len(names) + 1))
    query = _ASK.format(keys=keys, counts=_COUNTS, group=f"GROUP BY {by} ORDER BY {by}")
    rows = await database.fetch(query, first, last, None if accounts is None else list(accounts), type_, sign, MAX_ROWS)
    return [
        Line(
            {name: row[f"{name}_"] for name in names},
            row["accepted"],
            row["parts"],
            row["units"],
            {status: row[status] for status in STATUSES if row[status]},
        )
        for row in rows
    ]


async def counted_to(database: Database) -> datetime:
    """What happened after this is not in the figures by day yet."""
    return time_of(await database.fetchval(_UP_TO))


_MINUTES = """
SELECT minute, metric, sum(n)::bigint AS n FROM stat_minute
WHERE minute >= $1 AND minute < $2 GROUP BY minute, metric ORDER BY minute
"""


async def minutes_between(
    database: Database, *, from_time: datetime, to_time: datetime
) -> list[tuple[datetime, str, int]]:
    """(minute, metric, parts of all accounts) of that time; minutes without traffic are absent."""
    rows = await database.fetch(_MINUTES, from_time, to_time)
    return [(row["minute"], row["metric"], row["n"]) for row in rows]


_PER_HOUR = """
SELECT date_trunc('hour', minute) AS hour, metric, sum(n)::bigint AS n
FROM stat_minute
WHERE minute >= $1 AND minute < $2 AND ($3::bigint[] IS NULL OR account_id = ANY($3))
GROUP BY hour, metric ORDER BY hour
"""


async def per_hour(
    database: Database, *, from_time: datetime, to_time: datetime, accounts: Sequence[int] | None
) -> list[tuple[datetime, str, int]]:
    """(hour, metric, parts) of that time; hours without traffic are absent."""
    rows = await database.fetch(_PER_HOUR, from_time, to_time, None if accounts is None else list(accounts))
    return [(row["hour"], row["metric"], row["n"]) for row in rows]
