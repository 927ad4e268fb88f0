"""What tests of pages do over and over: somebody signs in, asks for addresses, and looks for words."""

from __future__ import annotations

import contextlib
import html
from collections.abc import AsyncIterator, Sequence

from browsing import Browser
from portal_site import Site

Form = dict[str, str] | Sequence[tuple[str, str]]


@contextlib.asynccontextmanager
async def signed_in(site: Site, login: str) -> AsyncIterator[Browser]:
    """The browser of somebody who has logged in."""
    async with Browser(site) as browser:
        await browser.login(login)
        yield browser


async def status_of(browser: Browser, path: str, form: Form | None = None) -> int:
    """The status of a page, or of the answer to a form."""
    await (browser.get(path) if form is None else browser.post(path, form))
    return browser.status


async def refusal(browser: Browser, path: str, form: Form) -> str:
    """The page that says why a form is not taken."""
    page = await browser.post(path, form)
    assert browser.status == 422, (path, browser.status)
    return html.unescape(page)


def lacking(page: str, *words: str) -> list[str]:
    """Those of the words that the page does not have."""
    return [word for word in words if word not in page]


def having(page: str, *words: str) -> list[str]:
    """Those of the words that the page has."""
    return [word for word in words if word in page]
