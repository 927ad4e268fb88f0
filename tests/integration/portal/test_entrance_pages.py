"""The pages of the entrance over real HTTP: the second step, the personal centre, login security, the allow-list."""

from __future__ import annotations

import base64
import re

import pytest
from browsing import Browser, shows
from portal_site import PASSWORD, Site
from visits import acting, signed_in

from smsgw.core import totp
from smsgw.platform.login import service
from smsgw.platform.login.model import Demand, Factor
from smsgw.platform.org import service as org
from smsgw.runtime import clock

NEW_PASSWORD = "Other-Horse-8"
pytestmark = [pytest.mark.site(proven=False), pytest.mark.staff(zhang="admin")]


def code_of(page: str, later: int = 0) -> str:
    """What an app shows for the secret on a page."""
    found = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', page)
    assert found is not None, page
    return totp.code_at(base64.b32decode(found[1].replace(" ", "")), int(clock.time()) // totp.STEP + later)


async def sent_code(site: Site) -> str:
    row = await site.db.fetchrow("SELECT content FROM message ORDER BY id DESC LIMIT 1")
    found = re.search(r"[0-9]{6}", row["content"])
    return found[0]


async def test_who_must_have_an_app_binds_one_at_the_login_and_is_asked_for_it_then(site: Site) -> None:
    await service.set_person(acting(site), "zhang", Demand(frozenset({Factor.TOTP})))
    async with Browser(site) as one:
        page = await one.login("zhang")
        assert one.path == "/login/step"
        assert "绑定二次验证" in page
        await one.get("/")
        assert one.path.startswith("/login"), "the password alone opens nothing"
        await one.get("/login/step")
        bound = await one.post("/login/enrol", {"factor": "totp"})
        assert "data:image/svg+xml" in bound
        assert (await one.post("/login/enrol/confirm", {"factor": "totp", "shown": "000000"})).count("secret") > 0
        assert one.status == 422
        used = code_of(bound)
        await one.post("/login/enrol/confirm", {"factor": "totp", "shown": used})
        assert one.path == "/"
    async with signed_in(site, "zhang") as other:
        for path, form in (
            ("/login/enrol", {"factor": "totp"}), ("/login/enrol", {"factor": "sms", "phone": "13900139000"}),
            ("/login/enrol/confirm", {"factor": "totp", "shown": code_of(bound, 1)}),
            ("/login/step", {"factor": "recovery", "shown": "AAAA"}), ("/login/step", {"factor": "password"}),
        ):  # fmt: skip
            await other.post(path, form)
            assert other.path == "/login/step", path
        assert await other.status_of("/login/step/passkey", {}) == 403
        for path in ("/", "/me", "/me/security", "/password", "/security"):
            await other.get(path)
            assert other.path.startswith("/login"), path
        await other.get("/login/step")
        await other.post("/login/cancel", {})
        assert other.path == "/login"
        await other.get("/login/step")
        assert other.path == "/login?over=1"
    async with signed_in(site, "zhang") as two:
        assert two.path == "/login/step"
        assert await two.status_of("/login/step", {"factor": "totp", "shown": used}) == 401, "it was used to bind"
        assert "上次登录" in await two.post("/login/step", {"factor": "totp", "shown": code_of(bound, 1)})
        assert two.path == "/"


async def test_a_code_goes_to_the_phone_and_lets_in(site: Site) -> None:
    await service.set_policy(acting(site), {"sms_accounts": [site.accounts["hall"]], "factors": ["sms"]})
    await org.set_person(acting(site), "zhang", {"phone": "13800138000"})
    async with signed_in(site, "zhang") as one:
        page = await one.post("/login/enrol", {"factor": "sms", "phone": "13900139000"})
        assert "138****8000" in page, "the number that the administrator gave, not another"
        await one.post("/login/enrol/confirm", {"factor": "sms", "shown": await sent_code(site)})
        assert one.path == "/"
    async with Browser(site) as two:
        assert "138****8000" in await two.login("zhang")
        page = await two.post("/login/step/sms", {})
        assert re.search('data-countdown="(60|[45][0-9])"', page)
        assert await two.status_of("/login/step/sms", {}) == 429
        await two.post("/login/step", {"factor": "sms", "shown": await sent_code(site)})
        assert two.path == "/"
        shows(await two.get("/records"), "******", no=await sent_code(site))


async def test_the_personal_centre(site: Site) -> None:
    change = acting(site)
    department = await org.add_department(change, "办公室")
    await site.add_staff("wang", "operator")
    for login in ("zhang", "wang"):
        await org.set_person(change, login, {"department_id": department, "phone": "13700137000"})
    await service.set_policy(change, {"sms_accounts": [site.accounts["hall"]]})
    async with signed_in(site, "zhang") as one, signed_in(site, "zhang") as two:
        shows(await one.get("/me"), "wang", no="13700137000")
        page = await one.refusal("/me/contact", {"name": "张三丰", "email": "z@example.com", "phone": "12"})
        for typed in ("张三丰", "z@example.com", "12"):
            assert f'value="{typed}"' in page, "to be mended, not typed again"
        await one.post("/me/contact", {"name": "张三", "email": "z@example.com", "phone": "13800138000"})
        assert one.status == 200
        await one.post("/me/phone/code", {})
        assert await one.status_of("/me/phone", {"shown": "000000"}) == 422
        assert "已验证" in await one.post("/me/phone", {"shown": await sent_code(site)})
        page = await one.post("/me/app", {})
        await one.post("/me/app/confirm", {"shown": code_of(page)})
        page = await one.post("/me/recovery", {})
        assert len(re.findall(r"<li>([A-Z2-7]{4}-){3}[A-Z2-7]{4}</li>", page)) == 10
        page = await one.get("/me/security")
        assert page.count("python") + page.count("Python") >= 2, "two sessions, by their browsers"
        await one.post("/me/sessions/end", {"id": "others"})
        await two.get("/me")
        assert two.path.startswith("/login")
        foreign = await site.db.fetchval("SELECT id FROM portal_session LIMIT 1")
        async with signed_in(site, "wang") as other:
            await other.post("/me/sessions/end", {"id": str(foreign)})
        await one.get("/me")
        assert one.path == "/me", "ended by somebody else"


async def test_changes_of_ones_own_security_take_a_fresh_proof(site: Site) -> None:
    async with signed_in(site, "zhang") as one:
        await site.db.execute("UPDATE portal_session SET proven_at = now() - interval '11 minutes'")
        await one.get("/me/security")
        assert "确认身份" in await one.post("/me/app", {})
        waiting = {"proof-of": "password", "proof-next": "/me/app", "proof-by": "password", "proof-kept": "1"}
        assert await one.status_of("/proof", waiting | {"proof-shown": "Wrong-Horse-7"}) == 422
        page = await one.post("/proof", waiting | {"proof-shown": PASSWORD})
        assert one.path == "/me/app"
        assert "secret" in page
        assert "您尚未绑定" in await one.get("/proof?strong=1&next=/me")
        await one.post(
            "/proof", {"proof-next": "/me", "proof-of": "factor", "proof-by": "password", "proof-shown": PASSWORD}
        )
        assert await site.db.fetchval("SELECT factor_at FROM portal_session") is None


async def test_login_security_is_shown_and_changed(site: Site) -> None:
    await site.add_staff("sec", "secadmin")
    await site.add_staff("boss", "super")
    async with signed_in(site, "sec") as one:
        page = await one.get("/security")
        assert one.status == 200
        before = int(re.findall(r'class="score-number">(\d+)<', page)[0])
        page = await one.get("/security/login")
        wanted = {"factors": "totp", "idle_minutes": "20", "session_hours": "8", "sessions": "3", "sms_first": "",
                  "sms_spare": "", "sms_text": "验证码{code}"}  # fmt: skip
        assert await one.status_of("/security/login", wanted) == 200
        assert await one.status_of("/security/login", wanted | {"idle_minutes": "99999"}) == 422
        for what, form in (
            ("password", {"length": "12", "classes": "4", "history": "6", "days": "90"}),
            ("role", {"role": "operator", "factors": "passkey", "networks": "127.0.0.0/8"}),
        ):
            assert await one.status_of(f"/security/{what}", form) == 200, what
        after = int(re.findall(r'class="score-number">(\d+)<', await one.get("/security"))[0])
        assert after > before, "what was mended counts"
    row = await site.db.fetchrow("SELECT * FROM login_policy")
    assert (row["factors"], row["idle_minutes"], row["sessions"]) == (["totp"], 20, 3)


async def test_the_allow_list_keeps_others_out_and_not_its_editor(site: Site) -> None:
    async with signed_in(site, "sec", "secadmin") as one:
        await one.get("/security/networks")
        page = await one.refusal("/security/networks", {"networks": "198.51.100.0/24"})
        shows(page, "127.0.0.1", "198.51.100.0/24")  # what was typed is still there
        assert await one.status_of("/security/networks", {"networks": "127.0.0.0/8\n198.51.100.0/24"}) == 200
        await service.set_policy(acting(site), {"networks": ["198.51.100.0/24"]})
        assert await one.status_of("/security/networks") == 403, "at the next request"
        assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'session.elsewhere'") == 1
    async with Browser(site) as two:
        page = ""
        for _ in range(600):
            page = await two.get("/login")
            if two.status == 403:
                break
            await site.db.fetchval("SELECT pg_sleep(0.1)")
        assert two.status == 403
        shows(page, "127.0.0.1", no='name="password"')


async def test_a_policy_longer_than_ours_is_shown_and_holds(site: Site) -> None:
    await site.add_staff("li", "admin", must_change=True)
    await org.set_password_policy(acting(site), history=5, days=90, length=14, classes=4)
    async with Browser(site) as one:
        page = await one.login("li")
        assert one.path == "/password"
        assert 'data-minimum="14"' in page
        assert await one.status_of("/password", {"old": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD}) == 422
        longer = NEW_PASSWORD + "-Kettle"
        await one.post("/password", {"old": PASSWORD, "new": longer, "again": longer})
        assert one.path == "/"
