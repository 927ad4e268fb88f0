"""Receivers of pushes that hang, are slow or refuse, beside others: how long events wait for those.

At full length: ``scripts/trials --only webhooks``. The same with more hanging calls, and without a daemon, is in
tests/integration/delivery/test_push.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator

from aiohttp import web
from harness import Client, Customer, Site, until

from smsgw.core.ids import time_of

Figures = dict[str, object]
OPEN = {"webhooks_http": "true", "webhooks_networks": "127.0.0.0/8", "webhooks_ports": "1-65535"}
SLOW = 9.0
"""Seconds: just within the time of a call."""
GOOD = ("good1", "good2", "good3")
BAD = ("hanging", "slow", "failing")


class Receivers:
    """One a path. ``misbehave``: those of ``BAD`` do what they are called."""

    def __init__(self) -> None:
        self.origin = ""
        self.misbehave = False
        self.told: dict[str, set[str]] = {name: set() for name in GOOD + BAD}
        """Messages of which a receiver has taken the report."""
        self.waits: list[float] = []
        """Seconds from the event to the receivers of ``GOOD``."""
        self.calls = dict.fromkeys(BAD, 0)
        """While they misbehaved."""

    async def handle(self, request: web.Request) -> web.Response:
        now = time.time()
        name = request.match_info["name"]
        items = (await request.json())["items"]
        if name in GOOD:
            self.waits += [now - time_of(int(i["event_id"])).timestamp() for i in items]
        elif self.misbehave:
            self.calls[name] += 1
            if name == "failing":
                return web.Response(status=500)
            await asyncio.sleep(SLOW if name == "slow" else 3600)
        self.told[name] |= {str(i["message_id"]) for i in items}
        return web.Response()

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


async def customers(
    built: Site, there: Receivers, stack: contextlib.AsyncExitStack
) -> dict[str, Customer]:
    """An account with a webhook for each receiver."""
    made = {}
    for n, name in enumerate(GOOD + BAD):
        await built.node.furnish(
            "account", "add", name, "--no-sign", "--webhook-networks", "127.0.0.0/8",
            "--balance", "1000000",
        )  # fmt: skip
        key, _ = await asyncio.gather(
            built.node.furnish("key", "add", name, "--json"),
            built.node.ctl(
                "webhook", "set", name, "main", f"{there.origin}/{name}",
                "--options", json.dumps({"linger_ms": 0}),
            ),
        )  # fmt: skip
        client = await stack.enter_async_context(Client(built.node, key.data))
        made[name] = Customer(client, _serial=n * 1_000_000)
    return made


async def beside_bad_receivers(
    built: Site, there: Receivers, seconds: float, per_second: int = 20
) -> Figures:
    """``per_second`` messages of each good account, three times as many of each bad one; half of ``seconds`` while all
    receivers are well, half while the bad ones are not. At the end everybody has everything."""
    async with contextlib.AsyncExitStack() as stack:
        accounts = await customers(built, there, stack)
        sent: dict[str, set[str]] = {name: set() for name in accounts}

        async def post(name: str, n: int) -> None:
            customer = accounts[name]
            items = [
                {"to": customer.number("cmpp30"), "content": customer.text()} for _ in range(n)
            ]
            answer = await customer.client.post("/messages/batch", {"items": items})
            sent[name] |= {s.message_id for s in customer.note(answer, [str(i["content"]) for i in items])}

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
                lambda: all(sent[n] <= there.told[n] for n in names), within=within, what=f"all reports of {names}"
            )

        await load()
        await told(GOOD + BAD, 30)
        alone = there.take()
        there.misbehave = True
        await load()
        await told(GOOD, 30)
        beside = there.take()
        assert beside[int(len(beside) * 0.99)] < max(1.0, 3 * alone[int(len(alone) * 0.99)]), beside[-20:]
        calls = dict(there.calls)
        there.misbehave = False
        ended = time.monotonic()
        await told(BAD, 240)
        return {
            "events to good receivers, alone / beside bad ones": f"{len(alone)} / {len(beside)}",
            "all receivers well": _shown(alone),
            "beside a hanging, a slow (9 s) and a refusing (500) one": _shown(beside),
            "calls to the bad ones meanwhile": calls,
            "seconds until the bad ones had everything": round(time.monotonic() - ended, 1),
        }


def _ms(waits: list[float], quantile: float) -> float:
    return round(waits[int(len(waits) * quantile)] * 1000, 1)


def _shown(waits: list[float]) -> str:
    return f"p50 {_ms(waits, 0.5)} ms, p99 {_ms(waits, 0.99)} ms, most {waits[-1] * 1000:.0f} ms"
