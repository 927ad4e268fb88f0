"""Figures over the messages: daily statistics by the program's own recount, flow by the minute, usage, balances."""

from __future__ import annotations

from datetime import date, timedelta

from smsgw.core.ids import CHINA, first_id
from smsgw.demo.world import NODE, World
from smsgw.store.engine.database import Connection
from smsgw.store.engine.states import by_name
from smsgw.store.messages import checking, daily

CHECKED = 30
"""Days back that have been compared with their records."""
_CURSOR = "UPDATE stat_cursor SET message_id = $1, event_id = $1, recounted = $2"
_DAY = "(to_timestamp(((m.id >> 22) + 1704067200000) / 1000.0) AT TIME ZONE 'Asia/Shanghai')::date"

_MINUTES = by_name("""
INSERT INTO stat_minute (minute, node, account_id, channel_id, metric, n)
SELECT date_trunc('minute', f.at), $1, p.account_id, f.channel_id, f.metric, count(*)
FROM part p CROSS JOIN LATERAL (VALUES
    (p.accepted_at, 0, CASE WHEN NOT p.by_us THEN 'accepted' END),
    (p.answered_at, p.channel_id, CASE WHEN p.carrier_id IS NOT NULL THEN 'submitted' END),
    (p.final_at, p.channel_id, CASE p.state WHEN :DELIVERED THEN 'delivered' WHEN :UNDELIVERABLE THEN 'failed'
                                            WHEN :REJECTED THEN CASE WHEN NOT p.by_us THEN 'failed' END END),
    (p.claimed_at + interval '60 s', p.channel_id, CASE WHEN p.state = :UNKNOWN THEN 'unknown' END)
) f(at, channel_id, metric)
WHERE f.metric IS NOT NULL GROUP BY 1, 3, 4, 5
""")
_REPLIES = """
INSERT INTO stat_minute (minute, node, account_id, channel_id, metric, n)
SELECT date_trunc('minute', received_at), $1, COALESCE(account_id, 0), channel_id, 'mo', count(*) FROM mo
GROUP BY 1, 3, 4
ON CONFLICT DO NOTHING
"""
_USAGE = f"""
INSERT INTO usage_day (account_id, day, submitter, type, messages, parts, units, refunded)
SELECT m.account_id, {_DAY}, m.submitter, m.type, count(*), sum(m.parts), sum(m.price), COALESCE(sum(r.units), 0)
FROM message m LEFT JOIN ledger r ON r.id = m.id AND r.kind = 'refund'
WHERE m.refusal = '' GROUP BY 1, 2, 3, 4
"""  # noqa: S608 - constant text
_QUOTA = """
INSERT INTO quota_used (account_id, day, parts) SELECT account_id, day, sum(parts) FROM usage_day GROUP BY 1, 2
"""
_SIGNS = f"""
INSERT INTO sign_day (day, node, sign, n)
SELECT {_DAY}, $1, m.sign, sum(m.parts) FROM message m WHERE m.refusal = '' GROUP BY 1, 3
"""  # noqa: S608 - constant text
_BALANCE = """
UPDATE account a SET balance = s.units
FROM (SELECT account_id, sum(units) AS units FROM ledger GROUP BY account_id) s WHERE s.account_id = a.id
"""


async def fill(world: World) -> None:
    """Counted from the rows, so that all of them agree."""
    today = world.now.astimezone(CHINA).date()
    async with world.database.transaction(timeout=300) as connection:
        await connection.execute("ANALYZE message, part, customer_event", timeout=60)
        counted = first_id(world.now - timedelta(seconds=20))
        await connection.execute(_CURSOR, counted, today - timedelta(days=daily.SETTLED))
        await _recount(connection, today, world.days)
        for statement in (_MINUTES, _REPLIES, _SIGNS):
            await connection.execute(statement, NODE, timeout=120)
        for statement in (_USAGE, _QUOTA, _BALANCE):
            await connection.execute(statement, timeout=120)
        for back in range(min(world.days - 1, CHECKED), 0, -1):
            await checking.look(connection, today - timedelta(days=back), world.now)


async def _recount(connection: Connection, today: date, days: int) -> None:
    for back in range(days, -1, -1):
        await daily.recount(connection, today - timedelta(days=back))
