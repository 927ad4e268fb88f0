"""Windows of the portal: what nearly every test of this folder opens, fills in and looks at."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any, Protocol

from playwright.async_api import Browser, Error, Page
from portal_site import PASSWORD
from portal_walk import SIZES

DESKTOP, PHONE = SIZES.values()
HARMLESS = "Transition was (aborted because of invalid state|skipped)"
"""A browser may have shown the page before its transition began."""


class Served(Protocol):
    """Whatever has a portal."""

    url: str


@contextlib.asynccontextmanager
async def opened(
    chromium: Browser, site: Served, size: tuple[int, int], login: str = "", *, allowed: str = HARMLESS
) -> AsyncIterator[Page]:
    """A page whose console must stay empty; ``allowed`` is a pattern of what a test provokes."""
    context = await chromium.new_context(
        viewport={"width": size[0], "height": size[1]}, base_url=site.url, locale="zh-CN"
    )
    context.set_default_timeout(60_000)
    page = await context.new_page()
    said: list[str] = []
    page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: said.append(str(e)))
    goto = page.goto

    async def patient(url: str, **options: Any) -> Any:
        """A form's answer that comes while the next page is asked for takes its place: ask again, as people do."""
        try:
            return await goto(url, **options)
        except Error as error:
            if "net::ERR_ABORTED" not in str(error):
                raise
            await page.wait_for_load_state()
            return await goto(url, **options)

    page.goto = patient  # type: ignore[method-assign]
    if login:
        await logs_in(page, login)
    yield page
    await context.close()
    assert [text for text in said if not re.search(f"{HARMLESS}|{allowed}", text)] == []


async def logs_in(page: Page, login: str = "boss") -> None:
    """With the password alone; what comes then is the test's."""
    await page.goto("/login")
    await page.fill("#login", login)
    await page.fill("#password", PASSWORD)
    await page.click("form.entry-form button[type=submit]")
    await page.wait_for_url(lambda url: not url.partition("?")[0].endswith("/login"))


async def fits(page: Page) -> None:
    """Nothing sticks out to the right."""
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url


async def goes_on(page: Page) -> None:
    """To the next step of a sending."""
    await page.click(".card-footer button.btn-primary")


async def sends(page: Page) -> None:
    """A form of the kit, and what it will do."""
    await page.click(".kit-form button[type=submit]")
    await page.click(".effect ~ form button[type=submit]")
