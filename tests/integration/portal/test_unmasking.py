"""Whole numbers on pages: asked for with a reason, by who has the right and sees the row, so many a day; written down
with the row's id, and nowhere else."""

from __future__ import annotations

import asyncio
import json

import pytest
import pytest_asyncio
from browsing import shows
from portal_site import Site
from test_inbound import reply, send
from visits import acting_as, add_role, raises_code, signed_in, submitted, taken_away

from smsgw.core.errors import Invalid, Refused
from smsgw.core.model import MessageType
from smsgw.core.permissions import Permission
from smsgw.core.settings import Settings
from smsgw.platform.unmasking import service
from smsgw.runtime import clock

NUMBER = "13800138000"
RIGHTS = [Permission.MESSAGE_VIEW, Permission.INBOUND_VIEW]
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    reads = [Permission.MESSAGE_READ, Permission.MESSAGE_EXPORT, Permission.MESSAGE_WIRE]
    for code, more in (("clerk", []), ("seer", [Permission.MESSAGE_UNMASK]), ("reader", reads),
                       ("seer-texts", [Permission.MESSAGE_UNMASK, Permission.MESSAGE_READ])):  # fmt: skip
        await add_role(site, code, [*RIGHTS, *more], people={f"{code}-hall": "hall"})
    await site.add_staff("seer-clinic", "seer", "clinic")
    return site


async def test_a_number_is_shown_for_a_reason_and_written_down_without_it(site: Site) -> None:
    id_ = await send(site, "hall", NUMBER)
    async with signed_in(site, "seer-hall") as browser:
        for path in ("/records", f"/records/{id_}"):
            shows(await browser.get(path), f'href="/records/{id_}/number"', no=NUMBER)
        address = f"/records/{id_}/number"
        assert NUMBER not in await browser.get(address)
        assert NUMBER not in await browser.refused(address, {"purpose": "", "note": "x"})
        assert "选“其他”时请写明原因" in await browser.refused(address, {"purpose": "other", "note": " "}, no=NUMBER)
        page = await browser.post(address, {"purpose": "other", "note": f"打错的号码 {NUMBER}"})
        assert browser.status == 200
        shows(page, f"86{NUMBER}", "今天已查看 1 个，上限 100 个")
    rows = await site.db.fetch("SELECT actor, object, after::text FROM audit WHERE action = 'numbers.unmask'")
    (row,) = [tuple(row.values()) for row in rows]
    assert row[:2] == ("seer-hall", f"message/{id_}")
    assert json.loads(row[2]) == {"purpose": "other", "note": "打错的号码 138****8000", "shown": 1}
    entries = await site.db.fetch("SELECT object || COALESCE(before::text, '') || COALESCE(after::text, '') FROM audit")
    assert not [row for row in entries if NUMBER in row[0]]


async def coded(site: Site) -> int:
    """A message with a verification code."""
    (id_,) = await submitted(site, "hall", NUMBER, content="您的登录码是739155，5分钟内有效", kind=MessageType.OTP)
    return id_


async def test_who_may_read_texts_reads_no_verification_codes(site: Site) -> None:
    id_ = await coded(site)
    async with signed_in(site, "reader-hall") as browser:
        for path in ("/records", f"/records/{id_}", f"/records/{id_}/live", f"/records/{id_}/wire", "/"):
            assert await browser.status_of(path) == 200
            assert "739155" not in await browser.get(path), path
        assert "您的登录码是******，5分钟内有效" in await browser.get("/records")
        assert f'href="/records/{id_}"' in await browser.get("/records?content=登录码")
        for piece in ("73", "码是7"):
            assert f'href="/records/{id_}"' not in await browser.get(f"/records?content={piece}"), "not found out so"
        file = str(await taken_away(browser, "/records", ""))
        shows(file, "登录码是******", no="739155")


async def test_a_text_with_its_code_is_shown_for_a_reason_and_written_down_without_it(site: Site) -> None:
    id_ = await coded(site)
    async with signed_in(site, "seer-texts-hall") as browser:
        assert f'href="/records/{id_}/number"' in await browser.get(f"/records/{id_}")
        page = await browser.post(f"/records/{id_}/number", {"purpose": "customer", "note": ""})
        assert ("739155" in page, browser.status) == (True, 200)
    async with signed_in(site, "seer-hall") as browser:
        page = await browser.post(f"/records/{id_}/number", {"purpose": "customer", "note": ""})
        assert ("739155" in page, browser.status) == (False, 200), "who may not read texts"
    rows = await site.db.fetch("SELECT after FROM audit WHERE action = 'numbers.unmask' ORDER BY id")
    assert [json.loads(row["after"]) for row in rows] == [
        {"purpose": "customer", "note": "", "shown": 1, "content": True},
        {"purpose": "customer", "note": "", "shown": 1},
    ]


async def test_lists_of_every_kind_have_it(site: Site) -> None:
    answer = await reply(site, "hall", f"86{NUMBER}", "在吗")
    async with signed_in(site, "seer-hall") as browser:
        for path in ("/inbound", f"/inbound/{answer}"):
            assert f'href="/inbound/{answer}/number"' in await browser.get(path)
        page = await browser.post(f"/inbound/{answer}/number", {"purpose": "customer", "note": ""})
        assert (browser.status, f"86{NUMBER}" in page) == (200, True)
    assert await site.db.fetchval("SELECT object FROM audit WHERE action = 'numbers.unmask'") == f"inbound/{answer}"


async def test_who_has_no_right_or_does_not_see_the_row_learns_nothing(site: Site) -> None:
    id_, answer = await send(site, "hall", NUMBER), await reply(site, "hall", f"86{NUMBER}", "在吗")
    for login, code in (("clerk-hall", "PERMISSION_DENIED"), ("seer-clinic", "NOT_FOUND")):
        change = await acting_as(site, login)
        for kind, row in (("message", id_), ("inbound", answer)):
            with raises_code(code):
                await service.whole(change, kind, int(row), "check", "", most=9, now=clock.now())
        with pytest.raises(Refused):
            await service.whole(change, "block", 1, "check", "", most=9, now=clock.now())
    assert await site.db.fetchval("SELECT count(*) FROM unmask_day") == 0
    with pytest.raises(Invalid):
        await service.whole(await acting_as(site, "seer-hall"), "message", int(id_), "", "", most=9, now=clock.now())


async def test_so_many_a_day_and_not_one_more_however_fast(site: Site) -> None:
    id_ = int(await send(site, "hall", NUMBER))
    site.snapshots.change(settings=Settings(unmask_daily=5))

    async def one() -> str:
        try:
            change = await acting_as(site, "seer-hall")
            await service.whole(change, "message", id_, "check", "", most=5, now=clock.now())
        except Refused as error:
            return error.code
        return "shown"

    assert sorted(await asyncio.gather(*(one() for _ in range(12)))) == ["UNMASK_LIMIT"] * 7 + ["shown"] * 5
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'numbers.unmask'") == 5
    async with signed_in(site, "seer-hall") as browser:
        page = await browser.refused(f"/records/{id_}/number", {"purpose": "check", "note": ""}, no=NUMBER)
        assert "今天已查看 5 个完整号码" in page
    await site.db.execute("UPDATE unmask_day SET day = day - 1")  # the next day
    assert await one() == "shown"
    assert await site.db.fetchval("SELECT count(*) FROM unmask_day") == 1
