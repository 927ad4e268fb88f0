"""Chromium and the portals that tests look at in it. What a page is to show it has the time for that a machine with
much else to do needs."""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from nodes import Node
    from playwright.async_api import Browser, BrowserContext
    from portal_site import Site

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of a module are in one loop: that of their browser."""
    for item in items:
        if item.path.is_relative_to(HERE) and inspect.iscoroutinefunction(getattr(item, "function", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """One for all tests of a module; without it they are left out."""
    from playwright.async_api import async_playwright
    from portal_walk import ARGUMENTS

    from smsgw.admin.staticfiles import ROOT, VENDOR

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None or not all((ROOT / name).exists() for name in VENDOR):
        pytest.skip("no chromium or no front-end files here: the portal was not tried in a browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=[*ARGUMENTS])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def site(request: pytest.FixtureRequest, dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """A portal (``portal_site.running``) as the mark ``site(NAME=VALUE, …)`` configures it, with the people of the
    mark ``staff(LOGIN="ROLE")`` or ``staff({LOGIN: ("ROLE", "ACCOUNT", …)})``."""
    from portal_site import running

    async with running(dsn, tmp_path, **_marked(request, "site")) as made:
        for login, role in _marked(request, "staff").items():
            await made.add_staff(login, *([role] if isinstance(role, str) else role))
        yield made


def _marked(request: pytest.FixtureRequest, name: str) -> dict[str, Any]:
    """What the nearest such mark says."""
    mark = request.node.get_closest_marker(name)
    return {**dict(*mark.args), **mark.kwargs} if mark else {}


@pytest_asyncio.fixture(loop_scope="module")
async def node(dsn: str, tmp_path: Path) -> AsyncIterator[Node]:
    """One where all that people send is reviewed by others."""
    from nodes import furnished

    from smsgw.platform.policies import service as policies

    async with furnished(dsn, tmp_path, {"clerk": "operator", "leader": "super"}) as made:
        await policies.put(made.change(), "review", "all")
        yield made


@pytest.fixture(autouse=True, scope="session")
def patient() -> None:
    """Also of whoever waits for a page without saying how long."""
    from playwright.async_api import expect

    expect.set_options(timeout=60_000)


@pytest.fixture(autouse=True)
def uncaught(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No script of a page may throw, whoever has opened its window and whatever else the test looks at."""
    from playwright.async_api import Browser
    from windows import HARMLESS

    thrown: list[str] = []
    new_context = Browser.new_context

    async def watched(browser: Browser, **options: Any) -> BrowserContext:
        context = await new_context(browser, **options)
        context.on("weberror", lambda e: thrown.append(f"{e.page.url if e.page else ''}: {e.error}"))
        return context

    monkeypatch.setattr(Browser, "new_context", watched)
    yield
    assert [error for error in thrown if not re.search(HARMLESS, error)] == []
