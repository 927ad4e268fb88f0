"""The portal in a real browser. Anything in the console, above all a violated content policy, fails the test."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, expect
from portal_site import PASSWORD, Site
from portal_walk import open_to_all
from windows import DESKTOP, PHONE, fits, opened

from smsgw.core.model import MessageType, Origin
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest

pytestmark = pytest.mark.staff(admin="admin")


@pytest.mark.shard("core")
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_log_in_send_watch_it_arrive_open_its_trace(chromium: Browser, site: Site, size: tuple[int, int]) -> None:
    async with opened(chromium, site, size, "admin") as page:
        await fits(page)
        if size == PHONE:
            await page.click("[data-drawer=menu]")
        await page.click("nav a[href='/send']")
        await page.click("a[href='/send/quick']")
        await page.select_option("#account", str(site.accounts["hall"]))
        await page.fill("#to", "138 0013 8000\n13800138001\n13800138001\nabc")
        await page.fill("#content", "好" * 65)
        await expect(page.locator("#count-characters")).to_have_text("71")
        await expect(page.locator("#count-total")).to_have_text("4 条")
        await expect(page.locator(".phone .bubble")).to_contain_text("【市政服务】好好")
        await fits(page)
        await page.click("form.send button[type=submit]")
        await expect(page.locator(".sum-up")).to_contain_text("将向 2 个号码发送")
        await open_to_all(page, "the confirmation")
        await fits(page)

        await page.click("text=返回修改")
        assert "好" * 65 in await page.input_value("#content")
        await open_to_all(page, "the form again")
        await page.click("form.send button[type=submit]")
        await page.click("form.send button.btn-primary")
        await page.wait_for_url("**/send/quick/result*")
        await expect(page.locator("tbody .state")).to_have_text(["排队中"] * 2)
        await fits(page)
        taken = await site.carrier_takes()
        await expect(page.locator("tbody .state")).to_have_text(["已提交"] * 2)  # without a reload
        await site.carrier_reports(taken)
        await expect(page.locator("tbody .state")).to_have_text(["成功"] * 2)

        await page.locator("tbody tr").first.click()
        await page.wait_for_url("**/records/*")
        await expect(page.locator(".verdict .state")).to_have_text("成功")
        assert await page.locator(".line-stop").count() >= 6
        await fits(page)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_home_refreshes_itself_and_keeps_its_chart(chromium: Browser, site: Site, size: tuple[int, int]) -> None:
    account = site.snapshots.current.account(site.accounts["hall"])
    assert account
    first = (SendItem(to="13800138001", content="您好"),)
    await site.acceptor.send(SendRequest(account, first, MessageType.NOTICE, Origin.API, "key-0"))
    await site.carrier_takes()
    async with opened(chromium, site, size, "admin") as page:
        await page.locator("#flow").scroll_into_view_if_needed()
        await expect(page.locator("#flow canvas")).to_be_visible()
        await expect(page.locator("[data-metric=delivered]")).to_have_text("0")
        await page.evaluate("window.same = document.querySelector('#flow canvas')")
        await page.focus("a[href='/records?time=today&status=delivered']")
        items = (SendItem(to="13800138000", content="您好"),)
        await site.acceptor.send(SendRequest(account, items, MessageType.NOTICE, Origin.API, "key-1"))
        await site.carrier_reports(await site.carrier_takes())
        await expect(page.locator("[data-metric=delivered]")).to_have_text("1")
        await expect(page.locator("tbody .state-green").last).to_have_text("成功")
        assert await page.evaluate("window.same === document.querySelector('#flow canvas')")
        option = "echarts.getInstanceByDom(document.querySelector('#flow')).getOption()"
        assert sum(n or 0 for n in await page.evaluate(f"{option}.series[1].data")) == 1
        await expect(page.locator("a[href='/records?time=today&status=delivered']")).to_be_focused()
        await page.hover("#flow")  # the tooltip must not break the content policy
        await fits(page)


async def test_records_filter_by_a_click_and_keep_it_in_the_address(chromium: Browser, site: Site) -> None:
    async with opened(chromium, site, DESKTOP, "admin") as page:
        await page.goto("/records")
        await page.get_by_label("近 7 天").check()
        await page.wait_for_url("**/records?time=7d")
        await page.select_option("select[name=status]", "failed")
        await page.wait_for_url("**/records?time=7d&status=failed")
        await expect(page.locator(".nothing-title")).to_have_text("没有符合条件的记录")
        await page.get_by_label("自定义").check()
        await expect(page.locator("input[name=from]")).to_be_visible()
        await page.fill("input[name=from]", "2026-01-01")
        await page.click("form.filter button[type=submit]")
        await page.wait_for_url(re.compile("time=custom&from=2026-01-01"))


async def test_trouble_is_shown_and_goes_away(chromium: Browser, site: Site) -> None:
    async with opened(chromium, site, DESKTOP, "admin", allowed="503|Response Status Error") as page:
        await expect(page.locator("#trouble")).to_be_hidden()
        await site.db.close()
        await expect(page.locator("#trouble")).to_contain_text("数据库不可用")
        await expect(page.locator("h1")).to_have_text("工作台")  # what was there stays
        await page.goto("/records")
        await expect(page.locator("h1")).to_have_text("数据库不可用")
        await site.db.open()
        await expect(page.locator("h1")).to_have_text("发送记录")  # by itself


async def test_a_session_that_ends_leads_to_the_login_and_back(chromium: Browser, site: Site) -> None:
    async with opened(chromium, site, DESKTOP, "admin", allowed="401|Response Status Error") as page:
        await site.db.execute("DELETE FROM portal_session")
        await page.wait_for_url("**/login?next=%2F")


async def test_first_password_and_language(chromium: Browser, site: Site) -> None:
    await site.add_staff("zhang", "operator", "hall", must_change=True)
    async with opened(chromium, site, PHONE, "zhang") as page:
        await fits(page)
        await expect(page.locator("h1")).to_have_text("修改密码")
        await page.fill("#new", "short")
        await expect(page.locator(".policy .is-met")).to_have_count(1)
        await page.fill("#new", "Other-Horse-8")
        await expect(page.locator(".policy .is-met")).to_have_count(3)
        await page.fill("#old", PASSWORD)
        await page.fill("#again", "Other-Horse-8")
        await page.click("text=保存新密码")
        await expect(page.locator(".toast-good")).to_contain_text("新密码已生效")
        await page.click(".person summary")
        await page.click(".languages button[value=en]")
        await expect(page.locator("h1")).to_have_text("Dashboard")
        await fits(page)
        await page.click(".person summary")
        await page.click("text=Log out")
        await page.wait_for_url("**/login")
        await fits(page)


async def test_pressing_send_twice_sends_once(chromium: Browser, site: Site) -> None:
    async with opened(chromium, site, DESKTOP, "admin") as page:
        await page.goto("/send/quick")
        await page.fill("#to", "13800138000")
        await page.fill("#content", "您好")
        await page.click("form.send button[type=submit]")
        await page.dblclick("form.send button.btn-primary")
        await page.wait_for_url("**/send/quick/result*")
        assert await site.db.fetchval("SELECT count(*) FROM message") == 1
