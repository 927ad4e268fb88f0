"""Retention as pages: what is held, rules by two persons with their effect in numbers, and what is left of a number."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from browsing import Browser, send
from changes import by_test
from portal_site import SEALER, Site, running

from smsgw.core.actor import ScopeKind
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.pseudonyms import pseudonym
from smsgw.core.retention import Ages
from smsgw.platform.messages import queries as messages
from smsgw.platform.org import service as org
from smsgw.platform.retention import queries, service
from smsgw.runtime import clock
from smsgw.store.records import pseudonyms

NUMBER = "8613800138000"
_MASK = "UPDATE message SET number = $1, content = ''"


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        await site.add_staff("chief", "super")
        rights = [Permission.HOME_VIEW, Permission.SETTING_VIEW]
        await org.add_role(by_test(site.db), "reader", "只看", rights, ScopeKind.ALL)
        await site.add_staff("reader", "reader")
        site.db.sealer = lambda: SEALER
        yield site


def form(messages: int, inbound: int, pdus: int, **more: str) -> dict[str, str]:
    days = {"messages_days": str(messages), "inbound_days": str(inbound), "pdus_days": str(pdus), "clicks_days": "0"}
    return {**days, "texts": "1", "reason": "个人信息保护要求", **more}


async def test_a_rule_holds_when_a_second_person_has_passed_it(site: Site) -> None:
    async with Browser(site) as boss, Browser(site) as chief, Browser(site) as reader:
        await boss.login("boss")
        await chief.login("chief")
        await reader.login("reader")
        page = await reader.get("/retention")
        assert "未启用号码脱敏" in page
        assert "/retention/rules/-/new" not in page
        await reader.get("/retention/rules/-/new")
        assert reader.status == 403

        page = await boss.post("/retention/rules/-/new", form(10, 0, 0))
        assert (boss.status, "30" in page) == (422, True)
        page = await boss.post("/retention/rules/-/new", form(60, 0, 90))
        assert (boss.status, "报文原文含有号码" in page) == (422, True)
        page = await boss.post("/retention/rules/-/new", form(60, 30, 60))
        assert "短于 5 个月" in page
        await boss.post("/retention/rules/-/new", form(60, 30, 60, confirmed="1"))
        rule = await queries.waiting(site.db)
        assert rule is not None
        assert "有一项变更等待审批" in await reader.get("/retention")

        page = await boss.get(f"/retention/rules/{rule.id}")
        assert "effect/pass" not in page
        await boss.get("/retention/rules")
        await boss.post("/retention/rules/-/do/pass", {"id": str(rule.id), "reason": "自己批"})
        assert await queries.in_force(site.db) == Ages()
        await chief.get("/retention/rules")
        await chief.post("/retention/rules/-/do/pass", {"id": str(rule.id), "reason": "同意"})
        assert await queries.in_force(site.db) == Ages(60, 30, 60)
        page = await reader.get("/retention")
        assert "60 天后" in page
        rows = await site.db.fetch("SELECT action FROM audit WHERE action LIKE 'retention.%' ORDER BY id")
        said = [row["action"] for row in rows]
        assert said == ["retention.ask", "retention.decide"]


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
    found = await messages.search(
        site.db, accounts=None, number=NUMBER, from_time=now - timedelta(days=1), limit=10, now=now
    )
    assert [one.id for one in found] == [id_]
    async with Browser(site) as boss:
        await boss.login("boss")
        today = f"{now.astimezone(CHINA):%Y-%m-%d}"
        for path in (
            f"/records?time=range&from={today}&to={today}&phone=13800138000", f"/records/{id_}",
            f"/records/{id_}/wire", "/",
        ):  # fmt: skip
            page = await boss.get(path)
            assert hashed[1:9] not in page, path
            if "wire" not in path:
                assert "已脱敏" in page, path
        assert "已脱敏" in await boss.get("/records?phone=13800138000")
        assert f"/records/{id_}" not in await boss.get("/records?phone=13900139000")
        ending = "#" + "0" * 28 + "8000"
        await site.db.execute("UPDATE message SET number = $1", ending)
        assert f"/records/{id_}" not in await boss.get(f"/records?time=range&from={today}&to={today}&tail=8000")
        await site.db.execute("UPDATE message SET number = $1", hashed)
        page = await boss.post(f"/records/{id_}/number", {"purpose": "check", "note": ""})
        assert (hashed[1:9] in page, "不再可知" in page) == (False, True)
        page = await boss.post("/records/-/effect/block", {"id": str(id_)})
        assert "0" in page
