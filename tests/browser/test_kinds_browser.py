"""The operator's own kind of message, from the page that makes it to the one that retires it (S4.j)."""

from __future__ import annotations

import re

import pytest
from nodes import Node, until
from playwright.async_api import Browser, Locator, Page, expect
from test_sending_walks import to_the_end
from test_tender_walks import composes, node, opened, quickly
from windows import DESKTOP, PHONE, fits, goes_on, sends

from smsgw.core.ids import CHINA
from smsgw.runtime import clock

__all__ = ("node",)
pytestmark = pytest.mark.slow
CHIP = ".chip:has(input[value=bill])"
KNOWN = "SELECT id FROM task WHERE message_kind = 'bill'"


def line_of(page: Page) -> Locator:
    """Of the kind, on the page of all of them."""
    return page.locator("[data-kind=bill]")


async def hours(page: Page, from_: str, to: str) -> None:
    """When the kind is sent, of all accounts."""
    await page.goto("/review/rules/0/bill/hours")
    await page.fill("input[name=windows1_from]", from_)
    await page.fill("input[name=windows1_to]", to)
    await sends(page)
    await page.wait_for_url("**/review/rules")


async def test_a_kind_is_made_limited_sent_with_held_reported_and_retired(chromium: Browser, node: Node) -> None:
    """S4.j: its hours hold a task, its frequency refuses a second message, the day's report names it, and once it is
    retired nobody is offered it."""
    early = clock.now().astimezone(CHINA).hour < 12
    closed = ("20:00", "21:00") if early else ("05:00", "06:00")
    async with opened(chromium, node, DESKTOP, "boss") as boss, opened(chromium, node, DESKTOP, "clerk") as clerk:
        await boss.goto("/limits")
        await boss.click("a:has-text('新增业务类型')")
        await boss.fill("#kind_name", "bill")
        await boss.fill("#kind_label", "水费账单")
        await boss.select_option("#base", "notice")
        await boss.click(".kit-form button[type=submit]")
        await expect(boss.locator(".effect")).to_contain_text("将新增业务类型“水费账单”（bill），属于通知。")
        await boss.click(".effect ~ form button[type=submit]")
        await boss.wait_for_url("**/limits")
        await expect(line_of(boss)).to_contain_text("水费账单")
        await line_of(boss).locator("a[href$='/frequency']").click()
        await boss.fill("#frequency", "1/1d")
        await sends(boss)
        await boss.wait_for_url("**/limits")
        await expect(line_of(boss)).to_contain_text("1 天内最多 1 条")
        await hours(boss, *closed)
        await boss.goto("/limits")
        await expect(line_of(boss)).to_contain_text("–".join(closed))
        await fits(boss)

        async def waits() -> bool:
            await composes(clerk, node.hall, "您的水费账单已出", subject="水费")
            if not await clerk.locator(CHIP).count():
                return False
            await clerk.click(CHIP)
            await to_the_end(clerk, "13800001401")
            return "最早于" in await clerk.inner_text("#when")

        await until(waits)  # a node reads its configuration every moment
        await expect(clerk.locator("main")).to_contain_text("水费账单")
        await goes_on(clerk)
        await clerk.wait_for_url(re.compile(r"/tasks/\d+$"))
        await expect(clerk.locator("main")).to_contain_text("水费账单")
        assert await until(lambda: node.db.fetchval(KNOWN)) == int(clerk.url.rpartition("/")[2])
        assert node.texts("13800001401") == []
        await hours(boss, "", "")
        assert await node.gets("13800001401") == ["【市政服务】您的水费账单已出"]

        await quickly(clerk, node.hall, "13800001401", "您的水费账单请尽快缴纳")
        await clerk.click("form.send button.btn-primary")  # a notice has its own count
        assert len(await node.gets("13800001401", 2)) == 2
        await clerk.goto("/send/quick")
        await clerk.select_option("#account", str(node.hall))
        await clerk.click(CHIP)
        await clerk.fill("#to", "13800001401")
        await clerk.fill("#content", "您的水费账单再次送达")
        await clerk.click("form.send button[type=submit]")
        await expect(clerk.locator("main")).to_contain_text("过于频繁")

        await until(lambda: node.db.fetchval("SELECT sum(messages) FROM stat_day WHERE type = 'bill'"))
        await boss.goto("/reports/daily?time=today&group=type")
        await expect(boss.locator("#list-rows tbody")).to_contain_text("水费账单")
        await boss.goto("/limits/bill/retire")
        await expect(boss.locator(".effect")).to_contain_text("最近 7 天发送了 1 条")
        await boss.click(".effect ~ form button[type=submit]")
        await boss.wait_for_url("**/limits")
        await expect(line_of(boss)).to_contain_text("已停用")

        async def gone() -> bool:
            await clerk.goto("/send/quick")
            return not await clerk.locator(CHIP).count()

        await until(gone)
    async with opened(chromium, node, PHONE, "boss") as phone:
        await phone.goto("/limits")
        await fits(phone)
        await phone.goto("/records?time=today")
        await expect(phone.locator("#list-rows")).to_contain_text("水费账单")
