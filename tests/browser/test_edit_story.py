"""An emergency from the wizard: somebody else passes it. It is edited while it waits, what was asked before is void,
and what arrives is what was passed. Options are what confirmation, task and approval say of them."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from databases import change as owned
from nodes import Node
from playwright.async_api import Browser, Page, expect
from windows import DESKTOP, PHONE, fits, goes_on, opened

from smsgw.core.ids import CHINA
from smsgw.platform.accounts import service as accounts
from smsgw.platform.policies import service as policies
from smsgw.platform.routing import service as routing
from smsgw.runtime import clock

ROUTES = {
    "pool": [{"name": "hall", "channels": ["mobile"]}, {"name": "fast", "channels": ["mobile"]}],
    "rule": [{"name": "政务", "account": ["hall"], "pool": "hall"}, {"name": "快速", "pool": "fast"}],
}


async def asks(page: Page) -> None:
    """Two numbers, an emergency, in steps, for the day after tomorrow."""
    await page.goto("/send")
    await page.fill("#subject", "紧急撤离")
    await page.fill("#content", "请立即撤离")
    await goes_on(page)
    await page.fill("#to", "13800138000\n13800138001")
    await goes_on(page)
    await page.click(".form-buttons .btn-primary")
    await page.click(".chip:has(input[name=emergency][value='1'])")
    await page.select_option("#prefer", "fast")
    await expect(page.locator("#frequency_every")).to_be_hidden()
    await page.click(".chip:has(input[name=frequency][value=own])")
    await page.fill("#frequency_most", "2")
    await page.fill("#frequency_every", "999")
    await page.fill("#frequency_tag", "撤离")
    await page.click(".chip:has(input[name=steps][value='1'])")
    await page.fill("#steps_shares", "50")
    await goes_on(page)
    await expect(page.locator("#frequency_every-problem")).to_be_visible()
    await page.fill("#frequency_every", "7")
    await fits(page)
    await goes_on(page)
    await page.wait_for_url("**/time")
    await page.click(".chip:has(input[name=when][value=at])")
    at = (clock.now() + timedelta(days=2)).astimezone(CHINA)
    await page.fill("#at", f"{at:%Y-%m-%dT%H:%M}")
    await goes_on(page)
    await page.wait_for_url("**/confirm")
    main = page.locator("main")
    await expect(main).to_contain_text("特发任务须由他人审批")
    await expect(main).to_contain_text("2 个号码优先走该通道池，其余 0 个按路由规则")
    await expect(page.locator("#frequency")).to_contain_text("7 天内最多 2 条")
    await expect(page.locator("#frequency")).to_contain_text("其中 0 个号码已达到频次")
    await fits(page)


@pytest.mark.slow
async def test_an_emergency_is_edited_passed_by_another_and_arrives_as_passed(
    chromium: Browser, node: Node, dsn: str
) -> None:
    change = node.change()
    await policies.put(change, "review", "off")
    await routing.publish(change, ROUTES, "")
    await owned(dsn, "UPDATE role SET permissions = permissions || '{message.urgent}' WHERE code = 'operator'")
    async with opened(chromium, node, DESKTOP, "clerk", allowed="422") as page:
        # Without the account's right it cannot be chosen, and the page says why.
        await page.goto("/send")
        await page.fill("#content", "请立即撤离")
        await goes_on(page)
        await page.fill("#to", "13800138000")
        await goes_on(page)
        await page.click(".form-buttons .btn-primary")
        await expect(page.locator("main")).to_contain_text("账号已开通特急发送")
        await expect(page.locator("input[name=emergency]")).to_have_count(0)
        await accounts.edit(change, node.hall, {"emergency": "true"})
        await node.daemon.node.snapshots.follow()

        await asks(page)
        await goes_on(page)
        await page.wait_for_url(re.compile(r"/tasks/\d+$"))
        task = page.url
        detail = page.locator("#detail")
        for said in ("待审", "特发", "fast", "7 天内最多 2 条", "50%：至第 1 个号码", "每步至少观察 30 分钟"):
            await expect(detail).to_contain_text(said)
        await fits(page)

        # Edited while it waits: the effect in numbers, a new approval.
        await page.click("a:has-text('编辑任务')")
        await page.fill("#content", "请立即撤离" + "，沿黄色标志步行到体育场集合" * 6)
        await page.fill("#steps_shares", "x")
        await page.click(".form-buttons .btn-primary")
        await expect(page.locator("#steps_shares-problem")).to_be_visible()
        await page.fill("#steps_shares", "")
        await fits(page)
        await page.click(".form-buttons .btn-primary")
        await expect(page.locator(".effect")).to_contain_text("2 个号码：预计 2 条改为 4 条，计费 2 条改为 4 条")
        await expect(page.locator(".effect")).to_contain_text("须由他人重新审批")
        await page.click(".form-buttons .btn-primary")
        await page.wait_for_url(re.compile(r"/tasks/\d+$"))
        await expect(page.locator("body")).to_contain_text("等待他人审批")
        async with opened(chromium, node, PHONE, "leader") as phone:
            await phone.goto("/review")
            await expect(phone.locator(".waits")).to_have_count(1)
            await expect(phone.locator(".waits")).to_contain_text("体育场")
            await expect(phone.locator(".waits-head")).to_contain_text("特发")
            await fits(phone)
            await phone.click(".waits .row-link")
            await expect(phone.locator("#detail, .drawer, dialog[open]").first).to_contain_text("7 天内最多 2 条")
            await phone.goto("/review")
            await phone.click(".waits-buttons .btn-primary")
            await phone.click("dialog[open] form .btn-primary")
            await expect(phone.locator(".waits")).to_have_count(0)
        await page.goto(task)
        await page.click("button:has-text('立即开始')")
        await page.click("dialog[open] form .btn-primary")
        found = await node.received(2)
        assert all("体育场" in text for text in found.values()), found
        assert sorted(found) == ["13800138000", "13800138001"]
    rows = await node.db.fetch("SELECT actor, action, after FROM audit WHERE object LIKE 'task/%' ORDER BY id")
    assert [(r["actor"], r["action"]) for r in rows] == [
        ("clerk", "task.urgent"), ("clerk", "task.change"), ("leader", "task.pass"),
        ("clerk", "task.change"),
    ]  # fmt: skip
    assert "体育场" in json.loads(rows[1]["after"])["content"]
    lanes = await node.db.fetch("SELECT DISTINCT p.lane, q.name FROM part p JOIN pool q ON q.id = p.pool_id")
    assert [tuple(r) for r in lanes] == [(0, "fast")]
