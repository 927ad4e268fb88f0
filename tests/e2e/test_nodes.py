"""Several nodes, and a node that stops while its windows are full."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from dbproxy import DatabaseProxy
from harness import Client, Customer, Node, alarmed, another_node, listed_alarms, opened, site, until
from storm import WINDOW

from smsgw.runtime import aio
from smsgw.simulator import Behaviour, Delay

TAKEOVER = 60.0
"""Seconds to wait for the next owner: a lease lives 15, and this machine may be busy."""


async def test_a_node_that_stops_waits_for_the_answers_of_its_window(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, behaviour=lambda: Behaviour(answer_delay=Delay(5.0, 6.0))) as built:
        carriers = built.carriers
        await built.customer.send_many(120, *carriers)
        await until(lambda: all(c.counts.submits >= WINDOW for c in carriers.values()), what="full windows")
        assert await built.node.stop() == 0
        written = {name: c.counts.submits for name, c in carriers.items()}
        assert set(written.values()) == {WINDOW}, "nothing was written after the signal"
        for carrier in carriers.values():
            carrier.change(answer_delay="0..10")
        await built.node.start()
        await built.bound()
        books = await built.clean(unknown=0)
        assert set(books.statuses) == {"delivered"}


@contextlib.asynccontextmanager
async def posting(customer: Customer, client: Client) -> AsyncIterator[None]:
    """Messages go to the channel all the time, and every one must be accepted at the first try."""
    over = asyncio.Event()

    async def post() -> None:
        while not over.is_set():
            content = customer.text()
            body = {"to": [customer.number("cmpp30")], "content": content}
            customer.note(await client.post("/messages", body), [content])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 0.1)

    task = aio.spawn(post(), name="posting")
    try:
        yield
    finally:
        over.set()
        await task


async def burst(customer: Customer, client: Client, n: int = 150) -> None:
    """More than the windows take at once."""
    items = [{"to": customer.number("cmpp30"), "content": customer.text()} for _ in range(n)]
    answer = await client.post("/messages/batch", {"items": items})
    customer.note(answer, [item["content"] for item in items])


@pytest.mark.timeout(600)
@pytest.mark.slow
async def test_two_nodes_take_a_channel_over_from_each_other(dsn: str, data_dir: Path) -> None:
    """The owner loses the database, is frozen, is killed: the other one goes on, and no message is sent twice."""
    slow = Behaviour(answer_delay=Delay(0.2, 0.4), max_connections=1)
    async with (
        DatabaseProxy(dsn) as way,
        site(data_dir, dsn=way.dsn, channels=["cmpp30"], behaviour=lambda: slow) as built,
        another_node(built.node, dsn=dsn) as second,
        Client(second, built.client.key) as other,
    ):
        customer, first, carrier = built.customer, built.node, built.carriers["cmpp30"]

        async def traffic() -> int:
            """Full windows, and more waiting; how many logins there were."""
            await until(lambda: knows(first, 2), what="the first node is there, and knows of the second")
            written = carrier.counts.submits
            await burst(customer, other)
            await until(lambda: carrier.counts.submits > written + WINDOW, what="traffic")
            return carrier.counts.logins

        async def taken_over(logins: int, client: Client) -> None:
            async with posting(customer, client):
                await until(lambda: carrier.counts.logins > logins, within=TAKEOVER, what="the other one owns")

        # It cannot renew: unless it logs out by itself, the carrier, who takes one, lets nobody else in.
        logins = await traffic()
        way.refusing = True
        way.cut()
        await taken_over(logins, other)
        way.refusing = False
        carrier.change(max_connections=2)

        # It is frozen beyond its lease, and wakes up with a full window, with more in hand.
        logins = await traffic()
        (old,) = (link for link in carrier._links if not link.gone)
        assert second.process is not None
        second.process.send_signal(signal.SIGSTOP)
        await taken_over(logins, built.client)
        written_by_old = old.submits
        second.process.send_signal(signal.SIGCONT)
        await until(lambda: old.gone, within=TAKEOVER, what="the frozen node has logged out")
        assert old.submits == written_by_old, "a node wrote after its lease was over"
        await built.clean(unknown=0, within=120)

        # It is killed in the middle of its windows. What it had claimed and not written only its journal knows.
        logins = await traffic()
        first.kill()
        await taken_over(logins, other)
        await first.start()
        books = await built.clean(unknown=WINDOW, within=120)
        assert books.statuses.keys() <= {"delivered", "uncertain"}
        print(books)


async def shares(node: Node, *wanted: int) -> bool:
    """Whether it believes that nodes 1, 2, … run so many logged in channels."""
    lines = [c for c in (await node.status())["channels"] if c["state"] == "bound"]
    return [sum(c["node"] == n for c in lines) for n in (1, 2)] == list(wanted)


@pytest.mark.timeout(400)
@pytest.mark.slow
async def test_a_channel_stays_where_it_is_until_its_node_ends_or_it_is_begun_anew(dsn: str, data_dir: Path) -> None:
    """What moves does so in order: every message has its end, and none is sent twice."""
    async with site(data_dir, dsn=dsn) as built, another_node(built.node) as second:
        customer, first = built.customer, built.node
        await until(partial(shares, second, 3, 0), what="the second node sees what runs")
        await asyncio.sleep(5)
        assert {c.counts.logins for c in built.carriers.values()} == {1}, "nothing moves by itself"
        name = next(iter(built.carriers))
        await first.furnish("channel", "stop", name)
        await until(partial(shares, second, 2, 0), what="it is stopped")
        await asyncio.sleep(2)
        await first.furnish("channel", "start", name)
        await until(partial(shares, second, 2, 1), what="who has least has taken it")
        async with Client(second, built.client.key) as other, posting(customer, other):
            assert await first.stop() == 0
            await until(partial(shares, second, 0, 3), what="one has everything")
            await first.start()
            await until(partial(shares, first, 0, 3), what="and keeps it")
        await built.clean(unknown=0, within=120)


@pytest.mark.slow
async def test_a_channel_that_is_refused_is_one_alarm_of_two_nodes(dsn: str, data_dir: Path) -> None:
    """The node that does not own it knows that it is refused, too, and neither undoes what the other one says."""
    async with site(data_dir, dsn=dsn, channels=["cmpp30"]) as built, another_node(built.node) as second:
        first = built.node
        await first.furnish("setting", "set", "channel_down_seconds", "5")
        await until(lambda: knows(first, 2), what="the first node knows of the second")
        await first.furnish("channel", "set", "cmpp30", "--password", "wrong")
        for node in (first, second):
            await until(partial(alarmed, node, "login_refused"), what="both nodes say so")

        async def of_the_channel(*options: str) -> list[tuple[str, bool]]:  # a busy machine may have others
            listed = await listed_alarms(first, *options)
            return [(a["kind"], a["cleared_at"] is None) for a in listed if a["object"] == "channel/cmpp30"]

        assert await of_the_channel("--all") == [("login_refused", True)]
        assert "ALARM critical login_refused" in (await first.ctl("status")).out
        await first.furnish("channel", "set", "cmpp30", "--password", "secret12")

        async def over() -> bool:
            return not await of_the_channel()

        await until(over, what="it is over")
        assert await of_the_channel("--all") == [("login_refused", False)]


async def test_a_number_has_one_node(dsn: str, data_dir: Path) -> None:
    """Nobody gave numbers: each has its own. One that is given is asserted. One that is lost ends the node at once."""
    async with site(data_dir, dsn=dsn, channels=["cmpp30"]) as built:
        customer, first = built.customer, built.node
        assert (await first.status())["node"] == 1
        other = Node(data_dir.with_name("other"), dsn=dsn, node_number="1")
        assert await other.ends() == 1
        assert f"node number 1 is taken by {socket.gethostname()}:{data_dir}, since" in other.log_tail()

        await customer.reaches((await customer.send("cmpp30")).message_id, "delivered")
        async with opened(dsn) as database:
            await database.execute("UPDATE lease SET epoch = nextval('lease_epoch') WHERE resource = 'node/1'")
            await database.execute("UPDATE node SET instance = 'x', place = 'elsewhere:/data' WHERE number = 1")
        assert await first.ends() == 1
        assert "node number 1 was taken by elsewhere:/data while this node did not answer" in first.log_tail()
        first.log_path.unlink()  # its last line is the command's, for people
        await first.start()
        assert (await first.status())["node"] == 2, "another one, that nobody has"
        await built.bound()
        await customer.reaches((await customer.send("cmpp30")).message_id, "delivered")
        await built.clean()


async def knows(node: Node, nodes: int) -> bool:
    """Whether a node reaches the database, and how many it believes to live."""
    status = await node.status()
    return status["checks"]["database"] == "ok" and status["nodes"] == nodes
