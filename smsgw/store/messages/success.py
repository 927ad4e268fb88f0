"""Failures that do not count against a channel: counted by day, and for the alarm about channels that do too little.

What is left out of a day is decided by the rules that hold on it, for figures and the records that they lead to alike.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from smsgw.core.alarm_rules import Rules
from smsgw.core.alarms import WARNING, Finding
from smsgw.core.ids import EPOCH_MS, day_range, first_id
from smsgw.core.model import PROBE_ACCOUNT
from smsgw.core.settings import Settings
from smsgw.core.shifting import Standing
from smsgw.core.words import phrase
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.states import by_name

PATIENCE = 300.0
"""Seconds for a day."""
_LATE = timedelta(days=1)
"""Failures of messages that were accepted longer ago are not looked for by the alarm."""
FAILED = by_name("s.state IN (:UNDELIVERABLE, :REJECTED) AND NOT s.by_us")
"""A part ``s`` that a carrier has failed."""
BARE_CODE = "upper(trim(split_part(s.code, '/', 1)))"
"""The code of a part ``s`` as rules spell codes: without its error number."""


def day_at(id_: str) -> str:
    """The day of an id."""
    return f"(to_timestamp((({id_} >> 22) + {EPOCH_MS}) / 1000.0) AT TIME ZONE 'Asia/Shanghai')::date"


def rules_on(day: str, kind: str, what: str = "value", also: str = "") -> str:
    """Of the rules that hold on a day for codes or classes: an array, always in the same order."""
    rules = f"exclusion WHERE version = exclusions_on({day}) AND kind = '{kind}'{also}"
    return f"ARRAY(SELECT {what} FROM {rules} ORDER BY value)"  # noqa: S608 - constants


def excluded_as(day: str) -> str:
    """The category by which the failure of a part ``s`` does not count on a day; NULL: it does. A code goes before its
    class. Where the day is the same for all rows, the rules are read once a statement."""

    def found(kind: str, value: str) -> str:
        return f"({rules_on(day, kind, 'category')})[array_position({rules_on(day, kind)}, {value})]"

    return f"COALESCE({found('code', BARE_CODE)}, {found('class', 's.class')})"


def left_out_as(day: str) -> str:
    """As what a message of that day is left out, over its parts ``s``; NULL: it counts."""
    category = excluded_as(day)
    return (
        f"CASE WHEN bool_and({category} IS NOT NULL) FILTER (WHERE {FAILED})"
        f" THEN (array_agg({category} ORDER BY s.part) FILTER (WHERE {FAILED}))[1] END"
    )


# A day is counted by whichever node comes to it, when it is looked at, and on demand.
_TAKE_TURNS = "SELECT pg_advisory_xact_lock(1818584692, $1::date - DATE '2000-01-01')"
_FORGET = "DELETE FROM left_out_day WHERE day = $1"
# Of those that have failed as a whole, in the order of endings that the statistics know (store/messages/checking).
_COUNT = by_name(f"""
INSERT INTO left_out_day (day, account_id, channel_id, carrier, category, version, messages)
SELECT $3, m.account_id, f.channel_id, m.carrier, f.category, exclusions_on($3), count(*)
FROM (
    SELECT s.id, COALESCE(max(s.channel_id) FILTER (WHERE s.part = 1), 0) AS channel_id,
           {left_out_as("$3")} AS category
    FROM part s
    WHERE s.id >= $1 AND s.id < $2 AND s.id IN (
        SELECT s.id FROM part s WHERE s.id >= $1 AND s.id < $2 AND s.state > :DELIVERED AND {FAILED})
    GROUP BY s.id HAVING NOT bool_or(s.state < :DELIVERED OR s.state = :UNCONFIRMED)
) f JOIN message m ON m.id = f.id AND m.id >= $1 AND m.id < $2
WHERE f.category IS NOT NULL AND NOT m.test GROUP BY 2, 3, 4, 5
""")  # noqa: S608 - constants
_ANY = "SELECT exclusions_on($1) IS NOT NULL"


async def count_day(connection: Connection, day: date) -> None:
    """Count anew what is left out of a day, whose records must all be there; after whoever does it now."""
    low, high = day_range(day)
    await connection.execute(_TAKE_TURNS, day, timeout=PATIENCE)
    await connection.execute(_FORGET, day)
    if await connection.fetchval(_ANY, day):
        await connection.execute(_COUNT, low, high, day, timeout=PATIENCE)


# Parts that have ended within these minutes; of the failed ones, where they are too many, those that do not count.
_ENDED = by_name(f"""
WITH ended AS (
    SELECT channel_id, sum(n) AS n, COALESCE(sum(n) FILTER (WHERE metric = 'delivered'), 0) AS delivered
    FROM stat_minute WHERE minute >= $1 AND metric IN ('delivered', 'failed', 'unknown') AND channel_id > 0
    GROUP BY 1 HAVING sum(n) >= $2
), excluded AS (
    SELECT s.channel_id, sum(s.n) AS n FROM (
        SELECT s.channel_id, {day_at("s.id")} AS day, s.class, s.code, count(*) AS n FROM part s
        WHERE s.id >= $3 AND s.state > :DELIVERED AND {FAILED} AND s.final_at >= $1 AND s.account_id <> {PROBE_ACCOUNT}
          AND s.channel_id IN (SELECT channel_id FROM ended WHERE delivered * 100 < n * $4::int)
        GROUP BY 1, 2, 3, 4
    ) s WHERE {excluded_as("s.day")} IS NOT NULL GROUP BY 1
)
SELECT e.channel_id, c.name, e.n::bigint, e.delivered::bigint,
       LEAST(COALESCE(x.n, 0), e.n - e.delivered)::bigint AS left_out
FROM ended e LEFT JOIN excluded x USING (channel_id) JOIN channel c ON c.id = e.channel_id ORDER BY c.name LIMIT 1000
""")  # noqa: S608


async def standings(
    database: Database, settings: Settings, now: datetime, *, below: int | None = None
) -> list[Standing]:
    """What has ended within ``success_minutes`` at channels where it is enough to say anything, by name. What does not
    count is told of those that deliver less than ``below`` percent (``success_limit``)."""
    since = (now - timedelta(minutes=settings.success_minutes)).replace(second=0, microsecond=0)
    rows = await database.fetch(
        _ENDED,
        since,
        settings.success_least,
        first_id(since - _LATE),
        settings.success_limit if below is None else below,
        timeout=30,
    )
    return [Standing(*row.values()) for row in rows]


async def findings(database: Database, rules: Rules, settings: Settings, now: datetime) -> list[Finding]:
    """Channels that have delivered less of what counts than their rules say."""
    every = (rules.of("success_low"), *rules.exceptions("success_low"))
    limits = [rule.values["threshold"] for rule in every if rule.on]
    if not any(limits):
        return []
    found = []
    for one in await standings(database, settings, now, below=max(limits)):
        limit = rules.threshold("success_low", f"channel/{one.name}")
        if one.rate < limit:
            detail = phrase(
                "alarm.success", minutes=settings.success_minutes, limit=limit, ended=one.ended,
                delivered=one.delivered, excluded=one.left_out, rate=f"{one.rate:.2f}",
                raw=f"{100 * one.delivered / one.ended:.2f}",
            )  # fmt: skip
            found.append(Finding("success_low", f"channel/{one.name}", WARNING, detail))
    return found
