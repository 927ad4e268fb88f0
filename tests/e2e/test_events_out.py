"""Events to customers through the real daemon: pushed, pulled, and neither lost when somebody is killed in between."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from harness import OPEN, PATIENCE, Site, opened, site, until
from hooks import receivers, through_kills

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


@pytest_asyncio.fixture
async def one(dsn: str, data_dir: Path) -> AsyncIterator[Site]:
    async with site(data_dir, dsn=dsn, channels=("smpp34",), **OPEN) as built:
        yield built


async def answered(dsn: str) -> bool:
    """Whether the carrier has answered all that was accepted."""
    async with opened(dsn) as database:
        return not await database.fetchval("SELECT count(*) FROM part WHERE state < $1", int(PartState.SENT))


async def test_pushed_reports_survive_kills_of_the_daemon(one: Site, dsn: str) -> None:
    sent: set[str] = set()
    async with receivers() as there:
        made = await one.node.ctl("webhook", "set", "acme", "main", f"{there.origin}/failing", "--json")
        assert made.data["secret"].startswith("whsec_")
        assert (await one.node.ctl("webhook", "test", "acme", "main", "--json")).data["ok"]
        items = there.items["failing"]
        items.clear()
        for round_ in range(3):
            there.misbehave = round_ == 1
            sent |= {s.message_id for s in await one.customer.send_many(100, "smpp34")}
            await until(lambda: answered(dsn), what="the carrier has all")  # else nobody could know its outcome
            await asyncio.sleep(0.2 * round_)  # killed at different moments: before, between and after pushes
            one.node.kill()
            await one.node.start()
            await one.bound()
        there.misbehave = False
        await until(lambda: there.told("failing") >= sent, within=150, what="every report is pushed")
        assert {i["status"] for i in items} == {"delivered"}
        assert len({(i["event_id"], i["message_id"]) for i in items}) == len(sent), "a repeated event has its old id"

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
    async with opened(dsn) as database:
        await database.execute(
            "UPDATE customer_event SET leased_until = leased_until - interval '61 s' WHERE leased_until IS NOT NULL"
        )
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


@pytest.mark.slow
async def test_events_are_pushed_soon_after_the_database_was_killed(data_dir: Path, embedded_data: None) -> None:
    """At full length, and with its true limit: ``scripts/trials --only push-kills``."""
    async with site(data_dir, channels=("smpp34",), **OPEN) as built, receivers() as there:
        await through_kills(built, there, 1, 50, apart=4.0, most=PATIENCE)
