"""What is no proper request is refused as such, at every address: no answer of 5xx, no traceback, few lines."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from api_server import BASE, Api
from api_server import running as api_running
from portal_site import PASSWORD, Site
from portal_site import running as portal_running
from structlog.testing import capture_logs

from smsgw.admin.app import routes as portal_routes
from smsgw.api.routes import PUBLIC, ROUTES

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"

BODIES: list[tuple[str, bytes]] = [
    ("application/json; charset=foo", b"{}"),
    ("application/json; charset=utf-16", b"{}"),
    ("application/json", b'{"a": "\xff\xfe"}'),
    ("application/json", b'\xed\xa0\x80'),
    ("application/json", b'{"a": "\\ud800"}'),
    ("application/json", b"[" * 3000),
    (f"{FORM}; charset=foo", b"a=b"),
    (f"{FORM}; charset=utf-7", b"a=+AAA-"),
    (f"{FORM}; charset=base64", b"a=b"),
    (f'{FORM}; charset="\xc3\xa9"'.encode("latin-1").decode("latin-1"), b"a=b"),
    (FORM, b"login=\xff\xfe"),
    (FORM, b"login=%ff%fe&password=%zz&next=%"),
    (FORM, b"login=%00"),
    (FORM, b"&" * 5000),
    (MULTIPART, b""),
    (MULTIPART, b"no part at all"),
    (MULTIPART, b"--b\r\n"),
    (MULTIPART, b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
    (MULTIPART, b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx'),
    (MULTIPART, b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n\xff\r\n--b--\r\n'),
    (MULTIPART, b"--b\r\n\xff\xff\r\n\r\nx\r\n--b--\r\n"),
    (MULTIPART, b"--b\r\nContent-Type: text/plain; charset=foo\r\n"
                b'Content-Disposition: form-data; name="login"\r\n\r\nx\r\n--b--\r\n'),
    (MULTIPART, b"--b\r\nContent-Transfer-Encoding: base64\r\n"
                b'Content-Disposition: form-data; name="login"\r\n\r\n!\r\n--b--\r\n'),
    (MULTIPART, b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n"),
    ("multipart/form-data", b"x"),
    ("multipart/form-data; boundary=" + "b" * 100, b"x"),
    (";;;", b"x"),
    ("", b"x"),
]  # fmt: skip
PATHS = ["%ff", "%zz", "%", "%00", "%2e%2e%2f", "..", "%E4%B8", "a%0d%0ab", "%ed%a0%80", "9" * 400, "-1",
         "%F0%9F%98%80"]  # fmt: skip
QUERIES = ["%ff", "a=%ff", "a=%zz", "a=%00", "%", "=", "&&&", "a=%ed%a0%80", "a=%0d%0aX: y", "limit=%ff", "next=%ff",
           "cursor=%ff", "time=%ff&number=%ff&status=%ff", "lang=%ff", "page=99999999999999999999",
           "next=//evil.com"]  # fmt: skip
COOKIES = ["smsgw=\xff", "smsgw=%00", ";=;", "smsgw-visitor=\xff", "smsgw-language=\xff\xfe", "a" * 3000]


class Wire:
    """A connection that says exactly what it is told, and reads one answer a request."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.statuses: list[tuple[str, int]] = []

    async def say(
        self, method: str, target: str, headers: dict[str, str], body: bytes = b""
    ) -> tuple[int, bytes]:
        named = {"Host": "sms.example.org", "Connection": "close"} | headers
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
            raw = await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()
        assert raw, (method, target, headers)
        status = int(raw.split(b" ", 2)[1])
        self.statuses.append((f"{method} {target} {headers} {body[:40]!r}", status))
        return status, raw

    def failures(self) -> list[tuple[str, int]]:
        return [one for one in self.statuses if one[1] >= 500]


def tracebacks(logs: list, caplog: pytest.LogCaptureFixture) -> list:
    return [
        line for line in logs if line.get("exc_info") or line["log_level"] in ("error", "critical")
    ] + list(caplog.records)


@pytest.fixture
async def api(dsn: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with api_running(dsn, tmp_path) as api:
        yield api


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with portal_running(dsn, tmp_path) as site:
        yield site


def api_paths() -> list[tuple[str, str]]:
    return [(r.method, BASE + r.path) for r in ROUTES] + [("GET", BASE + p.path) for p in PUBLIC if not p.root] + [
        ("GET", BASE + "/nothing"), ("GET", BASE), ("GET", "/health"), ("GET", "/ready"),
    ]  # fmt: skip


@pytest.mark.usefixtures("hurried")
async def test_the_api_refuses_what_is_malformed(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    key = await api.add_key(
        scopes=("send", "query", "report", "mo", "template", "link", "number", "balance", "admin"),
        requests_per_second=100_000,
    )
    auth = {"Authorization": f"Bearer {key.bearer}"}
    wire = Wire(api.port)
    with capture_logs() as logs:
        for method, path in api_paths():
            plain = re.sub(r"\{[^}]*\}", "1", path)
            for kind, body in BODIES if method in ("POST", "PUT") else BODIES[:1]:
                await wire.say(method, plain, auth | ({"Content-Type": kind} if kind else {}), body)
            for query in QUERIES:
                await wire.say(method, f"{plain}?{query}", auth)
            for odd in PATHS if "{" in path else PATHS[:2]:
                target = re.sub(r"\{[^}]*\}", odd, path) if "{" in path else f"{path}/{odd}"
                await wire.say(method, target, auth)
        for header in (
            {"Authorization": "Bearer \xff"}, {"X-Sms-Key": "\xff"}, {"Idempotency-Key": "\xff"},
            {"Accept-Language": "\xff;q=x"}, {"X-Request-Id": "\xff"}, {"Cookie": "\xff"}, {"Host": "\xff"},
            {"Content-Encoding": "x"}, {"Expect": "x"}, {"Range": "bytes=x"}, {"If-None-Match": "\xff"},
        ):  # fmt: skip
            await wire.say("POST", f"{BASE}/messages", auth | header, b"{}")
            await wire.say("GET", f"{BASE}/balance", auth | header)
    assert not wire.failures(), "\n".join(f"{status} {what}" for what, status in wire.failures())
    assert not tracebacks(logs, caplog)


@pytest.mark.timeout(400)  # every form of every page
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("known", [False, pytest.param(True, marks=pytest.mark.slow)])
async def test_the_portal_refuses_what_is_malformed(
    site: Site, known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    wire = Wire(int(site.url.rpartition(":")[2]))
    cookie = {"Cookie": "smsgw-visitor=" + "v" * 32}
    token = "v" * 32
    if known:
        await site.add_staff("admin", "admin")
        _, raw = await wire.say("GET", "/login", cookie)
        masked = re.search(rb'name="csrf" value="([^"]+)"', raw)
        assert masked
        form = f"login=admin&password={PASSWORD}&csrf={masked[1].decode()}&next=/".encode()
        _, raw = await wire.say("POST", "/login", cookie | {"Content-Type": FORM}, form)
        session = re.search(rb"Set-Cookie: (smsgw=[^;]+)", raw)
        assert session
        cookie = {"Cookie": session[1].decode()}
        _, raw = await wire.say("GET", "/", cookie)
        found = re.search(rb'name="csrf" value="([^"]+)"', raw)
        assert found
        token = found[1].decode()
    paths = sorted({(r.method, r.path) for r in portal_routes()} - {("POST", "/logout")})
    paths += [("GET", "/static/1/x.css"), ("GET", "/nothing"), ("POST", "/nothing"), ("GET", "/favicon.ico")]
    with capture_logs() as logs:
        for method, path in paths:
            plain = re.sub(r"\{[^}]*\}", "1", path)
            if method == "POST":
                for kind, body in BODIES:
                    sent = {"Content-Type": kind} if kind else {}
                    await wire.say(method, plain, cookie | sent | {"X-CSRF-Token": token}, body)
            for query in QUERIES:
                await wire.say(method, f"{plain}?{query}", cookie)
            for odd in PATHS if "{" in path else PATHS[:2]:
                target = re.sub(r"\{[^}]*\}", odd, path) if "{" in path else f"{path.rstrip('/')}/{odd}"
                await wire.say(method, target, cookie)
        for odd in COOKIES:
            await wire.say("GET", "/login", {"Cookie": odd})
        for header in (
            {"Host": "\xff"}, {"Host": "["}, {"Origin": "http://[x"}, {"HX-Current-URL": "\xff", "HX-Request": "true"},
            {"X-CSRF-Token": "\xff"}, {"X-Request-Id": "\xff"}, {"Accept-Language": "\xff"},
            {"If-None-Match": "\xff"}, {"If-Modified-Since": "x"}, {"Range": "bytes=x"}, {"Expect": "x"},
        ):  # fmt: skip
            for method, path in (("GET", "/login"), ("POST", "/login"), ("GET", "/records")):
                sent = cookie | {"Content-Type": FORM} | header
                await wire.say(method, path, sent, b"login=x" if method == "POST" else b"")
    assert not wire.failures(), "\n".join(f"{status} {what}" for what, status in wire.failures())
    assert not tracebacks(logs, caplog)
