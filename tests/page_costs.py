"""What a page of the portal costs: time and processor time of its answer, and statements to the database."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import aiohttp
import asyncpg
from aiohttp import web
from demo_site import PASSWORD, DemoSite

from smsgw.admin import app
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.lists import ListPage
from smsgw.admin.rights import Route

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SENT = ("fetch", "fetchrow", "fetchval", "execute", "executemany")
_NOT_COUNTED = "SELECT pg_advisory_unlock_all()"
"""The pool cleans a connection when it is given back: not of the page's making."""


_WRITES = re.compile(r"\b(?:INSERT INTO|UPDATE(?! OF\b| SKIP\b)|DELETE FROM)\s+(\w+)")


@dataclass(slots=True)
class Cost:
    """Of one answer."""

    seconds: float = 0.0
    """From the request's headers to the answer, compressed, before it is written."""
    cpu: float = 0.0
    """Of the daemon in that time, whatever else it did meanwhile."""
    statements: int = 0
    """Those that begin and end transactions, too."""
    written: set[str] = field(default_factory=set)
    """Tables that they change."""


_cost: ContextVar[Cost | None] = ContextVar("cost", default=None)


@contextlib.contextmanager
def watched() -> Iterator[list[Cost]]:
    """Costs of the answers of portals that are mounted while the block runs, in their order."""
    costs: list[Cost] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(app, "_endpoint", _endpoint(app._endpoint, costs)))
        for name in _SENT:
            counting = _counting(getattr(asyncpg.Connection, name))
            stack.enter_context(mock.patch.object(asyncpg.Connection, name, counting))
        yield costs


def _endpoint(real: Callable[[Any, Route], Handler], costs: list[Cost]) -> Callable[[Any, Route], Handler]:
    def endpoint(portal: Any, route: Route) -> Handler:
        handler = real(portal, route)

        async def answer(request: web.Request) -> web.StreamResponse:
            cost = Cost()
            _cost.set(cost)
            began, cpu = time.perf_counter(), time.thread_time()
            try:
                return await handler(request)
            finally:
                cost.seconds, cost.cpu = time.perf_counter() - began, time.thread_time() - cpu
                costs.append(cost)

        return answer

    return endpoint


def _counting(real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def sent(self: asyncpg.Connection, query: str, *args: Any, **options: Any) -> Any:
        cost = _cost.get()
        if cost is not None and not query.lstrip().startswith(_NOT_COUNTED):
            cost.statements += 1
            cost.written |= {table.lower() for table in _WRITES.findall(query)}
        return await real(self, query, *args, **options)

    return sent


def kind_of(route: Route) -> str:
    """What kind of page an address is: list, report, detail, form, or page for those that are made by hand."""
    made = getattr(route.handler, "__self__", None)
    if isinstance(made, FormPage):
        return "form"
    if isinstance(made, ListPage):
        return "detail" if "{id" in route.path else "report" if made.report is not None else "list"
    return "page"


@contextlib.asynccontextmanager
async def session_of(site: DemoSite, role: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client with the session of the role's person; of nobody without a role."""
    cookies = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(
        site.url, cookie_jar=cookies, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=60),
        headers={"Accept-Encoding": "gzip", "Origin": site.url.rstrip("/")},
    ) as client:  # fmt: skip
        if role:
            async with client.get("/login", headers={"Accept-Encoding": "identity"}) as page:
                token = re.search(r'name="csrf" value="([^"]+)"', await page.text())
            assert token is not None
            form = {"login": site.login_of(role), "password": PASSWORD, "csrf": token[1]}
            async with client.post("/login", data=form, allow_redirects=False) as answer:
                assert answer.status == 303, answer.status
        yield client
