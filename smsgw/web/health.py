"""Liveness and readiness, for every listener."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from smsgw.core.errors import http_status, message_of
from smsgw.runtime import clock
from smsgw.web.request_ids import RequestIds

Ready = Callable[[], tuple[bool, dict[str, Any]]]

_request_ids = RequestIds(clock.time)
_KEY: web.AppKey[bool] = web.AppKey("smsgw.web.health", bool)


def add_health(app: web.Application, ready: Ready) -> None:
    """Serve ``GET /health`` (the process answers) and ``GET /ready`` (it can do its work: 200, else 503).

    ``ready`` gives the verdict and its reasons. A second call for the same application changes nothing.
    """
    if _KEY in app:
        return
    app[_KEY] = True

    async def health(_: web.Request) -> web.Response:
        return _answer("OK", {"status": "ok", "checks": {}})

    async def is_ready(_: web.Request) -> web.Response:
        good, checks = ready()
        return _answer("OK" if good else "NOT_READY", {"status": "ok" if good else "not_ready", "checks": checks})

    app.router.add_get("/health", health)
    app.router.add_get("/ready", is_ready)


def _answer(code: str, data: dict[str, Any]) -> web.Response:
    request_id = _request_ids.next()
    body = msgspec.json.encode(
        {
            "code": code,
            "message": message_of(code),
            "message_en": message_of(code, english=True),
            "request_id": request_id,
            "data": data,
        }
    )
    return web.Response(
        status=http_status(code),
        body=body,
        content_type="application/json",
        headers={"Cache-Control": "no-store", "X-Request-Id": request_id},
    )
