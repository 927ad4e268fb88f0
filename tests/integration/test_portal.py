"""The portal over real HTTP on a real database: login, rights, sending, records, trace, errors."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest_asyncio
from portal_site import PASSWORD, Site, running


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        yield site


class Browser:
    """An HTTP client that keeps cookies and fills in the token of the page's forms."""

    def __init__(self, site: Site) -> None:
        self.site = site
        jar = aiohttp.CookieJar(unsafe=True)
        self.session = aiohttp.ClientSession(site.url, cookie_jar=jar)
        self.csrf = ""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.path = ""

    async def __aenter__(self) -> Browser:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.session.close()

    async def _read(self, response: aiohttp.ClientResponse) -> str:
        text = await response.text()
        self.status, self.headers, self.path = response.status, dict(response.headers), response.url.path_qs
        if found := re.search(r'name="csrf" value="([^"]+)"', text):
            self.csrf = found[1]
        return text

    async def get(self, path: str, **options: object) -> str:
        async with self.session.get(path, **options) as response:  # type: ignore[arg-type]
            return await self._read(response)

    async def post(self, path: str, data: dict[str, str], *, headers: dict[str, str] | None = None) -> str:
        async with self.session.post(path, data={"csrf": self.csrf} | data, headers=headers) as response:
            return await self._read(response)

    async def login(self, login: str, password: str = PASSWORD, onward: str = "/") -> str:
        await self.get("/login")
        return await self.post("/login", {"login": login, "password": password, "next": onward})


async def test_login_home_logout(site: Site) -> None:
    await site.add_staff("admin", "admin")
    async with Browser(site) as browser:
        await browser.get("/records?time=7d")
        assert browser.path.startswith("/login?next=")
        page = await browser.login("admin", onward="/records?time=7d")
        assert browser.path == "/records?time=7d"
        assert "发送记录" in page
        await browser.post("/logout", {})
        await browser.get("/")
        assert browser.path == "/login"


async def test_database_holds_only_the_hash_of_the_session(site: Site) -> None:
    await site.add_staff("admin", "admin")
    async with Browser(site) as browser:
        await browser.login("admin")
        cookie = next(c for c in browser.session.cookie_jar if c.key == "smsgw")
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        stored = await site.db.fetchval("SELECT token_sha256 FROM portal_session")
        assert len(stored) == 32
        assert cookie.value.encode() not in stored


async def test_wrong_unknown_and_locked_look_the_same(site: Site) -> None:
    await site.add_staff("admin", "admin")
    async with Browser(site) as browser:
        wrong = await browser.login("admin", "Wrong-Horse-7")
        assert browser.status == 401
        unknown = await browser.login("nobody", "Wrong-Horse-7")
        assert browser.status == 401

        def neutral(page: str) -> str:
            return re.sub(r'value="[^"]*"', "", page)

        assert neutral(wrong) == neutral(unknown)
        for _ in range(4):
            await site.db.fetchrow("SELECT 1")
            from smsgw.store import staff

            await staff.begin_login(site.db, "admin")
        locked = await browser.login("admin")  # the right password
        assert browser.status == 401
        assert neutral(locked) == neutral(wrong)
        await site.db.execute("UPDATE staff SET locked_until = now() - interval '1 second'")
        await browser.login("admin")
        assert browser.path == "/"
