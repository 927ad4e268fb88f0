"""Mounts the portal on an aiohttp application, and the way of every request: session, right, handler, headers."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import structlog
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from smsgw.admin import errors, proving
from smsgw.admin.auth import Auth
from smsgw.admin.call import LANGUAGE_COOKIE, SESSION_COOKIE, VISITOR_COOKIE, Call, Portal, PortalContext, local_path
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.brand import BrandFiles
from smsgw.admin.kit.discovery import entries, routes
from smsgw.admin.rights import PUBLIC, SELF, Open, Route
from smsgw.admin.security import CONTENT_SECURITY_POLICY, CSRF_FIELD, CSRF_HEADER, same_origin, same_token
from smsgw.admin.staticfiles import StaticFiles
from smsgw.admin.views import Views
from smsgw.admin.words.languages import LANGUAGES
from smsgw.core.addresses import place_of
from smsgw.core.errors import Refused, SmsgwError, http_status
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.audit.readings import Readings
from smsgw.platform.sheets.service import Sheets
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.web import serving
from smsgw.web.listening import longest

__all__ = ["PortalContext", "routes", "setup"]

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log, at_once=5)

MAX_FORM = 512 * 1024
"""Octets; the largest form, 1,000 numbers and 1,000 characters, has a tenth of it."""
MAX_VISITOR_FORM = 16 * 1024
"""Octets; of who has not logged in, who has only a name and a password to say, …"""
VISITOR_SECONDS = 15.0
"""… and the time for it."""
MAX_FIELDS = 500
FORM = "application/x-www-form-urlencoded"
_SURROGATE = re.compile("[\ud800-\udfff]")
EXPORTS_SWEPT_EVERY = 3600.0
SLOW = 1.0
"""Seconds from which a page is logged as slow."""


def setup(app: web.Application, ctx: PortalContext) -> Sequence[Periodic]:
    """Mount the portal at ``/``. Paths that belong to others (``/api``, ``/health`` …) are left alone.

    Returns what has to come round while it is served.
    """
    static = StaticFiles()
    auth, sheets = Auth(ctx.db, ctx.sealer, ctx.guesses), Sheets(ctx.db, ctx.files)
    portal = Portal(ctx, Views(static), auth, Readings(), sheets, tuple(entries()))
    app.cleanup_ctx.append(_life(portal))
    serving.dress_answers(app, ctx.trusted_proxies)
    app.router.add_get("/static/{version}/{name:.+}", _guard_static(static.serve, portal))
    brands = BrandFiles(ctx.db, ctx.snapshots)
    app.router.add_get("/favicon.ico", _guard_static(brands.icon, portal))
    app.router.add_get("/brand.css", _guard_static(brands.style, portal))
    app.router.add_get("/brand/{sha256}", _guard_static(brands.picture, portal))
    for route in routes():
        add = app.router.add_get if route.method == "GET" else app.router.add_post
        add(route.path, _endpoint(portal, route))
    # What is no page of ours and nobody else's address gets our "not found".
    missing = Route("GET", "", PUBLIC, errors.not_found, passive=True)
    app.router.add_route("*", r"/{tail:(?!(?:api|health|ready|metrics|openapi)\b).*}", _endpoint(portal, missing))
    sweep = Periodic("exports.sweep", EXPORTS_SWEPT_EVERY, portal.sheets.sweep)
    return (*portal.auth.periodics(), sweep)


def _life(portal: Portal) -> Callable[[web.Application], AsyncIterator[None]]:
    async def life(_: web.Application) -> AsyncIterator[None]:
        yield
        await portal.auth.failures.stop()
        await portal.auth.passwords.stop()

    return life


def _dress(response: web.StreamResponse, portal: Portal, request: web.Request) -> None:
    https, local = portal.secure(request), serving.is_local(request)
    serving.dress(response, https=https, local=local, page=CONTENT_SECURITY_POLICY)


def _guard_static(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], portal: Portal
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPNotFound as exc:
            response = web.Response(status=404, text=exc.reason)
        except SmsgwError as exc:  # as the database's, when it is away
            response = web.Response(status=http_status(exc.code), text=exc.code)
        _dress(response, portal, request)
        return response

    return serve


def _endpoint(portal: Portal, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def endpoint(request: web.Request) -> web.StreamResponse:
        call = Call(request, portal, _request_id(request), _language(portal, request))
        started = time.monotonic()
        try:
            response = await _answer(call, route)
        except web.HTTPMove as exc:  # what was asked for is elsewhere now
            response = call.redirect(str(exc.location))
        except web.HTTPException as exc:
            if isinstance(exc, web.HTTPForbidden) and not isinstance(exc, errors.Stale):  # which has a line
                login = call.staff.login if call.staff else ""
                sparing.warning("portal.forbidden", login, login=login, ip=call.ip, **_told(call))
            response = errors.page(call, exc.status, words=exc.words if isinstance(exc, errors.Forbidden) else None)
        except SmsgwError as exc:
            status = http_status(exc.code)
            if status >= 500:
                sparing.warning("portal.error", exc.code, code=exc.code, **_told(call))
            response = errors.page(call, status, exc)
        except asyncio.CancelledError:
            raise
        except Exception as exc:  # the last net: the visitor gets a page with the id that finds this line
            sparing.error("portal.crash", (route.path, type(exc)), exc_info=True, **_told(call))
            response = errors.page(call, 500)
        if response.status in (408, 413):  # the rest of the form is not worth reading
            response.force_close()
        await call.finish(response)
        _dress(response, portal, request)
        response.headers["X-Request-Id"] = call.request_id
        if (elapsed := time.monotonic() - started) > SLOW:
            sparing.warning("portal.slow", route.path, seconds=round(elapsed, 3), **_told(call))
        return response

    return endpoint


async def _answer(call: Call, route: Route) -> web.StreamResponse:
    if not all(map(_is_text, call.request.query.values())):
        raise web.HTTPBadRequest
    fresh_visitor = await _identify(call, route)
    if route.action != PUBLIC and call.staff is None:
        return _to_login(call)
    if call.request.method not in ("GET", "HEAD"):
        if route.files:  # nothing of a file is read for those who may not bring one
            _check_right(call, route)
        await _check_change(call, route)
    if call.staff is not None and route.action != PUBLIC:
        if call.staff.must_change and route.action != SELF:
            return call.redirect("/password")
        _check_right(call, route)
    response = await proving.ask(call, route) or await _in_time(call, route)
    if fresh_visitor and isinstance(response, web.Response) and call.staff is None:
        call.set_cookie(response, VISITOR_COOKIE, call.csrf)
    return response


def _check_right(call: Call, route: Route) -> None:
    if not isinstance(route.action, Open) and not call.may(route.action):
        raise web.HTTPForbidden


async def _in_time(call: Call, route: Route) -> web.StreamResponse:
    """The handler's answer; files have to be there within the time that their size takes on a slow line."""
    if not route.files:
        return await route.handler(call)
    try:
        async with asyncio.timeout(longest(route.files)):
            return await route.handler(call)
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (ConnectionError, ValueError, HttpProcessingError) as exc:  # its sender has gone, or it is no form
        raise web.HTTPBadRequest from exc


async def _identify(call: Call, route: Route) -> bool:
    """Find the person; for visitors make sure there is a CSRF token. True when that token is new."""
    cookies = call.request.cookies
    token = cookies.get(call.portal.cookie(call.request, SESSION_COOKIE))
    if token and token.isascii():
        session = await call.portal.auth.session(token, passive=route.passive, address=call.ip)
        if session:
            call.staff, call.csrf, call.token = session.person, session.csrf, token
            call.session = session
            if not session.admitted:
                await call.reads("session.elsewhere", "portal")
                raise Refused("AUTH_IP_DENIED", ip=call.ip or "-")
            return False
    if not await call.portal.auth.admits(call.ip):
        raise Refused("AUTH_IP_DENIED", ip=call.ip or "-")
    visitor = cookies.get(call.portal.cookie(call.request, VISITOR_COOKIE), "")
    if re.fullmatch(r"[A-Za-z0-9_-]{32}", visitor):
        call.csrf = visitor
        return False
    call.csrf = secrets.token_urlsafe(24)
    return True


async def _check_change(call: Call, route: Route) -> None:
    """A change must come from our own page: by origin and by token."""
    form = await (_begin_files(call, route) if route.files else _form(call))
    if not all(map(_is_text, form.values())):
        raise web.HTTPBadRequest
    given = call.request.headers.get(CSRF_HEADER) or str(form.get(CSRF_FIELD, ""))
    if not same_origin(call.request) or not same_token(call.csrf, given):
        if call.staff is None:
            await call.unwelcome()
        sparing.info("portal.csrf", place_of(call.ip or ""), ip=call.ip, **_told(call))
        raise errors.Stale


async def _form(call: Call) -> Mapping[str, object]:
    """The fields of a form, of which a visitor's is short and soon there."""
    request, length = call.request, call.request.content_length
    most = MAX_FORM if call.staff else MAX_VISITOR_FORM
    if length is None or length > most:  # browsers always say how long a form is
        raise web.HTTPRequestEntityTooLarge(most, length or 0)
    if length and request.content_type != FORM:  # forms with files go another way
        raise web.HTTPBadRequest
    try:
        async with asyncio.timeout(longest(length) if call.staff else VISITOR_SECONDS):
            octets = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except ConnectionError:  # its sender has gone: nobody hears it
        raise web.HTTPBadRequest from None
    if octets.count(b"&") >= MAX_FIELDS:
        raise web.HTTPBadRequest
    try:
        form: Mapping[str, object] = await request.post()
    except (LookupError, ValueError, HttpProcessingError) as exc:  # charset, octets: all wrong
        raise web.HTTPBadRequest from exc
    return form


async def _begin_files(call: Call, route: Route) -> Mapping[str, object]:
    """The token of a form with files, which is its first field; the files are left to be read."""
    request, length = call.request, call.request.content_length
    most = route.files + MAX_VISITOR_FORM
    if length is None or length > most:
        raise web.HTTPRequestEntityTooLarge(most, length or 0)
    if request.content_type != "multipart/form-data":
        raise web.HTTPBadRequest
    try:
        async with asyncio.timeout(VISITOR_SECONDS):
            call.parts = await request.multipart()
            first = await call.parts.next()
            if not isinstance(first, BodyPartReader) or first.name != CSRF_FIELD:
                raise web.HTTPBadRequest
            return {CSRF_FIELD: (await first.read_chunk(1024)).decode("ascii")}
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (ConnectionError, ValueError, HttpProcessingError) as exc:
        raise web.HTTPBadRequest from exc


def _is_text(value: object) -> bool:
    """Whether it can be written down: PostgreSQL has no NUL, UTF-8 no half of a pair, which some charsets of forms
    have."""
    return isinstance(value, str) and "\0" not in value and not _SURROGATE.search(value)


def _told(call: Call) -> dict[str, str]:
    """What a line says of a request."""
    path = call.request.raw_path.partition("?")[0][:200].encode("ascii", "backslashreplace").decode()
    return {"path": path, "request_id": call.request_id}


def _to_login(call: Call) -> web.Response:
    if call.is_htmx:  # a piece of a page cannot become the login page: send the whole page there
        here = call.request.headers.get("HX-Current-URL", "")
        path = local_path(re.sub(r"^https?://[^/]*", "", here))
        location = call.redirect("/login", next=path).headers["Location"]
        return web.Response(status=401, headers={"HX-Redirect": location})
    if call.request.method == "GET" and call.request.path != "/":
        return call.redirect("/login", next=call.here)
    return call.redirect("/login")


def _request_id(request: web.Request) -> str:
    given = request.headers.get("X-Request-Id", "")
    return given if re.fullmatch(r"[A-Za-z0-9_-]{8,64}", given) else secrets.token_hex(8)


def _language(portal: Portal, request: web.Request) -> str:
    wanted = request.cookies.get(portal.cookie(request, LANGUAGE_COOKIE), DEFAULT)
    return wanted if wanted in LANGUAGES else DEFAULT
