"""List pages made of the kit: who sees what, filters and pages, columns and views, details, actions, exports."""

from __future__ import annotations

import asyncio
import csv
import html
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from browsing import Browser
from portal_site import Site, running

from smsgw.core.actor import Actor
from smsgw.platform.change import Change
from smsgw.platform.org import service as org

DIALOG = {"X-Dialog": "1"}


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        yield site


@pytest_asyncio.fixture
async def boss(site: Site) -> AsyncIterator[Browser]:
    async with Browser(site) as browser:
        await browser.login("boss")
        yield browser


def rows(page: str) -> list[str]:
    """The rows of a list's table, as text."""
    body = re.search(r"<tbody>(.*?)</tbody>", page, re.S)
    found = re.findall(r"<tr\b.*?</tr>", body[1], re.S) if body else []
    return [" ".join(html.unescape(re.sub(r"<[^>]+>", " ", row)).split()) for row in found]


def links(page: str, rel: str) -> list[str]:
    return [html.unescape(found) for found in re.findall(rf'rel="{rel}" href="([^"]+)"', page)]


def people(change: Change, site: Site, n: int) -> list[asyncio.Future[int]]:
    return [asyncio.ensure_future(site.add_staff(f"p{at:03}", "operator", "hall")) for at in range(n)]


async def staff(site: Site, n: int) -> None:
    for at in range(n):
        await site.add_staff(f"p{at:03}", "operator", "hall")


async def test_a_list_goes_on_by_cursor_and_back(site: Site, boss: Browser) -> None:
    await staff(site, 45)
    first = await boss.get("/staff")
    assert len(rows(first)) == 20
    assert not links(first, "prev")
    second = await boss.get(links(first, "next")[0])
    third = await boss.get(links(second, "next")[0])
    assert len(rows(third)) == 6
    assert not links(third, "next")
    assert len({*rows(first), *rows(second), *rows(third)}) == 46, "each person once"
    back = await boss.get(links(third, "prev")[0])
    assert rows(back) == rows(second)
    assert rows(await boss.get(links(back, "prev")[0])) == rows(first)
