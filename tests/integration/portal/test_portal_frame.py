"""What every page has, the palette and favourites, and the first page: that they say what is so."""

from __future__ import annotations

import gzip
import html
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from browsing import Browser, send, shows
from page_costs import watched
from portal_site import Site, running
from test_portal import NEW_PASSWORD, PASSWORD, filled
from visits import all_signed_in, boss, signed_in, submitted

from smsgw.admin.pages.home import workbench
from smsgw.admin.pages.person.favourites import MOST
from smsgw.core.ids import CHINA
from smsgw.core.model import ChannelStatus
from smsgw.core.policy import RELAXED, PolicySet, parse
from smsgw.core.states import PartState
from smsgw.platform.accounts import queries as accounts
from smsgw.runtime import clock

CHANNEL = ChannelStatus(
    1, "mobile-a", "cmpp30", ("CMCC",), "10690001", "bound", 2, 2, 7, 32, 182.4, 400, 15230, "", ("CMCC",), ""
)
__all__ = ["boss"]
pytestmark = pytest.mark.staff(admin="admin", boss="super")


@pytest_asyncio.fixture
async def admin(site: Site) -> AsyncIterator[Browser]:
    async with signed_in(site, "admin") as person:
        yield person


async def test_pages_come_compressed_to_who_takes_it(site: Site) -> None:
    async with Browser(site) as browser:
        browser.session._auto_decompress = False
        headers = {"Accept-Encoding": "gzip, br"}
        async with browser.session.get("/login", headers=headers) as response:
            assert (response.headers["Content-Encoding"], response.headers["Vary"]) == ("gzip", "Accept-Encoding")
            assert b"</html>" in gzip.decompress(await response.read())
        for refused in ("identity", "gzip;q=0"):
            async with browser.session.get("/login", headers={"Accept-Encoding": refused}) as response:
                assert "Content-Encoding" not in response.headers
                assert b"</html>" in await response.read()


async def test_a_page_shows_the_token_differently_each_time_and_takes_each(site: Site, admin: Browser) -> None:
    seen = set()
    for _ in range(3):
        await admin.get("/password")
        seen.add(admin.csrf)
    assert len(seen) == 3
    admin.csrf = min(seen)
    assert await admin.led_to("/theme", {"theme": "dark", "next": "/password"}) == "/password"


async def test_colours_are_kept_in_a_cookie(site: Site) -> None:
    async with Browser(site) as browser:
        assert 'data-theme="auto"' in await browser.login("admin")
        for theme, onward, path in (("dark", "/records", "/records"), ("pink", "//evil.example", "/")):
            page = await browser.post("/theme", {"theme": theme, "next": onward})
            assert (browser.path, 'data-theme="dark" data-bs-theme="dark"' in page) == (path, True)


async def test_a_toast_is_shown_once_after_the_redirect(site: Site, admin: Browser) -> None:
    page = await admin.post("/password", {"old": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD})
    assert 'toast-good" role="status"><span>新密码已生效。' in page
    assert "toast-good" not in await admin.get("/")
    admin.session.cookie_jar.update_cookies({"smsgw-toast": "Zm9yZ2Vk"})  # nobody else's words
    assert "toast-line" not in await admin.get("/")


async def test_figures_of_the_first_page_lead_to_exactly_their_records(site: Site) -> None:
    for n in range(6):
        await submitted(site, "hall", f"1380013800{n}", content="好" * 100)  # two parts each
    taken = await site.carrier_takes()
    assert len(taken) == 12
    await site.carrier_reports(taken[:4])
    await site.carrier_reports(taken[4:6], PartState.UNDELIVERABLE, "UNDELIV", "UNKNOWN")
    async with Browser(site) as browser:
        page = await browser.login("admin")
        figures = re.findall(
            r'<a class="figure [^"]*" href="(/records[^"]*)">.*?data-metric="(\w+)">([\d,]+)<', page, re.DOTALL
        )
        for address, metric, number in figures:
            rows = await browser.get(address.replace("&amp;", "&"))
            assert rows.count('<tr data-href="/records/') == int(number), metric
        counted = {metric: int(number) for _, metric, number in figures}
        assert counted.items() >= {"accepted": 6, "delivered": 2, "failed": 1, "submitted": 3}.items()
        shows(page, "66.7", "还没有通道")


async def test_a_code_without_a_reason_is_not_called_unknown(site: Site, admin: Browser) -> None:
    for code in ("UNDELIV", "REJECTD/099"):
        await submitted(site, "hall", "13800138000", content=code)
        await site.carrier_reports(await site.carrier_takes(), PartState.UNDELIVERABLE, code, "UNKNOWN")
    page = await admin.get("/records")
    shows(page, "未送达，运营商未给出原因", "运营商拒收，未给出原因", no='<div class="quiet">未知</div>')


def titles(page: str) -> list[str]:
    return re.findall(r'<div class="line-what">\s*<strong>([^<]+)</strong>', page)


async def test_the_confirmation_says_that_a_text_will_wait_and_the_trace_says_why(site: Site, admin: Browser) -> None:
    site.review_all()
    form = filled(site, "hall", await admin.get("/send/quick"))
    page = await admin.post("/send/quick/confirm", form)
    shows(page, "2 个号码的短信须经审批", "短信须审核", "提交审批</button>", no="立即发出")
    await admin.post("/send/quick", form)
    message_id = await site.db.fetchval("SELECT min(id) FROM message")
    page = await admin.get(f"/records/{message_id}")
    assert (titles(page), "短信须审核" in page) == (["平台受理", "等待审批"], True)


async def test_the_confirmation_warns_of_channels_that_are_down(site: Site, admin: Browser) -> None:
    form = filled(site, "hall", await admin.get("/send/quick"))
    pool = next(iter(site.snapshots.current.pools))
    site.channels.append(replace(CHANNEL, pools=(pool,), state="bound"))
    assert "将排队等待" not in await admin.post("/send/quick/confirm", form)
    site.channels[0] = replace(CHANNEL, pools=tuple(site.snapshots.current.pools), state="connecting", bound=0)
    shows(await admin.post("/send/quick/confirm", form), "将排队等待，恢复后自动发出： 移动", "立即发出")


async def test_a_scheduled_trace_shows_when(site: Site, admin: Browser) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    (message_id,) = await submitted(site, "hall", "13800138000", send_at=soon)
    page = await admin.get(f"/records/{message_id}")
    assert titles(page) == ["平台受理", "等待发送时间"]
    shown = (soon + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")
    assert f"<dt>计划时间</dt><dd>{shown}</dd>" in page


async def test_what_we_refuse_is_not_put_down_to_the_carrier(site: Site, admin: Browser) -> None:
    fields = {name: parse(name, "off") for name in RELAXED} | {"identical_seconds": parse("identical_seconds", "60")}
    site.snapshots.change(policies=PolicySet({(0, ""): fields}))
    for _ in range(2):
        (id_,) = await submitted(site, "hall", "13800138000")
    page = await admin.get(f"/records/{id_}")
    assert (titles(page)[:2], "运营商拒绝" in page) == (["平台受理", "平台拒绝"], False)
    assert re.search(r"<dt>说明</dt><dd>[^<]{4,}</dd>", page)


async def test_numbers_of_the_operating_system_are_not_shown(site: Site) -> None:
    error = "[Errno 111] Connect call failed ('10.0.0.7', 7890)"
    site.channels.append(replace(CHANNEL, state="connecting", last_error=error))
    async with Browser(site) as browser:
        shows(await browser.login("admin"), "连接被对方拒绝 10.0.0.7:7890", no="Errno")


async def found(browser: Browser, query: str) -> list[str]:
    page = await browser.get(f"/palette?q={query}")
    assert browser.status == 200
    return [html.unescape(path) for path in re.findall(r'role="option"[^>]* href="([^"]+)"', page)]


async def test_a_page_is_found_by_chinese_pinyin_and_english_and_a_person_by_login(site: Site, boss: Browser) -> None:
    id_ = await site.add_staff("zhangsan", "operator")
    assert f"/staff/{id_}" in await found(boss, "zhangs")
    for query in ("发送记录", "fsjl", "fasongjilu", "fa song ji", "sent mes", "FSJL"):
        assert (await found(boss, query))[0] == "/records", query
    assert "/me/security" in await found(boss, "zhaq")
    assert [bool(await found(boss, query)) for query in ("no such page", "x" * 200, "")] == [False, False, True]


async def test_things_are_found_by_number_within_scope(site: Site) -> None:
    await site.add_staff("clerk", "operator", "hall")
    id_ = await send(site)
    async with signed_in(site, "clerk") as browser:
        assert f"/records/{id_}" in await found(browser, str(id_))
        assert await found(browser, "13800138000") == ["/records?time=30d&phone=%2B8613800138000"]
        assert "13800138000" not in re.sub('href="[^"]+"', "", await browser.get("/palette?q=13800138000"))
        assert (await browser.get("/records?time=30d&phone=%2B8613800138000")).count('<tr data-href="/records/') == 1
        assert await found(browser, "hall") == [f"/records?time=7d&account={site.accounts['hall']}"]
        assert await found(browser, "clinic") == []
        assert not [path for path in await found(browser, "reviewer") if path.startswith("/staff")]
    await site.add_staff("other", "operator", "clinic")
    async with signed_in(site, "other") as browser, signed_in(site, "reviewer", "reviewer") as reviewer:
        assert await found(browser, str(id_)) == []
        assert [await found(reviewer, query) for query in ("13800138000", "hall")] == [[], []]


async def test_a_star_puts_a_page_on_top_of_the_menu(site: Site) -> None:
    await site.add_staff("else", "super")
    async with signed_in(site, "boss") as browser:
        assert "side-favourites" not in await browser.get("/records")
        page = await browser.post("/favourites", {"key": "records.sent", "on": "1", "next": "/records"})
        assert (browser.path, 'aria-pressed="true" aria-label="收藏"' in page) == ("/records", True)
        assert 'href="/records"' in page[page.index("side-favourites") :][:800]
        assert (await found(browser, ""))[0] == "/records"
        off = {"key": "records.sent", "on": "", "next": "/records"}
        assert "side-favourites" not in await browser.post("/favourites", off)
        assert await browser.status_of("/favourites", {"key": "no.such", "on": "1", "next": "/"}) == 404
        assert await browser.led_to("/favourites", {"key": "records.sent", "on": "1", "next": "//evil.example"}) == "/"
    async with Browser(site) as browser:
        assert "side-favourites" not in await browser.login("else")


async def test_a_star_without_its_right_is_not_shown_and_there_is_an_end_to_them(site: Site) -> None:
    staff = await site.add_staff("clerk", "operator", "hall")
    chosen = "INSERT INTO staff_preference VALUES ($1, 'favourites', jsonb_build_object('keys', $2::text[]))"
    await site.db.execute(chosen, staff, ["system.audit", "records.sent"])
    async with Browser(site) as browser:
        page = await browser.login("clerk")
        shows(page[page.index("side-favourites") :][:800], "/records", no="/audit")
    assert MOST <= 20


async def traffic(site: Site) -> None:
    """Three that arrive, two to nobody's number, one that is switched off, one on its way."""
    for n in range(7):
        await send(site, to=f"1380013800{n}")
    taken = await site.carrier_takes()
    await site.carrier_reports(taken[:3])
    await site.carrier_reports(taken[3:5], PartState.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER")
    await site.carrier_reports(taken[5:6], PartState.UNDELIVERABLE, "MK:0005", "POWERED_OFF")


def told(page: str) -> list[tuple[str, int]]:
    """Addresses of records and people with the number that leads there."""
    link = r'<a[^>]* href="(/(?:records|staff)\?[^"]*)">'
    found = re.findall(link + r"(?:(?!</a>).)*?<(?:b|strong)[^>]*>([\d,]+)", page, re.S)
    found += re.findall(link + r"[^<]*</a><b[^>]*>([\d,]+)", page)
    return [(html.unescape(address), int(number.replace(",", ""))) for address, number in found]


async def test_every_number_is_that_of_its_rows(site: Site) -> None:
    await site.add_staff("gone", "operator")
    await site.db.execute("UPDATE staff SET status = 'stopped' WHERE login = 'gone'")
    await traffic(site)
    async with Browser(site) as browser:
        page = await browser.login("boss")
        numbers = told(page)
        for address, number in numbers:
            assert len(re.findall(r"<tr[^>]* data-(?:href|open)=", await browser.get(address))) == number, address
    today = "/records?time=today"
    failed = f"{today}&status=failed"
    by_reason = {f"{failed}&reason=EMPTY_NUMBER": 2, f"{failed}&reason=POWERED_OFF": 1}
    assert {address: n for address, n in numbers if "reason" in address} == by_reason
    assert dict(numbers).items() >= {today: 7, failed: 3, "/staff?status=stopped": 1}.items()


@pytest.mark.parametrize(
    ("role", "first"),
    [("operator", "traffic"), ("ops", "channels"), ("auditor", "audit"), ("secadmin", "security"),
     ("sysadmin", "people"), ("finance", "runway"), ("reviewer", "review")],
)  # fmt: skip
async def test_the_first_card_is_what_the_role_is_there_for(site: Site, role: str, first: str) -> None:
    await site.add_staff("one", role, "hall")
    async with Browser(site) as browser:
        cards = re.findall(r'id="(\w+)-title"', await browser.login("one"))
        assert (cards[0], len(cards)) == (first, len(set(cards)))


async def test_nothing_new_is_nothing_sent_and_what_is_new_comes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbench, "EVERY", 0.0)
    await traffic(site)
    async with signed_in(site, "boss") as browser:
        await browser.get("/home/live")
        for _ in range(3):
            known = {"X-Have": browser.headers["X-Piece"]}
            if not await browser.get("/home/live", headers=known):
                break
        assert browser.status == 204, "it changes every time"
        await send(site, to="13800138009")
        assert 'data-metric="accepted">8<' in await browser.get("/home/live", headers=known)


async def test_all_who_see_the_same_cost_it_once(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbench, "EVERY", 60.0)
    with watched() as costs:
        async with running(dsn, tmp_path) as site:
            for login, role, *seen in (("one", "super"), ("two", "super"), ("hall", "operator", "hall"),
                                       ("clinic", "operator", "clinic")):  # fmt: skip
                await site.add_staff(login, role, *seen)
            await traffic(site)
            async with all_signed_in(site, "one", "two", "hall", "clinic") as (one, two, hall, clinic):
                first = await one.get("/home/live")
                costs.clear()
                assert await two.get("/home/live") == first
                assert await one.status_of("/home/live", headers={"X-Have": two.headers["X-Piece"]}) == 204
                assert sum(cost.statements for cost in costs) <= 4, "those of their sessions"
                assert 'data-metric="accepted">7<' in await hall.get("/home/live")
                assert 'data-metric="accepted">0<' in await clinic.get("/home/live")


async def test_what_could_not_be_found_out_anew_is_called_old(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with signed_in(site, "boss") as browser:
        assert "数据库应答慢" not in await browser.get("/home/live")
        now = clock.now() + timedelta(seconds=workbench.OLD + 1)
        monkeypatch.setattr(clock, "now", lambda: now)
        assert "数据库应答慢" in await browser.get("/home/live")


async def test_the_piece_does_not_change_by_the_clock(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour that goes by with nothing in it changes what is compared, not a minute that goes by."""
    await traffic(site)
    start = clock.now().astimezone(CHINA).replace(minute=10, second=0)
    async with signed_in(site, "boss") as browser:
        monkeypatch.setattr(clock, "now", lambda: start)
        monkeypatch.setattr(workbench, "EVERY", 0.0)
        first = await browser.get("/home/live")
        monkeypatch.setattr(clock, "now", lambda: start + timedelta(minutes=7))
        later = await browser.get("/home/live")
        goes_on = re.compile(r'data-audit="\w+">\d+')  # the log of what was read
        assert goes_on.sub("", first) == goes_on.sub("", later)


async def test_a_balance_lasts_as_long_as_it_was_used_lately(site: Site) -> None:
    today = date(2026, 3, 10)
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    await site.db.execute("UPDATE account SET created_at = '2026-01-01', balance = 1000, credit_floor = 0 WHERE id > 0")
    used = "INSERT INTO usage_day VALUES ($1, $2, 'x', 'notice', 1, 1, $3, $4)"
    for ago, units, refunded in ((0, 500, 0), (1, 80, 10), (7, 70, 0), (8, 900, 0)):
        await site.db.execute(used, hall, today - timedelta(ago), units, refunded)
    found = {one.id: one for one in await accounts.runways(site.db, seen=None, today=today)}
    assert (found[hall].used, found[hall].days, found[clinic].days) == (140, 50, None)
    seen = await accounts.runways(site.db, seen=(clinic,), today=today)
    assert [one.id for one in seen] == [clinic]
    await site.add_staff("money", "finance")
    async with Browser(site) as browser:
        assert "无法估计" in await browser.login("money")
