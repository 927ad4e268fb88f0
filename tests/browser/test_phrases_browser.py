"""Phrases put into a message in a real browser: with the mouse on a phone, with the keyboard alone on a desk."""

from __future__ import annotations

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from portal_site import Site
from windows import DESKTOP, PHONE, fits, opened

HOURS, NEED = "办公时间：工作日9时至17时。", "请携带身份证原件。"


pytestmark = [pytest.mark.staff(boss="super"), pytest.mark.usefixtures("phrases")]


@pytest_asyncio.fixture(loop_scope="module")
async def phrases(site: Site) -> None:
    await site.db.execute(
        "INSERT INTO phrase (owner_id, title, content) SELECT id, x.title, x.content FROM staff, "
        "(VALUES ('办公时间', $1), ('携带材料', $2)) AS x(title, content)",
        HOURS,
        NEED,
    )


async def test_a_phrase_goes_where_the_cursor_is(chromium: Browser, site: Site) -> None:
    async with opened(chromium, site, PHONE, "boss") as page:
        await page.goto("/send/quick")
        content = page.locator("#content")
        await page.fill("#to", "13800138000")
        await content.fill("您好，。")
        await content.evaluate("field => field.setSelectionRange(3, 3)")
        await page.click("text=日常用语 >> visible=true")
        await expect(page.locator("#ask button.phrase")).to_have_count(2)
        await fits(page)
        await page.click("#ask button.phrase:has-text('携带材料')")
        await expect(page.locator("#ask")).to_be_hidden()
        await expect(content).to_have_value(f"您好，{NEED}。")
        await expect(content).to_be_focused()
        await expect(page.locator("#preview .bubble")).to_contain_text(NEED)


async def test_a_phrase_is_found_and_taken_with_the_keyboard(chromium: Browser, site: Site) -> None:
    async with opened(chromium, site, DESKTOP, "boss") as page:
        await page.goto("/send/quick")
        content = page.locator("#content")
        await content.focus()
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Enter")
        found = page.locator("#ask button.phrase >> visible=true")
        await expect(found).to_have_count(2)
        await expect(page.locator("[data-phrase-find]")).to_be_focused()
        await page.keyboard.type("没有的")
        await expect(found).to_have_count(0)
        await expect(page.locator("[data-phrase-none]")).to_be_visible()
        await page.keyboard.press("Control+A")
        await page.keyboard.type("身份证")
        await expect(found).to_have_count(1)
        await page.keyboard.press("Enter")
        await expect(content).to_have_value(NEED)
        await expect(content).to_be_focused()
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("[data-phrase-find]")).to_be_focused()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(content).to_have_value(NEED + HOURS)
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("[data-phrase-find]")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.locator("#ask")).to_be_hidden()
