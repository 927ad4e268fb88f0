"""What every page has, the palette and favourites, and that pages say what is so: figures, traces."""

from __future__ import annotations

import gzip
import html
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from browsing import Browser, shows
from portal_site import Site
from test_portal import NEW_PASSWORD, PASSWORD, filled, send
from visits import signed_in, submitted

from smsgw.admin.pages.person.favourites import MOST
from smsgw.core.model import ChannelStatus
from smsgw.core.policy import RELAXED, PolicySet, parse
from smsgw.core.states import PartState

CHANNEL = ChannelStatus(1, "mobile-a", "cmpp30", ("CMCC",), "10690001", "bound", 2, 2, 7, 32, 182.4, 400, 15230, "",
                        ("CMCC",), "")  # fmt: skip
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
            body = await response.read()
            assert response.headers["Content-Encoding"] == "gzip"
            assert response.headers["Vary"] == "Accept-Encoding"
            assert b"</html>" in gzip.decompress(body)
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
        page = await browser.post("/theme", {"theme": "dark", "next": "/records"})
        assert browser.path == "/records"
        assert 'data-theme="dark" data-bs-theme="dark"' in page
        page = await browser.post("/theme", {"theme": "pink", "next": "//evil.example"})
        assert browser.path == "/"
        assert 'data-theme="dark"' in page


async def test_a_toast_is_shown_once_after_the_redirect(site: Site, admin: Browser) -> None:
    page = await admin.post("/password", {"old": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD})
    assert re.search(r'toast-good" role="status"><span>新密码已生效。', page)
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
        figures = re.findall(r'<a class="figure [^"]*" href="(/records[^"]*)">.*?data-metric="(\w+)">([\d,]+)<', page,
                             re.DOTALL)  # fmt: skip
        counted = {}
        for address, metric, number in figures:
            counted[metric] = int(number)
            rows = await browser.get(address.replace("&amp;", "&"))
            assert rows.count('<tr data-href="/records/') == int(number), metric
        assert counted["accepted"] == 6
        assert counted["delivered"] == 2
        assert counted["failed"] == 1
        assert counted["submitted"] == 3


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
    assert titles(page) == ["平台受理", "等待审批"]
    assert "短信须审核" in page


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
    assert titles(page)[:2] == ["平台受理", "平台拒绝"]
    assert "运营商拒绝" not in page
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


async def test_a_page_is_found_by_chinese_pinyin_and_english(site: Site) -> None:
    async with signed_in(site, "boss") as browser:
        for query in ("发送记录", "fsjl", "fasongjilu", "fa song ji", "sent mes", "FSJL"):
            assert (await found(browser, query))[0] == "/records", query
        assert "/me/security" in await found(browser, "zhaq")
        assert await found(browser, "no such page") == []
        assert await found(browser, "x" * 200) == []
        assert await found(browser, "") != []


async def test_things_are_found_by_number_within_scope(site: Site) -> None:
    await site.add_staff("clerk", "operator", "hall")
    await site.add_staff("other", "operator", "clinic")
    await site.add_staff("reviewer", "reviewer")
    id_ = await send(site)
    async with signed_in(site, "clerk") as browser:
        assert f"/records/{id_}" in await found(browser, str(id_))
        assert await found(browser, "13800138000") == ["/records?time=30d&phone=%2B8613800138000"]
        assert "13800138000" not in re.sub("href=\"[^\"]+\"", "", await browser.get("/palette?q=13800138000"))
        assert (await browser.get("/records?time=30d&phone=%2B8613800138000")).count('<tr data-href="/records/') == 1
        assert await found(browser, "hall") == [f"/records?time=7d&account={site.accounts['hall']}"]
        assert await found(browser, "clinic") == []
        assert not [path for path in await found(browser, "reviewer") if path.startswith("/staff")]
    async with signed_in(site, "other") as browser:
        assert await found(browser, str(id_)) == []
    async with signed_in(site, "reviewer") as browser:
        assert await found(browser, "13800138000") == []
        assert await found(browser, "hall") == []


async def test_people_are_found_by_who_may_see_them(site: Site) -> None:
    id_ = await site.add_staff("zhangsan", "operator")
    async with signed_in(site, "boss") as browser:
        assert f"/staff/{id_}" in await found(browser, "zhangs")


async def test_a_star_puts_a_page_on_top_of_the_menu(site: Site) -> None:
    await site.add_staff("else", "super")
    async with signed_in(site, "boss") as browser:
        assert "side-favourites" not in await browser.get("/records")
        page = await browser.post("/favourites", {"key": "records.sent", "on": "1", "next": "/records"})
        assert browser.path == "/records"
        assert 'aria-pressed="true" aria-label="收藏"' in page
        top = page[page.index("side-favourites"):][:800]
        assert 'href="/records"' in top
        assert (await found(browser, ""))[0] == "/records"
        page = await browser.post("/favourites", {"key": "records.sent", "on": "", "next": "/records"})
        assert "side-favourites" not in page
        assert await browser.status_of("/favourites", {"key": "no.such", "on": "1", "next": "/"}) == 404
        page = await browser.post("/favourites", {"key": "records.sent", "on": "1", "next": "//evil.example"})
        assert browser.path == "/"
    async with Browser(site) as browser:
        assert "side-favourites" not in await browser.login("else")


async def test_a_star_without_its_right_is_not_shown_and_there_is_an_end_to_them(site: Site) -> None:
    staff = await site.add_staff("clerk", "operator", "hall")
    keys = ["system.audit", "records.sent"]
    await site.db.execute(
        "INSERT INTO staff_preference VALUES ($1, 'favourites', jsonb_build_object('keys', $2::text[]))", staff, keys
    )
    async with Browser(site) as browser:
        page = await browser.login("clerk")
        top = page[page.index("side-favourites"):][:800]
        shows(top, "/records", no="/audit")
        assert MOST <= 20
