"""Reports by day and month: their figures are those of the records, and lead to exactly those they count."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import pytest_asyncio
from browsing import Browser, shows
from days import this_month, today
from portal_site import SEALER, Site
from visits import acting, add_role, all_signed_in, boss, signed_in, submitted

from smsgw.admin.pages.records import reports as page
from smsgw.api.statistics import _line
from smsgw.core.actor import EVERYTHING, Actor, Scope
from smsgw.core.model import MessageType, Origin
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState
from smsgw.platform.org import service as org
from smsgw.platform.paging import Window
from smsgw.platform.statistics import queries, reports, service as statistics
from smsgw.platform.statistics.reports import GROUPS, Acknowledged, Figures, Wanted
from smsgw.store.messages import acknowledged, daily
from smsgw.store.records import evidence

__all__ = ["boss"]
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    """Messages of two accounts that have ended in all ways, of one part and of two, today and two days before."""
    await add_role(site, "counter", [Permission.STATISTICS_VIEW], people={"hall-op": "hall"})
    hall = await send(site, "hall", 6, "您好")
    long = await send(site, "hall", 3, "好" * 100)
    clinic = await send(site, "clinic", 4, "您好", MessageType.MARKETING)
    taken = await site.carrier_takes()
    await site.carrier_reports([one for one in taken if one[0] in (*hall[:4], *clinic[:1])])
    await site.carrier_reports([one for one in taken if one[0] == hall[4]], PartState.UNDELIVERABLE, "MK:0001")
    # one part delivered, the other not: the message has failed
    await site.carrier_reports([(long[0], 1), (long[1], 1), (long[1], 2)])
    await site.carrier_reports([(long[0], 2)], PartState.UNDELIVERABLE, "MK:0001")
    await send(site, "clinic", 2, "您好")
    await roll_up(site)
    return site


async def send(
    site: Site, account: str, n: int, content: str, kind: MessageType = MessageType.NOTICE,
    origin: Origin = Origin.API, submitter: str = "ak_one",
) -> list[int]:  # fmt: skip
    had = await site.db.fetchval("SELECT count(*) FROM message")
    numbers = [f"138{had + i:08}" for i in range(n)]
    return await submitted(site, account, *numbers, content=content, kind=kind, origin=origin, by=submitter)


async def roll_up(site: Site) -> None:
    """As if the margin were over."""
    later = datetime.now(UTC) + timedelta(minutes=1)
    while await daily.roll_up(site.db, later):
        pass


def person(site: Site, *accounts: str) -> Actor:
    actor = Actor.system("test")
    scope = Scope(tuple(site.accounts[a] for a in accounts)) if accounts else EVERYTHING
    return Actor(actor.kind, actor.name, permissions=frozenset(Permission), scope=scope)


WINDOW, SENT = Window("day", limit=1000), Window("submitted", limit=1000)
TRUTH = """
SELECT count(*) AS submitted, count(*) FILTER (WHERE worst = 40) AS delivered,
       count(*) FILTER (WHERE worst = 41) AS failed, sum(price)::bigint AS billed
FROM (SELECT m.id, m.price,
             (SELECT CASE WHEN bool_and(state = 40) THEN 40 WHEN bool_or(state = 41) THEN 41 ELSE 0 END
              FROM part p WHERE p.id = m.id) AS worst
      FROM message m WHERE m.account_id = ANY($1::bigint[])) f
"""


async def test_figures_are_those_of_the_rows(site: Site) -> None:
    for accounts in (("hall",), ("clinic",), ("hall", "clinic")):
        got = await reports.totals(site.db, person(site, *accounts), Wanted(today(), today()))
        truth = await site.db.fetchrow(TRUTH, [site.accounts[a] for a in accounts])
        assert (got.submitted, got.delivered, got.failed, got.billed) == tuple(truth), accounts
    whole = await reports.totals(site.db, person(site), Wanted(today(), today()))
    assert (whole.submitted, whole.delivered, whole.failed, whole.pending, whole.success_rate) == (15, 6, 2, 7, 75)


async def test_beside_our_figure_of_an_interface_stands_what_the_customer_has_acknowledged(site: Site) -> None:
    portal = await send(site, "hall", 2, "您好", origin=Origin.PORTAL, submitter="boss")
    await site.carrier_reports([one for one in await site.carrier_takes() if one[0] in portal])
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    for how, account in (("done_by = 'pull'", hall), ("dead_at = now()", clinic)):
        ended = f"UPDATE customer_event SET acknowledged_at = now(), {how} WHERE account_id = $1"  # noqa: S608
        await site.db.execute(ended, account)
    twice = (
        "INSERT INTO customer_event (id, account_id, kind, message_id, status, acknowledged_at, done_by) "
        "SELECT $1, account_id, kind, message_id, status, now(), 'pull' FROM customer_event WHERE account_id = $2 "
        "AND status = 'delivered' ORDER BY message_id LIMIT 1"
    )
    await site.db.execute(twice, site.ids.next(), hall)  # a report that was sent again is the same message's
    for _ in range(2):
        async with site.db.transaction() as connection:
            await acknowledged.count_day(connection, today())
    wanted = Wanted(today(), today(), group="origin")
    assert await reports.acknowledged(site.db, person(site), wanted) == {(today(), "api"): Acknowledged(7, 5)}
    assert await reports.acknowledged(site.db, person(site, "clinic"), wanted) == {}
    monthly = replace(wanted, first=this_month(), monthly=True)
    assert await reports.acknowledged(site.db, person(site), monthly) == {(this_month(), "api"): Acknowledged(7, 5)}
    assert await reports.acknowledged(site.db, person(site), replace(wanted, carrier="CMCC")) == {}
    (ours,) = (await reports.search(site.db, person(site), wanted, WINDOW)).rows
    assert page._acknowledged({}, ours) == Acknowledged(), "nothing was acknowledged"
    assert page._acknowledged({}, replace(ours, value="portal")) is None, "there is nobody to acknowledge"
    async with all_signed_in(site, "boss", "hall-op") as (boss, scoped):
        table = await boss.get("/reports/daily?group=origin&time=today")
        assert "接口以客户系统已确认的回执为准" in table
        assert re.findall(r'data-label="(?:客户已确认回执|确认送达)">\s*(\S+?)\s*</td>', table) == ["7", "5"]
        assert "客户已确认回执" not in await boss.get("/reports/daily?group=account&time=today")
        assert "客户已确认回执" in await boss.get("/reports/monthly?group=origin")
        assert "客户已确认回执" in await scoped.get("/reports/daily?group=origin&time=today")


async def test_the_rate_of_success_is_one_and_the_same_in_the_portal_and_by_api(site: Site) -> None:
    """With ends that are unknown, or of what never went out: in neither."""
    for status in ("no_report", "unconfirmed", "expired", "rejected", "duplicate", "cancelled"):
        await site.db.execute(
            "INSERT INTO stat_day SELECT day, account_id, type, sign, channel_id, carrier, province, origin, $2, 3, 3, "
            "3 FROM stat_day WHERE account_id = $1 AND status = 'delivered' LIMIT 1", site.accounts["hall"], status,
        )  # fmt: skip
    portal = await reports.totals(site.db, person(site, "hall"), Wanted(today(), today()))
    assert (portal.unknown, portal.unsent) == (6, 12)
    (line,) = await queries.by_day(
        site.db, first=today(), last=today(), group=("day",), accounts=(site.accounts["hall"],)
    )
    assert _line(line).success_rate == round((portal.success_rate or 0) / 100, 4) == 0.7143


async def test_rows_come_to_the_totals_however_grouped_and_days_to_their_month(site: Site) -> None:
    await earlier(site)
    who, first = person(site), this_month() - timedelta(days=62)
    for monthly in (False, True):
        for group in ("", *GROUPS):
            wanted = Wanted(first, today(), monthly, group)
            rows = (await reports.search(site.db, who, wanted, WINDOW)).rows
            assert rows, group
            n = await reports.how_many(site.db, who, wanted)
            assert len({(row.day, row.value) for row in rows}) == len(rows) == n
            assert _sum(rows) == _sum([await reports.totals(site.db, who, wanted)]), group
            assert _sum(rows) == _sum(await reports.periods(site.db, who, wanted)), group
    days = (await reports.search(site.db, who, Wanted(first, today()), WINDOW)).rows
    months = (await reports.search(site.db, who, Wanted(first, today(), monthly=True), WINDOW)).rows
    assert len(months) >= 2
    for month in months:
        own = [day for day in days if day.day and month.day and day.day.replace(day=1) == month.day]
        assert _sum(own) == _sum([month])


def _sum(rows: object) -> list[int]:
    keys = ("submitted", "ended", "delivered", "failed", "unknown", "unsent", "billed")
    return [sum(getattr(row, key) for row in rows) for key in keys]  # type: ignore[attr-defined]


async def earlier(site: Site) -> None:
    """The same again, as it would have been counted 2 and 40 days ago."""
    for back in (2, 40):
        await site.db.execute(
            "INSERT INTO stat_day SELECT day - $1::int, account_id, type, sign, channel_id, carrier, province, origin, "
            "status, messages + 1, parts + 1, units + 1 FROM stat_day WHERE day = $2", back, today(),
        )  # fmt: skip


async def test_who_has_sent_is_told_with_portal_and_interfaces_apart(site: Site, boss: Browser) -> None:
    change = acting(site)
    office, hall = [await org.add_department(change, name) for name in ("办公室", "大厅")]
    await site.db.execute("UPDATE staff SET department_id = $1, name = '王敏' WHERE login = 'boss'", office)
    await site.db.execute("UPDATE account SET department_id = $1 WHERE name = 'hall'", hall)
    for account, n in (("clinic", 3), ("hall", 2)):
        await send(site, account, n, "您好", origin=Origin.PORTAL, submitter="boss")
    await statistics.recount(change, today())
    who, wanted = person(site), Wanted(today(), today(), group="person", people=True)
    rows = {row.value: row for row in (await reports.search(site.db, who, wanted, SENT)).rows}
    counts = {name: (row.submitted, row.portal, row.api) for name, row in rows.items()}
    assert counts == {"boss": (5, 5, 0), "ak_one": (15, 0, 15)}
    assert (rows["boss"].name, rows["ak_one"].delivered, rows["ak_one"].failed) == ("王敏", 6, 2)
    by_department = replace(wanted, group="department")
    found = {row.name: row.submitted for row in (await reports.search(site.db, who, by_department, SENT)).rows}
    assert found == {"办公室": 5, "大厅": 9, "": 6}, "people by their own, keys by that of the account"
    of_hall = replace(wanted, department=hall)
    assert [row.value for row in (await reports.search(site.db, who, of_hall, SENT)).rows] == ["ak_one"]
    narrow = (await reports.search(site.db, person(site, "hall"), wanted, SENT)).rows
    assert {row.value: row.submitted for row in narrow} == {"boss": 2, "ak_one": 9}, "in scope"
    seen = 0
    for query in ("", "&by=account", "&by=origin", f"&account={site.accounts['hall']}", "&origin=portal"):
        shown = await boss.get(f"/reports/people?time=today{query}")
        assert query or re.search(r"<td[^>]*>\s*ak_one\s*</td>", shown)
        for address, number in re.findall(r'<a href="/records(\?time=custom[^"]*)">([0-9,]+)</a>', shown):
            total = await boss.get(f"/records/-/total{address.replace('&amp;', '&')}")
            assert f"共 {number} 条" in total, (query, address)
            seen += 1
    assert seen >= 20
    shown = await boss.get("/reports/people?time=today&by=department")
    (address,) = set(re.findall(rf'<a href="(/reports/people\?[^"]*department={office}[^"]*)">5</a>', shown))
    assert "王敏" in await boss.get(address.replace("&amp;", "&"))


async def test_pages_of_a_report_have_each_row_once(site: Site) -> None:
    await earlier(site)
    who, wanted = person(site), Wanted(today() - timedelta(days=60), today(), group="carrier")
    for sort in reports.ORDERS:
        for descending in (True, False):
            whole = (await reports.search(site.db, who, wanted, Window(sort, descending, limit=1000))).rows
            found: list[Figures] = []
            window = Window(sort, descending, limit=1)
            while True:
                got = await reports.search(site.db, who, wanted, window)
                found += got.rows
                if not got.more:
                    break
                window = Window(sort, descending, got.keys[-1], limit=1)
            assert found == list(whole), sort


async def test_a_figure_leads_to_exactly_the_records_it_counts(site: Site, boss: Browser) -> None:
    """Also where parts of a message have ended in different ways."""
    seen = 0
    for group in ("", "account", "type", "carrier", "origin", "sign", "channel", "province"):
        shown = await boss.get(f"/reports/daily?time=today&group={group}")
        figures = re.findall(r'<a href="/records(\?time=custom[^"]*)">([0-9,]+)</a>', shown)
        assert figures, group
        for query, number in figures:
            assert f"共 {number} 条" in await boss.get(f"/records/-/total{query.replace('&amp;', '&')}"), (group, query)
            seen += 1
    assert seen >= 15
    assert "/records?time=custom" in await boss.get("/reports/monthly")


async def test_a_report_shows_its_totals_and_can_be_taken_away(site: Site, boss: Browser) -> None:
    shown = await boss.get("/reports/daily?time=today&group=carrier")
    foot = shown.partition("<tfoot>")[2].partition("</tfoot>")[0]
    assert re.findall(r'<td class="num">\s*([^<]*?)\s*</td>', foot)[:3] == ["15", "6", "2"]
    assert ("75.00%" in foot, "data-chart" in shown) == (True, True)
    await boss.post("/reports/daily/-/export", {"q": "time=today&group=carrier", "reason": "月报", "format": "csv"})
    assert boss.path.startswith("/jobs/")
    assert "这段时间没有发送统计" in await boss.get("/reports/daily?time=yesterday")


def test_months_of_a_report() -> None:
    assert page._months("2024") == (date(2024, 1, 1), date(2024, 12, 31))
    first, last = page._months("")
    assert (first.day, last) == (1, today())
    assert (last.year * 12 + last.month) - (first.year * 12 + first.month) == 11


async def test_a_statement_has_the_roots_of_its_days(site: Site, boss: Browser) -> None:
    made = await evidence.make_root(site.db, SEALER, datetime.now(UTC) + timedelta(days=1, hours=2))
    assert made.leaves == 10
    page = await boss.get("/statements")
    assert page.count(made.root.hex()) == 2  # a row an account
    assert page.count("全平台当日") >= 2, "of the platform, and of what came that day"
    shows(page, "与同行的短信数不相等", f"{today():%Y-%m-%d}")
    before = (this_month() - timedelta(days=1)).replace(day=1)
    assert made.root.hex() not in await boss.get(f"/statements?month={before:%Y-%m}")
    async with signed_in(site, "hall-op") as clerk:
        shows(await clerk.get("/statements"), made.root.hex(), no="clinic")
