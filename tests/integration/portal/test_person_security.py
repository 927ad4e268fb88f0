"""A person's way in as administrators see it: what is demanded, what is bound, sessions, help; and all sessions."""

from __future__ import annotations

import re

import pytest
from browsing import Browser
from portal_site import PASSWORD, Site

from smsgw.core.actor import Actor, ScopeKind
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.login import queries as login_queries
from smsgw.platform.org import factors, queries
from smsgw.platform.org import service as org

P = Permission
EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36 Edg/120.0.2210.91"


pytestmark = pytest.mark.staff(boss="super")


async def id_of(site: Site, login: str) -> int:
    return int(await site.db.fetchval("SELECT id FROM staff WHERE login = $1", login))


async def test_a_person_is_bound_to_addresses_and_is_refused_from_elsewhere_at_once(site: Site) -> None:
    await site.add_staff("zhang", "operator", "hall")
    page = f"/staff/{await id_of(site, 'zhang')}/security"
    async with Browser(site) as boss, Browser(site) as zhang:
        await zhang.login("zhang")
        await boss.login("boss")
        assert "未绑定" in await boss.get(page)
        await boss.get(page + "/demand")
        wrong = await boss.post(page + "/demand", {"networks": "10.1.2.300"})
        assert boss.status == 422
        assert "10.1.2.300" in wrong, "what was typed stays"
        told = await boss.post(page + "/demand", {"networks": "10.1.0.0/16\n10.9.9.9"})
        assert "2 个地址或网段" in told
        assert "1 个会话中 1 个不在其中" in told
        shown = await boss.post(page + "/demand", {"networks": "10.1.0.0/16\n10.9.9.9", "confirmed": "1"})
        assert boss.path == page
        assert "10.1.0.0/16" in shown
        refused = await zhang.get("/")
        assert zhang.status == 403
        assert "来源 IP 127.0.0.1 不在白名单" in refused
        assert "只允许从指定的网络地址访问" in refused
        assert "您的角色不能" not in refused
        await boss.get(page + "/demand")
        await boss.post(page + "/demand", {"networks": "127.0.0.0/8\n::1", "factors": "totp", "confirmed": "1"})
        await zhang.get("/")
        assert zhang.status == 200
        demand = await login_queries.of_person(site.db, await id_of(site, "zhang"))
        assert demand.factors == {"totp"}
    entry = await site.db.fetchrow("SELECT before, after FROM audit WHERE action = 'login.person' ORDER BY id LIMIT 1")
    assert entry is not None
    assert "10.1.0.0/16" in str(entry["after"])


async def test_nobody_binds_resets_or_helps_themselves(site: Site) -> None:
    page = f"/staff/{await id_of(site, 'boss')}/security"
    async with Browser(site) as boss:
        await boss.login("boss")
        shown = await boss.get(page)
        assert "这是您自己的账号" in shown
        assert page + "/demand" not in shown
        for below in ("demand", "reset", "code"):
            await boss.get(f"{page}/{below}")
            assert boss.status == 404, below
            await boss.post(f"{page}/{below}", {"networks": "10.0.0.1", "confirmed": "1"})
            assert boss.status == 404, below
        await boss.get(page)
        await boss.post(page + "/end", {"session": "all"})
        assert boss.status == 404
        await boss.get("/")
        assert boss.path == "/"


async def test_factors_are_shown_and_reset_and_a_code_is_given_once(site: Site) -> None:
    zhang = await site.add_staff("zhang", "operator", "hall")
    await org.set_person(Change(site.db, Actor.operator("root")), "zhang", {"phone": "13800138000"})
    await site.db.execute("UPDATE staff SET phone_verified_at = now() WHERE id = $1", zhang)
    person = await queries.person(site.db, "zhang")
    assert person is not None
    await factors.make_recovery_codes(Change(site.db, person.actor()))
    page = f"/staff/{zhang}/security"
    async with Browser(site) as boss, Browser(site) as one:
        await one.login("zhang")
        await boss.login("boss")
        shown = await boss.get(page)
        assert "138****8000" in shown
        assert "13800138000" not in shown
        assert "剩余 10 个" in shown
        await boss.get(page + "/code")
        shown = await boss.post(page + "/code", {"confirmed": "1"})
        code = re.search(r'class="one-time">([A-Z2-7-]{19})<', shown)
        assert code is not None
        assert await factors.use_recovery_code(site.db, zhang, code[1])
        assert "恢复码 10 个、已验证号码 1 个；1 个会话立即结束" in await boss.get(page + "/reset")
        shown = await boss.post(page + "/reset", {"confirmed": "1"})
        assert "剩余 0 个" in shown
        await one.get("/")
        assert one.path.startswith("/login")
    assert (await factors.factors(site.db, zhang)).phone is False


async def test_sessions_of_a_person_are_told_by_device_and_ended(site: Site) -> None:
    zhang = await site.add_staff("zhang", "operator", "hall")
    page = f"/staff/{zhang}/security"
    async with Browser(site) as boss, Browser(site) as one, Browser(site) as two:
        one.session.headers["User-Agent"] = EDGE
        await one.login("zhang")
        await two.login("zhang")
        await boss.login("boss")
        shown = await boss.get(page)
        assert "Edge 120 · Windows 10/11" in shown
        mine = await site.db.fetchval("SELECT id FROM portal_session WHERE staff_id <> $1", zhang)
        await boss.post(page + "/end", {"session": str(mine)})
        assert boss.status == 404, "a session of somebody else"
        await boss.get(page)
        first = (await queries.sessions(site.db, "zhang"))[-1]
        await boss.post(page + "/end", {"session": str(first.id)})
        await one.get("/")
        assert one.path.startswith("/login")
        await two.get("/")
        assert two.path == "/"
        await boss.post(page + "/end", {"session": "all"})
        await two.get("/")
        assert two.path.startswith("/login")
        await boss.get(page)
        told = await boss.post("/staff/-/effect/stop", {"id": str(zhang), "to": page})
        assert page in told
        shown = await boss.post("/staff/-/do/stop", {"id": str(zhang), "to": page})
        assert boss.path == page
        assert "已停用" in shown


async def test_another_departments_person_is_not_there(site: Site) -> None:
    change = Change(site.db, Actor.operator("root"))
    own, other = await org.add_department(change, "一科"), await org.add_department(change, "二科")
    rights = {P.HOME_VIEW, P.PERSON_VIEW, P.PERSON_EDIT, P.PERSON_RESET, P.PERSON_STOP, P.SECURITY_VIEW}
    await org.add_role(change, "chief", "科长", rights, ScopeKind.BELOW)
    await org.add_role(change, "looker", "查看", {P.HOME_VIEW, P.PERSON_VIEW}, ScopeKind.ALL)
    for login, role, place in (("chief", "chief", own), ("stranger", "operator", other)):
        await site.add_staff(login, role)
        await org.set_person(change, login, {"department_id": place})
    await site.add_staff("looker", "looker")
    page = f"/staff/{await id_of(site, 'stranger')}/security"
    async with Browser(site) as chief, Browser(site) as stranger, Browser(site) as looker:
        await stranger.login("stranger")
        await chief.login("chief")
        await looker.login("looker")
        await chief.get(page)
        assert chief.status == 404
        await chief.get("/me")
        for path, fields in (
            ("/demand", {"networks": "10.0.0.1", "confirmed": "1"}), ("/reset", {"confirmed": "1"}),
            ("/code", {"confirmed": "1"}), ("/end", {"session": "all"}),
        ):  # fmt: skip
            await chief.post(page + path, fields)
            assert chief.status == 404, path
            await chief.get("/me")
        shown = await chief.get("/sessions")
        assert "chief" in shown
        assert "stranger" not in shown
        shown = await looker.get(page)
        assert looker.status == 200
        assert "/demand" not in shown
        assert "<form method=\"post\" action=\"/staff" not in shown
        await looker.post(page + "/end", {"session": "all"})
        assert looker.status == 404
        await looker.get("/me")
        await looker.post(page + "/demand", {"networks": "10.0.0.1", "confirmed": "1"})
        assert looker.status == 404
        await stranger.get("/")
        assert stranger.path == "/"


async def test_the_security_administrator_finds_sessions_and_ends_them(site: Site) -> None:
    await site.add_staff("sec", "secadmin")
    await site.add_staff("zhang", "admin")
    async with Browser(site) as sec, Browser(site) as zhang, Browser(site) as boss:
        zhang.session.headers["User-Agent"] = EDGE
        await zhang.login("zhang")
        await boss.login("boss")
        await sec.login("sec")
        await sec.post("/proof", {"proof-of": "password", "proof-by": "password", "proof-shown": PASSWORD})
        shown = await sec.get("/sessions")
        assert "Edge 120 · Windows 10/11" in shown
        assert all(login in shown for login in ("zhang", "boss", "sec"))
        for query, there in (
            ("person=zha", True), ("agent=edg%2F", True), ("address=127.0.0.0%2F8", True),
            ("address=10.0.0.0%2F8", False),
            ("created_at_from=2001-01-01&created_at_to=2001-01-02", False), ("person=nobody", False),
        ):  # fmt: skip
            page = await sec.get(f"/sessions?{query}")
            assert ("Edge 120" in page) is there, query
        await sec.get("/sessions")
        ids = [s.id for login in ("zhang", "boss") for s in await queries.sessions(site.db, login)]
        fields = [("csrf", sec.csrf), *(("id", str(id_)) for id_ in ids)]
        async with sec.session.post("/sessions/-/effect/end", data=fields) as response:
            told = await sec._read(response)
        assert "2 人的 2 个会话" in told
        fields = [("csrf", sec.csrf), *(("id", str(id_)) for id_ in ids)]
        async with sec.session.post("/sessions/-/do/end", data=fields) as response:
            told = await sec._read(response)
        assert "已处理 2 条" in told
        for other in (zhang, boss):
            await other.get("/")
            assert other.path.startswith("/login")
        assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'session.end'") == 2
