"""While the database is away: accepted into the spool, entered afterwards exactly once, refused with a reason."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from harness import Site, alarmed, database_beside, site, until
from outages import outages, through

from smsgw.pipeline.accept.acceptor import OUTAGE_PATIENCE
from smsgw.runtime import failpoints
from smsgw.store.engine.embedded import EmbeddedPostgres


@contextlib.asynccontextmanager
async def outage_site(data_dir: Path, **settings: Any) -> AsyncIterator[tuple[Site, EmbeddedPostgres]]:
    """A site whose database is a process of its own."""
    async with (
        database_beside(data_dir) as (database, dsn),
        site(data_dir.with_name("daemon"), dsn=dsn, channels=["cmpp30"], **settings) as built,
    ):
        yield built, database


async def spooled(built: Site, n: int, *, text: str = "您好") -> None:
    """That many messages, one a call, each with a key of its own."""
    customer = built.customer

    async def one() -> None:
        content = customer.text(text)
        body = {"to": [customer.number("cmpp30")], "content": content}
        key = content.partition("#")[2].strip("#")
        answer = await built.client.post("/messages", body, headers={"Idempotency-Key": key})
        customer.note(answer, [content])

    await asyncio.gather(*(one() for _ in range(n)))


async def test_an_outage_is_bridged_and_every_message_arrives_once(data_dir: Path, embedded_data: None) -> None:
    async with outage_site(data_dir) as (built, database):
        client, customer = built.client, built.customer
        await customer.send("cmpp30")
        known = customer.text()
        body = {"to": [customer.number("cmpp30")], "content": known}
        first = await client.post("/messages", body, headers={"Idempotency-Key": "before"})
        customer.note(first, [known])
        await database.stop()
        await spooled(built, 20)
        began = time.monotonic()
        for _ in range(10):
            await spooled(built, 10)
        await spooled(built, 5, text="长" * 150)
        assert time.monotonic() - began < 5 * OUTAGE_PATIENCE, "nobody waits for the database any more"
        status = await built.node.status()
        assert (status["ready"], status["checks"]["accepting"]) == (True, "spool")
        # One key, one answer: of before the outage, and of within it.
        content = customer.text()
        mine = {"to": [customer.number("cmpp30")], "content": content}
        answers = await asyncio.gather(
            *(client.post("/messages", mine, headers={"Idempotency-Key": "within"}) for _ in range(20))
        )
        assert {a.status for a in answers} == {202}
        assert len({str(a.data) for a in answers}) == 1
        customer.note(answers[0], [content])
        again = await client.post("/messages", body, headers={"Idempotency-Key": "before"})
        assert (again.data, again.headers["Idempotent-Replayed"]) == (first.data, "true")
        other = await client.post("/messages", mine | {"content": "别的"}, headers={"Idempotency-Key": "within"})
        assert (other.status, other.code) == (422, "IDEMPOTENCY_MISMATCH")
        assert built.received().total() <= 2  # what is spooled is not sent
        # A death in the middle of the outage loses nothing.
        built.node.kill()
        await database.start()
        await built.node.start()
        repeated = await client.surely("POST", "/messages", mine, key="within")
        assert repeated.data == answers[0].data
        books = await built.clean()
        assert books.statuses == {"delivered": 128}
        assert not list((built.node.data_dir / "spool").iterdir())
        steps = (await client.get(f"/messages/{answers[0].data['items'][0]['message_id']}/trace")).data["steps"]
        assert "spooled" in {step["step"] for step in steps}


async def test_the_database_comes_back_under_a_running_daemon(data_dir: Path, embedded_data: None) -> None:
    async with outage_site(data_dir) as (built, database):
        await spooled(built, 5)
        for _ in range(2):
            await database.stop()
            await spooled(built, 30)
            await database.start()
            await until(lambda: not list((built.node.data_dir / "spool").iterdir()), what="the spool is empty")
            await spooled(built, 5)
        books = await built.clean()
        assert books.statuses == {"delivered": 75}


@pytest.mark.slow
async def test_the_spool_has_an_end(data_dir: Path, embedded_data: None) -> None:
    async with outage_site(data_dir, durability_spool_seconds="8") as (built, database):
        await spooled(built, 1)
        await database.stop()
        await spooled(built, 3)
        body = {"to": [built.customer.number("cmpp30")], "content": "太晚"}

        async def refused() -> bool:
            answer = await built.client.post("/messages", {**body, "content": built.customer.text()})
            if answer.status == 202:
                built.customer.note(answer, [answer.data["items"][0]["to"]])
            return answer.status == 503 and answer.code == "STORAGE_UNAVAILABLE"

        await until(refused, every=0.5, what="messages are refused")
        assert not (await built.node.status())["ready"]
        await database.start()
        await built.settled()


@pytest.mark.timeout(300)
@pytest.mark.slow
@pytest.mark.shard("alone")
async def test_faults_of_the_database_under_load(data_dir: Path, embedded_data: None) -> None:
    async with outages(data_dir) as here:
        for fault in (here.frozen, here.killed, here.read_only, here.slow, here.no_connections):
            figures = await through(here, fault, 4.0, batches=200, singles=20, within=60.0)
            print(fault.__name__, figures)
            assert figures["calls not taken"] == {}
        books = await here.built.clean(within=60)
        assert set(books.statuses) == {"delivered"}, books


async def test_a_spool_that_cannot_be_synced_takes_nothing_and_says_so(data_dir: Path, embedded_data: None) -> None:
    async with outage_site(data_dir, start=False) as (built, database):
        built.node.clock = {failpoints.VARIABLE: "spool.sync=fail@4"}
        await built.node.start()
        await built.bound()
        await database.stop()
        for _ in range(3):
            await spooled(built, 1)
        body = {"to": [built.customer.number("cmpp30")], "content": built.customer.text()}
        for _ in range(2):
            answer = await built.client.post("/messages", body)
            assert (answer.status, answer.code) == (503, "STORAGE_UNAVAILABLE")
        status = await built.node.status()
        assert (status["ready"], status["checks"]["accepting"]) == (False, "refused")
        assert status["checks"]["spool"].startswith("3 calls, ")

        await until(lambda: alarmed(built.node, "spool_failed"), what="it is an alarm")
        await database.start()

        async def accepting() -> bool:
            return (await built.node.status())["checks"]["accepting"] == "ok"

        await until(accepting, what="the outage is over")
        await spooled(built, 1)
        books = await built.clean()
        assert books.statuses == {"delivered": 4}
