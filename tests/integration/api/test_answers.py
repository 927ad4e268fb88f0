"""What every answer carries and none tells, where links of the portal lead, and how many lines strangers can write."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest
from api_server import BASE, Api
from api_server import running as api_running
from portal_site import PASSWORD, Site
from portal_site import running as portal_running
from structlog.testing import capture_logs
from yarl import URL

from smsgw.api.routes import PUBLIC, ROUTES
from smsgw.web.listening import Connections, Listener

EVIL = ["////evil.example/", "//evil.example/", "///evil.example", "/\\evil.example", "//"]


# --- headers --------------------------------------------------------------------------------------------------------


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
            "/",
            "/login",
            "/none",
            "/static/1/none.css",
            "/static/1/css/base.css",
            "/static/1/logo.svg",
            "/favicon.ico",
            "/records",
            "//x",
            "/api/none",
        ):
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


# --- whose a request is -----------------------------------------------------------------------------------------------

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


# --- where links lead -------------------------------------------------------------------------------------------------


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


# --- lines in the log -------------------------------------------------------------------------------------------------

FLOOD = 1000
FEW = 20


async def flood(count: int, call: object) -> Counter[str]:
    """How many lines of each event were written while a call was made so often, twenty at a time."""
    with capture_logs() as logs:
        for _ in range(count // 20):
            await asyncio.gather(*(call() for _ in range(20)))  # type: ignore[operator]
    return Counter(str(line["event"]) for line in logs)


@pytest.mark.parametrize("provoked", ["no key", "another key", "signature", "path", "parameter", "malformed", "v1"])
async def test_strangers_and_tenants_write_few_lines(
    api: Api, provoked: str, caplog: pytest.LogCaptureFixture, hurried: None
) -> None:
    key = await api.add_key(requests_per_second=10_000)
    auth = {"Authorization": f"Bearer {key.bearer}"}
    made = iter(range(10_000_000))

    async def call() -> None:
        match provoked:
            case "no key":
                await api.send("GET", f"{BASE}/balance")
            case "another key":
                await api.send("GET", f"{BASE}/balance", headers={"Authorization": f"Bearer {next(made)}"})
            case "signature":
                await api.send("GET", f"{BASE}/balance", headers=api.signed("GET", "/other", key=key))
            case "path":
                await api.send("GET", f"{BASE}/x{next(made)}")
            case "parameter":
                await api.send("GET", f"{BASE}/balance?x{next(made)}=1", headers=auth)
            case "malformed":
                assert (await api.raw(b"GET /\xff%d HTTP/1.1\r\n\r\n" % next(made))).startswith(b"HTTP/1.0 400")
            case "v1":
                path = f"{BASE}/balance"
                headers = api.signed("GET", path, key=key, version=1)
                assert (await api.send("GET", path, headers=headers)).code == "OK"

    lines = await flood(FLOOD, call)
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

        async def call() -> None:
            match provoked:
                case "csrf":
                    async with session.post(f"/login?{next(made)}", data={"csrf": "x"}) as answer:
                        assert answer.status == 403
                case "form":
                    sent = {"Content-Type": "application/x-www-form-urlencoded; charset=foo"}
                    async with session.post(f"/login?{next(made)}", data=b"x", headers=sent) as answer:
                        assert answer.status == 400
                case "path":
                    async with session.get(f"/none{next(made)}") as answer:
                        assert answer.status == 404
                case "crash":
                    sent = {"Cookie": "smsgw=x"}
                    async with session.get(f"/login?{next(made)}", headers=sent) as answer:
                        assert answer.status == 500

        lines = await flood(FLOOD, call)
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
