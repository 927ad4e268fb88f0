"""What is no proper request is refused as such, at every address: no answer of 5xx, no traceback, few lines.

Whoever asks may do everything, and what an address names is there: or the right or the id would be refused, and nothing
of the request read. Of what is said to each page some is chosen by chance, the same again with ``SMSGW_SEED``."""

from __future__ import annotations

import asyncio
import random
import re

import pytest
from api_server import BASE, Api
from changes import by_test
from foreign_things import OWNER, furnish
from portal_site import PASSWORD, Site
from reaching import SEED, THINGS, odd, place
from structlog.testing import capture_logs

from smsgw.admin.app import routes as portal_routes
from smsgw.admin.rights import Route
from smsgw.api.routes import PUBLIC, ROUTES
from smsgw.core.actor import Actor
from smsgw.core.permissions import SCOPES
from smsgw.platform.audience import book
from smsgw.platform.audience.model import EntryDraft, Sharing
from smsgw.platform.change import Change
from smsgw.platform.content import service as content
from smsgw.platform.org import service as org

pytestmark = pytest.mark.shard("attacks")

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"

BODIES: list[tuple[str, bytes]] = [
    ("application/json; charset=foo", b"{}"),
    ("application/json; charset=utf-16", b"{}"),
    ("application/json", b'{"a": "\xff\xfe"}'),
    ("application/json", b'\xed\xa0\x80'),
    ("application/json", b'{"a": "\\ud800"}'),
    ("application/json", b"[" * 3000),
    ("application/json", b"null"),
    ("application/json", b"{}"),
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
FILES: list[bytes] = [
    # what follows the token, which is the first part
    b"",
    b"--b--\r\n",
    b"--b\r\n",
    b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
    b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n13800',
    b'--b\r\nContent-Disposition: form-data; name="\xff"; filename="\xff"\r\n\r\n\xff\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="../../x"\r\n\r\n\0\0\0\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x\0.csv"\r\n\r\nx\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s.csv"\r\n\r\na,b\r\n--b--\r\n'
    % (b"x" * 3000),
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n\x89PNG\r\n\x1a\n\0\0\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.xlsx"\r\n\r\nPK\x03\x04\xff\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n\xff\xfe\xff,"\r\n--b--\r\n',
    b'--b\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n'
    b"!\r\n--b--\r\n",
    b'--b\r\nContent-Encoding: gzip\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n'
    b"no gzip\r\n--b--\r\n",
    b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n",
    b'--b\r\nContent-Disposition: form-data; name="csrf"\r\n\r\nagain\r\n--b--\r\n',
]
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

    async def say(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
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


def api_paths() -> list[tuple[str, str]]:
    return [(r.method, BASE + r.path) for r in ROUTES] + [("GET", BASE + p.path) for p in PUBLIC if not p.root] + [
        ("GET", BASE + "/nothing"), ("GET", BASE), ("GET", "/health"), ("GET", "/ready"),
    ]  # fmt: skip


async def api_things(api: Api) -> dict[str, str]:
    """What there is, by the paths that it stands in."""
    by, account = by_test(api.ctx.db), api.account_id
    message = await api.call("POST", "/messages", {"to": ["13800138000"], "content": "您好"})
    assert message.status == 202, message.raw
    return {
        "/messages": message.data["items"][0]["message_id"],
        "/contacts": str(await book.add(by, EntryDraft(account, "8613800138000", "n"))),
        "/audiences": str(await book.add_group(by, account, "n", Sharing())),
        "/signs": str(await content.add_sign(by, account, "又一个")),
        "/templates": str(await content.add_template(by, account, "n", "notice", "x", {})),
    }


@pytest.mark.usefixtures("hurried")
async def test_the_api_refuses_what_is_malformed(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    key = await api.add_key(scopes=tuple(SCOPES), requests_per_second=100_000)
    auth = {"Authorization": f"Bearer {key.bearer}"}
    things = await api_things(api)
    wire = Wire(api.port)
    with capture_logs() as logs:
        for method, path in api_paths():
            plain = re.sub(r"\{[^}]*\}", things.get("/" + path.split("/")[3] if "{" in path else "", "1"), path)
            for kind, body in BODIES if method in ("POST", "PUT", "PATCH") else BODIES[:1]:
                await wire.say(method, plain, auth | ({"Content-Type": kind} if kind else {}), body)
            for query in QUERIES:
                await wire.say(method, f"{plain}?{query}", auth)
            for value in PATHS if "{" in path else PATHS[:2]:
                target = re.sub(r"\{[^}]*\}", value, path) if "{" in path else f"{path}/{value}"
                await wire.say(method, target, auth)
        assert {what for what, status in wire.statuses if status == 403} == set(), "nothing of it was read"
        for header in (
            {"Authorization": "Bearer \xff"}, {"X-Sms-Key": "\xff"}, {"Idempotency-Key": "\xff"},
            {"Accept-Language": "\xff;q=x"}, {"X-Request-Id": "\xff"}, {"Cookie": "\xff"}, {"Host": "\xff"},
            {"Content-Encoding": "x"}, {"Expect": "x"}, {"Range": "bytes=x"}, {"If-None-Match": "\xff"},
        ):  # fmt: skip
            await wire.say("POST", f"{BASE}/messages", auth | header, b"{}")
            await wire.say("GET", f"{BASE}/balance", auth | header)
    assert not wire.failures(), "\n".join(f"{status} {what}" for what, status in wire.failures())
    assert not tracebacks(logs, caplog)


_CHECKED = """
INSERT INTO figure_check (span, day, checked_at, compared, different, differences, accepted, submitted, refused, held)
VALUES ('day', current_date, now(), 1, 0, '[]', 1, 1, 0, 0) RETURNING id
"""
_EXCLUSIONS = """
INSERT INTO exclusion_version VALUES (1, current_date, 'why', 'test') RETURNING version
"""


async def everything(site: Site) -> dict[str, str]:
    """One of everything, and somebody who owns it and may do all."""
    by = Change(site.db, Actor.system("test"), ids=site.ids.next)
    things = await furnish(site, by)
    await org.grant(by, OWNER, ["super"])
    return things | {
        "channel": str(site.channel_id), "brand": str(await site.db.fetchval("SELECT min(id) FROM brand")),
        "check": str(await site.db.fetchval(_CHECKED)), "exclusion": str(await site.db.fetchval(_EXCLUSIONS)),
        "role": str(await site.db.fetchval("SELECT id FROM role WHERE code = 'foreign'")),
    }  # fmt: skip


async def logged_in(site: Site, wire: Wire) -> tuple[dict[str, str], str]:
    """Cookie and token of a session that stays proven."""
    _, raw = await wire.say("GET", "/login", {"Cookie": "smsgw-visitor=" + "v" * 32})
    masked = re.search(rb'name="csrf" value="([^"]+)"', raw)
    assert masked
    form = f"login={OWNER}&password={PASSWORD}&csrf={masked[1].decode()}&next=/".encode()
    asked = {"Cookie": "smsgw-visitor=" + "v" * 32, "Content-Type": FORM}
    _, raw = await wire.say("POST", "/login", asked, form)
    session = re.search(rb"Set-Cookie: (smsgw=[^;]+)", raw)
    assert session
    await site.db.execute("UPDATE portal_session SET factor_at = now() + interval '1 hour'")
    cookie = {"Cookie": session[1].decode()}
    _, raw = await wire.say("GET", "/", cookie)
    found = re.search(rb'name="csrf" value="([^"]+)"', raw)
    assert found
    return cookie, found[1].decode()


def bodies(route: Route, token: str) -> list[tuple[str, bytes]]:
    """What is said to a form; to one with files, what follows its token, too."""
    first = b'--b\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n' + token.encode() + b"\r\n"
    return BODIES + [(MULTIPART, first + rest) for rest in FILES] if route.files else BODIES


@pytest.mark.timeout(900)  # every form of every page
@pytest.mark.usefixtures("hurried")
@pytest.mark.slow
@pytest.mark.parametrize("known", [False, True])
async def test_the_portal_refuses_what_is_malformed(site: Site, known: bool, caplog: pytest.LogCaptureFixture) -> None:
    wire, chance = Wire(int(site.url.rpartition(":")[2])), random.Random(SEED)  # noqa: S311
    cookie, token = {"Cookie": "smsgw-visitor=" + "v" * 32}, "v" * 32
    things = dict.fromkeys({*THINGS.values(), "nobody"}, "1")
    if known:
        things = await everything(site)
        cookie, token = await logged_in(site, wire)

    def some(what: list, n: int) -> list:
        """By chance, where there is much to be done for each."""
        return chance.sample(what, n) if known and n < len(what) else what

    routes = sorted(portal_routes(), key=lambda route: (route.path, route.method))
    with capture_logs() as logs:
        for route in routes:
            if (route.method, route.path) == ("POST", "/logout"):
                continue
            plain = place(route, things)
            if route.method == "POST":
                said = bodies(route, token)
                for kind, body in [*some(BODIES, 10), *some(said[len(BODIES) :], 10)]:
                    sent = {"Content-Type": kind} if kind else {}
                    await wire.say("POST", plain, cookie | sent | {"X-CSRF-Token": token}, body)
            for query in some(QUERIES, 5):
                await wire.say(route.method, f"{plain}?{query}", cookie | {"X-CSRF-Token": token})
            for value in some(PATHS, 4) if "{" in route.path else PATHS[:2]:
                target = odd(route.path, value) if "{" in route.path else f"{route.path.rstrip('/')}/{value}"
                await wire.say(route.method, target, cookie | {"X-CSRF-Token": token})
        if known:
            status, _ = await wire.say("GET", "/", cookie)
            assert status == 200, "they are not logged in any more"
        for method, path in (
            ("GET", "/static/1/x.css"),
            ("GET", "/nothing"),
            ("POST", "/nothing"),
            ("GET", "/favicon.ico"),
        ):
            for query in QUERIES:
                await wire.say(method, f"{path}?{query}", cookie)
        for crumb in COOKIES:
            await wire.say("GET", "/login", {"Cookie": crumb})
        for header in (
            {"Host": "\xff"}, {"Host": "["}, {"Origin": "http://[x"}, {"HX-Current-URL": "\xff", "HX-Request": "true"},
            {"X-CSRF-Token": "\xff"}, {"X-Request-Id": "\xff"}, {"Accept-Language": "\xff"},
            {"If-None-Match": "\xff"}, {"If-Modified-Since": "x"}, {"Range": "bytes=x"}, {"Expect": "x"},
        ):  # fmt: skip
            for method, path in (("GET", "/login"), ("POST", "/login"), ("GET", "/records")):
                sent = cookie | {"Content-Type": FORM} | header
                await wire.say(method, path, sent, b"login=x" if method == "POST" else b"")
    print(f"SMSGW_SEED={SEED}")
    assert not wire.failures(), "\n".join(f"{status} {what}" for what, status in wire.failures())
    assert not tracebacks(logs, caplog)
