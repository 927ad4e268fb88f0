"""Staff brought in from a table in a real browser, and the pages around it, on a desk and on a phone."""

from __future__ import annotations

import pytest
from changes import by_test
from playwright.async_api import Browser, expect
from portal_site import Site
from windows import DESKTOP, PHONE, fits, opened

from smsgw.platform.org import service as org

pytestmark = pytest.mark.staff(admin="super")
TABLE = """姓名,登录名,手机号,部门,角色
王一,wang1,13800138001,市局/办公室/一科,操作员
李二,li2,,市局,操作员
赵三,,,,
"""


async def test_a_table_is_mapped_and_brought_in(chromium: Browser, site: Site) -> None:
    async with opened(chromium, site, DESKTOP, "admin", allowed="422") as page:
        await page.goto("/staff")
        await page.click("text=导入员工")
        await fits(page)
        file = {"name": "员工.csv", "mimeType": "text/csv", "buffer": TABLE.encode()}
        await page.set_input_files("input[type=file]", files=[file])
        await expect(page.locator("[data-upload-name]")).to_have_text("员工.csv")
        await page.click("text=上传并预览")
        await expect(page.locator("#column_login")).to_have_value("1")
        await expect(page.locator("#column_email")).to_have_value("")
        await fits(page)
        await page.select_option("#column_login", "")
        await page.click("text=开始导入 3 行")
        await expect(page.locator("#column_login-problem")).to_have_text("此项必填")
        await page.select_option("#column_login", "1")
        await page.check("input[name=make_departments]")
        await page.click("text=开始导入 3 行")
        await page.wait_for_url("**/jobs/*")
        await expect(page.locator("#detail")).to_contain_text("已完成")
        await expect(page.locator("#detail")).to_contain_text("员工.csv")
        async with page.expect_download() as download:
            await page.click("text=下载导入结果")
        text = (await (await download.value).path()).read_text("utf-8-sig")
        assert text.count("新建") == 2
        await page.click("text=下载初始密码")
        await expect(page.locator(".effect")).to_contain_text("文件含 2 名")
        async with page.expect_download() as download:
            await page.click("button:has-text('下载初始密码')")
        assert "wang1" in (await (await download.value).path()).read_text("utf-8-sig")


async def test_a_department_shows_its_month_and_where_it_has_been(chromium: Browser, site: Site) -> None:
    change = by_test(site.db)
    top, below = await org.add_department(change, "市局"), await org.add_department(change, "办公室")
    await org.move_department(change, below, top)
    await org.set_department(change, below, name="办公室", manager=None, month_quota=100)
    await org.place_account(change, site.accounts["hall"], below)
    await site.db.execute(
        "INSERT INTO usage_day (account_id, day, submitter, type, messages, parts, units, refunded)"
        " VALUES ($1, (now() AT TIME ZONE 'Asia/Shanghai')::date, 'x', 'notice', 85, 85, 85, 0)",
        site.accounts["hall"],
    )
    for size in (DESKTOP, PHONE):
        async with opened(chromium, site, size, "admin") as page:
            await page.goto(f"/departments/{below}")
            await expect(page.locator("dl.facts")).to_contain_text("85 / 100 条")
            await expect(page.locator("dl.facts")).to_contain_text("已超过 80%")
            await expect(page.locator(".timeline-plain")).to_contain_text("隶属 市局")
            await fits(page)
