"""The way to receivers: HTTP calls that reach nothing they must not reach, and that end in time.

Addresses are judged where they are connected to: whatever a name resolved to before, a connection to an address that
is not allowed is never opened. Redirects are not followed, proxies of the environment not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections import OrderedDict
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import structlog
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from smsgw.core import public_networks
from smsgw.core.errors import Temporary
from smsgw.core.push_format import Call, satisfied
from smsgw.core.webhooks import Reach
from smsgw.runtime import clock
from smsgw.runtime.fair_queue import FairQueue

log = structlog.get_logger(__name__)

TIMEOUT = 10.0
"""Seconds for a call altogether; what takes longer has failed."""
RESOLVE_TIMEOUT = 5.0
_EXCHANGE = aiohttp.ClientTimeout(total=TIMEOUT, connect=RESOLVE_TIMEOUT + 2)
"""Of a call of the node's own: a connection that takes too long is told from an answer that does."""
MAX_ANSWER = 64 * 1024
"""Octets of an answer that are read; the rest is cut off with the connection."""
SHOWN = 200
"""Characters of an answer that are kept, for people."""
RESOLVERS = 16
"""Threads that resolve names: their own, so that a name server that hangs holds up nobody but pushes, …"""
OWN_RESOLVERS = 4
"""… of one account, which can have at most so many of them. A thread is taken until its name server has answered."""
MAX_WAYS = 64
"""Sets of granted networks whose connections are kept while nothing is under way."""


class Unreached(OSError):
    """There was no connection: certainly nothing has arrived."""


class NotAllowed(Unreached):
    """The address may not be pushed to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended."""

    ok: bool
    status: int
    """HTTP; 0: there was no answer."""
    ms: int
    problem: str = ""
    """Why it failed; for people and logs, with nothing of what was sent."""
    retry_after: float = 0.0
    """Seconds that the receiver asks for (429, 503)."""
    text: str = ""
    """Beginning of the answer."""


_owner: ContextVar[int] = ContextVar("owner")
"""The account for which a name is looked up."""


class _Names:
    """Looks names up."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="push-resolve")
        self._turns = FairQueue(RESOLVERS, OWN_RESOLVERS, patience=RESOLVE_TIMEOUT)

    async def look_up(self, host: str, port: int, family: socket.AddressFamily) -> list[Any]:
        """What ``getaddrinfo`` says. ``OSError``, also when it does not in time."""
        loop, owner = asyncio.get_running_loop(), _owner.get()

        def done(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(self._turns.give, owner)

        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT):
                await self._turns.take(owner)
                work = self._threads.submit(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
                work.add_done_callback(done)
                return await asyncio.wrap_future(work)
        except Temporary as exc:
            raise OSError("too many names are looked up") from exc

    def close(self) -> None:
        """No more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Resolver(AbstractResolver):
    """Names to the addresses that are allowed."""

    def __init__(self, reach: Reach, names: _Names) -> None:
        self._reach = reach
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._names.look_up(host, port, family)
        good: list[ResolveResult] = [
            {
                "hostname": host, "host": str(address[0]), "port": int(address[1]), "family": family_,
                "proto": proto, "flags": socket.AI_NUMERICHOST,
            }
            for family_, _, proto, _, address in found
            if self._reach.allows(str(address[0]))
        ]  # fmt: skip
        if not good:
            raise NotAllowed(f"{host} is at no address that may be pushed to")
        return good

    async def close(self) -> None:
        """There is nothing to close."""


class _Way:
    """Connections to what one reach allows: none of them serves an account that may not go there."""

    def __init__(self, reach: Reach, names: _Names, context: ssl.SSLContext, own_ports: Collection[int]) -> None:
        self._reach = reach
        self._own_ports = own_ports
        self.busy = 0
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=context,
                resolver=_Resolver(reach, names),
                ttl_dns_cache=10,
                limit=0,  # each endpoint has its own limit
                keepalive_timeout=30,
                socket_factory=self._socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept"),
        )

    def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """A socket for the address that is just about to be connected to; the last word on it."""
        family, kind, proto, _, address = info
        if not self._reach.allows(str(address[0])):
            raise NotAllowed("the address may not be pushed to")
        if address[1] in self._own_ports and _is_ours(family, address):
            raise NotAllowed("a listener of this node is no receiver")
        made = socket.socket(family, kind, proto)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


def _is_ours(family: int, address: tuple[Any, ...]) -> bool:
    """Whether this machine has the address: what is sent there would come from there. Nothing is sent."""
    ip = public_networks.parse(str(address[0]))
    if ip is None or ip.is_loopback or ip.is_unspecified:
        return True
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(address)
        except OSError:
            return False
        return bool(probe.getsockname()[0] == address[0])


class Sender:
    """Makes the calls of a node. ``ca_file``: further authorities for receivers' certificates. ``own_ports``: where
    the node itself listens; its own addresses are not called there, whatever is allowed."""

    def __init__(self, *, own_ports: Collection[int], ca_file: str = "") -> None:
        self._ca_file = ca_file
        self._own_ports = frozenset(own_ports)
        self._context: ssl.SSLContext
        self._names: _Names
        self._ways: OrderedDict[Reach, _Way] = OrderedDict()

    async def start(self) -> None:
        """Be ready. ``OSError`` when the file of authorities cannot be used."""
        self._names = _Names()
        self._context = ssl.create_default_context()
        if self._ca_file:
            self._context.load_verify_locations(self._ca_file)

    async def stop(self) -> None:
        """Close all connections."""
        ways, self._ways = self._ways, OrderedDict()
        for way in ways.values():
            await way.session.close()
        self._names.close()

    def _way(self, reach: Reach) -> _Way:
        way = self._ways.get(reach)
        if way is None:
            way = self._ways[reach] = _Way(reach, self._names, self._context, self._own_ports)
        self._ways.move_to_end(reach)
        way.busy += 1
        return way

    async def _leave(self, way: _Way) -> None:
        """A call over it has ended. Of those that nobody uses, what was used longest ago is closed."""
        way.busy -= 1
        idle = [reach for reach, one in self._ways.items() if not one.busy]
        for oldest in idle[: max(0, len(self._ways) - MAX_WAYS)]:
            await self._ways.pop(oldest).session.close()

    async def exchange(self, call: Call, reach: Reach) -> tuple[int, bytes]:
        """One call of the node's own within ``reach``: HTTP status, and what was answered (cut off at ``MAX_ANSWER``
        octets). ``NotAllowed`` for an address that may not be called, ``Unreached`` when it could not be, ``OSError``
        when there is no answer."""
        _owner.set(0)
        way = self._way(reach)
        try:
            async with way.session.request(
                call.method, yarl.URL(call.url, encoded=True), data=call.body or None, headers=call.headers,
                allow_redirects=False, timeout=_EXCHANGE,
            ) as answer:  # fmt: skip
                return answer.status, await _read(answer)
        except aiohttp.ClientConnectorError as exc:
            if isinstance(exc.os_error, NotAllowed):
                raise exc.os_error from exc
            raise Unreached(str(exc)) from exc
        except aiohttp.ConnectionTimeoutError as exc:
            raise Unreached("no connection in time") from exc
        except (aiohttp.ClientError, ValueError) as exc:
            raise OSError("the connection broke off") from exc
        finally:
            await self._leave(way)

    async def send(self, call: Call, reach: Reach, *, owner: int = 0, expect: str = "") -> Answer:
        """One call within ``reach`` for the account ``owner``; never raises for what the receiver or the network
        does."""
        _owner.set(owner)
        started = time.monotonic()

        def ended(problem: str, status: int = 0, **more: object) -> Answer:
            ms = int((time.monotonic() - started) * 1000)
            return Answer(not problem, status, ms, problem, **more)  # type: ignore[arg-type]

        way = self._way(reach)
        try:
            async with way.session.request(
                call.method,
                yarl.URL(call.url, encoded=True),
                data=call.body or None,
                headers=call.headers,
                allow_redirects=False,
            ) as answer:
                status = answer.status
                good = 200 <= status < 300
                body = b""
                if expect or not good:
                    body = await _read(answer)
                elif answer.content_length is None or answer.content_length <= MAX_ANSWER:
                    body = await _read(answer, patience=1.0)  # only so that the connection can be used again
                else:
                    answer.close()
                text = body[: 4 * SHOWN].decode("utf-8", "replace")[:SHOWN]
                if not good:
                    wait = _retry_after(answer.headers.get("Retry-After", "")) if status in (429, 503) else 0.0
                    return ended(f"HTTP {status}", status, retry_after=wait, text=text)
                if not satisfied(expect, body):
                    return ended("the answer does not say what is expected", status, text=text)
                return ended("", status, text=text)
        except TimeoutError:
            return ended(f"no answer within {TIMEOUT:g} s")
        except aiohttp.ClientConnectorCertificateError:
            return ended("the certificate is not valid")
        except aiohttp.ClientConnectorError as exc:
            if isinstance(exc.os_error, NotAllowed):
                return ended("the address may not be pushed to")
            if isinstance(exc, aiohttp.ClientConnectorDNSError):
                return ended("the name does not resolve")
            return ended("no connection")
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            if isinstance(exc, NotAllowed):
                return ended("the address may not be pushed to")
            return ended("the connection broke off")
        finally:
            await self._leave(way)


async def _read(answer: aiohttp.ClientResponse, *, patience: float = TIMEOUT) -> bytes:
    """The beginning of a body. What is longer or slower costs the connection."""
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(patience):
            while size < MAX_ANSWER and (chunk := await answer.content.readany()):
                chunks.append(chunk[: MAX_ANSWER - size])
                size += len(chunk)
    except TimeoutError:
        if patience >= TIMEOUT:
            raise
    if not answer.content.at_eof():
        answer.close()
    return b"".join(chunks)


def _retry_after(value: str) -> float:
    """Seconds of a ``Retry-After``; 0 where it says nothing usable."""
    if value.isascii() and value.strip().isdigit():
        return float(min(int(value.strip()[:10]), 10**6))
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - clock.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0
