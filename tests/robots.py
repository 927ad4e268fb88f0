"""企业微信 and 钉钉 group robots and a webhook, as their documentation has them, on a port of loopback.

https://developer.work.weixin.qq.com/document/path/91770 and https://open.dingtalk.com/document/robots/custom-robot-access:
the answer is always HTTP 200, and ``errcode`` says what became of it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KEY, TOKEN, SECRET, HOOK_SECRET = "693a91f6-7xxx-4bc4", "d1ngt0ken", "SECd1ngs3cret", "hook-secret-of-the-buyer"
MOST_A_MINUTE = 20


@dataclass
class Robots:
    """What came, and what to do with what comes next: ``busy``, ``drop``, or a status."""

    origin: str = ""
    wecom: list[str] = field(default_factory=list)
    dingtalk: list[str] = field(default_factory=list)
    hook: list[dict[str, Any]] = field(default_factory=list)
    next: list[str] = field(default_factory=list)
    _times: dict[str, list[float]] = field(default_factory=dict)

    @property
    def wecom_url(self) -> str:
        return f"{self.origin}/cgi-bin/webhook/send?key={KEY}"

    @property
    def dingtalk_url(self) -> str:
        return f"{self.origin}/robot/send?access_token={TOKEN}"

    @property
    def hook_url(self) -> str:
        return f"{self.origin}/hook"

    def _too_many(self, robot: str) -> bool:
        now = time.monotonic()
        times = self._times[robot] = [at for at in self._times.get(robot, []) if at > now - 60] + [now]
        return len(times) > MOST_A_MINUTE

    def _turn(self, request: web.Request) -> str:
        said = self.next.pop(0) if self.next else ""
        if said == "drop":
            assert request.transport is not None
            request.transport.abort()
        return said

    async def send_wecom(self, request: web.Request) -> web.Response:
        body = await request.json()
        said = self._turn(request)
        if request.query.get("key") != KEY:
            return _said(93000, "invalid webhook url, hint: [1769000000], from ip: 127.0.0.1")
        if said == "busy" or self._too_many("wecom"):
            return _said(45009, "api freq out of limit")
        if body.get("msgtype") != "text" or set(body) != {"msgtype", "text"}:
            return _said(40008, "invalid message type")
        content = body["text"]["content"]
        if not 0 < len(content.encode()) <= 2048:
            return _said(40058, "text.content exceed max length 2048")
        self.wecom.append(content)
        return _said(0, "ok")

    async def send_dingtalk(self, request: web.Request) -> web.Response:
        body = await request.json()
        said = self._turn(request)
        if request.query.get("access_token") != TOKEN:
            return _said(300005, "token is not exist")
        stamp = request.query.get("timestamp", "")
        wanted = hmac.new(SECRET.encode(), (stamp + "\n" + SECRET).encode(), digestmod=hashlib.sha256).digest()
        if request.query.get("sign") != base64.b64encode(wanted).decode():
            return _said(310000, "sign not match, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]")
        if abs(time.time() * 1000 - int(stamp)) > 3_600_000:
            return _said(310000, "invalid timestamp")
        if said == "busy" or self._too_many("dingtalk"):
            return _said(130101, "send too fast, exceed 20 times per minute")
        self.dingtalk.append(body["text"]["content"])
        return _said(0, "ok")

    async def take_hook(self, request: web.Request) -> web.Response:
        body = await request.read()
        said = self._turn(request)
        signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + body
        proof = base64.b64encode(hmac.new(HOOK_SECRET.encode(), signed, hashlib.sha256).digest()).decode()
        if request.headers["webhook-signature"] != f"v1,{proof}":
            return web.Response(status=401)
        if said:  # dropped: nobody hears the answer
            return web.Response(status=int(said) if said.isdigit() else 500)
        self.hook += json.loads(body)["items"]
        return web.Response(status=204)


def _said(code: int, message: str) -> web.Response:
    return web.json_response({"errcode": code, "errmsg": message})


@asynccontextmanager
async def robots() -> AsyncIterator[Robots]:
    one = Robots()
    app = web.Application()
    app.router.add_post("/cgi-bin/webhook/send", one.send_wecom)
    app.router.add_post("/robot/send", one.send_dingtalk)
    app.router.add_post("/hook", one.take_hook)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        async with asyncio.timeout(30):
            await runner.cleanup()
