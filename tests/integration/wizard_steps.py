"""Steps of a new sending, as a person without a browser takes them."""

from __future__ import annotations

import asyncio
import html
import io
import re
from urllib.parse import urlsplit

import aiohttp
from browsing import Browser
from portal_site import Site


def fields(site: Site, page: str, **more: str) -> dict[str, str]:
    """The first step, filled in."""
    key = re.search(r'name="key" value="([\w-]{24})"', page)
    assert key
    return {"key": key[1], "account": str(site.accounts["hall"]), "type": "notice", "subject": "预约提醒",
            "content": "您好，请到场", "sign": "", "template": ""} | more  # fmt: skip


def draft_in(path: str) -> int:
    """The draft of an address."""
    found = re.match(r"/send/(\d+)/", urlsplit(path).path)
    assert found, path
    return int(found[1])


async def upload(browser: Browser, path: str, table: bytes, *, account: int | None = None) -> str:
    """Send a table as the page's form does."""
    form = aiohttp.FormData()
    form.add_field("csrf", browser.csrf)
    if account is not None:
        form.add_field("account", str(account))
    form.add_field("file", io.BytesIO(table), filename="名单.csv", content_type="text/csv")
    async with browser.session.post(path, data=form) as response:
        browser.status, browser.path = response.status, str(response.url.path_qs)
        return html.unescape(await response.text())


async def looked_at(browser: Browser, draft: int, page: str = "clean") -> str:
    """The page, once the rows have been looked at."""
    await browser.get(f"/send/{draft}/{page}")
    async with asyncio.timeout(60):
        while True:
            text = html.unescape(await browser.get(f"/send/{draft}/{page}"))
            if "正在逐行" not in text:
                return text
            await asyncio.sleep(0.1)


async def imported(site: Site) -> int:
    """The newest task, once its rows are there."""
    async with asyncio.timeout(60):
        while True:
            row = await site.db.fetchrow("SELECT id, state FROM task ORDER BY id DESC LIMIT 1")
            if row["state"] != "importing":
                found: int = row["id"]
                return found
            await asyncio.sleep(0.05)


async def begun(site: Site, browser: Browser, **more: str) -> int:
    """A draft whose first step is done; its id."""
    await browser.post("/send", fields(site, await browser.get("/send"), **more))
    return draft_in(browser.path)


async def submitted(browser: Browser, draft: int) -> str:
    """The draft is sent, once its rows were looked at; the page that follows."""
    text = await looked_at(browser, draft, "confirm")
    of = re.search(r'name="of" value="([^"]+)"', text)
    assert of, text
    return html.unescape(await browser.post(f"/send/{draft}/confirm", {"of": of[1]}))
