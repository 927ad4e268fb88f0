"""Redis under Sentinel, all of it away or failing over, while messages come to nodes: nobody is refused.

Used by a test for seconds on one node, and by ``scripts/chaos`` for a minute under 500 a second on two.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ground import Either, Ground, slow_enough
from harness import Site, alarmed, another_node, database_beside, site, until
from outages import BUSY, Load

AWAY = 60.0
NORMAL_WITHIN = 5.0


@dataclass
class Redised(Ground):
    """``redis`` is a master with a replica, and three sentinels."""

    redis: Any = None
    rate: int = 500

    def loaded(self) -> contextlib.AbstractAsyncContextManager[Load]:
        load = Load(cast(Site, self), batches=self.rate * 0.8, singles=self.rate * 0.2, size=min(50, self.rate // 5))
        return load.beside()


@contextlib.asynccontextmanager
async def redised(folder: Path, *, dsn: str = "", nodes: int = 2, rate: int = 500) -> AsyncIterator[Redised]:
    """Nodes that hear each other."""
    from valkeys import MASTER, free_ports, stand  # it skips where there is none

    async with contextlib.AsyncExitStack() as stack:
        database = None
        if not dsn:
            database, dsn = await stack.enter_async_context(database_beside(folder / "database"))
        (folder / "redis").mkdir()
        redis = stack.enter_context(stand(folder / "redis", free_ports(5)))
        settings = {"redis_sentinels": ",".join(redis.addresses), "redis_master": MASTER}
        how = BUSY | {"behaviour": slow_enough}
        built = await stack.enter_async_context(site(folder / "node", dsn=dsn, **how, **settings))
        await built.node.unhurried(built.client.key["key_id"])
        others = [await stack.enter_async_context(another_node(built.node, n, **settings)) for n in range(2, nodes + 1)]
        client = Either([built.node, *others], built.client.key)
        built.customer.client = await stack.enter_async_context(client)
        made = Redised(
            built.node, built.carriers, built.customer, built.signer, dsn=dsn, database=database, others=others,
            redis=redis, rate=rate,
        )  # fmt: skip
        await until(lambda: _at(made, redis.servers[0].address), what="all nodes are connected")
        yield made


async def _at(built: Redised, address: str) -> bool:
    """All nodes have this server."""
    return all([(await node.status())["redis"]["server"] == address for node in built.nodes])


def _tell(**figures: object) -> None:
    for what, value in figures.items():
        print(f"  {what.replace('_', ' ')}: {value}")


async def away(built: Redised, dice: random.Random, n: int, *, seconds: float = AWAY) -> int:
    """All servers and sentinels end at once, and are back after a while: it is an alarm."""
    async with built.loaded() as load:
        await asyncio.sleep(3)
        quiet, load.slowest = load.slowest, 0.0
        at = time.monotonic()
        built.redis.stop()
        await until(lambda: alarmed(built.node, "redis_away"), what="an alarm")
        told = time.monotonic() - at
        assert "away for" in (await built.node.ctl("status")).out
        await asyncio.sleep(max(0.0, seconds - told))
        without = load.slowest
        built.redis.start()
        at = time.monotonic()
        await until(lambda: alarmed(built.node, "redis_away", False), what="the alarm is over")
        back = time.monotonic() - at
    _tell(
        calls_refused=dict(load.refused), slowest_call_with_it=round(quiet, 2),
        slowest_call_without_it=round(without, 2), alarm_after_s=round(told, 1), alarm_over_after_s=round(back, 1),
    )  # fmt: skip
    assert not load.refused
    return 0


async def fails_over(built: Redised, dice: random.Random, n: int, *, within: float = NORMAL_WITHIN) -> int:
    """The master is killed with its last writes: normal again soon after the sentinels have agreed."""
    now = (await built.node.status())["redis"]["server"]
    masters = [one for one in built.redis.servers if one.process is not None]
    (old,) = (one for one in masters if one.address == now)
    (new,) = (one for one in masters if one.address != now)
    async with built.loaded() as load:
        await asyncio.sleep(3)
        load.slowest = 0.0
        at = time.monotonic()
        old.kill()
        await until(lambda: _agreed(built, new.address), what="the sentinels agree", every=0.02)
        agreed = time.monotonic()
        await until(lambda: _at(built, new.address), what="all nodes are there", every=0.02)
        normal = time.monotonic()
    _tell(
        calls_refused=dict(load.refused), slowest_call=round(load.slowest, 2),
        sentinels_agree_after_s=round(agreed - at, 2), normal_after_s=round(normal - at, 2),
    )  # fmt: skip
    old.start()
    await until(lambda: _whole(built), what="there is a replica again", every=0.5)
    assert not load.refused
    assert normal - agreed < within
    return 0


async def _agreed(built: Redised, address: str) -> bool:
    return await _said(built, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "smsgw") == address


async def _whole(built: Redised) -> bool:
    replicas = await _said(built, "SENTINEL", "REPLICAS", "smsgw")
    return "slave" in replicas and "s_down" not in replicas and "disconnected" not in replicas


async def _said(built: Redised, *command: str) -> str:
    """What the first sentinel answers, its words joined as an address or by blanks."""
    host, _, port = built.redis.addresses[0].rpartition(":")
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write((" ".join(command) + "\r\n").encode())
        await writer.drain()
        await asyncio.sleep(0.02)
        text = (await reader.read(65536)).decode()
        writer.close()
    words = [line for line in text.split("\r\n") if line and line[0] not in "*$"]
    return ":".join(words) if len(words) == 2 else " ".join(words)
