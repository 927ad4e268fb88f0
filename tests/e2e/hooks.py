"""Receivers of pushes that hang, are slow or refuse, beside others: how long events wait for those. And how long they
wait after the database was killed.

At full length: ``scripts/trials --only webhooks --only push-kills``. The former with more hanging calls, and without a
daemon, is in tests/integration/delivery/test_push.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import asyncpg
from aiohttp import web
from harness import Client, Customer, Site, until
from measures import percentile, quantiles
from outages import Load

from smsgw.core.ids import time_of
from smsgw.store.engine.embedded import EmbeddedPostgres

Figures = dict[str, object]
SLOW = 9.0
"""Seconds: just within the time of a call."""
GOOD = ("good1", "good2", "good3")
BAD = ("hanging", "slow", "failing")


class Receivers:
    """One a path. ``misbehave``: those of ``BAD`` do what they are called."""

    def __init__(self) -> None:
        self.origin = ""
        self.misbehave = False
        self.items: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        """What each has taken."""
        self.waits: list[float] = []
        """Seconds from the event to the receivers of ``GOOD``."""
        self.calls = dict.fromkeys(BAD, 0)
        """While they misbehaved."""
        self.first: dict[str, tuple[float, float, str]] = {}
        """Event -> when it was made, when it came first, and its message; to the receivers of ``GOOD``."""

    async def handle(self, request: web.Request) -> web.Response:
        now = time.time()
        name = request.match_info["name"]
        items = (await request.json())["items"]
        if name in GOOD:
            for item in items:
                made = time_of(int(item["event_id"])).timestamp()
                self.waits.append(now - made)
                self.first.setdefault(item["event_id"], (made, now, item["message_id"]))
        elif name in BAD and self.misbehave:
            self.calls[name] += 1
            if name == "failing":
                return web.Response(status=500)
            await asyncio.sleep(SLOW if name == "slow" else 3600)
        self.items[name] += items
        return web.Response()

    def told(self, name: str) -> set[str]:
        """Messages of which a receiver has taken a report."""
        return {str(item["message_id"]) for item in self.items[name]}

    def take(self) -> list[float]:
        """The waits since the last time, in order."""
        waits, self.waits = sorted(self.waits), []
        return waits


@contextlib.asynccontextmanager
async def receivers() -> AsyncIterator[Receivers]:
    """Listening."""
    made = Receivers()
    app = web.Application()
    app.router.add_post("/{name}", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


async def customers(built: Site, there: Receivers, stack: contextlib.AsyncExitStack) -> dict[str, Customer]:
    """An account with a webhook for each receiver."""
    made = {}
    for n, name in enumerate(GOOD + BAD):
        await built.node.furnish(
            "account", "add", name, "--no-sign", "--webhook-networks", "127.0.0.0/8", "--balance", "1000000"
        )
        key, _ = await asyncio.gather(
            built.node.furnish("key", "add", name, "--json"),
            built.node.ctl(
                "webhook", "set", name, "main", f"{there.origin}/{name}", "--options", json.dumps({"linger_ms": 0})
            ),
        )
        client = await stack.enter_async_context(Client(built.node, key.data))
        made[name] = Customer(client, _serial=n * 1_000_000)
    return made


async def beside_bad_receivers(built: Site, there: Receivers, seconds: float, per_second: int = 20) -> Figures:
    """``per_second`` messages of each good account, three times as many of each bad one; half of ``seconds`` while all
    receivers are well, half while the bad ones are not. At the end everybody has everything."""
    async with contextlib.AsyncExitStack() as stack:
        accounts = await customers(built, there, stack)
        sent: dict[str, set[str]] = {name: set() for name in accounts}

        async def post(name: str, n: int) -> None:
            customer = accounts[name]
            sent[name] |= {one.message_id for one in await customer.send_many(n, "cmpp30")}

        async def load() -> None:
            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for n in range(int(seconds / 2 * per_second)):
                    await asyncio.sleep(max(0.0, began + n / per_second - time.monotonic()))
                    for name in GOOD:
                        group.create_task(post(name, 1))
                    if n % 5 == 0:
                        for name in BAD:
                            group.create_task(post(name, 15))

        async def told(names: tuple[str, ...], within: float) -> None:
            await until(
                lambda: all(sent[n] <= there.told(n) for n in names), within=within, what=f"all reports of {names}"
            )

        await load()
        await told(GOOD + BAD, 30)
        alone = there.take()
        there.misbehave = True
        await load()
        await told(GOOD, 30)
        beside = there.take()
        assert percentile(beside, 0.99) < max(1000.0, 3 * percentile(alone, 0.99)), beside[-20:]
        calls = dict(there.calls)
        there.misbehave = False
        ended = time.monotonic()
        await told(BAD, 240)
        return {
            "events to good receivers, alone / beside bad ones": f"{len(alone)} / {len(beside)}",
            "all receivers well": quantiles(alone),
            "beside a hanging, a slow (9 s) and a refusing (500) one": quantiles(beside),
            "calls to the bad ones meanwhile": calls,
            "seconds until the bad ones had everything": round(time.monotonic() - ended, 1),
        }


async def through_kills(
    built: Site, there: Receivers, kills: int, per_second: float, *, apart: float = 15.0, most: float = 10.0
) -> Figures:
    """SIGKILL to the postmaster of the embedded database, so many times under single posts: no event comes later than
    ``most`` seconds after it was made or, where that was not before, after the database was back."""
    await built.node.furnish("webhook", "set", "acme", "main", f"{there.origin}/{GOOD[0]}")
    database = EmbeddedPostgres(built.node.data_dir)
    dsn = await database.find()
    assert dsn
    outages: list[tuple[float, float]] = []
    async with Load(built, singles=per_second).beside() as load:
        for _ in range(kills):
            await asyncio.sleep(apart)
            gone = database._postmaster()
            assert gone
            os.kill(gone, signal.SIGKILL)
            killed = time.time()
            await until(partial(_answers, dsn, database, gone), what="the database is back", every=0.02)
            outages.append((killed, time.time()))
        await asyncio.sleep(apart)
    sent = built.customer.sent.keys()

    def owed() -> int:
        return len(sent - {message for _, _, message in there.first.values()})

    with contextlib.suppress(AssertionError):
        await until(lambda: not owed(), within=120, what="all events")
    late = sorted(_late(made, came, outages) for made, came, _ in there.first.values())
    figures: Figures = {
        "messages": len(sent),
        "calls not taken": dict(load.refused),
        "seconds without a database": [round(back - killed, 1) for killed, back in outages],
        "events": len(late),
        "messages without one": owed(),
        "events that came more than once": len(there.waits) - len(there.first),
        "after made or back": quantiles(late),
        "later than allowed": sum(seconds > most for seconds in late),
        "sent more than once": sum(n > 1 for n in built.received().values()),
    }
    wrong = ("messages without one", "later than allowed", "sent more than once")
    assert not any(figures[what] for what in wrong), figures
    return figures


async def _answers(dsn: str, database: EmbeddedPostgres, gone: int) -> bool:
    if database._postmaster() in (gone, None):
        return False
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
    except (asyncpg.PostgresError, OSError):
        return False
    await connection.close()
    return True


def _late(made: float, came: float, outages: Sequence[tuple[float, float]]) -> float:
    """Seconds from when it could come, be that after the first outage that has met it."""
    met = (back for killed, back in outages if killed < came and back > made)
    return max(0.0, came - max(made, next(met, made)))
