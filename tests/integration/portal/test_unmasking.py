"""Whole numbers on pages: shown for a reason to who has the right, counted and written down; and forgotten in time."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
import pytest_asyncio
from browsing import Browser, shows
from changes import by_test
from portal_site import SEALER, Site
from test_inbound import reply, send
from visits import acting_as, add_role, all_signed_in, boss, fails, signed_in, submitted, taken_away

from smsgw.core.actor import ScopeKind
from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType
from smsgw.core.permissions import Permission
from smsgw.core.pseudonyms import pseudonym
from smsgw.core.retention import Ages
from smsgw.core.settings import Settings
from smsgw.platform.messages import queries as messages
from smsgw.platform.retention import queries, service as retention
from smsgw.platform.unmasking import service
from smsgw.runtime import clock
from smsgw.store.records import pseudonyms

NUMBER = "13800138000"
RIGHTS = [Permission.MESSAGE_VIEW, Permission.INBOUND_VIEW]
__all__ = ["boss"]
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
        await browser.refused(address, {"purpose": "", "note": "x"}, no=NUMBER)
        await browser.refused(address, {"purpose": "other", "note": " "}, "选“其他”时请写明原因", no=NUMBER)
        page = await browser.post(address, {"purpose": "other", "note": f"打错的号码 {NUMBER}"})
        shows(page, f"86{NUMBER}", "今天已查看 1 个，上限 100 个")
    (row,) = await site.db.fetch("SELECT actor, object, after FROM audit WHERE action = 'numbers.unmask'")
    assert tuple(row)[:2] == ("seer-hall", f"message/{id_}")
    assert json.loads(row["after"]) == {"purpose": "other", "note": "打错的号码 138****8000", "shown": 1}


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
        shows(str(await taken_away(browser, "/records", "")), "登录码是******", no="739155")


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
            asked = service.whole(change, kind, int(row), "check", "", most=9, now=clock.now())
            await fails(SmsgwError, asked, code=code)
        await fails(Refused, service.whole(change, "block", 1, "check", "", most=9, now=clock.now()))
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


def form(messages: int, inbound: int, pdus: int, **more: str) -> dict[str, str]:
    days = {"messages_days": str(messages), "inbound_days": str(inbound), "pdus_days": str(pdus), "clicks_days": "0"}
    return {**days, "texts": "1", "reason": "个人信息保护要求", **more}


async def test_a_rule_holds_when_a_second_person_has_passed_it(site: Site) -> None:
    await site.add_staff("chief", "super")
    await add_role(site, "looks", [Permission.SETTING_VIEW], ScopeKind.ALL, people=["looks"])
    async with all_signed_in(site, "boss", "chief", "looks") as (boss, chief, reader):
        shows(await reader.get("/retention"), "未启用号码脱敏", no="/retention/rules/-/new")
        assert await reader.status_of("/retention/rules/-/new") == 403

        await boss.refused("/retention/rules/-/new", form(10, 0, 0), "30")
        await boss.refused("/retention/rules/-/new", form(60, 0, 90), "报文原文含有号码")
        assert "短于 5 个月" in await boss.post("/retention/rules/-/new", form(60, 30, 60))
        await boss.post("/retention/rules/-/new", form(60, 30, 60, confirmed="1"))
        rule = await queries.waiting(site.db)
        assert "有一项变更等待审批" in await reader.get("/retention")

        assert "effect/pass" not in await boss.get(f"/retention/rules/{rule.id}")
        await boss.post("/retention/rules/-/do/pass", {"id": str(rule.id), "reason": "自己批"})
        assert await queries.in_force(site.db) == Ages()
        await chief.post("/retention/rules/-/do/pass", {"id": str(rule.id), "reason": "同意"})
        assert await queries.in_force(site.db) == Ages(60, 30, 60)
        assert "60 天后" in await reader.get("/retention")
        done = "SELECT array_agg(action ORDER BY id) FROM audit WHERE action LIKE 'retention.%'"
        assert await site.db.fetchval(done) == ["retention.ask", "retention.decide"]


async def test_one_waits_at_a_time_and_who_asked_may_take_it_back(site: Site) -> None:
    change = by_test(site.db)
    first = await retention.ask(change, Ages(60, 0, 60), "甲方要求")
    await fails(Refused, retention.ask(change, Ages(90, 0, 90), "再改"))
    await fails(Refused, retention.decide(change, first, passes=True, answer="自批"))
    await retention.decide(change, first, passes=False, answer="撤回")
    await fails(Refused, retention.ask(change, Ages(), "没有变化"))
    await fails(Invalid, retention.ask(change, Ages(60, 0, 0), "报文留着"))
    assert await retention.ask(change, Ages(0, 8, 0), "只脱敏上行") > first


async def test_what_is_left_of_a_number(site: Site, boss: Browser) -> None:
    """It is found by the whole number, shown to nobody, sent to by nobody, and still counted."""
    (id_,) = await submitted(site, "hall", NUMBER, content="您的业务已办理")
    site.db.sealer = lambda: SEALER
    hashed = pseudonym(await pseudonyms.make_key(site.db, SEALER), f"86{NUMBER}")
    await site.db.execute("UPDATE message SET number = $1, content = ''", hashed)
    now = clock.now()
    found = await messages.search(
        site.db, accounts=None, number=f"86{NUMBER}", from_time=now - timedelta(days=1), limit=10, now=now
    )
    assert [one.id for one in found] == [id_]
    today = f"{now.astimezone(CHINA):%Y-%m-%d}"
    for path in (f"/records?time=range&from={today}&to={today}&phone=13800138000", f"/records/{id_}",
                 f"/records/{id_}/wire", "/"):  # fmt: skip
        shows(await boss.get(path), *([] if "wire" in path else ["已脱敏"]), no=hashed[1:9])
    assert f"/records/{id_}" not in await boss.get("/records?phone=13900139000")
    await site.db.execute("UPDATE message SET number = $1", "#" + "0" * 28 + "8000")
    assert f"/records/{id_}" not in await boss.get(f"/records?time=range&from={today}&to={today}&tail=8000")
    await site.db.execute("UPDATE message SET number = $1", hashed)
    asked = {"purpose": "check", "note": ""}
    shows(await boss.post(f"/records/{id_}/number", asked), "不再可知", no=hashed[1:9])
    assert "0" in await boss.post("/records/-/effect/block", {"id": str(id_)})
