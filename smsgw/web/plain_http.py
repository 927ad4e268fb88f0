"""What the plain listener serves beside one for TLS: how the node is, and the way to TLS (``[http] tls_listen``)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

import structlog
from aiohttp import web

from smsgw.core.addresses import Network, place_of
from smsgw.core.errors import Refused
from smsgw.runtime import clock
from smsgw.runtime.config import HttpConfig, split_address
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.web import serving
from smsgw.web.envelope import JSON, failure, prefers_english
from smsgw.web.request_ids import RequestIds
from smsgw.web.serving import API_BASE

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

_HEALTH = frozenset({"/health", "/ready"})
_HOST = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?", re.ASCII)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def only_tls(settings: HttpConfig, trusted: Sequence[Network]) -> Callable[..., Awaitable[web.StreamResponse]]:
    """A middleware: a request that did not come over TLS (to us, or to a trusted proxy that says so) gets to see
    ``/health`` and ``/ready``. One of the API is refused with ``TLS_REQUIRED``, unless ``plain_api`` lets it pass; a
    page is sent on to TLS, and a form is refused: what it held has been heard already."""
    request_ids = RequestIds(clock.time)
    _, port = split_address(settings.tls_listen)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if serving.over_tls(request, trusted) or request.path in _HEALTH:
            return await handler(request)
        of_api = request.path == API_BASE or request.path.startswith(API_BASE + "/")
        if of_api and settings.plain_api:
            return await handler(request)
        ip = serving.address_of(request, trusted)
        sparing.info("http.plain_refused", place_of(ip), ip=ip, api=of_api)
        host = _HOST.fullmatch(request.headers.get("Host", ""))
        if not of_api and host is not None and request.method in ("GET", "HEAD"):
            there = host[1] if port == 443 else f"{host[1]}:{port}"
            page = request.rel_url.raw_path_qs  # the target may have come with a host of its own
            return web.Response(status=307, headers={"Location": f"https://{there}{page}"})
        english = prefers_english(request.headers.get("Accept-Language", ""))
        request_id = request_ids.next()
        status, body, headers = failure(Refused("TLS_REQUIRED"), request_id, english=english)
        return web.Response(
            status=status, body=body, headers=headers | {"Content-Type": JSON, "X-Request-Id": request_id}
        )

    return middleware
