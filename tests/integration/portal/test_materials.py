"""The library of pictures, sounds and films as pages: brought, reviewed by another, taken away by who may see it."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest_asyncio
from browsing import Browser
from PIL import Image
from portal_site import Site, by_test, running

from smsgw.core.actor import ScopeKind
from smsgw.core.permissions import Permission
from smsgw.platform.org import service as org
from smsgw.platform.sheets.service import Sheets

FRAME = b"\xff\xfb\x90\x00" + bytes(413)


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        await site.add_staff("chief", "super")
        rights = [Permission.HOME_VIEW, Permission.TEMPLATE_VIEW]
        await org.add_role(by_test(site.db), "looker", "查看", rights, ScopeKind.ACCOUNTS)
        await site.add_staff("hall-op", "looker", "hall")
        await site.add_staff("clinic-op", "looker", "clinic")
        yield site


def picture(colour: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (640, 400), colour).save(out, "PNG")
    return out.getvalue()


async def upload(site: Site, browser: Browser, octets: bytes, **fields: str) -> str:
    await browser.get("/materials/-/new")
    form = aiohttp.FormData()
    said = {"csrf": browser.csrf, "title": "夏季用电", "account": str(site.accounts["hall"]), "tags": "用电，夏季"}
    for key, value in (said | fields).items():
        form.add_field(key, value)
    form.add_field("file", io.BytesIO(octets), filename="x.png")
    async with browser.session.post("/materials/-/new", data=form) as response:
        return await browser._read(response)


async def test_what_is_brought_waits_for_another_and_is_then_taken_and_counted(site: Site) -> None:
    async with Browser(site) as boss, Browser(site) as chief, Browser(site) as hall, Browser(site) as clinic:
        for browser, who in ((boss, "boss"), (chief, "chief"), (hall, "hall-op"), (clinic, "clinic-op")):
            await browser.login(who)
        assert "还没有素材" in await boss.get("/materials")
        page = await upload(site, boss, b"<svg onload=alert(1)>")
        assert (boss.status, "MP3" in page, 'value="夏季用电"' in page) == (422, True, True)
        await upload(site, boss, picture(), title="")
        assert boss.status == 422
        await upload(site, boss, picture(), account="999")
        assert boss.status == 422
        assert await site.db.fetchval("SELECT count(*) FROM file") == 0
        await upload(site, boss, picture())
        assert re.fullmatch(r"/materials/\d+", boss.path), boss.path
        at = boss.path
        page = await upload(site, boss, picture())
        assert (boss.status, "已有相同内容" in page) == (422, True)

        async with hall.session.get(f"{at}/thumbnail") as response:
            assert (response.status, response.content_type) == (200, "image/webp")
            with Image.open(io.BytesIO(await response.read())) as small:
                assert small.size == (320, 200)
        async with hall.session.get(f"{at}/content") as response:
            assert (response.status, response.content_type) == (200, "image/png")
        for path in (at, f"{at}/thumbnail", f"{at}/content"):
            await clinic.get(path)
            assert clinic.status == 404, path
        page = await hall.get(at)
        assert f"{at}/take" not in page
        await hall.post(f"{at}/take", {})
        assert hall.status == 409, "nobody has approved it"

        one = {"id": at.rpartition("/")[2], "reason": "清晰"}
        await boss.get("/materials")
        await boss.post("/materials/-/do/pass", one)
        assert await site.db.fetchval("SELECT state FROM material") == "waiting", "one's own"
        await chief.get("/materials")
        await chief.post("/materials/-/do/pass", one)
        assert await site.db.fetchval("SELECT state FROM material") == "approved"

        page = await hall.get(at)
        assert f"{at}/take" in page
        async with hall.session.post(f"{at}/take", data={"csrf": hall.csrf}) as response:
            assert (response.status, response.headers["Content-Disposition"][:10]) == (200, "attachment")
        await clinic.get("/materials")
        await clinic.post(f"{at}/take", {})
        assert clinic.status == 404
        assert await site.db.fetchval("SELECT taken FROM material") == 1
        await boss.post(f"{at}/edit", {"title": "冬季用电", "tags": "冬季"})
        assert "冬季用电" in await hall.get("/materials?tag=冬季")
        assert "冬季用电" not in await hall.get("/materials?tag=夏季")
        assert "已取用 1 次" in await boss.post("/materials/-/effect/remove", one)
        await boss.post("/materials/-/do/remove", one)
    actions = await site.db.fetch("SELECT action, actor FROM audit WHERE action LIKE 'material.%' ORDER BY id")
    assert [tuple(row) for row in actions] == [
        ("material.add", "boss"), ("material.decide", "chief"), ("material.take", "hall-op"),
        ("material.set", "boss"), ("material.remove", "boss"),
    ]  # fmt: skip


async def test_the_file_stays_while_the_library_has_it(site: Site) -> None:
    async with Browser(site) as boss:
        await boss.login("boss")
        await upload(site, boss, FRAME * 40)
        assert await site.db.fetchval("SELECT kind FROM material") == "audio"
        await site.db.execute("UPDATE file SET expires_at = now() - $1::interval", timedelta(days=1))
        sheets = Sheets(site.db, site.surveyor.tasks.files.store)
        await sheets.sweep()
        id_ = await site.db.fetchval("SELECT id FROM material")
        at = f"/materials/{id_}/content"
        async with boss.session.get(at) as response:
            assert await response.read() == FRAME * 40
        await site.db.execute("DELETE FROM material")
        await sheets.sweep()
        assert await site.db.fetchval("SELECT count(*) FROM file") == 0
