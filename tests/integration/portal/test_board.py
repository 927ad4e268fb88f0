"""Figures: the board, screens on walls that end, and analyses of why and how late, each leading to exactly its rows."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator
from datetime import datetime, timedelta
from html import unescape

import pytest
import pytest_asyncio
from browsing import Browser, lacks, send, shows
from days import noon
from page_costs import Cost, watched
from portal_site import Site, by_test
from test_reports import person, send as sent
from visits import acting_as, add_role, fails, signed_in

from smsgw.admin.call import Call
from smsgw.core.actor import ScopeKind
from smsgw.core.errors import SmsgwError, Temporary
from smsgw.core.model import ChannelStatus
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState
from smsgw.platform.statistics import delays, failures
from smsgw.platform.statistics.delays import WantedDelays
from smsgw.platform.statistics.failures import WantedFailures
from smsgw.platform.walls import queries, service
from smsgw.platform.webhooks import queries as webhook_queries

POLL = {"HX-Request": "true"}
RIGHTS = [Permission.NODE_VIEW, Permission.CHANNEL_VIEW]
TODAYS = pytest.mark.usefixtures("failures_of_today")
pytestmark = pytest.mark.staff(boss="super", clerk=("operator", "hall"))


@pytest.fixture
def costs() -> Iterator[list[Cost]]:
    with watched() as costs:
        yield costs


@pytest_asyncio.fixture
async def site(costs: list[Cost], site: Site) -> Site:
    await add_role(site, "duty", RIGHTS, ScopeKind.ALL, ["duty-1"])
    await add_role(site, "narrow", RIGHTS, people={"narrow-1": "hall"})
    return site


def metric(page: str, name: str) -> str:
    found = re.search(rf'data-metric="{name}">([^<]+)', page)
    assert found, name
    return found[1]


async def test_the_figures_are_those_of_the_pages_that_they_lead_to(site: Site) -> None:
    for n in range(6):
        await send(site, to=f"1380013800{n}")
    taken = await site.carrier_takes()
    await site.carrier_reports(taken[:3])
    await site.carrier_reports(taken[3:4], PartState.UNDELIVERABLE, "UNDELIV", "HANDSET")
    site.channels.append(ChannelStatus(id=site.channel_id, name="mobile-a", protocol="cmpp30", carriers=("CMCC",),
                                       access_code="10690001", state="bound", bound=1, connections=1, window_used=4,
                                       window=16, rate_now=12.5, rate_limit=0, submitted_today=6, last_error="",
                                       pools=(), reason="nothing to send"))  # fmt: skip
    async with signed_in(site, "duty-1") as duty:
        page, channels = await duty.get("/board"), await duty.get("/channels")
        assert metric(page, "rate_in") == "0.1", "six within the last minute"
        assert (metric(page, "rate_out"), metric(page, "success")) == ("12.5", "75.0")
        assert "75.0%" in channels
        assert "今日受理 6 条短信；提交 6 段，已有回执 4 段。" in re.sub(r"<[^>]+>", "", page)
        assert "90% 在" in page, "of the reports that came"
        assert metric(page, "channels") == "1 / 1"
        assert 'href="/channels"' in page
        assert 'href="/pushes' not in page, "who may not open a page is not led there"
        assert "尚无数据" in page, "queues that nothing has measured are not called empty"
    async with signed_in(site, "narrow-1") as narrow:
        page = await narrow.get("/board")
        assert ("全部数据" in page, "data-metric" in page) == (True, False), "who sees some accounts"
        assert await narrow.status_of("/board/-/live", headers=POLL) == 204


async def test_pushes_not_counted_in_time_are_not_known(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(_: object) -> None:
        raise Temporary("STORAGE_UNAVAILABLE")

    monkeypatch.setattr(webhook_queries, "owed_to_all", slow)
    async with signed_in(site, "duty-1") as duty:
        page = await duty.get("/board")
        assert (metric(page, "pushes"), metric(page, "rate_in")) == ("未知", "0.0")


async def test_however_many_watch_the_database_is_asked_once(site: Site, costs: list[Cost]) -> None:
    async with signed_in(site, "duty-1") as first, signed_in(site, "boss") as second:
        await first.get("/board")
        costs.clear()
        text = await second.get("/board/-/live", headers=POLL)
        await first.get("/board/-/live", headers=POLL | {"X-Have": first.headers.get("X-Piece", "")})
        lacks(text, "<form", site.url)
        assert sum(cost.statements for cost in costs) <= 4, "those of their sessions"


async def make(boss: Browser, hours: str = "4") -> str:
    """A code, by the page."""
    page = await boss.post("/board/screens/-/new", {"name": "值班室", "hours": hours})
    found = re.search(r'wall-code">(\d{4}) (\d{4})<', page)
    assert found, page
    return found[1] + found[2]


async def test_a_screen_is_let_in_once_sees_the_board_and_nothing_else_and_is_ended(site: Site) -> None:
    async with signed_in(site, "boss") as boss, Browser(site) as screen, Browser(site) as other:
        code = await make(boss)
        await screen.get("/wall")
        assert "data-metric" not in await screen.post("/wall", {"code": "00000000" if code != "00000000" else "1" * 8})
        assert screen.status == 401
        shows(await screen.post("/wall", {"code": f"{code[:4]} {code[4:]}"}), "值班室", "wall-figures")
        assert "wall-figures" in await screen.get("/wall/live", headers=POLL)
        for address in ("/board", "/channels", "/", "/board/screens"):
            await screen.get(address)
            assert screen.path.startswith("/login"), address
        await other.get("/wall")
        assert await other.status_of("/wall", {"code": code}) == 401, "a code is good once"
        assert "显示中" in await boss.get("/board/screens")
        (id_,) = [row["id"] for row in await site.db.fetch("SELECT id FROM wall_screen")]
        await service.end(await acting_as(site, "boss"), id_)
        await screen.get("/wall/live", headers=POLL)
        assert (screen.status, screen.headers["HX-Redirect"]) == (401, "/wall?ended=1")
        assert "已结束" in await screen.get("/wall?ended=1")
        await fails(SmsgwError, service.end(await acting_as(site, "boss"), id_), code="STATE_CONFLICT")
    kept = str([dict(row) for row in await site.db.fetch("SELECT * FROM wall_screen")])
    kept += str([dict(row) for row in await site.db.fetch("SELECT * FROM audit")])
    assert code not in kept, "neither code nor token is written down"
    assert not any(value in kept for value in screen.cookies.values() if len(value) == 43)


MAKER = "(SELECT id FROM staff WHERE login = 'maker')"
NO_ROLE = f"DELETE FROM staff_role WHERE staff_id = {MAKER}"  # noqa: S608
NARROW = f"INSERT INTO staff_role SELECT {MAKER}, id FROM role WHERE code = 'narrow'"  # noqa: S608
MAY = f"INSERT INTO staff_permission (staff_id, permission, allowed) VALUES ({MAKER}, 'wall.edit', {{}})"  # noqa: S608


@pytest.mark.parametrize("over", [
    ["UPDATE wall_screen SET until = now() - interval '1 second'"],
    ["UPDATE staff SET status = 'stopped' WHERE login = 'maker'"], [NO_ROLE], [MAY.format(False)],
    [NO_ROLE, NARROW, MAY.format(True)],
], ids=["time", "stopped", "role", "right", "scope"])  # fmt: skip
async def test_a_screen_ends_with_its_time_and_with_who_has_made_it(site: Site, over: list[str]) -> None:
    await site.add_staff("maker", "super")
    made = await service.add(await acting_as(site, "maker"), "大厅", timedelta(hours=1))
    opened = await service.open_(by_test(site.db), made.code, "10.0.0.9")
    assert await queries.of_token(site.db, opened[0])
    for statement in over:
        await site.db.execute(statement)
    assert await queries.of_token(site.db, opened[0]) is None


async def test_a_code_is_good_for_minutes_and_screens_are_so_many(site: Site) -> None:
    change = await acting_as(site, "boss")
    late = await service.add(change, "晚到", timedelta(hours=1))
    await site.db.execute("UPDATE wall_screen SET code_until = now() - interval '1 second'")
    assert await service.open_(by_test(site.db), late.code, None) is None
    for n in range(queries.MOST - 1):
        await service.add(change, f"第 {n} 块", timedelta(hours=1))
    await fails(SmsgwError, service.add(change, "多出的一块", timedelta(hours=1)), code="STATE_CONFLICT")
    await fails(SmsgwError, service.add(change, "太久", queries.LONGEST + timedelta(hours=1)), code="PARAM_INVALID")
    clerk = await acting_as(site, "clerk")
    await fails(SmsgwError, service.add(clerk, "无权", timedelta(hours=1)), code="PERMISSION_DENIED")


@pytest.mark.usefixtures("standing")
async def test_who_guesses_codes_is_slowed_down(site: Site) -> None:
    async with signed_in(site, "boss") as boss, Browser(site) as guest:
        code = await make(boss)
        await guest.get("/wall")
        for n in range(12):
            await guest.post("/wall", {"code": f"{(int(code) + n + 1) % 10**8:08}"})
        assert guest.status == 429
        assert await guest.status_of("/wall", {"code": code}) == 429, "the right one is not looked at, either"


async def test_who_guesses_elsewhere_keeps_no_screen_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    here = "192.0.2.1"
    monkeypatch.setattr(Call, "ip", property(lambda _: here))
    async with signed_in(site, "boss") as boss, Browser(site) as guest:
        code = await make(boss)
        await guest.get("/wall")
        for n in range(24):
            here = f"{n % 6 + 1}.51.100.7"
            assert await guest.status_of("/wall", {"code": f"{(int(code) + n + 1) % 10**8:08}"}) == 401
        here = "203.0.113.9"
        assert "wall-figures" in await guest.post("/wall", {"code": code})


def span() -> tuple[datetime, datetime]:
    """Today."""
    start = noon() - timedelta(hours=12)
    return start, start + timedelta(days=1)


@pytest_asyncio.fixture
async def failures_of_today(site: Site) -> None:
    """Messages that failed for several reasons, of one part and of two, and some that did not."""
    hall, clinic = await sent(site, "hall", 6, "您好"), await sent(site, "clinic", 3, "您好")
    long = await sent(site, "hall", 2, "好" * 100)
    await site.carrier_takes()
    undeliverable = PartState.UNDELIVERABLE
    await site.carrier_reports([(id_, 1) for id_ in (*hall[:3], clinic[0])], undeliverable, "MK:0001")
    await site.carrier_reports([(hall[3], 1), (clinic[1], 1)], undeliverable, "UNDELIV")
    await site.carrier_reports([(hall[4], 1), (long[0], 1), (long[1], 1)])
    await site.carrier_reports([(long[0], 2)], undeliverable, "MK:0001")


@TODAYS
async def test_reasons_are_those_of_the_parts_and_lead_to_exactly_their_messages(site: Site) -> None:
    who = person(site)
    for group in failures.GROUPS:
        cells = await failures.cells(site.db, who, WantedFailures(*span(), group=group))
        assert sum(row["failed"] for row in cells) == 7, group
    narrow = await failures.cells(site.db, person(site, "clinic"), WantedFailures(*span()))
    assert sum(row["failed"] for row in narrow) == 2
    async with signed_in(site, "boss") as boss:
        seen = 0
        for query in ("", "&beside=channel", "&beside=sign", f"&account={site.accounts['hall']}", "&type=notice"):
            shown = await boss.get(f"/reports/failures?time=today{query}")
            assert "data-chart" in shown
            for address, number in re.findall(r'<a href="/records(\?[^"]*)">([0-9,]+)</a>', shown):
                assert f"共 {number} 条" in await boss.get(f"/records/-/total{unescape(address)}"), (query, address)
                seen += 1
        assert seen >= 5
        assert "并在错误码映射中登记" in await boss.get("/reports/failures?time=today"), "what to do about it"
        assert "这段时间没有失败的短信" in await boss.get("/reports/failures?time=yesterday")


@TODAYS
async def test_percentiles_of_each_stage_are_those_of_the_rows(site: Site) -> None:
    await site.db.execute(
        "UPDATE part SET claimed_at = accepted_at + make_interval(secs => 1 + id % 7), "
        "answered_at = accepted_at + make_interval(secs => 10 + id % 5) WHERE channel_id IS NOT NULL"
    )
    rows = await site.db.fetch("SELECT * FROM part WHERE part = 1 AND claimed_at IS NOT NULL")
    (all_,) = await delays.search(site.db, person(site), WantedDelays(*span()))
    assert all_.n == len(rows) > 8
    queue = sorted(row["claimed_at"] - row["accepted_at"] for row in rows)
    assert (all_.stages["queue"][0], all_.stages["queue"][2]) == (statistics.median_low(queue), queue[-1])
    answer = sorted(row["answered_at"] - row["claimed_at"] for row in rows)
    assert all_.stages["answer"][0] == statistics.median_low(answer)
    hours = await delays.search(site.db, person(site), WantedDelays(*span(), group="hour"))
    assert sum(one.n for one in hours) == all_.n
    async with signed_in(site, "boss") as boss:
        for query in ("", "&along=hour"):
            shown = await boss.get(f"/reports/delays?time=today{query}")
            assert sum(map(int, re.findall(r'data-label="短信条数">\s*(\d+)\s*</td>', shown))) == all_.n, query
            assert "data-chart" in shown
        assert "这段时间没有提交给运营商的短信" in await boss.get("/reports/delays?time=yesterday")
        await boss.post("/reports/delays/-/export", {"q": "time=today", "reason": "时延检查", "format": "csv"})
        await boss.job_done(boss.path)
        assert await site.db.fetchval("SELECT state FROM job") == "done", "percentiles have no last line of totals"
