"""HTTP connections, of which there are never so many that carriers, the database or the journal want for descriptors.

At the limit the connection that has been idle for longest makes room; while all are busy, who comes waits in the
kernel's backlog. aiohttp's own sites accept whatever comes, and what it costs shows when a carrier's link breaks and
there is no descriptor for the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import resource
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import structlog
from aiohttp import EMPTY_PAYLOAD, HttpVersion11, StreamReader, web
from aiohttp.http_parser import RawRequestMessage

from smsgw.core.addresses import Network, place_of
from smsgw.runtime import aio
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.runtime.tarpit import Tarpit
from smsgw.web import serving

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

BACKLOG = 1024
AT_ONCE = 32
"""Connections that are accepted before the loop turns."""
MAKE_ROOM = 16
"""A sixteenth of the limit makes room at a time, so that looking for the idle ones is rare."""
LOOK_AGAIN = 0.25
"""Seconds; nobody tells when a connection becomes idle."""
IDLE_FOR = 1.0
"""Seconds; what has been idle for less may have a request under way."""
GREETING_SECONDS = 10.0
"""For a TLS handshake."""
GOODBYE_SECONDS = 2.0
"""For the peer's agreement to the end of TLS."""
SLOWEST = 4096
"""Octets per second with which a body has to come, by and large: a modem's 32 kbit/s …"""
GRACE = 30.0
"""… seconds in which it may stand still or be slower, earned anew by what comes faster."""
NOT_READING = 60.0
"""Seconds in which who is answered has to take what waits for him (64 KiB, when anything has to wait)."""
_MANY = 1 << 20
_OF_OTHERS = frozenset({"handler_cancellation", "shutdown_timeout"})
"""Options of the runner that are not the connections'."""


def most_connections(share: float = 1) -> int:
    """Half of the descriptors that the process may have, or a share of it; the other half is everybody else's."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, int((_MANY if soft == resource.RLIM_INFINITY else min(soft, _MANY)) // 2 * share))


async def body_of(content: StreamReader, piece: int = 1) -> AsyncIterator[bytes]:
    """A body as it comes, in pieces of ``piece`` octets or more but for the last. ``TimeoutError``: slower than
    ``SLOWEST`` for longer than ``GRACE``; only what is waited for the sender counts."""
    clock = asyncio.get_running_loop().time
    left, held, size = GRACE, [], 0
    while not content.at_eof():
        began = clock()
        async with asyncio.timeout(left):
            chunk = await content.readany()
        left = min(GRACE, left - (clock() - began) + len(chunk) / SLOWEST)
        held.append(chunk)
        size += len(chunk)
        if size >= piece:
            yield b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)


def longest(size: int) -> float:
    """Seconds within which a body of ``size`` octets comes that is not too slow."""
    return GRACE + size / SLOWEST


class Connections:
    """Those of some listeners together."""

    def __init__(self, most: int, per_address: int = 0, free: Sequence[Network] = ()) -> None:
        """``per_address``: of one address (of one IPv6 network of 64 bits), 0: as many as there are. ``free``: networks
        of proxies, whose connections are those of many."""
        self.most = most
        self.open = 0
        """With those whose TLS handshake is under way."""
        self.closed: Counter[str] = Counter()
        """Since the start: ``idle`` made room; ``address``: refused, its address had all it may have."""
        self.tarpit = Tarpit(max(1, most // MAKE_ROOM))
        """For what is no request; they are no idle ones that make room."""
        self._per_address = per_address
        self._free = free
        self._of: dict[str, set[_Connection]] = {}
        self._left = asyncio.Event()

    async def room(self) -> None:
        """Returns when there may be one more."""
        while self.open >= self.most:
            self._left.clear()
            every = [c for of in self._of.values() for c in of]
            closed = self._close_idle(every, max(1, self.most // MAKE_ROOM))
            if not closed and not any(c.idle for c in every):
                sparing.warning("http.full", "", open=self.open)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN):
                    await self._left.wait()

    def enter(self, connection: _Connection) -> bool:
        """Count one more; False: its address has all that it may have."""
        place = connection.place
        here = self._of.setdefault(place, set())
        if self._per_address and len(here) >= self._per_address and not self._is_free(place):
            # Those that make room are gone a moment later, and one more until then is no harm.
            if not self._close_idle(here, 1):
                self.closed["address"] += 1
                sparing.warning("http.address_full", place, ip=place, open=len(here))
                return False
        here.add(connection)
        self.open += 1
        return True

    def leave(self, connection: _Connection) -> None:
        """One is gone; harmless for one that never was in."""
        here = self._of.get(connection.place, set())
        if connection in here:
            here.remove(connection)
            self.open -= 1
            self._left.set()
        if not here:
            self._of.pop(connection.place, None)

    def _close_idle(self, among: Iterable[_Connection], most: int) -> int:
        before = asyncio.get_running_loop().time() - IDLE_FOR
        idle = sorted((c for c in among if c.idle and c.idle_since < before), key=lambda c: c.idle_since)
        del idle[most:]
        for connection in idle:
            connection.abort()
        self.closed["idle"] += len(idle)
        return len(idle)

    def _is_free(self, place: str) -> bool:
        network = ipaddress.ip_network(place)
        return any(network.overlaps(free) for free in self._free)


class _Connection(web.RequestHandler):
    """One that tells when it is gone, and whether it waits for a request."""

    __slots__ = ("_connections", "_unread", "begun", "place")

    def __init__(self, connections: Connections, place: str, server: web.Server, options: Mapping[str, Any]) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._connections = connections
        self.place = place
        self._unread: asyncio.TimerHandle | None = None
        self.begun = False
        """It is connected, or has been."""

    @property
    def idle(self) -> bool:
        """Between two requests, or before the first is there with all of its headers."""
        waiter = self._waiter
        return self.transport is not None and waiter is not None and not waiter.done()

    @property
    def idle_since(self) -> float:
        """By the loop's clock."""
        return self._next_keepalive_close_time - self.keepalive_timeout

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to what is no request of any application, with the headers of every other."""
        return serving.bare(super().handle_error(request, status, exc, message))

    def _make_error_handler(self, err_info: Any) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
        answer = super()._make_error_handler(err_info)

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            await self._connections.tarpit.wait(self.place)
            return await answer(request)

        return handler

    def abort(self) -> None:
        """Gone a moment later, whatever the peer does: closing alone waits for it to read, and over TLS to agree."""
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.begun = True
        super().connection_made(transport)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = asyncio.get_running_loop().call_later(NOT_READING, self.abort)

    def resume_writing(self) -> None:
        self._forget_unread()
        super().resume_writing()

    def _forget_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def connection_lost(self, exc: BaseException | None) -> None:
        self._forget_unread()
        self._connections.leave(self)
        super().connection_lost(exc)


class AtOnce(Protocol):
    """Answers requests that need neither a task nor an application."""

    def __call__(self, asked: RawRequestMessage, peer: str, secure: bool, tell: Callable[[bytes], object], /) -> bool:
        """False: not this one, and nothing was done. True: ``tell`` is called once with the whole answer, now or later,
        and the connection stays open. Only requests without a body come here, of HTTP/1.1, one at a time."""


class _QuickConnection(_Connection):
    """One whose plain requests are answered at once; all else of it is aiohttp's.

    aiohttp makes a task for each request and goes round the loop three times more for it. Here it waits for its next
    request all the while (``_waiter`` is out of its sight), and is given whatever comes before the answer is written.
    """

    __slots__ = ("_at_once", "_kept")

    def __init__(
        self, connections: Connections, place: str, server: web.Server, options: Mapping[str, Any], at_once: AtOnce
    ) -> None:
        super().__init__(connections, place, server, options)
        self._at_once = at_once
        self._kept: asyncio.Future[None] | None = None
        """What aiohttp waits with, while an answer is under way."""

    def data_received(self, data: bytes) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            super().data_received(data)
            return
        self._waiter = None  # it only reads now
        try:
            super().data_received(data)
        finally:
            self._waiter = waiter
        if self._messages and not self._answer(waiter):
            waiter.set_result(None)

    def _answer(self, waiter: asyncio.Future[None]) -> bool:
        message, payload = self._messages[0]
        if (
            len(self._messages) > 1 or payload is not EMPTY_PAYLOAD or not isinstance(message, RawRequestMessage)
            or message.version != HttpVersion11 or message.should_close or message.upgrade
            or "Expect" in message.headers or self._paused or self._buffer_paused or self._close or self._force_close
        ):  # fmt: skip
            return False
        peer = self.peername
        self._messages.clear()
        self._waiter, self._kept, self._request_in_progress = None, waiter, True
        if not self._at_once(message, peer[0] if peer else "", self.ssl_context is not None, self._tell):
            self._messages.append((message, payload))
            self._give_back()
            return False
        if self._parser is not None:
            self._parser.message_consumed()
        if self._manager is not None:
            self._manager.requests_count += 1
        return True

    def _give_back(self) -> asyncio.Future[None] | None:
        """No answer is under way any more. Who stops waits for that."""
        waiter, self._kept = self._kept, None
        if waiter is not None:
            self._waiter, self._request_in_progress = waiter, False
            if self._handler_waiter is not None and not self._handler_waiter.done():
                self._handler_waiter.set_result(None)
        return waiter

    def _tell(self, answer: bytes) -> None:
        waiter = self._give_back()
        transport = self.transport
        if waiter is None or transport is None:  # who asked has gone
            return
        transport.write(answer)
        if self._close or self._force_close:
            waiter.cancel()
            transport.close()
            return
        self._next_keepalive_close_time = close_time = self._loop.time() + self.keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(close_time, self._process_keepalive)
        if self._messages and not waiter.done():
            waiter.set_result(None)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._give_back()
        super().connection_lost(exc)


class Listener(web.BaseSite):
    """Where an application is served; in place of ``web.TCPSite``."""

    __slots__ = (
        "_accepting", "_at_once", "_connections", "_greeting", "_host", "_options", "_port", "_shared", "_sockets",
    )  # fmt: skip

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        connections: Connections,
        options: Mapping[str, Any],
        context: ssl.SSLContext | None = None,
        *,
        shared: bool = False,
        at_once: AtOnce | None = None,
    ) -> None:
        """``host``: "" for all addresses. ``options``: those of the runner. ``shared``: other processes listen there,
        too, and the kernel gives each its part of the connections. ``at_once``: answers what the application need not
        see."""
        super().__init__(runner, ssl_context=context, backlog=BACKLOG)
        self._host = host
        self._port = port
        self._shared = shared
        self._at_once = at_once
        self._connections = connections
        self._options = {name: value for name, value in options.items() if name not in _OF_OTHERS}
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._greeting: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """As a URL, with the port that was found when any would do."""
        host, port = self.addresses[0][:2] if self._sockets else (self._host, self._port)
        scheme, shown = "https" if self._ssl_context else "http", f"[{host}]" if ":" in host else host
        return f"{scheme}://{shown}:{port}"

    @property
    def addresses(self) -> list[Any]:
        """What is listened on."""
        return [sock.getsockname() for sock in self._sockets]

    async def start(self) -> None:
        """Listen. ``OSError`` when an address cannot be had."""
        await super().start()
        found = await asyncio.get_running_loop().getaddrinfo(
            self._host or None, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, address in dict.fromkeys(found):
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError:  # a kernel without IPv6
                if len(found) == 1:
                    raise
                continue
            self._sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self._shared:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setblocking(False)
            sock.bind(address)
            sock.listen(self._backlog)
        self._accepting = [aio.spawn(self._accept(sock), name="http.accept") for sock in self._sockets]

    async def stop(self) -> None:
        """Listen no more; connections go on until the runner ends them."""
        await aio.cancel(*self._accepting, *self._greeting)
        for sock in self._sockets:
            sock.close()
        await super().stop()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for _ in range(AT_ONCE):
                try:
                    sock, peer = await loop.sock_accept(listening)
                except OSError as exc:  # no descriptor, after all; or the peer has gone before we looked
                    sparing.warning("http.accept_failed", exc.errno, error=exc.strerror)
                    await asyncio.sleep(LOOK_AGAIN)
                    continue
                try:
                    await self._connections.room()
                    self._begin(sock, peer[0])
                except BaseException:
                    sock.close()
                    raise
            await asyncio.sleep(0)

    def _begin(self, sock: socket.socket, address: str) -> None:
        server = self._runner.server
        assert server is not None  # noqa: S101 - set up before there is a site
        whose = (self._connections, place_of(address), server, self._options)
        connection = _Connection(*whose) if self._at_once is None else _QuickConnection(*whose, self._at_once)
        if not self._connections.enter(connection):
            sock.close()
            return

        def greeted(task: asyncio.Task[None]) -> None:
            self._greeting.discard(task)
            if not connection.begun:
                sock.close()
                self._connections.leave(connection)

        task = aio.spawn(self._greet(sock, connection), name="http.greet")
        self._greeting.add(task)
        task.add_done_callback(greeted)

    async def _greet(self, sock: socket.socket, connection: _Connection) -> None:
        """Hand the socket to its connection, after the TLS handshake where there is one."""
        context = self._ssl_context
        how: dict[str, Any] = {}
        if context:
            how = {"ssl": context, "ssl_handshake_timeout": GREETING_SECONDS, "ssl_shutdown_timeout": GOODBYE_SECONDS}
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, sock, **how)
        except OSError as exc:  # of TLS, too
            sparing.info("http.greeting_failed", connection.place, ip=connection.place, error=type(exc).__name__)
