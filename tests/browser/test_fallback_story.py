"""A task with a chain, from the wizard to the phones: the first message fails at the carrier, the second hop arrives,
and the report says how many each hop has reached."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest
from changes import by_test
from playwright.async_api import Browser, Page, expect
from test_portal_browser import DESKTOP, PHONE, chromium, fits, opened, pytestmark
from test_wizard_story import Running, goes_on, node

from smsgw.platform.policies import service as policies
from smsgw.simulator.config import Rule

__all__ = ("chromium", "node", "pytestmark")
NUMBERS = ("13900000001", "13900000002", "13900000003")
PICTURES = os.environ.get("SMSGW_PICTURES")
"""A folder: what is seen on the way is put there."""


async def picture(page: Page, name: str) -> None:
    if PICTURES:
        await asyncio.to_thread(Path(PICTURES).mkdir, parents=True, exist_ok=True)
        await page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


async def texts(node: Running, number: str) -> list[str]:
    """What a phone was sent, in order."""
    return [m.text for m in node.carrier.inbox.messages if m.destination.endswith(number)]


async def chain(page: Page) -> None:
    """The advanced step: two hops, the first typed wrongly at first."""
    await expect(page.locator("#hop1_content")).to_be_hidden()
    await page.click(".chip:has(input[name=fallback][value='1'])")
    await page.fill("#hop1_content", "{姓名}，第二次通知")
    await page.fill("#hop2_content", "第三次通知，请来电")
    await goes_on(page)
    await expect(page.locator("#hop1_content-problem")).to_contain_text("变量 姓名 没有取值")
    await fits(page)
    await picture(page, "options-wrong")
    await page.fill("#hop1_content", "第二次通知，请到场")
    await page.select_option("#hop1_when", "failed")
    await page.fill("#fallback_minutes", "120")
    await picture(page, "options")
    await goes_on(page)
    await page.wait_for_url("**/time")


@pytest.mark.slow
async def test_what_fails_at_first_arrives_by_the_second_hop(chromium: Browser, node: Running) -> None:
    await policies.put(by_test(node.daemon.node.database, node.daemon.node.ids.next), "review", "off")
    # One gets the first message; of two it fails, and of one of these so does the second.
    node.carrier.change(rules=(
        Rule(contains="第一次", suffix=NUMBERS[0], report="DELIVRD"), Rule(contains="第一次", report="MK:0001"),
        Rule(contains="第二次", suffix=NUMBERS[2], report="MK:0001"),
    ))  # fmt: skip
    async with opened(chromium, node, DESKTOP, "clerk") as page:  # type: ignore[arg-type]
        page.context.set_default_timeout(60_000)
        page.allowed.append("422")  # type: ignore[attr-defined]
        await page.goto("/send")
        await page.fill("#subject", "会议通知")
        await page.fill("#content", "第一次通知，请到场")
        await goes_on(page)
        await page.fill("#to", "\n".join(NUMBERS))
        await goes_on(page)
        await expect(page.locator("[data-class=valid] .clean-count")).to_have_text("3")
        await page.click(".form-buttons .btn-primary")
        await chain(page)
        await goes_on(page)
        await page.wait_for_url("**/confirm")
        await expect(page.locator("#hops")).to_contain_text("第 1 跳（仅失败）：第二次通知，请到场")
        await picture(page, "confirm")
        await goes_on(page)
        await page.wait_for_url(re.compile(r"/tasks/\d+$"))
        await expect(page.locator("#detail")).to_contain_text("第 2 跳（失败或超时）：第三次通知，请来电")
        await expect(page.locator("#detail")).to_contain_text("已完成", timeout=120_000)
        await expect(page.locator("#detail div:has(> dt:has-text('经回落送达'))")).to_contain_text("2")
        assert [len(await texts(node, number)) for number in NUMBERS] == [1, 2, 3]
        await picture(page, "task")

        await page.click("a:has-text('按回落查看')")
        await page.wait_for_url("**/tasks/report?**")
        for hop, sent, arrived, failed in (("首发短信", 3, 1, 2), ("第 1 跳", 2, 1, 1), ("第 2 跳", 1, 1, 0)):
            row = page.locator(f"tbody tr:has-text('{hop}')")
            cells = await row.locator("td").all_inner_texts()
            found = [int(cell) for cell in cells if cell.strip().isdecimal()]
            assert found[:3] == [sent, arrived, failed], (hop, cells)
        await fits(page)
        await picture(page, "report")

        # The record of a hop leads to the message before it, and that one back.
        await page.locator("tbody tr:has-text('第 1 跳') a").first.click()
        await page.wait_for_url("**/records?**")
        await expect(page.locator("tbody tr")).to_have_count(2)
        await page.locator("tbody tr").first.click()
        await page.wait_for_url(re.compile(r"/records/\d+"))
        await expect(page.locator("#way")).to_contain_text("第 1 跳")
        hop = page.url
        await picture(page, "trace")
        await page.click("#way dt:has-text('前一条') + dd a")
        await expect(page.locator("#way")).to_contain_text("由后一条代替")
        await page.click("#way dt:has-text('后一条') + dd a")
        assert page.url.partition("?")[0] == hop.partition("?")[0]
        async with opened(chromium, node, PHONE, "leader") as phone:  # type: ignore[arg-type]
            await phone.goto(hop)
            await fits(phone)
            await picture(phone, "trace-phone")
            await phone.goto("/scenarios/-/new")
            await fits(phone)
            await picture(phone, "scenario-phone")
