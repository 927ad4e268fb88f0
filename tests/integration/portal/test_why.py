"""Why a number gets nothing, as a page: what blocks it, lifting with a reason, and requests to carriers."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import pytest_asyncio
from browsing import send, shows
from portal_site import Site
from visits import acting, actions, add_role, all_signed_in, signed_in

from smsgw.core.actor import ScopeKind
from smsgw.core.blocklist import CARRIER, MANUAL, Scope
from smsgw.core.number_state import NumberState
from smsgw.core.permissions import Permission
from smsgw.core.policy import PolicySet
from smsgw.core.states import PartState
from smsgw.platform.lists import consents, service
from smsgw.platform.numbers import service as numbers
from smsgw.platform.org import service as org
from smsgw.runtime import clock

NUMBER = "8613800138000"
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await add_role(site, "clerk", [Permission.BLOCK_VIEW, Permission.BLOCK_EDIT], people={"hall-op": "hall"})
    return site


async def test_every_list_is_asked_and_lifting_takes_a_reason_and_the_right(site: Site) -> None:
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    for scope, reason in ((Scope(), "平台"), (Scope(hall), "大厅要求"), (Scope(clinic), "别家的事")):
        await service.block(acting(site), [NUMBER], scope, MANUAL, reason)
    await numbers.learn(acting(site), {NUMBER: NumberState.EMPTY}, clock.now())
    async with all_signed_in(site, "boss", "hall-op") as (boss, clerk):
        page = await boss.get(f"/blocked/why?number=13800138000&account={hall}")
        assert "138****8000" in page
        assert page.count("在黑名单中：") == 3
        assert "空号，依据：号码检测" in page
        assert len(re.findall(r'href="/blocked/\d+/lift"', page)) == 3
        form = {"lift": "forget", "number": "13800138000", "account": str(hall)}
        await boss.post("/blocked/why", form)
        assert await site.db.fetchval("SELECT removed_at IS NULL FROM number_status"), "no reason, no lifting"
        assert "平台没有该号码的状态记录" in await boss.post("/blocked/why", form | {"reason": "号码已重新启用"})
        await boss.post("/blocked/why", form | {"lift": "exempt", "reason": "值班电话"})
        assert await site.db.fetchval("SELECT note FROM allow_list WHERE account_id = $1", hall) == "值班电话"
        said = await site.db.fetchval("SELECT after FROM audit WHERE action = 'number_status.remove'")
        assert "号码已重新启用" in said

        await boss.post("/language", {"language": "en", "next": "/"})
        assert "2 rules block it" in await boss.get(f"/blocked/why?number=13800138000&account={clinic}")
        await service.block(acting(site), ["8613900139000"], Scope(), MANUAL, "平台")
        assert "1 rule blocks it" in await boss.get("/blocked/why?number=13900139000")

        page = await clerk.get(f"/blocked/why?number=13800138000&account={hall}")
        shows(page, "大厅要求", no="别家的事")
        assert "在平台级黑名单中（来源：人工添加）" in page, "that it is, and not why"
        assert len(re.findall(r'href="/blocked/\d+/lift"', page)) == 1
        assert 'value="exempt"' not in page
        assert await clerk.status_of("/blocked/why", form | {"lift": "exempt", "reason": "值班电话"}) == 403
        await numbers.learn(acting(site), {NUMBER: NumberState.EMPTY}, clock.now())
        rights = [Permission.HOME_VIEW, Permission.BLOCK_VIEW, Permission.NUMBER_EDIT]
        await org.add_role(acting(site), "numbers", "号码", rights, ScopeKind.ACCOUNTS)
        await site.add_staff("hall-numbers", "numbers", "hall")
        async with signed_in(site, "hall-numbers") as scoped:
            assert 'value="forget"' not in await scoped.get(f"/blocked/why?number=13800138000&account={hall}")
            await scoped.post("/blocked/why", form | {"reason": "号码已重新启用"})
            assert await site.db.fetchval("SELECT removed_at IS NULL FROM number_status"), "it is all accounts' state"
        assert await clerk.status_of(f"/blocked/why?number=13800138000&account={clinic}") == 422


async def test_a_carrier_is_asked_and_what_it_lifts_is_lifted_here(site: Site) -> None:
    await send(site)
    await site.carrier_reports(await site.carrier_takes(), PartState.UNDELIVERABLE, "MB:1077", "BLACKLIST_CARRIER")
    await service.block(acting(site), [NUMBER], Scope(), CARRIER, "MB:1077")
    async with signed_in(site, "boss") as boss:
        shows(await boss.get("/blocked/why?number=13800138000"), "运营商黑名单拦截：", "MB:1077")
        page = await boss.post("/blocked/why", {"lift": "carrier", "number": "13800138000", "reason": "本人来电"})
        assert "已向运营商申请解除：已申请" in page
        assert "申请运营商解除" not in page, "one at a time"
        page = await boss.get("/lifts")
        (id_,) = set(re.findall(r'href="/lifts/(\d+)"', page))
        letter = await boss.get(f"/lifts/-/letter/{id_}")
        assert NUMBER in letter
        assert "本人来电" in letter
        page = await boss.post("/lifts/-/do/lifted", {"id": id_, "reason": "已解除"})
        assert await state(site) == "asked", "it was not sent yet"
        await boss.post("/lifts/-/do/sent", {"id": id_, "reason": "已发函"})
        await boss.post("/lifts/-/do/lifted", {"id": id_, "reason": "客户经理回复已解除"})
        assert await state(site) == "lifted"
        assert await site.db.fetchval("SELECT removed_at IS NOT NULL FROM block_list")
    assert await actions(site, "lift.") == ["lift.ask", "lift.letter", "lift.move", "lift.move"]


async def test_a_missing_consent_is_told_and_leads_to_the_ledger(site: Site) -> None:
    hall = site.accounts["hall"]
    site.snapshots.change(policies=PolicySet({(hall, "marketing"): {"consent": "marketing"}}))
    async with signed_in(site, "boss") as boss:
        path = f"/blocked/why?number=13800138000&account={hall}&type=marketing"
        shows(await boss.get(path), "台账中没有该号码的同意记录", 'href="/consents/-/new"', no="没有名单或规则拦截")
        at = clock.now() - timedelta(days=1)
        await consents.give(acting(site), hall, [NUMBER], consents.Given(consents.Source.WEB, "", "file 7", at))
        assert "已同意接收营销短信（" in await boss.get(path)
        await consents.withdraw(acting(site), await site.db.fetchval("SELECT id FROM consent"), "本人来电")
        assert "该号码的同意已于 " in await boss.get(path)


async def state(site: Site) -> str:
    found: str = await site.db.fetchval("SELECT state FROM carrier_lift")
    return found
