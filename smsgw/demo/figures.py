"""Figures over the messages: daily statistics by the program's own recount, flow by the minute, usage, balances."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from smsgw.core.ids import CHINA, first_id
from smsgw.demo.world import NODE, World, texts
from smsgw.store.engine.database import Connection
from smsgw.store.engine.states import by_name
from smsgw.store.messages import checking, daily, success

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
# Which failures do not count: a first version, and a later one that leaves out numbers that do not exist, too.
_EXCLUSIONS = """
INSERT INTO exclusion_version (version, from_day, reason, made_by, made_at)
VALUES (1, $1::date, $3, 'demo-ops', $1::date), (2, $2::date, $4, 'demo-ops', $2::date)
"""
_EXCLUDED = """
INSERT INTO exclusion (version, kind, value, category) VALUES
    (1, 'class', 'POWERED_OFF', 'handset'), (1, 'class', 'SUSPENDED', 'handset'),
    (1, 'class', 'BLACKLIST_CARRIER', 'blacklist'), (1, 'class', 'CONTENT_BLOCKED', 'words'),
    (2, 'class', 'POWERED_OFF', 'handset'), (2, 'class', 'SUSPENDED', 'handset'),
    (2, 'class', 'BLACKLIST_CARRIER', 'blacklist'), (2, 'class', 'CONTENT_BLOCKED', 'words'),
    (2, 'class', 'EMPTY_NUMBER', 'handset'), (2, 'class', 'NETWORK', 'network'), (2, 'code', 'MK:0010', 'network')
"""
# Last month's statements: two were sent, one address is gone.
_RECEIVERS = """
INSERT INTO statement_receiver (account_id, emails, language, since, changed_by)
SELECT id, ARRAY['finance@' || name || '.example.cn', 'audit@' || name || '.example.cn'], 'zh',
       ARRAY[$1, $1]::timestamptz[], 'demo-finance'
FROM account WHERE id = ANY($2::bigint[])
"""
_MAILS = """
INSERT INTO statement_mail
    (account_id, month, receiver, language, state, tries, next_at, begun_at, ended_at, digest, said)
SELECT r.account_id, $1, e, 'zh', CASE WHEN failed THEN 'failed' ELSE 'sent' END, 1, $2, $2, $2,
       encode(sha256(e::bytea), 'hex'), CASE WHEN failed THEN '550 5.1.1 User unknown' ELSE '250 2.0.0 Ok: queued' END
FROM statement_receiver r CROSS JOIN LATERAL unnest(r.emails) e
CROSS JOIN LATERAL (SELECT e = (SELECT max(emails[2]) FROM statement_receiver)) f(failed)
"""
# A fortnight of health mails, one of which did not arrive; and how disk and database have grown.
_HEALTH_PLAN = """
INSERT INTO health_plan (emails, since, language, hour, changed_by, changed_at)
SELECT $1::text[], array_fill($2::timestamptz, ARRAY[cardinality($1::text[])]), 'zh', 8, 'demo-ops', $2
"""
_HEALTH_MAILS = """
INSERT INTO health_mail
    (first, day, receiver, language, state, tries, next_at, begun_at, ended_at, digest, said)
SELECT d::date, d::date, e, 'zh', CASE WHEN failed THEN 'failed' ELSE 'sent' END, CASE WHEN failed THEN 8 ELSE 1 END,
       at, at, at + interval '2 seconds', encode(sha256((d || e)::bytea), 'hex'),
       CASE WHEN failed THEN '452 4.2.2 Mailbox full' ELSE '250 2.0.0 Ok: queued' END
FROM health_plan p CROSS JOIN LATERAL unnest(p.emails) WITH ORDINALITY u (e, n)
CROSS JOIN generate_series($1::date - 14, $1::date - 1, interval '1 day') d
CROSS JOIN LATERAL (SELECT (d::date + interval '1 day 8 hours') AT TIME ZONE 'Asia/Shanghai' AS at) t
CROSS JOIN LATERAL (SELECT n = 2 AND d::date = $1::date - 9 AS failed) f
WHERE at < $2
"""
_SIZES = """
INSERT INTO size_day (object, day, used, free)
SELECT object, $1::date - back, used - back * growth, CASE WHEN disk THEN 1000000000000 - used + back * growth END
FROM generate_series(0, 13) back, (VALUES ('node/' || $2::int || '/var/lib/smsgw', 620000000000, 3100000000, true),
    ('database', pg_database_size(current_database()), 410000, false)) o (object, used, growth, disk)
"""
# Two bundles that were made, and are gone again.
_BUNDLES = """
INSERT INTO job (kind, params, subject, submitter, state, done, total, error, attempts, runner, epoch, created_at,
                 started_at, ended_at, expires_at, checkpoint)
SELECT 'diagnostics', jsonb_build_object('reason', reason, 'node', $2::int), 'node/' || $2::int || '/' || n, 'demo-ops',
       'done', 12, 12, '', 1, $2, 1, at, at, at + interval '9 seconds', $1::timestamptz + interval '30 days',
       jsonb_build_object('size', 486213 + 1000 * n, 'until', to_char(at AT TIME ZONE 'UTC' + interval '3 days',
                                                                     'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))
FROM unnest($3::text[]) WITH ORDINALITY u (reason, n)
CROSS JOIN LATERAL (SELECT $1::timestamptz - interval '4 days' * n AS at) t
"""
# A week of nightly backups, the last but two of which failed; and three months of restores for trial.
_BACKUPS = """
INSERT INTO backup (file, host, made_by, state, begun_at, seen_at, ended_at, octets, sha256, rows, tables,
                    schema_version, problem, gone_at, tried_at, tried_by, tried_seconds, tried_well)
SELECT '/backup/smsgw-' || to_char(at AT TIME ZONE 'Asia/Shanghai', 'YYYYMMDD-HH24MISS') || '.dump', 'sms-1',
       'demo-ops', CASE WHEN failed THEN 'failed' ELSE 'done' END, at, took, took,
       CASE WHEN failed THEN 3100000000 ELSE 41900000000 - back::bigint * 260000000 END,
       CASE WHEN failed THEN '' ELSE encode(sha256(back::text::bytea), 'hex') END,
       CASE WHEN NOT failed THEN 38200000 - back * 240000 END, CASE WHEN NOT failed THEN 412 END, 190,
       CASE WHEN failed THEN '/backup/smsgw.dump: No space left on device' ELSE '' END,
       CASE WHEN back > 7 AND NOT failed THEN took + interval '7 days' END,
       CASE WHEN tried THEN took + interval '9 hours' END, CASE WHEN tried THEN 'demo-ops' ELSE '' END,
       CASE WHEN tried THEN 2490 END, CASE WHEN tried THEN true END
FROM generate_series(0, 11) back CROSS JOIN LATERAL (SELECT ($1::date - back + time '02:30') AT TIME ZONE
    'Asia/Shanghai' AS at, back = 2 AS failed, back IN (3, 10) AS tried) a
CROSS JOIN LATERAL (SELECT at + interval '11 minutes' AS took) t
WHERE at < $2 ORDER BY at
"""
# Whom alarms went to, one of whom was away; stopped, as nobody may be called from a demonstration.
_TOLD = """
INSERT INTO alarm_receiver (name, kind, shown, account_id, critical_only, language, active, changed_by)
SELECT name, kind, shown, CASE kind WHEN 'sms' THEN $1::bigint END, kind = 'sms', 'zh', false, 'demo-ops'
FROM unnest($2::text[], ARRAY['sms', 'mail', 'wecom', 'dingtalk', 'webhook'], $3::text[]) r (name, kind, shown)
"""
_NOTES = """
INSERT INTO alarm_note (alarm_id, receiver_id, event, state, tries, entered_at, next_at, begun_at, ended_at, said)
SELECT a.id, r.id, e.event, CASE WHEN failed THEN 'failed' ELSE 'sent' END, CASE WHEN failed THEN 9 ELSE 1 END,
       e.at, e.at, e.at + interval '1 second', e.at + interval '2 seconds',
       CASE WHEN failed THEN 'HTTP 502' WHEN r.kind = 'mail' THEN '250 2.0.0 Ok: queued' WHEN r.kind = 'webhook'
            THEN 'HTTP 204' WHEN r.kind = 'sms' THEN '' ELSE '0 ok' END
FROM alarm a CROSS JOIN alarm_receiver r
CROSS JOIN LATERAL (SELECT 'raised', a.last UNION ALL SELECT 'cleared', a.cleared_at) e (event, at)
CROSS JOIN LATERAL (SELECT r.kind = 'webhook' AND e.event = 'raised') f (failed)
WHERE a.cleared_at IS NOT NULL AND (a.severity = 'critical' OR NOT r.critical_only)
"""
_SILENCE = """
INSERT INTO alarm_silence (kind, object, reason, made_by, made_at, until)
SELECT 'channel_down', min(object), $1, 'demo-ops', $2::timestamptz - interval '2 hours', $2 FROM alarm
WHERE kind = 'channel_down'
"""
# A screen that shows the board, and one whose time is over.
_SCREENS = """
INSERT INTO wall_screen (name, maker_id, made_by, made_at, until, code_until, token_sha256, opened_at, seen_at, seen_ip)
SELECT w.name, s.id, s.login, w.at, w.at + interval '7 days', w.at + interval '10 minutes', sha256(w.name::bytea),
       w.at + interval '3 minutes', LEAST($2::timestamptz, w.at + interval '7 days'), w.ip
FROM staff s, unnest($1::text[], ARRAY[$2::timestamptz - interval '30 hours', $2::timestamptz - interval '12 days'],
    ARRAY['10.20.3.90', '10.20.3.91']::inet[]) w (name, at, ip)
WHERE s.login = 'demo-ops'
"""
# Last month's rebates, by rules that have held since then.
_REBATES = """
WITH rule AS (
    INSERT INTO rebate_rule (account_id, from_month, per_thousand, from_units, reason, made_by, made_at)
    SELECT unnest($1::bigint[]), $2::date, 20, 100, $3, 'demo-finance', $2::date RETURNING id, account_id
), paid AS (
    SELECT r.account_id, r.id, COALESCE(-sum(l.units), 0)::bigint AS paid
    FROM rule r JOIN ledger l ON l.account_id = r.account_id AND l.kind IN ('debit', 'refund')
        AND l.at >= $2::date AND l.at < $2::date + interval '1 month'
    GROUP BY 1, 2
), given AS (
    INSERT INTO rebate (account_id, month, rule_id, paid, units, entry_id, at)
    SELECT account_id, $2::date, id, paid, paid * 20 / 1000, $4::bigint + account_id, $5 FROM paid RETURNING *
)
INSERT INTO ledger (id, account_id, kind, units, note, at, balance)
SELECT g.entry_id, g.account_id, 'rebate', g.units, to_char(g.month, 'YYYY-MM'), g.at,
       g.units + (SELECT sum(l.units) FROM ledger l WHERE l.account_id = g.account_id AND l.at <= g.at)
FROM given g WHERE g.units > 0
"""
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
        month = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
        due = datetime.combine(today.replace(day=5), time(9), CHINA)
        senders = sorted(sender.id for sender in world.senders.values())[:2]
        settled = min(due, world.now)
        await connection.execute(_REBATES, senders, month, texts()["rebate"], first_id(settled), settled)
        for statement in (_USAGE, _QUOTA, _BALANCE):
            await connection.execute(statement, timeout=120)
        await connection.execute(_RECEIVERS, due - timedelta(days=60), senders)
        await connection.execute(_MAILS, month, min(due, world.now))
        await connection.execute(_HEALTH_PLAN, texts()["health"], world.now - timedelta(days=20))
        await connection.execute(_HEALTH_MAILS, today, world.now)
        await connection.execute(_SIZES, today, NODE)
        await connection.execute(_BACKUPS, today, world.now)
        await connection.execute(_BUNDLES, world.now, NODE, texts()["bundles"])
        await connection.execute(_TOLD, senders[0], *texts()["receivers"])
        await connection.execute(_NOTES)
        await connection.execute(_SILENCE, texts()["silence"], world.now)
        await connection.execute(_SCREENS, texts()["screens"], world.now)
        first, second = (today - timedelta(days=back) for back in (20, 7))
        await connection.execute(_EXCLUSIONS, first, second, *texts()["exclusions"])
        await connection.execute(_EXCLUDED)
        await success.count_day(connection, today)
        for back in range(min(world.days - 1, CHECKED), 0, -1):
            await checking.look(connection, today - timedelta(days=back), world.now)


async def _recount(connection: Connection, today: date, days: int) -> None:
    for back in range(days, -1, -1):
        await daily.recount(connection, today - timedelta(days=back))
