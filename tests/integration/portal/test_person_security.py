"""A person's way in as administrators see it: what is demanded, what is bound, sessions, help; and all sessions."""

from __future__ import annotations

import re

import pytest
from browsing import Browser, shows
from portal_site import PASSWORD, Site
from visits import acting, all_signed_in, signed_in

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
    async with all_signed_in(site, "boss", "zhang") as (boss, zhang):
        assert "未绑定" in await boss.get(page)
        assert "10.1.2.300" in await boss.refused(page + "/demand", {"networks": "10.1.2.300"}), "what was typed stays"
        told = await boss.post(page + "/demand", {"networks": "10.1.0.0/16\n10.9.9.9"})
        shows(told, "2 个地址或网段", "1 个会话中 1 个不在其中")
        shown = await boss.post(page + "/demand", {"networks": "10.1.0.0/16\n10.9.9.9", "confirmed": "1"})
        assert boss.path == page
        assert "10.1.0.0/16" in shown
        refused = await zhang.get("/")
        assert zhang.status == 403
        shows(refused, "来源 IP 127.0.0.1 不在白名单", "只允许从指定的网络地址访问", no="您的角色不能")
        await boss.post(page + "/demand", {"networks": "127.0.0.0/8\n::1", "factors": "totp", "confirmed": "1"})
        assert await zhang.status_of("/") == 200
        assert (await login_queries.of_person(site.db, await id_of(site, "zhang"))).factors == {"totp"}
    entry = await site.db.fetchrow("SELECT before, after FROM audit WHERE action = 'login.person' ORDER BY id LIMIT 1")
    assert "10.1.0.0/16" in str(entry["after"])


async def test_nobody_binds_resets_or_helps_themselves(site: Site) -> None:
    page = f"/staff/{await id_of(site, 'boss')}/security"
    async with signed_in(site, "boss") as boss:
        shown = await boss.get(page)
        assert "这是您自己的账号" in shown
        assert page + "/demand" not in shown
        for below in ("demand", "reset", "code"):
            assert await boss.status_of(f"{page}/{below}") == 404, below
            assert await boss.status_of(f"{page}/{below}", {"networks": "10.0.0.1", "confirmed": "1"}) == 404, below
        assert await boss.status_of(page + "/end", {"session": "all"}) == 404
        assert await boss.led_to("/") == "/"


async def test_factors_are_shown_and_reset_and_a_code_is_given_once(site: Site) -> None:
    zhang = await site.add_staff("zhang", "operator", "hall")
    await org.set_person(acting(site), "zhang", {"phone": "13800138000"})
    await site.db.execute("UPDATE staff SET phone_verified_at = now() WHERE id = $1", zhang)
    person = await queries.person(site.db, "zhang")
    await factors.make_recovery_codes(Change(site.db, person.actor()))
    page = f"/staff/{zhang}/security"
    async with all_signed_in(site, "boss", "zhang") as (boss, one):
        shows(await boss.get(page), "138****8000", "剩余 10 个", no="13800138000")
        shown = await boss.post(page + "/code", {"confirmed": "1"})
        code = re.search(r'class="one-time">([A-Z2-7-]{19})<', shown)
        assert await factors.use_recovery_code(site.db, zhang, code[1])
        assert "恢复码 10 个、已验证号码 1 个；1 个会话立即结束" in await boss.get(page + "/reset")
        assert "剩余 0 个" in await boss.post(page + "/reset", {"confirmed": "1"})
        assert (await one.led_to("/")).startswith("/login")
    assert (await factors.factors(site.db, zhang)).phone is False


async def test_sessions_of_a_person_are_told_by_device_and_ended(site: Site) -> None:
    zhang = await site.add_staff("zhang", "operator", "hall")
    page = f"/staff/{zhang}/security"
    async with Browser(site) as boss, Browser(site) as one, Browser(site) as two:
        one.session.headers["User-Agent"] = EDGE
        await one.login("zhang")
        await two.login("zhang")
        await boss.login("boss")
        assert "Edge 120 · Windows 10/11" in await boss.get(page)
        mine = await site.db.fetchval("SELECT id FROM portal_session WHERE staff_id <> $1", zhang)
        assert await boss.status_of(page + "/end", {"session": str(mine)}) == 404, "a session of somebody else"
        first = (await queries.sessions(site.db, "zhang"))[-1]
        await boss.post(page + "/end", {"session": str(first.id)})
        assert (await one.led_to("/")).startswith("/login")
        assert await two.led_to("/") == "/"
        await boss.post(page + "/end", {"session": "all"})
        assert (await two.led_to("/")).startswith("/login")
        assert page in await boss.post("/staff/-/effect/stop", {"id": str(zhang), "to": page})
        shown = await boss.post("/staff/-/do/stop", {"id": str(zhang), "to": page})
        assert boss.path == page
        assert "已停用" in shown


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
            assert ("Edge 120" in await sec.get(f"/sessions?{query}")) is there, query
        await sec.get("/sessions")
        ids = [s.id for login in ("zhang", "boss") for s in await queries.sessions(site.db, login)]
        chosen = [("id", str(id_)) for id_ in ids]
        assert "2 人的 2 个会话" in await sec.post("/sessions/-/effect/end", chosen)
        assert "已处理 2 条" in await sec.post("/sessions/-/do/end", chosen)
        for other in (zhang, boss):
            assert (await other.led_to("/")).startswith("/login")
        assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'session.end'") == 2
