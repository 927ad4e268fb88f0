"""An account given to another channel in a real browser, and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, expect
from portal_site import SEALER, Site, by_test, running
from test_portal_browser import DESKTOP, PHONE, chromium, fits, opened, pytestmark
from test_scenarios_browser import picture

from smsgw.core.model import MessageType, Origin
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.channels import service as channels

__all__ = ("chromium", "pytestmark")
OTHER = {
    "protocol": "cmpp30", "host": "127.0.0.1", "port": 7891, "username": "900002", "password": "secret",
    "access_code": "10690002",
}  # fmt: skip
WHERE = "SELECT l.name FROM part p JOIN pool l ON l.id = p.pool_id"


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        await channels.add(by_test(site.db), SEALER, "mobile-b", OTHER)
        yield site


async def test_an_account_is_moved_and_brought_back_by_click(chromium: Browser, site: Site) -> None:
    """S21a."""
    hall = site.accounts["hall"]
    account = site.snapshots.current.account(hall)
    assert account
    items = (SendItem(to="13800138000", content="您好"),)
    await site.acceptor.send(SendRequest(account, items, MessageType.NOTICE, Origin.API, "key-1"))
    async with opened(chromium, site, DESKTOP, "boss") as page:
        await page.goto(f"/accounts/{hall}")
        await page.click("a:has-text('切换通道')")
        await page.select_option("#channel", "mobile-b")
        await page.fill("#reason", "原通道割接")
        await picture(page, "route-form")
        await page.click("form button.btn-primary")
        await expect(page.locator(".effect")).to_contain_text("等待中的 1 条随之改走")
        await picture(page, "route-effect")
        await page.click("button:has-text('确认切换通道')")
        await page.wait_for_url("**/jobs/*")
        await expect(page.locator("main")).to_contain_text("1 条等待中的短信已改走")
        await picture(page, "route-job")
        assert await site.db.fetchval(WHERE) == "only-mobile-b"
        await site.snapshots.follow()
        await page.goto(f"/accounts/{hall}")
        await expect(page.locator("main")).to_contain_text("固定通道")
        await picture(page, "route-account")
    async with opened(chromium, site, PHONE, "boss") as page:
        await page.goto(f"/accounts/{hall}/route")
        await fits(page)
        await picture(page, "route-phone")
        await page.goto(f"/accounts/{hall}/route/restore")
        await fits(page)
        await page.fill("#reason", "割接结束")
        await page.click("form button.btn-primary")
        await expect(page.locator(".effect")).to_contain_text("1 条一并按规则改走")
        await page.click("button:has-text('确认恢复按规则选路')")
        await page.wait_for_url("**/jobs/*")
        await expect(page.locator("main")).to_contain_text("1 条等待中的短信已改走")
        assert await site.db.fetchval(WHERE) == "CMCC"
