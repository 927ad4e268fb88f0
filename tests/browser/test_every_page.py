"""Every page of the portal, from its route table, over the demo data: nobody is shut out, nothing is heavier than it
may be, and the console and the content policy have nothing to say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import portal_walk
import pytest
import pytest_asyncio
from demo_site import DemoSite, demo_site
from playwright.async_api import Browser, expect
from portal_walk import AXE, Looker, Stop, lists, pages, polls, stops, window

from smsgw.admin.rights import PUBLIC, Route

MOST_OCTETS = 120 * 1024
"""On the wire, of a page for a browser that has nothing of it yet, charts excepted."""
GALLERY = "/_ui"
"""It has each part of the kit, which no page of the product has."""
MOST_OF_A_POLL = 300
MOST_SCREENS = 3.0
"""Of a phone, for a list of ten."""
CARDS = {"/review"}
"""Lists without a table: of each row there is so much to read before it is decided that ten of them are longer."""
SELDOM = {"/rebates", "/optouts/undos", "/materials"}
"""Lists that a few days of demo data may leave empty, or that are about files, of which these have none."""
PAPER = (Path(__file__).parent / "paper.js").read_text("utf-8")
UPRIGHT, ACROSS = 703, 1032
"""Pixels of a sheet of A4 between its margins (``css/print.css``), the narrow and the broad way."""
DAYS, DAILY = 4, 80
"""Of demo data, which are made once for all tests here."""

pytestmark = [
    pytest.mark.shard("pages"),
    pytest.mark.skipif(not AXE.exists(), reason="no axe here: pages were not looked at"),
]


@pytest.fixture(autouse=True)
def audit_key() -> None:
    """The audit log of the site is signed with its own."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DemoSite]:
    dsn = await postgres.make("every_page", postgres.template)
    try:
        async with demo_site(dsn, tmp_path_factory.mktemp("demo"), days=DAYS, daily=DAILY) as site:
            yield site
    finally:
        await postgres.drop("every_page")


# What is walked: a window, and every how many pages; several tests share a window that has all of them.
WALKS = [
    *(("desktop", "zh", "light", share, 9) for share in range(9)),
    *(("phone", "zh", "light", share, 8) for share in range(8)),
    *(("desktop", "en", "dark", share, 6) for share in range(6)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "language", "theme", "share", "of"), WALKS)
async def test_pages_are_open_to_all_light_and_quiet(
    chromium: Browser, site: DemoSite, size: str, language: str, theme: str, share: int, of: int
) -> None:
    faults: list[str] = []
    found = await stops(site, pages())
    if (size, theme) != ("desktop", "light"):
        found = first_of_each(found)
    for role, of_role in by_role(found[share::of]).items():
        async with window(chromium, site, size, language=language, theme=theme, role=role) as looker:
            for stop in of_role:
                place = f"{stop.address} ({role or 'nobody'})"
                faults += [f"{place}: {fault}" for fault in await faults_of(looker, stop, size)]
    assert not faults, "\n".join(faults)


def first_of_each(found: list[Stop]) -> list[Stop]:
    """One example of each route."""
    return list({stop.route.path: stop for stop in reversed(found)}.values())


def by_role(found: list[Stop]) -> dict[str, list[Stop]]:
    roles: dict[str, list[Stop]] = {}
    for stop in found:
        roles.setdefault(stop.role, []).append(stop)
    return roles


async def faults_of(looker: Looker, stop: Stop, size: str) -> list[str]:
    seen = await looker.look(stop, cold=size == "desktop")
    faults = [*seen.grave, *seen.console, *seen.violations]
    if seen.status != 200:
        faults.append(f"answered with {seen.status}")
    if seen.sticks_out:
        faults.append("wider than the window")
    if seen.cold_octets > MOST_OCTETS and stop.address != GALLERY:
        faults.append(f"{seen.cold_octets} octets on the wire")
    if size == "phone" and stop.route.path in lists():
        faults += await too_long(looker, stop.route.path)
    return faults


async def too_long(looker: Looker, path: str) -> list[str]:
    """Whether ten of a list need more of a phone than they may."""
    if path in CARDS:
        return [] if await looker.page.locator("main table").count() == 0 else ["is measured, as it has a table"]
    if path in SELDOM and not await looker.page.locator("main table tbody tr").count():
        return []
    screens = await looker.screens_of_ten()
    return [f"{screens:.1f} screens for a list of ten"] if screens > MOST_SCREENS else []


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/records/{id}", "/reports/daily", "/records", "/short-links"])
async def test_records_and_reports_can_be_read_on_paper(
    chromium: Browser, site: DemoSite, path: str, theme: str
) -> None:
    wanted = [route for route in pages() if portal_walk.shape(route.path) == path]
    stop = next(stop for stop in await stops(site, wanted))
    async with window(chromium, site, "desktop", theme=theme, role=stop.role) as looker:
        page = looker.page
        await page.goto(stop.address, wait_until="load")
        assert await page.evaluate("document.documentElement.dataset.bsTheme") == theme
        for chart in await page.locator("[data-chart]").all():
            await chart.scroll_into_view_if_needed()
            await expect(chart.locator("canvas")).to_have_count(1)
        assert await page.evaluate(PAPER), "the screen would not do"
        across = await page.evaluate("document.body.classList.contains('sheet-wide')")
        await page.set_viewport_size({"width": ACROSS if across else UPRIGHT, "height": ACROSS})
        await page.emulate_media(media="print")
        await expect(page.locator(".print-head")).to_be_visible()
        assert await page.evaluate(PAPER) == []


async def test_a_poll_without_news_costs_next_to_nothing(chromium: Browser, site: DemoSite) -> None:
    asked = {}
    for role, of_role in by_role(await stops(site, polls())).items():
        async with window(chromium, site, "desktop", role=role) as looker:
            for stop in of_role:
                if "unknown" not in stop.name:  # decided by policy in between
                    asked[stop.address] = await portal_walk.poll_octets(looker, stop)
    assert asked
    assert {a: (s, n) for a, (s, n) in asked.items() if s != 204 or n > MOST_OF_A_POLL} == {}


async def test_a_page_without_an_example_is_named() -> None:
    route = Route("GET", "/nothing/{id:[0-9]{1,19}}", PUBLIC, pages()[0].handler, passive=False)
    with pytest.raises(portal_walk.NoExample, match=r"/nothing/{id}"):
        await stops(None, [route])
