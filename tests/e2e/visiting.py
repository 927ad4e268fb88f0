"""Visitors who open short links, in a process of their own. In the test's event loop 2,000 a second would be in the way
of customers and carriers, and those in theirs: what is measured would be who waits for whom there.

Run as a program it reads one ``Order``, says that it is ready, waits for one more line, and tells what it has
``Opened``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Callable, Iterator, Sequence

import msgspec
import uvloop

from smsgw.bench.stage import CARRIER_NICENESS
from smsgw.bench.wire import Connection
from smsgw.runtime import aio, programs

PHONES = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
    "MicroMessenger/8.0.49(0x18003137) NetType/5G Language/zh_CN",
    "Mozilla/5.0 (Linux; Android 13; V2171A Build/TP1A) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0.0.0 Mobile "
    "Safari/537.36",
)
VISITORS = 50
"""Who open links as fast as they are answered, …"""
CONNECTIONS = 200
"""… and over how many connections they come at a rate: more than ever wait, as a proxy opens another one then."""
PATIENCE = 60.0
"""Seconds without an answer after which a run is given up, on a machine with much else to do."""
_READY = b"ready\n"
_ANSWER_LIMIT = 256 * 1024 * 1024
"""Octets of the line that tells of everything."""


class Order(msgspec.Struct):
    """What to open."""

    port: int
    host: str
    codes: list[str]
    """In turn, …"""
    n: int
    """… so many, …"""
    seconds: float
    """… for so long at most."""
    first: int = 0
    """Number of the first phone."""
    rate: float = 0.0
    """A second, evenly spread; 0: as fast as they are answered."""
    once: bool = False
    """Over a connection of its own each."""


class Opened(msgspec.Struct):
    """What came of it."""

    seconds: float
    answers: list[float]
    """Seconds of each, since it was due."""
    late: list[float]
    """Of those that a visitor was waiting for: seconds by which it was woken too late, which is no fault of others."""
    processor: float = 0.0
    """Seconds of it that they have used."""
    refused: str = ""
    """What one of them was told who was not led on."""


def address_of(n: int) -> str:
    """Of the n-th phone; no two have the same."""
    return f"36.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"


def going_first(pid: int = 0) -> int:
    """Phones, customers and carriers have machines of their own and are not late; here they at least go first. Where we
    may: it takes root. The niceness of before."""
    before = os.getpriority(os.PRIO_PROCESS, pid)
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, CARRIER_NICENESS)
    return before


class Visitors:
    """Open links, each from a phone of its own."""

    def __init__(self, port: int, host: str) -> None:
        self._port = port
        self._host = host
        self.opened = 0
        self.last = Opened(0.0, [], [])
        """What came of the last run."""

    async def open(
        self,
        codes: Sequence[str],
        n: int,
        *,
        rate: float = 0.0,
        seconds: float = 3600.0,
        once: bool = False,
        begun: Callable[[], object] = lambda: None,
    ) -> float:
        """So many of the codes in turn, for so long, each led on; how many a second. ``rate``: evenly spread. ``once``:
        over a connection of its own each. ``begun``: called when everything is there, and the first one goes out."""
        some = [codes[(self.opened + i) % len(codes)] for i in range(min(n, len(codes)))]
        order = Order(self._port, self._host, some, n, seconds, self.opened, rate, once)
        process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, stdin=PIPE, stdout=PIPE, limit=_ANSWER_LIMIT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            going_first(process.pid)
            process.stdin.write(msgspec.json.encode(order) + b"\n")
            async with asyncio.timeout(PATIENCE):
                assert await process.stdout.readline() == _READY
            begun()
            process.stdin.write(b"\n")
            async with asyncio.timeout(seconds + 2 * PATIENCE):
                told = await process.stdout.readline()
            await process.wait()
        finally:
            await programs.end(process)
        assert told, "the visitors have come to a bad end"
        self.last = msgspec.json.decode(told, type=Opened)
        assert not self.last.refused, self.last.refused
        self.opened += len(self.last.answers)
        return len(self.last.answers) / self.last.seconds


# --- the process ---------------------------------------------------------------------------------------------------


class _Visiting:
    def __init__(self, order: Order) -> None:
        self._order = order
        self._answers: list[float] = []
        self._late: list[float] = []
        self._refused = ""

    async def run(self) -> Opened:
        began, used = time.monotonic(), time.process_time()
        turns = self._turns(began)
        await asyncio.gather(*(self._visit(turns) for _ in range(CONNECTIONS if self._order.rate else VISITORS)))
        took, used = time.monotonic() - began, time.process_time() - used
        return Opened(took, self._answers, self._late, used, self._refused)

    def _turns(self, began: float) -> Iterator[tuple[bytes, float]]:
        order = self._order
        for i in range(order.n):
            due = began + i / order.rate if order.rate else 0.0
            if (due or time.monotonic()) >= began + order.seconds:
                return
            phone = order.first + i
            code = order.codes[i % len(order.codes)]
            yield (
                (
                    f"GET /{code} HTTP/1.1\r\nHost: {order.host}\r\nX-Forwarded-For: {address_of(phone)}\r\n"
                    f"User-Agent: {PHONES[phone % len(PHONES)]}\r\nAccept: text/html,application/xhtml+xml\r\n"
                    "Accept-Language: zh-CN,zh;q=0.9\r\n\r\n"
                ).encode(),
                due,
            )

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(Connection, "127.0.0.1", self._order.port))[1]

    async def _visit(self, turns: Iterator[tuple[bytes, float]]) -> None:
        connection = None if self._order.once else await self._connect()
        for request, due in turns:
            if (rest := due - time.monotonic()) > 0:
                await asyncio.sleep(rest)
                self._late.append(time.monotonic() - due)
            begun = due or time.monotonic()
            used = connection or await self._connect()
            async with asyncio.timeout(PATIENCE):
                answer = await used.send(request)
            if answer.status != 302:
                self._refused = f"{answer.status} for {request!r}"
                return
            self._answers.append(time.monotonic() - begun)
            if connection is None:
                used.close()
        if connection is not None:
            connection.close()


def main() -> None:
    """The process."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    visiting = _Visiting(order)
    aio.keep_memory()
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    sys.stdin.buffer.readline()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.buffer.write(msgspec.json.encode(runner.run(visiting.run())) + b"\n")


if __name__ == "__main__":
    main()
