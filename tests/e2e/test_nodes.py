"""Several nodes, and a node that stops while its windows are full."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg
import pytest
from harness import Client, Customer, Node, listed_alarms, site, until
from trials import WINDOW, load

from smsgw.runtime import aio
from smsgw.simulator import Behaviour, Delay

TAKEOVER = 60.0
"""Seconds to wait for the next owner: a lease lives 15, and this machine may be busy."""


async def test_a_node_that_stops_waits_for_the_answers_of_its_window(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, behaviour=lambda: Behaviour(answer_delay=Delay(5.0, 6.0))) as built:
        carriers = built.carriers
        await load(built, 1000, 0.12, *carriers, batch=30)
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


class Wire:
    """The way of one node to the database, which can be cut."""

    def __init__(self, dsn: str, folder: Path) -> None:
        host = parse_qs(urlsplit(dsn).query)["host"][0]
        self.dsn = dsn.replace(quote(host, safe=""), quote(str(folder), safe=""))
        assert self.dsn != dsn
        self._there = next(Path(host).glob(".s.PGSQL.*[0-9]"))
        self._here = folder / self._there.name
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def mend(self) -> None:
        self._here.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._relay, self._here)

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        self._server = None

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, to = await asyncio.open_unix_connection(self._there)

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            self._open.add(target)
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            target.close()
            self._open.discard(target)

        await asyncio.gather(copy(reader, to), copy(back, writer))


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
async def test_two_nodes_take_a_channel_over_from_each_other(
    dsn: str, data_dir: Path, tmp_path: Path
) -> None:
    """The owner loses the database, is frozen, is killed: the other one goes on, and no message is sent twice."""
    wire = Wire(dsn, tmp_path)
    await wire.mend()
    slow = Behaviour(answer_delay=Delay(0.2, 0.4), max_connections=1)
    async with site(data_dir, dsn=wire.dsn, channels=["cmpp30"], behaviour=lambda: slow) as built:
        customer, first, carrier = built.customer, built.node, built.carriers["cmpp30"]
        second = Node(
            data_dir.with_name("second"), dsn=dsn, node_number="2", security_key_file=str(data_dir / "secret.key")
        )  # fmt: skip
        await second.start()
        try:
            async with Client(second, built.client.key) as other:
                # It cannot renew: unless it logs out by itself, the carrier, who takes one, lets nobody else in.
                await until(lambda: knows(first, 2), what="the first node knows of the second")
                await burst(customer, other)
                await until(lambda: carrier.counts.submits > WINDOW, what="traffic")
                logins = carrier.counts.logins
                await wire.cut()
                async with posting(customer, other):
                    await until(lambda: carrier.counts.logins > logins, within=TAKEOVER, what="the second owns")
                await wire.mend()
                carrier.change(max_connections=2)

                # It is frozen beyond its lease, and wakes up with a full window, with more in hand.
                await until(lambda: knows(first, 2), what="the first node is back")
                await burst(customer, other)
                written = carrier.counts.submits
                await until(lambda: carrier.counts.submits > written + WINDOW, what="traffic")
                (old,) = (link for link in carrier._links if not link.gone)
                assert second.process is not None
                logins = carrier.counts.logins
                second.process.send_signal(signal.SIGSTOP)
                async with posting(customer, built.client):
                    await until(lambda: carrier.counts.logins > logins, within=TAKEOVER, what="the first owns")
                written_by_old = old.submits
                second.process.send_signal(signal.SIGCONT)
                await until(lambda: old.gone, within=TAKEOVER, what="the frozen node has logged out")
                assert old.submits == written_by_old, "a node wrote after its lease was over"
                await built.clean(unknown=0, within=120)

                # It is killed in the middle of its windows.
                await burst(customer, other)
                written = carrier.counts.submits
                await until(lambda: carrier.counts.submits > written + WINDOW, what="traffic")
                logins = carrier.counts.logins
                first.kill()
                async with posting(customer, other):
                    await until(lambda: carrier.counts.logins > logins, within=TAKEOVER, what="the second owns")
                # What it had claimed and not written only its journal knows.
                await first.start()
                books = await built.clean(unknown=WINDOW, within=120)
                assert books.statuses.keys() <= {"delivered", "uncertain"}
                print(books)
        finally:
            if second.process is not None:
                second.process.send_signal(signal.SIGCONT)
            assert await second.stop() == 0
        assert not second.complaints()
    await wire.cut()


async def shares(node: Node, *wanted: int) -> bool:
    """Whether it believes that nodes 1, 2, … run so many logged in channels."""
    lines = [c for c in (await node.status())["channels"] if c["state"] == "bound"]
    return [sum(c["node"] == n for c in lines) for n in (1, 2)] == list(wanted)


@pytest.mark.timeout(400)
@pytest.mark.slow
async def test_a_channel_stays_where_it_is_until_its_node_ends_or_it_is_begun_anew(dsn: str, data_dir: Path) -> None:
    """What moves does so in order: every message has its end, and none is sent twice."""
    async with site(data_dir, dsn=dsn) as built:
        customer, first = built.customer, built.node
        second = Node(
            data_dir.with_name("second"), dsn=dsn, node_number="2", security_key_file=str(data_dir / "secret.key")
        )  # fmt: skip
        await second.start()
        try:
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
        finally:
            assert await second.stop() == 0


@pytest.mark.slow
async def test_a_channel_that_is_refused_is_one_alarm_of_two_nodes(dsn: str, data_dir: Path) -> None:
    """The node that does not own it knows that it is refused, too, and neither undoes what the other one says."""
    async with site(data_dir, dsn=dsn, channels=["cmpp30"]) as built:
        first = built.node
        await first.furnish("setting", "set", "channel_down_seconds", "5")
        second = Node(
            data_dir.with_name("second"), dsn=dsn, node_number="2", security_key_file=str(data_dir / "secret.key")
        )  # fmt: skip
        await second.start()
        try:
            await until(lambda: knows(first, 2), what="the first node knows of the second")
            await first.furnish("channel", "set", "cmpp30", "--password", "wrong")
            for node in (first, second):
                await until(partial(says, node, "login_refused"), what="both nodes say so")

            async def of_the_channel(*options: str) -> list[tuple[str, bool]]:  # a busy machine may have others
                listed = await listed_alarms(first, *options)
                return [(a["kind"], a["cleared_at"] is None) for a in listed if a["object"] == "channel/cmpp30"]

            assert await of_the_channel("--all") == [("login_refused", True)]
            await first.furnish("channel", "set", "cmpp30", "--password", "secret12")

            async def over() -> bool:
                return not await of_the_channel()

            await until(over, what="it is over")
            assert await of_the_channel("--all") == [("login_refused", False)]
        finally:
            assert await second.stop() == 0


async def says(node: Node, kind: str) -> bool:
    """Whether it stands by the node's own knowledge."""
    return kind in {one["kind"] for one in (await node.status())["alarms"]}


async def test_a_number_has_one_node(dsn: str, data_dir: Path) -> None:
    """Nobody gave numbers: each has its own. One that is given is asserted. One that is lost ends the node at once."""
    async with site(data_dir, dsn=dsn, channels=["cmpp30"]) as built:
        customer, first = built.customer, built.node
        assert (await first.status())["node"] == 1
        other = Node(data_dir.with_name("other"), dsn=dsn, node_number="1")
        assert await other.ends() == 1
        assert f"node number 1 is taken by {socket.gethostname()}:{data_dir}, since" in other.log_tail()

        await customer.reaches((await customer.send("cmpp30")).message_id, "delivered")
        connection = await asyncpg.connect(dsn)
        await connection.execute("UPDATE lease SET epoch = nextval('lease_epoch') WHERE resource = 'node/1'")
        await connection.execute("UPDATE node SET instance = 'x', place = 'elsewhere:/data' WHERE number = 1")
        assert await first.ends() == 1
        assert "node number 1 was taken by elsewhere:/data while this node did not answer" in first.log_tail()
        await connection.close()
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
