"""A listening socket for partners, and the connections on it that have not logged in."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import structlog

from smsgw.core.addresses import place_of
from smsgw.core.guard import Buckets, Rate
from smsgw.net import tls
from smsgw.net.connection import Connection
from smsgw.net.tls import HANDSHAKE_TIMEOUT, Certificate
from smsgw.partners.protocol_server import ProtocolServer
from smsgw.pipeline.periodic import Periodic
from smsgw.protocols.events import Closed, Event, LoginRequest, Refused, Violation
from smsgw.protocols.session import Session, SessionConfig
from smsgw.runtime import clock
from smsgw.runtime.config import split_address
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.runtime.tarpit import Tarpit

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

MAX_STRANGERS = 512
"""Connections that have not logged in; the oldest makes room for a new one …"""
MAX_STRANGERS_OF_ONE = 128
"""… and of one address, which gets no more."""
CONNECTIONS = Rate(200, 20.0)
"""New connections of one address: who comes more often is not listened to."""
BACKLOG = 1024

PARTNER = SessionConfig(
    login_timeout=10.0,
    response_timeout=60.0,
    keepalive_interval=60.0,
    keepalive_timeout=15.0,
    keepalive_attempts=3,
    idle_timeout=None,
)
STRANGER = dataclasses.replace(PARTNER, max_violations_per_minute=10)
"""Whoever has not logged in has little to say, and each PDU that is none costs as much as one that is."""


class Listener:
    """One socket of one protocol. ``on_login(link, event)`` decides about logins."""

    def __init__(
        self,
        face: ProtocolServer,
        address: str,
        files: Sequence[str],
        on_login: Callable[[Connection, LoginRequest], None],
        *,
        shared: bool,
    ) -> None:
        """``shared``: other processes listen at the address, too."""
        self.face = face
        self.address = address
        self._shared = shared
        self.refused = 0
        """Connections that were too many."""
        self.violations: Counter[str] = Counter()
        self._certificate = Certificate(files, f"[partners.{face.protocol}] tls") if files else None
        self._on_login = on_login
        self._strangers: dict[Connection, str] = {}
        self._by_ip: Counter[str] = Counter()
        self._new: Buckets[str] = Buckets(CONNECTIONS)
        self.tarpit = Tarpit()
        """For those whose connection ends by what they have sent."""
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen. ``OSError`` when the address cannot be had, or the certificate is no good."""
        host, port = split_address(self.address)
        how: dict[str, Any] = {}
        if self._certificate is not None:
            await self._certificate.start()
            how = {
                "ssl": self._certificate.context,
                "ssl_handshake_timeout": HANDSHAKE_TIMEOUT,
                "ssl_shutdown_timeout": 2.0,
            }
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._connected, host or None, port, backlog=BACKLOG, reuse_port=self._shared, **how
            )
        except OSError as exc:
            raise OSError(
                exc.errno, f"cannot listen on {self.address} ([partners.{self.face.protocol}] listen): {exc.strerror}"
            ) from exc
        log.info("partner.listening", protocol=self.face.protocol, address=self.url)

    def periodics(self) -> Sequence[Periodic]:
        """What comes round while it listens."""
        if self._certificate is None:
            return ()
        return (Periodic(f"certificate.{self.face.protocol}", tls.LOOK_EVERY, self._certificate.look),)

    @property
    def url(self) -> str:
        """Where it listens."""
        if self._server is None or not self._server.sockets:
            return ""
        host, port = self._server.sockets[0].getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        return f"{self.face.protocol}{'s' if self._certificate is not None else ''}://{shown}:{port}"

    @property
    def listening(self) -> bool:
        """Partners can connect."""
        return self._server is not None and self._server.is_serving()

    @property
    def strangers(self) -> int:
        """Connections that have not logged in."""
        return len(self._strangers)

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for link in list(self._strangers):
            link.abort("listener closed")

    def dismiss(self, link: Connection) -> None:
        """It has logged in, and is somebody else's."""
        ip = self._strangers.pop(link, None)
        if ip is not None:
            link.ending = None
            self._by_ip[ip] -= 1
            if not self._by_ip[ip]:
                del self._by_ip[ip]

    async def look(self) -> None:
        """Take up a renewed certificate at once."""
        if self._certificate is not None:
            await self._certificate.look()

    def _connected(self) -> Connection:
        return Connection(Session(self.face.rules(), config=STRANGER), self, f"{self.face.protocol} {self.address}")

    # --- link.Owner, until the login ---------------------------------------------------------------------------

    def on_connected(self, link: Connection) -> None:
        """A stranger."""
        ip = place_of(link.peer)
        if not self._new.take(ip, clock.steady()):
            self.refused += 1
            link.abort("too many new connections")
            return
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

    def on_writable(self, link: Connection) -> None:
        """Nothing waits to be written to a stranger."""

    def on_events(self, link: Connection, events: list[Event]) -> None:
        """Wait for the login."""
        for event in events:
            match event:
                case LoginRequest():
                    self._on_login(link, event)
                case Closed():
                    self.dismiss(link)
                case Refused(status=status):
                    sparing.info(
                        "partner.login_refused", (self.face.protocol, place_of(link.peer)),
                        protocol=self.face.protocol, peer=link.peer, status=status,
                    )  # fmt: skip
                case Violation(kind=kind):
                    self.violations[kind] += 1
                    if link in self._strangers:
                        link.ending = partial(self.tarpit.call, self._strangers[link])
                case _:
                    pass
