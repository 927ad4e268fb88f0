"""An opt-out undone in a real browser: a clerk finds it, brings the proof, another person decides on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect
from portal_site import Site, by_test
from windows import DESKTOP, PHONE, fits, opened

from smsgw.core.blocklist import OPT_OUT, Scope
from smsgw.platform.lists import service

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xff\xff?\x00\x05\xfe\x02\xfe\xa75\x81\x84\x00\x00\x00\x00IEND\xaeB`\x82"
)
pytestmark = pytest.mark.staff(boss="super", chief="super")


async def test_a_clerk_asks_with_the_proof_and_another_passes_it(chromium: Browser, site: Site, tmp_path: Path) -> None:
    """S23.4g, P4.4."""
    scope = Scope(site.accounts["hall"], "marketing", "")
    await service.block(by_test(site.db), ["8613800138000"], scope, OPT_OUT, "回复 R")
    file = tmp_path / "恢复接收申请表.png"
    file.write_bytes(PNG)
    async with opened(chromium, site, DESKTOP, "boss") as page:
        await page.goto(f"/blocked/why?number=13800138000&account={site.accounts['hall']}")
        await page.click(".verdicts a[href$='/undo']")
        await page.fill("#reason", "用户 11 月 20 日在窗口填表，同意恢复接收")
        await page.set_input_files("input[type=file]", file)
        await page.click("form.kit-form button.btn-primary")
        await page.wait_for_url("**/optouts/undos/*")
        await expect(page.locator("main")).to_contain_text("待审批")
        await page.goto("/optouts/undos")
    async with opened(chromium, site, PHONE, "chief") as page:
        await page.goto("/optouts/undos")
        await fits(page)
        id_ = await site.db.fetchval("SELECT id FROM optout_undo")
        await page.goto(f"/optouts/undos/{id_}")
        await fits(page)
        await expect(page.locator("a[href$='/proof']")).to_be_visible()
        await page.click("button:has-text('同意撤销')")
        await page.fill("[name=reason]", "凭证齐全")
        await page.click("button:has-text('确认同意撤销')")
        await expect(page.locator("main")).to_contain_text("已撤销退订")
    assert await site.db.fetchval("SELECT removed_at IS NOT NULL FROM block_list")
    async with opened(chromium, site, PHONE, "chief") as page:
        await page.context.request.get(site.url + "/optouts/undos")
        await page.goto("/optouts")
