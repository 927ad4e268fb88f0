"""The entrance in a real browser: a code by SMS, an authenticator app, a passkey of a virtual authenticator."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from ipaddress import ip_network
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from portal_site import PASSWORD, Site
from portal_walk import open_to_all
from windows import DESKTOP, PHONE, fits, logs_in, opened

from smsgw.core import totp
from smsgw.core.actor import Actor
from smsgw.platform.change import Change
from smsgw.platform.login import service
from smsgw.platform.login.model import Demand, Factor
from smsgw.platform.org import service as org
from smsgw.runtime import clock

pytestmark = pytest.mark.staff(boss="super", li="operator")


@pytest_asyncio.fixture(loop_scope="module")
async def site(site: Site) -> Site:
    site.url = site.url.replace("127.0.0.1", "localhost")  # a passkey belongs to a name
    return site


def machine(site: Site) -> Change:
    return Change(site.db, Actor.operator("root"), ids=site.ids.next)


async def virtual_authenticator(page: Page) -> Any:
    """A device of the browser that makes passkeys and verifies its person."""
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    await session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session


async def code_shown(page: Page, later: int = 0) -> str:
    secret = (await page.locator("code.secret").inner_text()).replace(" ", "")
    return totp.code_at(base64.b32decode(secret), int(clock.time()) // totp.STEP + later)


async def test_a_passkey_is_made_at_the_login_and_opens_the_next_one(chromium: Browser, site: Site) -> None:
    await service.set_person(machine(site), "boss", Demand(frozenset({Factor.PASSKEY, Factor.TOTP})))
    async with opened(chromium, site, DESKTOP) as page:
        await virtual_authenticator(page)
        await logs_in(page)
        await expect(page.locator("h1")).to_have_text("绑定二次验证")
        await open_to_all(page, "enrol")
        await page.click("form[data-passkey=create] button[type=submit]")
        await page.wait_for_url("**/")
        await page.click(".person summary")
        await page.click("text=退出登录")
        await page.wait_for_url("**/login")
        await logs_in(page)
        await open_to_all(page, "passkey")
        await page.click("form[data-passkey=get] button[type=submit]")
        await page.wait_for_url("**/")
        await page.goto("/me/security")
        await expect(page.locator("body")).to_contain_text("我的设备")
        await open_to_all(page, "security")
        await site.db.execute("UPDATE portal_session SET proven_at = now() - interval '1 hour'")
        await page.click("text=生成新的恢复码")
        await expect(page.locator("h1")).to_have_text("确认身份")
        await open_to_all(page, "proof")
        await page.click("form[data-passkey=get] button[type=submit]")  # and what was asked for goes on by itself
        await expect(page.locator(".codes li")).to_have_count(10)
        await open_to_all(page, "codes")


async def test_an_app_is_bound_in_the_personal_centre_and_asked_for(chromium: Browser, site: Site) -> None:
    async with opened(chromium, site, PHONE, allowed="401|429") as page:
        await logs_in(page)
        await page.goto("/me/security")
        await fits(page)
        await open_to_all(page, "security-phone")
        await page.click("text=绑定动态口令")
        await open_to_all(page, "app-phone")
        await fits(page)
        first, then = await code_shown(page), await code_shown(page, 1)
        await page.fill("#shown", first)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/me/security")
        await page.context.clear_cookies()
        await logs_in(page)
        await fits(page)
        await open_to_all(page, "step-phone")
        await page.fill("#shown", first)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("验证未通过")
        await open_to_all(page, "totp-phone")
        await page.fill("#shown", then)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/")


async def test_a_code_comes_by_sms_with_a_countdown(chromium: Browser, site: Site) -> None:
    await service.set_policy(machine(site), {"sms_accounts": [site.accounts["hall"]]})
    await service.set_person(machine(site), "li", Demand(frozenset({Factor.SMS})))
    await org.set_person(machine(site), "li", {"phone": "13800138000"})
    await site.db.execute("UPDATE staff SET phone_verified_at = now()")
    async with opened(chromium, site, DESKTOP) as page:
        await logs_in(page, "li")
        await expect(page.locator("body")).to_contain_text("138****8000")
        await open_to_all(page, "sms-before")
        await page.click("text=获取验证码")
        button = page.locator("button[data-countdown]")
        await expect(button).to_be_disabled()
        await expect(button).to_contain_text("(")
        await open_to_all(page, "sms")
        taken = await site.carrier_takes()
        row = await site.db.fetchrow("SELECT content FROM message WHERE id = $1", taken[0][0])
        assert row is not None
        found = re.search(r"[0-9]{6}", row["content"])
        assert found is not None
        await page.fill("#shown", found[0])
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/")


@pytest.mark.shard("core")
async def test_login_security_and_the_allow_list(chromium: Browser, site: Site) -> None:
    for size, name in ((DESKTOP, "desktop"), (PHONE, "phone")):
        async with opened(chromium, site, size, "boss", allowed="422") as page:
            for path, label in (
                ("/security", "check"), ("/security/login", "policy"), ("/security/networks", "networks"),
                ("/me", "me"),
            ):  # fmt: skip
                await page.goto(path)
                await fits(page)
                await open_to_all(page, f"{label}-{name}")
            await page.goto("/security/networks")
            await page.fill("#networks", "198.51.100.0/24")
            await page.click("form[action='/security/networks'] button[type=submit]")
            await expect(page.get_by_role("alert")).to_contain_text("无法登录")
            await open_to_all(page, f"locked-out-{name}")


INSIDE, OUTSIDE = "10.1.2.3", "203.0.113.9"
"""Two places; the proxy in front of the portal says from which a browser comes."""


PLACED = pytest.mark.site(trusted_proxies=[ip_network("127.0.0.1/32")])
"""The portal behind a proxy."""


async def comes_from(page: Page, address: str) -> None:
    await page.context.set_extra_http_headers({"X-Forwarded-For": address})


async def tries(page: Page, login: str, password: str) -> float:
    """Fill in the form and send it; seconds until the answer."""
    await page.goto("/login")
    await page.fill("#login", login)
    await page.fill("#password", password)
    began = time.monotonic()
    async with page.expect_response(lambda r: r.url.endswith("/login") and r.request.method == "POST"):
        await page.click("form.entry-form button[type=submit]")
    took = time.monotonic() - began
    await page.wait_for_load_state()
    return took


@PLACED
async def test_a_person_bound_to_addresses_comes_from_there_alone(chromium: Browser, site: Site) -> None:
    li = await site.db.fetchval("SELECT id FROM staff WHERE login = 'li'")
    async with opened(chromium, site, DESKTOP) as boss, opened(chromium, site, DESKTOP, allowed="403") as page:
        await comes_from(boss, INSIDE)
        await logs_in(boss)
        await boss.goto(f"/staff/{li}/security")
        await boss.click("a[href$='/security/demand']")
        await boss.fill("#networks", "10.1.0.0/16")
        await boss.click(".kit-form button[type=submit]")
        if await boss.locator("input[name=confirmed]").count():
            await boss.click(".form-buttons button")
        await expect(boss.locator("main")).to_contain_text("10.1.0.0/16")
        await comes_from(page, OUTSIDE)
        await tries(page, "li", PASSWORD)
        await expect(page.get_by_role("alert")).to_contain_text(OUTSIDE)
        await open_to_all(page, "refused")
        await comes_from(page, INSIDE)
        await tries(page, "li", PASSWORD)
        await expect(page.locator("h1")).to_have_text("工作台")
        await comes_from(page, OUTSIDE)  # with a session that was stolen there
        await page.goto("/records")
        await expect(page.locator("main")).to_contain_text(OUTSIDE)
        await open_to_all(page, "bound")


@pytest.mark.usefixtures("hurried", "standing")
@PLACED
async def test_who_guesses_waits_and_the_person_gets_in_from_elsewhere(chromium: Browser, site: Site) -> None:
    async with opened(chromium, site, DESKTOP, allowed="401|429") as page, opened(chromium, site, DESKTOP) as own:
        await comes_from(page, OUTSIDE)
        for n in range(6):
            await tries(page, "li", f"wrong-{n}")
        await tries(page, "li", PASSWORD)
        await expect(page.get_by_role("alert")).to_contain_text(re.compile("请 [0-9]+ 秒后再试"))
        await open_to_all(page, "waits")
        await comes_from(own, INSIDE)
        await tries(own, "li", PASSWORD)
        await expect(own.locator("h1")).to_have_text("工作台")


@pytest.mark.shard("alone")
@pytest.mark.usefixtures("hurried")
@PLACED
async def test_a_wrong_person_and_a_wrong_password_look_and_take_the_same(chromium: Browser, site: Site) -> None:
    seen: dict[str, set[str]] = {"li": set(), "no": set()}
    took: dict[str, list[float]] = {"li": [], "no": []}
    async with opened(chromium, site, DESKTOP, allowed="401") as page:
        for n in range(6):
            for login in ("li", "no"):
                await comes_from(page, f"198.51.{n}.{len(login) + (login == 'no')}")
                took[login].append(await tries(page, login, "Wrong-Horse-8"))
                await expect(page.get_by_role("alert")).to_have_count(1)
                text = await page.locator("main").inner_html()
                seen[login].add(re.sub(rf'value="(?:{login}|[A-Za-z0-9_=-]{{40,}})"', "", text))
    assert len(seen["li"]) == 1
    assert seen["li"] == seen["no"]
    known, unknown = min(took["li"]), min(took["no"])
    assert abs(known - unknown) < 0.5 * max(known, unknown), (known, unknown)


async def test_an_export_asks_in_its_dialog_and_goes_on_there(chromium: Browser, site: Site) -> None:
    async with opened(chromium, site, DESKTOP, "boss") as page:
        await page.goto("/me/security")
        await page.click("text=绑定动态口令")
        await page.fill("#shown", await code_shown(page))
        secret = (await page.locator("code.secret").inner_text()).replace(" ", "")
        await page.click("main form[action='/me/app/confirm'] button[type=submit]")
        await page.wait_for_url("**/me/security")
        await site.db.execute("UPDATE portal_session SET factor_at = NULL")
        await site.db.execute("UPDATE staff_totp SET last_step = 0")
        await page.goto("/audit?time=7d")
        await page.click("a[data-ask]:has-text('导出')")
        await expect(page.locator("#ask h2")).to_have_text("确认身份")
        await open_to_all(page, "proof-dialog")
        code = totp.code_at(base64.b32decode(secret), int(clock.time()) // totp.STEP)
        await page.fill("#ask #proof-shown", code)
        await page.click("#ask .btn-primary")
        await expect(page.locator("#ask #reason")).to_be_visible()
        await open_to_all(page, "export-dialog")
        await page.fill("#ask #reason", "浏览器检查")
        await page.click("#ask .btn-primary")
        await page.wait_for_url("**/jobs/*")


@PLACED
async def test_the_allow_list_keeps_others_from_the_login_page(chromium: Browser, site: Site) -> None:
    async with opened(chromium, site, DESKTOP) as boss, opened(chromium, site, DESKTOP, allowed="403") as page:
        await comes_from(boss, INSIDE)
        await comes_from(page, OUTSIDE)
        await logs_in(boss)
        await boss.goto("/security/networks")
        await boss.fill("#networks", "10.1.0.0/16")
        await boss.click(".card-footer button[type=submit]")
        await expect(boss.locator(".card-title")).to_contain_text("已启用")
        async with asyncio.timeout(30):  # the list in force is read again when the change is heard of
            await page.goto("/login")
            while await page.locator("#login").count():
                await page.goto("/login")
        await expect(page.locator("main")).to_contain_text(OUTSIDE)
        await open_to_all(page, "refused-network")
        await boss.goto("/security/networks")
        await boss.fill("#networks", "")
        await boss.click(".card-footer button[type=submit]")
        await expect(boss.locator(".card-title")).to_contain_text("未启用")
        for _ in range(50):  # the list is looked at every two seconds
            await page.goto("/login")
            if await page.locator("#login").count():
                break
            await page.wait_for_timeout(200)
        await expect(page.locator("#login")).to_be_visible()
