"""Whether figures are what the records come to: days against messages and parts, months against their days; and the
account of each day: accepted = submitted + refused for a reason + held.

Counted from parts, and not from the reports to customers that the roll-up counts: one mistake is not made twice.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from smsgw.core.alarms import CRITICAL, Finding
from smsgw.core.ids import CHINA, day_range
from smsgw.core.words import listed, phrase
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.states import by_name
from smsgw.store.messages import acknowledged, daily, success

A_NIGHT = 31
"""Days that are looked at in one; those that have waited longest come first."""
PATIENCE = 600.0
"""Seconds for a day."""
AGAIN = timedelta(minutes=10)
"""What differs is looked at again: a report may have come in between."""
MOST_TOLD = 50

OUT = by_name("""(s.state NOT IN (:HELD, :SCHEDULED, :QUEUED, :DEFERRED, :EXPIRED, :CANCELLED, :DUPLICATE)
                  AND NOT (s.state = :REJECTED AND s.by_us))""")
"""A part ``s`` that has gone to a carrier."""
OPEN = by_name("s.state IN (:HELD, :SCHEDULED, :QUEUED, :DEFERRED)")
"""One that waits with us."""
UNTOLD = by_name("s.state = :REJECTED AND s.code = '' AND s.class = ''")
"""One that was refused, and nobody has said why."""

# How a message has ended, by all of its parts: the first that holds. A kind counts by its own name, as in ``daily``.
_MESSAGES = by_name(f"""
WITH p AS (
    SELECT s.id, max(s.channel_id) FILTER (WHERE s.part = 1) AS channel_id, bool_or({OUT}) AS gone,
           bool_or({OPEN}) AS open, bool_or({UNTOLD}) AS untold,
           CASE WHEN bool_or(s.state < :DELIVERED) THEN 'pending' WHEN bool_or(s.state = :UNCONFIRMED) THEN 'unknown'
                WHEN bool_or(s.state = :UNDELIVERABLE) THEN 'failed'
                WHEN bool_or(s.state = :REJECTED AND s.by_us) THEN 'unsent'
                WHEN bool_or(s.state = :REJECTED) THEN 'failed'
                WHEN bool_or(s.state IN (:EXPIRED, :CANCELLED, :DUPLICATE)) THEN 'unsent'
                WHEN bool_or(s.state = :NO_REPORT) THEN 'unknown' ELSE 'delivered' END AS word
    FROM part s WHERE s.id >= $1 AND s.id < $2 GROUP BY s.id
), m AS MATERIALIZED (
    SELECT m.account_id, COALESCE(NULLIF(m.kind, ''), m.type) AS type, m.sign, m.carrier, m.province, m.origin,
           m.submitter, m.price, COALESCE(p.channel_id, 0)::text AS at, COALESCE(p.word, 'pending') AS word, p.gone,
           p.open, p.untold
    FROM message m LEFT JOIN p ON p.id = m.id WHERE m.id >= $1 AND m.id < $2 AND NOT m.test
)
""")  # noqa: S608 - constants
_WORD = """
CASE WHEN status IN ('accepted', 'delivered', 'failed') THEN status
     WHEN status IN ('no_report', 'unconfirmed') THEN 'unknown' ELSE 'unsent' END
"""
_COMPARED = """
SELECT count(*)::int AS compared, count(*) FILTER (WHERE shown <> counted)::int AS different,
       COALESCE((SELECT jsonb_agg(d) FROM (
           SELECT * FROM f WHERE shown <> counted ORDER BY dimension, account_id, value, word, unit LIMIT {most}
       ) d), '[]')::text AS differences
FROM f
"""
# Each figure twice: messages, and billable units.
_BOTH = """
f AS (
    SELECT dimension, account_id, value, word, u.unit, COALESCE(u.shown, 0)::bigint AS shown,
           COALESCE(u.counted, 0)::bigint AS counted
    FROM counted c FULL JOIN shown s USING (dimension, account_id, value, word)
    CROSS JOIN LATERAL (VALUES ('messages', s.n, c.n), ('units', s.units, c.units)) u (unit, shown, counted)
    WHERE {which}
)
"""
# Who has sent is not known of days that were counted before it was.
_KNOWN = "dimension <> 'submitter' OR EXISTS (SELECT FROM stat_person WHERE day = $3)"
_DAY = f"""{_MESSAGES}, each AS (
    SELECT account_id, type, sign, carrier, province, origin, submitter, price, '0' AS channel, 'accepted' AS ended
    FROM m
    UNION ALL
    SELECT account_id, type, sign, carrier, province, origin, submitter, price, at, word FROM m WHERE word <> 'pending'
), counted AS (
    SELECT CASE WHEN type IS NOT NULL THEN 'type' WHEN sign IS NOT NULL THEN 'sign'
                WHEN channel IS NOT NULL THEN 'channel' WHEN carrier IS NOT NULL THEN 'carrier'
                WHEN province IS NOT NULL THEN 'province' WHEN origin IS NOT NULL THEN 'origin'
                WHEN submitter IS NOT NULL THEN 'submitter' ELSE '' END AS dimension,
           account_id, COALESCE(type, sign, channel, carrier, province, origin, submitter, '') AS value, ended AS word,
           count(*) AS n, sum(price) AS units
    FROM each
    GROUP BY account_id, ended,
             GROUPING SETS ((), (type), (sign), (channel), (carrier), (province), (origin), (submitter))
), shown AS (
    SELECT dimension, account_id, value, {_WORD} AS word, sum(messages) AS n, sum(units) AS units
    FROM stat_sum WHERE span = 'day' AND day = $3 GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT 'submitter', account_id, submitter, {_WORD}, sum(messages), sum(units)
    FROM stat_person WHERE day = $3 GROUP BY 2, 3, 4
), {_BOTH.format(which=_KNOWN)} {_COMPARED.format(most=MOST_TOLD)}
"""  # noqa: S608 - constants
_MONTH = f"""
WITH counted AS (
    SELECT dimension, account_id, value, status AS word, sum(messages) AS n, sum(units) AS units
    FROM stat_sum WHERE span = 'day' AND day >= $1 AND day < $1 + interval '1 month' GROUP BY 1, 2, 3, 4
), shown AS (
    SELECT dimension, account_id, value, status AS word, messages AS n, units
    FROM stat_sum WHERE span = 'month' AND day = $1
), {_BOTH.format(which="true")} {_COMPARED.format(most=MOST_TOLD)}
"""  # noqa: S608
_ACCOUNT = f"""
{_MESSAGES}
SELECT count(*) FILTER (WHERE gone) AS submitted, count(*) FILTER (WHERE NOT gone AND open) AS held,
       count(*) FILTER (WHERE NOT gone AND NOT open AND NOT untold) AS refused
FROM m
"""  # noqa: S608
_ACCEPTED = """
SELECT COALESCE(sum(messages), 0)::bigint FROM stat_sum
WHERE span = $1 AND dimension = '' AND day = $2 AND status = 'accepted'
"""
_GONE = "SELECT $1 <= records_gone FROM stat_cursor"
_KEEP = """
INSERT INTO figure_check
    (span, day, checked_at, compared, different, differences, accepted, submitted, refused, held)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, $10)
ON CONFLICT (span, day) DO UPDATE
SET checked_at = excluded.checked_at, compared = excluded.compared, different = excluded.different,
    differences = excluded.differences, accepted = excluded.accepted, submitted = excluded.submitted,
    refused = excluded.refused, held = excluded.held
"""
_OF_MONTH = """
SELECT COALESCE(sum(submitted), 0)::bigint AS submitted, COALESCE(sum(refused), 0)::bigint AS refused,
       COALESCE(sum(held), 0)::bigint AS held, COALESCE(sum(accepted), 0)::bigint AS accepted
FROM figure_check WHERE span = 'day' AND day >= $1 AND day < $1 + interval '1 month'
"""


async def look(connection: Connection, day: date, now: datetime) -> int:
    """Compare a day and its month, and keep what was found; figures that differ. Of days whose reports may still come
    the account alone is looked at; nothing of one that is not over, as messages are counted a little after they come,
    or whose records retention has removed.
    """
    if day >= now.astimezone(CHINA).date() or await connection.fetchval(_GONE, day):
        return 0
    low, high = day_range(day)
    found: dict[str, object] = {"compared": 0, "different": 0, "differences": "[]"}
    if day <= now.astimezone(CHINA).date() - timedelta(days=daily.SETTLED):
        found = dict(await connection.fetchrow(_DAY, low, high, day, timeout=PATIENCE) or found)
    await success.count_day(connection, day)
    await acknowledged.count_day(connection, day)
    account = await connection.fetchrow(_ACCOUNT, low, high, timeout=PATIENCE)
    accepted = await connection.fetchval(_ACCEPTED, "day", day)
    await _keep(connection, "day", day, now, found, {"accepted": accepted, **dict(account or {})})
    month = day.replace(day=1)
    of_month = dict(await connection.fetchrow(_MONTH, month, timeout=PATIENCE) or found)
    account = await connection.fetchrow(_OF_MONTH, month)
    await _keep(connection, "month", month, now, of_month, dict(account or {}))
    return int(str(found["different"])) + int(of_month["different"])


async def _keep(
    connection: Connection, span: str, day: date, now: datetime, found: dict[str, object], account: dict[str, int]
) -> None:
    counts = (account[name] for name in ("accepted", "submitted", "refused", "held"))
    await connection.execute(
        _KEEP, span, day, now, found["compared"], found["different"], found["differences"], *counts
    )


_NEXT = """
SELECT d.day FROM unnest($1::date[], $2::bigint[], $3::bigint[]) AS d (day, low, high)
LEFT JOIN figure_check c ON c.span = 'day' AND c.day = d.day
WHERE (c.checked_at IS NULL OR c.checked_at < $4 OR (
       c.checked_at < $5 AND (c.different > 0 OR c.accepted <> c.submitted + c.refused + c.held)))
  AND (SELECT count(*) FROM figure_check k WHERE k.span = 'day' AND k.checked_at >= $4 AND k.different = 0) < $6
  AND (EXISTS (SELECT FROM message m WHERE m.id >= d.low AND m.id < d.high)
       OR EXISTS (SELECT FROM stat_sum s WHERE s.span = 'day' AND s.dimension = '' AND s.day = d.day))
ORDER BY c.checked_at NULLS FIRST, d.day DESC LIMIT 1
"""


async def look_on(database: Database, now: datetime, kept: int, events_kept: int) -> date | None:
    """The nightly step, after the recount of settled days: look at the day that has waited longest, of those whose
    records are kept (``kept`` days), and put right before what of its statistics was late, while its reports are all
    there (``events_kept``). The day; None when this night's are done."""
    midnight = datetime.combine(now.astimezone(CHINA).date(), datetime.min.time(), CHINA)
    days = [midnight.date() - timedelta(days=n) for n in range(1, kept)]
    lows, highs = zip(*map(day_range, days), strict=True) if days else ((), ())
    async with database.transaction(timeout=2 * PATIENCE) as connection:
        day: date | None = await connection.fetchval(_NEXT, days, lows, highs, midnight, now - AGAIN, A_NIGHT)
        if day is not None:
            if day >= midnight.date() - timedelta(days=min(events_kept, daily.SETTLED - 1)):
                await daily.recount(connection, day)
            await look(connection, day, now)
    return day


# A month's account is that of its days, which are told of themselves.
_WRONG = """
SELECT c.day FROM figure_check c, stat_cursor k
WHERE (c.different > 0 OR c.accepted <> c.submitted + c.refused + c.held)
  AND CASE c.span WHEN 'day' THEN c.day > k.records_gone ELSE c.different > 0 END
ORDER BY c.day LIMIT 10
"""


async def findings(database: Database) -> list[Finding]:
    """Days whose figures are not what their records come to, as long as these are kept."""
    days = [f"{row['day']}" for row in await database.fetch(_WRONG)]
    detail = phrase("alarm.figures", days=listed(days))
    return [Finding("figures_differ", "statistics", CRITICAL, detail)] if days else []
