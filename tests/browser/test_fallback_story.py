"""A task with a chain, from the wizard to the phones: the first message fails at the carrier, the second hop arrives,
and the report says how many each hop has reached."""

from __future__ import annotations

import re

import pytest
from nodes import Node
from playwright.async_api import Browser, Page, expect
from windows import DESKTOP, PHONE, fits, goes_on, opened

from smsgw.platform.policies import service as policies
from smsgw.simulator.config import Rule

NUMBERS = ("13900000001", "13900000002", "13900000003")


async def chain(page: Page) -> None:
    """The advanced step: two hops, the first typed wrongly at first."""
    await expect(page.locator("#hop1_content")).to_be_hidden()
    await page.click(".chip:has(input[name=fallback][value='1'])")
    await page.fill("#hop1_content", "{姓名}，第二次通知")
    await page.fill("#hop2_content", "第三次通知，请来电")
    await goes_on(page)
    await expect(page.locator("#hop1_content-problem")).to_contain_text("变量 姓名 没有取值")
    await fits(page)
    await page.fill("#hop1_content", "第二次通知，请到场")
    await page.select_option("#hop1_when", "failed")
    await page.fill("#fallback_minutes", "120")
    await goes_on(page)
    await page.wait_for_url("**/time")


@pytest.mark.slow
async def test_what_fails_at_first_arrives_by_the_second_hop(chromium: Browser, node: Node) -> None:
    await policies.put(node.change(), "review", "off")
    # One gets the first message; of two it fails, and of one of these so does the second.
    node.carrier.change(rules=(
        Rule(contains="第一次", suffix=NUMBERS[0], report="DELIVRD"), Rule(contains="第一次", report="MK:0001"),
        Rule(contains="第二次", suffix=NUMBERS[2], report="MK:0001"),
    ))  # fmt: skip
    async with opened(chromium, node, DESKTOP, "clerk", allowed="422") as page:
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
        await goes_on(page)
        await page.wait_for_url(re.compile(r"/tasks/\d+$"))
        await expect(page.locator("#detail")).to_contain_text("第 2 跳（失败或超时）：第三次通知，请来电")
        await expect(page.locator("#detail")).to_contain_text("已完成", timeout=120_000)
        await expect(page.locator("#detail div:has(> dt:has-text('经回落送达'))")).to_contain_text("2")
        assert [len(node.texts(number)) for number in NUMBERS] == [1, 2, 3]

        await page.click("a:has-text('按回落查看')")
        await page.wait_for_url("**/tasks/report?**")
        for hop, sent, arrived, failed in (("首发短信", 3, 1, 2), ("第 1 跳", 2, 1, 1), ("第 2 跳", 1, 1, 0)):
            row = page.locator(f"tbody tr:has-text('{hop}')")
            cells = await row.locator("td").all_inner_texts()
            found = [int(cell) for cell in cells if cell.strip().isdecimal()]
            assert found[:3] == [sent, arrived, failed], (hop, cells)
        await fits(page)

        # The record of a hop leads to the message before it, and that one back.
        await page.locator("tbody tr:has-text('第 1 跳') a").first.click()
        await page.wait_for_url("**/records?**")
        await expect(page.locator("tbody tr")).to_have_count(2)
        await page.locator("tbody tr").first.click()
        await page.wait_for_url(re.compile(r"/records/\d+"))
        await expect(page.locator("#way")).to_contain_text("第 1 跳")
        hop = page.url
        await page.click("#way dt:has-text('前一条') + dd a")
        await expect(page.locator("#way")).to_contain_text("由后一条代替")
        await page.click("#way dt:has-text('后一条') + dd a")
        assert page.url.partition("?")[0] == hop.partition("?")[0]
        async with opened(chromium, node, PHONE, "leader") as phone:
            await phone.goto(hop)
            await fits(phone)
            await phone.goto("/scenarios/-/new")
            await fits(phone)
