"""A person at the portal without a browser: pages are fetched and forms sent over real HTTP."""

from __future__ import annotations

import asyncio
import csv
import html
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from portal_site import PASSWORD, Site

from smsgw.core.model import MessageType, Origin
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest

Form = dict[str, str] | Sequence[tuple[str, str]]
"""Pairs where a field comes more than once."""


def shows(page: str, *texts: str, no: str | Sequence[str] = ()) -> None:
    """All of these texts stand there, and none of the others."""
    missing = [text for text in texts if text not in page]
    assert not missing, f"{missing} not in {page}"
    lacks(page, *([no] if isinstance(no, str) else no))


def lacks(page: str, *texts: str) -> None:
    """None of this stands there."""
    found = [text for text in texts if text in page]
    assert not found, f"{found} in {page}"


class Browser:
    """An HTTP client that keeps cookies and fills in the token of the last page's forms."""

    def __init__(self, site: Site) -> None:
        self.session = aiohttp.ClientSession(site.url, cookie_jar=aiohttp.CookieJar(unsafe=True))
        self.csrf = ""
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.path = ""

    async def __aenter__(self) -> Browser:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.session.close()

    async def _read(self, response: aiohttp.ClientResponse) -> str:
        text = await response.text(errors="replace")  # it may be a picture
        self.status, self.headers, self.path = response.status, response.headers, response.url.path_qs
        if found := re.search(r'name="csrf" value="([^"]+)"', text):
            self.csrf = found[1]
        return text

    async def get(self, path: str, *, headers: dict[str, str] | None = None) -> str:
        async with self.session.get(path, headers=headers) as response:
            return await self._read(response)

    async def post(self, path: str, data: Form, *, headers: dict[str, str] | None = None, follow: bool = True) -> str:
        fields = {"csrf": self.csrf} | data if isinstance(data, dict) else [("csrf", self.csrf), *data]
        async with self.session.post(path, data=fields, headers=headers, allow_redirects=follow) as response:
            return await self._read(response)

    async def login(self, login: str, password: str = PASSWORD, onward: str = "/") -> str:
        await self.get("/login")
        return await self.post("/login", {"login": login, "password": password, "next": onward})

    async def status_of(self, path: str, data: Form | None = None, **how: Any) -> int:
        """The status of a page, or of the answer to a form."""
        await (self.get(path, **how) if data is None else self.post(path, data, **how))
        return self.status

    async def led_to(self, path: str, data: Form | None = None) -> str:
        """The address at which a page, or a form, ends."""
        await self.status_of(path, data)
        return self.path

    async def mark_of(self, path: str) -> dict[str, str]:
        """The field of a form there that says what the form was made of."""
        found = re.search(r'name="seen" value="([0-9a-f]{16})"', await self.get(path))
        assert found, path
        return {"seen": found[1]}

    async def octets(self, path: str, data: dict[str, str] | None = None) -> bytes:
        """A file that is fetched, or comes as the answer to a form."""
        fields = None if data is None else {"csrf": self.csrf} | data
        async with self.session.request("GET" if data is None else "POST", path, data=fields) as response:
            self.status, self.headers = response.status, response.headers
            assert response.status == 200, path
            return await response.read()

    async def table_at(self, path: str, data: dict[str, str] | None = None) -> list[list[str]]:
        """The rows of a CSV file, its head among them."""
        return list(csv.reader(io.StringIO((await self.octets(path, data)).decode("utf-8-sig"))))

    async def send_file(self, path: str, octets: bytes, name: str = "x.csv", **fields: str) -> str:
        """A form with this file is sent; the page after it."""
        form = aiohttp.FormData({"csrf": self.csrf} | fields, quote_fields=False)
        form.add_field("file", io.BytesIO(octets), filename=name, content_type="application/octet-stream")
        async with self.session.post(path, data=form) as response:
            return await self._read(response)

    async def refusal(self, path: str, data: Form) -> str:
        """The page that says why a form is refused."""
        page = await self.post(path, data)
        assert self.status == 422, (self.status, page)
        return html.unescape(page)

    async def refused(self, path: str, data: Form, *said: str, no: str | Sequence[str] = ()) -> str:
        """A form is refused in these words, and not in others; its page."""
        page = await self.refusal(path, data)
        shows(page, *said, no=no)
        return page

    async def confirms(self, path: str, data: dict[str, str], *said: str) -> str:
        """A form whose effect is told in these words and then confirmed; the page after it."""
        shows(await self.post(path, data), *said)
        return await self.post(path, data | {"confirmed": "1"})

    async def job_done(self, path: str, patience: float = 180.0) -> str:
        """The page of a job that has come to its end: it asks for no newer one. (What it says tells nothing: words of
        states are in the menu, too.)"""
        async with asyncio.timeout(patience):
            while True:
                page = await self.get(path)
                assert self.status == 200, page
                if "data-again" not in page:
                    return page
                await asyncio.sleep(0.1)

    @property
    def cookies(self) -> dict[str, str]:
        return {c.key: c.value for c in self.session.cookie_jar}


async def send(site: Site, account: str = "hall", *, to: str = "13800138000", content: str = "您好") -> int:
    """A message by the API's door; its id."""
    chosen = site.snapshots.current.account(site.accounts[account])
    assert chosen
    items = (SendItem(to=to, content=content),)
    result = await site.acceptor.send(SendRequest(chosen, items, MessageType.NOTICE, Origin.API, "key-1"))
    assert result.items[0].message_id
    return int(result.items[0].message_id)
