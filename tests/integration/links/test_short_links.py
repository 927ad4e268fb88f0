"""Short links over a real database and real sockets: made, opened, stopped; clicks entered once and judged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from aiohttp import web
from changes import by_test
from databases import change as as_owner, owner

from smsgw.api.app import runner_options
from smsgw.core import clicks as rules
from smsgw.core.actor import Actor, ActorKind, Scope
from smsgw.core.addresses import Network
from smsgw.core.clicks import BURST_CODES
from smsgw.core.errors import SmsgwError
from smsgw.core.guessing import Guesses
from smsgw.core.ids import CHINA, IdSource, first_id
from smsgw.core.permissions import Permission
from smsgw.core.short_codes import SERIALS
from smsgw.pipeline.accept.disk import DiskGuard
from smsgw.pipeline.upkeep.retention import RetentionSweep
from smsgw.platform.accounts import service as accounts
from smsgw.platform.change import Change
from smsgw.platform.links import clicks as clicking, queries, service, table
from smsgw.platform.links.clicks import Clicks
from smsgw.platform.links.model import LinkKind, LinkState, NewLink, ShortLink
from smsgw.platform.links.table import LinkTable
from smsgw.platform.paging import Window
from smsgw.public import app as public
from smsgw.public.app import PublicContext
from smsgw.runtime import aio, clock, config
from smsgw.store.engine.database import Database
from smsgw.store.engine.mapped import MappedFile
from smsgw.store.engine.secrets import Sealer
from smsgw.store.engine.spool import Reader, Segment, Spool
from smsgw.web.listening import Connections, Listener

HOST, OTHER = "s.example.cn", "t.example.cn"
DOMAINS = (HOST, OTHER)
SEALER = Sealer(b"of short links".ljust(32))
TARGET = "https://www.example.cn/spring?from=sms"
ELSEWHERE = "https://elsewhere.example.cn/"
PHONE = {
    "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Version/17.4 "
    "Mobile/15E148 Safari/604.1",
    "Accept-Language": "zh-CN",
    "Accept": "text/html",
}


@dataclass
class Answer:
    status: int
    headers: Any
    text: str

    @property
    def to(self) -> str | None:
        return self.headers.get("Location")


@contextlib.contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(SmsgwError) as caught:
        yield
    assert caught.value.code == code


@dataclass
class Edge:
    """A public edge on a loopback port, and the links behind it."""

    database: Database
    links: LinkTable
    clicks: Clicks
    session: aiohttp.ClientSession
    port: int
    account: int
    folder: Path
    context: PublicContext
    opening: public.Opening
    ways: Counter[bool]
    """How many were answered at once (True), and how many by the application."""
    ahead: float = 0.0
    """Seconds by which the edge's clock is further than ours."""
    steady: float = 0.0
    """The other one, which stands still."""

    @property
    def change(self) -> Change:
        return by_test(self.database)

    async def make(self, **given: Any) -> ShortLink:
        account = given.pop("account_id", self.account)
        wanted = NewLink(account, "spring", given.pop("target", TARGET), **given)
        made = await service.make(self.change, SEALER, wanted, DOMAINS, now=datetime.now(UTC))
        await self.links.follow()
        return made

    async def codes(self, link: ShortLink) -> list[str]:
        codes = await queries.permutation(self.database, SEALER)
        return await asyncio.to_thread(lambda: [link.code(n, codes) for n in range(link.codes)])

    async def open(self, path: str, *, host: str = HOST, method: str = "GET", **headers: str) -> Answer:
        named = PHONE | {"Host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, url, headers=named, allow_redirects=False) as answer:
            return Answer(answer.status, answer.headers, await answer.text())

    async def raw(self, octets: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(octets)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer

    async def enter(self) -> None:
        while await self.clicks.enter():
            pass

    async def judge(self) -> None:
        await self.enter()
        while await self.clicks.judge():
            pass

    async def stored(self) -> list[Any]:
        return await self.database.fetch("SELECT * FROM link_click ORDER BY id")

    async def one(self, link: ShortLink) -> ShortLink:
        return await queries.one(self.database, link.id, accounts=None)

    async def stop(self, link: ShortLink) -> None:
        await service.stop(self.change, link.id, reason="complaint")
        await self.links.follow()

    async def pass_(self, link: ShortLink, version: int, **how: Any) -> None:
        await service.pass_(self.change, link.id, version, **how)
        await self.links.follow()


@contextlib.asynccontextmanager
async def opened(
    database: Database, folder: Path, account: int, trusted: Sequence[Network] = ()
) -> AsyncIterator[Edge]:
    ids = IdSource(1, lambda: time.time_ns() // 1_000_000)
    links = LinkTable(database, SEALER)
    room = Spool(folder / "clicks", limit=16 << 20, segment_bytes=1 << 20, mapped=True)
    clicks = Clicks(database, room, links, DiskGuard([folder], 0), None)
    await clicks.start()
    await links.follow()
    context = PublicContext(
        links=links, clicks=clicks, ids=ids.next, clock=lambda: time.time() + built.ahead,
        monotonic=lambda: built.steady, hosts=frozenset(DOMAINS), trusted_proxies=trusted, guesses=Guesses(),
    )  # fmt: skip
    opening, options = public.Opening(context), runner_options()
    runner = web.AppRunner(public.application(context, opening), **options)
    await runner.setup()
    ways: Counter[bool] = Counter()

    def at_once(*asked: Any) -> bool:
        ways[found := opening.at_once(*asked)] += 1
        return found

    listener = Listener(runner, "127.0.0.1", 0, Connections(100), options, at_once=at_once)
    await listener.start()
    try:
        async with aiohttp.ClientSession() as session:
            port = listener.addresses[0][1]
            built = Edge(database, links, clicks, session, port, account, folder, context, opening, ways)
            yield built
    finally:
        await runner.cleanup()
        await clicks.stop()


@pytest_asyncio.fixture
async def edge(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Edge]:
    monkeypatch.setattr(clicking, "SETTLED", timedelta(seconds=-1))
    async with opened(database, tmp_path, await accounts.add(by_test(database), "acme")) as built:
        yield built


async def refuses(edge: Edge, code: str, **given: Any) -> None:
    wanted = replace(NewLink(edge.account, "spring", TARGET), **given)
    with refused(code):
        await service.make(edge.change, SEALER, wanted, DOMAINS, now=datetime.now(UTC))


@contextlib.contextmanager
def no_room(edge: Edge) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge.clicks._spool, "_limit", 0)
        yield


async def test_a_link_leads_to_its_target_and_its_click_is_kept(edge: Edge) -> None:
    link = await edge.make()
    (code,) = await edge.codes(link)
    answer = await edge.open(f"/{code}", Referer="https://mail.example.cn/")
    assert (answer.status, answer.to) == (302, TARGET)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert "Set-Cookie" not in answer.headers
    assert "Server" not in answer.headers
    await edge.judge()
    (click,) = await edge.stored()
    assert (click["link_id"], click["n"], click["version"], click["verdict"]) == (link.id, 0, 1, "human")
    assert (click["address"], click["referer"]) == ("127.0.0.1", "https://mail.example.cn/")
    figures = await queries.figures(edge.database, link)
    assert (figures.hits, figures.humans, figures.visitors, figures.by_verdict) == (1, 1, 1, {"human": 1})
    (shown,) = (await queries.clicks(edge.database, link, Window("clicked_at"))).rows
    assert shown.agent == PHONE["User-Agent"]


async def test_a_chosen_code_is_one_s_own_on_its_domain(edge: Edge) -> None:
    await edge.make(chosen="spring")
    await edge.make(chosen="spring", domain=OTHER, target="https://other.example.cn/")
    assert (await edge.open("/spring")).to == TARGET
    assert (await edge.open("/SPRING")).to == TARGET
    assert (await edge.open("/spring", host=f"{OTHER}:8443")).to == "https://other.example.cn/"
    await refuses(edge, "STATE_CONFLICT", chosen="spring")
    (code,) = await edge.codes(await edge.make())
    for host in (OTHER, "www.example.cn"):
        assert (await edge.open(f"/{code}", host=host)).status == 404


async def test_each_of_many_recipients_has_a_code_and_a_click_is_of_one_of_them(edge: Edge) -> None:
    """A hundred thousand codes cost one row; a click says whose it was."""
    before, link, after = [await edge.make(**how) for how in ({}, {"kind": LinkKind.PERSONAL, "codes": 100_000}, {})]
    codes = await edge.codes(link)
    assert len(set(codes)) == 100_000
    (first,), (last,) = await edge.codes(before), await edge.codes(after)
    for code in (first, codes[0], codes[4711], codes[99_999], codes[4711], last):
        assert (await edge.open(f"/{code}")).to == TARGET
    await edge.judge()
    rows = await edge.database.fetch("SELECT n, humans FROM link_visitor WHERE link_id = $1 ORDER BY n", link.id)
    assert [tuple(row) for row in rows] == [(0, 1), (4711, 2), (99_999, 1)]
    assert (await queries.figures(edge.database, link)).visitors == 3


async def test_a_counter_that_was_put_back_gives_no_code_twice(edge: Edge) -> None:
    """As after a restore from before the links were made: their codes are in people's hands."""
    link = await edge.make(kind=LinkKind.PERSONAL, codes=100)
    await as_owner(
        edge.database.dsn, "DELETE FROM short_link_target", "DELETE FROM short_link",
        "UPDATE short_link_key SET next = 0",
    )  # fmt: skip
    again = await edge.make(kind=LinkKind.PERSONAL, codes=100)
    assert again.serial >= link.serial + 100
    assert again.serial < SERIALS / 50
    assert (await edge.open(f"/{(await edge.codes(again))[99]}")).to == TARGET


async def test_a_link_ends_when_it_should(edge: Edge) -> None:
    now = datetime.now(UTC)
    ends = await edge.make(chosen="ends", valid_until=now + timedelta(hours=2))
    later = await edge.make(chosen="later", valid_from=now + timedelta(hours=1))
    stopped = await edge.make(chosen="stopped")
    assert (await edge.open("/ends")).status == 302
    assert (await edge.open("/later")).status == 404
    assert later.state(now) is LinkState.WAITING
    await edge.stop(stopped)
    assert (await edge.open("/stopped")).status == 404
    await service.start(edge.change, stopped.id)
    await edge.links.follow()
    assert (await edge.open("/stopped")).status == 302
    edge.ahead = 3601
    assert (await edge.open("/later")).status == 302
    assert (await edge.open("/ends")).status == 302
    edge.ahead = 7201
    assert (await edge.open("/ends")).status == 404
    assert ends.state(now + timedelta(hours=2)) is LinkState.EXPIRED


async def test_visits_of_people_are_limited_and_those_of_programs_are_not_counted(edge: Edge) -> None:
    link = await edge.make(chosen="first3", visits_max=3)
    for _ in range(5):
        assert (await edge.open("/first3", User_Agent="curl/8.4")).status == 302
        assert (await edge.open("/first3", method="HEAD")).status == 302
    answers = await asyncio.gather(*(edge.open("/first3") for _ in range(10)))
    assert sorted(a.status for a in answers) == [302] * 3 + [404] * 7
    await edge.enter()
    assert (await edge.open("/first3")).status == 404
    again = await edge.one(link)
    assert (again.visits, again.state(datetime.now(UTC))) == (3, LinkState.USED_UP)
    # Another node that starts now knows it, too.
    fresh = LinkTable(edge.database, SEALER)
    await fresh.follow()
    found = fresh.find(HOST, "first3", time.time())
    assert found.link is None


async def test_visits_of_an_earlier_run_are_not_taken_for_those_under_way(edge: Edge) -> None:
    link = await edge.make(chosen="twice", visits_max=2)
    assert (await edge.open("/twice")).status == 302
    edge.links.entered([(link.id, 1)])  # left in the file by a run before: together they are two
    assert (await edge.open("/twice")).status == 404


async def test_it_leads_elsewhere_and_clicks_say_where_they_led(edge: Edge) -> None:
    link = await edge.make(chosen="moved")
    await edge.open("/moved")
    await service.lead(edge.change, link.id, "https://www.example.cn/summer", DOMAINS)
    await edge.links.follow()
    assert (await edge.open("/moved")).to == "https://www.example.cn/summer"
    await edge.enter()
    assert [row["version"] for row in await edge.stored()] == [1, 2]
    kept = await queries.targets(edge.database, await edge.one(link))
    assert [(t.version, t.target) for t in kept] == [(2, "https://www.example.cn/summer"), (1, TARGET)]


def clerk_of(edge: Edge) -> Change:
    """Somebody who makes and changes links, and decides on none."""
    may = frozenset({Permission.LINK_VIEW, Permission.LINK_EDIT})
    return Change(edge.database, Actor(ActorKind.PERSON, "clerk", 7, may, Scope((edge.account,))))


async def asked(edge: Edge, target: str = TARGET) -> ShortLink:
    """A link that waits for a review."""
    wanted = NewLink(edge.account, "n", target, chosen="asked")
    return await service.make(clerk_of(edge), SEALER, wanted, DOMAINS, now=datetime.now(UTC))


async def test_who_may_not_decide_waits_for_a_review(edge: Edge) -> None:
    change, made = clerk_of(edge), await asked(edge, f"{TARGET}&b=%3Cscript%3E'\"<i>")
    await edge.links.follow()
    assert made.stored_state is LinkState.REVIEWING
    assert (await edge.open("/asked")).status == 404
    with refused("PERMISSION_DENIED"):
        await service.pass_(change, made.id, 1)
    await edge.pass_(made, 1, warn=True)
    page = await edge.open("/asked")
    assert (page.status, page.to) == (200, None)
    assert "<i>" not in page.text
    assert page.text.count("?from=sms&amp;b=") == 3
    assert "script" not in page.headers["Content-Security-Policy"]
    # What it leads to is looked at again when the clerk changes it, and nobody is led anywhere until then.
    await service.lead(change, made.id, ELSEWHERE, DOMAINS)
    await edge.links.follow()
    assert (await edge.open("/asked")).status == 404
    rejected = await service.reject(edge.change, made.id, 2, "not ours")
    assert (rejected.stored_state, rejected.reason) == (LinkState.REJECTED, "not ours")
    stranger = Change(edge.database, replace(change.actor, scope=Scope((edge.account + 1,))))
    with refused("NOT_FOUND"):
        await service.stop(stranger, made.id)


async def test_a_stop_is_no_way_round_the_review(edge: Edge) -> None:
    """Stopped, led elsewhere, started again: what nobody has passed waits for somebody who does."""
    clerk, made = clerk_of(edge), await asked(edge)
    await service.pass_(edge.change, made.id, 1)
    await service.stop(clerk, made.id)
    assert (await service.start(clerk, made.id)).stored_state is LinkState.ACTIVE  # as it was passed
    await service.stop(clerk, made.id)
    await service.lead(clerk, made.id, ELSEWHERE, DOMAINS)
    assert (await service.start(clerk, made.id)).stored_state is LinkState.REVIEWING
    await edge.links.follow()
    assert (await edge.open("/asked")).status == 404
    await edge.pass_(made, 2)
    assert (await edge.open("/asked")).to == ELSEWHERE


async def test_what_a_decider_has_stopped_only_a_decider_starts(edge: Edge) -> None:
    clerk, made = clerk_of(edge), await asked(edge)
    await service.pass_(edge.change, made.id, 1)
    await service.stop(clerk, made.id)
    assert (await service.stop(edge.change, made.id, reason="complaint")).held  # on top of the clerk's own stop
    with refused("PERMISSION_DENIED"):
        await service.start(clerk, made.id)
    assert (await service.start(edge.change, made.id)).stored_state is LinkState.ACTIVE


async def test_who_decides_decides_on_what_was_seen(edge: Edge) -> None:
    """Led elsewhere while somebody looks at it: neither passed nor rejected, and the log names what was decided on."""
    made = await asked(edge)
    await service.lead(clerk_of(edge), made.id, ELSEWHERE, DOMAINS)
    for decide in (service.pass_(edge.change, made.id, 1), service.reject(edge.change, made.id, 1, "no")):
        with pytest.raises(SmsgwError) as caught:
            await decide
        assert caught.value.code == "STATE_CONFLICT"
        assert ELSEWHERE in str(caught.value)
    await service.pass_(edge.change, made.id, 2)
    said = json.loads(await edge.database.fetchval("SELECT after FROM audit WHERE action = 'short_link.pass'"))
    assert (said["version"], said["target"], said["state"]) == (2, ELSEWHERE, "active")


async def test_no_way_leads_to_more_links_than_there_may_be(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made, started again, led elsewhere after a rejection: of an account, and of all."""
    stopped, refused_one = await edge.make(chosen="stopped"), await asked(edge)
    await service.stop(edge.change, stopped.id)
    await service.reject(edge.change, refused_one.id, 1, "no")
    await edge.make(chosen="last")
    other = await accounts.add(by_test(edge.database), "other")
    for limit in ("MOST_OF_ACCOUNT", "MOST_IN_FORCE"):
        with monkeypatch.context() as patch:
            patch.setattr(service, limit, 1)
            await refuses(edge, "STATE_CONFLICT")
            for one in (
                service.start(edge.change, stopped.id),
                service.lead(clerk_of(edge), refused_one.id, ELSEWHERE, DOMAINS),
            ):
                with refused("STATE_CONFLICT"):
                    await one
    monkeypatch.setattr(service, "MOST_OF_ACCOUNT", 1)
    await edge.make(account_id=other)


async def test_links_whose_time_is_over_leave_the_memory(edge: Edge) -> None:
    await edge.make(chosen="ends", valid_until=datetime.now(UTC) + timedelta(hours=1), visits_max=3)
    await edge.make(chosen="stays")
    assert len(edge.links) == 2
    edge.links.sweep(time.time() + 3601)
    assert len(edge.links) == 1
    assert (await edge.open("/ends")).status == 404


async def test_what_cannot_be_is_refused(edge: Edge) -> None:
    for given in (
        {"target": "http://10.0.0.1/"}, {"target": f"https://{HOST}/x"}, {"name": ""}, {"name": "a\nb"}, {"codes": 2},
        {"kind": LinkKind.PERSONAL, "codes": 1_000_001}, {"kind": LinkKind.PERSONAL, "chosen": "spring"},
        {"kind": LinkKind.PERSONAL, "visits_max": 3}, {"chosen": "12345678"}, {"chosen": "Abcd"}, {"visits_max": -1},
        {"valid_until": datetime(2020, 1, 1, tzinfo=UTC)}, {"domain": "u.example.cn"},
    ):  # fmt: skip
        await refuses(edge, "PARAM_INVALID", **given)
    assert await edge.database.fetchval("SELECT count(*) FROM short_link") == 0


async def test_nothing_else_is_served(edge: Edge) -> None:
    await edge.make(chosen="spring")
    for path in (
        "/", "/login", "/api/v1/messages", "/admin", "/static/app.css", "/metrics", "/spring/", "/spring/x", "//spring",
        "/..%2fspring", "/spring;a", "/favicon.ico", "/.env", "/spring%00", "/" + "a" * 4000, "/index.php",
    ):  # fmt: skip
        answer = await edge.open(path)
        assert (answer.status, answer.to) == (404, None), path
        assert "Set-Cookie" not in answer.headers
    assert (await edge.open("/robots.txt")).text == "User-agent: *\nDisallow: /\n"
    assert (await edge.open("/health")).status == 200
    ready = await edge.open("/ready")
    assert ready.status == 200
    assert '"checks":{"links":"ok"}' in ready.text
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        answer = await edge.open("/spring", method=method)
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD"), method
    assert await edge.database.fetchval("SELECT count(*) FROM link_click") == 0
    for path in ("/spring?to=https://evil.example/", "/spring?url=//evil.example", "/spring?next=%0d%0aX-A:%20b"):
        assert (await edge.open(path)).to == TARGET


async def test_whoever_is_led_on_gets_the_same_answer(edge: Edge) -> None:
    """By the application, and at once, which is how nearly all are: also over TLS, as a proxy says."""
    await edge.make(chosen="spring", target="https://www.example.cn/账单?a=1&b=%20")
    async with opened(edge.database, edge.folder, edge.account, [ip_network("127.0.0.1")]) as proxied:
        for proto, pinned in (("http", 0), ("https", 1)):
            by_proxy = {"X_Forwarded_Proto": proto, "X_Forwarded_For": "36.1.2.3"}
            answers = [await proxied.open(path, **by_proxy) for path in ("/spring?x=1", "/spring")]
            assert {(answer.status, answer.text) for answer in answers} == {(302, "")}
            headers = [dict(answer.headers) for answer in answers]
            dates = [parsedate_to_datetime(one.pop("Date")).timestamp() for one in headers]
            assert headers[0] == headers[1]
            assert max(abs(time.time() - at) for at in dates) < 60
            assert ("Strict-Transport-Security" in headers[0]) == pinned
        assert proxied.ways == {True: 2, False: 2}
        await proxied.enter()
    clicks = [dict(click) for click in await edge.stored()]
    for click in clicks:
        del click["id"], click["at"]
    assert len(clicks) == 4
    assert all(click == clicks[0] for click in clicks)
    assert clicks[0]["address"] == "36.1.2.3"


async def test_a_node_without_ids_leads_nobody_on(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number is another's: it says so, and the connection stays good."""
    await edge.make(chosen="spring", visits_max=1)
    with monkeypatch.context() as patch:
        without = IdSource(1, lambda: time.time_ns() // 1_000_000)
        without.revoke()
        patch.setattr(edge.opening, "_context", replace(edge.context, ids=without.next))
        assert (await edge.open("/spring")).status == 500
    assert (await edge.open("/spring")).status == 302
    assert edge.ways == {False: 1, True: 1}


async def test_rude_requests_lead_nowhere(edge: Edge) -> None:
    await edge.make(chosen="spring")
    for octets in (
        b"GET /spring HTTP/1.1\r\n\r\n", b"GET /spring HTTP/1.1\r\nHost: s.example.cn\r\nHost: evil.example\r\n\r\n",
        b"GET /spring HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /spring HTTP/1.1\r\nHost: s.example.cn@evil.example\r\n\r\n",
        b"GET http://evil.example/spring HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /spring\x00 HTTP/1.1\r\nHost: s.example.cn\r\n\r\n",
        b"GET /spring HTTP/1.1\r\nHost: s.example.cn\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET /spring HTTP/9.9\r\nHost: s.example.cn\r\n\r\n",
    ):  # fmt: skip
        answer = await edge.raw(octets.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/9.9 4")), octets
        for no in (b"302", b"Location", b"evil"):
            assert no not in answer, octets


async def test_headers_of_any_kind_are_kept_harmlessly(edge: Edge) -> None:
    """And take no more room than is said: what is no plain letter takes more octets than characters."""
    await edge.make(chosen="spring")
    rude = b"\xff\xfe " + "\u202e\U0001f600".encode() + b"a" * 3000
    named = (b"User-Agent", b"Referer", b"Accept-Language", b"Accept", b"Sec-Purpose", b"X-Moz")
    octets = b"".join(name + b": " + rude + b"\r\n" for name in named)
    answer = await edge.raw(b"GET /spring HTTP/1.1\r\nHost: s.example.cn\r\nConnection: close\r\n" + octets + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 302 ")
    assert edge.clicks.waiting < 700
    await edge.judge()
    (click,) = await edge.stored()
    assert click["agent"].startswith("??")
    kept = [click[name] for name in ("agent", "referer", "language", "accept", "purpose")]
    assert all(text.isascii() and text.isprintable() for text in kept)


async def test_who_tries_codes_is_told_of_and_keeps_nobody_from_good_ones(edge: Edge) -> None:
    """A carrier has thousands of phones behind one address."""
    await edge.make(chosen="spring")
    await edge.stop(await edge.make(chosen="over"))
    for _ in range(60):  # of a campaign that is over: nobody who guesses
        assert (await edge.open("/over")).status == 404
    answers = [await edge.open(f"/{n:07}A") for n in range(1111111, 1111151)]
    assert [answer.status for answer in answers] == [404] * 30 + [429] * 10
    assert answers[-1].headers["Retry-After"] == "30"
    assert (await edge.open("/spring")).status == 302
    assert (await edge.open("/over")).status == 404
    edge.steady = 2.0
    assert (await edge.open("/1111111A")).status == 404
    assert edge.context.guesses._ways["links"].total == 41


async def test_an_edge_that_does_not_know_says_so(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the database a code may have been made since: it is no guess, and not said to lead nowhere."""
    await edge.make(chosen="spring")
    now = clock.steady()
    monkeypatch.setattr(table.clock, "steady", lambda: now + table.STALE + 1)
    for _ in range(40):
        answer = await edge.open("/made-since")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
    assert (await edge.open("/spring")).to == TARGET
    ready = await edge.open("/ready")
    assert (ready.status, '"links":"stale"' in ready.text) == (200, True)
    assert [told.kind for told in edge.links.findings("node/1")] == ["links_stale"]
    await edge.links.follow()
    assert edge.links.findings("node/1") == []
    assert (await edge.open("/made-since")).status == 404
    assert edge.context.guesses._ways["links"].total == 1


async def test_a_click_is_entered_once_however_often_it_is_read(edge: Edge) -> None:
    link = await edge.make(chosen="limited", visits_max=100)
    for _ in range(20):
        await edge.open("/limited")
    (segment,) = await edge.clicks._spool.rotate()
    octets = segment.path.read_bytes()
    await edge.enter()
    assert not segment.path.exists()
    # As after a crash between the commit and the end of the file.
    folder = edge.folder / "again"
    folder.mkdir()
    (folder / "000000000001.spool").write_bytes(octets)
    room = Spool(folder, limit=1 << 22, segment_bytes=1 << 16, mapped=True)
    second = Clicks(edge.database, room, edge.links, edge.clicks._disk, None)
    await second.start()
    while await second.enter():
        pass
    await second.stop()
    assert (len(await edge.stored()), (await edge.one(link)).visits) == (20, 20)


async def test_a_stop_in_the_midst_of_a_read_throws_nothing_away(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that reads cannot be cut off: what it has read by then is read again."""
    await edge.make(chosen="spring")
    for _ in range(5):
        await edge.open("/spring")
    read, begun, go_on, done = Reader._read, threading.Event(), threading.Event(), threading.Event()

    def slow(reader: Reader) -> list[bytes]:
        begun.set()
        go_on.wait(10)
        try:
            return read(reader)
        finally:
            done.set()

    monkeypatch.setattr(Reader, "_read", slow)
    entering = aio.spawn(edge.clicks.enter(), name="test.enter")
    assert await asyncio.to_thread(begun.wait, 10)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    go_on.set()
    assert await asyncio.to_thread(done.wait, 10)
    await edge.enter()
    assert len(await edge.stored()) == 5


async def test_a_click_whose_link_is_gone_keeps_none_from_being_judged(edge: Edge) -> None:
    """As after a restore: clicks wait in the file of links that the database does not know, or knows as others."""
    codes = ("gone", "newer", "stays")
    gone, new, stays = [await edge.make(chosen=code) for code in codes]
    for code in codes:
        await edge.open(f"/{code}")
    await as_owner(
        edge.database.dsn, "DELETE FROM short_link_target", "DELETE FROM short_link WHERE chosen = 'gone'",
        "UPDATE short_link SET made_at = now() + interval '1 hour' WHERE chosen = 'newer'",
    )  # fmt: skip
    await edge.judge()
    assert {row["link_id"]: row["verdict"] for row in await edge.stored()} == {
        gone.id: "orphan", new.id: "orphan", stays.id: "human",
    }  # fmt: skip
    assert [row["link_id"] for row in await edge.database.fetch("SELECT link_id FROM link_visitor")] == [stays.id]


async def test_without_room_people_are_led_on_and_counted(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    link = await edge.make(chosen="spring", visits_max=2)
    with no_room(edge):
        assert (await edge.open("/spring")).status == 302
    with monkeypatch.context() as patch:
        patch.setattr(edge.clicks, "_disk", DiskGuard([edge.folder], 1 << 40))
        assert (await edge.open("/spring")).status == 302
    assert edge.clicks.unkept == {"room": 2}
    (told,) = edge.clicks.findings("node/1")
    assert (told.kind, "空间不足 2 次" in str(told.detail)) == ("clicks_unkept", True)
    assert (await edge.open("/spring")).status == 404
    await edge.enter()
    assert await edge.stored() == []
    again = await edge.one(link)
    assert (again.unkept, again.visits) == (2, 2)
    assert (await edge.open("/spring")).status == 404


async def test_visits_that_have_no_row_cost_nothing_more_while_the_database_is_away(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are numbers, by link; the limit holds all the same, before they are entered and afterwards."""
    link, other = await edge.make(chosen="many", visits_max=30), await edge.make(chosen="less", visits_max=9)
    with no_room(edge), monkeypatch.context() as patch:
        patch.setattr(edge.database, "_pool", None)
        for path, n in (("/many", 20), ("/less", 3), ("/many", 9)):
            for _ in range(n):
                assert (await edge.open(path)).status == 302
            with pytest.raises(SmsgwError):
                await edge.enter()
        assert edge.links._under_way == {}
        assert len(edge.clicks._visits) == len(edge.links._unkept) == 2
    assert (await edge.open("/many")).status == 302, "one that has a row"
    assert (await edge.open("/many")).status == 404
    await edge.enter()
    assert not edge.links._unkept
    assert (await edge.open("/many")).status == 404
    told = [await edge.one(one) for one in (link, other)]
    assert [(one.unkept, one.visits) for one in told] == [(29, 30), (3, 3)]
    assert [(await edge.open("/less")).status for _ in range(7)] == [302] * 6 + [404]


async def test_clicks_that_have_no_place_are_counted(edge: Edge) -> None:
    link = await edge.make(chosen="spring")
    await edge.clicks.stop()
    (edge.folder / "file").write_text("where a folder should be")
    edge.clicks._spool = Spool(edge.folder / "file", limit=1 << 20, segment_bytes=1 << 16, mapped=True)
    await edge.clicks.start()
    assert (await edge.open("/spring")).status == 302
    await edge.enter()
    assert edge.clicks.unkept == {"disk": 1}
    assert (await edge.one(link)).unkept == 1


def hung(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Nobody has come yet, so no segment is at hand, and none is made before the event."""
    spool, go_on = edge.clicks._spool, threading.Event()
    made = spool._new_memory

    def hanging() -> tuple[Segment, MappedFile]:
        go_on.wait(30)
        return made()

    monkeypatch.setattr(spool, "_new_memory", hanging)
    return go_on


async def test_a_disk_that_hangs_keeps_nobody_waiting(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The visitor is sent on; the click is kept when the disk comes back, and is not counted twice."""
    link = await edge.make(chosen="spring")
    go_on = hung(edge, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(clicking, "PATIENCE", 0.1)
        assert (await edge.open("/spring")).status == 302
    assert (edge.clicks.taken, edge.clicks.unkept.total()) == (0, 0)
    go_on.set()
    assert (await edge.open("/spring")).status == 302  # behind the first one
    await edge.enter()
    assert len(await edge.stored()) == edge.clicks.taken == 2
    assert (await edge.one(link)).unkept == 0


async def test_a_code_whose_click_is_under_way_is_not_opened(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the disk will have it nobody knows: the next one of its recipient is still the first."""
    link = await edge.make(kind=LinkKind.PERSONAL, codes=3)
    (code, *_) = await edge.codes(link)
    go_on = hung(edge, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(clicking, "PATIENCE", 0.1)
        assert (await edge.open(f"/{code}")).status == 302
    assert not edge.context.openings.known(link.id, 0)
    go_on.set()
    assert (await edge.open(f"/{code}")).status == 302
    assert edge.context.openings.known(link.id, 0)


async def test_the_fuller_the_file_the_shorter_the_rests(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what finds no room only a number is kept. Waiting for others is no work either, after which it would rest."""
    await edge.make(chosen="spring")
    for _ in range(5):
        await edge.open("/spring")
    rest = edge.clicks.entering()[0].rest
    assert callable(rest)
    entering = aio.spawn(_entered(edge), name="test.enter")
    async with edge.database.transaction() as connection:
        await connection.execute(clicking._TAKE_TURNS)
        while not await edge.database.fetchval(WAITS):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)
        begun = time.monotonic()
    took = await entering - begun
    assert 0 < rest() <= took
    edge.clicks._worked = 1.0
    rests = []
    for share in (0.01, 0.3, 0.5, 0.9):
        monkeypatch.setattr(edge.clicks._spool, "_limit", edge.clicks._spool.size / share)
        rests.append(round(rest(), 2))
    assert rests == [0.98, 0.4, 0.0, 0.0]


WAITS = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted
"""


async def _entered(edge: Edge) -> float:
    assert await edge.clicks.enter()
    return time.monotonic()


async def test_a_stop_does_not_enter_for_ever_and_closes_its_file(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clicking, "STOP_WITHIN", 0.1)
    await edge.make(chosen="spring")
    await edge.open("/spring")
    async with edge.database.transaction() as connection:
        await connection.execute(clicking._TAKE_TURNS)
        async with asyncio.timeout(10):
            await edge.clicks.stop()
    assert edge.clicks._spool._fd == -1
    assert not edge.clicks.entered
    assert (await edge.open("/spring")).status == 302
    assert edge.clicks.unkept == {"disk": 1}


async def test_who_opens_a_link_without_end_fills_no_disk(edge: Edge) -> None:
    """Beyond what people do hits are counted only; of one code, then of a node."""
    link, other = await edge.make(chosen="spring"), await edge.make(chosen="other")
    for _ in range(80):
        assert (await edge.open("/spring")).status == 302
    assert (await edge.open("/other")).status == 302
    edge.steady = 5.0  # one more row of that address
    for _ in range(2):
        await edge.open("/spring")
    while edge.context.rows_here.take(None, edge.steady):
        pass
    for _ in range(3):
        assert (await edge.open("/other")).status == 302
    assert edge.clicks.unkept == {"address": 21, "node": 3}
    await edge.enter()
    kept = Counter(row["link_id"] for row in await edge.stored())
    assert kept == {link.id: 61, other.id: 1}
    told = [(await edge.one(one)).unkept for one in (link, other)]
    assert told == [21, 3]


async def test_the_first_click_of_each_recipient_is_kept_whoever_floods_other_links(edge: Edge) -> None:
    link = await edge.make(kind=LinkKind.PERSONAL, codes=100)
    codes = await edge.codes(link)
    while edge.context.rows_here.take(None, edge.steady):
        pass
    await edge.open(f"/{codes[70]}", User_Agent="curl/8.5.0")  # a program that comes first is not who has got it
    with no_room(edge):
        await edge.open(f"/{codes[70]}")  # no room, and so not known
    for n in (70, 70, 9, 9, 70):
        await edge.open(f"/{codes[n]}")
    await edge.enter()
    assert [row["n"] for row in await edge.stored()] == [70, 9]
    assert edge.clicks.unkept == {"node": 4, "room": 1}
    assert await queries.unkept(edge.database, [link.id]) == 5
    while edge.context.first_rows.take(None, edge.steady):  # which has its limit, too
        pass
    await edge.open(f"/{codes[10]}")
    assert edge.clicks.unkept["node"] == 5


def test_openings_are_known_of_the_links_of_late() -> None:
    openings = public.Openings(2)
    for link, n in ((1, 999_999), (2, 0), (1, 0), (3, 8)):
        openings.note(link, n)
    known = [(link, n) for link in (1, 2, 3) for n in (0, 1, 8, 999_998, 999_999) if openings.known(link, n)]
    assert known == [(1, 0), (1, 999_999), (3, 8)]


async def test_clicks_are_judged_again_by_newer_rules(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    link = await edge.make(chosen="spring")
    agents = ["NewScannerOf2027", "Phone"]
    for agent in agents:
        for _ in range(3):
            await edge.open("/spring", User_Agent=f"{PHONE['User-Agent']} {agent}")
    await edge.judge()
    before = await queries.figures(edge.database, link)
    assert (before.hits, before.humans) == (6, 3)  # "scanner" is one of the words
    monkeypatch.setattr("smsgw.core.clicks._by_name", rules._by_name.__wrapped__)  # it remembers what the old ones said
    monkeypatch.setattr("smsgw.core.clicks._SCANNERS", ("phone",))
    monkeypatch.setattr("smsgw.core.clicks._GENERIC", ())
    now = datetime.now(UTC)
    assert await service.judge_again(edge.change, now - timedelta(hours=1), now + timedelta(minutes=1)) == 6
    await edge.judge()
    after = await queries.figures(edge.database, link)
    assert (after.hits, after.humans, after.by_verdict) == (6, 0, {"scanner": 6})
    assert (after.first_at, after.last_at) == (None, None)


async def test_who_opens_one_code_after_the_other_is_no_person(edge: Edge) -> None:
    link = await edge.make(kind=LinkKind.PERSONAL, codes=50)
    codes = await edge.codes(link)
    for code in codes[: BURST_CODES + 4]:
        await edge.open(f"/{code}")
    await edge.open(f"/{codes[40]}", User_Agent=PHONE["User-Agent"] + " MicroMessenger/8.0")
    await edge.judge()
    said = {row["n"]: row["verdict"] for row in await edge.stored()}
    assert {said[n] for n in range(BURST_CODES + 4)} == {"scanner"}
    assert said[40] == "human"


async def test_a_step_that_was_too_much_is_halved(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    await edge.make(chosen="spring")
    await edge.open("/spring")
    await edge.enter()
    other = await asyncpg.connect(owner(edge.database.dsn))
    try:
        async with other.transaction():
            await other.execute("LOCK TABLE link_visitor")
            with monkeypatch.context() as patch:
                patch.setattr(clicking, "JUDGE_WITHIN", 0.3)
                with pytest.raises(SmsgwError):
                    await edge.clicks.judge()
    finally:
        await other.close()
    assert edge.clicks._batch == clicking.AT_ONCE // 2
    await edge.judge()
    assert edge.clicks._batch == clicking.AT_ONCE
    assert [row["verdict"] for row in await edge.stored()] == ["human"]


async def test_an_edge_goes_on_without_its_database_and_loses_nothing(edge: Edge) -> None:
    await edge.make(chosen="spring")
    await as_owner(edge.database.dsn, "ALTER TABLE link_click RENAME TO away", "ALTER TABLE short_link RENAME TO gone")
    with pytest.raises(Exception, match="short_link"):
        await edge.links.follow()
    for _ in range(25):
        assert (await edge.open("/spring")).to == TARGET
    with pytest.raises(Exception, match="link_click"):
        await edge.enter()
    await as_owner(edge.database.dsn, "ALTER TABLE away RENAME TO link_click", "ALTER TABLE gone RENAME TO short_link")
    await edge.enter()
    assert len(await edge.stored()) == 25


@pytest.mark.parametrize(
    ("hosts", "wrong"),
    [("", "needs hosts"), ("https://s.example.cn", "names of"), ("S.example.cn", "names of"), ("local", "names of")],
)
def test_names_of_the_edge_are_names(hosts: str, wrong: str) -> None:
    environment = {"SMSGW_PUBLIC_LISTEN": "127.0.0.1:8443", "SMSGW_PUBLIC_HOSTS": hosts}
    with pytest.raises(config.ConfigError, match=wrong):
        config.load(None, environment)
    fine = config.load(None, environment | {"SMSGW_PUBLIC_HOSTS": "s.example.cn,t.example.cn"})
    assert fine.public.hosts == ("s.example.cn", "t.example.cn")
    assert 8443 in fine.ports


async def test_addresses_of_visitors_go_and_what_they_have_told_stays(edge: Edge, dsn: str) -> None:
    """A hash stands where the address stood; the province was noted when the click was judged."""
    link = await edge.make()
    at = datetime.now(UTC) - timedelta(days=5)
    await as_owner(
        dsn,
        f"SELECT partition_make('link_click', '{at.astimezone(CHINA):%Y-%m-%d}')",
        "UPDATE short_link SET made_at = made_at - interval '6 days'",
    )
    for n in range(2):
        await edge.database.execute(
            "INSERT INTO link_click (id, link_id, n, version, at, address, method, agent, referer, purpose, language,"
            " accept) VALUES ($1, $2, 0, 1, $3, '112.96.33.1', 'GET', $4, 'https://a.example/?q=1', '', 'zh', '')",
            first_id(at) + n, link.id, at, PHONE["User-Agent"],
        )  # fmt: skip
    await edge.judge()
    await edge.database.execute(
        "INSERT INTO retention_rule (messages_days, inbound_days, pdus_days, clicks_days, texts, reason, state,"
        " asked_by) VALUES (0, 0, 0, 3, true, 'as agreed', 'passed', 'li')"
    )
    assert (await RetentionSweep(edge.database, SEALER).run()).rows == {"clicks": 2}
    rows = await edge.stored()
    assert {(row["address"][:1], len(row["address"]), row["province"], row["referer"]) for row in rows} == {
        ("#", 33, "广东", "")
    }
    assert len({row["address"] for row in rows}) == 1, "the same address has the same hash"
    wanted = queries.WantedVisits(at - timedelta(days=1), datetime.now(UTC), link.id)
    shown = (await queries.visits_of(edge.database, wanted, Window("clicked_at"), accounts=None)).rows
    assert [one.address for one in shown] == ["#", "#"], "and nobody sees it"
    await service.judge_again(edge.change, at - timedelta(hours=1), at + timedelta(hours=1))
    await edge.judge()
    found = await edge.one(link)
    assert (found.hits, found.humans) == (2, 2)
    assert [row["province"] for row in await edge.stored()] == ["广东", "广东"]
    assert (await RetentionSweep(edge.database, SEALER).run()).rows == {}
