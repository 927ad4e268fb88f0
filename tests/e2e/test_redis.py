"""Nodes with Redis under Sentinel, its master killed and all of it away while messages come: nobody is refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from harness import site, until
from valkeys import MASTER, free_ports, stand

from smsgw.runtime import aio

GONE = 12.0
"""Seconds without any of it: twice as long as it takes to be an alarm."""


@pytest.mark.slow
async def test_nothing_hangs_on_it(dsn: str, data_dir: Path, tmp_path: Path) -> None:
    with stand(tmp_path, free_ports(5)) as redis:
        settings = {"redis_sentinels": ",".join(redis.addresses), "redis_master": MASTER}
        async with site(data_dir, dsn=dsn, channels=["cmpp30"], **settings) as built:
            node, customer = built.node, built.customer

            async def server() -> str:
                return str((await node.status())["redis"]["server"])

            async def send_for(seconds: float) -> float:
                """Single calls, one after the other; the longest."""
                longest, begun = 0.0, time.monotonic()
                while time.monotonic() - begun < seconds:
                    at = time.monotonic()
                    await customer.send("cmpp30")  # refused, it raises
                    longest = max(longest, time.monotonic() - at)
                return longest

            await until(server, what="it is connected")
            assert await server() == redis.servers[0].address
            quiet = await send_for(3)
            sending = aio.spawn(send_for(10), name="sending")
            redis.servers[0].kill()
            await until(lambda: _is(server, redis.servers[1].address), within=120, what="the replica has taken over")
            failing_over = await sending

            async def shown(text: str) -> bool:
                return text in (await node.ctl("status")).out

            await until(lambda: shown(f"master {redis.servers[1].address}"), within=60, what="the sentinels say so")
            for one in (*redis.sentinels, redis.servers[1]):
                one.kill()
            away = await send_for(GONE)

            async def alarmed() -> bool:
                return "redis_away" in [alarm["kind"] for alarm in (await node.status())["alarms"]]

            await until(alarmed, within=60, what="an alarm")
            assert await shown("away for")
            print(f"longest call: {quiet:.3f} s; failing over {failing_over:.3f} s; without it {away:.3f} s")
            await built.clean()


async def _is(found: object, wanted: str) -> bool:
    return await found() == wanted  # type: ignore[operator, no-any-return]
