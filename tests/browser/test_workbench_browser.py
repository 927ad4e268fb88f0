"""The frame's palette, favourites and bell in a real browser, by keys alone; and what axe says of the open palette."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.async_api import Browser, expect
from portal_site import Site
from portal_walk import open_to_all
from windows import DESKTOP, PHONE, fits, opened

from smsgw.store.records import alarms

pytestmark = pytest.mark.staff(admin="super")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_the_palette_by_keys(chromium: Browser, site: Site, size: tuple[int, int]) -> None:
    async with opened(chromium, site, size, "admin") as page:
        await page.goto("/records")  # it has other dialogs, too
        await page.locator("[data-palette]").focus()
        await page.keyboard.press("Control+k")
        field = page.locator(".palette-field")
        await expect(field).to_be_focused()
        await expect(page.locator("[role=option]").first).to_be_visible()
        await page.keyboard.type("fsjl")
        await expect(page.locator("[role=option]")).to_have_count(1)
        await expect(page.locator("[role=option]")).to_have_attribute("aria-selected", "true")
        await expect(field).to_have_attribute("aria-activedescendant", "palette-0")
        await open_to_all(page, "the palette")
        await field.fill("")
        await expect(page.locator("[role=option]").nth(1)).to_be_visible()
        await page.keyboard.press("ArrowDown")
        await expect(page.locator("[role=option]").nth(1)).to_have_attribute("aria-selected", "true")
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("ArrowUp")  # round to the last one
        await expect(page.locator("[role=option]").last).to_have_attribute("aria-selected", "true")
        await field.fill("no such thing")
        await expect(page.locator(".palette-none")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("#palette")).not_to_be_visible()
        await expect(page.locator("[data-palette]")).to_be_focused()
        await page.keyboard.press("Control+k")
        await page.keyboard.type("shenji")
        await expect(page.locator("[role=option]")).to_have_count(1)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/audit")
        await fits(page)


async def test_a_star_and_the_bell(chromium: Browser, site: Site) -> None:
    async with site.db.transaction() as connection:
        await alarms.raise_(connection, "disk_low", "node/1", "critical", "", now=datetime.now(UTC))
    async with opened(chromium, site, DESKTOP, "admin") as page:
        await expect(page.locator(".top-bell [data-badge]")).to_have_text("1")
        await page.goto("/records")
        await page.click(".star")
        await expect(page.locator(".star")).to_have_attribute("aria-pressed", "true")
        await expect(page.locator(".side-favourites a")).to_have_attribute("href", "/records")
        await page.click(".top-bell")
        await page.locator("td.at-title a, td.at-title").first.click()
        await expect(page.locator("#drawer")).to_contain_text("磁盘空间不足")
        await page.keyboard.press("Escape")
        await page.reload()
        await expect(page.locator("tbody .state", has_text="已读")).to_have_count(1)
        await expect(page.locator(".top-bell [data-badge]")).not_to_be_visible()
        await fits(page)
