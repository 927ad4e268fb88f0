"""A customer's receiver of pushes, the events that go to it, and a pusher whose clock is the test's."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from changes import by_test

from smsgw.core.ids import IdSource
from smsgw.core.webhooks import Reach
from smsgw.pipeline.delivery.destinations import Destinations
from smsgw.pipeline.delivery.push import Pusher
from smsgw.pipeline.delivery.push_http import Sender
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.periodic import Supervisor
from smsgw.pipeline.snapshot import SnapshotFollower
from smsgw.platform.accounts import service as accounts
from smsgw.platform.webhooks import service as webhooks
from smsgw.platform.webhooks.model import Wanted
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

LOOPBACK = Reach(http=True, networks=(ipaddress.ip_network("127.0.0.0/8"),), ports=((1, 65535),))


@dataclass
class Received:
    """One call as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Reply = Callable[[Received], Awaitable[web.StreamResponse] | web.StreamResponse]


@dataclass
class Receiver:
    """Answers 200 unless told otherwise, and remembers every call."""

    origin: str = ""
    calls: list[Received] = field(default_factory=list)
    reply: Reply = field(default=lambda _: web.Response(text="ok"))
    busy: int = 0
    most_busy: int = 0

    @property
    def events(self) -> list[str]:
        """Ids of the events in calls that were answered well, in the order of arrival."""
        return [i["event_id"] for c in self.accepted for i in c.json["items"]]

    accepted: list[Received] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        call = Received(
            request.method, request.path, request.rel_url.raw_query_string, dict(request.headers), await request.read(),
            time.monotonic(),
        )  # fmt: skip
        self.calls.append(call)
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            answer = self.reply(call)
            if isinstance(answer, Awaitable):
                answer = await answer
        finally:
            self.busy -= 1
        if 200 <= answer.status < 300:
            self.accepted.append(call)
        return answer


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a loopback port."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


class Stage:
    """A database, an account and a pusher. Time passes when the test says so."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.database = Database(dsn)
        self.sealer = Sealer(secrets.token_bytes(32))
        self.ids = IdSource(1, lambda: time.time_ns() // 1_000_000)
        self.snapshots = SnapshotFollower(self.database, self.sealer)
        self.hub = EventHub()
        self.shift = timedelta()
        self.account_id = 0
        self.pusher: Pusher

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift

    async def open(self) -> None:
        await self.database.open()
        self.account_id = await accounts.add(by_test(self.database), "acme", webhook_networks="0.0.0.0/0")

    def make_pusher(self, *, node: int = 1, reach: Reach = LOOPBACK) -> Pusher:
        return Pusher(
            self.database, leasing=self.database, node=node, ids=self.ids, snapshots=self.snapshots, hub=self.hub,
            destinations=Destinations(self.snapshots, reach), sender=Sender(own_ports=()), now=self.now,
            chance=lambda: 0.5,
        )  # fmt: skip

    async def start(self) -> None:
        await self.snapshots.follow()
        self.pusher = self.make_pusher()
        await self.start_pusher()

    async def start_pusher(self) -> None:
        await self.pusher.start()
        self.periodic = Supervisor(self.database, 1).run(self.pusher.periodics())

    async def stop_pusher(self) -> None:
        await self.periodic.stop()
        await self.pusher.stop()

    async def reload(self) -> None:
        await self.snapshots.follow()
        await self.pusher.follow()

    async def put(
        self, name: str, url: str = "", *, account_id: int | None = None, hosts: tuple[str, ...] = (),
        events: tuple[str, ...] = (), **options: Any,
    ) -> str | None:  # fmt: skip
        return await webhooks.put(
            by_test(self.database),
            self.sealer,
            account_id or self.account_id,
            Wanted(name, url, events, hosts, options),
            LOOPBACK,
        )

    async def reports(
        self, count: int = 1, *, message_id: int | None = None, account_id: int | None = None, target: str | None = None
    ) -> list[int]:
        """New reports, about one message or about one each; their ids. The hub is notified."""
        account_id = account_id or self.account_id
        made, messages = [], []
        for _ in range(count):
            messages.append(message_id or self.ids.next())
            made.append(self.ids.next())
        await self.database.execute(
            """INSERT INTO message (id, batch_id, account_id, origin, type, number, carrier, province, content, sign,
                                    coding, parts, concat_ref, price, client_ref)
               SELECT DISTINCT m, m, $2::bigint, 'api', 'otp', '8613800000000', 'CMCC', '', 'x', '', 'gsm7', 1, 0,
                      1, 'ref'
               FROM unnest($1::bigint[]) m ON CONFLICT DO NOTHING""",
            messages,
            account_id,
        )
        await self.database.execute(
            """INSERT INTO customer_event (id, account_id, kind, message_id, status, code, parts_ok, submitted_at,
                                           done_at, target)
               SELECT e, $2::bigint, 'report', m, 'delivered', 'DELIVRD', 1, now(), now(), $4
               FROM unnest($1::bigint[], $3::bigint[]) AS d(e, m)""",
            made, account_id, messages, target,
        )  # fmt: skip
        self.hub.notify([account_id], "report")
        return made

    async def quiet(self, *, within: float = 60.0) -> None:
        """Look once, and wait until nothing is being pushed."""
        await self.pusher.look()
        deadline = time.monotonic() + within
        while not self.pusher.idle:
            assert time.monotonic() < deadline, "still pushing"
            await asyncio.sleep(0.01)

    async def rows(self) -> list[Any]:
        return await self.database.fetch("SELECT * FROM customer_event ORDER BY id")

    async def waiting(self) -> int:
        return await self.database.fetchval("SELECT count(*) FROM customer_event WHERE acknowledged_at IS NULL")


def repeated(ids: list[str]) -> list[str]:
    """Those that occur more than once."""
    return [one for one, n in Counter(ids).items() if n > 1]
