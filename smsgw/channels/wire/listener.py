"""Where SGIP gateways connect to us: they bring reports and messages from phones over connections of their own.

One listener an address, shared by all channels that name it; the gateway's BIND says which channel it is about.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from typing import Protocol

import structlog

from smsgw.channels import profiles
from smsgw.core.addresses import place_of
from smsgw.core.guard import PARTNERS
from smsgw.core.guessing import Guesses
from smsgw.core.model import ChannelSpec
from smsgw.net.connection import Connection
from smsgw.protocols.events import Closed, Event, LoginRequest, Refused, Violation
from smsgw.protocols.session import Session, SessionConfig
from smsgw.protocols.sgip import rules
from smsgw.protocols.sgip.pdus import Bind
from smsgw.runtime import clock
from smsgw.runtime.rate_limited_logger import RateLimitedLogger

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

MAX_STRANGERS = 64
"""Connections of a listener that have not logged in; the oldest makes room for a new one …"""
MAX_STRANGERS_OF_ONE = 32
"""… and of one address, which gets no more."""
BACKLOG = 128


class ListenerTaken(Exception):
    """Another channel has the same gateway login on the same address: nobody could tell their reports apart."""


class Receiver(Protocol):
    """A channel, as the listener sees it."""

    spec: ChannelSpec
    profile: profiles.Profile
    numbering: rules.Numbering

    def take_over(self, connection: Connection) -> int:
        """Own a connection whose gateway has proved who it is, from now on; 0, or the Result of a refusal."""

    def on_connected(self, connection: Connection) -> None:
        """As ``connection.Owner``."""

    def on_events(self, connection: Connection, events: list[Event]) -> None:
        """As ``connection.Owner``."""

    def on_writable(self, connection: Connection) -> None:
        """As ``connection.Owner``."""


def _login_of(receiver: Receiver) -> tuple[str, str]:
    profile, spec = receiver.profile, receiver.spec
    return profile.peer_username or spec.username, profile.peer_password or spec.password


class SgipListener:
    """One listening socket."""

    def __init__(self, address: str, guesses: Guesses) -> None:
        self.address = address
        self._guesses = guesses
        self.receivers: list[Receiver] = []
        self._strangers: dict[Connection, str] = {}
        self._guard = guesses.guard(f"sgip/{address}", PARTNERS)
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen. ``OSError`` when the address cannot be had."""
        host, port = profiles.listen_address(self.address)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connected, host, port, backlog=BACKLOG)
        log.info("sgip.listening", address=self.address)

    @property
    def port(self) -> int:
        """The port that is listened on; 0 when closed."""
        return self._server.sockets[0].getsockname()[1] if self._server is not None else 0

    def close(self) -> None:
        """Listen no more. Connections that belong to channels are theirs."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._strangers):
            connection.abort("listener closed")

    def _connected(self) -> Connection:
        # Any channel's numbers will do: what a listener sends of its own accord is a logout at most.
        made = rules.server(numbering=self.receivers[0].numbering, login_type=rules.SMG_TO_SP)
        config = SessionConfig(
            response_timeout=rules.RESPONSE_TIMEOUT, keepalive_interval=None, idle_timeout=rules.IDLE_TIMEOUT
        )
        return Connection(Session(made, config=config), self, f"sgip {self.address}")

    # --- connection.Owner, until a channel has taken the connection over ----------------------------------------------

    def on_connected(self, connection: Connection) -> None:
        """A stranger has connected."""
        network = place_of(connection.peer)
        mine = sum(one == network for one in self._strangers.values()) >= MAX_STRANGERS_OF_ONE
        if mine or len(self._strangers) >= MAX_STRANGERS:
            sparing.warning("sgip.too_many_strangers", self.address, address=self.address, peer=connection.peer)
        if mine:
            connection.abort("too many connections without a login")
            return
        if len(self._strangers) >= MAX_STRANGERS:
            # A gateway logs in at once, who only holds a place does not.
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.abort("newer connections without a login")
        self._strangers[connection] = network

    def on_writable(self, connection: Connection) -> None:
        """Nothing waits to be written to a stranger."""

    def on_events(self, connection: Connection, events: list[Event]) -> None:
        """Wait for the login and hand the connection to its channel."""
        for event in events:
            match event:
                case LoginRequest(pdu=Bind() as bind):
                    self._login(connection, event, bind)
                case Closed():
                    self._strangers.pop(connection, None)
                case Refused(status=status):
                    self._tell_refused(connection, result=status)
                case Violation(kind=kind, detail=detail):
                    sparing.warning(
                        "link.violation", (self.address, connection.peer, kind),
                        address=self.address, peer=connection.peer, kind=kind, detail=detail,
                    )  # fmt: skip
                case _:
                    pass

    def _login(self, connection: Connection, login: LoginRequest, bind: Bind) -> None:
        now = asyncio.get_running_loop().time()
        if self._guard.wait(
            connection.peer, bind.login_name, now
        ):  # who guesses; a gateway may log in as often as it likes
            self._guesses.note("sgip", place_of(connection.peer), clock.steady())
            self._tell_refused(connection, result=rules.NODE_BUSY)
            connection.session.refuse(login, rules.NODE_BUSY, now=now)
            return
        receiver = next((r for r in self.receivers if rules.proves(bind, *_login_of(r))), None)
        if receiver is None:
            self._guard.failed(connection.peer, bind.login_name, now)
            self._guesses.note("sgip", place_of(connection.peer), clock.steady())
            result = rules.ILLEGAL_LOGIN
        elif not _admitted(receiver.profile, connection.peer):
            result = rules.ADDRESS_NOT_ADMITTED
        else:
            result = receiver.take_over(connection)
        if receiver is not None and result != rules.ADDRESS_NOT_ADMITTED:
            self._guard.succeeded(connection.peer, bind.login_name, now)
        if receiver is None or result:
            self._tell_refused(connection, result=result, login=bind.login_name)
            connection.session.refuse(login, result, now=now)
            return
        self._strangers.pop(connection, None)
        connection.hand_over(receiver, f"{receiver.spec.name}/gateway")
        connection.session.admit(login, now=now)

    def _tell_refused(self, connection: Connection, **fields: object) -> None:
        about = (self.address, connection.peer)
        sparing.warning("sgip.gateway_refused", about, address=self.address, peer=connection.peer, **fields)


def _admitted(profile: profiles.Profile, peer: str) -> bool:
    allowed = profiles.networks(profile.peer_addresses)
    if not allowed:
        return True
    address = ipaddress.ip_address(peer.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in allowed)


class Listeners:
    """The listeners of a node: opened for the first channel that wants an address, closed after the last."""

    def __init__(self, guesses: Guesses) -> None:
        self._guesses = guesses
        self._open: dict[str, SgipListener] = {}
        self._moving = asyncio.Lock()

    async def join(self, receiver: Receiver) -> SgipListener:
        """Listen for a channel. ``OSError`` when the address cannot be had, ``ListenerTaken``."""
        address = receiver.profile.sgip_listen
        async with self._moving:
            listener = self._open.get(address)
            if listener is None:
                listener = SgipListener(address, self._guesses)
                await listener.open()
                self._open[address] = listener
            other = next((r for r in listener.receivers if _login_of(r)[0] == _login_of(receiver)[0]), None)
            if other is not None:
                raise ListenerTaken(
                    f"gateway login {_login_of(receiver)[0]} on {address} belongs to channel {other.spec.name}"
                )
            listener.receivers.append(receiver)
            return listener

    async def leave(self, receiver: Receiver) -> None:
        """Listen for a channel no more; harmless for one that never joined."""
        address = receiver.profile.sgip_listen
        async with self._moving:
            listener = self._open.get(address)
            if listener is None or receiver not in listener.receivers:
                return
            listener.receivers.remove(receiver)
            if not listener.receivers:
                listener.close()
                del self._open[address]


class Numberings:
    """SGIP numbers are message ids of a node number: all channels that have one in common count together."""

    def __init__(self) -> None:
        self._by_node: dict[int, rules.Numbering] = {}

    def of(self, node: int, timestamp: Callable[[], int], first: int) -> rules.Numbering:
        """The numbering of a node number; ``first`` starts a new one."""
        if node not in self._by_node:
            self._by_node[node] = rules.Numbering(node, timestamp, first=first)
        return self._by_node[node]
