"""What a page is to show it has the time for that a machine with much else to do needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext

HARMLESS = re.compile("Transition was (aborted because of invalid state|skipped)")
"""A browser may have shown the page before its transition began."""


@pytest.fixture(autouse=True, scope="session")
def patient() -> None:
    """Also of whoever waits for a page without saying how long."""
    from playwright.async_api import expect

    expect.set_options(timeout=60_000)


@pytest.fixture(autouse=True)
def uncaught(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No script of a page may throw, whoever has opened its window and whatever else the test looks at."""
    from playwright.async_api import Browser

    thrown: list[str] = []
    new_context = Browser.new_context

    async def watched(browser: Browser, **options: Any) -> BrowserContext:
        context = await new_context(browser, **options)
        context.on("weberror", lambda e: thrown.append(f"{e.page.url if e.page else ''}: {e.error}"))
        return context

    monkeypatch.setattr(Browser, "new_context", watched)
    yield
    assert [error for error in thrown if not HARMLESS.search(error)] == []
