"""What every page has, and that pages say what is so: compression, toasts, live pieces, figures, traces."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from portal_site import Site
from test_portal import NEW_PASSWORD, PASSWORD, Browser, filled, send

from smsgw.admin.pages.records import trace
from smsgw.core.model import ChannelStatus, MessageType, Origin
from smsgw.core.policy import RELAXED, PolicySet, parse
from smsgw.core.states import PartState
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest

CHANNEL = ChannelStatus(
    1, "mobile-a", "cmpp30", ("CMCC",), "10690001", "bound", 2, 2, 7, 32, 182.4, 400, 15230, "", ("CMCC",), ""
)


pytestmark = pytest.mark.staff(admin="admin")


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


async def test_a_page_shows_the_token_differently_each_time_and_takes_each(site: Site) -> None:
    async with Browser(site) as browser:
        await browser.login("admin")
        seen = set()
        for _ in range(3):
            await browser.get("/password")
            seen.add(browser.csrf)
        assert len(seen) == 3
        browser.csrf = min(seen)
        await browser.post("/theme", {"theme": "dark", "next": "/password"})
        assert browser.path == "/password"


async def test_colours_are_kept_in_a_cookie(site: Site) -> None:
    async with Browser(site) as browser:
        page = await browser.login("admin")
        assert 'data-theme="auto"' in page
        page = await browser.post("/theme", {"theme": "dark", "next": "/records"})
        assert browser.path == "/records"
        assert 'data-theme="dark" data-bs-theme="dark"' in page
        page = await browser.post("/theme", {"theme": "pink", "next": "//evil.example"})
        assert browser.path == "/"
        assert 'data-theme="dark"' in page


async def test_a_toast_is_shown_once_after_the_redirect(site: Site) -> None:
    async with Browser(site) as browser:
        await browser.login("admin")
        await browser.get("/password")
        page = await browser.post("/password", {"old": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD})
        assert re.search(r'toast-good" role="status"><span>新密码已生效。', page)
        assert "toast-good" not in await browser.get("/")
        browser.session.cookie_jar.update_cookies({"smsgw-toast": "Zm9yZ2Vk"})  # nobody else's words
        assert "toast-line" not in await browser.get("/")


async def test_a_piece_that_is_known_already_comes_as_204(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "EVERY", 0.0)
    message_id = await send(site)
    async with Browser(site) as browser:
        await browser.login("admin")
        live = f"/records/{message_id}/live"
        await browser.get(live)
        have = {"X-Have": browser.headers["X-Piece"]}
        assert await browser.get(live, headers=have) == ""
        assert browser.status == 204
        await site.carrier_takes()
        assert "运营商已接收" in await browser.get(live, headers=have)
        assert browser.status == 200


async def test_figures_of_the_first_page_lead_to_exactly_their_records(site: Site) -> None:
    account = site.snapshots.current.account(site.accounts["hall"])
    assert account
    for n in range(6):
        items = (SendItem(to=f"1380013800{n}", content="好" * 100),)  # two parts each
        await site.acceptor.send(SendRequest(account, items, MessageType.NOTICE, Origin.API, f"key-{n}"))
    taken = await site.carrier_takes()
    assert len(taken) == 12
    await site.carrier_reports(taken[:4])
    await site.carrier_reports(taken[4:6], PartState.UNDELIVERABLE, "UNDELIV", "UNKNOWN")
    async with Browser(site) as browser:
        page = await browser.login("admin")
        figures = re.findall(
            r'<a class="figure [^"]*" href="(/records[^"]*)">.*?data-metric="(\w+)">([\d,]+)<', page, re.DOTALL
        )
        counted = {}
        for address, metric, number in figures:
            counted[metric] = int(number)
            rows = await browser.get(address.replace("&amp;", "&"))
            assert rows.count('<tr data-href="/records/') == int(number), metric
        assert counted["accepted"] == 6
        assert counted["delivered"] == 2
        assert counted["failed"] == 1
        assert counted["submitted"] == 3


async def test_a_code_without_a_reason_is_not_called_unknown(site: Site) -> None:
    for n, code in enumerate(("UNDELIV", "REJECTD/099")):
        await send_as(site, f"key-{n}")
        await site.carrier_reports(await site.carrier_takes(), PartState.UNDELIVERABLE, code, "UNKNOWN")
    async with Browser(site) as browser:
        await browser.login("admin")
        page = await browser.get("/records")
    assert "未送达，运营商未给出原因" in page
    assert "运营商拒收，未给出原因" in page
    assert '<div class="quiet">未知</div>' not in page


async def send_as(site: Site, key: str, **more: object) -> int:
    account = site.snapshots.current.account(site.accounts["hall"])
    assert account
    request = SendRequest(account, (SendItem(to="13800138000", content=key),), MessageType.NOTICE, Origin.API, key)
    result = await site.acceptor.send(replace(request, **more))  # type: ignore[arg-type]
    return int(result.items[0].message_id)


def titles(page: str) -> list[str]:
    return re.findall(r'<div class="line-what">\s*<strong>([^<]+)</strong>', page)


async def test_the_confirmation_says_that_a_text_will_wait_and_the_trace_says_why(site: Site) -> None:
    site.review_all()
    async with Browser(site) as browser:
        await browser.login("admin")
        form = filled(site, "hall", await browser.get("/send/quick"))
        page = await browser.post("/send/quick/confirm", form)
        assert "2 个号码的短信须经审批" in page
        assert "短信须审核" in page
        assert "提交审批</button>" in page
        assert "立即发出" not in page
        await browser.post("/send/quick", form)
        message_id = await site.db.fetchval("SELECT min(id) FROM message")
        page = await browser.get(f"/records/{message_id}")
        assert titles(page) == ["平台受理", "等待审批"]
        assert "短信须审核" in page


async def test_the_confirmation_warns_of_channels_that_are_down(site: Site) -> None:
    async with Browser(site) as browser:
        await browser.login("admin")
        form = filled(site, "hall", await browser.get("/send/quick"))
        pool = next(iter(site.snapshots.current.pools))
        site.channels.append(replace(CHANNEL, pools=(pool,), state="bound"))
        assert "将排队等待" not in await browser.post("/send/quick/confirm", form)
        site.channels[0] = replace(CHANNEL, pools=tuple(site.snapshots.current.pools), state="connecting", bound=0)
        page = await browser.post("/send/quick/confirm", form)
        assert "将排队等待，恢复后自动发出： 移动" in page
        assert "立即发出" in page


async def test_a_scheduled_trace_shows_when(site: Site) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    message_id = await send_as(site, "key", send_at=soon)
    async with Browser(site) as browser:
        await browser.login("admin")
        page = await browser.get(f"/records/{message_id}")
    assert titles(page) == ["平台受理", "等待发送时间"]
    shown = (soon + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")
    assert f"<dt>计划时间</dt><dd>{shown}</dd>" in page


async def test_what_we_refuse_is_not_put_down_to_the_carrier(site: Site) -> None:
    fields = {name: parse(name, "off") for name in RELAXED} | {"identical_seconds": parse("identical_seconds", "60")}
    site.snapshots.change(policies=PolicySet({(0, ""): fields}))
    for n in range(2):
        items = (SendItem(to="13800138000", content="您好"),)
        account = site.snapshots.current.account(site.accounts["hall"])
        assert account
        result = await site.acceptor.send(SendRequest(account, items, MessageType.NOTICE, Origin.API, f"key-{n}"))
    async with Browser(site) as browser:
        await browser.login("admin")
        page = await browser.get(f"/records/{result.items[0].message_id}")
    assert titles(page)[:2] == ["平台受理", "平台拒绝"]
    assert "运营商拒绝" not in page
    assert re.search(r"<dt>说明</dt><dd>[^<]{4,}</dd>", page)


async def test_numbers_of_the_operating_system_are_not_shown(site: Site) -> None:
    error = "[Errno 111] Connect call failed ('10.0.0.7', 7890)"
    site.channels.append(replace(CHANNEL, state="connecting", last_error=error))
    async with Browser(site) as browser:
        page = await browser.login("admin")
        assert "Errno" not in page
        assert "连接被对方拒绝 10.0.0.7:7890" in page


async def test_a_field_that_is_wrong_is_tied_to_what_is_wrong(site: Site) -> None:
    async with Browser(site) as browser:
        await browser.login("admin")
        form = filled(site, "hall", await browser.get("/send/quick"), to="abc")
        page = await browser.post("/send/quick/confirm", form)
        assert browser.status == 422
        assert re.search(r'<textarea[^>]* id="to" aria-invalid="true" aria-describedby="to-problem"', page)
        assert 'id="to-problem"' in page
