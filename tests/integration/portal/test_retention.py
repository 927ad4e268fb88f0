"""Retention as pages: what is held, rules by two persons with their effect in numbers, and what is left of a number."""

from __future__ import annotations

from datetime import timedelta

import pytest
import pytest_asyncio
from browsing import send, shows
from changes import by_test
from portal_site import SEALER, Site
from visits import actions, add_role, all_signed_in, signed_in

from smsgw.core.actor import ScopeKind
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.pseudonyms import pseudonym
from smsgw.core.retention import Ages
from smsgw.platform.messages import queries as messages
from smsgw.platform.retention import queries, service
from smsgw.runtime import clock
from smsgw.store.records import pseudonyms

NUMBER = "8613800138000"
_MASK = "UPDATE message SET number = $1, content = ''"
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await site.add_staff("chief", "super")
    await add_role(site, "reader", [Permission.SETTING_VIEW], ScopeKind.ALL, people=["reader"])
    site.db.sealer = lambda: SEALER
    return site


def form(messages: int, inbound: int, pdus: int, **more: str) -> dict[str, str]:
    days = {"messages_days": str(messages), "inbound_days": str(inbound), "pdus_days": str(pdus), "clicks_days": "0"}
    return {**days, "texts": "1", "reason": "个人信息保护要求", **more}


async def test_a_rule_holds_when_a_second_person_has_passed_it(site: Site) -> None:
    async with all_signed_in(site, "boss", "chief", "reader") as (boss, chief, reader):
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
        assert await actions(site, "retention.") == ["retention.ask", "retention.decide"]


async def test_one_waits_at_a_time_and_who_asked_may_take_it_back(site: Site) -> None:
    change = by_test(site.db)
    first = await service.ask(change, Ages(60, 0, 60), "甲方要求")
    with pytest.raises(Refused):
        await service.ask(change, Ages(90, 0, 90), "再改")
    with pytest.raises(Refused):
        await service.decide(change, first, passes=True, answer="自批")
    await service.decide(change, first, passes=False, answer="撤回")
    with pytest.raises(Refused):
        await service.ask(change, Ages(), "没有变化")
    with pytest.raises(Invalid):
        await service.ask(change, Ages(60, 0, 0), "报文留着")
    assert await service.ask(change, Ages(0, 8, 0), "只脱敏上行") > first


async def test_what_is_left_of_a_number(site: Site) -> None:
    """It is found by the whole number, shown to nobody, sent to by nobody, and still counted."""
    id_ = await send(site, to=NUMBER[2:], content="您的业务已办理")
    key = await pseudonyms.make_key(site.db, SEALER)
    hashed = pseudonym(key, NUMBER)
    await site.db.execute(_MASK, hashed)
    now = clock.now()
    found = await messages.search(site.db, accounts=None, number=NUMBER, from_time=now - timedelta(days=1), limit=10,
                                  now=now)  # fmt: skip
    assert [one.id for one in found] == [id_]
    async with signed_in(site, "boss") as boss:
        today = f"{now.astimezone(CHINA):%Y-%m-%d}"
        for path in (f"/records?time=range&from={today}&to={today}&phone=13800138000", f"/records/{id_}",
                     f"/records/{id_}/wire", "/"):  # fmt: skip
            page = await boss.get(path)
            assert hashed[1:9] not in page, path
            if "wire" not in path:
                assert "已脱敏" in page, path
        assert "已脱敏" in await boss.get("/records?phone=13800138000")
        assert f"/records/{id_}" not in await boss.get("/records?phone=13900139000")
        await site.db.execute("UPDATE message SET number = $1", "#" + "0" * 28 + "8000")
        assert f"/records/{id_}" not in await boss.get(f"/records?time=range&from={today}&to={today}&tail=8000")
        await site.db.execute("UPDATE message SET number = $1", hashed)
        page = await boss.post(f"/records/{id_}/number", {"purpose": "check", "note": ""})
        assert (hashed[1:9] in page, "不再可知" in page) == (False, True)
        assert "0" in await boss.post("/records/-/effect/block", {"id": str(id_)})
