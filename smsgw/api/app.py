"""The HTTP API as a set of routes of an aiohttp application.

No middleware: one function serves every path of the API, so that what a request costs is in one place, and so that
errors of the API never depend on what else the application serves.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import msgspec
import structlog
from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError
from structlog.contextvars import bind_contextvars

from smsgw.api import manual, openapi
from smsgw.api.auth import Authenticator, TooManyFailures
from smsgw.api.body_digest import CONTENT_SHA256, check_sha256, claimed_sha256
from smsgw.api.context import ApiContext, Call
from smsgw.api.decode import decode_body, decode_query, decoder_of
from smsgw.api.repeating import Repeating
from smsgw.api.route import Route
from smsgw.api.routes import PUBLIC, ROUTES
from smsgw.api.shapes import LanguageQuery, NoQuery, ServerTime
from smsgw.core.addresses import place_of
from smsgw.core.errors import Invalid, Refused, SmsgwError, Temporary, http_status, messages_of
from smsgw.core.ids import CHINA
from smsgw.core.numbers import masked
from smsgw.pipeline.accept.kept_answers import KeptAnswers
from smsgw.platform.calls import masking
from smsgw.platform.calls.log import Refusal
from smsgw.runtime import clock
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.web import serving, uploads
from smsgw.web.bodies import Body
from smsgw.web.envelope import JSON, AllRejected, failure, prefers_english, success
from smsgw.web.health import add_health
from smsgw.web.request_ids import RequestIds
from smsgw.web.serving import API_BASE

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log, at_once=10)
daily = RateLimitedLogger(log, every=86_400.0)

V1_DEPRECATED = 1_793_491_200
"""Since when version 1 of the signature is not to be used (2026-11-01, Unix seconds)."""


class _Malformed(logging.Filter):
    """Makes one line of what is not HTTP; aiohttp would log a traceback for anybody who sends a wrong octet."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            return True
        ip = str(record.args[0]) if isinstance(record.args, tuple) and record.args else ""
        sparing.info("http.malformed", place_of(ip), ip=ip, error=type(error).__name__)
        return False


_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_server_log = logging.getLogger("smsgw.http")
_server_log.addFilter(_Malformed())


def runner_options() -> dict[str, Any]:
    """Keyword arguments for ``web.AppRunner``, without which the limits of the API are not complete.

    ``keepalive_timeout`` also bounds how long a connection may take to send a request's headers (aiohttp closes a
    connection that has not completed them by then); the body has a limit of its own (``listening.body_of``).
    Bodies are never unpacked, handlers always run to their end (an accepted message must be answered for, even
    when its sender has gone), and there is no access log: refused calls are logged by the API.
    """
    return {
        "access_log": None,
        "auto_decompress": False,
        "handler_cancellation": False,
        "keepalive_timeout": 75.0,
        "lingering_time": 5.0,
        "logger": _server_log,
        "max_field_size": 8190,
        "max_headers": 64,
        "max_line_size": 8190,
        "shutdown_timeout": 25.0,
        "tcp_keepalive": True,
    }


@dataclass(frozen=True, slots=True)
class _Operation:
    """A route with what is prepared once."""

    route: Route
    decoder: msgspec.json.Decoder[Any] | None
    name: str
    """As calls of it are counted."""


_Operations = dict[str, _Operation]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def setup(app: web.Application, ctx: ApiContext) -> None:
    """Add the API under ``/api/v1``, and ``/health`` and ``/ready``, to an application."""
    server = _Server(ctx)
    by_path: dict[str, _Operations] = {}
    for route in ROUTES:
        by_path.setdefault(route.path, {})[route.method] = _Operation(
            route, _decoder(route), f"{route.method} {route.path}"
        )
    for path, operations in by_path.items():
        app.router.add_route("*", API_BASE + path, server.serve(operations), expect_handler=_expects)
    for entry in PUBLIC:
        if not entry.root:
            app.router.add_route("*", API_BASE + entry.path, server.serve_public(entry.name))
    app.router.add_route("*", API_BASE + "/{tail:.*}", server.serve({}))
    app.router.add_route("*", API_BASE, server.serve({}))
    add_health(app, ctx.ready)
    serving.dress_answers(app, ctx.trusted_proxies)

    async def close(_: web.Application) -> None:
        ctx.closing = True

    app.on_shutdown.append(close)


async def _expects(request: web.Request) -> None:
    """``Expect: 100-continue`` is answered; what else is expected is passed over, as RFC 9110 §10.1.1 allows."""
    if request.version == HttpVersion11 and request.headers["Expect"].lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


class _Server:
    """Serves requests: who, what, how, and the answer."""

    def __init__(self, ctx: ApiContext) -> None:
        self._ctx = ctx
        self._v1_end = _end_of(ctx.signature_v1_until)
        self._auth = Authenticator(
            ctx.snapshots,
            clock=ctx.clock,
            allow_insecure_bearer=ctx.allow_insecure_bearer,
            v1_until=-math.inf if self._v1_end is None else self._v1_end.timestamp(),
        )
        ctx.used_keys = self._auth.used
        self._request_ids = RequestIds(ctx.clock)
        self._repeating = Repeating(KeptAnswers(ctx.db, ctx.sealer))
        self._pages: dict[str, str] = {}

    def serve(self, operations: _Operations) -> _Handler:
        """The handler of one path with its methods; without any, the path does not exist."""

        async def handle(request: web.Request) -> web.StreamResponse:
            request_id = self._request_ids.next()
            bind_contextvars(request_id=request_id)
            english = prefers_english(request.headers.get("Accept-Language", ""))
            call: Call | None = None
            operation: _Operation | None = None
            body = Body()
            began = clock.steady()
            try:
                operation = _find(operations, request.method)
                call = await self._authenticate(request, request_id, english, operation.route, body)
                data = await self._run_once(operation, call, body)
                self._note(call, operation.name, "OK", began)
                if isinstance(data, web.StreamResponse):
                    return data
                answer = success(data, request_id, english=english)
                return _respond(call.status or operation.route.status, answer, request_id, call.headers)
            except SmsgwError as exc:
                self._keep(request, exc, request_id, call, operation, body, began)
                if call is None and http_status(exc.code) in (401, 429):  # who is wrong over and over is told so later
                    await self._ctx.tarpit.wait(place_of(serving.address_of(request, self._ctx.trusted_proxies)))
                elif call is not None and 400 <= http_status(exc.code) < 500:
                    body.leave()
                    await self._ctx.refusals.wait(str(call.account.id))
                return self._refuse(request, exc, request_id, english, call)
            except ConnectionError:
                return web.Response(status=400)  # its sender has gone: nobody hears it
            except Exception as exc:  # one failing request must not take anything else with it
                sparing.error(
                    "api.failed",
                    (request.method, type(exc)),
                    exc_info=True,
                    method=request.method,
                    path=_plain(request.raw_path.partition("?")[0][:200]),
                )
                if call is not None and operation is not None:
                    self._note(call, operation.name, "INTERNAL", began)
                return self._refuse(request, SmsgwError("INTERNAL"), request_id, english, call)
            finally:
                body.leave()
                if call is not None and call.incoming is not None:
                    self._ctx.tasks.files.store.drop(call.incoming)

        return handle

    async def _run_once(self, operation: _Operation, call: Call, body: Body) -> Any:
        """Refused when the signature's nonce was used before, at whatever node."""
        route, nonces = operation.route, self._ctx.nonces
        if not call.nonce:
            await self._ready(operation, call, body)
            return await self._run(route, call)
        if route.keeps_nonce:
            try:
                await self._ready(operation, call, body)
                return await self._run(route, call)
            except SmsgwError:  # nothing was stored, and nothing shall be when it comes again
                nonces.note(call.account.id, call.nonce)
                raise
        noted = nonces.note(call.account.id, call.nonce)
        await self._ready(operation, call, body)
        if route.method != "GET" or route.streams:
            await nonces.new(noted)
            return await self._run(route, call)
        data = await self._run(route, call)  # while that is found out: it changes nothing, and nobody sees it yet
        await nonces.new(noted)
        return data

    async def _ready(self, operation: _Operation, call: Call, body: Body) -> None:
        """All that a handler needs: the right to be called now, the body, and what it says."""
        self._meter(call, operation.route)
        await self._receive(call, operation.route, body)
        call.key, call.account = self._auth.live(call.key.key_id)  # a body may be long on its way
        _permit(call, operation.route)
        self._prepare(call, operation, body)

    async def _run(self, route: Route, call: Call) -> Any:
        if route.idempotent and not route.keeps_answer:
            return await self._repeating.handle(route, call)
        if not route.asks:
            return await route.handler(call)
        async with self._ctx.asked.turn(call.account.id):
            return await route.handler(call)

    def serve_public(self, name: str) -> _Handler:
        """The handler of a path that needs no key."""

        async def handle(request: web.Request) -> web.StreamResponse:
            request_id = self._request_ids.next()
            bind_contextvars(request_id=request_id)
            english = prefers_english(request.headers.get("Accept-Language", ""))
            if request.method not in ("GET", "HEAD"):
                return self._refuse(request, _not_allowed("GET, HEAD"), request_id, english, None)
            if name == "openapi":
                try:
                    query = decode_query(LanguageQuery, request.raw_path.partition("?")[2])
                except SmsgwError as exc:
                    return self._refuse(request, exc, request_id, english, None)
                return _respond(200, await asyncio.to_thread(openapi.encoded, query.lang), request_id, {})
            if name == "docs":
                return await self._read(manual.page, "text/html")
            if name == "docs_style":
                return await self._read(manual.style, "text/css")
            now = self._ctx.clock()
            data = ServerTime(datetime.fromtimestamp(now, CHINA), int(now))
            return _respond(200, success(data, request_id, english=english), request_id, {})

        return handle

    async def _read(self, make: Callable[[], str], media: str) -> web.Response:
        """A document for browsers, made when it is first asked for."""
        if media not in self._pages:
            self._pages[media] = await asyncio.to_thread(make)
        return web.Response(text=self._pages[media], content_type=media, headers=_PAGE_HEADERS)

    async def _authenticate(
        self, request: web.Request, request_id: str, english: bool, route: Route, body: Body
    ) -> Call:
        """The call with its proven key: by its headers alone, or, where these do not say what the body is, by the body,
        which is read within the room that strangers have."""
        trusted = self._ctx.trusted_proxies
        peer = serving.address_of(request, trusted)
        secure = serving.over_tls(request, trusted)
        try:
            claim = self._auth.identify(request.headers, secure=secure, address=peer)
            given = claimed_sha256(request)
            if given is None and claim.signature is not None:
                if route.upload:
                    raise Invalid("PARAM_MISSING", field=CONTENT_SHA256)
                rooms = self._ctx.bodies
                await body.read(request, rooms, rooms.strangers, place_of(peer))
            path, _, raw_query = request.raw_path.partition("?")
            self._auth.verify(claim, request.method, path, raw_query, given or body.digest.hex())
        except SmsgwError as exc:
            if exc.code in ("AUTH_KEY_INVALID", "AUTH_SIGNATURE_INVALID"):
                self._ctx.guesses.note("api", place_of(peer), clock.steady())
            self._auth.failed(exc, peer)
            raise
        self._auth.good(claim, peer)
        call = Call(self._ctx, request, request_id, english, claim.key, claim.account, nonce=claim.nonce_key)
        if claim.version == 1:
            self._say_outdated(call)
        return call

    def _meter(self, call: Call, route: Route) -> None:
        """Whether the key may make this call, and now."""
        quota = self._auth.spend(call.key)
        call.headers["RateLimit-Limit"] = str(quota.limit)
        call.headers["RateLimit-Remaining"] = str(quota.remaining)
        call.headers["RateLimit-Reset"] = str(quota.reset)
        if quota.wait:
            raise Temporary("RATE_LIMITED", retry_after=quota.wait)
        _permit(call, route)

    async def _receive(self, call: Call, route: Route, body: Body) -> None:
        """The body, unless it has been read: of a file on the disk, of all others in the account's share of memory."""
        request, given = call.request, claimed_sha256(call.request)
        if route.upload:
            files, size = self._ctx.tasks.files, request.content_length or 0
            kind = route.proof(self._ctx.db) if route.proof else files.kind
            room = max(0, size - uploads.OVERHEAD) if route.proof else size
            incoming = call.incoming = await files.store.receive(kind, call.account.id, room)
            reserve = partial(files.store.reserve, incoming)
            incoming.name, digest = await uploads.receive(request, incoming.path, kind.most, reserve)
            check_sha256(given, digest)
            return
        rooms = self._ctx.bodies
        if given is not None or "X-Sms-Key" not in request.headers:
            await body.read(request, rooms, rooms.proven, call.account.id)
            check_sha256(given, body.digest)
        await body.move(rooms.proven, call.account.id)

    def _prepare(self, call: Call, operation: _Operation, body: Body) -> None:
        """Decode query and body."""
        route, request = operation.route, call.request
        path, _, raw_query = request.raw_path.partition("?")
        if raw_query or route.query is not NoQuery:
            call.query = decode_query(route.query, raw_query)
        if operation.decoder is not None:
            call.body = decode_body(operation.decoder, body.octets)
        body.octets = b""
        if route.idempotent:
            call.request_sha256 = hashlib.sha256(f"{request.method}\n{path}\n".encode() + body.digest).digest()

    def _say_outdated(self, call: Call) -> None:
        """Tell the customer and the operator that version 1 of the signature ends (RFC 9745, RFC 8594)."""
        until = self._ctx.signature_v1_until
        call.headers["Deprecation"] = f"@{V1_DEPRECATED}"
        if self._v1_end is not None and until != date.max:
            call.headers["Sunset"] = format_datetime(self._v1_end, usegmt=True)
        daily.warning("api.signature_v1", call.key.key_id, key=call.key.key_id, until=str(until))

    def _note(self, call: Call, name: str, code: str, began: float) -> None:
        """Count how a call has ended."""
        ctx, seconds = self._ctx, clock.steady() - began
        ctx.calls.note(call.account.id, call.key.key_id, ctx.clock(), name, code, seconds, call.request_id)

    def _keep(
        self, request: web.Request, error: SmsgwError, request_id: str, call: Call | None,
        operation: _Operation | None, body: Body, began: float,
    ) -> None:  # fmt: skip
        """Count a call that is refused, and keep its shape while there is room for it."""
        calls, now, seconds = self._ctx.calls, self._ctx.clock(), clock.steady() - began
        claimed = request.headers.get("X-Sms-Key", "")
        account = call.account.id if call is not None else self._auth.owner(claimed)
        if account is None:
            return
        key_id = call.key.key_id if call is not None else claimed
        name = operation.name if operation is not None else f"{request.method[:10]} …"
        calls.note(account, key_id, now, name, error.code, seconds, request_id)
        if not calls.keeps(key_id, proven=call is not None):
            return
        size = request.content_length or len(body.octets)
        sent = ""
        if call is not None and call.body is not None and size <= masking.MOST_BODY:
            sent = masking.shown(masking.as_sent(call.body))
        elif call is not None:
            sent = masking.masked(body.octets, size)
        told = messages_of(error.code, error.detail)
        if isinstance(error, AllRejected):
            told = error.message, error.message_en
        calls.refused.append(Refusal(
            account, key_id, call is not None, datetime.fromtimestamp(now, UTC), request_id, name,
            http_status(error.code), error.code, masked(told[0])[:300], masked(told[1])[:300], int(seconds * 1000),
            serving.address_of(request, self._ctx.trusted_proxies), sent,
        ))  # fmt: skip

    def _refuse(
        self, request: web.Request, error: SmsgwError, request_id: str, english: bool, call: Call | None
    ) -> web.Response:
        status, body, headers = failure(error, request_id, english=english)
        if call is not None:
            headers = {**call.headers, **headers}
        if error.code == "RATE_LIMITED" and "limit" in error.detail:  # the account's messages, not the key's calls
            headers["RateLimit-Limit"] = str(error.detail["limit"])
            headers["RateLimit-Remaining"] = str(error.detail["remaining"])
            headers["RateLimit-Reset"] = headers["Retry-After"]
        if status == 405:
            headers["Allow"] = str(error.detail["allow"])
        elif status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="smsgw"'
        if not isinstance(error, TooManyFailures):
            ip = serving.address_of(request, self._ctx.trusted_proxies)
            sparing.info(
                "api.refused",
                (call.key.key_id if call else place_of(ip), error.code),
                code=error.code,
                status=status,
                key=call.key.key_id if call else _plain(request.headers.get("X-Sms-Key", "")[:64]),
                ip=ip,
                method=request.method,
                path=_plain(request.raw_path.partition("?")[0][:200]),
            )
        response = _respond(status, body, request_id, headers)
        if status in (408, 413):  # the rest of the body is not worth reading
            response.force_close()
        return response


def _end_of(day: date | None) -> datetime | None:
    """When a day is over in China, in UTC; None for no day."""
    if day is None:
        return None
    if day == date.max:
        return datetime.max.replace(tzinfo=UTC)
    return datetime.combine(day + timedelta(days=1), datetime.min.time(), CHINA).astimezone(UTC)


def _decoder(route: Route) -> msgspec.json.Decoder[Any] | None:
    return None if route.body is None else decoder_of(route.body)


def _find(operations: _Operations, method: str) -> _Operation:
    operation = operations.get("GET" if method == "HEAD" else method)
    if operation is None:
        if not operations:
            raise Refused("NOT_FOUND")
        allowed = sorted(operations) + (["HEAD"] if "GET" in operations else [])
        raise _not_allowed(", ".join(allowed))
    return operation


def _permit(call: Call, route: Route) -> None:
    if route.scope not in call.key.scopes:
        raise Refused("SCOPE_DENIED", scope=route.scope)


def _plain(text: str) -> str:
    """What a stranger sent, as it can be written into a log."""
    return text.encode("ascii", "backslashreplace").decode()


def _not_allowed(methods: str) -> SmsgwError:
    return Refused("METHOD_NOT_ALLOWED", allow=methods)


def _respond(status: int, body: bytes, request_id: str, headers: dict[str, str]) -> web.Response:
    headers["X-Request-Id"] = request_id
    headers["Content-Type"] = JSON
    return web.Response(status=status, body=body, headers=headers)
