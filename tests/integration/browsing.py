"""A person at the portal without a browser: pages are fetched and forms sent over real HTTP."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence

import aiohttp
from portal_site import PASSWORD, Site

from smsgw.core.model import MessageType, Origin
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest


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

    async def post(
        self, path: str, data: dict[str, str] | Sequence[tuple[str, str]], *, headers: dict[str, str] | None = None,
        follow: bool = True,
    ) -> str:
        """``data``: pairs where a field comes more than once."""
        fields = {"csrf": self.csrf} | data if isinstance(data, dict) else [("csrf", self.csrf), *data]
        async with self.session.post(path, data=fields, headers=headers, allow_redirects=follow) as response:
            return await self._read(response)

    async def login(self, login: str, password: str = PASSWORD, onward: str = "/") -> str:
        await self.get("/login")
        return await self.post("/login", {"login": login, "password": password, "next": onward})

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
