"""Thousands of connections that say little or nothing: customers and partners go on, and memory stays where it was."""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource
from pathlib import Path

import aiohttp
import pytest
from harness import site, until
from measures import files, memory
from partner_client import id_of, partner_site, submit_sm

IDLE = 5_000
"""To HTTP; a tenth of them to each of the servers for partners."""
SERVED = 20.0
"""Seconds for one who asks for something; those who do not are waited for longer than that."""


async def test_slow_and_silent_connections_hurt_nobody(
    dsn: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMSGW_HTTP_CONNECTIONS_PER_ADDRESS", "0")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, min(hard, 2 * IDLE))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))  # of the daemon, too
    idle = min(IDLE, wanted // 3)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        here = await stack.enter_async_context(partner_site(data_dir, dsn=dsn, channels=("cmpp30",)))
        built, partner = here.site, await here.smpp()
        before = memory(built.node.pid)[0]
        http = int(built.node.origin.rpartition(":")[2])
        writers: list[asyncio.StreamWriter] = []
        stack.callback(lambda: [writer.transport.abort() for writer in writers])

        async def knock(port: int, octets: bytes) -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            writer.write(octets)

        some = b"POST /api/v1/messages HTTP/1.1\r\nHost: x\r\n"
        for start in range(0, idle, 250):
            await asyncio.gather(*(knock(http, (b"", b"P", some)[n % 3]) for n in range(start, start + 250)))
        for port in (here.smpp_port, here.cmpp_port):
            await asyncio.gather(*(knock(port, (b"", b"\0\0")[n % 2]) for n in range(idle // 10)))
        # Bodies that never come, and headers that come octet by octet, go on meanwhile.
        unfinished = some + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        await asyncio.gather(*(knock(http, unfinished) for _ in range(100)))
        answers = []
        for n in range(20):
            for writer in writers[:100]:
                writer.write(b"X")
            answers.append(await partner.call(submit_sm(f"861380099{n:04d}", "good"), SERVED))
            # As customers do: a connection that is kept may have made room, having been idle for longest.
            await asyncio.wait_for(built.customer.send_many(1, "cmpp30"), SERVED)
        await partner.told([id_of(answer) for answer in answers])
        grown = memory(built.node.pid)[0] - before
        print(f"{idle} idle connections: {grown} MiB more")
        assert grown < 200
        assert not partner.over
        status = await built.node.status()
        assert status["ready"]


async def test_idle_connections_leave_descriptors_for_others(dsn: str, data_dir: Path) -> None:
    """With few descriptors: a carrier's link that was cut comes back, and whoever is new is answered."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        built = await stack.enter_async_context(site(data_dir, dsn=dsn, channels=["cmpp30"]))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))  # of this process alone
        carrier = built.carriers["cmpp30"]
        host, port = built.node.origin.removeprefix("http://").split(":")
        writers: list[asyncio.StreamWriter] = []
        stack.callback(lambda: [writer.transport.abort() for writer in writers])
        for n in range(600):
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), SERVED)
            writer.write((b"", b"POST /api")[n % 2])
            writers.append(writer)
        carrier.disconnect()
        await until(lambda: carrier.counts.logins == 2, what="the link is back")
        async with aiohttp.ClientSession() as stranger:
            answer = await stranger.get(f"{built.node.origin}/api/v1/time", timeout=aiohttp.ClientTimeout(SERVED))
            assert answer.status == 200
            urls = (await built.node.status())["urls"]
            answer = await stranger.get(f"{urls['ops']}/metrics", timeout=aiohttp.ClientTimeout(SERVED))
            (shown,) = re.findall(r"^smsgw_http_connections (\S+)$", await answer.text(), re.MULTILINE)
            assert 64 < float(shown) <= 128
        await built.customer.send("cmpp30")
        assert files(built.node.pid) < 256 - 64
        assert (await built.clean()).statuses == {"delivered": 1}
