"""Dangerous addresses ask who one is, all of them; what was being done goes on after the proof, with nothing lost."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping

import aiohttp
import pytest
from browsing import Browser, shows
from portal_site import PASSWORD, Site
from portal_walk import an_address, shape
from visits import boss, submitted

from smsgw.admin import app, rights
from smsgw.admin.proving import ASKS
from smsgw.admin.rights import Proof
from smsgw.core import totp
from smsgw.runtime import clock

FACTOR = {
    # taking data away, asked for and fetched
    "GET /audit/-/export", "POST /audit/-/export", "POST /jobs/{id}/link", "GET /exported/{id}",
    "GET /roles/-/matrix", "POST /roles/-/matrix", "GET /staff/-/import", "POST /staff/-/import",
    # rights: of a role, of a person
    "GET /roles/-/new", "POST /roles/-/new", "GET /roles/{id}/edit", "POST /roles/{id}/edit", "GET /roles/{id}/copy",
    "POST /roles/{id}/copy", "POST /roles/-/effect/remove", "POST /roles/-/do/remove", "GET /staff/-/new",
    "POST /staff/-/new", "GET /staff/{id}/roles", "POST /staff/{id}/roles", "GET /users/{id}/rights",
    "POST /users/{id}/rights",
    # the way in of another person
    "GET /staff/{id}/reset", "POST /staff/{id}/reset",
}  # fmt: skip
PASSWORD_WILL_DO = {
    "GET /staff/{id}/edit", "POST /staff/{id}/edit", "POST /security/login", "POST /security/password",
    "POST /security/role", "POST /security/networks", "POST /platform/{id}/certificate",
    "POST /platform/{id}/certificate/remove", "GET /platform/{id}/{what}", "POST /platform/{id}/{what}",
    "POST /me/contact", "POST /me/phone", "POST /me/app", "POST /me/app/confirm", "POST /me/app/remove",
    "POST /me/passkey/options", "POST /me/passkey", "POST /me/passkey/remove", "POST /me/recovery",
}  # fmt: skip
__all__ = ["boss"]
pytestmark = [pytest.mark.site(proven=False), pytest.mark.staff(boss="super")]


async def grown_old(site: Site) -> None:
    """Eleven minutes later."""
    await site.db.execute("UPDATE portal_session SET proven_at = proven_at - interval '11 minutes', "
                          "factor_at = factor_at - interval '11 minutes'")  # fmt: skip


async def bound(site: Site, browser: Browser) -> bytes:
    """An app is bound; its secret."""
    page = await browser.post("/me/app", {})
    found = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', page)
    assert found is not None, page
    secret = base64.b32decode(found[1].replace(" ", ""))
    assert await browser.led_to("/me/app/confirm", {"shown": await code(site, secret)}) == "/me/security"
    return secret


async def code(site: Site, secret: bytes) -> str:
    """What the app shows, though it was used a moment ago."""
    await site.db.execute("UPDATE staff_totp SET last_step = 0")
    return totp.code_at(secret, int(clock.time()) // totp.STEP)


def hidden(page: str) -> dict[str, str]:
    """The fields that wait in the form of the proof."""
    form = page[page.index('action="/proof"') :]
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[: form.index("</form>")])
    return {name: html.unescape(value) for name, value in found}


def test_what_is_dangerous_takes_a_proof() -> None:
    found: Mapping[str, Proof | None] = {f"{r.method} {shape(r.path)}": r.proof for r in app.routes()}
    assert {name: found.get(name) for name in FACTOR} == dict.fromkeys(FACTOR, Proof.FACTOR)
    assert {name: found.get(name) for name in PASSWORD_WILL_DO} == dict.fromkeys(PASSWORD_WILL_DO, Proof.PASSWORD)


def test_no_page_can_forget_it() -> None:
    for route in app.routes():
        if route.path.endswith("/-/export"):
            assert route.proof is Proof.FACTOR, route
        if route.method == "POST" and route.action in rights.PROOFS:
            assert (route.in_service or route.proof) in (rights.PROOFS[route.action], Proof.FACTOR), route
        if route.proof is not None:
            assert route.action is not rights.PUBLIC, route
            assert not route.passive, route


async def test_every_dangerous_address_asks_and_does_nothing_before(site: Site, boss: Browser) -> None:
    await boss.get("/me")
    await grown_old(site)
    before = await site.db.fetchval("SELECT count(*) FROM audit")
    asked = [route for route in app.routes() if route.proof is not None]
    assert len(asked) >= len(FACTOR) + len(PASSWORD_WILL_DO)
    for route in asked:
        path = an_address(route.path)
        fields = {"csrf": boss.csrf, "shown": "000000"}
        send = boss.session.get if route.method == "GET" else boss.session.post
        data = aiohttp.FormData(fields, default_to_multipart=bool(route.files))
        more = {} if route.method == "GET" else {"data": data}
        async with send(path, allow_redirects=False, **more) as response:
            assert response.headers.get(ASKS) == route.proof.value, (route.method, path, response.status)
            assert response.status in (200, 303), (route.method, path)
            if route.kept and not route.files and route.method == "POST":
                assert "proof-kept" in await response.text(), path
    assert await site.db.fetchval("SELECT count(*) FROM audit") == before


async def test_a_form_goes_on_after_the_proof_with_all_its_fields(site: Site, boss: Browser) -> None:
    assert "您尚未绑定" in await boss.get("/roles/-/new")
    assert boss.path.startswith("/proof")
    secret = await bound(site, boss)
    page = await boss.get("/roles/-/new")
    assert boss.path.startswith("/proof"), "to have bound one is not to have shown it"
    page = await boss.refused("/proof", hidden(page) | {"proof-shown": "000000"})
    assert await boss.led_to("/proof", hidden(page) | {"proof-shown": await code(site, secret)}) == "/roles/-/new"
    await grown_old(site)
    fields = [("code", "teller"), ("name", "窗口 <1>"), ("scope", "own"), ("permission", "home.view"),
              ("permission", "message.view")]  # fmt: skip
    page = await boss.post("/roles/-/new", fields)
    assert "您填写的内容已保留" in page
    assert await site.db.fetchval("SELECT count(*) FROM role WHERE code = 'teller'") == 0
    assert re.findall(r'name="permission" value="([^"]+)"', page) == ["home.view", "message.view"]
    again = [pair for pair in hidden(page).items() if pair[0] != "csrf"]
    again += [("permission", "home.view"), ("proof-shown", await code(site, secret))]
    assert (await boss.led_to("/proof", again)).startswith("/roles/")
    row = await site.db.fetchrow("SELECT name, permissions FROM role WHERE code = 'teller'")
    assert (row["name"], sorted(row["permissions"])) == ("窗口 <1>", ["home.view", "message.view"])


async def test_a_download_leads_back_to_its_page(site: Site, boss: Browser) -> None:
    secret = await bound(site, boss)
    page = await boss.get("/exported/abc", headers={"Referer": f"{site.url}/jobs?kind=export"})
    assert await boss.led_to("/proof", hidden(page) | {"proof-shown": await code(site, secret)}) == "/jobs?kind=export"
    assert await boss.status_of("/exported/abc") == 404, "there is no such file, and nothing is asked any more"


async def test_a_dialog_asks_within_and_goes_on(site: Site, boss: Browser) -> None:
    dialog = {"X-Dialog": "1"}
    secret = await bound(site, boss)
    page = await boss.get("/audit/-/export?time=7d", headers=dialog)
    shows(page, "data-piece", "data-follow")
    fields = hidden(page) | {"proof-shown": await code(site, secret)}
    assert "data-piece" in await boss.post("/proof", fields, headers=dialog)
    assert boss.path == "/audit/-/export?time=7d"
    await grown_old(site)
    asked = {"q": "time=7d", "reason": "年度检查用", "format": "csv"}
    page = await boss.post("/audit/-/export", asked, headers=dialog)
    assert hidden(page)["reason"] == "年度检查用"
    await boss.post("/proof", hidden(page) | {"proof-shown": await code(site, secret)}, headers=dialog)
    assert (boss.status, boss.headers["X-Go"].startswith("/jobs/")) == (204, True)
    assert await site.db.fetchval("SELECT count(*) FROM job WHERE kind = 'export'") == 1


async def test_what_the_first_run_makes_easy_is_so_until_something_is_delivered(site: Site, boss: Browser) -> None:
    """Else a password would be enough for ever to point a channel elsewhere, or to give an account money."""
    easy = ("/setup/channel/new/cmpp30", f"/setup/channel/{site.channel_id}", "/setup/sign")
    for path in easy:
        assert await boss.led_to(path) == path, "the login was a moment ago"
    await submitted(site, "hall", "13800138000")
    await site.carrier_reports(await site.carrier_takes())
    for path in easy:
        assert re.match(r"/proof.*strong=1", await boss.led_to(path)), path
        await boss.get("/me")
        before = await site.db.fetchval("SELECT count(*) FROM audit WHERE action LIKE 'channel.%'")
        async with boss.session.post(path, data={"csrf": boss.csrf, "name": "x"}) as response:
            assert response.headers[ASKS] == Proof.FACTOR
        assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action LIKE 'channel.%'") == before


async def test_the_address_to_go_on_to_is_ours(site: Site, boss: Browser) -> None:
    await grown_old(site)
    for elsewhere in ("//evil.example/x", "https://evil.example/", "/\\evil.example"):
        for kept in ({}, {"proof-kept": "1", "name": "x"}):
            await boss.get("/proof")
            fields = {"csrf": boss.csrf, "proof-of": "password", "proof-by": "password", "proof-shown": PASSWORD,
                      "proof-next": elsewhere, **kept}  # fmt: skip
            async with boss.session.post("/proof", data=fields, allow_redirects=False) as response:
                assert response.headers["Location"] == "/"


async def test_a_piece_and_a_field_do_not_become_the_page_that_asks(site: Site, boss: Browser) -> None:
    page = {"HX-Request": "true", "HX-Current-URL": f"{site.url}/roles?name=x"}
    assert await boss.status_of("/roles/-/new", headers=page) == 401
    assert boss.headers["HX-Redirect"] == "/proof?next=%2Froles%3Fname%3Dx&strong=1"
    await boss.get("/me")
    assert await boss.status_of("/roles/-/new", {"check": "code", "code": "X"}, headers={"X-Dialog": "1"}) == 401
