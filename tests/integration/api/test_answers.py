"""What every answer carries and none tells, where links of the portal lead, and how many lines strangers can write; how
calls end: counted by key, minute and code, and refused ones kept with their shape alone."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import portal_site
import pytest
from api_server import BASE, Answer, Api, running as api_running
from browsing import Browser
from portal_site import PASSWORD, Site, running as portal_running
from structlog.testing import capture_logs
from yarl import URL

from smsgw.api.routes import PUBLIC, ROUTES
from smsgw.core.actor import NOTHING, Actor
from smsgw.core.errors import messages_of
from smsgw.platform.calls import log, masking, queries
from smsgw.platform.calls.log import CallLog, Refusal
from smsgw.platform.calls.queries import WantedCalls
from smsgw.platform.paging import Window
from smsgw.runtime import clock
from smsgw.runtime.config import HttpConfig
from smsgw.web import plain_http
from smsgw.web.listening import Connections, Listener

EVIL = ["////evil.example/", "//evil.example/", "///evil.example", "/\\evil.example", "//"]


def decent(headers: aiohttp.typedefs.LooseHeaders) -> list[str]:
    """What is missing, or too much, among the headers of an answer."""
    wrong = [name for name in ("Server", "X-Powered-By") if name in headers]
    if headers.get("X-Content-Type-Options") != "nosniff":
        wrong.append("nosniff")
    if not re.search("no-store|no-cache|immutable|max-age", headers.get("Cache-Control", "")):
        wrong.append("caching")
    policy = headers.get("Content-Security-Policy", "")
    wrong += [word for word in ("frame-ancestors 'none'", "base-uri 'none'") if word not in policy]
    kind = headers.get("Content-Type", "")
    if re.match("text/|image/svg|application/xml", kind) and "charset=utf-8" not in kind:
        wrong.append(kind)
    wrong += [name for name in ("Referrer-Policy", "Cross-Origin-Resource-Policy") if name not in headers]
    return wrong


async def test_every_answer_of_the_api_has_its_headers(api: Api, hurried: None) -> None:
    paths = [(r.method, BASE + r.path) for r in ROUTES] + [("GET", BASE + p.path) for p in PUBLIC if not p.root]
    paths += [("GET", p) for p in ("/health", "/ready", BASE, BASE + "/none", "/none", "/")] + [("PUT", "/health")]
    auth = {"Authorization": f"Bearer {api.key.bearer}"}
    for headers in ({}, auth):
        for method, path in paths:
            answer = await api.send(method, re.sub(r"\{[^}]*\}", "1", path), headers=headers)
            assert decent(answer.headers) == [], (method, path)
            if path.startswith(BASE) and "docs" not in path:
                assert answer.headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in (await api.send("GET", "/health")).headers


async def test_over_tls_every_answer_pins_it(dsn: str, tmp_path: Path) -> None:
    async with api_running(dsn, tmp_path, trusted_proxies=(ip_network("127.0.0.1/32"),)) as api:
        for path in ("/health", f"{BASE}/time", f"{BASE}/none"):
            for said, pinned in (("https", True), ("http", False)):
                answer = await api.send("GET", path, headers={"X-Forwarded-Proto": said})
                assert ("Strict-Transport-Security" in answer.headers) is pinned


async def test_every_answer_of_the_portal_has_its_headers(site: Site) -> None:
    async with aiohttp.ClientSession(site.url) as session:
        for path in (
            "/", "/login", "/none", "/static/1/none.css", "/static/1/css/base.css", "/static/1/logo.svg",
            "/favicon.ico", "/records", "//x", "/api/none",
        ):  # fmt: skip
            async with session.get(URL(site.url + path, encoded=True), allow_redirects=False) as answer:
                assert answer.status == 204 or decent(answer.headers) == [], path
        async with session.post("/login", data={"x": "y"}) as answer:
            assert decent(answer.headers) == []


async def test_what_is_not_http_is_told_nothing(api: Api) -> None:
    connections = Connections(10)
    options = {"access_log": None}
    listener = Listener(api.runner, "127.0.0.1", 0, connections, options)
    await listener.start()
    try:
        reader, writer = await asyncio.open_connection(*listener.addresses[0][:2])
        writer.write(b"\x16\x03\x01 nonsense\r\n\r\n")
        raw = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    finally:
        await listener.stop()
    assert raw.startswith(b"HTTP/1.0 400")
    assert b"aiohttp" not in raw
    assert b"Server" not in raw
    assert b"nonsense" not in raw


LINES = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https")]
"""The first is the client's own, the second the proxy's."""


async def test_the_api_takes_the_address_that_the_proxy_wrote(dsn: str, tmp_path: Path) -> None:
    trusted = (ip_network("127.0.0.1/32"),)
    async with api_running(dsn, tmp_path, trusted_proxies=trusted) as api:
        for network, status in (("192.0.2.0/24", 200), ("6.6.6.0/24", 403)):
            key = await api.add_key(ip_allow=(ip_network(network),))
            headers = [*LINES, ("Authorization", f"Bearer {key.bearer}")]
            with capture_logs() as logs:
                async with api.session.get(f"{api.origin}{BASE}/balance", headers=headers) as answer:
                    assert answer.status == status
            assert all(line["ip"] == "192.0.2.7" for line in logs)


async def test_the_portal_takes_the_address_that_the_proxy_wrote(dsn: str, tmp_path: Path) -> None:
    trusted = (ip_network("127.0.0.1/32"),)
    async with portal_running(dsn, tmp_path, trusted_proxies=trusted) as site:
        async with aiohttp.ClientSession(site.url) as session:
            with capture_logs() as logs:
                async with session.post("/login", data={"csrf": "x"}, headers=LINES) as answer:
                    assert answer.status == 403
    assert [line["ip"] for line in logs if line["event"] == "portal.csrf"] == ["192.0.2.7"]


@pytest.mark.parametrize("path", EVIL)
async def test_no_link_of_a_page_leads_elsewhere(site: Site, path: str) -> None:
    await site.add_staff("admin", "admin")
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(site.url, cookie_jar=jar) as session:
        for known in (False, True):
            if known:
                async with session.get("/login") as answer:
                    token = re.search(r'name="csrf" value="([^"]+)"', await answer.text())
                    assert token
                fields = {"csrf": token[1], "login": "admin", "password": PASSWORD, "next": path}
                async with session.post("/login", data=fields, allow_redirects=False) as answer:
                    assert answer.headers["Location"] == "/"
            async with session.get(URL(site.url + path, encoded=True), allow_redirects=False) as answer:
                page = await answer.text()
                leads = [answer.headers.get("Location", "/")]
            leads += re.findall(r'(?:href|action|name="next" value)="([^"]*)"', page)
            assert leads
            for lead in leads:
                assert re.match(r"/(?![/\\])|#|$", lead), (path, lead)
            htmx = {"HX-Request": "true", "HX-Current-URL": f"https://x{path}"}
            async with session.get("/records", headers=htmx, allow_redirects=False) as answer:
                if not known:
                    assert answer.headers["HX-Redirect"] == "/login?next=%2F"


FLOOD = 1000
FEW = 20


async def flood(count: int, call: Callable[[], Awaitable[object]]) -> Counter[str]:
    """How many lines of each event were written while a call was made so often, twenty at a time."""
    with capture_logs() as logs:
        for _ in range(count // 20):
            await asyncio.gather(*(call() for _ in range(20)))
    return Counter(str(line["event"]) for line in logs)


@pytest.mark.parametrize("provoked", ["no key", "another key", "signature", "path", "parameter", "malformed", "v1"])
async def test_strangers_and_tenants_write_few_lines(
    api: Api, provoked: str, caplog: pytest.LogCaptureFixture, hurried: None
) -> None:
    key = await api.add_key(requests_per_second=10_000)
    auth = {"Authorization": f"Bearer {key.bearer}"}
    made = iter(range(10_000_000))

    def ask(path: str = "/balance", **headers: str) -> Awaitable[Answer]:
        return api.send("GET", BASE + path, headers=headers)

    async def malformed() -> None:
        assert (await api.raw(b"GET /\xff%d HTTP/1.1\r\n\r\n" % next(made))).startswith(b"HTTP/1.0 400")

    async def outdated() -> None:
        headers = api.signed("GET", f"{BASE}/balance", key=key, version=1)
        assert (await ask(**headers)).code == "OK"

    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "no key": ask, "another key": lambda: ask(Authorization=f"Bearer {next(made)}"),
        "signature": lambda: ask(**api.signed("GET", "/other", key=key)), "path": lambda: ask(f"/x{next(made)}"),
        "parameter": lambda: ask(f"/balance?x{next(made)}=1", **auth), "malformed": malformed, "v1": outdated,
    }  # fmt: skip
    lines = await flood(FLOOD, calls[provoked])
    assert 0 < lines.total() <= FEW, lines
    assert caplog.records == []


@pytest.mark.parametrize("provoked", ["csrf", "form", "path", "crash"])
async def test_visitors_of_the_portal_write_few_lines(
    site: Site, provoked: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, hurried: None
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("surprise")

    if provoked == "crash":
        monkeypatch.setattr("smsgw.admin.auth.Auth.session", broken)
    made = iter(range(10_000_000))
    async with aiohttp.ClientSession(site.url) as session:

        async def say(method: str, path: str, status: int, **sent: object) -> None:
            async with session.request(method, f"{path}{next(made)}", **sent) as answer:  # type: ignore[arg-type]
                assert answer.status == status

        form = {"Content-Type": "application/x-www-form-urlencoded; charset=foo"}
        calls: dict[str, Callable[[], Awaitable[None]]] = {
            "csrf": lambda: say("POST", "/login?", 403, data={"csrf": "x"}),
            "form": lambda: say("POST", "/login?", 400, data=b"x", headers=form),
            "path": lambda: say("GET", "/none", 404),
            "crash": lambda: say("GET", "/login?", 500, headers={"Cookie": "smsgw=x"}),
        }
        lines = await flood(FLOOD, calls[provoked])
    assert lines.total() <= FEW, lines
    assert caplog.records == []


@pytest.mark.parametrize("expected", ["100-continue", "something else"])
async def test_what_a_client_expects_refuses_no_call(api: Api, expected: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    body = b'{"to": ["13800138000"], "content": "hello"}'
    head = (
        f"POST {BASE}/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer nobody\r\nExpect: {expected}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    first = "HTTP/1.1 100 Continue" if expected == "100-continue" else "HTTP/1.1 401 Unauthorized"
    assert answer.startswith(first.encode())
    assert b"AUTH_KEY_INVALID" in answer


TWO_ENDS = [
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", b"Content-Length: 4, 5\r\n\r\nabcde",
    b"Content-Length : 4\r\n\r\nabcd", b"Content-Length: +4\r\n\r\nabcd", b"Content-Length: 4\r\n folded\r\n\r\nabcd",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5;a\n\r\nabcde\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n",
]  # fmt: skip
SECOND = b"GET /health HTTP/1.1\r\nHost: smuggled\r\n\r\n"


async def said(port: int, octets: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(octets)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


@pytest.fixture(params=["api", "portal"])
async def edge(request: pytest.FixtureRequest, dsn: str, tmp_path: Path) -> AsyncIterator[tuple[int, str]]:
    if request.param == "api":
        async with api_running(dsn, tmp_path) as api:
            yield api.port, f"{BASE}/time"
    else:
        async with portal_running(dsn, tmp_path) as site:
            yield int(site.url.rpartition(":")[2]), "/login"


async def test_a_request_with_two_ends_is_refused_with_what_follows(edge: tuple[int, str]) -> None:
    port, path = edge
    for ends in TWO_ENDS:
        answer = await said(port, f"POST {path} HTTP/1.1\r\nHost: here\r\n".encode() + ends + SECOND)
        assert answer[9:12] == b"400", (ends, answer)
        assert answer.count(b"HTTP/1.") == 1, ("the second request was heard", ends)


async def test_no_method_gives_back_what_was_sent(edge: tuple[int, str]) -> None:
    port, path = edge
    for there in (path, "/none"):
        request = f"TRACE {there} HTTP/1.1\r\nHost: here\r\nCookie: secret=1\r\nConnection: close\r\n\r\n"
        answer = await said(port, request.encode())
        assert answer[9:10] == b"4", answer
        assert b"secret" not in answer


async def test_no_other_origin_is_let_in(edge: tuple[int, str]) -> None:
    port, path = edge
    for method in ("GET", "OPTIONS"):
        request = (
            f"{method} {path} HTTP/1.1\r\nHost: here\r\nOrigin: https://evil.example\r\nConnection: close\r\n"
            "Access-Control-Request-Method: POST\r\n\r\n"
        )
        answer = await said(port, request.encode())
        assert answer.startswith(b"HTTP/1.")
        assert b"access-control" not in answer.lower()


TRUSTED = (ip_network("127.0.0.1/32"),)


async def test_pages_go_on_to_tls_and_calls_are_refused(api: Api) -> None:
    settings = HttpConfig(tls=("cert.pem",), tls_listen="0.0.0.0:8443")
    async with api.another_node(plain_http.only_tls(settings, ())) as plain:
        for path in ("/health", "/ready"):
            assert (await plain.send("GET", path)).status == 200
        path = f"{BASE}/balance"
        for headers in (plain.signed("GET", path), {"Authorization": f"Bearer {plain.key.bearer}"}, {}):
            answer = await plain.send("GET", path, headers=headers | {"X-Forwarded-Proto": "https"})
            assert (answer.status, answer.code) == (403, "TLS_REQUIRED")
        # the same nonce is still good where it should have gone
        for host, there in (
            ("sms.example.org:8080", "sms.example.org"), ("[::1]:80", "[::1]"), ("10.0.0.1", "10.0.0.1"),
        ):  # fmt: skip
            for page in ("/login?next=%2Frecords%3Fa", "/", "//evil.example/", "/@evil.example"):
                async with plain.session.get(
                    URL(plain.origin + page, encoded=True), headers={"Host": host}, allow_redirects=False
                ) as sent_on:
                    assert (sent_on.status, sent_on.headers["Location"]) == (307, f"https://{there}:8443{page}")
        whole = b"GET http://sms.example.org/login?a=%2F HTTP/1.1\r\nHost: sms.example.org\r\nConnection: close\r\n\r\n"
        assert b"Location: https://sms.example.org:8443/login?a=%2F\r\n" in await plain.raw(whole)
        for host in ("evil.example/x", "a@b", "a b", ""):
            async with plain.session.get(
                plain.origin + "/login", headers={"Host": host}, allow_redirects=False
            ) as sent_on:
                assert sent_on.status in (400, 403)
        assert (await plain.send("POST", "/login", data=b"login=a")).code == "TLS_REQUIRED"


async def test_behind_a_proxy_that_speaks_tls_all_is_served(api: Api) -> None:
    settings = HttpConfig(tls=("cert.pem",), tls_listen="0.0.0.0:443")
    async with api.another_node(plain_http.only_tls(settings, TRUSTED), trusted_proxies=TRUSTED) as plain:
        path = f"{BASE}/balance"
        for said, code in (("https", "OK"), ("http", "TLS_REQUIRED")):
            headers = plain.signed("GET", path) | {"X-Forwarded-Proto": said}
            assert (await plain.send("GET", path, headers=headers)).code == code


async def test_the_api_may_be_left_open_to_signed_requests(api: Api) -> None:
    settings = HttpConfig(tls=("cert.pem",), tls_listen="0.0.0.0:443", plain_api=True)
    async with api.another_node(plain_http.only_tls(settings, ()), allow_insecure_bearer=False) as plain:
        path = f"{BASE}/balance"
        assert (await plain.send("GET", path, headers=plain.signed("GET", path))).code == "OK"
        assert (await plain.get("/balance")).code == "AUTH_BEARER_INSECURE"


ONE = {"to": ["13800138000"], "content": "您的验证码是 1234", "type": "otp", "client_ref": "order-1"}


def span() -> WantedCalls:
    return WantedCalls(clock.now() - timedelta(hours=1), clock.now() + timedelta(hours=1))


async def test_ends_are_counted_and_refused_calls_keep_their_shape(api: Api) -> None:
    for _ in range(3):
        assert (await api.post("/messages", ONE)).code == "OK"
    wrong = await api.post("/messages", ONE | {"type": "no such"})
    assert wrong.status == 400
    cells, refused = api.ctx.calls.take()
    await queries.write(api.ctx.db, cells, refused)
    groups = await queries.groups(api.ctx.db, span(), Window("calls"), accounts=None)
    assert [(row["call"], row["code"], row["n"]) for _, row in groups.rows] == [
        ("POST /messages", "OK", 3),
        ("POST /messages", wrong.code, 1),
    ]
    assert all(row["last_request"] for _, row in groups.rows)
    steps = await queries.steps(api.ctx.db, span(), timedelta(minutes=15), accounts=None)
    assert sum(row["n"] for row in steps) == 4
    of_all = Actor.system("test")
    of_none = replace(of_all, scope=NOTHING)
    last_hour = queries.RefusalFilter(since=span().first, until=span().until)
    (row,) = (await queries.REFUSALS.search(api.ctx.db, of_all, last_hour, Window("time"))).rows
    assert (row.code, row.request_id, row.proven) == (wrong.code, wrong.body["request_id"], True)
    body = json.loads(row.body)
    assert body == {"to": ["138****8000"], "content": "<11>", "type": "no such", "client_ref": "<7>"}
    assert not (await queries.groups(api.ctx.db, span(), Window("calls"), accounts=[])).rows
    assert not (await queries.REFUSALS.search(api.ctx.db, of_none, last_hour, Window("time"))).rows


async def test_groups_are_paged_in_both_orders_and_all_are_in_the_sum(api: Api) -> None:
    at = clock.now().timestamp()
    for n in range(1, 8):
        for _ in range(n):
            api.ctx.calls.note(api.account_id, "key", at, f"GET /x{n}", "OK", 0.001, "r")
    await queries.write(api.ctx.db, *api.ctx.calls.take())

    async def page(descending: bool, after: int | None = None, backwards: bool = False) -> tuple[list[int], bool]:
        window = Window("calls", descending, None if after is None else ("", after), backwards, 3)
        got = await queries.groups(api.ctx.db, span(), window, accounts=None)
        return [row["n"] for _, row in got.rows], got.more

    assert await page(True) == ([7, 6, 5], True)
    assert await page(True, 2) == ([4, 3, 2], True)
    assert await page(True, 5) == ([1], False)
    assert await page(True, 6, True) == ([4, 3, 2], True)
    assert await page(True, 3, True) == ([7, 6, 5], False)
    assert await page(False) == ([1, 2, 3], True)
    assert await queries.total(api.ctx.db, span(), accounts=None) == (28, 7)


async def test_why_a_call_was_refused_is_told_in_the_readers_language(dsn: str, tmp_path: Path) -> None:
    async with portal_site.running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        said = messages_of("RATE_LIMITED", {"n": 3})
        await queries.write(site.db, {}, [
            Refusal(site.accounts["hall"], f"key{n}", True, clock.now(), f"r{n}", "GET /x", 429, "RATE_LIMITED",
                    said[0], english, 1, "192.0.2.1", "")
            for n, english in enumerate((said[1], ""))
        ])  # fmt: skip
        async with Browser(site) as boss:
            await boss.login("boss")
            assert (await boss.get("/calls/refused")).count(said[0]) >= 2
            await boss.post("/language", {"language": "en", "next": "/"})
            page = await boss.get("/calls/refused")
            assert said[0] not in page
            assert said[1] in page
            assert said[1].replace("3", "…") in page, "of one from before it is what its code says"


async def test_of_a_key_the_newest_stay_and_a_stranger_pushes_nothing_out(api: Api) -> None:
    for n in range(4):
        for _ in range(log.MOST_OF_A_KEY):
            await api.post("/messages", {"to": [], "type": f"t{n}"})
        cells, refused = api.ctx.calls.take()
        assert len(refused) == log.MOST_OF_A_KEY
        await queries.write(api.ctx.db, cells, refused)
    rows = await api.ctx.db.fetch("SELECT body, proven FROM api_refused ORDER BY id DESC")
    assert len(rows) == queries.NEWEST
    assert "t3" in rows[0]["body"]
    await queries.forget(api.ctx.db, clock.now() + queries.KEPT + timedelta(minutes=1))
    for table in ("api_call", "api_refused"):
        assert await api.ctx.db.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608


def test_what_is_remembered_is_bounded() -> None:
    calls = CallLog()
    for n in range(3 * log.MOST_CELLS):
        calls.note(1, f"key{n}", 0.0, "GET /x", "OK", 0.001, "r")
    assert len(calls.cells) == log.MOST_CELLS + 1
    assert sum(cell.n for cell in calls.cells.values()) == 3 * log.MOST_CELLS
    kept = [calls.keeps("key", proven=False) for _ in range(50)]
    assert sum(kept) == log.MOST_UNPROVEN
    assert sum(calls.keeps("key", proven=True) for _ in range(50)) == log.MOST_OF_A_KEY


def test_nothing_of_whom_and_what_is_left() -> None:
    said = masking.shown({
        "to": ["+8613800138000", 13800138001, "13800138002", "13800138003"], "content": "密码 445566",
        "vars": {"姓名": "张三"}, "client_ref": "13900139000", "deep": [[[[[[["x"]]]]]]],
    })  # fmt: skip
    for secret in ("13800138000", "13800138001", "445566", "张三", "姓名", "13900139000"):
        assert secret not in said, secret
    said = masking.shown({
        "code": 837465, "to": 13800138001, "ext": "4711", "limit": 20, "type": "otp", "at": 13800138002,
        "params": {"code": 837466, "type": "739155", "at": "73915501", "more": [{"status": "open sesame"}]},
        "variables": {"limit": 739156}, "contacts": [{"fields": {"state": "Springfield", "mode": 5}}],
    })  # fmt: skip
    for secret in ("83746", "73915", "0138", "4711", "sesame", "Springfield", " 5"):
        assert secret not in said, secret
    assert json.loads(said)["code"] == "<6 digits>"
    assert json.loads(said)["limit"] == 20
    assert json.loads(said)["type"] == "otp"


def test_lists_and_bodies_are_cut() -> None:
    said = masking.shown({"to": ["13800138000"] * 4})
    assert "… 4" in said
    assert masking.masked(b"{" * 5000, 5000) == "<5000 octets, no JSON>"
    assert masking.masked(b"x", 10**6) == "<1000000 octets>"
    large = {f"events{n}": ["c" * 60] * 3 for n in range(40)} | {"events": ["c" * 60] * 3}
    assert len(masking.shown({"events": [large] * 3})) <= masking.MOST_KEPT + 1
