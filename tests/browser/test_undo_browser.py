"""An opt-out undone in a real browser: a clerk finds it, brings the proof, another person decides on a phone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, expect
from portal_site import Site, running
from test_portal_browser import DESKTOP, PHONE, chromium, fits, opened, pytestmark
from test_scenarios_browser import PNG, by, picture

from smsgw.core.blocklist import OPT_OUT, Scope
from smsgw.platform.lists import service

__all__ = ("chromium", "pytestmark")


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        await site.add_staff("chief", "super")
        yield site


async def test_a_clerk_asks_with_the_proof_and_another_passes_it(
    chromium: Browser, site: Site, tmp_path: Path
) -> None:
    """S23.4g, P4.4."""
    scope = Scope(site.accounts["hall"], "marketing", "")
    await service.block(by(site), ["8613800138000"], scope, OPT_OUT, "回复 R")
    file = tmp_path / "恢复接收申请表.png"
    file.write_bytes(PNG)
    async with opened(chromium, site, DESKTOP, "boss") as page:
        await page.goto(f"/blocked/why?number=13800138000&account={site.accounts['hall']}")
        await picture(page, "undo-why")
        await page.click(".verdicts a[href$='/undo']")
        await page.fill("#reason", "用户 11 月 20 日在窗口填表，同意恢复接收")
        await page.set_input_files("input[type=file]", file)
        await picture(page, "undo-ask")
        await page.click("form.kit-form button.btn-primary")
        await page.wait_for_url("**/optouts/undos/*")
        await expect(page.locator("main")).to_contain_text("待审批")
        await picture(page, "undo-asked")
        await page.goto("/optouts/undos")
        await picture(page, "undos")
    async with opened(chromium, site, PHONE, "chief") as page:
        await page.goto("/optouts/undos")
        await fits(page)
        await picture(page, "undos-phone")
        id_ = await site.db.fetchval("SELECT id FROM optout_undo")
        await page.goto(f"/optouts/undos/{id_}")
        await fits(page)
        await expect(page.locator("a[href$='/proof']")).to_be_visible()
        await picture(page, "undo-phone")
        await page.click("button:has-text('同意撤销')")
        await page.fill("[name=reason]", "凭证齐全")
        await picture(page, "undo-pass-phone")
        await page.click("button:has-text('确认同意撤销')")
        await expect(page.locator("main")).to_contain_text("已撤销退订")
    assert await site.db.fetchval("SELECT removed_at IS NOT NULL FROM block_list")
    async with opened(chromium, site, PHONE, "chief") as page:
        await page.context.request.get(site.url + "/optouts/undos")
        await page.goto("/optouts")
        await picture(page, "optouts-phone")
