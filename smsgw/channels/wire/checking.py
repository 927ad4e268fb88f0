"""Tries out what a channel is set to: name, address, TLS, login, keep-alive and the number of connections.

Nothing is sent to a phone. What the carrier sends meanwhile (reports, replies) is left without an answer, so that it
comes again, to the channel. Of what a stranger says only the kind is told: octets of other services are echoed nowhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from smsgw.channels import profiles
from smsgw.channels.profiles import Profile
from smsgw.channels.wire import certificates
from smsgw.channels.wire.dial import tls_context
from smsgw.channels.wire.listener import Numberings
from smsgw.channels.wire.login import china_timestamp, session_for
from smsgw.core.model import AtWork, ChannelSpec
from smsgw.net.connection import Connection
from smsgw.platform.channels.checks import Finding, Stage, Tell, Verdict
from smsgw.protocols.events import Bound, Closed, Event, Refused as LoginRefused, Violation

RESOLVE_TIMEOUT = 5.0
CONNECT_TIMEOUT = 8.0
TLS_TIMEOUT = 8.0
LOGIN_TIMEOUT = 15.0
"""Beyond the session's own, which ends it first."""
KEEPALIVE_TIMEOUT = 6.0
CLOSE_TIMEOUT = 3.0
MOST_ADDRESSES = 4
"""Addresses of a name that are tried, one after the other."""
MOST_CONNECTIONS = 8
"""Connections that are tried at once."""
EXPIRES_SOON = 30
"""Days before the end of a certificate from which on that is said."""

_REFUSED: dict[str, dict[int, str]] = {
    "cmpp": {1: "structure", 2: "source_address", 3: "password", 4: "version", 5: "other"},
    "smpp": {
        0x03: "bind_kind", 0x04: "state", 0x05: "already", 0x08: "busy", 0x0D: "bind_failed", 0x0E: "password",
        0x0F: "user", 0x58: "busy", 0x53: "system_type",
    },
    "sgip": {1: "password", 2: "already", 3: "many", 4: "login_type", 5: "structure", 11: "busy",
             57: "source_address"},
    "smgp": {1: "busy", 2: "many", 10: "structure", 20: "source_address", 21: "password", 22: "version", 76: "expired"},
}  # fmt: skip
"""What the status of a refused login means, by protocol: a word of ``check.login.…``."""
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNEXPECTED_EOF_WHILE_READING", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST",
                     "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "BAD_RECORD_TYPE"})  # fmt: skip


About = Mapping[str, str | int]
NOTHING: About = {}


class _Bad(Exception):
    """A stage is bad: it ends there."""

    def __init__(self, stage: Stage, code: str, about: About = NOTHING, raw: str = "") -> None:
        super().__init__(code)
        self.stage, self.code, self.about, self.raw = stage, code, about, raw


class Line(Connection):
    """A connection that remembers how many octets came, and the first few of them."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.heard = 0
        self.head = b""
        self.news = asyncio.Event()
        """Something has come, or the connection is gone."""

    def data_received(self, data: bytes) -> None:
        """Count, and go on as ever."""
        self.heard += len(data)
        self.head = (self.head + data[:8])[:8]
        super().data_received(data)
        self.news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """As ever, and wake who waits."""
        super().connection_lost(exc)
        self.news.set()


class _Ear:
    """Owner of a connection that is tried: notes what becomes of the login, and answers nothing."""

    def __init__(self) -> None:
        self.login: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self.violations: list[str] = []

    def on_connected(self, connection: Connection) -> None:
        """The session says what is to be said."""

    def on_writable(self, connection: Connection) -> None:
        """There is nothing to write."""

    def on_events(self, connection: Connection, events: list[Event]) -> None:
        """Note them."""
        for event in events:
            if isinstance(event, Violation):
                self.violations.append(event.kind)
            elif isinstance(event, Bound | LoginRefused | Closed) and not self.login.done():
                self.login.set_result(event)


Address = tuple[int, Any]
"""Family of a socket, and what it connects to."""


class Checking:
    """Of a node. ``live`` says which channels use the login of one, that one among them, at whatever gateway."""

    def __init__(self, live: Callable[[ChannelSpec], Sequence[AtWork]]) -> None:
        self._live = live

    async def check(self, spec: ChannelSpec, *, login: bool, tell: Tell) -> None:
        """As ``platform.channels.checks.Checker``."""
        profile = profiles.parse(spec.profile)
        try:
            await _Trial(spec, profile, tell).run(() if login else self._live(spec))
        except _Bad as bad:
            await tell(Finding(bad.stage, Verdict.BAD, bad.code, bad.about, bad.raw))


class _Trial:
    def __init__(self, spec: ChannelSpec, profile: Profile, tell: Tell) -> None:
        self._spec = spec
        self._profile = replace(profile, keepalive=1)
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._family = spec.protocol[:4]
        self._numbering = Numberings().of(profile.node, china_timestamp, secrets.randbelow(1 << 31))
        self._bind = "transmitter" if profile.bind == "pair" else "transceiver"
        self._at = self._loop.time()

    async def run(self, others: Sequence[AtWork]) -> None:
        """All stages; raises ``_Bad``."""
        addresses = await self._resolve()
        address, sock = await self._reach(addresses)
        lines: list[Line] = []
        try:
            context = await self._context()
            if live := [one for one in others if await self._meets(one, addresses)]:
                sock.close() if context is None else await self._tls_alone(sock, context)
                await self._say(Stage.LOGIN, *_at_work(self._spec.name, live), Verdict.SKIPPED)
                return
            line = await self._log_in(address, sock, context)
            lines.append(line)
            await self._keep_alive(line)
            await self._more(address, context, lines)
            if self._family == "sgip":
                listen = {"listen": self._profile.sgip_listen or "—"}
                await self._say(Stage.REPORTS, "reverse", listen, Verdict.SKIPPED)
        finally:
            if not lines:  # a login has it, or has closed it
                sock.close()
            await _end(lines)

    async def _say(self, stage: Stage, code: str, about: About = NOTHING, verdict: Verdict = Verdict.GOOD) -> None:
        await self._tell(Finding(stage, verdict, code, about, seconds=self._loop.time() - self._at))
        self._at = self._loop.time()

    # --- name and address ----------------------------------------------------------------------------------------

    async def _meets(self, other: AtWork, addresses: Sequence[Address]) -> bool:
        """Whether another channel is at one of these addresses, by whatever name."""
        ours = {str(where[0]) for _, where in addresses}
        if other.host == self._spec.host or ours & other.peers:
            return True
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT):
                found = await self._loop.getaddrinfo(other.host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError):
            return False
        return any(str(where[0]) in ours for *_, where in found)

    async def _resolve(self) -> Sequence[Address]:
        spec = self._spec
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT):
                found = await self._loop.getaddrinfo(spec.host, spec.port, type=socket.SOCK_STREAM)
        except TimeoutError as exc:
            raise _Bad(Stage.RESOLVE, "name_timeout", {"host": spec.host, "seconds": int(RESOLVE_TIMEOUT)}) from exc
        except (OSError, UnicodeError) as exc:
            raise _Bad(Stage.RESOLVE, "name", {"host": spec.host}, _named(exc)) from exc
        addresses = list(dict.fromkeys((int(one[0]), one[4]) for one in found))[:MOST_ADDRESSES]
        said = ", ".join(str(where[0]) for _, where in addresses)
        await self._say(Stage.RESOLVE, "resolved", {"host": spec.host, "address": said})
        return addresses

    async def _reach(self, addresses: Sequence[Address]) -> tuple[Address, socket.socket]:
        """The first that can be connected to, as a channel does it."""
        failed: list[tuple[str, _Bad]] = []
        for address in addresses:
            about: About = {"address": str(address[1][0]), "port": self._spec.port}
            try:
                sock = await self._connect(address)
            except _Bad as bad:
                failed.append((str(about["address"]), bad))
                continue
            if failed:
                about = {**about, "failed": ", ".join(name for name, _ in failed)}
                await self._say(Stage.CONNECT, "reached_other", about, Verdict.WARNING)
            else:
                await self._say(Stage.CONNECT, "reached", about)
            return address, sock
        raise failed[0][1]

    async def _connect(self, address: Address) -> socket.socket:
        family, where = address
        source, spec = self._profile.source_address, self._spec
        sock = socket.socket(family, socket.SOCK_STREAM)
        about: About = {"address": str(where[0]), "port": spec.port}
        try:
            sock.setblocking(False)
            if source:
                try:
                    sock.bind((source, 0))
                except OSError as exc:
                    raise _Bad(Stage.CONNECT, "source", {"source": source}, _named(exc)) from exc
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._loop.sock_connect(sock, where)
        except BaseException as exc:
            sock.close()
            if isinstance(exc, TimeoutError):
                raise _Bad(Stage.CONNECT, "timeout", {**about, "seconds": int(CONNECT_TIMEOUT)}) from exc
            if isinstance(exc, ConnectionRefusedError):
                raise _Bad(Stage.CONNECT, "refused", about, _named(exc)) from exc
            if isinstance(exc, OSError):
                raise _Bad(Stage.CONNECT, "unreachable", about, _named(exc)) from exc
            raise
        return sock

    # --- TLS -----------------------------------------------------------------------------------------------------

    async def _context(self) -> ssl.SSLContext | None:
        profile = self._profile
        if not profile.tls:
            return None
        try:
            return await asyncio.to_thread(tls_context, profile.tls_ca, insecure=profile.tls_insecure)
        except OSError as exc:
            raise _Bad(Stage.TLS, "ca", {"file": profile.tls_ca}, _named(exc)) from exc

    async def _secured(
        self, made: Callable[[], asyncio.Protocol], sock: socket.socket, context: ssl.SSLContext | None, limit: float
    ) -> asyncio.Transport:
        how: dict[str, Any] = {"sock": sock}
        if context is not None:
            how |= {"ssl": context, "server_hostname": self._profile.tls_name or self._spec.host}
        try:
            async with asyncio.timeout(limit):
                transport, _ = await self._loop.create_connection(made, **how)
        except BaseException:
            sock.close()
            raise
        return transport

    async def _over_tls(
        self, made: Callable[[], asyncio.Protocol], address: Address, sock: socket.socket,
        context: ssl.SSLContext, *, told: bool = True,
    ) -> asyncio.Transport:  # fmt: skip
        try:
            transport = await self._secured(made, sock, context, TLS_TIMEOUT)
        except ssl.SSLCertVerificationError as exc:
            shown = {**await self._certificate(address), "name": self._profile.tls_name or self._spec.host}
            raise _Bad(Stage.TLS, certificates.refusal(exc), shown, f"X509 {exc.verify_code}") from exc
        except (OSError, TimeoutError) as exc:  # ssl.SSLError among them
            reason = getattr(exc, "reason", None) or ""
            if reason and "ALERT" in reason:
                raise _Bad(Stage.TLS, "tls_refused", raw=reason) from exc
            if isinstance(exc, ssl.SSLError) and reason and reason not in _NO_TLS:
                raise _Bad(Stage.TLS, "tls_failed", raw=reason) from exc
            raise _Bad(Stage.TLS, "plain", {"port": self._spec.port}, reason or _named(exc)) from exc
        if told:
            await self._tell_certificate(transport.get_extra_info("ssl_object"))
        return transport

    async def _tls_alone(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        """The handshake without a login."""
        address = (sock.family, sock.getpeername())
        transport = await self._over_tls(asyncio.Protocol, address, sock, context)
        transport.abort()

    async def _tell_certificate(self, tls: Any) -> None:
        shown = {**certificates.shown(tls.getpeercert(binary_form=True)), "version": str(tls.version() or "")}
        if self._profile.tls_insecure:
            await self._say(Stage.TLS, "unchecked", shown, Verdict.WARNING)
        elif isinstance(shown["days"], int) and shown["days"] < EXPIRES_SOON:
            await self._say(Stage.TLS, "expires", shown, Verdict.WARNING)
        else:
            await self._say(Stage.TLS, "secured", shown)

    async def _certificate(self, address: Address) -> dict[str, str | int]:
        """What certificate is shown to whoever takes any."""
        transport = None
        with contextlib.suppress(OSError, TimeoutError, _Bad):
            sock = await self._connect(address)
            transport = await self._secured(asyncio.Protocol, sock, certificates.anything(), TLS_TIMEOUT)
        if transport is None:
            return certificates.shown(None)
        shown = certificates.shown(transport.get_extra_info("ssl_object").getpeercert(binary_form=True))
        transport.abort()
        return shown

    # --- login ---------------------------------------------------------------------------------------------------

    async def _log_in(
        self, address: Address, sock: socket.socket, context: ssl.SSLContext | None, *, first: bool = True
    ) -> Line:
        ear = _Ear()
        session = session_for(self._spec, self._profile, self._numbering, self._bind)
        line = Line(session, ear, f"{self._spec.name}/check")
        began = False
        try:
            if context is None:
                await self._secured(lambda: line, sock, None, CONNECT_TIMEOUT)
            else:
                await self._over_tls(lambda: line, address, sock, context, told=first)
            began = True
            try:
                async with asyncio.timeout(LOGIN_TIMEOUT):
                    event = await asyncio.shield(ear.login)
            except TimeoutError:
                event = Closed("", ())
        except BaseException:
            if began:
                line.abort("the test is over")
            raise
        if not isinstance(event, Bound):
            line.abort("the test is over")
            if first:
                raise await self._refusal(address, context, ear, line, event)
            if isinstance(event, LoginRefused) and event.status:
                raise _Bad(Stage.CONNECTIONS, "", raw=_status(self._family, event.status))
            raise _Bad(Stage.LOGIN, "", raw=event.why if isinstance(event, Closed) else "")
        if first:
            doubt = "authenticator" in ear.violations
            verdict, code = (Verdict.WARNING, "login.doubt") if doubt else (Verdict.GOOD, "login.good")
            await self._say(Stage.LOGIN, code, {"user": self._spec.username, "dialect": session.dialect.name}, verdict)
        return line

    async def _refusal(
        self, address: Address, context: ssl.SSLContext | None, ear: _Ear, line: Line, event: Event
    ) -> _Bad:
        spec = self._spec
        about: About = {"user": spec.username, "port": spec.port, "protocol": spec.protocol}
        if isinstance(event, LoginRefused) and event.status:
            word = _REFUSED[self._family].get(event.status, "other")
            return _Bad(Stage.LOGIN, f"login.{word}", {"user": spec.username}, _status(self._family, event.status))
        if isinstance(event, LoginRefused):
            return _Bad(Stage.LOGIN, "login.unreadable", about)
        if context is None and (line.head[:2] in (b"\x15\x03", b"\x16\x03") or await self._speaks_tls(address, line)):
            code = "tls_wanted" if self._family == "smpp" else "tls_unknown"
            return _Bad(Stage.TLS, code, about)
        if "framing" in ear.violations or line.heard:
            return _Bad(Stage.LOGIN, "foreign", about)
        if isinstance(event, Closed) and event.why == "closed by the peer":
            return _Bad(Stage.LOGIN, "closed", about)
        return _Bad(Stage.LOGIN, "silent", about)

    async def _speaks_tls(self, address: Address, line: Line) -> bool:
        """Whether a port that has said nothing in the protocol would have, over TLS."""
        if line.heard:
            return False
        try:
            sock = await self._connect(address)
            transport = await self._secured(asyncio.Protocol, sock, certificates.anything(), TLS_TIMEOUT)
        except (OSError, TimeoutError, _Bad):
            return False
        transport.abort()
        return True

    # --- after the login -----------------------------------------------------------------------------------------

    async def _keep_alive(self, line: Line) -> None:
        if self._family == "sgip":  # which has none
            return
        line.session.test()
        line.flush()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KEEPALIVE_TIMEOUT):
                while not (line.session.tests_answered or line.closed.done()):
                    line.news.clear()
                    await line.news.wait()
        if line.closed.done():
            raise _Bad(Stage.KEEPALIVE, "dropped")
        if not line.session.tests_answered:
            await self._say(Stage.KEEPALIVE, "no_keepalive", {"seconds": int(KEEPALIVE_TIMEOUT)}, Verdict.WARNING)
        else:
            await self._say(Stage.KEEPALIVE, "keepalive", {"window": self._spec.window})

    async def _more(self, address: Address, context: ssl.SSLContext | None, lines: list[Line]) -> None:
        wanted = min(self._spec.connections, MOST_CONNECTIONS)
        if wanted == 1:
            return
        while len(lines) < wanted:
            try:
                sock = await self._connect(address)
                line = await self._log_in(address, sock, context, first=False)
            except _Bad as bad:
                about = {"n": len(lines), "wanted": self._spec.connections}
                code = "fewer" if bad.stage is Stage.CONNECTIONS else "unopened"
                raise _Bad(Stage.CONNECTIONS, code, about, bad.raw) from bad
            lines.append(line)
        await self._say(Stage.CONNECTIONS, "connections", {"n": wanted})


def _at_work(name: str, live: Sequence[AtWork]) -> tuple[str, About]:
    """Which channel has the login: this one before others, one that is logged in before one that may be soon."""
    one = min(live, key=lambda one: (one.name != name, not one.bound))
    if not one.bound:
        return "started", {"name": one.name}
    return ("live", {"n": one.bound}) if one.name == name else ("live_other", {"name": one.name, "n": one.bound})


async def _end(lines: list[Line]) -> None:
    """Log out everywhere."""
    for line in lines:
        line.close("the test is over")
    if lines:
        await asyncio.wait([line.closed for line in lines], timeout=CLOSE_TIMEOUT)
    for line in lines:
        line.abort("the test is over")


def _status(family: str, status: int) -> str:
    if family == "smpp":
        return f"command_status 0x{status:08X}"
    return f"{'Result' if family == 'sgip' else 'Status'} {status}"


def _named(exc: BaseException) -> str:
    number = getattr(exc, "errno", None)
    return errno.errorcode.get(number, str(number)) if isinstance(number, int) else type(exc).__name__
