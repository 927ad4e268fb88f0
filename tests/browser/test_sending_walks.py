"""More deeds that the tender names: hours of a kind and of a task, a code beside a mass, a rehearsal, the menu."""

from __future__ import annotations

import re
import time

import pytest
from nodes import Node, carrier, leading_to, until
from playwright.async_api import Browser, Page, expect
from test_tender_walks import agrees, composes, node, opened
from windows import DESKTOP, PHONE, fits, goes_on

from smsgw.admin.kit import discovery
from smsgw.core.ids import CHINA
from smsgw.platform.channels import service as channels
from smsgw.platform.policies import service as policies
from smsgw.runtime import clock

__all__ = ("node",)
pytestmark = pytest.mark.slow
LANE_SECONDS = 10.0
"""That a code may take beside a mass of other messages, with the page's own way."""


async def to_the_end(page: Page, numbers: str) -> None:
    """From the content to the confirmation, with what is set by itself."""
    await goes_on(page)
    await page.fill("#to", numbers)
    await goes_on(page)
    await expect(page.locator("#clean-sum")).to_be_visible()
    await page.click("text=跳过设置，直接确认")
    await expect(page.locator(".sum-up")).to_be_visible()


async def test_a_kind_has_its_hours_and_a_task_its_own(chromium: Browser, node: Node) -> None:
    """S4.j, S4.l, S4.m, S8.4b, S8.4c: marketing waits for its hours, a notice goes, one with hours of its own waits."""
    closed = "20:00-21:00" if clock.now().astimezone(CHINA).hour < 12 else "05:00-06:00"
    shown = closed.replace("-", "–")
    await policies.put(node.change(), "hours", closed, account_id=node.hall, type_="marketing")
    try:
        async with opened(chromium, node, DESKTOP, "clerk") as page:

            async def waits() -> bool:
                await composes(page, node.hall, "年货节开幕，拒收请回复R", subject="年货节")
                await page.click(".chip:has(input[value=marketing])")
                await to_the_end(page, "13800001001")
                return "最早于" in await page.inner_text("#when")

            await until(waits)  # a node reads its policies every moment
            await page.click(".steps a:has-text('发送时间'), a:has-text('发送时间')")
            await expect(page.locator("main")).to_contain_text(f"营销类短信的允许时段为 {shown}")
            await page.click(".chip:has(input[value=at])")
            await page.fill("#at", f"{clock.now().astimezone(CHINA).year + 1}-01-05T10:00")
            await page.fill("input[name=windows1_from]", "09:00")
            await page.fill("input[name=windows1_to]", "12:00")
            await page.click("summary:has-text('更多时段')")
            await page.fill("input[name=windows2_from]", "14:00")
            await page.fill("input[name=windows2_to]", "17:00")
            for day in (6, 7):
                await page.uncheck(f"input[name=windows2_days][value='{day}']")
            await fits(page)
            await goes_on(page)
            await expect(page.locator("main")).to_contain_text("发送时段")
            await expect(page.locator("main")).to_contain_text("09:00–12:00；周一至周五 14:00–17:00")
            await goes_on(page)
            await page.wait_for_url(re.compile(r"/tasks/\d+$"))
            task = int(page.url.rpartition("/")[2])
            await page.goto("/scheduled")
            await expect(page.locator("#list-rows tbody")).to_contain_text("年货节")
            await page.goto(f"/tasks/{task}")
            await page.click("button:has-text('取消任务')")
            await agrees(page)
            await until(lambda: node.db.fetchval("SELECT state = 'cancelled' FROM task WHERE id = $1", task))

            await composes(page, node.hall, "请按时到岗")
            await to_the_end(page, "13800001002")
            await goes_on(page)
        assert await node.gets("13800001002") == ["【市政服务】请按时到岗"]
        assert node.texts("13800001001") == []
    finally:
        await policies.clear(node.change(), "hours", account_id=node.hall, type_="marketing")


async def test_a_code_passes_a_mass_that_two_channels_share(chromium: Browser, node: Node) -> None:
    """S20a, S20b, S2.1f: both channels pull their share, a code waits for none; the report says who has sent what."""
    mass, code = [f"1380001{n:04}" for n in range(2000, 2160)], "13800012999"
    second = carrier("900002")
    await second.start()
    try:
        await channels.add(node.change(), node.daemon.node.sealer, "share", leading_to(second, "900002", rate=5))
        await channels.edit(node.change(), node.daemon.node.sealer, "mobile", {"rate": 5})
        await until(lambda: second.counts.logins > 0)
        async with opened(chromium, node, DESKTOP, "clerk") as page, opened(chromium, node, PHONE, "boss") as phone:
            await phone.goto("/send/quick")
            await phone.select_option("#account", str(node.hall))
            await phone.click(".chip:has(input[value=otp])")
            await phone.fill("#to", code)
            await phone.fill("#content", "验证码 271828")
            await phone.click("form.send button[type=submit]")
            await composes(page, node.hall, "年终总结会周五举行", subject="总结会")
            await to_the_end(page, "\n".join(mass))
            await goes_on(page)
            await page.wait_for_url(re.compile(r"/tasks/\d+$"))
            task = page.url.rpartition("/")[2]
            await until(lambda: len(node.carrier.inbox.messages) + len(second.inbox.messages) > 5)
            began = time.monotonic()
            await phone.click("form.send button.btn-primary")
            arrived = node.carrier.inbox.messages, second.inbox.messages
            await until(lambda: any(m.destination.endswith(code) for inbox in arrived for m in inbox))
            assert time.monotonic() - began < LANE_SECONDS
            sent = "SELECT count(*) FROM part p JOIN message m USING (id) WHERE m.content = $1 AND p.state < 40"
            assert await node.db.fetchval(sent, "【市政服务】年终总结会周五举行") > 0, "the mass was still under way"
            await until(lambda: node.db.fetchval("SELECT state = 'finished' FROM task WHERE id = $1", int(task)))
            await page.goto(f"/tasks/{task}")
            await page.click("a:has-text('发送数据报表')")
            await page.select_option("select[name=group]", "channel")
            await page.click("form.kit-filter .filter-buttons button[type=submit]")
            rows = page.locator("#list-rows tbody tr")
            await expect(rows).to_have_count(2)
            shares = [int(await row.locator("td.num").first.inner_text()) for row in await rows.all()]
            assert sum(shares) == len(mass)
            assert min(shares) > len(mass) // 4, shares
            await fits(page)
    finally:
        await channels.edit(node.change(), node.daemon.node.sealer, "mobile", {"rate": 400})
        await channels.remove(node.change(), "share")
        await second.stop()


async def test_a_rehearsal_goes_to_ones_own_phone_first(chromium: Browser, node: Node) -> None:
    """S22b: before an activity is announced its text goes to the person's own phone, then to everybody."""
    await node.db.execute("UPDATE staff SET phone = '8613800001301', phone_verified_at = now() WHERE login = 'chief'")
    async with opened(chromium, node, PHONE, "chief") as page:
        await composes(page, node.hall, "活动今日开始", subject="活动发布")
        await to_the_end(page, "13800001302")
        await fits(page)
        await page.click("button:has-text('发到我的手机')")
        assert await node.gets("13800001301") == ["【市政服务】活动今日开始"]
        assert node.texts("13800001302") == []
        await goes_on(page)
        await page.wait_for_url(re.compile(r"/tasks/\d+$"))
    assert await node.gets("13800001302") == ["【市政服务】活动今日开始"]


async def test_every_name_in_the_menu_leads_to_its_page(chromium: Browser, node: Node) -> None:
    """The names of the tender, letter by letter, as a super administrator sees them."""
    async with opened(chromium, node, DESKTOP, "boss") as page:
        await page.goto("/")
        menu = page.get_by_role("navigation", name="主菜单")
        for entry in (e for e in discovery.entries() if e.group != "home"):
            link = menu.locator(f"a[href='{entry.path}']", has_text=entry.label)
            assert await link.count() > 0, entry
        for name in ("短信模板", "审批中心", "业务场景", "签名设置", "充值管理", "自定义发送", "定时短信记录", "联系人",
                     "日常用语", "黑名单", "白名单", "空号过滤", "人员管理"):  # fmt: skip
            path = await menu.locator("a", has_text=name).first.get_attribute("href")
            assert (await page.context.request.get(str(path))).status == 200, name
