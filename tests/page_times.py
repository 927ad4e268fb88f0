"""The table of what every page of the portal costs (scripts/pages)."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import portal_walk
from databases import change, migrated
from demo_site import DemoSite, demo_site
from page_costs import Cost, session_of, watched
from portal_walk import Stop

from smsgw.core.ids import first_id
from smsgw.runtime import clock, log
from smsgw.store.engine.embedded import EmbeddedPostgres

MOST_SECONDS, MOST_OCTETS = 0.150, 120 * 1024
BACK = 30
"""Days that many messages are spread over, …"""
A_DAY = 86_400_000 << 22
"""… each of which has so many ids."""
FILTERS = (
    "result=delivered", "result=failed", "result=unknown", "result=pending", "province=%E5%B9%BF%E4%B8%9C",
    "code=DELIVRD", "code=UNDELIV", "code=NOSUCH", "status=failed", "reason=EMPTY_NUMBER", "channel=1",
    "phone=13800138000", "sign=none", "province=none", "submitter=none",
)  # fmt: skip
"""Of the records, beside many messages: what is common, what is rare, and what there is not."""

_PARTITIONS = """
SELECT partition_make(t, (now() - n * interval '1 day')::date)
FROM generate_series(0, $1::int) n, unnest('{message,part,attempt,event}'::text[]) t
"""
_MESSAGES = """
INSERT INTO message (id, batch_id, account_id, origin, type, number, carrier, province, content, sign, coding, parts,
                     concat_ref, price)
SELECT id, id, a.ids[1 + n % cardinality(a.ids)], 'api', (ARRAY['notice', 'verification', 'marketing'])[1 + n % 3],
       '8613' || lpad(((n * 7919) % 1000000000)::text, 9, '0'), (ARRAY['CMCC', 'CUCC', 'CTCC'])[1 + n % 3],
       (ARRAY['广东', '北京', '浙江', '四川', '湖北', '山东', '江苏', '河南', '福建', '西藏'])[1 + (n * 31) % 10],
       '【示例】尊敬的用户，您的业务已受理，编号 ' || n || '，请留意后续通知。', '示例', 'ucs2', 1, 0, 1
FROM generate_series($1::bigint, $2::bigint) n
CROSS JOIN (SELECT array_agg(id ORDER BY id) AS ids FROM account WHERE id > 0) a
CROSS JOIN LATERAL (SELECT $3::bigint + n * $4::bigint AS id) i
"""
_PARTS = """
INSERT INTO part (id, part, total, account_id, pool_id, lane, state, channel_id, carrier_id, code, class, by_us,
                  expires_at, accepted_at, claimed_at, answered_at, final_at)
SELECT m.id, 1, 1, m.account_id, 1, 2, k.state, c.ids[1 + n % cardinality(c.ids)], 'm' || n, k.code, k.class, false,
       now(), now(), now(), now(), now()
FROM generate_series($1::bigint, $2::bigint) n
JOIN message m ON m.id = $3::bigint + n * $4::bigint
CROSS JOIN (SELECT array_agg(id ORDER BY id) AS ids FROM channel WHERE id > 0) c
CROSS JOIN LATERAL (SELECT * FROM (VALUES (40, 'DELIVRD', ''), (41, 'UNDELIV', 'EMPTY_NUMBER'), (43, '', ''))
                    v (state, code, class)
                    OFFSET CASE WHEN n % 100 < 96 THEN 0 WHEN n % 100 < 99 THEN 1 ELSE 2 END LIMIT 1) k
"""
AT_ONCE = 50_000


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="scripts/pages", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="addresses that contain it")
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--daily", type=int, default=350)
    parser.add_argument("--times", type=int, default=9, help="how often each is opened when it is warm")
    parser.add_argument("--messages", type=int, default=0, help="so many more, without statistics")
    parser.add_argument("--slowest", type=int, default=0, help="print only so many")
    return parser.parse_args()


@dataclass(slots=True)
class Row:
    """A page, measured."""

    address: str
    role: str
    status: int
    seconds: float
    cpu: float
    statements: int
    octets: int

    @property
    def over(self) -> bool:
        """Whether it costs more than a page may."""
        return self.seconds > MOST_SECONDS or self.octets > MOST_OCTETS or self.status != 200


async def main() -> int:
    """Fill, serve, ask, tell; exit status."""
    asked = arguments()
    log.setup("error", "auto")
    with tempfile.TemporaryDirectory(prefix="smsgw-pages-") as folder, watched() as costs:
        database = EmbeddedPostgres(Path(folder) / "database")
        dsn = await migrated(database)
        try:
            async with demo_site(dsn, Path(folder) / "node", days=asked.days, daily=asked.daily) as site:
                if asked.messages:
                    await beside(dsn, site, asked.messages)
                rows = await measured(site, await wanted(site, asked), costs, asked.times)
        finally:
            await database.stop()
            shutil.rmtree(database.home, ignore_errors=True)
    tell(rows, asked.slowest)
    return 1 if any(row.over for row in rows) else 0


async def wanted(site: DemoSite, asked: argparse.Namespace) -> list[Stop]:
    """Every page; beside many messages also the filters of the records, whose totals and polls too."""
    found = await portal_walk.stops(site, [*portal_walk.pages(), *portal_walk.polls()])
    if asked.messages:
        records = next(stop for stop in found if stop.address.startswith("/records?"))
        for path in ("/records", "/records/-/total"):
            found += [Stop("", records.route, f"{path}?time=30d&{query}", records.role) for query in ("", *FILTERS)]
    return [stop for stop in found if not asked.only or any(text in stop.address for text in asked.only)]


async def beside(dsn: str, site: DemoSite, messages: int) -> None:
    """So many messages more, evenly over the last days, delivered but for some."""
    began, db = time.monotonic(), site.database
    await db.execute(_PARTITIONS, BACK + 1, timeout=60)
    end = first_id(clock.now())
    step = BACK * A_DAY // messages | 1
    first = end - step * (messages + 1)
    for low in range(1, messages + 1, AT_ONCE):
        high = min(low + AT_ONCE - 1, messages)
        for statement in (_MESSAGES, _PARTS):
            await db.execute(statement, low, high, first, step, timeout=300)
    await change(dsn, "VACUUM ANALYZE message", "VACUUM ANALYZE part")
    print(f"{messages:,} messages more in {time.monotonic() - began:.0f} s", flush=True)


async def measured(site: DemoSite, found: list[Stop], costs: list[Cost], times: int) -> list[Row]:
    """Each opened twice, so that all is warm, and then to be measured."""
    rows = []
    for role in dict.fromkeys(stop.role for stop in found):
        async with session_of(site, role) as client:
            for stop in (stop for stop in found if stop.role == role):
                for _ in range(2):
                    status, octets = await _open(client, stop.address)
                taken: list[Cost] = []
                for _ in range(times):
                    costs.clear()
                    status, octets = await _open(client, stop.address)
                    taken += costs[:1]
                rows.append(Row(
                    stop.address, role, status, statistics.median(c.seconds for c in taken),
                    statistics.median(c.cpu for c in taken), max(c.statements for c in taken), octets,
                ))  # fmt: skip
    return rows


async def _open(client: aiohttp.ClientSession, address: str) -> tuple[int, int]:
    async with client.get(address, allow_redirects=False) as answer:
        return answer.status, len(await answer.read())


def tell(rows: list[Row], most: int) -> None:
    """The table, the slowest first, and what holds of all."""
    print(f"{'page':60} {'by':9} {'ms':>7} {'CPU ms':>7} {'statements':>10} {'KB':>6}")
    for row in sorted(rows, key=lambda row: -row.seconds)[: most or None]:
        print(
            f"{row.address[:60]:60} {row.role or '-':9} {row.seconds * 1000:7.1f} {row.cpu * 1000:7.1f} "
            f"{row.statements:10} {row.octets / 1024:6.1f}{'  OVER' if row.over else ''}"
            f"{f'  answered with {row.status}' if row.status != 200 else ''}"
        )
    largest = max(rows, key=lambda row: row.octets)
    print(
        f"{len(rows)} pages and polls, half of them within {statistics.median(r.seconds for r in rows) * 1000:.1f} ms; "
        f"the largest: {largest.address}, {largest.octets / 1024:.1f} KB; over: {sum(row.over for row in rows)}"
    )


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(asyncio.run(main()))
