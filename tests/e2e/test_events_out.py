"""Events to customers through the real daemon: pushed, pulled, and neither lost when somebody is killed in between."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import web
from harness import PATIENCE, Site, site, until
from hooks import OPEN, receivers, through_kills

from smsgw.core.states import PartState

pytestmark = pytest.mark.asyncio

PULL = """
import json, sys, time, urllib.request
url, bearer = sys.argv[1:]
request = urllib.request.Request(url, data=b'{"limit": 500, "wait_s": 20}',
                                 headers={"Authorization": "Bearer " + bearer})
print(json.dumps(json.load(urllib.request.urlopen(request, timeout=30))["data"]), flush=True)
time.sleep(600)
"""
"""A customer that has taken a batch and acknowledges nothing."""


class Sink:
    """A receiver that outlives the daemon."""

    def __init__(self) -> None:
        self.items: list[dict[str, object]] = []
        self.status = 200
        self.origin = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        if self.status == 200:
            self.items += body["items"]
        return web.Response(status=self.status)


@pytest_asyncio.fixture
async def sink() -> AsyncIterator[Sink]:
    made = Sink()
    app = web.Application()
    app.router.add_post("/{tail:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest_asyncio.fixture
async def one(dsn: str, data_dir: Path) -> AsyncIterator[Site]:
    async with site(data_dir, dsn=dsn, channels=("smpp34",), **OPEN) as built:
        yield built


async def answered(dsn: str) -> bool:
    """Whether the carrier has answered all that was accepted."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return not await connection.fetchval("SELECT count(*) FROM part WHERE state < $1", int(PartState.SENT))
    finally:
        await connection.close()


async def test_pushed_reports_survive_kills_of_the_daemon(one: Site, sink: Sink, dsn: str) -> None:
    made = await one.node.ctl("webhook", "set", "acme", "main", sink.origin, "--json")
    assert made.data["secret"].startswith("whsec_")
    assert (await one.node.ctl("webhook", "test", "acme", "main", "--json")).data["ok"]
    sink.items.clear()
    sent: set[str] = set()
    for round_ in range(3):
        sink.status = 503 if round_ == 1 else 200
        items = [
            {"to": one.customer.number("smpp34"), "content": one.customer.text()} for _ in range(100)
        ]
        sent |= {s.message_id for s in await one.customer.send_surely("/messages/batch", {"items": items})}
        await until(lambda: answered(dsn), what="the carrier has all")  # else its outcome could not be known any more
        await asyncio.sleep(0.2 * round_)  # killed at different moments: before, between and after pushes
        one.node.kill()
        await one.node.start()
        await one.bound()
    sink.status = 200
    await until(
        lambda: {str(i["message_id"]) for i in sink.items} >= sent, within=150, what="every report is pushed"
    )
    assert {i["status"] for i in sink.items} == {"delivered"}
    by_event = {str(i["event_id"]): str(i["message_id"]) for i in sink.items}
    assert len(by_event) == len(sent), "a repeated event has its old id"
    async def settled() -> bool:
        listed = await one.node.ctl("webhook", "deliveries", "acme", "--state", "waiting", "--json")
        return listed.data == []

    await until(settled, what="what was taken is written down")
    assert (await one.client.post("/reports/pull", {})).data["batch"] is None, "what is pushed is not pulled"


async def test_a_pulled_batch_comes_back_whoever_is_killed(one: Site, dsn: str) -> None:
    sent = {(await one.customer.send("smpp34")).message_id for _ in range(5)}
    url = one.node.origin + "/api/v1/reports/pull"
    command = [sys.executable, "-c", PULL, url, one.client.key["bearer"]]
    taken: dict[str, str] = {}
    deadline = time.monotonic() + 30
    while len(taken) < 5 and time.monotonic() < deadline:
        puller = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert puller.stdout is not None
        line = await asyncio.to_thread(puller.stdout.readline)
        puller.kill()
        puller.wait(timeout=10)
        puller.stdout.close()
        taken |= {i["event_id"]: i["message_id"] for i in json.loads(line)["items"]}
    assert set(taken.values()) == sent
    one.node.kill()
    await one.node.start()
    assert (await one.client.post("/reports/pull", {})).data["items"] == [], "it is theirs for a minute"
    if os.environ.get("TEST_LONG"):
        await asyncio.sleep(61)
    else:
        connection = await asyncpg.connect(dsn, timeout=10)
        await connection.execute(
            "UPDATE customer_event SET leased_until = leased_until - interval '61 s' WHERE leased_until IS NOT NULL"
        )
        await connection.close()
    got: dict[str, str] = {}
    batches = []
    while batch := (await one.client.post("/reports/pull", {"limit": 2})).data:
        if batch["batch"] is None:
            break
        got |= {i["event_id"]: i["message_id"] for i in batch["items"]}
        batches.append(batch["batch"])
    assert got == taken, "the same events, under their own ids"
    done = [(await one.client.post("/reports/ack", {"batch": b})).data["acknowledged"] for b in batches]
    assert sum(done) == 5


async def test_several_pullers_never_get_the_same(one: Site) -> None:
    items = [{"to": one.customer.number("smpp34"), "content": one.customer.text()} for _ in range(200)]
    sent = {s.message_id for s in await one.customer.send_surely("/messages/batch", {"items": items})}
    got: list[str] = []

    async def puller() -> None:
        deadline = time.monotonic() + 30
        while len(got) < len(sent) and time.monotonic() < deadline:
            batch = (await one.client.surely("POST", "/reports/pull", {"limit": 7, "wait_s": 1})).data
            if batch["batch"] is not None:
                got.extend(i["message_id"] for i in batch["items"])
                await one.client.surely("POST", "/reports/ack", {"batch": batch["batch"]})

    await asyncio.gather(*(puller() for _ in range(5)))
    assert sorted(got) == sorted(sent)


@pytest.mark.slow
async def test_events_are_pushed_soon_after_the_database_was_killed(
    data_dir: Path, embedded_data: None
) -> None:
    """At full length, and with its true limit: ``scripts/trials --only push-kills``."""
    async with site(data_dir, channels=("smpp34",), **OPEN) as built, receivers() as there:
        await through_kills(built, there, 1, 50, apart=4.0, most=PATIENCE)
