"""The calls of the API, for the page on which they are tried."""

from __future__ import annotations

from functools import cache

from smsgw.api import manual, openapi
from smsgw.api.routes import ROUTES
from smsgw.core.trying import Operation
from smsgw.web.serving import API_BASE


@cache
def operations() -> tuple[Operation, ...]:
    """All of them, in the order of the route table."""
    shown = {(one.method, one.path): one for chapter in manual.chapters() for one in chapter.operations}
    english = openapi.document()["paths"]
    made = []
    for route in ROUTES:
        if route.upload:
            continue
        one = shown[route.method, API_BASE + route.path]
        summary = english[API_BASE + route.path][route.method.lower()]["summary"]
        made.append(Operation(
            route.method, route.path, route.scope, one.summary, summary, one.request, route.idempotent, route.streams
        ))  # fmt: skip
    return tuple(made)
