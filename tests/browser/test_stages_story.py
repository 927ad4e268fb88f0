"""A sending in steps, from the wizard to the phones: a bad one stops after its first step with exactly its numbers
sent, and goes on when somebody says so; a good one is done by itself."""

from __future__ import annotations

import re

import pytest
from nodes import Node
from playwright.async_api import Browser, Page, expect
from windows import DESKTOP, PHONE, fits, goes_on, opened

from smsgw.core import stages
from smsgw.platform.policies import service as policies
from smsgw.simulator.config import Rule

ROWS = 60


async def send(page: Page, first: int, subject: str) -> None:
    """Sixty numbers in steps of 10 %, 50 % and all, as a person enters them."""
    await page.goto("/send")
    await page.fill("#subject", subject)
    await page.fill("#content", f"{subject}，请到场")
    await goes_on(page)
    await page.fill("#to", "\n".join(f"{first + n}" for n in range(ROWS)))
    await goes_on(page)
    await expect(page.locator("[data-class=valid] .clean-count")).to_have_text(str(ROWS))
    await page.click(".form-buttons .btn-primary")
    await expect(page.locator("#steps_shares")).to_be_hidden()
    await page.click(".chip:has(input[name=steps][value='1'])")
    await page.fill("#steps_shares", "50, 10")
    await goes_on(page)
    await expect(page.locator("#steps_shares-problem")).to_be_visible()
    await page.fill("#steps_shares", "10, 50")
    await page.fill("#steps_minutes", "2")
    await fits(page)
    await goes_on(page)
    await page.wait_for_url("**/time")
    await goes_on(page)
    await page.wait_for_url("**/confirm")
    await expect(page.locator("main")).to_contain_text("10%：6 个号码")
    await goes_on(page)
    await page.wait_for_url(re.compile(r"/tasks/\d+$"))


@pytest.mark.slow
async def test_a_bad_sending_stops_and_a_good_one_is_done_by_itself(
    chromium: Browser, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "MINUTE", stages.MINUTE / 6)  # watched for long enough to be seen watching
    change = node.change()
    await policies.put(change, "review", "off")
    node.carrier.change(rules=(Rule(contains="坏的", report="UNDELIV"),))
    async with opened(chromium, node, DESKTOP, "clerk", allowed="422") as page:
        await send(page, 13900000000, "坏的")
        task = page.url
        await expect(page.locator("#detail")).to_contain_text("逐步发送在第 1 步自动停止")
        await expect(page.locator("#detail")).to_contain_text("超过限值")
        await fits(page)
        assert len(node.carrier.inbox.messages) == 6

        await page.goto("/notices")
        await expect(page.locator("main")).to_contain_text("您的发送任务已自动停止")
        async with opened(chromium, node, PHONE, "leader") as phone:
            await phone.goto(task)
            await fits(phone)

        # Somebody lets it go on: the next step and no more.
        await page.goto(task)
        await page.click("button:has-text('仍然继续发送')")
        await expect(page.locator("dialog[open]")).to_contain_text("下一批为 24 个号码")
        await page.click("dialog[open] form .btn-primary")
        await expect(page.locator("#detail")).to_contain_text("逐步发送在第 2 步自动停止")
        assert len(node.carrier.inbox.messages) == 30
        await page.click("button:has-text('取消任务')")
        await page.click("dialog[open] form .btn-primary, dialog[open] form .btn-danger")
        await expect(page.locator("#detail")).to_contain_text("已取消")

        await send(page, 13800000000, "好的")
        await expect(page.locator("#detail")).to_contain_text("观察中")
        await expect(page.locator("#detail")).to_contain_text("其中 60 条已有结果", timeout=120_000)
        await page.reload()
        assert len(node.carrier.inbox.messages) == 30 + ROWS
        await expect(page.locator(".stage-past li")).to_have_count(2)
