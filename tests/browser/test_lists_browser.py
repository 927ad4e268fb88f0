"""List pages in a real browser: order, filter, columns, selection, drawer, export to the downloaded file, by keys, on a
phone; and the gallery of all components."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from playwright.async_api import Browser, expect
from portal_site import Site
from portal_walk import open_to_all
from windows import DESKTOP, PHONE, fits, opened

from smsgw.core.actor import ActorLabel
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType, Origin
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.store.messages import daily

PEOPLE = {f"p{n:02}": ("operator", "hall") for n in range(24)}
pytestmark = pytest.mark.staff({"admin": "super", **PEOPLE})


async def test_sort_filter_and_columns(chromium: Browser, site: Site) -> None:
    async with opened(chromium, site, DESKTOP, "admin") as page:
        await page.goto("/staff")
        await expect(page.locator("#list-total")).to_contain_text("共 25 条")
        await page.click("th a.sort >> nth=0")
        await expect(page.locator("th[aria-sort=descending]")).to_have_count(1)
        await expect(page.locator("td.at-title").first).to_contain_text("p23")
        await page.click("a[rel=next]")
        await expect(page.locator("tbody tr")).to_have_count(5)
        await page.select_option("select[name=role]", "operator")  # is sent by itself
        await page.wait_for_url("**role=operator*")
        await page.fill("input[name=login]", "p0")
        await page.press("input[name=login]", "Enter")
        await expect(page.locator("tbody tr")).to_have_count(10)
        await page.fill("input[name=phone]", "12")
        await page.press("input[name=phone]", "Enter")
        await expect(page.locator("#phone-problem")).to_contain_text("手机号码格式不正确")
        await expect(page.locator("input[name=phone]")).to_be_focused()
        await open_to_all(page, "a wrong filter")

        await page.goto("/staff")
        await page.click(".tool >> nth=1")
        await open_to_all(page, "columns to be chosen")
        await page.uncheck("input[name=columns][value=phone]")
        await page.check("input[name=columns][value=created_at]")
        await page.click(".tool-buttons .btn-primary")
        await expect(page.locator("th", has_text="创建时间")).to_have_count(1)
        await expect(page.locator("th", has_text="手机号")).to_have_count(0)
        await fits(page)


@pytest.mark.shard("core")
async def test_pick_all_that_match_and_stop_them(chromium: Browser, site: Site) -> None:
    async with opened(chromium, site, DESKTOP, "admin") as page:
        await page.goto("/staff?role=operator")
        await expect(page.locator("#list-total")).to_contain_text("共 24 条")
        await expect(page.locator("[data-batch]")).not_to_be_visible()
        await page.focus("[data-pick] >> nth=0")
        await page.keyboard.press("Space")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Space")
        await expect(page.locator("[data-picked-words]")).to_have_text("已选 2 条")
        await page.check("[data-pick-all]")
        await page.click("[data-pick-found]")
        await expect(page.locator("[data-picked-words]")).to_have_text("已选 24 条")
        await open_to_all(page, "rows are chosen")
        await page.click("[data-batch] button:has-text('停用')")
        await expect(page.locator("#ask .effect")).to_contain_text("将停用 24 名员工")
        await open_to_all(page, "the effect dialog")
        await page.keyboard.press("Escape")
        await expect(page.locator("#ask")).not_to_be_visible()
        await page.click("[data-batch] button:has-text('停用')")
        await page.click("#ask .btn-danger")
        await expect(page.locator(".toast-line")).to_contain_text("已处理 24 条")
        await open_to_all(page, "what was done")
        await expect(page.locator("tbody .state", has_text="已停用")).to_have_count(20)


async def test_the_drawer_and_an_export(chromium: Browser, site: Site) -> None:
    async with opened(chromium, site, DESKTOP, "admin", allowed="422") as page:
        await page.goto("/audit?action=staff.add")
        await page.focus(".row-link >> nth=0")
        await page.keyboard.press("Enter")
        await expect(page.locator("#drawer h2")).to_have_text("新建人员")
        await expect(page.locator("#drawer .facts")).to_contain_text("staff/p23")
        await expect(page.locator("#drawer .diff ins")).to_contain_text(["operator"])
        await open_to_all(page, "the drawer")
        await page.keyboard.press("Escape")
        await expect(page.locator(".row-link").first).to_be_focused()
        await page.locator("tbody td:has-text('新建人员')").first.click()
        await expect(page.locator("#drawer")).to_be_visible()
        await page.click("#drawer [data-whole]")
        await expect(page.locator("h1")).to_have_text("新建人员")
        await page.go_back()

        await page.click("a[data-ask]:has-text('导出')")
        await expect(page.locator("#ask .effect")).to_contain_text("25 条记录")
        await open_to_all(page, "the export dialog")
        await page.fill("#ask #reason", "x")
        await page.click("#ask .btn-primary")
        await expect(page.locator("#ask #reason-problem")).to_have_text("至少 2 个字")
        await open_to_all(page, "a wrong reason in the dialog")
        await page.fill("#ask #reason", "浏览器检查")
        await page.check("#ask input[value=csv]")
        await page.click("#ask .btn-primary")
        await page.wait_for_url("**/jobs/*")
        await expect(page.locator(".toast-line")).to_contain_text("导出已开始")
        async with page.expect_download() as download:
            await page.click(".detail-buttons button:has-text('下载')")
        made = await download.value
        text = (await made.path()).read_text("utf-8-sig")
        assert made.suggested_filename.startswith("短信平台-审计日志-")
        assert text.count("新建人员 (staff.add)") == 25
        assert "浏览器检查" in text


async def test_a_whole_number_is_shown_in_a_dialog_for_a_reason(chromium: Browser, site: Site) -> None:
    hall = site.snapshots.current.account(site.accounts["hall"])
    assert hall
    item = SendItem(to="13800138000", content="您好")
    sent = await site.acceptor.send(SendRequest(hall, (item,), MessageType.NOTICE, Origin.API, ActorLabel("key-1")))
    id_ = sent.items[0].message_id
    asked: list[str] = []
    async with opened(chromium, site, DESKTOP, "admin", allowed="422") as page:
        page.on("request", lambda request: asked.append(request.url))
        for path, at in (("/records", "table"), (f"/records/{id_}", "main")):
            await page.goto(path)
            await expect(page.locator(at)).to_contain_text("138****8000")
            await page.click(f"{at} a.eye")
            await open_to_all(page, "why a number is to be shown")
            await page.select_option("#ask select[name=purpose]", "other")
            await page.click("#ask .btn-primary")
            await expect(page.locator("#ask [role=alert]")).to_contain_text("请写明原因")
            await page.fill("#ask input[name=note]", "客户来电核实")
            await page.click("#ask .btn-primary")
            await expect(page.locator("#ask .whole-number")).to_have_text("8613800138000")
            await open_to_all(page, "a whole number")
            assert "13800138000" not in page.url
            await page.keyboard.press("Escape")
            await expect(page.locator("#ask")).not_to_be_visible()
            await expect(page.locator("#ask .whole-number")).to_have_count(0)  # as soon as it has faded out
            assert "13800138000" not in await page.content()
    assert not [url for url in asked if "13800138000" in url]
    async with opened(chromium, site, PHONE, "admin") as page:
        await page.goto("/records")
        await page.click("table a.eye")
        await expect(page.locator("#ask select[name=purpose]")).to_be_visible()
        await fits(page)


async def test_a_digest_is_whole_and_no_table_is_wider_than_its_page(chromium: Browser, site: Site) -> None:
    day, root = datetime.now(CHINA).date(), "9f86d081884c7d65" * 4
    for days in range(3):
        await site.db.execute(
            "INSERT INTO evidence_root VALUES ($1, 12345, decode($2, 'hex'), now(), 'k', '')",
            day - timedelta(days=days),
            root,
        )
    hall = site.snapshots.current.account(site.accounts["hall"])
    assert hall
    item = SendItem(to="13800138000", content="您好")
    await site.acceptor.send(SendRequest(hall, (item,), MessageType.NOTICE, Origin.API, ActorLabel("key-1")))
    await site.carrier_reports(await site.carrier_takes())
    while await daily.roll_up(site.db, datetime.now(CHINA) + timedelta(minutes=1)):
        pass
    async with opened(chromium, site, DESKTOP, "admin") as page:
        for path in ("/evidence", "/statements"):
            await page.goto(path)
            digest = page.locator("td code", has_text=root)
            await expect(digest.first).to_be_visible()
            wide = await page.locator("div.scroll").first.evaluate("one => one.scrollWidth - one.clientWidth")
            assert wide <= 0, path
            box = await digest.first.bounding_box()
            assert box, path
            assert box["x"] + box["width"] <= DESKTOP[0], path
