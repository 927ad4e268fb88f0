"""Millions of records beside the demo data, as sending would have left them: same tables, same indexes, nothing relaxed
but that the commits of a scratch database do not wait for the disk."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import asyncpg
from databases import owner

from smsgw.core.ids import day_of, day_range
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.messages import checking, daily

AT_ONCE = 20_000
"""Messages of a transaction."""
WRITERS = 2
OCTETS = 2600
"""Of a message on the disk: its row, its parts, its report, their indexes, and what is written ahead."""
SPARE = 8 << 30
"""Octets that stay free whatever is asked for."""

_DAYS = """
SELECT partition_make(t, $1) FROM unnest('{message,part,attempt,event,mo,customer_event,webhook_attempt}'::text[]) t
"""
# n is the message's number of all; h its fate: hashed, so that a run makes the same as the one before it.
_ROWS = """
WITH n AS MATERIALIZED (
    SELECT n, hashint8extended(n, 1) & 1048575 AS h, hashint8extended(n, 2) & 1048575 AS g,
           hashint8extended(n, 3) & 9223372036854775807 AS k, $3::bigint + (n - $4::bigint) * $5::bigint AS id
    FROM generate_series($1::bigint, $2::bigint) n
), m AS MATERIALIZED (
    SELECT n.*, a.ids[1 + (sqrt(g::float8 / 1048576) * cardinality(a.ids))::int % cardinality(a.ids)] AS account_id,
           CASE WHEN g % 20 < 9 THEN 'otp' WHEN g % 20 < 17 THEN 'notice' ELSE 'marketing' END AS type,
           '861' || lpad(((k % 3000000) * 3001 + 3000000000)::text, 10, '0') AS number,
           CASE WHEN h % 100 < 58 THEN 'CMCC' WHEN h % 100 < 78 THEN 'CTCC' WHEN h % 100 < 98 THEN 'CUCC'
                WHEN h % 1000 < 999 THEN 'CMCC' ELSE 'CBN' END AS carrier,
           (ARRAY['广东', '广东', '广东', '广东', '浙江', '江苏', '山东', '河南', '四川', '湖北', '湖南',
                  '福建', '安徽', '河北', '北京', '上海', '陕西', '江西', '重庆', '辽宁', '云南',
                  '广西', '山西', '贵州', '黑龙江', '吉林', '天津', '甘肃', '海南', '内蒙古', '新疆',
                  '宁夏', '青海'])[CASE WHEN h % 5000 = 7 THEN 33 ELSE 1 + (k % 32)::int END] AS province,
           CASE WHEN g % 11 = 0 THEN 'portal' WHEN g % 11 < 4 THEN 'task' ELSE 'api' END AS origin,
           1 + (g % 12 = 11)::int AS parts, a.sign
    FROM n CROSS JOIN (
        SELECT array_agg(id ORDER BY id) AS ids,
               COALESCE(max(default_sign) FILTER (WHERE default_sign <> ''), '示例') AS sign
        FROM account WHERE id > 0
    ) a
), p AS MATERIALIZED (
    SELECT m.*,
           CASE WHEN h < 1003000 THEN 40 WHEN h < 1030000 THEN 41 WHEN h < 1037000 THEN 43 WHEN h < 1038000 THEN 44
                WHEN h < 1040000 THEN 42 WHEN h < 1047500 THEN 45 WHEN h < 1048400 THEN 46 ELSE 47 END AS state,
           CASE WHEN h < 1003000 THEN 'DELIVRD'
                WHEN h < 1030000 THEN (ARRAY['MK:0001', 'UNDELIV', 'MK:0000', 'EXPIRED', 'MK:0005', 'MI:0013',
                                             'MB:1041', 'DB:0141'])[1 + k % 8]
                WHEN h < 1040000 THEN ''
                WHEN h < 1047500 THEN CASE WHEN h % 2 = 0 THEN 'CONTENT_BLOCKED' ELSE 'ID:0076' END ELSE '' END AS code,
           CASE WHEN h < 1003000 THEN ''
                WHEN h < 1030000 THEN (ARRAY['EMPTY_NUMBER', 'UNKNOWN', 'EMPTY_NUMBER', 'POWERED_OFF', 'STOPPED',
                                             'POWERED_OFF', 'FREQUENCY', 'BLOCKLISTED'])[1 + k % 8]
                WHEN h < 1040000 THEN '' WHEN h < 1047500 THEN 'CONTENT_BLOCKED' ELSE '' END AS class,
           h BETWEEN 1040000 AND 1047499 AND h % 2 = 0 OR h >= 1047500 AS by_us,
           c.ids[1 + k % cardinality(c.ids)] AS channel_id,
           to_timestamp(((id >> 22) + 1704067200000) / 1000.0) AS at
    FROM m CROSS JOIN (SELECT array_agg(id ORDER BY id) AS ids FROM channel WHERE id > 0) c
), wm AS (
    INSERT INTO message (id, batch_id, account_id, origin, type, number, carrier, province, content, sign, coding,
                         parts, concat_ref, price, submitter)
    SELECT id, id, account_id, origin, type, number, carrier, province,
           '【' || sign || '】' || CASE type
               WHEN 'otp' THEN '您的验证码为 ' || lpad((k % 1000000)::text, 6, '0')
                   || '，5 分钟内有效，请勿泄露给他人。'
               WHEN 'notice' THEN (ARRAY['张', '王', '李', '赵', '陈', '刘', '杨', '黄'])[1 + k % 8]
                   || '女士/先生，您提交的'
                   || (ARRAY['社保转移', '公积金提取', '不动产登记', '居住证签注', '医保报销', '车辆年检'])[1 + g % 6]
                   || '申请（编号 ' || (100000000 + k % 900000000) || '）已受理，预计 ' || (1 + h % 15)
                   || ' 个工作日内办结，请留意后续通知。'
               ELSE '关于开展' || (ARRAY['春季招聘会', '惠民文化活动', '健康义诊', '消防演练'])[1 + k % 4]
                   || '的通知：本周六上午九点在市民中心举行，欢迎参加。拒收请回复R' END
           || CASE WHEN parts > 1
                   THEN repeat('办理时请携带本人身份证原件及复印件，如有疑问请拨打服务热线咨询。', 2) ELSE '' END,
           sign, 'ucs2', parts, 0, parts, CASE origin WHEN 'api' THEN 'key' ELSE 'demo-operator' END
    FROM p ORDER BY id
), wp AS (
    INSERT INTO part (id, part, total, account_id, pool_id, lane, state, attempt, channel_id, carrier_id, code, class,
                      by_us, expires_at, accepted_at, claimed_at, answered_at, final_at)
    SELECT id, s, parts, account_id, 1, 2, state, 1, CASE WHEN NOT by_us AND state <> 42 THEN channel_id END,
           CASE WHEN state IN (40, 41, 43) THEN 'r' || n || '-' || s END, code, class, by_us, at + interval '72 h', at,
           CASE WHEN NOT by_us THEN at + interval '40 ms' END,
           CASE WHEN NOT by_us AND state <> 42 THEN at + interval '90 ms' END,
           at + (300 + k % 20000) * interval '1 ms'
    FROM p CROSS JOIN LATERAL generate_series(1, parts) s ORDER BY id, s
)
INSERT INTO customer_event (id, account_id, kind, message_id, status, class, code, parts_ok, submitted_at, done_at,
                            acknowledged_at, done_by)
SELECT id + ((300 + k % 20000) << 22), account_id, 'report', id,
       CASE state WHEN 40 THEN 'delivered' WHEN 41 THEN 'failed' WHEN 42 THEN 'expired' WHEN 43 THEN 'no_report'
                  WHEN 44 THEN 'unconfirmed' WHEN 45 THEN CASE WHEN by_us THEN 'rejected' ELSE 'failed' END
                  WHEN 46 THEN 'cancelled' ELSE 'duplicate' END,
       class, code, CASE state WHEN 40 THEN parts ELSE 0 END, at + interval '40 ms', at, at + interval '1 s', 'pull'
FROM p ORDER BY id
"""

_EVENTS_ARE_HERE = "UPDATE stat_cursor SET events_gone = LEAST(events_gone, $1::date - 1)"


def room(folder: Path, messages: int) -> None:
    """Raises ``SystemExit`` when the disk has no room for so many."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < messages * OCTETS + SPARE:
        raise SystemExit(f"{free / 1e9:.0f} GB are free, {(messages * OCTETS + SPARE) / 1e9:.0f} GB are wanted")


async def fill(
    dsn: str, database: Database, folder: Path, messages: int, days: int, tell: Callable[[str], None]
) -> None:
    """So many messages with their parts and reports, evenly over the ``days`` before what the statistics have counted.
    A day that has its own already is passed over: what was cut off goes on. Stops when the disk gets full."""
    until = await database.fetchval("SELECT message_id FROM stat_cursor")
    last = day_of(until) - timedelta(days=1)
    wanted = [last - timedelta(days=n) for n in range(days)][::-1]
    for day in wanted:
        await database.execute(_DAYS, day, timeout=60)
    a_day = messages // days
    todo = [(n * a_day, day) for n, day in enumerate(wanted) if await _count(database, day) < a_day]
    began, total = time.monotonic(), len(todo) * a_day

    async def writer() -> None:
        connection = await asyncpg.connect(dsn, timeout=10, command_timeout=600)
        try:
            await connection.execute("SET synchronous_commit = off; SET jit = off; SET work_mem = '64MB'")
            while todo:
                number, day = todo.pop(0)
                await _day(connection, number, day, a_day, folder)
                await _counted(database, day)
                tell(f"{day}: {total - len(todo) * a_day:,} of {total:,} in {time.monotonic() - began:.0f} s")
        finally:
            await connection.close()

    await asyncio.gather(*(writer() for _ in range(WRITERS)))
    for table in ("message", "part", "customer_event"):
        await asyncio.wait_for(_vacuumed(dsn, table), 1800)
    tell(f"vacuumed, {time.monotonic() - began:.0f} s")


async def _counted(database: Database, day: date) -> None:
    """The statistics of a day whose reports have just come, whatever its age, and go again; and its account."""
    async with database.transaction(timeout=2 * daily.RECOUNT_PATIENCE) as connection:
        await connection.execute(_EVENTS_ARE_HERE, day)
        if not await daily.recount(connection, day):
            raise SystemExit(f"{day} is not counted: its reports are gone")
        await checking.look(connection, day, clock.now())


async def _count(database: Database, day: date) -> int:
    low, high = day_range(day)
    got: int = await database.fetchval("SELECT count(*) FROM message WHERE id >= $1 AND id < $2", low, high, timeout=60)
    return got


async def _day(connection: asyncpg.Connection, number: int, day: date, messages: int, folder: Path) -> None:
    """A day's messages in one transaction, from eight o'clock to eight o'clock."""
    low, high = day_range(day)
    step = (high - low) // 2 // messages | 1  # odd: ids of reports, too, are different
    first = low + (high - low) // 3
    async with connection.transaction():
        for n in range(number, number + messages, AT_ONCE):
            if shutil.disk_usage(folder).free < SPARE:
                raise SystemExit("the disk is full")
            upto = min(n + AT_ONCE, number + messages) - 1
            await connection.execute(_ROWS, n, upto, first, number, step)


async def _vacuumed(dsn: str, table: str) -> None:
    connection = await asyncpg.connect(owner(dsn), timeout=10, command_timeout=1800)
    try:
        await connection.execute(f"VACUUM ANALYZE {table}")
    finally:
        await connection.close()
