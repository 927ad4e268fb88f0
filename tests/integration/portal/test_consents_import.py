"""Consents from a table, and the files that prove them, as pages."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest_asyncio
from browsing import Browser
from portal_site import Site, running
from visits import signed_in, status_of

from smsgw.core.actor import Actor, ScopeKind
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.lists import consents
from smsgw.platform.org import service as org
from smsgw.runtime import clock

TABLE = """手机号,同意日期,同意方式,凭证
13800138000,2026-02-01,网页勾选,页面 1
13800138000,2026-02-02,网页勾选,页面 2
13900139000,2026/03/01,,
12,2026-02-01,,
"""
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        by = Change(site.db, Actor.system("test"), ids=site.ids.next)
        await org.add_role(by, "looker", "查看", [Permission.HOME_VIEW, Permission.BLOCK_VIEW], ScopeKind.ACCOUNTS)
        await site.add_staff("reader", "looker", "hall")
        await site.add_staff("other", "looker", "clinic")
        yield site


async def upload(browser: Browser, path: str, name: str, octets: bytes) -> str:
    await browser.get(path)
    form = aiohttp.FormData()
    form.add_field("csrf", browser.csrf)
    form.add_field("file", io.BytesIO(octets), filename=name)
    async with browser.session.post(path, data=form) as response:
        return await browser._read(response)


async def test_a_table_is_previewed_and_brought_in_with_what_became_of_each_row(site: Site) -> None:
    async with signed_in(site, "boss") as boss:
        page = await upload(boss, "/consents/-/import", "名单.csv", TABLE.encode())
        assert "13900139000" in page, "the first rows are shown"
        selects = re.findall(r'<select [^>]*name="(column_\w+)"[^>]*>(.*?)</select>', page, re.S)
        chosen = {key: m[1] for key, body in selects if (m := re.search(r'value="(\d+)" selected', body))}
        assert chosen == {"column_number": "0", "column_given_at": "1", "column_source": "2", "column_proof": "3"}
        form = {"account": str(site.accounts["hall"]), "source": "paper", "proof": "档案 9"}
        await boss.post(boss.path, chosen | form)
        assert re.fullmatch(r"/jobs/\d+", boss.path)
        page = await boss.job_done(boss.path)
        job = boss.path.rpartition("/")[2]
        assert f"/consents/-/import/{job}/result" in page
        async with boss.session.get(f"/consents/-/import/{job}/result") as response:
            rows = list(csv.reader(io.StringIO((await response.read()).decode("utf-8-sig"))))[1:]
    assert [row[0] for row in rows] == ["2", "3", "4", "5"]
    assert rows[0][2] == rows[2][2] != rows[1][2] != rows[3][2]
    assert "第 2 行" in rows[1][3], "a number that came before"
    assert "13800138000" not in str(rows), "whole numbers are not given away"
    found = await site.db.fetch("SELECT number, source, proof, given_at FROM consent ORDER BY number")
    assert [(r["number"], r["source"], r["proof"]) for r in found] == [
        (8613800138000, "web", "页面 1"), (8613900139000, "paper", "档案 9"),
    ]  # fmt: skip


async def test_a_proof_is_shown_by_right_and_audited(site: Site) -> None:
    by = Change(site.db, Actor.system("test"), ids=site.ids.next)
    given = consents.Given(consents.Source.PAPER, "v1", "档案 7", clock.now())
    await consents.give(by, site.accounts["hall"], ["8613800138000", "8613900139000"], given)
    id_ = await site.db.fetchval("SELECT min(id) FROM consent")
    at = f"/consents/{id_}/proof"
    async with Browser(site) as boss, Browser(site) as reader, Browser(site) as other:
        for who in ("boss", "reader", "other"):
            await {"boss": boss, "reader": reader, "other": other}[who].login(who)
        wrong = await upload(boss, at, "x.html", b"<script>")
        assert (boss.status, "PNG" in html.unescape(wrong)) == (422, True)
        assert await site.db.fetchval("SELECT count(*) FROM file") == 0
        await upload(boss, at, "同意书.png", PNG)
        assert boss.path == f"/consents/{id_}"
        assert await site.db.fetchval("SELECT count(DISTINCT proof_file) FROM consent") == 1
        assert await site.db.fetchval("SELECT count(proof_file) FROM consent") == 2, "entered together, proven together"
        assert f"{at}/file" in await reader.get(f"/consents/{id_}")
        assert await status_of(reader, at) == 403, "who only looks brings nothing"
        async with reader.session.get(f"{at}/file") as response:
            assert (response.status, response.headers["Content-Type"]) == (200, "image/png")
            assert await response.read() == PNG
            assert response.headers["Content-Disposition"].startswith("inline")
        assert await status_of(other, f"{at}/file") == 404
        await upload(boss, at, "other.png", PNG)
        assert await site.db.fetchval("SELECT count(DISTINCT proof_file) FROM consent") == 1
    seen = await site.db.fetch("SELECT actor FROM audit WHERE action = 'consent.proof_read'")
    assert [row["actor"] for row in seen] == ["reader"]
