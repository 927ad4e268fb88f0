"""A provider of number look-ups that is none: it answers by the last digit, and as badly as it is told to."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import deque
from dataclasses import dataclass, field

from aiohttp import web

MOST = 50
PREFIX = "1"
"""Codes by the last digit of a number: 0 空号, 1 实号, 2 停机, 3 库无, 4 沉默号, 5 风险号; others 实号."""


def code_of(number: str) -> str:
    """What it answers about a number."""
    return number[-1] if number[-1] in "012345" else PREFIX


@dataclass(slots=True)
class NumberVendor:
    """How it behaves, and what it was asked."""

    app_id: str = "demo"
    secret: str = "demo-secret"  # noqa: S105 - of a simulator
    directory: dict[str, str] = field(default_factory=dict)
    """MD5 of the numbers that it knows -> number; for calls by MD5 alone."""
    failing: int = 0
    """So many calls to come are answered with 503."""
    delay: float = 0.0
    """Seconds before an answer."""
    refusing: bool = False
    calls: deque[int] = field(default_factory=lambda: deque(maxlen=10_000))
    """Numbers of each call that was answered."""

    def learn(self, *numbers: str) -> None:
        """It knows the MD5 of these."""
        for one in numbers:
            self.directory[hashlib.md5(one.encode(), usedforsecurity=False).hexdigest()] = one

    def app(self) -> web.Application:
        """To be served: ``POST /lookup``."""
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_post("/lookup", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.failing:
            self.failing -= 1
            return web.Response(status=503)
        wanted = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        said = json.loads(body)
        if self.refusing or said.get("app_id") != self.app_id or not hmac.compare_digest(
            wanted, request.headers.get("X-Signature", "")
        ):
            return web.Response(status=401)
        asked = said.get("md5") or said.get("numbers") or []
        if not 0 < len(asked) <= MOST:
            return web.json_response({"code": 40001, "message": "1 to 50 numbers"})
        found = [(one, self.directory.get(one, "") if "md5" in said else one) for one in asked]
        self.calls.append(len(asked))
        items = [{"id": one, "state": code_of(number) if number else "3"} for one, number in found]
        return web.json_response({"code": 0, "items": items, "charged": len(items)})
