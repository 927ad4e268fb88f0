"""The real API on a loopback port over a real database, with the keys and helpers that its tests need."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import io
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote

import aiohttp
from aiohttp import web
from changes import by_test
from composing import Composed, ground
from receiver import LOOPBACK
from standins import AnyDestination, AnyFleet

from smsgw.api.app import runner_options, setup
from smsgw.api.context import ApiContext
from smsgw.core.ids import IdSource
from smsgw.core.policy import NO_POLICY
from smsgw.pipeline.accept.acceptor import Acceptor
from smsgw.pipeline.accept.nonces import Nonces
from smsgw.pipeline.accept.number_lists import NumberLists
from smsgw.pipeline.accept.number_status import NumberStatus
from smsgw.pipeline.accept.spooling import OutageSpool
from smsgw.pipeline.delivery.destinations import Destinations
from smsgw.pipeline.delivery.push_http import Sender
from smsgw.pipeline.outcomes.writer import Outcomes
from smsgw.platform.accounts import service as accounts
from smsgw.platform.keys import service as keys
from smsgw.platform.keys.model import NewKey
from smsgw.runtime.config import PublicConfig
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

BASE = "/api/v1"
DEFAULT_SCOPES = ("send", "query", "report", "mo", "balance", "webhook")


@dataclass
class Answer:
    """An answer, its envelope opened."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)

    @property
    def code(self) -> str:
        return self.body["code"]

    @property
    def data(self) -> Any:
        return self.body["data"]


@dataclass
class Api:
    """A running API and a client of it."""

    ctx: ApiContext
    acceptor: Acceptor
    session: aiohttp.ClientSession
    origin: str
    port: int
    runner: web.AppRunner
    sealer: Sealer
    account_id: int
    key: NewKey
    lists: NumberLists
    """Followed from the database when a test says so; so is what is known of numbers."""
    numbers: NumberStatus
    outcomes: Outcomes
    blocked: set[str] = field(default_factory=set)
    """Pools without a channel."""
    checks: dict[str, Any] = field(default_factory=dict)
    """Why the node is not ready; empty when it is."""

    async def add_key(self, account_id: int | None = None, **how: Any) -> NewKey:
        new = await keys.add(by_test(self.ctx.db), self.sealer, account_id or self.account_id, **how)
        await self.ctx.snapshots.follow()
        return new

    async def send(self, method: str, path: str, *, data: bytes = b"", headers: Mapping[str, str] = {}) -> Answer:
        async with self.session.request(
            method,
            aiohttp.client.URL(self.origin + path, encoded=True),
            data=io.BytesIO(data) if data else None,
            headers=dict(headers),
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def call(
        self, method: str, path: str, body: Any = None, *, key: NewKey | None = None, **headers: str
    ) -> Answer:
        """Call with a bearer token; ``body`` is JSON, or octets as they are."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        auth = {"Authorization": f"Bearer {(key or self.key).bearer}"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send(method, BASE + path, data=data, headers=auth | named)

    async def raw(self, *chunks: bytes) -> bytes:
        """Send octets as they are, and read until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.writelines(chunks)
            return await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def post(self, path: str, body: Any = None, **how: Any) -> Answer:
        return await self.call("POST", path, body, **how)

    async def get(self, path: str, **how: Any) -> Answer:
        return await self.call("GET", path, **how)

    def signed(
        self, method: str, path: str, data: bytes = b"", *, key: NewKey | None = None, secret: str | None = None,
        at: int | None = None, nonce: str | None = None, idempotency_key: str = "", version: int = 2,
    ) -> dict[str, str]:  # fmt: skip
        """Headers of a signed request, made as the documentation tells it (not with the code under test)."""
        key = key or self.key
        raw, _, query = path.partition("?")
        pairs = sorted(parse_qsl(query, keep_blank_values=True))
        canonical = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in pairs)
        timestamp = str(int(time.time()) if at is None else at)
        nonce = nonce or secrets.token_hex(16)
        lines = [method, raw, canonical, timestamp, nonce, hashlib.sha256(data).hexdigest()]
        if version == 2:
            lines = ["v2", *lines, idempotency_key]
        mac = hmac.new((secret or key.secret).encode(), "\n".join(lines).encode(), hashlib.sha256).hexdigest()
        headers = {"X-Sms-Key": key.key_id, "X-Sms-Timestamp": timestamp, "X-Sms-Nonce": nonce}
        headers |= {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return headers | {"X-Sms-Signature": f"v{version}={mac}"}

    @contextlib.asynccontextmanager
    async def another_node(self, *middlewares: Any, **how: Any) -> AsyncIterator[Api]:
        """The same API as another node serves it, or this one after a restart: over the same database, and with
        nothing in memory of what was served here. ``how`` goes to ``ApiContext``."""
        ctx = replace(self.ctx, **how)
        ctx.nonces = await started_nonces(self.ctx.db)
        app = web.Application(middlewares=middlewares)
        setup(app, ctx)
        runner = web.AppRunner(app, **runner_options())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        try:
            yield replace(self, ctx=ctx, runner=runner, port=port, origin=f"http://127.0.0.1:{port}")
        finally:
            await runner.cleanup()
            await ctx.nonces.stop()


async def started_nonces(db: Database) -> Nonces:
    nonces = Nonces(db.dsn)
    await nonces.start()
    return nonces


@contextlib.asynccontextmanager
async def running(
    dsn: str,
    data_dir: Path,
    *,
    runner_changes: Mapping[str, Any] = MappingProxyType({}),
    now: Callable[[], datetime] | None = None,
    outage: OutageSpool | None = None,
    configured: Mapping[str, Any] | None = None,
    sealer: Sealer | None = None,
    **how: Any,
) -> AsyncIterator[Api]:
    """The API over the database; ``how`` goes to ``ApiContext``, ``configured`` is put over the configuration that
    accepting goes by. With ``now`` (the acceptor's clock) policies count."""
    db = Database(dsn)
    await db.open()
    sealer = sealer or Sealer(secrets.token_bytes(32))
    ids = IdSource(1, lambda: int(time.time() * 1000))
    account_id = await accounts.add(by_test(db), "acme", default_sign="测试", webhook_networks="0.0.0.0/0")
    await accounts.top_up(by_test(db, ids.next), account_id, 10_000, "")
    key = await keys.add(by_test(db), sealer, account_id, scopes=DEFAULT_SCOPES)
    blocked: set[str] = set()
    checks: dict[str, Any] = {}
    stand = ground(db, data_dir, sealer=sealer, ids=ids, min_free_mb=1, public=PublicConfig(hosts=("s.example.cn",)))
    instead = {} if now is None else {"now": now}
    parts = Composed(
        stand, {**({} if now else {"policies": NO_POLICY}), **(configured or {})},
        fleet=AnyFleet(blocked), callbacks=AnyDestination(), outage=outage, sender=Sender(own_ports=()),
        ready=lambda: (not checks, checks), **instead,
    )  # fmt: skip
    parts.destinations = Destinations(parts.snapshots, LOOPBACK)
    await parts.snapshots.follow()
    await parts.lists.load()
    await parts.numbers.load()
    acceptor, outcomes = parts.acceptor, parts.outcomes
    await acceptor.start()
    replaying = parts.periodic.run(acceptor.periodics())
    stand.journal.open()
    await outcomes.start()
    await parts.nonces.start()
    ctx = replace(parts.api, **{"allow_insecure_bearer": True, **how})
    app = web.Application()
    setup(app, ctx)
    runner = web.AppRunner(app, **{**runner_options(), **runner_changes})
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            yield Api(
                ctx, acceptor, session, f"http://127.0.0.1:{port}", port, runner, sealer, account_id, key,
                parts.lists, parts.numbers, outcomes, blocked, checks,
            )  # fmt: skip
    finally:
        await runner.cleanup()
        await ctx.nonces.stop()
        await replaying.stop()
        await acceptor.stop()
        await outcomes.stop()
        stand.journal.close()
        await db.close()
