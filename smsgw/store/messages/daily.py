"""Statistics by day of acceptance: rolled up from the rows that are the truth, and recounted from them.

``stat_day`` has all combinations of what is asked for, ``stat_person`` who has sent. The sums that reports read
(``stat_sum``) follow ``stat_day`` by its triggers, in the same transaction (docs/adr/062).

Nothing is counted on the hot path. A roll-up reads what has been written since it last ran, up to ``MARGIN`` ago
(ids are made before their commit), and a nightly recount puts right whatever came later than that.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from smsgw.core.ids import CHINA, EPOCH_MS, day_of, day_range, first_id
from smsgw.store.engine.database import Connection, Database, Row

MARGIN = timedelta(seconds=15)
"""What is younger may not be committed yet; a call is given up after 3 s without a commit."""
STEP = timedelta(minutes=2)
"""Ids of a transaction, as a stretch of time."""
SETTLED = 4
"""Days until a day gets its last recount: reports come for 72 hours."""

RECOUNT_PATIENCE = 300.0
"""Seconds for a statement over a whole day."""


# Another node is at it: nothing to do.
_CURSOR = "SELECT message_id, event_id, recounted FROM stat_cursor FOR UPDATE SKIP LOCKED"
_CURSOR_WAIT = "SELECT message_id, event_id, recounted, events_gone FROM stat_cursor FOR UPDATE"
_MOVE = "UPDATE stat_cursor SET message_id = $1, event_id = $2"
_RECOUNTED = "UPDATE stat_cursor SET recounted = $1"
_OLDEST = "SELECT LEAST((SELECT min(id) FROM message), (SELECT min(id) FROM customer_event))"

_MORE = """
DO UPDATE
SET messages = s.messages + excluded.messages, parts = s.parts + excluded.parts, units = s.units + excluded.units
"""
_ADD = f"""
WITH r (day, account_id, type, sign, channel_id, carrier, province, origin, submitter, status, messages, parts, units)
AS MATERIALIZED ({{rows}}), p AS (
    INSERT INTO stat_person AS s (day, account_id, submitter, origin, status, messages, parts, units)
    SELECT day, account_id, submitter, origin, status, sum(messages), sum(parts), sum(units)
    FROM r GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (day, account_id, submitter, origin, status) {_MORE}
)
INSERT INTO stat_day AS s
    (day, account_id, type, sign, channel_id, carrier, province, origin, status, messages, parts, units)
SELECT day, account_id, type, sign, channel_id, carrier, province, origin, status,
       sum(messages), sum(parts), sum(units)
FROM r GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9
ON CONFLICT (day, account_id, type, sign, channel_id, carrier, province, origin, status) {_MORE}
"""  # noqa: S608 - constants
_DAY = f"(to_timestamp(((m.id >> 22) + {EPOCH_MS}) / 1000.0) AT TIME ZONE 'Asia/Shanghai')::date"
_TYPE = "COALESCE(NULLIF(m.kind, ''), m.type)"
"""A kind counts by its own name."""
_ACCEPTED = _ADD.format(
    rows=f"""
SELECT {_DAY}, account_id, {_TYPE}, sign, 0, carrier, province, origin, submitter, 'accepted', count(*), sum(parts),
       sum(price)
FROM message m WHERE id > $1 AND id <= $2 AND NOT test GROUP BY 1, 2, 3, 4, 6, 7, 8, 9
"""  # noqa: S608 - constants
)
# A message has one report, or a second one that corrects the first, whose event may be gone by then: ``keep_ends``.
# (+ 0: between two bounds, or in the order of ids, the planner would read all events since the message for each.)
_ENDED = _ADD.format(
    rows=f"""
SELECT {_DAY}, m.account_id, {_TYPE}, m.sign, COALESCE(p.channel_id, 0), m.carrier, m.province, m.origin, m.submitter,
       ended.status, sum(ended.sense), sum(ended.sense * m.parts), sum(ended.sense * m.price)
FROM customer_event e
JOIN message m ON m.id = e.message_id AND m.id >= $3
LEFT JOIN part p ON p.id = m.id AND p.part = 1 AND p.id >= $3
CROSS JOIN LATERAL (
    SELECT e.status, 1 AS sense
    UNION ALL
    (SELECT before.status, -1 FROM (
        SELECT x.status, x.id + 0 AS id FROM customer_event x
        WHERE x.message_id = e.message_id AND x.kind = 'report' AND x.id >= e.message_id AND x.id + 0 < e.id
        UNION ALL
        SELECT k.status, 0 FROM stat_end k WHERE k.message_id = e.message_id
     ) before ORDER BY before.id DESC LIMIT 1)
) ended
WHERE e.kind = 'report' AND NOT e.test AND e.id > $1 AND e.id <= $2
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
"""  # noqa: S608
)
_REPORTED_FROM = """
SELECT min(message_id) FROM customer_event WHERE kind = 'report' AND id > $1 AND id <= $2
"""


async def roll_up(database: Database, now: datetime) -> bool:
    """Count one stretch of what is new; whether there may be more. Safe on several nodes."""
    until = first_id(now - MARGIN)
    async with database.transaction(timeout=60) as connection:
        cursor = await connection.fetchrow(_CURSOR)
        if cursor is None:
            return False
        messages: int = cursor["message_id"]
        events: int = cursor["event_id"]
        if not messages:  # the first time: begin with what there is
            oldest = await connection.fetchval(_OLDEST)
            messages = events = (oldest or until) - 1
        new_messages = min(until, messages + _ids(STEP))
        new_events = min(until, events + _ids(STEP))
        if new_messages > messages:
            await connection.execute(_ACCEPTED, messages, new_messages)
        if new_events > events:
            since = await connection.fetchval(_REPORTED_FROM, events, new_events)
            if since is not None:
                await connection.execute(_ENDED, events, new_events, since)
        await connection.execute(_MOVE, max(messages, new_messages), max(events, new_events))
    return max(new_messages, new_events) < until


def _ids(stretch: timedelta) -> int:
    return int(stretch.total_seconds() * 1000) << 22


_CLEAR = "WITH p AS (DELETE FROM stat_person WHERE day = $1) DELETE FROM stat_day WHERE day = $1"
_RECOUNT_ACCEPTED = _ACCEPTED.replace("id > $1 AND id <= $2", "id >= $1 AND id < $2 AND id <= $3")
_RECOUNT_ENDED = _ADD.format(
    rows=f"""
SELECT {_DAY}, m.account_id, {_TYPE}, m.sign, COALESCE(p.channel_id, 0), m.carrier, m.province, m.origin, m.submitter,
       e.status, count(*), sum(m.parts), sum(m.price)
FROM (SELECT DISTINCT ON (message_id) message_id, status FROM customer_event
      WHERE kind = 'report' AND NOT test AND message_id >= $1 AND message_id < $2 AND id >= $1 AND id <= $3
      ORDER BY message_id, id DESC) e
JOIN message m ON m.id = e.message_id AND m.id >= $1 AND m.id < $2
LEFT JOIN part p ON p.id = m.id AND p.part = 1 AND p.id >= $1 AND p.id < $2
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
"""  # noqa: S608
)


async def recount(connection: Connection, day: date) -> bool:
    """Count a business day anew, up to where the roll-up has come, in a transaction that lasts ``2 * RECOUNT_PATIENCE``
    at most. Not when its events have begun to go: then its figures stay, and the answer is no."""
    cursor = await connection.fetchrow(_CURSOR_WAIT)
    if cursor is not None and day <= cursor["events_gone"]:
        return False
    await _recount(connection, cursor, day)
    return True


async def _recount(connection: Connection, cursor: Row | None, day: date) -> None:
    if cursor is None:
        raise RuntimeError("stat_cursor is empty")
    low, high = day_range(day)
    await connection.execute(_CLEAR, day)
    await connection.execute(_RECOUNT_ACCEPTED, low, high, cursor["message_id"], timeout=RECOUNT_PATIENCE)
    await connection.execute(_RECOUNT_ENDED, low, high, cursor["event_id"], timeout=RECOUNT_PATIENCE)


async def recount_settled(database: Database, now: datetime, events_kept: int) -> date | None:
    """The nightly step: recount the next day for which no more reports come; the day, None when there is none.

    ``events_kept`` (days) is how long reports are kept: a day whose reports have begun to go is left as it is.
    """
    async with database.transaction(timeout=2 * RECOUNT_PATIENCE) as connection:
        cursor = await connection.fetchrow(_CURSOR)
        if cursor is None or not cursor["message_id"]:
            return None
        last = min(day_of(cursor["message_id"]), now.astimezone(CHINA).date()) - timedelta(days=SETTLED)
        first: date = max(cursor["recounted"], now.astimezone(CHINA).date() - timedelta(days=events_kept))
        if first > last:
            return None
        await _recount(connection, cursor, first)
        await connection.execute(_RECOUNTED, first + timedelta(days=1))
    return first


# Not what was delivered: nothing follows it. Not what is not counted yet either: it would be taken off before it was
# added.
_KEEP_ENDS = """
INSERT INTO stat_end AS k (message_id, status)
SELECT DISTINCT ON (message_id) message_id, status FROM customer_event
WHERE kind = 'report' AND NOT test AND id >= $1 AND id < $2 AND message_id >= $3 AND status <> 'delivered'
  AND id <= (SELECT event_id FROM stat_cursor)
ORDER BY message_id, id DESC
ON CONFLICT (message_id) DO UPDATE SET status = excluded.status
"""
_FORGET_ENDS = "DELETE FROM stat_end WHERE message_id < $1"
_GONE = """
UPDATE stat_cursor SET events_gone = GREATEST(events_gone, $1), records_gone = GREATEST(records_gone, $2)
"""


async def keep_ends(connection: Connection, day: date, oldest: int) -> None:
    """Before the events of a day go: keep what they have told last of messages from ``oldest`` on, of which another
    report may come."""
    await connection.execute(_KEEP_ENDS, *day_range(day), oldest, timeout=RECOUNT_PATIENCE)


async def note_gone(connection: Connection, *, events: date, records: date, oldest: int) -> None:
    """Before days go: the last ones whose events and records do. Ends of messages before ``oldest`` are forgotten."""
    await connection.execute(_FORGET_ENDS, oldest, timeout=RECOUNT_PATIENCE)
    await connection.execute(_GONE, events, records)
