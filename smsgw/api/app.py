"""The HTTP API as a set of routes of an aiohttp application.

No middleware: one function serves every path of the API, so that what a request costs is in one place, and so that
errors of the API never depend on what else the application serves.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from structlog.contextvars import bind_contextvars

from smsgw import listening
from smsgw.api import manual, openapi
from smsgw.api.auth import Authenticator, TooManyFailures, client_address, within
from smsgw.api.bodies import CONTENT_SHA256, Body, check_sha256, claimed_sha256
from smsgw.api.context import ApiContext, Call
from smsgw.api.decode import decode_body, decode_query
from smsgw.api.envelope import JSON, failure, prefers_english, success
from smsgw.api.health import add_health
from smsgw.api.ids import RequestIds
from smsgw.api.receiving import receive
from smsgw.api.repeating import Repeating
from smsgw.api.route import BASE, Route
from smsgw.api.routes import PUBLIC, ROUTES
from smsgw.api.shapes import LanguageQuery, NoQuery, ServerTime
from smsgw.core.errors import Invalid, Refused, SmsgwError, Temporary
from smsgw.core.ids import CHINA

log = structlog.get_logger(__name__)


class _Malformed(logging.Filter):
    """Makes one line of what is not HTTP; aiohttp would log a traceback for anybody who sends a wrong octet."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            return True
        ip = record.args[0] if isinstance(record.args, tuple) and record.args else ""
        log.info("http.malformed", ip=ip, error=type(error).__name__)
        return False


_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
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


_Operations = dict[str, _Operation]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def setup(app: web.Application, ctx: ApiContext) -> None:
    """Add the API under ``/api/v1``, and ``/health`` and ``/ready``, to an application."""
    server = _Server(ctx)
    by_path: dict[str, _Operations] = {}
    for route in ROUTES:
        by_path.setdefault(route.path, {})[route.method] = _Operation(route, _decoder(route))
    for path, operations in by_path.items():
        app.router.add_route("*", BASE + path, server.serve(operations))
    for entry in PUBLIC:
        if not entry.root:
            app.router.add_route("*", BASE + entry.path, server.serve_public(entry.name))
    app.router.add_route("*", BASE + "/{tail:.*}", server.serve({}))
    app.router.add_route("*", BASE, server.serve({}))
    add_health(app, ctx.ready)

    async def close(_: web.Application) -> None:
        ctx.closing = True

    app.on_shutdown.append(close)


class _Server:
    """Serves requests: who, what, how, and the answer."""

    def __init__(self, ctx: ApiContext) -> None:
        self._ctx = ctx
        self._auth = Authenticator(
            ctx.directory, clock=ctx.clock, allow_insecure_bearer=ctx.allow_insecure_bearer
        )
        ctx.used_keys = self._auth.used
        self._request_ids = RequestIds(ctx.clock)
        self._repeating = Repeating(ctx.db, ctx.sealer)
        self._pages: dict[str, str] = {}
        self._documents = {
            lang: msgspec.json.encode(openapi.document(chinese=lang == "zh")) for lang in ("en", "zh")
        }

    def serve(self, operations: _Operations) -> _Handler:
        """The handler of one path with its methods; without any, the path does not exist."""

        async def handle(request: web.Request) -> web.StreamResponse:
            request_id = self._request_ids.next()
            bind_contextvars(request_id=request_id)
            english = prefers_english(request.headers.get("Accept-Language", ""))
            call: Call | None = None
            body = Body()
            try:
                operation = _find(operations, request.method)
                call = await self._authenticate(request, request_id, english, operation.route, body)
                self._meter(call, operation.route)
                await self._receive(call, operation.route, body)
                self._prepare(call, operation, body)
                data = await self._run(operation.route, call)
                if isinstance(data, web.StreamResponse):
                    return data
                answer = success(data, request_id, english=english)
                return _respond(call.status or operation.route.status, answer, request_id, call.headers)
            except SmsgwError as exc:
                return self._refuse(request, exc, request_id, english, call)
            except ConnectionError:
                return web.Response(status=400)  # its sender has gone: nobody hears it
            except Exception:  # one failing request must not take anything else with it
                log.exception(
                    "api.failed", method=request.method, path=_plain(request.raw_path.partition("?")[0][:200])
                )
                return self._refuse(request, SmsgwError("INTERNAL"), request_id, english, call)
            finally:
                body.leave()
                if call is not None and call.incoming is not None:
                    self._ctx.tasks.files.drop(call.incoming)

        return handle

    async def _run(self, route: Route, call: Call) -> Any:
        if route.idempotent and not route.keeps_answer:
            return await self._repeating.handle(route, call)
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
                return _respond(200, self._documents[query.lang], request_id, {})
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
        peer, secure = request.remote or "", request.secure
        if self._ctx.trusted_proxies:
            peer, secure = self._behind_proxy(request, peer, secure)
        try:
            claim = self._auth.identify(request.headers, secure=secure, address=peer)
            given = claimed_sha256(request)
            if given is None and claim.signature is not None:
                if route.upload:
                    raise Invalid("PARAM_MISSING", field=CONTENT_SHA256)
                rooms = self._ctx.bodies
                place = listening.place_of(peer) if peer else ""
                await body.read(request, rooms, rooms.strangers, place)
            path, _, raw_query = request.raw_path.partition("?")
            self._auth.verify(claim, request.method, path, raw_query, given or body.digest.hex())
        except SmsgwError as exc:
            self._auth.failed(exc, peer)
            raise
        self._auth.good(claim, peer)
        return Call(self._ctx, request, request_id, english, claim.key, claim.account)

    def _meter(self, call: Call, route: Route) -> None:
        """Whether the key may make this call, and now."""
        quota = self._auth.spend(call.key)
        call.headers["RateLimit-Limit"] = str(quota.limit)
        call.headers["RateLimit-Remaining"] = str(quota.remaining)
        call.headers["RateLimit-Reset"] = str(quota.reset)
        if quota.wait:
            raise Temporary("RATE_LIMITED", retry_after=quota.wait)
        if route.scope not in call.key.scopes:
            raise Refused("SCOPE_DENIED", scope=route.scope)

    async def _receive(self, call: Call, route: Route, body: Body) -> None:
        """The body, unless it has been read: of a file on the disk, of all others in the account's share of memory."""
        request, given = call.request, claimed_sha256(call.request)
        if route.upload:
            files = self._ctx.tasks.files
            incoming = call.incoming = await files.receive(call.account.id, request.content_length or 0)
            incoming.name, digest = await receive(request, incoming.path, partial(files.reserve, incoming))
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

    def _behind_proxy(self, request: web.Request, peer: str, secure: bool) -> tuple[str, bool]:
        """Address and TLS as a trusted proxy tells them; anybody else's headers are not believed."""
        trusted = self._ctx.trusted_proxies
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))
        address = client_address(peer, forwarded, trusted)
        if within(peer, trusted):
            secure = secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https"
        return address, secure

    def _refuse(
        self, request: web.Request, error: SmsgwError, request_id: str, english: bool, call: Call | None
    ) -> web.Response:
        status, body, headers = failure(error, request_id, english=english)
        if call is not None:
            headers = {**call.headers, **headers}
        if (
            error.code == "RATE_LIMITED" and "limit" in error.detail
        ):  # the account's messages, not the key's calls
            headers["RateLimit-Limit"] = str(error.detail["limit"])
            headers["RateLimit-Remaining"] = str(error.detail["remaining"])
            headers["RateLimit-Reset"] = headers["Retry-After"]
        if status == 405:
            headers["Allow"] = str(error.detail["allow"])
        elif status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="smsgw"'
        if not isinstance(error, TooManyFailures):
            log.info(
                "api.refused",
                code=error.code,
                status=status,
                key=call.key.key_id if call else _plain(request.headers.get("X-Sms-Key", "")[:64]),
                ip=request.remote,
                method=request.method,
                path=_plain(request.raw_path.partition("?")[0][:200]),
            )
        response = _respond(status, body, request_id, headers)
        if status in (408, 413):  # the rest of the body is not worth reading
            response.force_close()
        return response


def _decoder(route: Route) -> msgspec.json.Decoder[Any] | None:
    return None if route.body is None else msgspec.json.Decoder(route.body)


def _find(operations: _Operations, method: str) -> _Operation:
    operation = operations.get("GET" if method == "HEAD" else method)
    if operation is None:
        if not operations:
            raise Refused("NOT_FOUND")
        allowed = sorted(operations) + (["HEAD"] if "GET" in operations else [])
        raise _not_allowed(", ".join(allowed))
    return operation


def _plain(text: str) -> str:
    """What a stranger sent, as it can be written into a log."""
    return text.encode("ascii", "backslashreplace").decode()


def _not_allowed(methods: str) -> SmsgwError:
    return Refused("METHOD_NOT_ALLOWED", allow=methods)


def _respond(status: int, body: bytes, request_id: str, headers: dict[str, str]) -> web.Response:
    headers["X-Request-Id"] = request_id
    headers["Content-Type"] = JSON
    headers["Cache-Control"] = "no-store"
    return web.Response(status=status, body=body, headers=headers)
