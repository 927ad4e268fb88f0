"""Beside a backlog everything goes on: codes arrive, memory stays, an account that is stopped stops at once.

``TEST_BACKLOG=1000000 TEST_BACKLOG_SECONDS=60`` is the long form, which prints and judges times (docs/performance.md).
"""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest
from backlog import arrived, queue
from harness import MARK, Site, mark_of, site, until
from measures import memory, percentile, quantiles

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
        await asyncio.sleep(begin + n / RATE - loop.time())
        at = loop.time()
        posted[mark_of((await built.customer.send("cmpp30", type="otp")).content)] = at

    await asyncio.gather(*(one(n) for n in range(int(SECONDS * RATE))))
    return posted


async def test_codes_reach_the_carrier_beside_a_backlog(dsn: str, data_dir: Path) -> None:
    options = ["--rate", f"{CHANNEL_RATE}/s", "--window", "32"]
    async with site(data_dir, dsn=dsn, channels=["cmpp30"], channel_options=options) as built:
        carrier = built.carriers["cmpp30"]
        backlog = await queue(built, dsn, "shop", MESSAGES)
        await until(lambda: arrived(built) > CHANNEL_RATE, what="the backlog flows")
        before = arrived(built)
        posted = await send_codes(built)
        await until(lambda: all(m in carrier.inbox.tokens for m in posted), what="all codes")
        assert await backlog.count(10) > 0, "codes were first"
        assert arrived(built) - before > SECONDS * (CHANNEL_RATE - RATE) * 0.5, "the others were served, too"
        at = {mark_of(m.text): m.at for m in carrier.messages if MARK.search(m.text)}
        times = [at[mark] - since for mark, since in posted.items()]
        _, most = memory(built.node.pid)
        print(f"{MESSAGES} queued, {len(times)} codes: posted to carrier {quantiles(times)}; daemon at most {most} MiB")
        assert most <= 400
        if LONG:
            assert percentile(times, 0.99) <= 500
        built.node.kill()  # the backlog is not to be waited for


@pytest.mark.slow
@pytest.mark.shard("alone")
async def test_a_stopped_account_sends_nothing_until_it_is_started(dsn: str, data_dir: Path) -> None:
    """In the middle of its backlog; another account goes on; kill -9 while it is being held changes nothing; started
    while holding still runs, then everything goes out once, and what has expired meanwhile is reported so."""
    loop = asyncio.get_running_loop()
    async with site(data_dir, dsn=dsn, channels=["cmpp30"], channel_options=["--window", "64"]) as built:
        node, customer, inbox = built.node, built.customer, built.carriers["cmpp30"].inbox
        short = await queue(built, dsn, "brief", 200, prefix="1381", valid=timedelta(seconds=20))
        await node.ctl("account", "stop", "brief")
        backlog = await queue(built, dsn, "shop", MESSAGES)
        await until(lambda: arrived(built) > 300, what="the backlog flows")
        await node.ctl("account", "stop", "shop")
        told = loop.time()
        await until(lambda: not inbox.messages or inbox.messages[-1].at < loop.time() - 1.0, within=5)
        seen = arrived(built)
        assert inbox.messages[-1].at < told + 2.0

        # Everybody else's messages pass, in the same lane, too.
        promotion = await customer.send("cmpp30", customer.text("促销"), type="marketing")
        code = await customer.send("cmpp30", type="otp")
        # An answer of the carrier that dies with the daemon would leave its message unknown.
        await customer.reaches(code.message_id, "delivered")
        if inbox.tokens[mark_of(promotion.content)]:
            await customer.reaches(promotion.message_id, "delivered")
        node.kill()
        await node.start()
        await built.bound()

        async def held() -> bool:
            return not await backlog.count(10, 11, 20)

        await until(held, within=120, what="all of it is held", every=0.2)
        assert await backlog.count(1) >= MESSAGES - seen - 64
        await until(lambda: inbox.tokens[mark_of(promotion.content)], what="the other's")
        assert arrived(built) == seen, "nothing of it has been sent since"

        async def expired() -> bool:
            return await short.count(42) + await short.count(30, 40) == 200

        await until(expired, what="what was valid for seconds has expired while it was held")
        for how in ("start", "stop", "start"):
            await node.ctl("account", how, "shop")

        async def resumed() -> bool:
            return not await backlog.count(1)

        await until(resumed, within=120, what="nothing is held any more", every=0.2)
        # What was in flight at the kill has an end that nobody knows; everything else arrives once.
        within = MESSAGES / 500 + 60
        await until(lambda: arrived(built) >= MESSAGES - 64, within=within, what="all of it", every=1.0)
        assert not [t for t, n in built.received().items() if n > 1]
        await node.ctl("account", "start", "brief")
        books = await built.clean(within=120)
        assert books.statuses == {"delivered": 2}
        lines = {line["account"]: line for line in (await node.ctl("ledger", "check", "--json")).data}
        assert lines["brief"]["refunds"] == await short.count(42)
