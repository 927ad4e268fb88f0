"""Short links of a daemon: opened while its database is away, killed with clicks on their way, and all are counted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from harness import Node, alarmed, database_beside, free_port, opened, until

from smsgw.runtime import aio, worker_pool

HOST = "s.example.cn"
PHONE = {
    "Host": HOST, "Accept-Language": "zh-CN", "Accept": "text/html",
    "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1",
}  # fmt: skip
_LINES = "".join(f"{name}: {value}\r\n" for name, value in PHONE.items())


class Opener:
    """Opens links one after the other, many at a time, and counts what it was told."""

    def __init__(self, port: int, codes: list[str]) -> None:
        self.port = port
        self.codes = codes
        self.asked = 0
        self.led: set[tuple[int, str]] = set()
        """Which requests were sent on."""

    async def one(self, session: aiohttp.ClientSession) -> bool:
        self.asked += 1
        number, code = self.asked, self.codes[self.asked % len(self.codes)]
        url = f"http://127.0.0.1:{self.port}/{code}"
        headers = PHONE | {"Referer": f"https://request.example.cn/{number}"}
        try:
            async with session.get(url, headers=headers, allow_redirects=False) as answer:
                if answer.status != 302:
                    return False
                self.led.add((number, code))
                return True
        except (aiohttp.ClientError, OSError):
            return False

    async def led_on(self) -> None:
        """Wait until one is: the edge looks once a second."""
        async with aiohttp.ClientSession() as session:
            await until(lambda: self.one(session), what="links are led on")

    async def many(self, n: int, *, at_once: int = 16) -> None:
        async with aiohttp.ClientSession() as session:
            left = iter(range(n))

            async def go_on() -> None:
                for _ in left:
                    if not await self.one(session):
                        return

            await asyncio.gather(*(go_on() for _ in range(at_once)))


async def _codes(node: Node, n: int) -> list[str]:
    """Of a personal link."""
    wanted = ("spring", "https://www.example.cn/", "--account", "acme", "--personal", str(n))
    made = await node.furnish("short-link", "add", *wanted, "--json")
    listed = await node.furnish("short-link", "codes", json.loads(made.out)["id"])
    codes = [line.rpartition("/")[2] for line in listed.out.splitlines()[1:]]
    assert len(set(codes)) == n
    return codes


async def _all_of(dsn: str, opener: Opener) -> bool:
    """Whether every click that was led on is entered, once."""
    async with opened(dsn) as database:
        rows = await database.fetch("SELECT referer FROM link_click WHERE referer <> ''", timeout=60)
    entered = [row["referer"] for row in rows]
    assert len(entered) == len(set(entered))
    return {f"https://request.example.cn/{number}" for number, _ in opener.led} <= set(entered)


async def _killed_meanwhile(opener: Opener, kill: Callable[[], None], led: int = 300) -> None:
    """While links are opened, until nobody answers any more."""
    hammering = aio.spawn(opener.many(100_000), name="test.open")
    before = len(opener.led)
    await until(lambda: len(opener.led) > before + led, what="links are opened")
    kill()
    await hammering


async def _opened(port: int, code: str, method: str = "GET") -> bool:
    """Over a connection of its own, of which the kernel gives each worker some."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} /{code} HTTP/1.1\r\n{_LINES}\r\n".encode())
    async with asyncio.timeout(60):
        status = int((await reader.readuntil(b"\r\n\r\n")).split()[1])
    writer.close()
    assert status in (302, 404, 429), status  # 429: too many of codes that it does not know yet
    return status == 302


@contextlib.asynccontextmanager
async def leading_on(data_dir: Path, dsn: str, **settings: str) -> AsyncIterator[tuple[Node, Opener]]:
    """A node that knows a personal link of a thousand codes."""
    port = free_port()
    node = Node(data_dir, dsn=dsn, public_listen=f"127.0.0.1:{port}", public_hosts=HOST, **settings)
    try:
        await node.start()
        await node.furnish("account", "add", "acme")
        opener = Opener(port, await _codes(node, 1000))
        await opener.led_on()
        yield node, opener
    finally:
        if node.process is not None:
            await node.stop()


@pytest.mark.slow
async def test_workers_lead_on_alike_and_each_keeps_its_clicks(dsn: str, data_dir: Path) -> None:
    """Behind one address: no click is lost when one of them is killed; a limit of visits holds for both soon after it
    is reached, and nobody is refused before."""
    most = 20
    async with leading_on(data_dir, dsn, node_workers="2") as (node, opener), opened(dsn) as database:
        wanted = ("limited", "https://www.example.cn/", "--account", "acme", "--code", "first-twenty")
        await node.furnish("short-link", "add", *wanted, "--visits", str(most))

        async def visits(method: str = "GET") -> int:
            return sum([await _opened(opener.port, "first-twenty", method) for _ in range(12)])

        async def known() -> bool:  # to both: they look once a second
            return await visits("HEAD") == 12

        await until(known, what="the link is known to the edge", every=1.0)

        # A limit: over for each of them once it is reached, and for both soon after.
        for _ in range(most):
            assert await _opened(opener.port, "first-twenty")
        led = most

        async def over() -> bool:
            nonlocal led
            led += (more := await visits())
            return not more

        await until(over, what="the limit holds for both", every=0.5)
        assert led <= 2 * most

        async def entered() -> bool:
            return await database.fetchval("SELECT visits FROM short_link WHERE chosen = 'first-twenty'") == led

        await until(entered, what="each visit is counted once")
        assert await visits() == 0

        # One of them is killed while links are opened: what it has led on is counted.
        hammering = aio.spawn(opener.many(100_000, at_once=8), name="test.open")
        await until(lambda: len(opener.led) > 300, what="links are opened")
        os.kill(node.workers[2], signal.SIGKILL)
        await until(lambda: hammering.done() or len(opener.led) > 800, what="links are opened beside the death")
        await aio.cancel(hammering)
        await until(lambda: _all_of(dsn, opener), what="all clicks are in the database")
        nodes = await database.fetch("SELECT DISTINCT id >> 12 & 1023 AS node FROM link_click", timeout=60)
        assert len(nodes) >= 2, "both have led on"


@pytest.mark.slow
async def test_an_edge_of_its_own_waits_for_no_node_and_loses_no_click(dsn: str, data_dir: Path) -> None:
    """Links are led on while the node stands still, and after its death; the edge is replaced when it is killed."""
    async with leading_on(data_dir, dsn, public_own_process="true") as (node, opener):
        assert {"worker": "edge", "state": "serving", "channels": None} in (await node.status())["workers"]

        # A node that stands still, or is gone, is in nobody's way.
        os.kill(node.workers[1], signal.SIGSTOP)
        try:
            async with asyncio.timeout(10):
                await opener.many(400)
        finally:
            os.kill(node.workers[1], signal.SIGCONT)
        before = len(opener.led)
        assert before > 400
        os.kill(node.workers[1], signal.SIGKILL)
        await opener.many(400)
        assert len(opener.led) == before + 400

        # Killed while people open links, and while clicks are entered.
        for _ in range(2):
            edge = node.workers[worker_pool.EDGE]
            await _killed_meanwhile(opener, partial(os.kill, edge, signal.SIGKILL))
            await opener.led_on()
            assert node.workers[worker_pool.EDGE] != edge
        await node.ready()
        await until(lambda: _all_of(dsn, opener), what="all clicks are in the database")

        # Its figures, and what is wrong with it, which the node tells.
        begun = [line for line in node.log_lines() if '"edge.started"' in line]
        assert "\nsmsgw_links 1.0\n" in await _told(json.loads(begun[-1])["ops"])
        for n in range(400):
            await _opened(opener.port, f"{1111111 + n}A", "HEAD")
        await until(lambda: alarmed(node, "guessing"), what="the node tells of who guesses codes at the edge")

        # Without it the node has the clicks that it has left, and leads on itself.
        hammering = aio.spawn(opener.many(100_000), name="test.open")
        before = len(opener.led)
        await until(lambda: len(opener.led) > before + 300, what="links are opened")
        edge, worker = node.workers[worker_pool.EDGE], node.workers[1]
        os.kill(edge, signal.SIGSTOP)  # it is there still when the next one begins
        node.die()
        os.kill(worker, signal.SIGKILL)
        node._settings["PUBLIC_OWN_PROCESS"] = "false"
        node.launch()
        await asyncio.sleep(5)
        assert worker_pool.presence(data_dir) is not worker_pool.Presence.SERVING, "two had the same clicks"
        os.kill(edge, signal.SIGCONT)
        await until(lambda: not Path(f"/proc/{edge}").exists(), what="the edge ends with its supervisor")
        await aio.cancel(hammering)
        await node.ready()
        assert node.workers == {}
        await opener.led_on()
        await until(lambda: _all_of(dsn, opener), what="all clicks are in the database")


@pytest.mark.slow
async def test_no_click_is_lost_by_a_database_that_is_away_nor_by_a_kill(data_dir: Path, embedded_data: None) -> None:
    async with (
        database_beside(data_dir) as (database, dsn),
        leading_on(data_dir.with_name("daemon"), dsn) as (node, opener),
    ):
        # The database is away: everybody is led on, and the clicks wait.
        await database.stop()
        await opener.many(400)
        assert len(opener.led) >= 400
        # Killed while people open links, and nothing is in the database; later while clicks are entered.
        await _killed_meanwhile(opener, node.kill, 200)
        await database.start()
        await node.start()
        await until(lambda: _all_of(dsn, opener), what="all clicks are in the database")
        for _ in range(2):
            await _killed_meanwhile(opener, node.kill)
            await node.start()
        await until(lambda: _all_of(dsn, opener), what="all clicks are in the database")

        # Nothing of portal and API is to be had there.
        for path in ("login", "api/v1/messages", "metrics", ""):
            assert not await _opened(opener.port, path)
        told = await _told((await node.status())["urls"]["ops"])
        assert "\nsmsgw_links 1.0\n" in told
        assert '\nsmsgw_clicks_unkept_total{reason="room"} 0.0\n' in told
        assert not [line for line in node.complaints() if "clicks" in line]


async def _told(ops: str) -> str:
    """All figures."""
    async with aiohttp.ClientSession() as session, session.get(f"{ops}/metrics") as answer:
        return await answer.text()
