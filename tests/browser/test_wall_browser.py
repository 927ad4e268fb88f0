"""A screen on a wall in a real browser, at the size of one: it shows the board, and says when what it shows is old."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import Browser, expect
from portal_site import Site
from portal_walk import open_to_all

from smsgw.core.model import ChannelStatus, MessageType, Origin
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.change import Change
from smsgw.platform.org import queries
from smsgw.platform.walls import service


@pytest.mark.slow
@pytest.mark.staff(boss="super")
async def test_a_wall_shows_large_figures_and_says_when_they_are_old(chromium: Browser, site: Site) -> None:
    account = site.snapshots.current.account(site.accounts["hall"])
    assert account
    items = tuple(SendItem(to=f"1380013800{n}", content="您好") for n in range(9))
    await site.acceptor.send(SendRequest(account, items, MessageType.NOTICE, Origin.API, "key-1"))
    await site.carrier_reports((await site.carrier_takes())[:7])
    site.channels.append(ChannelStatus(
        id=site.channel_id, name="mobile-a", protocol="cmpp30", carriers=("CMCC",), access_code="10690001",
        state="bound", bound=1, connections=1, window_used=4, window=16, rate_now=1180.5, rate_limit=0,
        submitted_today=9, last_error="", pools=(), reason="nothing to send",
    ))  # fmt: skip
    found = await queries.person_to_check(site.db, "boss")
    assert found
    made = await service.add(Change(site.db, found[0].actor("127.0.0.1")), "值班室", timedelta(hours=4))
    context = await chromium.new_context(viewport={"width": 1920, "height": 1080}, base_url=site.url)
    page = await context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    await page.goto("/wall")
    await page.fill("#code", made.code)
    await page.click("form.entry-form button")
    await expect(page.locator(".wall-figures")).to_contain_text("1180.5")
    await expect(page.locator("#wall-minutes canvas")).to_be_visible()
    await expect(page.locator("[data-wall-lost]")).to_be_hidden()
    assert not await page.evaluate("document.documentElement.scrollHeight > innerHeight"), "a wall cannot be scrolled"
    assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth")
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(16, 22, 31)", "dark, whatever the browser likes"
    size = "parseFloat(getComputedStyle(document.querySelector('.wall-figure strong')).fontSize)"
    assert await page.evaluate(size) >= 54, "read across a room: a twentieth of its height"
    await open_to_all(page, "the wall")
    await context.set_offline(True)
    await expect(page.locator("[data-wall-lost]")).to_be_visible(timeout=60_000)
    await expect(page.locator("[data-wall-lost]")).to_contain_text("没有更新")
    assert await page.evaluate("document.body.classList.contains('is-old')")
    await context.set_offline(False)
    await expect(page.locator("[data-wall-lost]")).to_be_hidden(timeout=60_000)
    await service.end(Change(site.db, found[0].actor("127.0.0.1")), made.id)
    await page.wait_for_url("**/wall?ended=1")
    await expect(page.locator(".note-warning")).to_contain_text("已结束")
    assert problems == []
    await context.close()
