"""Deliveries to customers' systems as a page: found by account, state, event and message in one's scope, delivered
again with the effect in numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import pytest_asyncio
from browsing import shows
from databases import change
from portal_site import Site
from test_reports import send
from visits import add_role, signed_in

from smsgw.core.ids import first_id
from smsgw.core.permissions import Permission
from smsgw.platform.paging import Window
from smsgw.platform.webhooks import queries
from smsgw.platform.webhooks.model import WantedDeliveries
from smsgw.runtime import clock

DEAD = """
UPDATE customer_event SET attempts = 9, problem = 'HTTP 503', dead_at = $2, acknowledged_at = $2
WHERE message_id = ANY($1::bigint[])
"""
LATER = "UPDATE customer_event SET attempts = 2, problem = 'HTTP 500', leased_until = $2 WHERE message_id = $1"
DONE = "UPDATE customer_event SET acknowledged_at = $2, done_by = 'webhook' WHERE message_id = $1"

PLENTY = 5000
MANY = """
INSERT INTO customer_event (id, account_id, kind, message_id, acknowledged_at)
SELECT e.id + n, e.account_id, e.kind, e.message_id, CASE WHEN n % 2 = 0 THEN now() END
FROM customer_event e, generate_series(1, $2::int) n WHERE e.message_id = ANY($1::bigint[])
"""
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    rights = [Permission.EVENT_VIEW, Permission.MESSAGE_VIEW, Permission.EVENT_REPEAT]
    await add_role(site, "dev2", rights, people={"dev2-hall": "hall"})
    return site


async def told(site: Site, account: str, n: int) -> list[int]:
    """Messages whose reports wait for the customer."""
    ids = await send(site, account, n, "您好")
    await site.carrier_takes()
    await site.carrier_reports([(id_, 1) for id_ in ids])
    return ids


def shown(page: str) -> list[int]:
    return [int(id_) for id_ in re.findall(r'data-open="/pushes/([0-9]+)"', page)]


async def test_they_are_found_and_delivered_again_with_the_effect_in_numbers(site: Site) -> None:
    now = clock.now()
    hall, clinic = await told(site, "hall", 5), await told(site, "clinic", 2)
    await site.db.execute(DEAD, [*hall[:2], clinic[0]], now)
    await site.db.execute(LATER, hall[2], now + timedelta(minutes=7))
    await site.db.execute(DONE, hall[3], now)
    async with signed_in(site, "dev2-hall") as browser:
        page = await browser.get("/pushes")
        assert len(shown(page)) == 5
        shows(page, "HTTP 503", no="clinic")
        for query, n in (("push_state=dead", 2), ("push_state=waiting", 2), ("push_state=delivered", 1),
                         ("event=message.mo", 0), ("event=message.report", 5), (f"message={hall[0]}", 1),
                         (f"message={clinic[0]}", 0)):  # fmt: skip
            assert len(shown(await browser.get(f"/pushes?{query}"))) == n, query
            assert f"共 {n} 条" in await browser.get(f"/pushes/-/total?{query}"), query
        waits = next(iter(shown(await browser.get(f"/pushes?message={hall[2]}"))))
        shows(await browser.get(f"/pushes/{waits}"), "待送达", f"/records/{hall[2]}")
        events = shown(page)
        asked = unescape(await browser.post("/pushes/-/effect/again", [("id", str(e)) for e in events]))
        shows(asked, "5 个事件", "已放弃 2 个", "等待中 2 个", "已送达 1 个", "再收到一次")
        dead = shown(await browser.get("/pushes?push_state=dead"))
        await browser.post("/pushes/-/do/again", [("pick", "own"), *(("id", str(e)) for e in dead)])
        assert not shown(await browser.get("/pushes?push_state=dead"))
    rows = await site.db.fetch("SELECT attempts, problem, dead_at FROM customer_event WHERE message_id = ANY($1)",
                               hall[:2])  # fmt: skip
    assert [tuple(row.values()) for row in rows] == [(0, "", None)] * 2
    state = await site.db.fetchval("SELECT dead_at IS NOT NULL FROM customer_event WHERE message_id = $1", clinic[0])
    assert state, "of an account out of the scope"
    audited = await site.db.fetch("SELECT actor FROM audit WHERE action = 'events.redeliver'")
    assert [row["actor"] for row in audited] == ["dev2-hall"]


async def test_pages_go_on_and_back_without_a_gap(site: Site) -> None:
    ids = sorted([*await told(site, "hall", 7), *await told(site, "clinic", 6)])
    rows = await site.db.fetch("SELECT id FROM customer_event WHERE message_id = ANY($1) ORDER BY id DESC", ids)
    every = [row["id"] for row in rows]
    wanted = WantedDeliveries(clock.now() - timedelta(days=1), clock.now() + timedelta(days=1))
    seen, after = list[int](), None
    while True:
        got = await queries.search(site.db, wanted, Window("time", after=after, limit=5), accounts=None)
        seen += [row.id for row in got.rows]
        if not got.more:
            break
        after = got.keys[-1]
    assert seen == every
    back = await queries.search(
        site.db, wanted, Window("time", after=(str(every[8]), every[8]), backwards=True, limit=5), accounts=None
    )
    assert [row.id for row in back.rows] == every[3:8]
    assert await queries.how_many(site.db, wanted, 4, accounts=None) == 4
    assert first_id(wanted.first) < every[-1]


async def test_they_are_counted_no_further_than_it_takes(site: Site) -> None:
    """Each account has far more than are counted, whether they wait or are delivered."""
    await site.db.execute(MANY, [*await told(site, "hall", 1), *await told(site, "clinic", 1)], PLENTY)
    await change(site.db.dsn, "ANALYZE customer_event")
    wanted = WantedDeliveries(clock.now() - timedelta(days=1), clock.now() + timedelta(days=1))
    assert await queries.how_many(site.db, wanted, 100, accounts=None) == 100
    assert await queries.how_many(site.db, wanted, 10 * PLENTY, accounts=None) == 2 * PLENTY + 2
    statement = queries._COUNTS[None].format(most=100)
    told_ = await site.db.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *queries._asked(wanted, None))
    assert sum(rows_read(json.loads(told_)[0]["Plan"])) <= 100


def rows_read(plan: dict[str, Any]) -> Iterator[int]:
    if plan.get("Relation Name", "").startswith("customer_event"):
        yield (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    for below in plan.get("Plans", ()):
        yield from rows_read(below)
