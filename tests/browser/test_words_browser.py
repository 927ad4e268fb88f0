"""Words in disguise are caught where a text is typed: in a new sending, and in the box that tests a text; and a list of
them is brought in from a table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import xlsxwriter
from nodes import Node, furnished, until
from playwright.async_api import Browser, expect
from windows import DESKTOP, PHONE, fits, opened

from smsgw.core.keywords import Action, Word
from smsgw.platform.accounts import service as accounts
from smsgw.platform.words import service as words

DISGUISES = {
    "full width": ("ＤＵＢＯ", "ＤＵＢＯ"),
    "blanks between": ("请勿赌　 博 谢谢", "赌　 博"),
    "traditional": ("請勿賭博", "賭博"),
    "mixed punctuation": ("请勿赌·【-】，博。", "赌·【-】，博"),
    "what is not seen": ("请勿赌\u200b博", "赌\u200b博"),
}


@pytest_asyncio.fixture(loop_scope="module")
async def node(dsn: str, tmp_path: Path) -> AsyncIterator[Node]:
    async with furnished(dsn, tmp_path, {"boss": "super"}) as made:
        await words.put(made.change(), [Word("赌博", "违法", Action.BLOCK), Word("dubo", "违法", Action.BLOCK)])
        yield made


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.slow
async def test_a_word_in_disguise_is_marked_while_it_is_typed(
    chromium: Browser, node: Node, size: tuple[int, int]
) -> None:
    async with opened(chromium, node, size, "boss", allowed="422") as page:
        await page.goto("/send")
        for text, marked in DISGUISES.values():
            await page.fill("#content", text)
            await expect(page.locator("#preview mark.mark-block")).to_have_text([marked])
            await expect(page.locator("#preview .found-marks")).to_contain_text("禁发 · 违法")
            await page.fill("#content", "您好")
            await expect(page.locator("#preview mark")).to_have_count(0)
        await fits(page)
        # Who goes on all the same is told which words, and is not let through.
        await page.fill("#content", DISGUISES["traditional"][0])
        await page.click(".card-footer button.btn-primary")
        await expect(page.locator("#content-problem")).to_contain_text("含有禁发词：赌博(违法)")

        await page.goto("/words/-/test")
        for text, marked in DISGUISES.values():
            await page.fill("#content", text)
            await page.click("form.kit-form button.btn-primary, form button.btn-primary")
            await expect(page.locator(".judged mark").first).to_have_text(marked)
            await expect(page.locator("main")).to_contain_text("短信会被拦截")
        await fits(page)


@pytest.mark.slow
async def test_words_come_from_a_spreadsheet_and_every_row_is_accounted_for(
    chromium: Browser, node: Node, tmp_path: Path
) -> None:
    path = tmp_path / "词表.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["关键词", "类别", "处理方式", "替换为"])
        rows = [["=违禁词", "违法", "拦截", ""], ["免费领", "广告", "替换", "（略）"], ["赌博", "别的", "", ""],
                ["！！", "", "", ""], ["某词", "", "没收", ""], ["免费领", "广告", "", ""]]  # fmt: skip
        rows += [[f"词条{n}号", f"分类{n % 7}", "送审", ""] for n in range(2000)]
        for n, row in enumerate(rows, 1):
            for at, cell in enumerate(row):
                sheet.write_string(n, at, cell)
    async with opened(chromium, node, DESKTOP, "boss") as page:
        await page.goto("/words")
        await page.click("a[href='/words/-/import']")
        await page.set_input_files("input[type=file]", str(path))
        await page.click("button.btn-primary:has-text('上传并预览')")
        await expect(page.locator("table.rows tbody tr").first).to_contain_text("=违禁词")
        for column, at in (("word", "0"), ("category", "1"), ("action", "2"), ("replacement", "3")):
            await expect(page.locator(f"#column_{column}")).to_have_value(at)
        await fits(page)
        await page.select_option("[name=action]", "block")
        await page.select_option("[name=duplicates]", "skip")
        await page.click(f"button:has-text('开始导入 {len(rows):,} 行')")
        await page.wait_for_url("**/jobs/*")
        await expect(page.locator("#detail")).to_contain_text("已完成")
        async with page.expect_download() as download:
            await page.click("text=下载未导入的行")
        left = (await (await download.value).path()).read_text("utf-8-sig").splitlines()[1:]
        assert [line.split(",")[0] for line in left] == ["4", "5", "6", "7"], left
        assert ["已在表中" in left[0], "没收" in left[2], "已在表中" in left[3]] == [True] * 3
        async with page.expect_download() as download:
            await page.click("text=下载导入结果")
        every = (await (await download.value).path()).read_text("utf-8-sig").splitlines()[1:]
        assert len(every) == len(rows), "no row is dropped silently"
        assert every[0].startswith("2,'=违禁词,"), "what looks like a formula is none in a spreadsheet"
    rows_ = await node.db.fetch("SELECT word, category, action, replacement FROM word")
    stored = {row["word"]: tuple(row)[1:] for row in rows_}
    assert len(stored) == 2 + 2002
    assert stored["赌博"] == ("违法", "block", "")
    assert stored["免费领"] == ("广告", "replace", "（略）")
    assert stored["=违禁词"] == ("违法", "block", "")
    policies = node.daemon.node.snapshots
    await until(lambda: policies.current.policies.words.find("词条1999号"))  # and the node goes by them


async def test_a_quick_sending_is_marked_and_priced_while_it_is_typed(chromium: Browser, node: Node) -> None:
    await accounts.edit(node.change(), node.hall, {"unit_price": "0.05"})
    async with opened(chromium, node, DESKTOP, "boss") as page:
        await page.goto("/send/quick")
        await page.fill("#to", "13800138000\n13800138001\n13800138002")
        await page.fill("#content", DISGUISES["traditional"][0])
        await expect(page.locator("#preview mark.mark-block")).to_have_count(1)
        await page.fill("#content", "您好")
        await expect(page.locator("#no-marks")).to_be_visible()
        await expect(page.locator("#count-total")).to_have_text("3 条 · 0.15 元")
        await fits(page)
