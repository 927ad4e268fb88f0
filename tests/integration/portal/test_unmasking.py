"""Whole numbers on pages: asked for with a reason, by who has the right and sees the row, so many a day; written down
with the row's id, and nowhere else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from browsing import Browser
from portal_site import Site, running
from test_inbound import reply, send

from smsgw.core.actor import Actor, ActorLabel, ScopeKind
from smsgw.core.errors import Invalid, Refused
from smsgw.core.model import MessageType, Origin
from smsgw.core.permissions import Permission
from smsgw.core.settings import Settings
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.platform.change import Change
from smsgw.platform.org import queries as people
from smsgw.platform.org import service as org
from smsgw.platform.unmasking import service
from smsgw.runtime import clock

NUMBER = "13800138000"
RIGHTS = [Permission.HOME_VIEW, Permission.MESSAGE_VIEW, Permission.INBOUND_VIEW]


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        change = Change(site.db, Actor.system("test"), ids=site.ids)
        more = [*RIGHTS, Permission.MESSAGE_UNMASK]
        reader = [*RIGHTS, Permission.MESSAGE_READ, Permission.MESSAGE_EXPORT, Permission.MESSAGE_WIRE]
        more_texts = [*more, Permission.MESSAGE_READ]
        for code, rights in (("clerk", RIGHTS), ("seer", more), ("reader", reader), ("seer-texts", more_texts)):
            await org.add_role(change, code, code, rights, ScopeKind.ACCOUNTS)
            await site.add_staff(f"{code}-hall", code, "hall")
        await site.add_staff("seer-clinic", "seer", "clinic")
        yield site


async def by(site: Site, login: str) -> Change:
    person = await people.person(site.db, login)
    assert person
    return Change(site.db, person.actor(), ids=site.ids.next)


async def test_a_number_is_shown_for_a_reason_and_written_down_without_it(site: Site) -> None:
    id_ = await send(site, "hall", NUMBER)
    async with Browser(site) as browser:
        await browser.login("seer-hall")
        for path in ("/records", f"/records/{id_}"):
            page = await browser.get(path)
            assert NUMBER not in page
            assert f'href="/records/{id_}/number"' in page
        address = f"/records/{id_}/number"
        assert NUMBER not in await browser.get(address)
        page = await browser.post(address, {"purpose": "", "note": "x"})
        assert (browser.status, NUMBER in page) == (422, False)
        page = await browser.post(address, {"purpose": "other", "note": " "})
        assert (browser.status, NUMBER in page) == (422, False)
        assert "选“其他”时请写明原因" in page
        page = await browser.post(address, {"purpose": "other", "note": f"打错的号码 {NUMBER}"})
        assert browser.status == 200
        assert f"86{NUMBER}" in page
        assert "今天已查看 1 个，上限 100 个" in page
    rows = await site.db.fetch("SELECT actor, object, after::text FROM audit WHERE action = 'numbers.unmask'")
    (row,) = [tuple(row.values()) for row in rows]
    assert row[:2] == ("seer-hall", f"message/{id_}")
    assert json.loads(row[2]) == {"purpose": "other", "note": "打错的号码 138****8000", "shown": 1}
    entries = await site.db.fetch(
        "SELECT object || COALESCE(before::text, '') || COALESCE(after::text, '') FROM audit"
    )
    assert not [row for row in entries if NUMBER in row[0]]


async def coded(site: Site) -> int:
    """A message with a verification code."""
    hall = site.snapshots.current.account(site.accounts["hall"])
    assert hall is not None
    item = SendItem(NUMBER, "您的登录码是739155，5分钟内有效", sign="政务")
    request = SendRequest(hall, (item,), MessageType.OTP, Origin.API, ActorLabel("k"))
    return int((await site.acceptor.send(request)).items[0].message_id or 0)


async def test_who_may_read_texts_reads_no_verification_codes(site: Site) -> None:
    id_ = await coded(site)
    async with Browser(site) as browser:
        await browser.login("reader-hall")
        for path in ("/records", f"/records/{id_}", f"/records/{id_}/live", f"/records/{id_}/wire", "/"):
            page = await browser.get(path)
            assert (browser.status, "739155" in page) == (200, False), path
        assert "您的登录码是******，5分钟内有效" in await browser.get("/records")
        assert f'href="/records/{id_}"' in await browser.get("/records?content=登录码")
        for piece in ("73", "码是7"):
            assert f'href="/records/{id_}"' not in await browser.get(f"/records?content={piece}"), "not found out so"
        await browser.get("/records")
        await browser.post("/records/-/export", {"q": "", "reason": "核对", "format": "csv"})
        job = browser.path
        await browser.job_done(job)
        file = await browser.post(f"{job}/link", {})
        assert ("登录码是******" in file, "739155" in file) == (True, False)


async def test_a_text_with_its_code_is_shown_for_a_reason_and_written_down_without_it(site: Site) -> None:
    id_ = await coded(site)
    async with Browser(site) as browser:
        await browser.login("seer-texts-hall")
        assert f'href="/records/{id_}/number"' in await browser.get(f"/records/{id_}")
        page = await browser.post(f"/records/{id_}/number", {"purpose": "customer", "note": ""})
        assert ("739155" in page, browser.status) == (True, 200)
    async with Browser(site) as browser:
        await browser.login("seer-hall")
        page = await browser.post(f"/records/{id_}/number", {"purpose": "customer", "note": ""})
        assert ("739155" in page, browser.status) == (False, 200), "who may not read texts"
    rows = await site.db.fetch("SELECT after FROM audit WHERE action = 'numbers.unmask' ORDER BY id")
    assert [json.loads(row["after"]) for row in rows] == [
        {"purpose": "customer", "note": "", "shown": 1, "content": True},
        {"purpose": "customer", "note": "", "shown": 1},
    ]


async def test_lists_of_every_kind_have_it(site: Site) -> None:
    answer = await reply(site, "hall", f"86{NUMBER}", "在吗")
    async with Browser(site) as browser:
        await browser.login("seer-hall")
        for path in ("/inbound", f"/inbound/{answer}"):
            assert f'href="/inbound/{answer}/number"' in await browser.get(path)
        page = await browser.post(f"/inbound/{answer}/number", {"purpose": "customer", "note": ""})
        assert (browser.status, f"86{NUMBER}" in page) == (200, True)
    told = await site.db.fetchval("SELECT object FROM audit WHERE action = 'numbers.unmask'")
    assert told == f"inbound/{answer}"


async def test_who_has_no_right_or_does_not_see_the_row_learns_nothing(site: Site) -> None:
    id_, answer = await send(site, "hall", NUMBER), await reply(site, "hall", f"86{NUMBER}", "在吗")
    for login, code in (("clerk-hall", "PERMISSION_DENIED"), ("seer-clinic", "NOT_FOUND")):
        change = await by(site, login)
        for kind, row in (("message", id_), ("inbound", answer)):
            with pytest.raises(Refused) as refused:
                await service.whole(change, kind, int(row), "check", "", most=9, now=clock.now())
            assert refused.value.code == code
        with pytest.raises(Refused) as refused:
            await service.whole(change, "block", 1, "check", "", most=9, now=clock.now())
        async with Browser(site) as browser:
            await browser.login(login)
            forms = {"purpose": "check", "note": ""}
            page = await browser.post(f"/records/{id_}/number", forms)
            assert browser.status in (403, 404)
            assert NUMBER not in page
            assert "/number" not in await browser.get("/records")
    assert await site.db.fetchval("SELECT count(*) FROM unmask_day") == 0
    with pytest.raises(Invalid):
        await service.whole(await by(site, "seer-hall"), "message", int(id_), "", "", most=9, now=clock.now())


async def test_so_many_a_day_and_not_one_more_however_fast(site: Site) -> None:
    id_ = int(await send(site, "hall", NUMBER))
    site.snapshots.change(settings=Settings(unmask_daily=5))

    async def one() -> str:
        try:
            await service.whole(
                await by(site, "seer-hall"), "message", id_, "check", "", most=5, now=clock.now()
            )
        except Refused as error:
            return error.code
        return "shown"

    got = await asyncio.gather(*(one() for _ in range(12)))
    assert sorted(got) == ["UNMASK_LIMIT"] * 7 + ["shown"] * 5
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'numbers.unmask'") == 5
    async with Browser(site) as browser:
        await browser.login("seer-hall")
        page = await browser.post(f"/records/{id_}/number", {"purpose": "check", "note": ""})
        assert (browser.status, NUMBER in page) == (422, False)
        assert "今天已查看 5 个完整号码" in page
    await site.db.execute("UPDATE unmask_day SET day = day - 1")  # the next day
    assert await one() == "shown"
    assert await site.db.fetchval("SELECT count(*) FROM unmask_day") == 1
