"""While the database is away: accepted into the spool, entered afterwards exactly once, refused with a reason."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from databases import migrated
from harness import Client, Customer, Site, site, until
from outages import outages, through

from smsgw.pipeline.accept.acceptor import OUTAGE_PATIENCE
from smsgw.runtime import failpoints
from smsgw.store.engine.embedded import EmbeddedPostgres


@contextlib.asynccontextmanager
async def outage_site(data_dir: Path, **settings: Any) -> AsyncIterator[tuple[Site, EmbeddedPostgres, str]]:
    """A site whose database is a process of its own."""
    database = EmbeddedPostgres(data_dir)
    data_dir.mkdir()
    dsn = await migrated(database)
    try:
        async with site(data_dir.with_name("daemon"), dsn=dsn, channels=["cmpp30"], **settings) as built:
            yield built, database, dsn
    finally:
        await database.stop()


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


async def test_an_outage_is_bridged_and_every_message_arrives_once(
    data_dir: Path, embedded_data: None
) -> None:
    async with outage_site(data_dir) as (built, database, _):
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
        other = await client.post(
            "/messages", mine | {"content": "别的"}, headers={"Idempotency-Key": "within"}
        )
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
        steps = (await client.get(f"/messages/{answers[0].data['items'][0]['message_id']}/trace")).data[
            "steps"
        ]
        assert "spooled" in {step["step"] for step in steps}


async def test_the_database_comes_back_under_a_running_daemon(data_dir: Path, embedded_data: None) -> None:
    async with outage_site(data_dir) as (built, database, _):
        await spooled(built, 5)
        for _ in range(2):
            await database.stop()
            await spooled(built, 30)
            await database.start()
            await until(
                lambda: not list((built.node.data_dir / "spool").iterdir()),
                what="the spool is empty",
            )
            await spooled(built, 5)
        books = await built.clean()
        assert books.statuses == {"delivered": 75}


async def test_what_the_ledger_refuses_afterwards_ends_with_its_reason(
    data_dir: Path, embedded_data: None
) -> None:
    async with outage_site(data_dir, durability_spool_seconds="3600") as (built, database, dsn):
        await built.node.furnish("account", "add", "poor", "--no-sign", "--balance", "3")
        key = (await built.node.furnish("key", "add", "poor", "--json")).data
        await built.node.furnish("account", "add", "gone", "--no-sign", "--balance", "100")
        gone_key = (await built.node.furnish("key", "add", "gone", "--json")).data
        await until(lambda: _knows(built, key), what="the daemon knows the keys")
        async with Client(built.node, key) as client, Client(built.node, gone_key) as going:
            poor, gone = Customer(client), Customer(going)
            await database.stop()

            async def send(who: Customer, to: str, **headers: str) -> str:
                body = {"to": [to], "content": "您好"}
                answer = await who.client.post("/messages", body, headers=headers or None)
                if answer.status != 202:
                    return answer.code
                who.note(answer, ["您好"])
                return str(answer.data["items"][0]["message_id"])

            ids = [await send(poor, f"1380000000{n}") for n in range(4)]
            assert ids[3] == "BALANCE_INSUFFICIENT"  # no more than it had when the database was last there
            stopped = await send(gone, "13800000010")
            taken = await send(built.customer, "13800000011", **{"Idempotency-Key": "taken"})
            twice = await send(built.customer, "13800000012", **{"Idempotency-Key": "twice"})
            built.node.kill()
            await database.start()
            await built.node.ctl("account", "stop", "gone")
            await built.node.ctl("account", "topup", "poor", "-2")
            connection = await asyncpg.connect(dsn)
            try:  # what another node has accepted with these keys meanwhile
                acme = await connection.fetchval("SELECT id FROM account WHERE name = 'acme'")
                for name, sha256 in (("taken", bytes(32)), ("twice", await _sha256_of(built, "twice"))):
                    await connection.execute(
                        "INSERT INTO request_key VALUES ($1, 'k', $2, $3, 1, 'answer')", acme, name, sha256
                    )
            finally:
                await connection.close()
            await built.node.start()
            await built.bound()
            ends = [
                (poor, ids[0], "delivered", ""),
                (poor, ids[1], "rejected", "BALANCE_INSUFFICIENT"),
                (poor, ids[2], "rejected", "BALANCE_INSUFFICIENT"),
                (gone, stopped, "rejected", "ACCOUNT_STOPPED"),
                (built.customer, taken, "rejected", "IDEMPOTENCY_MISMATCH"),
                (built.customer, twice, "duplicate", "DUPLICATE"),
            ]
            for who, message_id, status, code in ends:
                message = await who.reaches(message_id, status)
                assert message["carrier_code"] in (code, "DELIVRD")
                assert message["price"] == (status == "delivered")
                await until(lambda who=who, one=message_id: _told(who, one), what=f"{message_id} is told")
                assert [r["status"] for r in who.reports[message_id]] == [status]
            assert built.received() == {}  # no marks in these texts; one number was reached
            assert len(built.carriers["cmpp30"].messages) == 1
            check = await built.node.ctl("ledger", "check", "--json")
            assert {line["account"]: line["problems"] for line in check.data} == {
                "acme": [],
                "gone": [],
                "poor": [],
            }


async def _sha256_of(built: Site, key: str) -> bytes:
    """The hash that the spooled call with this key has."""
    from smsgw.store.engine.spool import Reader, Spool
    from smsgw.store.messages import replaying

    spool = Spool(built.node.data_dir / "spool", limit=1 << 30)
    await spool.open()
    try:
        for segment in await spool.rotate():
            for body in await Reader(segment).read():
                for one in replaying.from_bytes(body).keys:
                    if one.key == key:
                        return one.request_sha256
    finally:
        await spool.close()
    raise AssertionError(f"no call with the key {key} was spooled")


async def _knows(built: Site, key: dict[str, str]) -> bool:
    async with Client(built.node, key) as client:
        return (await client.get("/balance")).status == 200


async def _told(customer: Customer, message_id: str) -> bool:
    await customer.pull()
    return message_id in customer.reports


@pytest.mark.slow
async def test_the_spool_has_an_end(data_dir: Path, embedded_data: None) -> None:
    async with outage_site(data_dir, durability_spool_seconds="8") as (built, database, _):
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


async def test_a_spool_that_cannot_be_synced_takes_nothing_and_says_so(
    data_dir: Path, embedded_data: None
) -> None:
    async with outage_site(data_dir, start=False) as (built, database, _):
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

        async def alarmed() -> bool:
            return "spool_failed" in {a["kind"] for a in (await built.node.status())["alarms"]}

        await until(alarmed, what="it is an alarm")
        await database.start()

        async def accepting() -> bool:
            return (await built.node.status())["checks"]["accepting"] == "ok"

        await until(accepting, what="the outage is over")
        await spooled(built, 1)
        books = await built.clean()
        assert books.statuses == {"delivered": 4}
