"""A scenario picked in a real browser, and a proof of consent brought: what is fixed is shown, not asked for."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect
from portal_site import Site, by_test
from windows import DESKTOP, PHONE, fits, opened

from smsgw.core.model import MessageType
from smsgw.platform.scenarios import service
from smsgw.platform.scenarios.model import Terms

pytestmark = pytest.mark.staff(boss="super")


async def test_a_picked_scenario_decides_and_the_rest_is_kept(chromium: Browser, site: Site) -> None:
    terms = Terms("预约提醒", MessageType.MARKETING, "测试", windows="08:30-20:00", note="窗口预约用")
    await service.add(by_test(site.db, site.ids.next), site.accounts["hall"], terms)
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
        await page.click("button:has-text('下一步')")
        await page.fill("#to", "13800138000")
        await page.click("button:has-text('下一步')")
        await page.wait_for_url("**/clean")
        await page.goto(page.url.replace("/clean", "/time"))
        await expect(page.locator("text=08:30–20:00")).to_be_visible()
    async with opened(chromium, site, PHONE, "boss") as page:
        await page.goto("/scenarios/-/new")
        await fits(page)


async def test_what_was_put_together_becomes_a_scenario(chromium: Browser, site: Site) -> None:
    """A clerk's walk: several spans of the day, what is sent, and the same again from the scenario made of it."""
    async with opened(chromium, site, DESKTOP, "boss") as page:
        await page.goto("/send")
        await page.fill("#subject", "窗口提醒")
        await page.select_option("#sign", label="其他签名，自行填写")
        await page.fill("input[name=sign_other]", "测试")
        await page.fill("#content", "您好，请到窗口办理")
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
        await page.click("button:has-text('下一步：确认')")
        await expect(page.locator("#windows")).to_have_text("周一至周五 09:00–11:30、14:00–17:00")
        await expect(page.locator("#ends")).to_be_visible()
        await page.click("a:has-text('存为业务场景')")
        await expect(page.locator("#name")).to_have_value("窗口提醒")
        await expect(page.locator("input[name=windows2_from]")).to_have_value("14:00")
        await page.click("button:has-text('保存')")
        await page.wait_for_url("**/scenarios/*")
        await expect(page.locator("main")).to_contain_text("周一至周五 09:00–11:30、14:00–17:00")
        await page.click("a:has-text('用此场景发送')")
        await expect(page.locator("main")).to_contain_text("【测试】")
    async with opened(chromium, site, PHONE, "boss") as page:
        draft = await site.db.fetchval("SELECT max(id) FROM send_draft")
        await page.goto(f"/send/{draft}/time")
        await fits(page)
