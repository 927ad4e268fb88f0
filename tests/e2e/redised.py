"""Redis under Sentinel, away for a minute or failing over, while 500 messages a second come to two nodes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from databases import migrated
from ground import Either, Ground, slow_enough
from harness import Node, Site, alarmed, site, until
from outages import Load

from smsgw.runtime import aio
from smsgw.store.engine.embedded import EmbeddedPostgres

AWAY = 60.0
RATE = 500
NORMAL_WITHIN = 5.0
"""Seconds from the sentinels' agreement on."""


@dataclass
class Redised(Ground):
    """``redis`` is a master with a replica, and three sentinels."""

    redis: object = None


@contextlib.asynccontextmanager
async def redised(folder: Path) -> AsyncIterator[Redised]:
    """Two nodes that hear each other."""
    from valkeys import MASTER, free_ports, stand  # it skips where there is none

    async with contextlib.AsyncExitStack() as stack:
        database = EmbeddedPostgres(folder / "database")
        (folder / "database").mkdir(parents=True)
        dsn = await migrated(database)
        stack.push_async_callback(database.stop)
        (folder / "redis").mkdir()
        redis = stack.enter_context(stand(folder / "redis", free_ports(5)))
        settings = {"redis_sentinels": ",".join(redis.addresses), "redis_master": MASTER}
        built = await stack.enter_async_context(site(
            folder / "node", dsn=dsn, behaviour=slow_enough, balance=10**8,
            channel_options=("--window", "64"), **settings,
        ))  # fmt: skip
        await built.node.furnish("account", "set", "acme", "rate=10000")
        await built.node.furnish("key", "set", built.client.key["key_id"], "--requests-per-second", "5000")
        key = str(folder / "node" / "secret.key")
        second = Node(folder / "node2", dsn=dsn, node_number="2", security_key_file=key, **settings)
        await second.start()
        stack.push_async_callback(_ended, second)
        built.customer.client = await stack.enter_async_context(Either([built.node, second], built.client.key))
        made = Redised(
            built.node, built.carriers, built.customer, built.signer, dsn=dsn, database=database, others=[second],
            redis=redis,
        )  # fmt: skip
        await until(lambda: _at(made, redis.servers[0].address), what="both nodes are connected")
        yield made


async def _ended(node: Node) -> None:
    assert await node.stop() == 0, node.log_tail()
    assert not node.complaints(), node.complaints()[:10]


async def _at(built: Redised, address: str) -> bool:
    """Both nodes have this server."""
    return all([(await node.status())["redis"]["server"] == address for node in built.nodes])


@contextlib.asynccontextmanager
async def _loaded(built: Redised) -> AsyncIterator[Load]:
    load = Load(cast(Site, built), batches=RATE * 0.8, singles=RATE * 0.2, size=50)
    loading = aio.spawn(load.run(), name="load")
    try:
        await asyncio.sleep(3)
        yield load
        assert not loading.done()
    finally:
        load.stop()
        await loading


def _tell(**figures: object) -> None:
    for what, value in figures.items():
        print(f"  {what.replace('_', ' ')}: {value}")


async def away(built: Redised, dice: random.Random, n: int, *, seconds: float = AWAY) -> int:
    """All servers and sentinels end at once, and are back after a while: nobody is refused, and it is an alarm."""
    redis, before = built.redis, len(built.customer.sent)
    async with _loaded(built) as load:
        quiet, load.slowest = load.slowest, 0.0
        at = time.monotonic()
        redis.stop()  # type: ignore[attr-defined]
        await until(lambda: alarmed(built.node, "redis_away"), what="an alarm")
        told = time.monotonic() - at
        await asyncio.sleep(max(0.0, seconds - told))
        without, sent = load.slowest, len(built.customer.sent) - before
        redis.start()  # type: ignore[attr-defined]
        at = time.monotonic()
        await until(lambda: alarmed(built.node, "redis_away", False), within=60, what="the alarm is over")
        back = time.monotonic() - at
    _tell(
        messages=sent, calls_refused=dict(load.refused), slowest_call_with_it=round(quiet, 2),
        slowest_call_without_it=round(without, 2), alarm_after_s=round(told, 1), alarm_over_after_s=round(back, 1),
    )  # fmt: skip
    assert not load.refused
    return 0


async def fails_over(built: Redised, dice: random.Random, n: int) -> int:
    """The master is killed with its last writes: normal again soon, and nobody is refused."""
    redis = built.redis
    masters = [one for one in redis.servers if one.process is not None]  # type: ignore[attr-defined]
    now = (await built.node.status())["redis"]["server"]
    (old,) = (one for one in masters if one.address == now)
    (new,) = (one for one in masters if one.address != now)
    async with _loaded(built) as load:
        load.slowest = 0.0
        at = time.monotonic()
        old.kill()
        await until(lambda: _agreed(built, new.address), within=60, what="the sentinels agree", every=0.02)
        agreed = time.monotonic()
        await until(lambda: _at(built, new.address), within=60, what="both nodes are there", every=0.02)
        normal = time.monotonic()
    _tell(
        calls_refused=dict(load.refused), slowest_call=round(load.slowest, 2),
        sentinels_agree_after_s=round(agreed - at, 2), normal_after_s=round(normal - at, 2),
    )  # fmt: skip
    old.start()
    await until(lambda: _whole(built, new.address), within=60, what="there is a replica again", every=0.5)
    assert not load.refused
    assert normal - agreed < NORMAL_WITHIN
    return 0


async def _agreed(built: Redised, address: str) -> bool:
    return await _said(built, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "smsgw") == address


async def _whole(built: Redised, address: str) -> bool:
    replicas = await _said(built, "SENTINEL", "REPLICAS", "smsgw")
    return "slave" in replicas and "s_down" not in replicas and "disconnected" not in replicas


async def _said(built: Redised, *command: str) -> str:
    """What the first sentinel answers, its words joined as an address or by blanks."""
    host, _, port = built.redis.addresses[0].rpartition(":")  # type: ignore[attr-defined]
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write((" ".join(command) + "\r\n").encode())
        await writer.drain()
        await asyncio.sleep(0.02)
        text = (await reader.read(65536)).decode()
        writer.close()
    words = [line for line in text.split("\r\n") if line and line[0] not in "*$"]
    return ":".join(words) if len(words) == 2 else " ".join(words)
