"""Thousands of connections that say little or nothing: customers and partners go on, and memory stays where it was."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from pathlib import Path

from partner_client import id_of, partner_site, submit_sm

IDLE = 5_000
"""To HTTP; a tenth of them to each of the servers for partners."""


def _resident(pid: int) -> int:
    """MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


async def test_slow_and_silent_connections_hurt_nobody(dsn: str, data_dir: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, min(hard, 2 * IDLE))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))  # of the daemon, too
    idle = min(IDLE, wanted // 3)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        here = await stack.enter_async_context(partner_site(data_dir, dsn=dsn, channels=("cmpp30",)))
        built, partner = here.site, await here.smpp()
        before = _resident(built.node.pid)
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
        body = some + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        await asyncio.gather(*(knock(http, body) for _ in range(100)))
        answers = []
        for n in range(20):
            for writer in writers[:100]:
                writer.write(b"X")
            answers.append(await asyncio.wait_for(partner.call(submit_sm(f"861380099{n:04d}", "good")), 5))
            await asyncio.wait_for(built.customer.send("cmpp30"), 5)
        await partner.told([id_of(answer) for answer in answers])
        grown = _resident(built.node.pid) - before
        print(f"{idle} idle connections: {grown} MiB more")
        assert grown < 200
        assert not partner.over
        status = await built.node.status()
        assert status["ready"]
