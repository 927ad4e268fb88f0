"""Beside a backlog everything goes on: codes arrive, memory stays, an account that is stopped stops at once.

``TEST_BACKLOG=1000000 TEST_BACKLOG_SECONDS=60`` is the long form, which prints and judges times (docs/performance.md).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from backlog import arrived, memory, percentile, queue
from harness import MARK, Site, site, until

from smsgw import aio

MESSAGES = int(os.environ.get("TEST_BACKLOG", "5000"))
SECONDS = float(os.environ.get("TEST_BACKLOG_SECONDS", "4"))
LONG = MESSAGES >= 1_000_000
RATE = 100
"""Codes a second."""
CHANNEL_RATE = 300
"""Submits a second that the channel may make: the backlog does not melt away."""


async def send_codes(built: Site) -> dict[str, float]:
    """Codes at an even rate, each posted alone; by mark: when it was posted."""
    loop = asyncio.get_running_loop()
    posted: dict[str, float] = {}
    begin = loop.time()

    async def one(n: int) -> None:
        text = built.customer.text("验证码 8848")
        await asyncio.sleep(begin + n / RATE - loop.time())
        posted[MARK.search(text)[0]] = loop.time()  # type: ignore[index]
        body = {"to": [built.customer.number("cmpp30")], "content": text, "type": "otp"}
        built.customer.note(await built.client.post("/messages", body), [text])

    tasks = [aio.spawn(one(n), name="code") for n in range(int(SECONDS * RATE))]
    await asyncio.gather(*tasks)
    return posted


async def test_codes_reach_the_carrier_beside_a_backlog(dsn: str, data_dir: Path) -> None:
    options = ["--rate", f"{CHANNEL_RATE}/s", "--window", "32"]
    async with site(data_dir, dsn=dsn, channels=["cmpp30"], channel_options=options) as built:
        carrier = built.carriers["cmpp30"]
        backlog = await queue(built, dsn, "shop", MESSAGES)
        await until(lambda: arrived(built) > CHANNEL_RATE, what="the backlog flows")
        before = arrived(built)
        posted = await send_codes(built)
        await until(
            lambda: sum(m in carrier.inbox.tokens for m in posted) == len(posted), within=10, what="all codes"
        )
        assert await backlog.count(10) > 0, "codes were first"
        assert arrived(built) - before > SECONDS * (CHANNEL_RATE - RATE) * 0.5, "the others were served, too"
        at = {MARK.search(m.text)[0]: m.at for m in carrier.messages if MARK.search(m.text)}  # type: ignore[index]
        times = [at[mark] - since for mark, since in posted.items()]
        now, most = memory(built.node)
        print(
            f"{MESSAGES} queued, {len(times)} codes: posted to carrier p50 {percentile(times, 0.5)} ms, "
            f"p99 {percentile(times, 0.99)} ms, most {percentile(times, 1)} ms; daemon {now} MiB, at most {most} MiB"
        )
        assert most <= 400
        if LONG:
            assert percentile(times, 0.99) <= 500
        built.node.kill()  # the backlog is not to be waited for
