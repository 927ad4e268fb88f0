"""A number filter as the source of a sending, and the edit of what comes round, in a real browser."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import Browser, Page, expect
from portal_site import Site
from windows import DESKTOP, PHONE, fits, opened

from smsgw.core.ids import CHINA
from smsgw.runtime import clock

pytestmark = pytest.mark.staff(boss="super")


async def _content(page: Page, site: Site) -> None:
    await page.goto("/send")
    await page.select_option("#account", str(site.accounts["hall"]))
    await page.fill("#content", "您好，请到窗口办理")
    await page.click("button:has-text('下一步')")
    await page.wait_for_url("**/audience")


async def test_the_classes_that_are_kept_get_it(chromium: Browser, site: Site) -> None:
    for name, states in (("年会名单", ("live", "empty", "unknown")), ("家长名单", ("live",))):
        await site.db.execute(
            "WITH f AS (INSERT INTO number_filter (name, account_id, created_by, filled) VALUES ($1, $2, 'boss', true) "
            "RETURNING id) INSERT INTO number_filter_row (filter_id, number, state) "
            "SELECT f.id, 8613800138000 + n, s FROM f, unnest($3::text[]) WITH ORDINALITY AS t (s, n)",
            name, site.accounts["hall"], list(states),
        )  # fmt: skip
    async with opened(chromium, site, DESKTOP, "boss") as page:
        await _content(page, site)
        await page.click(".chip:has(input[value=filter])")
        await expect(page.locator("#filter-keep")).to_contain_text("实号（1）")
        await expect(page.locator("#filter-keep")).to_contain_text("空号（0）")
        today = f"{clock.now().astimezone(CHINA):%Y-%m-%d}"
        await page.select_option("#filter", label=f"年会名单 · 3 个号码 · {today}")
        await expect(page.locator("#filter-keep")).to_contain_text("空号（1）")
        await expect(page.locator("input[name=filter_keep][value=empty]")).not_to_be_checked()
        await fits(page)
        await page.uncheck("input[name=filter_keep][value=unknown]")
        await page.click("button:has-text('下一步：检查号码')")
        await expect(page.locator("#clean-sum")).to_have_text("共 1 行，有效 1 行。")


async def test_a_recurring_task_is_edited_on_a_phone(chromium: Browser, site: Site) -> None:
    async with opened(chromium, site, DESKTOP, "boss") as page:
        await _content(page, site)
        await page.fill("#to", "13800138000")
        await page.click("button:has-text('下一步')")
        await page.wait_for_url("**/clean")
        await page.goto(page.url.replace("/clean", "/time"))
        await page.click(".chip:has(input[value=again])")
        await page.fill("#every_at", "09:00")
        await page.click("button:has-text('下一步：确认')")
        await page.click("button:has-text('确认发送')")
        await page.wait_for_url("**/tasks/*")
        task = int(page.url.rpartition("/")[2])
    async with opened(chromium, site, PHONE, "boss", allowed="422") as page:
        await page.goto(f"/tasks/{task}")
        await page.click("a:has-text('编辑任务')")
        await fits(page)
        await page.fill("#every_at", "10:30")
        await page.fill("#content", "您好，请到三楼办理")
        await page.click("button:has-text('保存修改')")
        await expect(page.locator("main")).to_contain_text("10:30")
        await page.click("button:has-text('确认')")
        await page.wait_for_url(f"**/tasks/{task}")
        at = await site.db.fetchval("SELECT next_at FROM task WHERE id = $1", task)
        now = clock.now().astimezone(CHINA)
        wanted = now.replace(hour=10, minute=30, second=0, microsecond=0)
        assert at == (wanted if wanted > now else wanted + timedelta(days=1))
        await expect(page.locator("main")).to_contain_text("您好，请到三楼办理")
        await page.goto(f"/review/rules/{site.accounts['hall']}/marketing/hours")
        await fits(page)
        await page.fill("input[name=windows1_from]", "09:00")
        await page.fill("input[name=windows1_to]", "09:00")
        await page.click("button:has-text('保存规则')")
        await expect(page.locator("#field-windows")).to_contain_text("不能相同")
        await page.goto("/review/rules")
