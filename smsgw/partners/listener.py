"""A listening socket for partners, and the connections on it that have not logged in."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from smsgw import aio
from smsgw.config import split_address
from smsgw.link import Link
from smsgw.partners.face import Face
from smsgw.partners.guard import network_of
from smsgw.protocols.events import Closed, Event, LoginRequest, Refused, Violation
from smsgw.protocols.session import Session, SessionConfig

log = structlog.get_logger(__name__)

MAX_STRANGERS = 512
"""Connections that have not logged in; the oldest makes room for a new one …"""
MAX_STRANGERS_OF_ONE = 128
"""… and of one address, which gets no more."""
BACKLOG = 1024
HANDSHAKE_TIMEOUT = 10.0
LOOK_AT_FILES = 30.0
"""Seconds between two looks at whether the certificate's files have changed."""

STRANGER = SessionConfig(
    login_timeout=10.0,
    response_timeout=60.0,
    keepalive_interval=60.0,
    keepalive_timeout=15.0,
    keepalive_attempts=3,
    idle_timeout=None,
)


def server_context(files: Sequence[str]) -> ssl.SSLContext:
    """TLS with this certificate. Reads files; ``OSError`` with their names when they cannot be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_files(context, files)
    return context


def load_files(context: ssl.SSLContext, files: Sequence[str]) -> None:
    """Read the certificate, again perhaps: what handshakes begin from now on uses it."""
    try:
        context.load_cert_chain(*files[:2])
    except (OSError, ssl.SSLError) as exc:
        raise OSError(
            f"{', '.join(files)}: cannot be used as certificate and key: {exc.strerror or exc}"
        ) from exc


def _stamps(files: Sequence[str]) -> list[float]:
    return [Path(file).stat().st_mtime for file in files]


class Listener:
    """One socket of one protocol. ``on_login(link, event)`` decides about logins."""

    def __init__(
        self, face: Face, address: str, files: Sequence[str], on_login: Callable[[Link, LoginRequest], None]
    ) -> None:
        self.face = face
        self.address = address
        self.refused = 0
        """Connections that were too many."""
        self.violations: Counter[str] = Counter()
        self._files = tuple(files)
        self._on_login = on_login
        self._strangers: dict[Link, str] = {}
        self._by_ip: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self._context: ssl.SSLContext | None = None
        self._stamps: list[float] = []
        self._watch: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listen. ``OSError`` when the address cannot be had, or the certificate is no good."""
        host, port = split_address(self.address)
        how: dict[str, Any] = {}
        if self._files:
            self._stamps = await asyncio.to_thread(_stamps, self._files)
            self._context = await asyncio.to_thread(server_context, self._files)
            how = {
                "ssl": self._context,
                "ssl_handshake_timeout": HANDSHAKE_TIMEOUT,
                "ssl_shutdown_timeout": 2.0,
            }
            self._watch = aio.spawn(
                aio.forever(self.look, every=LOOK_AT_FILES, name="partner.certificate"),
                name="partner.certificate",
            )
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._connected, host or None, port, backlog=BACKLOG, **how
            )
        except OSError as exc:
            raise OSError(
                exc.errno,
                f"cannot listen on {self.address} ([partners.{self.face.protocol}] listen): {exc.strerror}",
            ) from exc
        log.info("partner.listening", protocol=self.face.protocol, address=self.url)

    @property
    def url(self) -> str:
        """Where it listens."""
        if self._server is None or not self._server.sockets:
            return ""
        host, port = self._server.sockets[0].getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        return f"{self.face.protocol}{'s' if self._files else ''}://{shown}:{port}"

    @property
    def strangers(self) -> int:
        """Connections that have not logged in."""
        return len(self._strangers)

    async def close(self) -> None:
        """Listen no more."""
        await aio.cancel(self._watch)
        if self._server is not None:
            self._server.close()
            self._server = None
        for link in list(self._strangers):
            link.abort("listener closed")

    def dismiss(self, link: Link) -> None:
        """It has logged in, and is somebody else's."""
        ip = self._strangers.pop(link, None)
        if ip is not None:
            self._by_ip[ip] -= 1
            if not self._by_ip[ip]:
                del self._by_ip[ip]

    async def look(self) -> None:
        """Take up a renewed certificate."""
        if not self._files:
            return
        stamps = await asyncio.to_thread(_stamps, self._files)
        if stamps != self._stamps and self._context is not None:
            await asyncio.to_thread(load_files, self._context, self._files)
            self._stamps = stamps
            log.info("partner.certificate_renewed", protocol=self.face.protocol, file=self._files[0])

    def _connected(self) -> Link:
        return Link(Session(self.face.rules(), config=STRANGER), self, f"{self.face.protocol} {self.address}")

    # --- link.Owner, until the login ---------------------------------------------------------------------------

    def on_connected(self, link: Link) -> None:
        """A stranger."""
        ip = network_of(link.peer)
        if self._by_ip[ip] >= MAX_STRANGERS_OF_ONE:
            self.refused += 1
            link.abort("too many connections without a login")
            return
        if len(self._strangers) >= MAX_STRANGERS:
            # A partner logs in at once, who only holds a place does not: so nobody is locked out by those who do.
            self.refused += 1
            oldest = next(iter(self._strangers))
            self.dismiss(oldest)
            oldest.abort("newer connections without a login")
        self._strangers[link] = ip
        self._by_ip[ip] += 1

    def on_writable(self, link: Link) -> None:
        """Nothing waits to be written to a stranger."""

    def on_events(self, link: Link, events: list[Event]) -> None:
        """Wait for the login."""
        for event in events:
            match event:
                case LoginRequest():
                    self._on_login(link, event)
                case Closed():
                    self.dismiss(link)
                case Refused(status=status):
                    log.info(
                        "partner.login_refused", protocol=self.face.protocol, peer=link.peer, status=status
                    )
                case Violation(kind=kind):
                    self.violations[kind] += 1
                case _:
                    pass
