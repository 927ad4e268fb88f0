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
KEPT = 10_000
"""Answers that are remembered."""
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
    losing: int = 0
    """So many calls to come are charged, and answered with 503: the answer was lost on its way."""
    refusing: bool = False
    calls: deque[int] = field(default_factory=lambda: deque(maxlen=10_000))
    """Numbers of each call that was charged: those of one nonce once."""
    answers: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    """What was answered, by nonce: whoever comes with it again gets the same, for nothing."""

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
        if (
            self.refusing
            or said.get("app_id") != self.app_id
            or not hmac.compare_digest(wanted, request.headers.get("X-Signature", ""))
        ):
            return web.Response(status=401)
        asked = said.get("md5") or said.get("numbers") or []
        if not 0 < len(asked) <= MOST:
            return web.json_response({"code": 40001, "message": "1 to 50 numbers"})
        nonce = str(said.get("nonce", ""))
        if not 16 <= len(nonce) <= 64:
            return web.json_response({"code": 40002, "message": "no nonce"})
        if nonce not in self.answers:
            self.calls.append(len(asked))
            found = [(one, self.directory.get(one, "") if "md5" in said else one) for one in asked]
            items = [{"id": one, "state": code_of(number) if number else "3"} for one, number in found]
            if len(self.answers) >= KEPT:
                del self.answers[next(iter(self.answers))]
            self.answers[nonce] = items
        items = self.answers[nonce]
        if {item["id"] for item in items} != set(asked):
            return web.json_response({"code": 40003, "message": "a nonce of other numbers"})
        if self.losing:
            self.losing -= 1
            return web.Response(status=503)
        return web.json_response({"code": 0, "items": items, "charged": len(items)})
