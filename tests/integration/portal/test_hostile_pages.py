"""Each address of the portal, from its route table, with texts that are made to be dear in everything that it reads,
from who may do everything: what the loop spends on an answer is in proportion to what came.

What an address reads is not written down here: whatever it is heard to ask of its query and its form is given to it,
beside what the kit says that it has. Which kinds of texts an address gets is by chance, and the same again with
``SMSGW_SEED``; with ``SMSGW_KINDS=100`` it gets all of them."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partialmethod
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
import pytest_asyncio
from adversarial import BOUND, SIZE, TEXTS
from aiohttp import web_request
from foreign_things import MARK, OWNER, furnish
from portal_site import Site, running
from reaching import ROUTES, SEED, address, filled, operation
from spending import Answer, Visitor
from test_reach import CASES

from smsgw.admin.app import MAX_FORM, MAX_VISITOR_FORM
from smsgw.admin.auth import token_sha256
from smsgw.admin.call import LANGUAGE_COOKIE, SESSION_COOKIE
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.imports import ImportPage
from smsgw.admin.kit.lists import ListPage
from smsgw.admin.rights import PUBLIC, Route
from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA
from smsgw.platform.change import Change
from smsgw.platform.org import queries as people, service as org, sessions
from smsgw.runtime import clock

pytestmark = [pytest.mark.shard("attacks"), pytest.mark.asyncio(loop_scope="module"),
              pytest.mark.usefixtures("hurried")]  # fmt: skip

KINDS = int(os.environ.get("SMSGW_KINDS", "2"))
LINE = 7900
"""Octets of a request line that are left for a query: the server takes 8,190 of it, …"""
HEADER = 8100
"""… and of each header."""
MOST_NAMES = 450
ENDING = ("remove", "retire", "logout", "end", "reset", "stop", "publish", "discard", "withdraw")
"""What may take away what others are about comes last."""


heard: set[str] = set()


class Listened(Mapping[str, Any]):
    """A query or a form that says what it was asked for."""

    def __init__(self, own: Any) -> None:
        self._own = own
        self.items, self.values, self.keys = own.items, own.values, own.keys

    def _heard(self, how: str, key: Any, *more: Any) -> Any:
        heard.add(str(key))
        return getattr(self._own, how)(key, *more)

    get, getall, getone = partialmethod(_heard, "get"), partialmethod(_heard, "getall"), partialmethod(_heard, "getone")
    __getitem__, __contains__ = partialmethod(_heard, "__getitem__"), partialmethod(_heard, "__contains__")

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)


@pytest.fixture(scope="module")
def listening() -> Iterator[None]:
    """The server hears what its pages ask for."""
    query, post = web_request.BaseRequest.query, web_request.BaseRequest.post

    async def posted(self: web_request.BaseRequest) -> Any:
        return Listened(await post(self))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web_request.BaseRequest, "query", property(lambda self: Listened(query.wrapped(self))))
        patch.setattr(web_request.BaseRequest, "post", posted)
        yield


def known(route: Route) -> set[str]:
    """What it is known to read before anybody has listened."""
    names = {name for one in CASES.get(operation(route), ()) for name, _ in one.fields}
    page = getattr(route.handler, "__self__", None)
    if isinstance(page, ListPage):
        names |= {*page.filter.keys, "sort", "at"}
    if isinstance(page, FormPage | ImportPage):
        names |= {field.key for field in page.form.fields}
    return names - {"confirmed", "csrf"}


OF_ALL = {"/roles/": "role", "/channels/": "channel", "/setup/channel/": "channel", "/platform/": "brand"}
"""What is there once for all departments."""


class World:
    """The portal with one of everything, and whoever owns it and may do everything."""

    def __init__(self, site: Site, things: Mapping[str, str], visitor: Visitor) -> None:
        self.site = site
        self.things = things
        self.visitor = visitor
        self.names = {operation(route): known(route) for route in ROUTES}

    async def enter(self) -> None:
        """With a session of its own: those who are asked for a password too often have to wait."""
        found = await people.person_to_check(self.site.db, OWNER)
        assert found
        token = secrets.token_urlsafe(32)
        assert await sessions.open_session(self.site.db, *found, token_sha256(token), "c" * 32, "127.0.0.1")
        self.visitor.cookies = {SESSION_COOKIE: token}
        answer = await self.visitor.ask("GET", "/me")
        assert answer.status == 200, answer.location

    async def ask(self, method: str, path: str, body: bytes = b"", **more: Any) -> Answer:
        answer = await self.visitor.ask(method, path, body, **more)
        if answer.location.startswith("/login") and path != "/login":
            await self.enter()
            answer = await self.visitor.ask(method, path, body, **more)
        return answer

    def path(self, route: Route) -> str:
        cases = CASES.get(operation(route), ())
        thing = next((one.thing for one in cases if one.thing), "")
        if thing == "nobody":
            thing = next((own for beginning, own in OF_ALL.items() if route.path.startswith(beginning)), thing)
        return address(route, thing, self.things)


@asynccontextmanager
async def made_world(postgres: Any, folder: Path, name: str) -> AsyncIterator[World]:
    """A portal over a database of this name, with one of everything."""
    dsn = await postgres.make(name, postgres.template)
    try:
        async with running(dsn, folder) as site, Visitor(site.url) as visitor:
            print(f"SMSGW_SEED={SEED}")
            by = Change(site.db, Actor.system("test"), ids=site.ids.next)
            things = await furnish(site, by)
            await org.grant(by, OWNER, ["super"])
            one = site.db.fetchval
            things["role"] = str(await one("SELECT id FROM role WHERE NOT builtin LIMIT 1"))
            things["brand"] = str(await one("SELECT min(id) FROM brand"))
            things["channel"] = str(site.channel_id)
            things["month"] = f"{clock.now().astimezone(CHINA):%Y-%m}"
            things["staff"] = things["keeper"]  # nobody is asked about oneself
            for kind in ("department", "account"):
                things[f"own_{kind}"] = things[kind]
            things |= {"mate": things["staff"], "mate_login": f"{MARK}-keeper"}
            made = World(site, things, visitor)
            await made.enter()
            yield made
    finally:
        await postgres.drop(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(postgres: Any, tmp_path_factory: pytest.TempPathFactory, listening: None) -> AsyncIterator[World]:
    async with made_world(postgres, tmp_path_factory.mktemp("hostile"), "hostile") as made:
        yield made


def given(kind: str) -> str:
    """As a browser can send it."""
    return TEXTS[kind].encode("utf-8", "replace").decode()


def cut(encoded: str, most: int) -> str:
    """No longer than that, and no half of an escape at its end."""
    encoded = encoded[:most]
    at = encoded.rfind("%", max(0, most - 2))
    return encoded[:at] if at >= 0 else encoded


def forms(names: Sequence[str], text: str, most: int) -> Iterator[bytes]:
    """The text in each of the fields, in as few forms of the longest as it takes."""
    some: list[str] = []
    encoded = cut(quote_plus(text), most - 200)
    for name in names:
        field = f"{quote_plus(name)}={encoded}"
        if some and (sum(map(len, some)) + len(some) + len(field) > most - 100 or len(some) > MOST_NAMES):
            yield "&".join(some).encode()
            some = []
        some.append(field)
    yield "&".join(some).encode()


def queries(names: Sequence[str], text: str, turn: int) -> Iterator[str]:
    """The text in all of them, and as long as it can be in one."""
    encoded = quote_plus(text)
    part = max(60, LINE // max(1, len(names)) - 20)
    yield "&".join(f"{quote_plus(name)}={cut(encoded, part)}" for name in names)[:LINE]
    if names:
        yield f"{quote_plus(names[turn % len(names)])}={cut(encoded, LINE - 40)}"


def rank(route: Route) -> tuple[bool, bool, str]:
    last = any(word in route.path.rpartition("/")[2] for word in ENDING)
    return last, route.method == "POST", route.path


class Bill:
    """What was too dear."""

    def __init__(self, ask: Callable[..., Awaitable[Answer]]) -> None:
        self._ask = ask
        self.found: dict[str, str] = {}
        self.refused: set[str] = set()
        self.reached: set[str] = set()
        self.asked = 0

    async def ask(self, what: str, kind: str, method: str, path: str, body: bytes = b"", **more: Any) -> None:
        """Ask; too dear is what costs more than the bound again and again."""
        least = float("inf")
        for _ in range(4):
            answer = await self._ask(method, path, body, **more)
            self.asked += 1
            assert answer.status < 500, f"{what} {kind}: {answer.status} {answer.text[:2000]}"
            least = min(least, answer.seconds)
            if least <= BOUND:
                break
        (self.refused if answer.status in (401, 403, 404) else self.reached).add(what)
        if least > BOUND:
            self.found[f"{what} {kind}"] = f"{1000 * least:.0f} ms"


async def listen(world: World, route: Route) -> list[str]:
    """The names that it reads, which may be more the more it is given."""
    names = world.names[operation(route)]
    for _ in range(5):
        heard.clear()
        some = sorted(names)
        if route.method == "GET":
            await world.ask("GET", f"{world.path(route)}?{next(queries(some, 'x', 0))}")
        else:
            await world.ask("POST", world.path(route), next(forms(some, "x", MAX_FORM)))
        if heard <= names | {"csrf", "confirmed"}:
            break
        names |= heard - {"csrf", "confirmed"}
    return sorted(names)


def some_kinds(chance: random.Random) -> list[str]:
    return chance.sample(sorted(TEXTS), min(KINDS, len(TEXTS)))


@pytest.mark.slow
@pytest.mark.timeout(300 * max(1, KINDS))
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_every_address(world: World, method: str) -> None:
    chance = random.Random(SEED)  # noqa: S311
    bill = Bill(world.ask)
    wanted = [route for route in sorted(ROUTES, key=rank) if route.method == method and not route.files]
    for turn, route in enumerate(wanted):
        names = await listen(world, route)
        what, path = operation(route), world.path(route)
        for kind in some_kinds(chance):
            text = given(kind)
            if method == "GET":
                for query in queries(names, text, turn):
                    await bill.ask(what, kind, "GET", f"{path}?{query}")
                continue
            for form in forms(names, text, MAX_FORM - 1024):
                await bill.ask(what, kind, "POST", path, form)
            for one in CASES.get(what, ()):  # what is looked at only when the others are right
                right = {n: filled(value, world.things) for n, value in one.fields if n != "confirmed"}
                for name in right:
                    pairs = (right | {name: text[: SIZE // 4]}).items()
                    form = "&".join(f"{quote_plus(k)}={quote_plus(v)}" for k, v in pairs)
                    await bill.ask(f"{what} {name}", kind, "POST", path, form.encode()[: MAX_FORM - 1024])
    print(f"{bill.asked} requests; {len(bill.reached)} addresses, refused {sorted(bill.refused - bill.reached)}")
    assert not bill.found
    assert len(bill.reached) > 0.8 * len(wanted)


@pytest.mark.slow
async def test_files(world: World) -> None:
    """As the content of a file, and as its name."""
    chance = random.Random(SEED)  # noqa: S311
    bill = Bill(world.ask)
    for route in (one for one in ROUTES if one.files):
        for kind in some_kinds(chance):
            text = given(kind)
            head = (
                f'--xyz\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{world.visitor.csrf}\r\n'
                '--xyz\r\nContent-Disposition: form-data; name="file"; filename="'
            ).encode()
            name = text[:200].translate({ord(c): "_" for c in '";\r\n\0'}).encode()
            body = head + name + b'.csv"\r\n\r\n' + text.encode() + b"\r\n--xyz--\r\n"
            headers = {"Content-Type": "multipart/form-data; boundary=xyz", "Content-Length": str(len(body))}
            await bill.ask(operation(route), kind, "POST", world.path(route), body, headers=headers)
    assert not bill.found


@pytest.mark.slow
async def test_visitors(world: World) -> None:
    """Who has not logged in has the pages that are everybody's, and forms that are short."""
    async with Visitor(world.site.url) as visitor:
        bill = Bill(visitor.ask)
        await visitor.ask("GET", "/login")
        for route in (one for one in sorted(ROUTES, key=rank) if one.action == PUBLIC):
            for kind in sorted(TEXTS):
                names, text = sorted(world.names[operation(route)] | {"next"}), given(kind)
                if route.method == "GET":
                    await bill.ask(operation(route), kind, "GET", f"{route.path}?next={cut(quote_plus(text), LINE)}")
                    continue
                for form in (forms(names, text[:1000], MAX_VISITOR_FORM), forms(["login"], text, MAX_VISITOR_FORM)):
                    await bill.ask(operation(route), kind, "POST", route.path, next(form))
    assert not bill.found


HEADERS = ("User-Agent", "Referer", "HX-Current-URL", "Accept-Language", "Accept-Encoding", "X-Request-Id", "X-Have",
           "X-Forwarded-For", "X-Forwarded-Proto", "Origin", "Sec-Fetch-Site", "X-CSRF-Token", "If-None-Match", "Host",
           "X-Upload", "HX-Request", "Authorization", "Range")  # fmt: skip
COOKIES = (SESSION_COOKIE, LANGUAGE_COOKIE, "smsgw-login", "smsgw-visitor", "smsgw-theme", "smsgw-device",
           "smsgw-toasts", "x")  # fmt: skip


def in_a_header(text: str) -> bytes:
    """Its octets, without those that end a header."""
    return b"http://" + text.encode().translate(None, b"\r\n\0")[: HEADER - 20]


@pytest.mark.slow
@pytest.mark.timeout(600)  # dozens of each for every page
async def test_headers_cookies_and_paths(world: World) -> None:
    bill = Bill(world.ask)
    cookies = "; ".join(f"{name}={value}" for name, value in world.visitor.cookies.items())
    for kind in sorted(TEXTS):
        octets = in_a_header(given(kind))
        for name in HEADERS:
            for method, path in (("GET", "/login"), ("GET", "/me"), ("POST", "/theme")):
                await bill.ask(f"{name} {path}", kind, method, path, headers={name: octets})
        for name in COOKIES:
            whole = f"{cookies}; {name}=".encode() + octets[: HEADER - len(cookies) - 40]
            for path in ("/login", "/me"):
                await bill.ask(f"cookie {name} {path}", kind, "GET", path, headers={"Cookie": whole})
        path = cut(quote_plus(given(kind)).replace("+", "%20"), LINE)
        for beginning in ("/", "/records/", "/static/", "/brand/", "/exported/"):
            await bill.ask(f"path {beginning}", kind, "GET", beginning + path)
    assert not bill.found
