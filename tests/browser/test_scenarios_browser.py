"""A scenario picked in a real browser, and a proof of consent brought: what is fixed is shown, not asked for."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from portal_site import Site, running
from test_portal_browser import DESKTOP, PHONE, chromium, fits, opened, pytestmark

from smsgw.core.actor import Actor
from smsgw.core.model import MessageType
from smsgw.platform.change import Change
from smsgw.platform.lists import consents
from smsgw.platform.scenarios import service
from smsgw.platform.scenarios.model import Terms
from smsgw.runtime import clock

__all__ = ("chromium", "pytestmark")
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xff\xff?\x00\x05\xfe\x02\xfe\xa75\x81\x84\x00\x00\x00\x00IEND\xaeB`\x82"
)


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        yield site


def by(site: Site) -> Change:
    return Change(site.db, Actor.system("test"), ids=site.ids.next)


async def picture(page: Page, name: str) -> None:
    """Kept where ``TEST_PICTURES`` says, to be looked at."""
    if folder := os.environ.get("TEST_PICTURES"):
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)


async def test_a_picked_scenario_decides_and_the_rest_is_kept(chromium: Browser, site: Site) -> None:
    terms = Terms("预约提醒", MessageType.MARKETING, "测试", windows="08:30-20:00", note="窗口预约用")
    await service.add(by(site), site.accounts["hall"], terms)
    async with opened(chromium, site, DESKTOP, "boss") as page:
        await page.goto("/send")
        await page.fill("#subject", "五月预约")
        await page.fill("#content", "您好，请到场，拒收请回复R")
        await page.select_option("#scenario", label="预约提醒 · hall")
        await expect(page.locator("text=窗口预约用")).to_be_visible()
        await expect(page.locator("input[name=type]")).to_have_value("marketing")
        await expect(page.locator("#account")).to_have_count(0)
        await expect(page.locator("#subject")).to_have_value("五月预约")
        await expect(page.locator("#preview .bubble")).to_contain_text("【测试】您好")
        await picture(page, "scenario-picked")
        await page.click("button:has-text('下一步')")
        await page.fill("#to", "13800138000")
        await page.click("button:has-text('下一步')")
        await page.wait_for_url("**/clean")
        await page.goto(page.url.replace("/clean", "/time"))
        await expect(page.locator("text=08:30–20:00")).to_be_visible()
        await picture(page, "scenario-time")
    async with opened(chromium, site, PHONE, "boss") as page:
        await page.goto("/scenarios/-/new")
        await fits(page)
        await picture(page, "scenario-new-phone")


async def test_what_was_put_together_becomes_a_scenario(chromium: Browser, site: Site) -> None:
    """A clerk's walk: several spans of the day, what is sent, and the same again from the scenario made of it."""
    async with opened(chromium, site, DESKTOP, "boss") as page:
        await page.goto("/send")
        await page.fill("#subject", "窗口提醒")
        await page.select_option("#sign", label="其他签名，自行填写")
        await page.fill("input[name=sign_other]", "测试")
        await page.fill("#content", "您好，请到窗口办理")
        await picture(page, "signature-other")
        await page.click("button:has-text('下一步')")
        await page.fill("#to", "13800138000")
        await page.click("button:has-text('下一步')")
        await page.wait_for_url("**/clean")
        await page.goto(page.url.replace("/clean", "/time"))
        for n, begin, end in ((1, "09:00", "11:30"), (2, "14:00", "17:00")):
            if n == 2:
                await page.click("summary:has-text('更多时段')")
            await page.fill(f"input[name=windows{n}_from]", begin)
            await page.fill(f"input[name=windows{n}_to]", end)
            for day in (6, 7):
                await page.uncheck(f"input[name=windows{n}_days][value='{day}']")
        await fits(page)
        await picture(page, "spans-desktop")
        await page.click("button:has-text('下一步：确认')")
        await expect(page.locator("#windows")).to_have_text("周一至周五 09:00–11:30、14:00–17:00")
        await expect(page.locator("#ends")).to_be_visible()
        await picture(page, "confirm")
        await page.click("a:has-text('存为业务场景')")
        await expect(page.locator("#name")).to_have_value("窗口提醒")
        await expect(page.locator("input[name=windows2_from]")).to_have_value("14:00")
        await picture(page, "as-scenario")
        await page.click("button:has-text('保存')")
        await page.wait_for_url("**/scenarios/*")
        await expect(page.locator("main")).to_contain_text("周一至周五 09:00–11:30、14:00–17:00")
        await page.click("a:has-text('用此场景发送')")
        await expect(page.locator("main")).to_contain_text("【测试】")
    async with opened(chromium, site, PHONE, "boss") as page:
        draft = await site.db.fetchval("SELECT max(id) FROM send_draft")
        await page.goto(f"/send/{draft}/time")
        await fits(page)
        await picture(page, "spans-phone")


async def test_a_proof_is_brought_and_shown(chromium: Browser, site: Site, tmp_path: Path) -> None:
    given = consents.Given(consents.Source.PAPER, "v1", "档案 7", clock.now())
    await consents.give(by(site), site.accounts["hall"], ["8613800138000"], given)
    file = tmp_path / "同意书.png"
    file.write_bytes(PNG)
    async with opened(chromium, site, PHONE, "boss") as page:
        await page.goto("/consents")
        await picture(page, "consents-phone")
        id_ = await site.db.fetchval("SELECT id FROM consent")
        await page.goto(f"/consents/{id_}")
        await page.click("text=上传凭证文件")
        await fits(page)
        await picture(page, "proof-phone")
        await page.set_input_files("input[type=file]", file)
        await page.click("button:has-text('上传')")
        await expect(page.locator("text=查看凭证文件")).to_be_visible()
        await picture(page, "proof-there-phone")
        address = await page.get_attribute("a:has-text('查看凭证文件')", "href")
        answer = await page.context.request.get(site.url + str(address))
        assert answer.headers["content-type"] == "image/png"
        assert await answer.body() == PNG
    async with opened(chromium, site, DESKTOP, "boss") as page:
        await page.goto("/consents/-/import")
        await picture(page, "import")
        table = tmp_path / "名单.csv"
        table.write_text("手机号,同意日期\n13900139000,2026-02-01\n", "utf-8")
        await page.set_input_files("input[type=file]", table)
        await page.click("button:has-text('上传并预览')")
        await expect(page.locator("#column_number")).to_be_visible()
        await picture(page, "import-columns")
