"""What the portal says of mistakes shuts nobody out either: of wrong forms and filters, of pages that are not there, or
not for the person, of too many passwords."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import mistakes
import pytest
import pytest_asyncio
from demo_site import DemoSite, demo_site
from mistakes import Mistake
from playwright.async_api import Browser
from portal_walk import Stop, pages, shut_out, stops, window
from test_every_page import DAILY, DAYS, audit_key, first_of_each, pytestmark

__all__ = ("audit_key", "pytestmark")
KINDS: dict[str, tuple[Callable[[list[Stop]], Iterable[Mistake]], int]] = {
    "refusals": (mistakes.refusals, 5),
    "filters": (mistakes.wrong_filters, 15),
    "forms": (mistakes.wrong_forms, 15),
}
"""Of each kind, how many pages there have to be at least."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DemoSite]:
    """Of its own: forms that were meant to be wrong may be taken as good."""
    dsn = await postgres.make("mistakes", postgres.template)
    try:
        async with demo_site(dsn, tmp_path_factory.mktemp("demo"), days=DAYS, daily=DAILY) as site:
            yield site
    finally:
        await postgres.drop("mistakes")


@pytest.mark.slow
@pytest.mark.timeout(600)  # of every page, in one window after the other
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_said_of_mistakes_shuts_nobody_out(chromium: Browser, site: DemoSite, kind: str) -> None:
    find, least = KINDS[kind]
    faults, made = list[str](), set[str]()
    by_role = dict[str, list[Mistake]]()
    for mistake in find(first_of_each(await stops(site, pages()))):
        by_role.setdefault(mistake.stop.role, []).append(mistake)
    for role, of_role in by_role.items():
        async with window(chromium, site, "phone", role=role) as looker:
            for mistake in of_role:
                await looker.page.goto(mistake.stop.address, wait_until="load")
                if not await mistake.do(looker.page):
                    continue
                made.add(mistake.stop.name)
                found = [*await shut_out(looker.page), *await looker.page.evaluate("window.smsgwViolations")]
                if await looker.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                    found.append("wider than the window")
                faults += [f"{mistake.stop.name} ({looker.page.url}): {fault}" for fault in found]
    assert len(made) >= least, made
    assert not faults, "\n".join(faults)
