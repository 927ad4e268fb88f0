"""A thousand personal messages from a spreadsheet with twenty bad rows, from the upload to the phones: what is on the
screen is what the carrier has received. The bad rows are mended and sent with the same text."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
import xlsxwriter
from nodes import Node
from playwright.async_api import Browser, Page, expect
from windows import DESKTOP, PHONE, fits, goes_on, opened

from smsgw.core.ids import CHINA
from smsgw.runtime import clock

ROWS, BAD = 1000, 20
TEXT = "{姓名}您好，您的编号为{编号}，请于{时间}到场。"


def table(path: Path) -> dict[str, str]:
    """The spreadsheet; number -> the text that each good row is to get."""
    expected: dict[str, str] = {}
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["编号", "联系手机", "姓名", "时间"])
        for n in range(1, ROWS + 1):
            number, name = f"138{n:08}", f"王{n}"
            if n % 50 == 0:  # twenty of them, half without a name and half without a whole number
                number, name = (number, "") if n % 100 else (number[:7], name)
            else:
                expected[number] = f"【市政服务】王{n}您好，您的编号为A{n}，请于9点到场。"
            sheet.write_row(n, 0, [f"A{n}", number, name, "9点"])
    return expected


async def uploads(page: Page, path: Path) -> None:
    await page.set_input_files("input[type=file]", str(path))
    await page.click(".card-footer button.btn-primary, .upload-line button")


async def approves(chromium: Browser, node: Node, numbers: int) -> None:
    """Somebody else, on a phone."""
    async with opened(chromium, node, PHONE, "leader") as phone:
        await phone.goto("/review")
        await fits(phone)
        await expect(phone.locator(".waits-facts strong")).to_have_text(f"{numbers}")
        await expect(phone.locator(".waits-text")).to_contain_text("{姓名}您好")
        await phone.click(".waits-buttons .btn-primary")
        await phone.click("dialog[open] form .btn-primary")
        await expect(phone.locator(".waits")).to_have_count(0)


@pytest.mark.slow
async def test_a_spreadsheet_of_personal_messages(chromium: Browser, node: Node, tmp_path: Path) -> None:
    path = tmp_path / "名单.xlsx"
    expected = table(path)
    good = ROWS - BAD
    async with opened(chromium, node, DESKTOP, "clerk") as page:
        await page.goto("/custom")
        await uploads(page, path)
        await page.wait_for_url("**/content")
        await fits(page)

        # The text is written with the columns of the table, which a button puts where the cursor is.
        await page.fill("#subject", "窗口预约")
        await page.click("button[data-insert='{姓名}']")
        assert await page.input_value("#content") == "{姓名}"
        await page.fill("#content", TEXT)
        await expect(page.locator("#preview")).to_contain_text("含变量")
        await goes_on(page)
        await page.wait_for_url("**/audience")
        await expect(page.locator("#phone")).to_have_value("联系手机")
        await expect(page.locator("#var_编号")).to_have_value("编号")

        # Row 500 is one of the bad ones, and row 501 is not.
        await page.fill("#row-n", "500")
        await expect(page.locator("#row-line")).to_have_text("501")
        await expect(page.locator("#row")).to_contain_text("王500您好")
        await page.fill("#row-n", "501")
        await expect(page.locator("#row .bubble")).to_have_text(expected["13800000501"])
        await fits(page)
        await goes_on(page)
        await page.wait_for_url("**/clean")
        await expect(page.locator("#clean-sum")).to_have_text(f"共 1,000 行，有效 {good} 行。")
        for cls, n in (
            ("valid", good),
            ("NUMBER_INVALID", 10),
            ("CONTENT_VARIABLE_UNRESOLVED", 10),
            ("NUMBER_DUPLICATE", 0),
        ):
            await expect(page.locator(f"[data-class={cls}] .clean-count")).to_have_text(str(n))
        await fits(page)
        await page.click(".form-buttons .btn-primary")
        await goes_on(page)

        # In the next minute that there is.
        at = (clock.now().astimezone(CHINA) + timedelta(seconds=70)).replace(second=0)
        await page.click(".chip:has(input[value=at])")
        await page.fill("#at", f"{at:%Y-%m-%dT%H:%M}")
        await goes_on(page)
        await page.wait_for_url("**/confirm")
        await expect(page.locator(".sum-up")).to_contain_text(f"将向 {good} 个号码发送，预计 {good} 条，计费 {good} 条")
        await expect(page.locator("main")).to_contain_text("提交后须经他人审批")
        await expect(page.locator("#carriers")).to_contain_text(f"移动 {good}")
        await expect(page.locator(".phone .bubble")).to_have_text(expected["13800000001"])
        await fits(page)
        await goes_on(page)
        await page.wait_for_url(re.compile(r"/tasks/\d+$"))
        task = page.url
        await expect(page.locator("#detail")).to_contain_text("待审核")
        assert not node.carrier.inbox.messages
        await approves(chromium, node, good)

        received = await node.received(good)
        assert received == expected
        await expect(page.locator("#detail")).to_contain_text("已完成")
        await expect(page.locator("#detail")).to_contain_text(f"{good}")

        # What stopped is taken away, mended, and sent with the same text.
        await page.goto(task)
        async with page.expect_download() as download:
            await page.click("text=下载问题行")
        bad = (await (await download.value).path()).read_text("utf-8-sig").splitlines()
        assert len(bad) == BAD + 1
        mended, again = [bad[0]], {}
        for line in bad[1:]:
            cells = line.split(",")
            n = int(cells[0].removeprefix("A"))
            cells[1], cells[2] = f"138{n:08}", f"王{n}"
            again[cells[1]] = f"【市政服务】王{n}您好，您的编号为A{n}，请于9点到场。"
            mended.append(",".join(cells))
        await page.click("button:has-text('修改后重发')")
        await page.wait_for_url("**/table")
        file = tmp_path / "修改.csv"
        file.write_text("\n".join(mended), "utf-8")
        await uploads(page, file)
        await page.wait_for_url("**/audience")
        await expect(page.locator("#row .bubble")).to_contain_text("您好，您的编号为A")
        await goes_on(page)
        await expect(page.locator("[data-class=valid] .clean-count")).to_have_text(str(BAD))
        await page.click(".form-buttons .btn-primary")
        await goes_on(page)
        await goes_on(page)
        await page.wait_for_url("**/confirm")
        await expect(page.locator(".sum-up")).to_contain_text(f"将向 {BAD} 个号码发送")
        await goes_on(page)
        await page.wait_for_url(re.compile(r"/tasks/\d+$"))
        await approves(chromium, node, BAD)
        assert await node.received(ROWS) == expected | again
        await page.goto("/drafts")
        await expect(page.locator("main")).to_contain_text("没有草稿")
