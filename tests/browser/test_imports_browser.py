"""A table of many numbers brought onto the block list in a real browser: preview, progress, what was not taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, expect
from portal_site import Site, running
from test_portal_browser import DESKTOP, PHONE, chromium, fits, opened, pytestmark
from test_scenarios_browser import picture

from smsgw.platform.sheets.model import MOST_ROWS

__all__ = ("chromium", "pytestmark")
GOOD = MOST_ROWS + 2_000


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        yield site


async def test_a_clerk_brings_many_numbers_onto_the_block_list(
    chromium: Browser, site: Site, tmp_path: Path
) -> None:  # fmt: skip
    """S7.5c, S8.4h."""
    rows = [f"{13_800_000_000 + n},第 {n} 行\n" for n in range(GOOD)]
    file = tmp_path / "停发名单.csv"
    file.write_text("手机号,原因\n" + "".join(rows) + rows[7] + "12345,写错了\n", "utf-8")
    async with opened(chromium, site, DESKTOP, "boss") as page:
        await page.goto("/blocked")
        await page.click("a:has-text('导入黑名单')")
        await page.set_input_files("input[type=file]", file)
        await picture(page, "block-import")
        await page.click("button:has-text('上传并预览')")
        await expect(page.locator("#column_number")).to_have_value("0")
        await expect(page.locator("#column_reason")).to_have_value("1")
        await page.fill("#reason", "第三方名单")
        await picture(page, "block-import-columns")
        await page.click("form.kit-form button.btn-primary")
        await page.wait_for_url("**/jobs/*")
        await expect(page.locator("a[href$='/wrong']")).to_be_visible(timeout=60_000)
        await expect(page.locator("main")).to_contain_text(f"{GOOD:,}")
        await picture(page, "block-import-done")
        async with page.expect_download() as coming:
            await page.click("a[href$='/wrong']")
        text = Path(await (await coming.value).path()).read_text("utf-8-sig")
        assert [line.split(",")[0] for line in text.splitlines()[1:]] == [str(GOOD + 2), str(GOOD + 3)]
    assert await site.db.fetchval("SELECT count(*) FROM block_list WHERE removed_at IS NULL") == GOOD
    async with opened(chromium, site, PHONE, "boss") as page:
        await page.goto("/blocked/-/import")
        await fits(page)
        await picture(page, "block-import-phone")
