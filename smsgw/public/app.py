"""Short links as citizens open them: one look into memory, the click kept in a file, and on to the target.

The only things served are codes, ``/robots.txt``, ``/health`` and ``/ready``. Where a link leads is never taken from a
request, so there is nothing to redirect openly. Who opens codes that never were is told to wait, by address, and raises
the alarm ``guessing``; while the links in memory are stale nobody knows which ones never were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage

from smsgw.core.addresses import Network, place_of
from smsgw.core.clicks import MOST, Hit, Verdict, alone
from smsgw.core.errors import Temporary
from smsgw.core.guard import Bounded, Buckets, Rate
from smsgw.core.guessing import Guesses
from smsgw.core.short_codes import MAX_CHOSEN
from smsgw.platform.links.clicks import Clicks, NewClick, Unkept
from smsgw.platform.links.table import Found, LinkTable, LiveLink
from smsgw.public import pages
from smsgw.web import serving
from smsgw.web.health import add_health

MISSES = Rate(at_once=30, per_second=0.5)
"""Codes that never were, of one address (IPv6: of one /64). Beyond it such codes are refused there for a while. Codes
that are good go on being answered: a carrier has thousands of phones behind one address."""
RETRY_AFTER = 30
ROWS = Rate(at_once=60, per_second=0.2)
"""Hits on one code from one such address that get a row each; the next ones are counted."""
ROWS_HERE = Rate(at_once=200_000, per_second=10)
"""The same of all together on this node: most of a gigabyte a day, whoever opens how much."""
FIRST_ROWS = Rate(at_once=1_000_000, per_second=10)
"""A share apart, of the first hit of a person on each code that one recipient alone has: whoever floods other links
makes nobody one who has not clicked."""
LINKS_KNOWN = 256
"""Links of which it is known whose code was opened here: an eighth of a megabyte each, when they are large."""
SHARE = 1 / 3
"""Of the connections that a node may have; the others are API's and portal's."""
_METHODS = ("GET", "HEAD")
_UNLISTED = {"X-Robots-Tag": "noindex, nofollow"}
_ROBOTS = "User-agent: *\nDisallow: /\n"
_PURPOSES = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
# Characters of them that are kept, beside ``MOST`` of User-Agent: what tells programs from people stands there.
_REFERER, _LANGUAGE, _ACCEPT, _PURPOSE = 120, 32, 64, 40


class Openings:
    """Which codes of personal links people have opened here, since the start; of the links of late."""

    def __init__(self, limit: int = LINKS_KNOWN) -> None:
        self._links: Bounded[int, bytearray] = Bounded(limit)

    def known(self, link_id: int, n: int) -> bool:
        """Whether this one was."""
        bits = self._links.get(link_id)
        return bits is not None and n >> 3 < len(bits) and bool(bits[n >> 3] & 1 << (n & 7))

    def note(self, link_id: int, n: int) -> None:
        """It was."""
        bits = self._links.get(link_id) or bytearray()
        if n >> 3 >= len(bits):
            bits.extend(bytes((n >> 3) + 1 - len(bits)))
        bits[n >> 3] |= 1 << (n & 7)
        self._links.put(link_id, bits)


@dataclass(frozen=True, slots=True)
class PublicContext:
    """What the edge needs."""

    links: LinkTable
    clicks: Clicks
    ids: Callable[[], int]
    clock: Callable[[], float]
    """Seconds since 1970."""
    monotonic: Callable[[], float]
    hosts: Collection[str]
    trusted_proxies: Sequence[Network]
    guesses: Guesses
    misses: Buckets[str] = field(default_factory=lambda: Buckets(MISSES))
    rows: Buckets[tuple[str, int, int]] = field(default_factory=lambda: Buckets(ROWS))
    rows_here: Buckets[None] = field(default_factory=lambda: Buckets(ROWS_HERE))
    first_rows: Buckets[None] = field(default_factory=lambda: Buckets(FIRST_ROWS))
    openings: Openings = field(default_factory=Openings)


def application(context: PublicContext, opening: Opening) -> web.Application:
    """What is served to citizens. Most of them the listener leads on at once (``Opening.at_once``)."""
    app = web.Application(client_max_size=1024)
    serving.dress_answers(app, context.trusted_proxies)
    add_health(app, lambda: ready(context.links))
    app.router.add_route("*", "/robots.txt", _robots)
    app.router.add_route("*", "/{rest:.*}", opening.open)
    return app


def ready(links: LinkTable) -> tuple[bool, dict[str, str]]:
    """It answers from memory, so it is ready while the database is away, once it has read the links."""
    return links.age is not None, {"links": "missing" if links.age is None else "stale" if links.stale else "ok"}


async def _robots(request: web.Request) -> web.Response:
    return web.Response(text=_ROBOTS) if request.method in _METHODS else _not_allowed()


class Opening:
    """Somebody opens something."""

    def __init__(self, context: PublicContext) -> None:
        self._context = context
        self._heads = {https: _head(https=https) for https in (False, True)}
        self._dated = (0, b"")

    async def open(self, request: web.Request) -> web.StreamResponse:
        """On to the target, or a page that says why not."""
        context = self._context
        if request.method not in _METHODS:
            return _not_allowed()
        host, code = _host(request.headers), request.rel_url.raw_path[1:]
        if host not in context.hosts or not _may_be_code(code):
            return _page(pages.NOTHING, 404)
        address = serving.address_of(request, context.trusted_proxies)
        now = context.monotonic()
        found = context.links.find(host, code, context.clock())
        if found is None:
            return self._miss(place_of(address), now)
        if found.link is None:
            return _page(pages.NOTHING, 404)
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keep(request.method, request.headers, found, found.link, address, now, partial(_done, kept))
        await kept
        if found.link.warn:
            return _page(pages.warning(found.link.target), 200)
        return web.Response(status=302, headers={"Location": found.link.target, **_UNLISTED})

    def at_once(self, asked: RawRequestMessage, peer: str, secure: bool, tell: Callable[[bytes], object]) -> bool:
        """As ``open``, of what most do: go straight on by a link in force. ``listening.AtOnce``."""
        context, headers, path = self._context, asked.headers, asked.path
        code, host = path[1:], _host(headers)
        if asked.method != "GET" or path[:1] != "/" or host not in context.hosts or not _may_be_code(code):
            return False
        found = context.links.find(host, code, context.clock())
        if found is None or found.link is None or found.link.warn or not found.link.target.isprintable():
            return False
        https = serving.tls_by(headers, peer, secure, context.trusted_proxies)
        answer = b"".join((self._heads[https], found.link.target.encode(), b"\r\nDate: ", self._date(), b"\r\n\r\n"))
        address = serving.address_by(headers, peer, context.trusted_proxies)
        try:
            self._keep(asked.method, headers, found, found.link, address, context.monotonic(), partial(tell, answer))
        except Temporary:  # no ids just now, and nothing was done: the application says so
            return False
        return True

    def _date(self) -> bytes:
        second, said = self._dated
        now = int(self._context.clock())
        if now != second:
            said = formatdate(now, usegmt=True).encode()
            self._dated = now, said
        return said

    def _miss(self, place: str, now: float) -> web.Response:
        """A code that never was, as far as is known."""
        context = self._context
        if context.links.stale:
            return _page(pages.LATER, 503, {"Retry-After": str(RETRY_AFTER)})
        context.guesses.note("links", place, now)
        if not context.misses.take(place, now):
            return _page(pages.SLOWER, 429, {"Retry-After": str(RETRY_AFTER)})
        return _page(pages.NOTHING, 404)

    def _keep(
        self,
        method: str,
        headers: serving.Headers,
        found: Found,
        link: LiveLink,
        address: str,
        now: float,
        go_on: Callable[[], object],
    ) -> None:
        """The click; ``go_on`` when the visitor may be sent on."""
        context = self._context
        agent = _header(headers.get("User-Agent", ""), MOST)
        language = _header(headers.get("Accept-Language", ""), _LANGUAGE)
        accept = _header(headers.get("Accept", ""), _ACCEPT)
        purpose = _header(" ".join(headers[name] for name in _PURPOSES if name in headers), _PURPOSE)
        human = bool(link.visits_max or link.personal) and (
            alone(Hit(method, agent, purpose, language, accept)) is Verdict.HUMAN
        )
        counted = human and bool(link.visits_max)
        click = NewClick(
            context.ids(), link.id, found.n, link.version, address, method, agent,
            _header(headers.get("Referer", ""), _REFERER), purpose, language, accept, counted,
        )  # fmt: skip
        if counted:
            context.links.visited(link, click.id)
        first = human and link.personal and not context.openings.known(link.id, found.n)
        if first and context.first_rows.take(None, now):
            context.clicks.give(click, partial(self._opened, link.id, found.n, go_on))
        elif not context.rows.take((place_of(address), link.id, found.n), now):
            context.clicks.count(click, Unkept.ADDRESS)
            go_on()
        elif not context.rows_here.take(None, now):
            context.clicks.count(click, Unkept.NODE)
            go_on()
        else:
            context.clicks.give(click, lambda _: go_on())

    def _opened(self, link_id: int, n: int, go_on: Callable[[], object], kept: bool) -> None:
        """By the first person that is known of."""
        if kept:
            self._context.openings.note(link_id, n)
        go_on()


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _head(*, https: bool) -> bytes:
    """What stands before the target when somebody is led on, as any answer of ours is dressed."""
    answer = web.Response(status=302, headers=_UNLISTED)
    serving.dress(answer, https=https, local=False)
    said = {"Content-Length": "0", **answer.headers, "Location": ""}
    lines = "\r\n".join(f"{name}: {value}" for name, value in said.items())
    return f"HTTP/1.1 302 Found\r\n{lines}".encode()


def _host(headers: serving.Headers) -> str:
    """The name that it was opened by, without port; empty when there are several, which no browser sends."""
    hosts = headers.getall("Host", ())
    return hosts[0].partition(":")[0].rstrip(".").lower() if len(hosts) == 1 else ""


def _may_be_code(text: str) -> bool:
    return 0 < len(text) <= MAX_CHOSEN and text.isascii() and text.replace("-", "").isalnum()


def _header(value: str, most: int) -> str:
    """As it is kept: short, and nothing in it that a database or a terminal minds, or that takes more octets."""
    value = value[:most]
    if value.isascii() and value.isprintable():
        return value
    return "".join(c if " " <= c <= "~" else "?" for c in value)


def _page(html: str, status: int, headers: dict[str, str] | None = None) -> web.Response:
    said = {"Content-Security-Policy": pages.POLICY, **_UNLISTED, **(headers or {})}
    return web.Response(text=html, status=status, content_type="text/html", headers=said)


def _not_allowed() -> web.Response:
    return web.Response(status=405, headers={"Allow": ", ".join(_METHODS)})
