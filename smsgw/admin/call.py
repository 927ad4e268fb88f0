"""One request on its way through the portal: what a handler needs, and nothing global."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlencode, urlsplit

from aiohttp import BodyPartReader, MultipartReader, web

from smsgw.admin.i18n import agreeing, translations
from smsgw.admin.kit import toasts
from smsgw.admin.kit.brand import Shown, shown
from smsgw.admin.kit.compression import compress
from smsgw.admin.kit.menu import Entry, Menu, menu_for
from smsgw.admin.kit.remembered import Remembered
from smsgw.admin.kit.toasts import Toast, ToastKind
from smsgw.admin.security import masked
from smsgw.admin.words.brand import PRODUCT
from smsgw.core.actor import Actor
from smsgw.core.addresses import Network, place_of
from smsgw.core.decoded import Decode
from smsgw.core.evidence import Reads
from smsgw.core.guard import FACTORS, Guard
from smsgw.core.guessing import Guesses
from smsgw.core.model import ChannelStatus
from smsgw.core.numbers import Segments
from smsgw.core.permissions import Permission
from smsgw.core.retention import LEAST
from smsgw.core.webhooks import Reach
from smsgw.platform.change import Change
from smsgw.platform.channels.watching import Running, Watches
from smsgw.platform.login.passkeys import Site
from smsgw.platform.org.model import OpenSession, Person
from smsgw.runtime.config import RetentionConfig
from smsgw.runtime.fair_queue import FairQueue
from smsgw.runtime.tarpit import Tarpit
from smsgw.web import serving

if TYPE_CHECKING:
    from smsgw.admin.auth import Auth
    from smsgw.admin.views import Views
    from smsgw.pipeline.accept.acceptor import Acceptor
    from smsgw.pipeline.delivery.push import Pusher
    from smsgw.pipeline.heartbeat import Cluster
    from smsgw.pipeline.neighbours import Neighbours
    from smsgw.pipeline.outcomes.writer import Outcomes
    from smsgw.pipeline.snapshot import Snapshots
    from smsgw.pipeline.upkeep.measures import Measures
    from smsgw.platform.audit.readings import Readings
    from smsgw.platform.calls.trying import Trying
    from smsgw.platform.campaigns.service import Tasks
    from smsgw.platform.channels.checks import Checker
    from smsgw.platform.channels.service import Prober
    from smsgw.platform.drafts.surveyor import Surveyor
    from smsgw.platform.files.service import FileStore
    from smsgw.platform.handles import Database, Sealer
    from smsgw.platform.health.report import Configured
    from smsgw.platform.review.service import Reviewing
    from smsgw.platform.sheets.service import Sheets


SESSION_COOKIE = "smsgw"
LOGIN_COOKIE = "smsgw-login"
"""A login whose second factor is still to come; opens nothing."""
WALL_COOKIE = "smsgw-wall"
"""The token of a screen that shows the board, and opens nothing else."""
VISITOR_COOKIE = "smsgw-visitor"
"""The CSRF token of those who are not logged in (double submit)."""
LANGUAGE_COOKIE = "smsgw-language"
THEME_COOKIE = "smsgw-theme"
THEMES = ("auto", "light", "dark")
"""Colours of the portal: as the system's, or always these."""
HAVE_HEADER, PIECE_HEADER = "X-Have", "X-Piece"
"""What a page's script has of a piece that refreshes itself, and what it was given: a fingerprint of its text."""
DEVICE_COOKIE = "smsgw-device"
"""Says whose own device this is (``admin/devices``)."""


@dataclass(slots=True)
class PortalContext:
    """What the composition root gives to the portal."""

    db: Database
    snapshots: Snapshots
    acceptor: Acceptor
    outcomes: Outcomes
    segments: Segments
    """Whose numbers are, by their segments."""
    channel_status: Callable[[], Sequence[ChannelStatus]]
    checker: Checker
    """Tests what channels are set to."""
    prober: Prober
    """Sends probes through channels."""
    running: Running
    """The channels that run here."""
    secure_cookies: bool
    """Cookies ``__Host-``, Secure, whatever a request has come by; without it those of requests that came by TLS."""
    node: int
    ids: Callable[[], int]
    """Makes ids of rows and events."""
    sealer: Sealer
    """Seals what only we may have written into a cookie; the same on all nodes."""
    files: FileStore
    jobs: asyncio.Event
    """Set it when a durable job was entered: it begins at once."""
    tasks: Tasks
    reviewing: Reviewing
    surveyor: Surveyor
    decode: Decode
    reads: Reads
    """What a carrier's report says, from its octets."""
    trying: Trying
    reach: Reach
    """Where calls may go."""
    measures: Measures
    """What this node has measured of the platform."""
    cluster: Cluster
    """What it knows of the others."""
    neighbours: Neighbours
    """What it tells them."""
    pusher: Pusher
    """Of this node: samples go out by it."""
    data_dir: Path
    """Of this node: what a load test needs is taken from its disk."""
    configured: Configured
    """What health reports know of the configuration."""
    mails: bool
    """This node has a mail server."""
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    """When rows go as a whole."""
    least: Mapping[str, int] = field(default_factory=lambda: LEAST)
    """After how many days numbers may go at the earliest."""
    trusted_proxies: Sequence[Network] = ()
    """Whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed."""
    guesses: Guesses = field(default_factory=Guesses)
    watches: Watches = field(default_factory=Watches)
    """What was seen of channels' wires at last."""
    link_domains: Sequence[str] = ()
    """Host names of short links, the usual one first."""


@dataclass(slots=True)
class Portal:
    """The portal of one process."""

    context: PortalContext
    views: Views
    auth: Auth
    readings: Readings
    sheets: Sheets
    """Tables that people upload."""
    entries: Sequence[Entry] = ()
    """The menu's, of all pages."""
    tarpit: Tarpit = field(default_factory=Tarpit)
    """For passwords that are wrong over and over, and forms that are none of ours."""
    remembered: Remembered = field(default_factory=Remembered)
    """What pages need not find out again at once."""
    trials: FairQueue = field(default_factory=lambda: FairQueue(1, waiting=4))
    """At trying routes on traffic."""
    setup_guard: Guard = field(default_factory=lambda: Guard(FACTORS))
    """For codes of the first run."""
    wall_guard: Guard = field(default_factory=lambda: Guard(FACTORS))
    """For codes of screens."""
    set_up: bool = False
    """Everything of the first run is done: nobody need look again."""
    in_service: bool = False
    """Messages are delivered: the same."""

    def secure(self, request: web.Request) -> bool:
        """Whether the cookies of this request are for TLS only."""
        return self.context.secure_cookies or serving.over_tls(request, self.context.trusted_proxies)

    def cookie(self, request: web.Request, name: str) -> str:
        """The real name of a cookie: with TLS it is pinned to this host."""
        return f"__Host-{name}" if self.secure(request) else name


@dataclass(slots=True)
class Call:
    """A request with its person, language and rights."""

    request: web.Request
    portal: Portal
    request_id: str
    language: str
    csrf: str = ""
    staff: Person | None = None
    session: OpenSession | None = None
    token: str | None = field(default=None, repr=False)
    parts: MultipartReader | None = None
    """The rest of a form with files, whose first field was the token; not read yet."""
    toasts: list[Toast] = field(default_factory=list)
    """To be shown with the answer, or on the page that a redirect leads to."""
    _brand: Shown | None = None
    _actor: Actor | None = None
    _masked: str = field(default="", repr=False)
    _menu: Menu | None = None
    _shows_toasts: bool = False

    @property
    def csrf_token(self) -> str:
        """The CSRF token as it stands in this answer."""
        if not self._masked:
            self._masked = masked(self.csrf)
        return self._masked

    @property
    def names(self) -> frozenset[str]:
        """What the platform and its purchasers are called, at any host."""
        return self.portal.context.snapshots.current.brands.names

    @property
    def brand(self) -> Shown:
        """Whose platform it is, by the host that the request has come to."""
        if self._brand is None:
            self._brand = shown(self.portal.context.snapshots.current.brands.look(self.request.host))
        return self._brand

    def preview(self, draft: Shown) -> None:
        """Show this page in a look that is not published."""
        self._brand = draft

    @property
    def product(self) -> str:
        """What the platform is called here."""
        return self.brand.look.name or self.gettext(PRODUCT)

    @property
    def owner(self) -> str:
        """The platform and whose it is, as it stands on what leaves it."""
        return self.brand.look.owner(self.gettext(PRODUCT))

    @property
    def theme(self) -> str:
        """The colours that this browser has chosen; ``auto`` follows the system's."""
        wanted = self.cookie(THEME_COOKIE)
        return wanted if wanted in THEMES else THEMES[0]

    @property
    def menu(self) -> Menu:
        """The person's menu, with the place of this page in it."""
        if self._menu is None:
            starred = self.session.favourites if self.session else ()
            there = [one for one in self.portal.entries if not one.whole or self.actor.scope.whole is None]
            self._menu = menu_for(there, self.actor.permissions, self.request.path, starred)
        return self._menu

    @property
    def db(self) -> Database:
        """The database."""
        return self.portal.context.db

    @property
    def who(self) -> Person:
        """The person who is logged in; only behind a right."""
        if self.staff is None:
            raise web.HTTPForbidden
        return self.staff

    @property
    def actor(self) -> Actor:
        """The person as the one who acts; only behind a right."""
        if self._actor is None:
            self._actor = self.who.actor(self.ip)
        return self._actor

    @property
    def site(self) -> Site:
        """Where the browser says it is, for passkeys."""
        scheme = "https" if self.portal.secure(self.request) else "http"
        return Site(f"{scheme}://{self.request.host}")

    @property
    def agent(self) -> str:
        """How the browser calls itself."""
        return self.request.headers.get("User-Agent", "")[:200]

    def change(self) -> Change:
        """What the person wishes to change, for a service."""
        return Change(self.db, self.actor, ids=self.portal.context.ids)

    @property
    def accounts(self) -> tuple[int, ...] | None:
        """The account scope for every query; ``None`` is all."""
        return self.actor.scope.whole

    @property
    def rehearsing(self) -> tuple[str, ...]:
        """Accounts of the person that are in training mode, by name; of who sees all accounts none: it says nothing of
        what such a person is doing."""
        if self.staff is None or self.accounts is None:
            return ()
        known = map(self.portal.context.snapshots.current.account, self.accounts)
        return tuple(one.display_name or one.name for one in known if one is not None and one.training)

    @property
    def ip(self) -> str | None:
        """Address of the caller; None when it has none, as over a unix socket."""
        return serving.address_of(self.request, self.portal.context.trusted_proxies) or None

    @property
    def here(self) -> str:
        """The page of this request, to come back to."""
        if self.request.method not in ("GET", "HEAD"):
            return local_path(self.request.path)
        return local_path(self.request.path_qs)

    async def unwelcome(self) -> None:
        """A stranger was wrong: return at once or, for one who is so over and over, later."""
        await self.portal.tarpit.wait(place_of(self.ip or ""))

    @property
    def page(self) -> str:
        """The page that this request was made from, as far as the browser says; else the first one."""
        headers = self.request.headers
        given = str(headers.get("HX-Current-URL") or headers.get("Referer", ""))
        try:
            place: SplitResult = urlsplit(given)
        except ValueError:
            return "/"
        if place.netloc.lower() != self.request.host.lower():
            return "/"
        return local_path(place.path + (f"?{place.query}" if place.query else ""))

    @property
    def is_htmx(self) -> bool:
        """Whether a page script asks for a piece of a page."""
        return self.request.headers.get("HX-Request") == "true"

    async def reads(self, action: str, object: str, **details: Any) -> None:
        """The person is about to see something that others must be able to ask about: audited, once a day."""
        await self.portal.readings.note(self.db, self.actor, action, object, details)

    def may(self, permission: Permission) -> bool:
        """Whether the person has a permission."""
        return self.staff is not None and self.actor.may(permission)

    def gettext(self, text: str) -> str:
        """A text in the language of the request."""
        return translations(self.language).gettext(text)

    def listed(self, texts: Iterable[str]) -> str:
        """Several in a row, with the comma of the reader's language."""
        return self.gettext("、").join(texts)

    def filled(self, text: str, values: Mapping[str, Any]) -> str:
        """A text with place holders in the language of the request."""
        return agreeing(self.gettext(text), values) % values

    def toast(self, text: str, kind: ToastKind = ToastKind.GOOD) -> None:
        """Say something short about what was done; ``text`` is in the reader's language already."""
        self.toasts.append(Toast(text, kind))

    def take_toasts(self) -> tuple[Toast, ...]:
        """What a page has to show: its own toasts and those of the page before. For the frame, once."""
        self._shows_toasts = True
        carried = toasts.from_cookie(self.cookie(toasts.COOKIE), self.portal.context.sealer)
        return (*carried, *self.toasts)

    def render(self, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """A page or a piece of one."""
        text = self.portal.views.render(template, self.language, {"call": self, **values})
        return web.Response(text=text, content_type="text/html", status=status)

    def piece(self, template: str, **values: Any) -> web.Response:
        """A piece that refreshes itself: 204 when the page has this text already. It has no form of its own."""
        return self.unless_known(self.render(template, **values))

    def unless_known(self, response: web.Response) -> web.Response:
        """An answer with a text; 204 when the page says that it has this one already."""
        text = str(response.text)
        if self._masked:  # the token of its forms is another one each time, and is no news
            text = text.replace(self._masked, "")
        made = hashlib.sha256(text.encode()).hexdigest()[:16]
        if self.request.headers.get(HAVE_HEADER) == made:
            return web.Response(status=204)
        response.headers[PIECE_HEADER] = made
        return response

    async def finish(self, response: web.StreamResponse) -> None:
        """Put the toasts on an answer that is ready, and make it small."""
        if self._shows_toasts and self.cookie(toasts.COOKIE):
            self.del_cookie(response, toasts.COOKIE)
        elif self.toasts and not self._shows_toasts:
            if self.is_htmx and response.status < 300:
                response.headers["HX-Trigger"] = toasts.to_header(self.toasts)
            else:
                self.set_cookie(response, toasts.COOKIE, toasts.to_cookie(self.toasts, self.portal.context.sealer))
        await compress(self.request, response)

    async def file(self, most: int) -> bytes:
        """The next file of the form, read as it comes; empty: there is none. 413 beyond ``most`` octets."""
        part = await self.parts.next() if self.parts is not None else None
        if not isinstance(part, BodyPartReader):
            return b""
        octets = bytearray()
        while piece := await part.read_chunk():
            octets += piece
            if len(octets) > most:
                raise web.HTTPRequestEntityTooLarge(most, len(octets))
        return bytes(octets)

    def redirect(self, path: str, **query: str) -> web.Response:
        """See other: after a change, and to the login page. A script that has sent a file (``js/upload.js``) is told
        where, and goes there: it would follow a redirect by itself and see the page, with its toasts, in its place."""
        to = path + ("?" + urlencode(query) if query else "")
        if self.request.headers.get("X-Upload"):
            return web.Response(headers={"HX-Redirect": to})
        return web.Response(status=303, headers={"Location": to})

    def cookie(self, name: str) -> str:
        """A cookie of the portal; empty when the browser has none."""
        return self.request.cookies.get(self.portal.cookie(self.request, name), "")

    def set_cookie(self, response: web.StreamResponse, name: str, value: str, *, max_age: int | None = None) -> None:
        """Set a cookie of the portal; HttpOnly, same site only."""
        response.set_cookie(
            self.portal.cookie(self.request, name),
            value,
            max_age=max_age,
            path="/",
            secure=self.portal.secure(self.request),
            httponly=True,
            samesite="Strict",
        )

    def del_cookie(self, response: web.StreamResponse, name: str) -> None:
        """Forget a cookie."""
        response.del_cookie(
            self.portal.cookie(self.request, name), path="/", secure=self.portal.secure(self.request), httponly=True,
            samesite="Strict",
        )  # fmt: skip


def local_path(path: str | None) -> str:
    """A path inside the portal to go on to, ``/`` for anything that could lead elsewhere."""
    if not path or not path.startswith("/") or path.startswith(("//", "/\\")) or not path.isprintable():
        return "/"
    return path
