"""Faults of a database while load goes on: frozen, killed, read-only, slow, out of connections.

Used by tests for seconds, and at full length by ``scripts/trials --only database``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from dbproxy import DatabaseProxy
from harness import Answer, Site, database_beside, intended, site
from tasking import quick

from smsgw.runtime import aio
from smsgw.store.engine.database_roles import ADMIN
from smsgw.store.engine.embedded import EmbeddedPostgres

ROUND_TRIP = 0.5
"""Seconds of one to a slow database."""
BUSY: dict[str, Any] = {"behaviour": quick, "balance": 10**8, "channel_options": ("--window", "64")}
"""A site that takes as much as its customer likes to send."""


async def frozen(database: EmbeddedPostgres, seconds: float) -> None:
    """All processes of the server stand still; the postmaster makes new ones until it is stopped."""
    stopped: set[int] = set()
    try:
        while left := set(database._members()) - stopped:
            for pid in sorted(left, key=lambda pid: pid != database.pid):
                _signal(pid, signal.SIGSTOP)
            stopped |= left
        await asyncio.sleep(seconds)
    finally:
        for pid in stopped:
            _signal(pid, signal.SIGCONT)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


@dataclass
class Outages:
    """A site whose database is a process of its own, behind a proxy."""

    built: Site
    database: EmbeddedPostgres
    proxy: DatabaseProxy

    async def frozen(self, seconds: float) -> None:
        """All processes of the server stand still."""
        await frozen(self.database, seconds)

    async def killed(self, seconds: float) -> None:
        """SIGKILL to all processes of the server, and a new start so many seconds later."""
        with intended():
            for pid in self.database._members():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await self.database.stop()
            await asyncio.sleep(seconds)
            await self.database.start()

    async def read_only(self, seconds: float) -> None:
        """Every transaction is, as on a standby that has not been promoted."""
        await self._say("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        await asyncio.sleep(seconds)
        await self._say("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")

    async def slow(self, seconds: float) -> None:
        """Each round trip takes half a second."""
        self.proxy.latency = ROUND_TRIP
        await asyncio.sleep(seconds)
        self.proxy.latency = 0.0

    async def no_connections(self, seconds: float) -> None:
        """Others have them all."""
        taken: list[Any] = []
        ends = time.monotonic() + seconds
        try:
            while time.monotonic() < ends:
                try:
                    taken.append(await asyncpg.connect(self.database.address(ADMIN), timeout=10))
                except (asyncpg.PostgresError, OSError):
                    self.proxy.cut()  # those of the daemon, too
                    await asyncio.sleep(0.01)
        finally:
            for connection in taken:
                connection.terminate()

    async def _say(self, *statements: str) -> None:
        connection = await asyncpg.connect(
            self.database.address(ADMIN), timeout=10, server_settings={"default_transaction_read_only": "off"}
        )
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def outages(data_dir: Path) -> AsyncIterator[Outages]:
    """The site, up and bound."""
    async with (
        database_beside(data_dir) as (database, dsn),
        DatabaseProxy(dsn) as proxy,
        site(data_dir.with_name("daemon"), dsn=proxy.dsn, **BUSY) as built,
    ):
        built.database = database
        await built.node.unhurried(built.client.key["key_id"])
        yield Outages(built, database, proxy)


class Load:
    """Batches and singles, so many messages of each in a second, until it is told to stop."""

    def __init__(
        self, built: Site, *, batches: float = 0.0, singles: float = 0.0, size: int = 100, channels: Sequence[str] = ()
    ) -> None:
        self._built = built
        self._channels = channels or tuple(built.carriers)
        self._rates = ((size, batches), (1, singles))
        self._stop = asyncio.Event()
        self.refused: Counter[str] = Counter()
        """Calls that were not taken, by code."""
        self.slowest = 0.0
        """Seconds of the slowest answer."""

    @contextlib.asynccontextmanager
    async def beside(self) -> AsyncIterator[Load]:
        """While a block runs; then the answers that are still owed are waited for."""
        running = [aio.spawn(self._go_on(size, rate), name="load") for size, rate in self._rates if rate]
        try:
            yield self
            assert not any(one.done() for one in running)
        finally:
            self._stop.set()
            await asyncio.gather(*running)

    async def _go_on(self, size: int, per_second: float) -> None:
        running: set[asyncio.Task[None]] = set()
        began, n = time.monotonic(), 0
        while not self._stop.is_set():
            task = aio.spawn(self._post(size), name="post")
            running.add(task)
            task.add_done_callback(running.discard)
            n += 1
            # A machine that cannot keep up is not flooded with what it has missed.
            behind = time.monotonic() - began - n * size / per_second
            if behind > 1.0:
                began += behind
            await asyncio.sleep(max(0.0, -behind))
        await asyncio.gather(*running)

    async def _post(self, size: int) -> None:
        customer, names = self._built.customer, self._channels
        items = [{"to": customer.number(names[n % len(names)]), "content": customer.text()} for n in range(size)]
        began = time.monotonic()
        try:
            one = {"to": [items[0]["to"]], "content": items[0]["content"]}
            path, body = ("/messages/batch", {"items": items}) if size > 1 else ("/messages", one)
            answer: Answer = await self._built.client.post(path, body)
        except (aiohttp.ClientError, TimeoutError) as exc:
            self.refused[f"{type(exc).__name__} {getattr(exc, 'status', '')}".strip()] += 1
            return
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)
        if answer.status == 202:
            customer.note(answer, [i["content"] for i in items])
        else:
            self.refused[answer.code] += 1


Fault = Callable[[float], Awaitable[None]]


async def through(
    here: Outages, fault: Fault, seconds: float, *, batches: float, singles: float, within: float = 120.0
) -> dict[str, object]:
    """Load, a fault in it, and load on: how long after the fault's end all was sent that was accepted until then."""
    built = here.built
    before = len(built.customer.sent)
    async with Load(built, batches=batches, singles=singles).beside() as load:
        await asyncio.sleep(min(10.0, seconds))
        started = time.monotonic()
        await fault(seconds)
        ended = time.monotonic()
        spooled = (await built.node.status())["checks"].get("spool", "nothing")
        owed = {s.content.partition("#")[2] for s in built.customer.sent.values()}
        accepted = len(built.customer.sent) - before
        drained: float | None = None
        while owed:
            late = time.monotonic() - ended >= within
            assert not late, f"{len(owed)} of {accepted} are not sent: {await _status(here)}"
            await asyncio.sleep(0.5)
            tokens = [c.inbox.tokens for c in built.carriers.values()]
            owed = {t for t in owed if not any(f"#{t}" in seen for seen in tokens)}
            if drained is None and "spool" not in (await built.node.status())["checks"]:
                drained = time.monotonic() - ended
        sent = time.monotonic() - ended
    return {
        "seconds of fault": round(ended - started),
        "accepted until its end": accepted,
        "spooled at its end": spooled,
        "seconds until the spool was empty": None if drained is None else round(drained, 1),
        "seconds until all of it was sent, under load": round(sent, 1),
        "accepted after it, meanwhile": len(built.customer.sent) - before - accepted,
        "calls not taken": dict(load.refused),
        "slowest answer": round(load.slowest, 1),
    }


async def _status(here: Outages) -> object:
    status = await here.built.node.status()
    return status["checks"], status["waiting"], [(c["name"], c["state"]) for c in status["channels"]]
