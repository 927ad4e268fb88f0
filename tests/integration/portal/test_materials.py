"""The library of pictures, sounds and films as pages: brought, reviewed by another, taken away by who may see it."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest
import pytest_asyncio
from browsing import Browser
from PIL import Image
from portal_site import Site
from visits import add_role, all_signed_in, signed_in

from smsgw.core.permissions import Permission
from smsgw.platform.sheets.service import Sheets

FRAME = b"\xff\xfb\x90\x00" + bytes(413)
pytestmark = pytest.mark.staff(boss="super", chief="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await add_role(site, "looker", [Permission.TEMPLATE_VIEW], people={"hall-op": "hall", "clinic-op": "clinic"})
    return site


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (640, 400), "red").save(out, "PNG")
    return out.getvalue()


async def upload(site: Site, browser: Browser, octets: bytes, **fields: str) -> str:
    said = {"title": "夏季用电", "account": str(site.accounts["hall"]), "tags": "用电，夏季"}
    return await browser.send_file("/materials/-/new", octets, "x.png", **said | fields)


async def test_what_is_brought_waits_for_another_and_is_then_taken_and_counted(site: Site) -> None:
    async with all_signed_in(site, "boss", "chief", "hall-op", "clinic-op") as (boss, chief, hall, clinic):
        assert "还没有素材" in await boss.get("/materials")
        page = await upload(site, boss, b"<svg onload=alert(1)>")
        assert (boss.status, "MP3" in page, 'value="夏季用电"' in page) == (422, True, True)
        for wrong in ({"title": ""}, {"account": "999"}):
            await upload(site, boss, picture(), **wrong)
            assert boss.status == 422
        assert await site.db.fetchval("SELECT count(*) FROM file") == 0
        await upload(site, boss, picture())
        assert re.fullmatch(r"/materials/\d+", boss.path), boss.path
        at = boss.path
        assert "已有相同内容" in await upload(site, boss, picture())

        with Image.open(io.BytesIO(await hall.octets(f"{at}/thumbnail"))) as small:
            assert (small.format, small.size) == ("WEBP", (320, 200))
        await hall.octets(f"{at}/content")
        assert hall.headers["Content-Type"] == "image/png"
        assert f"{at}/take" not in await hall.get(at)
        assert await hall.status_of(f"{at}/take", {}) == 409, "nobody has approved it"

        one = {"id": at.rpartition("/")[2], "reason": "清晰"}
        await boss.post("/materials/-/do/pass", one)
        assert await site.db.fetchval("SELECT state FROM material") == "waiting", "one's own"
        await chief.post("/materials/-/do/pass", one)
        assert await site.db.fetchval("SELECT state FROM material") == "approved"

        assert f"{at}/take" in await hall.get(at)
        await hall.octets(f"{at}/take", {})
        assert hall.headers["Content-Disposition"].startswith("attachment")
        assert await clinic.status_of(f"{at}/take", {}) == 404
        assert await site.db.fetchval("SELECT taken FROM material") == 1
        await boss.post(f"{at}/edit", {"title": "冬季用电", "tags": "冬季"})
        assert "冬季用电" in await hall.get("/materials?tag=冬季")
        assert "冬季用电" not in await hall.get("/materials?tag=夏季")
        assert "已取用 1 次" in await boss.post("/materials/-/effect/remove", one)
        await boss.post("/materials/-/do/remove", one)
    actions = await site.db.fetch("SELECT action, actor FROM audit WHERE action LIKE 'material.%' ORDER BY id")
    assert [tuple(row) for row in actions] == [("material.add", "boss"), ("material.decide", "chief"),
                                               ("material.take", "hall-op"), ("material.set", "boss"),
                                               ("material.remove", "boss")]  # fmt: skip


async def test_the_file_stays_while_the_library_has_it(site: Site) -> None:
    async with signed_in(site, "boss") as boss:
        await upload(site, boss, FRAME * 40)
        assert await site.db.fetchval("SELECT kind FROM material") == "audio"
        await site.db.execute("UPDATE file SET expires_at = now() - $1::interval", timedelta(days=1))
        sheets = Sheets(site.db, site.surveyor.tasks.files.store)
        await sheets.sweep()
        id_ = await site.db.fetchval("SELECT id FROM material")
        assert await boss.octets(f"/materials/{id_}/content") == FRAME * 40
        await site.db.execute("DELETE FROM material")
        await sheets.sweep()
        assert await site.db.fetchval("SELECT count(*) FROM file") == 0
