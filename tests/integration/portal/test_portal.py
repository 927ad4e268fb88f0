"""The portal over real HTTP on a real database: login, rights, sending, records, trace, errors."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from browsing import Browser, lacks, send, shows
from databases import change
from portal_site import PASSWORD, Site, running
from portal_walk import an_address
from structlog.testing import capture_logs
from visits import signed_in, submitted

from smsgw.admin import app, rights
from smsgw.admin.pages.records import trace
from smsgw.admin.security import CONTENT_SECURITY_POLICY
from smsgw.core.states import PartState
from smsgw.runtime import clock
from smsgw.store.records import alarms, audit, audit_chain

pytestmark = pytest.mark.staff(admin="admin")

NEW_PASSWORD = "Other-Horse-8"


@pytest_asyncio.fixture
async def admin(site: Site) -> AsyncIterator[Browser]:
    async with signed_in(site, "admin") as person:
        yield person


async def test_login_leads_to_where_one_wanted_to_go_and_logout_ends_it(site: Site) -> None:
    async with Browser(site) as browser:
        await browser.get("/records?time=7d")
        assert parse_qs(urlsplit(browser.path).query) == {"next": ["/records?time=7d"]}
        page = await browser.login("admin", onward="/records?time=7d")
        assert browser.path == "/records?time=7d"
        assert "发送记录" in page
        token = browser.cookies["smsgw"]
        await browser.post("/logout", {}, follow=False)
        assert browser.headers["Location"] == "/login"
        assert browser.headers["Clear-Site-Data"] == '"cache", "storage"'  # not cookies: one's device stays known
        browser.session.cookie_jar.update_cookies({"smsgw": token})
        assert await browser.led_to("/") == "/login"  # the old cookie is worth nothing


async def test_the_database_holds_only_the_hash_of_the_session(site: Site, admin: Browser) -> None:
    cookie = next(c for c in admin.session.cookie_jar if c.key == "smsgw")
    assert (cookie["httponly"], cookie["samesite"], len(cookie.value) >= 43) == (True, "Strict", True)
    stored = await site.db.fetchrow("SELECT * FROM portal_session")
    assert len(stored["token_sha256"]) == 32
    assert cookie.value not in repr(dict(stored))


async def test_with_tls_cookies_are_pinned_to_the_host(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, tmp_path, secure_cookies=True) as site, aiohttp.ClientSession(site.url) as session:
        await site.add_staff("admin", "admin")
        async with session.get("/login") as response:
            csrf = re.search(r'name="csrf" value="([^"]+)"', await response.text())
            visitor = response.cookies["__Host-smsgw-visitor"].value
        assert visitor != csrf[1]  # on the page it is masked
        fields = {"csrf": csrf[1], "login": "admin", "password": PASSWORD, "next": "/"}
        cookie = {"Cookie": f"__Host-smsgw-visitor={visitor}"}
        async with session.post("/login", data=fields, headers=cookie, allow_redirects=False) as response:
            assert response.status == 303
            set_cookie = response.headers["Set-Cookie"]
            assert set_cookie.startswith("__Host-smsgw=")
            assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= set(set_cookie.split("; "))
            assert response.headers["Strict-Transport-Security"]


async def test_every_login_gives_a_new_session_and_ends_the_one_before(site: Site, admin: Browser) -> None:
    first = admin.cookies["smsgw"]
    await admin.get("/password")
    await admin.post("/login", {"login": "admin", "password": PASSWORD, "next": "/"})
    assert admin.cookies["smsgw"] != first
    assert await site.db.fetchval("SELECT count(*) FROM portal_session") == 1


@pytest.mark.parametrize("age", ["seen_at = now() - interval '31 min'", "created_at = now() - interval '12 h 1 min'"])
async def test_sessions_end_when_idle_and_in_any_case(site: Site, admin: Browser, age: str) -> None:
    await site.db.execute(f"UPDATE portal_session SET {age}")  # noqa: S608
    assert await admin.led_to("/") == "/login"
    await admin.get("/home/live", headers={"HX-Request": "true", "HX-Current-URL": f"{site.url}/records"})
    assert admin.status == 401
    assert admin.headers["HX-Redirect"] == "/login?next=%2Frecords"


async def test_a_page_that_refreshes_itself_does_not_keep_the_session_alive(site: Site, admin: Browser) -> None:
    idle = "SELECT now() - seen_at > interval '10 minutes' FROM portal_session"
    await site.db.execute("UPDATE portal_session SET seen_at = now() - interval '20 minutes'")
    assert await admin.status_of("/home/live") == 200
    assert await site.db.fetchval(idle)
    await admin.get("/")
    assert not await site.db.fetchval(idle)


async def test_a_stopped_person_is_out_at_once(site: Site, admin: Browser) -> None:
    await site.db.execute("UPDATE staff SET status = 'stopped'")
    assert await admin.led_to("/") == "/login"


async def test_wrong_unknown_and_stopped_look_the_same(site: Site) -> None:
    await site.add_staff("gone", "admin")
    await site.db.execute("UPDATE staff SET status = 'stopped' WHERE login = 'gone'")
    pages = set()
    async with Browser(site) as browser:
        for login, password in (("admin", "Wrong-Horse-7"), ("nobody", "Wrong-Horse-7"), ("gone", PASSWORD),
                                ("admin", "")):  # fmt: skip
            page = await browser.login(login, password)
            assert (browser.status, "账号或密码不正确" in page) == (401, True), login
            pages.add(re.sub(r'(value|hx-headers:inherited)="[^"]*"', "", page))  # token and the login typed
    assert len(pages) == 1


@pytest.mark.usefixtures("standing")
async def test_an_address_that_guesses_must_wait(site: Site) -> None:
    async with Browser(site) as browser:
        for _ in range(5):
            await browser.login("nobody", "Wrong-Horse-7")
            assert browser.status == 401
        assert "尝试过于频繁" in await browser.login("nobody", "Wrong-Horse-7")
        assert browser.status == 429
        assert int(browser.headers["Retry-After"]) >= 1


async def test_first_login_demands_a_new_password(site: Site) -> None:
    await site.add_staff("zhang", "operator", "hall", must_change=True)
    async with Browser(site) as browser, Browser(site) as other:
        await browser.login("zhang")
        assert browser.path == "/password"
        await other.login("zhang")
        for path in ("/", "/send", "/records"):
            assert await browser.led_to(path) == "/password"
        fields = {"old": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD}
        for change, said in (
            ({"again": "Different-9x"}, "不一致"),
            ({"new": "short1A", "again": "short1A"}, "至少 10 位"),
            ({"new": "Zhang-Horse-8", "again": "Zhang-Horse-8"}, "不能包含登录名"),
            ({"new": PASSWORD, "again": PASSWORD}, "不能与当前密码相同"),
            ({"old": "Wrong-Horse-7"}, "当前密码不正确"),
        ):
            page = await browser.refused("/password", fields | change)
            assert re.search(rf'id="{next(iter(change))}-problem" role="alert">[^<]*{said}', page), "at its field"
            assert not re.search(r'type="password" value="[^"]', page)
        assert "新密码已生效" in await browser.post("/password", fields)
        assert urlsplit(browser.path).path == "/"
        assert await other.led_to("/") == "/login"  # all other sessions have ended
        await other.login("zhang", NEW_PASSWORD)
        assert other.path == "/"


async def test_what_people_do_is_in_the_audit_log_and_the_chain_holds(site: Site) -> None:
    async with Browser(site) as browser:
        await browser.login("admin", "Wrong-Horse-7")
        for _ in range(1200):  # it is written down a moment later
            if await site.db.fetchval("SELECT 1 FROM audit WHERE action = 'login.failed'"):
                break
            await asyncio.sleep(0.05)
        await browser.login("admin")
        await browser.get("/password")
        await browser.post("/password", {"old": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD})
        await browser.post("/logout", {})
    rows = await site.db.fetch("SELECT action, host(ip) AS ip FROM audit WHERE actor = 'admin' ORDER BY id")
    assert [row["action"] for row in rows] == ["login.failed", "login", "password.change", "logout"]
    assert {row["ip"] for row in rows} == {"127.0.0.1"}
    assert await audit_chain.seal(site.db, audit.keys()) >= 3
    report = await audit_chain.verify(site.db, audit.keys())
    assert (report.rows >= 3, [problem.kind for problem in report.problems]) == (True, ["no_anchor"])


async def test_a_change_needs_our_token_and_our_page(site: Site, admin: Browser) -> None:
    for data, headers in (({"csrf": ""}, {}), ({"csrf": "x" * 32}, {}), ({}, {"Origin": "https://evil.example"}),
                          ({}, {"Sec-Fetch-Site": "cross-site"})):  # fmt: skip
        page = await admin.post("/logout", data, headers=headers)
        assert admin.status == 403
        shows(page, "页面已过期", no="返回该页面")  # which one is not known
    for host, leads in ((site.url, True), ("https://evil.example", False)):
        page = await admin.post("/logout", {"csrf": ""}, headers={"Referer": f"{host}/tasks?status=paused"})
        assert ('href="/tasks?status=paused">返回该页面' in page) == leads, host
    assert await admin.led_to("/") == "/"  # still logged in
    assert await admin.status_of("/logout") == 404  # changes are POST only
    assert 'href="/tasks">返回上一页' in await admin.get("/not-there", headers={"Referer": f"{site.url}/tasks"})


async def test_login_itself_is_protected_from_other_sites(site: Site) -> None:
    async with Browser(site) as browser:
        await browser.get("/login")
        assert await browser.status_of("/login", {"csrf": "x" * 32, "login": "admin", "password": PASSWORD}) == 403
        assert "smsgw" not in browser.cookies


async def post_without_end(site: Site, path: str, length: int, kind: str = "application/x-www-form-urlencoded") -> int:
    """The status of the answer to a form that announces its length, and does not come."""
    host, port = site.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\na="
        writer.write(head.encode())
        return int((await asyncio.wait_for(reader.readline(), 30)).split()[1])
    finally:
        writer.transport.abort()


async def test_a_visitors_form_has_an_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "VISITOR_SECONDS", 0.3)
    assert await asyncio.gather(*(post_without_end(site, "/login", 1000) for _ in range(20))) == [408] * 20
    assert await post_without_end(site, "/login", 17 * 1024) == 413, "a login is short"
    assert await post_without_end(site, "/login", 1000, "multipart/form-data; boundary=b") == 400
    for path in ("/send", "/password", "/logout"):
        assert await post_without_end(site, path, 100_000) == 303, "what needs a login is not read without one"


async def test_headers_of_every_answer(site: Site, admin: Browser) -> None:
    always = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "X-Content-Type-Options": "nosniff",
              "Referrer-Policy": "same-origin"}  # fmt: skip
    for path in ("/", "/send/quick", "/records", "/nowhere", "/home/live", "/static/0/css/base.css",
                 "/static/0/none.css"):  # fmt: skip
        await admin.get(path)
        assert always.items() <= dict(admin.headers).items(), path
        if not path.startswith("/static"):
            assert admin.headers["Cache-Control"] == "no-store"
    lacks(CONTENT_SECURITY_POLICY, "unsafe-inline", "unsafe-eval", "*")
    async with admin.session.head("/records") as answer:
        assert (answer.status, answer.headers["Content-Security-Policy"]) == (200, CONTENT_SECURITY_POLICY)


async def test_files_may_be_kept_for_ever_under_their_fingerprint_only(site: Site) -> None:
    async with Browser(site) as browser:
        page = await browser.get("/login")
        for address in re.findall(r'(?:href|src)="(/static/[^"#]+)', page):
            assert await browser.status_of(address) == 200, address
            assert "immutable" in browser.headers["Cache-Control"]
        await browser.get("/static/000000000000/css/base.css")
        assert browser.headers["Cache-Control"] == "no-cache"
        for path in ("/static/0/../app.py", "/static/0/%2e%2e/app.py", "/static/0/vendor/../../auth.py"):
            assert await browser.status_of(path) == 404, path


async def test_a_page_that_the_role_may_not_open_is_refused_with_a_line(site: Site) -> None:
    await site.add_staff("lee", "auditor", "hall")
    async with signed_in(site, "lee") as browser:
        with capture_logs() as logs:
            assert await browser.status_of("/records") == 200
            for _ in range(40):
                assert await browser.status_of("/send?to=13800138000", headers={"X-Request-Id": "request-77"}) == 403
    told = [line for line in logs if line["event"] == "portal.forbidden"]
    assert 0 < len(told) < 10
    assert (told[0]["login"], told[0]["path"], told[0]["request_id"]) == ("lee", "/send", "request-77")
    assert told[0]["log_level"] == "warning"


async def test_nothing_behind_a_right_opens_without_a_login(site: Site) -> None:
    async with Browser(site) as browser:
        await browser.get("/login")
        for route in app.routes():
            if route.action == rights.PUBLIC:
                continue
            path = an_address(route.path)
            if route.method == "GET":
                assert urlsplit(await browser.led_to(path)).path == "/login", path
            else:
                assert await browser.status_of(path, {}, follow=False) == 303, path
                assert browser.headers["Location"] == "/login"


async def test_an_operator_sees_only_the_accounts_assigned(site: Site) -> None:
    own, other = await send(site, "hall"), await send(site, "clinic", to="13900139000")
    await site.add_staff("li", "operator", "hall")
    async with signed_in(site, "li") as browser:
        shows(await browser.get("/records"), f"/records/{own}", no=[f"/records/{other}", "clinic"])
        for query in (f"account={site.accounts['clinic']}", "phone=13900139000", f"batch={other}"):
            assert f"/records/{other}" not in await browser.get(f"/records?{query}")
        assert await browser.status_of(f"/records/{own}") == 200
        for path in (f"/records/{other}", f"/records/{other}/live"):
            assert await browser.status_of(path) == 404
        lacks(await browser.get("/"), f"/records/{other}", "mobile-a")  # channels are the operators' of the gateway
        assert "clinic" not in await browser.get("/send/quick")
        form = filled(site, "clinic", await browser.get("/send/quick"))
        for path in ("/send/quick/confirm", "/send/quick"):
            await browser.refused(path, form, "请选择发送账号")
        assert await site.db.fetchval("SELECT count(*) FROM message") == 2
        async with signed_in(site, "admin") as admin:
            await admin.post("/send/quick", filled(site, "clinic", await admin.get("/send/quick")))
            assert await browser.status_of(admin.path) == 404, "another account's result"


async def test_a_person_without_accounts_is_told_so(site: Site) -> None:
    await send(site)
    await site.add_staff("li", "operator")
    async with Browser(site) as browser:
        assert "您还没有可用的短信账号" in await browser.login("li")
        assert "没有可用的短信账号" in await browser.get("/send/quick")
        assert "13800138000" not in await browser.get("/records?time=7d")


def filled(site: Site, account: str, page: str, **fields: str) -> dict[str, str]:
    """The form of the page, filled in."""
    key = re.search(r'name="key" value="([A-Za-z0-9_-]{24})"', page)
    return {"key": key[1] if key else "", "account": str(site.accounts[account]), "to": "13800138000\n13800138001",
            "type": "notice", "sign": "", "content": "您好"} | fields  # fmt: skip


async def test_send_watch_and_trace(site: Site) -> None:
    await site.add_staff("li", "operator", "hall")
    async with signed_in(site, "li") as browser:
        form = filled(site, "hall", await browser.get("/send/quick"), to="13800138000, 13800138001\n13800138000\nabc")
        page = await browser.post("/send/quick/preview", form, headers={"HX-Request": "true"})
        shows(page, "【市政服务】您好", 'id="count-characters">8<', 'id="count-numbers">2<')
        assert "将向 2 个号码发送" in await browser.post("/send/quick/confirm", form)
        assert await site.db.fetchval("SELECT count(*) FROM message") == 0  # confirming has sent nothing

        page = await browser.post("/send/quick", form)
        assert urlsplit(browser.path).path == "/send/quick/result"
        assert page.count("排队中") >= 2
        again = await browser.post("/send/quick", form)  # the button pressed twice
        assert urlsplit(browser.path).path == "/send/quick/result"
        assert again.count("排队中") == page.count("排队中")
        rows = await site.db.fetch("SELECT id, origin, submitter FROM message ORDER BY id")
        assert [(r["origin"], r["submitter"]) for r in rows] == [("portal", "li")] * 2
        assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'send'") == 1

        live = browser.path.replace("/send/quick/result", "/send/quick/result/live")
        taken = await site.carrier_takes()
        assert "已提交" in await browser.get(live)
        await site.carrier_reports(taken[:1])
        await site.carrier_reports(taken[1:], PartState.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER")
        shows(await browser.get(live), "成功", "空号", no="hx-get")  # nothing is left to wait for
        page = await browser.get(f"/records/{rows[1]['id']}")
        shows(page, "平台受理", "运营商已接收", "状态报告", "MK:0001", "空号", "请从名单中删除", "138****8001")
        assert "13800138001" not in page


async def test_a_thousand_numbers(site: Site, admin: Browser) -> None:
    numbers = [f"13800138{n:03d}" for n in range(1000)]
    form = filled(site, "hall", await admin.get("/send/quick"), to="\n".join(numbers))
    assert "将向 1,000 个号码发送" in await admin.post("/send/quick/confirm", form)
    page = await admin.post("/send/quick", form)
    assert len(set(re.findall(r'<tr data-href="/records/(\d+)"', page))) == 1000
    assert page.count("排队中") == 1001  # every row, and the sum
    await site.carrier_reports(await site.carrier_takes())
    page = await admin.get(admin.path.replace("/send/quick/result", "/send/quick/result/live"))
    assert page.count("成功") == 1001


async def test_a_trace_refreshes_until_the_end(site: Site, admin: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "EVERY", 0.0)
    message_id = await send(site, content="好" * 200)
    live = f"/records/{message_id}/live"
    assert f'hx-get="{live}"' in await admin.get(f"/records/{message_id}")
    taken = await site.carrier_takes()
    assert len(taken) == 4
    await site.carrier_reports(taken[:3])
    shows(await admin.get(live), f'hx-get="{live}"', "成功 3 / 4")
    await site.carrier_reports(taken[3:])
    shows(await admin.get(live), "成功 4 / 4", no="hx-get")


async def test_who_has_looked_is_in_the_audit_log_once_a_day(
    site: Site, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.add_staff("auditor", "auditor")
    message_id = await send(site)
    looks = [f"/records/{message_id}", f"/records/{message_id}/live", "/records?phone=13800138000", "/records?time=30d"]

    async def readings() -> list[tuple[str, str, str]]:
        of = "SELECT actor, action, object FROM audit WHERE action IN ('message.read', 'records.search') ORDER BY id"
        return list(map(tuple, await site.db.fetch(of)))

    for look in looks * 3:
        await admin.get(look)
    await admin.get("/records/1")  # nobody's
    once = await readings()
    searches = [("admin", "records.search", "records")] * 2
    assert once == [("admin", "message.read", f"message/{message_id}"), *searches]
    async with signed_in(site, "auditor") as other:
        await other.get(looks[1])  # the piece of the page alone is a look as well
        assert (await readings())[len(once) :] == [("auditor", "message.read", f"message/{message_id}")]
        tomorrow = clock.now() + timedelta(days=1)
        monkeypatch.setattr("smsgw.platform.audit.readings.clock.now", lambda: tomorrow)
        await other.get(looks[0])
        assert len(await readings()) == len(once) + 2
    assert "138****8000" in await site.db.fetchval("SELECT string_agg(audit::text, ' ') FROM audit")


async def test_refusals_are_shown_in_the_form_and_nothing_is_lost(site: Site, admin: Browser) -> None:
    page = await admin.get("/send/quick")
    for fields, said in (
        ({"to": ""}, "请填写至少一个手机号码"), ({"to": "abc"}, "没有有效的手机号码"),
        ({"to": "\n".join(f"13800{n:06d}" for n in range(1001))}, "单次最多 1,000 个号码"),
        ({"content": " "}, "请填写短信内容"), ({"content": "字" * 997}, "超过 1000 字"),
        ({"sign": "长" * 21}, "签名须为 2 到 20 个字"), ({"type": "spam"}, "请选择短信类型"),
        ({"account": "999"}, "请选择发送账号"), ({"key": ""}, "页面已过期"),
    ):  # fmt: skip
        shown = await admin.refused("/send/quick/confirm", filled(site, "hall", page) | fields, said)
        if "to" in fields:
            shows(shown, 'id="to" aria-invalid="true" aria-describedby="to-problem"', 'id="to-problem"')
    for path, to in (("/send/quick/confirm", "abc"), ("/send/quick/edit", "13800138000")):
        kept = await admin.post(path, filled(site, "hall", page, to=to, content="<b>别丢了我"))
        assert "&lt;b&gt;别丢了我" in kept, path


async def test_no_channel_and_too_little_money_are_said_before_sending(site: Site, admin: Browser) -> None:
    site.unavailable.add("CMCC")
    form = filled(site, "hall", await admin.get("/send/quick"))
    shows(await admin.post("/send/quick/confirm", form), "目前没有可用通道", 'type="submit" disabled')
    await admin.refused("/send/quick", form, "没有可用通道")
    site.unavailable.clear()
    assert urlsplit(await admin.led_to("/send/quick", form)).path == "/send/quick/result", "the same form, later"
    await site.db.execute("UPDATE account SET balance = 1")
    form = filled(site, "hall", await admin.get("/send/quick"))
    assert "余额不足" in await admin.post("/send/quick/confirm", form)
    await admin.refused("/send/quick", form, "余额不足")


async def test_records_by_page(site: Site, admin: Browser) -> None:
    numbers = [f"13800138{n:03d}" for n in range(120)]
    await submitted(site, "hall", *numbers)
    seen: list[str] = []
    path: str | None = "/records?time=7d"
    while path:
        page = await admin.get(path)
        lacks(page, *numbers)  # they are masked
        seen += re.findall(r'<tr data-href="/records/(\d+)"', page)
        onward = re.search(r'rel="next" href="([^"]+)"', page)
        path = onward[1].replace("&amp;", "&") if onward else None
    assert len(seen) == 120
    assert seen == sorted(set(seen), key=int, reverse=True)


async def test_the_content_is_hidden_from_those_who_may_not_read_it(site: Site) -> None:
    await site.add_staff("money", "finance")
    message_id = await send(site, content="机密内容")
    async with signed_in(site, "money") as browser:
        for path in ("/", "/home/live", "/records", f"/records/{message_id}", f"/records/{message_id}/live"):
            assert "机密内容" not in await browser.get(path), path
            assert browser.status == 200


async def test_language(site: Site) -> None:
    async with Browser(site) as browser:
        await browser.get("/login")
        assert "Welcome" in await browser.post("/language", {"language": "en", "next": "/login"})
        for path in ("/", "/records", "/send", "/password"):
            await browser.login("admin")
            page = re.sub(r"<option[^<]*</option>|admin 先生|【|】|中文|>中<", "", await browser.get(path))
            assert not re.search(r"[\u4e00-\u9fff]", page), (path, re.findall(r"[\u4e00-\u9fff]+", page))
        assert urlsplit(await browser.led_to("/language", {"language": "xx", "next": "//evil.example"})).path == "/"


@pytest.mark.parametrize("path", ["/nowhere", "/records/1", f"/records/{2**63}", "/send/quick/result", "/records/abc"])
async def test_not_found_is_a_page_that_helps(site: Site, admin: Browser, path: str) -> None:
    page = await admin.get(path)
    assert admin.status == 404
    shows(page, "页面不存在", admin.headers["X-Request-Id"])


async def test_paths_of_others_are_left_to_them(site: Site) -> None:
    async with Browser(site) as browser:
        for path in ("/api/v1/nowhere", "/health", "/ready", "/metrics"):
            lacks(await browser.get(path), "页面不存在")  # aiohttp's own: nobody else is mounted here
            assert browser.status == 404


async def test_database_gone_is_said_and_nobody_is_logged_out(site: Site, admin: Browser) -> None:
    form = filled(site, "hall", await admin.get("/send/quick"))
    await site.db.close()
    for path in ("/", "/records", "/send"):
        page = await admin.get(path)
        assert admin.status == 503
        shows(page, "数据库不可用", "页面会自动重试", admin.headers["X-Request-Id"])
    shows(await admin.post("/send/quick", form), "请先核对再重试", no="页面会自动重试")  # a change is not tried again
    assert admin.status == 503
    page = await admin.get("/home/live", headers={"HX-Request": "true"})
    assert (admin.status, page.startswith("数据库不可用"), "<" in page) == (503, True, False)
    await site.db.open()
    assert (await admin.status_of("/"), admin.path) == (200, "/")


async def test_a_crash_shows_a_page_without_its_inside(site: Site, admin: Browser) -> None:
    await change(site.db.dsn, "ALTER TABLE stat_minute RENAME TO gone")
    page = await admin.get("/")
    assert admin.status == 500
    shows(page, "系统错误", admin.headers["X-Request-Id"], no=["stat_minute", "Traceback"])


async def test_a_form_too_large_of_too_many_fields_or_strange_characters_is_refused(site: Site) -> None:
    async with signed_in(site, "a\0b") as browser:
        assert browser.status == 400
        await browser.login("admin")
        assert "请求不正确" in await browser.post("/send/quick/preview", {"content": "a\0b"})
        assert browser.status == 400
        for path in ("/send/result?account=1&key=%00", "/records?phone=%00", "/records?time=%00", "/%00"):
            assert await browser.status_of(path) in (400, 404), path
        assert "提交的内容过大" in await browser.post("/send/quick/preview", {"content": "x" * 600_000})
        assert browser.status == 413
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        async with browser.session.post("/send/quick/preview", data=b"a&" * 100_000, headers=headers) as response:
            assert response.status == 400


async def test_open_alarms_stand_on_the_home_page_of_those_who_can_act(site: Site) -> None:
    await site.add_staff("clerk", "operator", "hall")
    now = datetime.now(UTC)
    async with site.db.transaction() as connection:
        await alarms.raise_(connection, "channel_down", "channel/mobile-a", "critical", "<no answer>", now=now)
        await alarms.raise_(connection, "standby_low", "pool/vip", "warning", "", now=now)
        await alarms.raise_(connection, "disk_low", "node/1", "critical", "", now=now)
        await alarms.clear(connection, "disk_low", "node/1", now=now)
    async with Browser(site) as browser:
        page = await browser.login("admin")
        notes = re.findall(r'data-alarm="(\w+)">\s*<div class="note note-(\w+)" role="status"', page)
        assert notes == [("channel_down", "bad"), ("standby_low", "warning")]
        shows(page, "通道断开", "通道 mobile-a · &lt;no answer&gt;")
        assert 'data-alarm="channel_down"' in await browser.get("/home/live")
        async with site.db.transaction() as connection:
            for name in ("b", "c"):
                await alarms.raise_(connection, "channel_down", f"channel/mobile-{name}", "critical", "", now=now)
        page = await browser.get("/")
        assert page.count('data-alarm="channel_down"') == 1, "one note for one kind of trouble"
        shows(page, *(f"通道 mobile-{name}" for name in "abc"), "3 处", "/alarms?kind=channel_down")
    async with Browser(site) as browser:
        assert "data-alarm" not in await browser.login("clerk")
