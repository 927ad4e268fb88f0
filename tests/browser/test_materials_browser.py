"""A picture brought into the library in a real browser, looked at by another on a phone, and taken away."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.async_api import Browser, expect
from portal_site import Site
from windows import DESKTOP, PHONE, fits, opened

pytestmark = pytest.mark.staff(boss="super", chief="super")


async def test_a_picture_is_brought_reviewed_by_another_and_taken(
    chromium: Browser, site: Site, tmp_path: Path
) -> None:
    file, drawn = tmp_path / "夏季用电.png", Image.new("RGB", (800, 450), "#1f5ab8")
    ImageDraw.Draw(drawn).ellipse((250, 75, 550, 375), fill="#ffd24d")
    drawn.save(file)
    async with opened(chromium, site, DESKTOP, "boss") as page:
        await page.goto("/materials")
        await page.click("a.btn:has-text('上传素材')")
        await page.fill("#title", "夏季用电提醒")
        await page.select_option("#account", str(site.accounts["hall"]))
        await page.fill("#tags", "用电，夏季")
        await page.set_input_files("input[type=file]", file)
        await page.click("form.kit-form button.btn-primary")
        await page.wait_for_url("**/materials/*")
        await expect(page.locator(".material img")).to_be_visible()
        await page.goto("/materials")
        shown = await page.evaluate("document.querySelector('img.thumb').decode().then(() => true)")
        assert shown
    id_ = await site.db.fetchval("SELECT id FROM material")
    async with opened(chromium, site, PHONE, "chief") as page:
        await page.goto("/materials")
        await fits(page)
        await page.goto(f"/materials/{id_}")
        await fits(page)
        await page.click("button:has-text('通过')")
        await page.click("button:has-text('确认通过')")
        await expect(page.locator("button:has-text('下载原件')")).to_be_visible()
        async with page.expect_download() as coming:
            await page.click("button:has-text('下载原件')")
        download = await coming.value
        assert download.suggested_filename == "夏季用电提醒.png"
        with Image.open(io.BytesIO(Path(await download.path()).read_bytes())) as taken:
            assert taken.size == (800, 450)
    assert await site.db.fetchval("SELECT taken FROM material") == 1
