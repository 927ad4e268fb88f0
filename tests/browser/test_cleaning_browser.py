"""The clean step in a real browser: each number under one heading, what is shown is what is counted."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Dialog, expect
from portal_site import Site
from standing_numbers import GOOD, KEPT_OFF, stand
from windows import DESKTOP, PHONE, fits, opened

pytestmark = [pytest.mark.site(listed=True), pytest.mark.staff({"clerk": ("operator", "hall")})]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_numbers_stand_under_one_heading(chromium: Browser, site: Site, size: tuple[int, int]) -> None:
    await stand(site)
    async with opened(chromium, site, size, "clerk") as page:
        await page.goto("/send")
        await page.click(".chip:has(input[value=marketing])")
        await page.fill("#content", "满百减十")
        await page.click(".card-footer button.btn-primary")
        await page.wait_for_url("**/audience")
        await page.fill("#to", "\n".join([*KEPT_OFF.values(), GOOD]))
        await page.click(".card-footer button.btn-primary")
        await expect(page.locator("#clean-sum")).to_have_text("共 9 行，有效 1 行。")
        for cls, number in {**KEPT_OFF, "valid": GOOD}.items():
            one = page.locator(f"[data-class='{cls}']")
            await expect(one.locator(".clean-count")).to_have_text("1")
            if await one.get_attribute("open") is None:
                await one.locator("summary").click()
            await expect(one.locator("td.nowrap")).to_have_text([f"{number[:3]}****{number[-4:]}"])
        await fits(page)
        await page.click("text=跳过设置，直接确认")
        await expect(page.locator(".sum-up")).to_contain_text("将向 1 个号码发送")
        await expect(page.locator(".phone .bubble")).to_have_text("【市政服务】满百减十")


async def test_what_is_typed_is_kept(chromium: Browser, site: Site) -> None:
    """Every ten seconds; when the page is left; of more than is sent then, whoever leaves is asked first."""

    async def kept() -> str:
        return str(await site.db.fetchval("SELECT state::json->>'to' FROM send_draft"))

    async with opened(chromium, site, DESKTOP, "clerk") as page:
        await page.goto("/send")
        await page.fill("#content", "您好")
        await page.click(".card-footer button.btn-primary")
        await page.wait_for_url("**/audience")
        await page.clock.install()
        await page.reload()
        await page.fill("#to", GOOD)
        await page.clock.run_for(9_000)
        assert await kept() == "", "not yet"
        async with page.expect_response("**/save/audience"):
            await page.clock.run_for(2_000)
        await expect(page.locator("[data-saved]")).to_contain_text("已自动保存")
        assert await kept() == GOOD

        asked: list[str] = []

        async def stay(dialog: Dialog) -> None:
            asked.append(dialog.type)
            await dialog.dismiss()

        page.on("dialog", stay)
        many = "\n".join(f"138{n:08}" for n in range(9_000))
        await page.click("#to")
        put = "(field, text) => { field.value = text; field.dispatchEvent(new Event('input', { bubbles: true })); }"
        await page.locator("#to").evaluate(put, many)
        async with page.expect_response("**/save/audience"):
            await page.click("a:has-text('上一步')", no_wait_after=True)
        assert asked == ["beforeunload"]
        assert await kept() == many
        await page.click("a:has-text('上一步')")
        await page.wait_for_url("**/content")
        assert asked == ["beforeunload"], "it is kept: nobody is asked"
