"""What tests of pages do over and over: somebody signs in, asks for addresses, and looks for words."""

from __future__ import annotations

import contextlib
import csv
import html
import io
import re
from collections.abc import AsyncIterator, Awaitable, Sequence

import aiohttp
import pytest
import pytest_asyncio
from browsing import Browser
from portal_site import Site
from wizard_steps import begun, draft_in, fields, upload

from smsgw.core.errors import SmsgwError

Form = dict[str, str] | Sequence[tuple[str, str]]


@contextlib.asynccontextmanager
async def signed_in(site: Site, login: str, role: str = "") -> AsyncIterator[Browser]:
    """The browser of somebody who has logged in; with a ``role``, of somebody new."""
    if role:
        await site.add_staff(login, role)
    async with Browser(site) as browser:
        await browser.login(login)
        yield browser


async def status_of(browser: Browser, path: str, form: Form | None = None) -> int:
    """The status of a page, or of the answer to a form."""
    await (browser.get(path) if form is None else browser.post(path, form))
    return browser.status


async def fails(error: type[SmsgwError], doing: Awaitable[object], match: str = "", code: str = "") -> None:
    """It is refused: with this in its message, and with this code."""
    with pytest.raises(error, match=match or None) as refused:
        await doing
    assert code in ("", refused.value.code)


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


async def send_file(browser: Browser, path: str, octets: bytes, name: str = "list.csv", **fields: str) -> str:
    """A file is sent by its form; the page that follows."""
    form = aiohttp.FormData({"csrf": browser.csrf} | fields)
    form.add_field("file", octets, filename=name)
    async with browser.session.post(path, data=form) as response:
        return await browser._read(response)


def guessed(page: str) -> dict[str, str]:
    """The columns of a table that the page of its import has chosen by itself."""
    selects = re.findall(r'<select [^>]*name="(column_\w+)"[^>]*>(.*?)</select>', page, re.S)
    return {key: m[1] for key, body in selects if (m := re.search(r'value="(\d+)" selected', body))}


async def table_at(browser: Browser, path: str) -> list[list[str]]:
    """The rows of a table that is taken away, its head among them."""
    async with browser.session.get(path) as response:
        assert response.status == 200, path
        browser.headers = response.headers
        return list(csv.reader(io.StringIO(await response.text("utf-8-sig"))))


async def entered(site: Site, beginning: str) -> list[str]:
    """What the audit log has of actions that begin so, in their order."""
    rows = await site.db.fetch("SELECT action FROM audit WHERE starts_with(action, $1) ORDER BY id", beginning)
    return [row["action"] for row in rows]


@pytest_asyncio.fixture
async def boss(site: Site) -> AsyncIterator[Browser]:
    """The browser of whoever may do everything."""
    async with signed_in(site, "boss") as browser:
        yield browser


@pytest_asyncio.fixture
async def clerk(site: Site) -> AsyncIterator[Browser]:
    """The browser of whoever has some of it."""
    async with signed_in(site, "clerk") as browser:
        yield browser


async def addressed(site: Site, browser: Browser, to: str = "13800138000", **more: str) -> int:
    """A draft of a sending to numbers that were typed; its id."""
    draft = await begun(site, browser, **more)
    await browser.post(f"/send/{draft}/audience", {"source": "typed", "to": to})
    return draft


async def of_table(site: Site, browser: Browser, table: bytes, content: str, *variables: str) -> int:
    """A draft of a sending whose numbers and texts are of a table; its id."""
    await browser.get("/custom")
    page = await upload(browser, "/custom", table, account=site.accounts["hall"])
    draft = draft_in(browser.path)
    await browser.post(f"/send/{draft}/content", fields(site, page, content=content))
    await browser.post(f"/send/{draft}/audience", {"phone": "手机号"} | {f"var_{name}": name for name in variables})
    return draft
