"""Beside a backlog everything goes on: codes arrive, memory stays, an account that is stopped stops at once.

``TEST_BACKLOG=1000000 TEST_BACKLOG_SECONDS=60`` is the long form, which prints and judges times (docs/performance.md).
"""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest
from backlog import arrived, memory, percentile, queue
from harness import MARK, Site, site, until

from smsgw.runtime import aio

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
            lambda: sum(m in carrier.inbox.tokens for m in posted) == len(posted), what="all codes"
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


@pytest.mark.slow
@pytest.mark.shard("alone")
async def test_a_stopped_account_sends_nothing_until_it_is_started(dsn: str, data_dir: Path) -> None:
    """In the middle of its backlog; another account goes on; kill -9 while it is being held changes nothing; started
    while holding still runs, then everything goes out once, and what has expired meanwhile is reported so."""
    loop = asyncio.get_running_loop()
    options = ["--window", "64"]
    async with site(data_dir, dsn=dsn, channels=["cmpp30"], channel_options=options) as built:
        node, carrier = built.node, built.carriers["cmpp30"]
        short = await queue(built, dsn, "brief", 200, prefix="1381", valid=timedelta(seconds=20))
        await node.ctl("account", "stop", "brief")
        backlog = await queue(built, dsn, "shop", MESSAGES)
        await until(lambda: arrived(built) > 300, what="the backlog flows")
        begin = loop.time()
        await node.ctl("account", "stop", "shop")
        told = loop.time()
        await until(
            lambda: not carrier.inbox.messages or carrier.inbox.messages[-1].at < loop.time() - 1.0, within=5
        )
        last = carrier.inbox.messages[-1].at
        seen = arrived(built)
        assert last < told + 2.0

        # Everybody else's messages pass, in the same lane, too.
        text = built.customer.text("促销")
        body = {"to": [built.customer.number("cmpp30")], "content": text, "type": "marketing"}
        (promotion,) = built.customer.note(await built.client.post("/messages", body), [text])
        code = await built.customer.send("cmpp30", type="otp")
        await until(lambda: carrier.inbox.tokens[MARK.search(code.content)[0]], what="the code")  # type: ignore[index]
        # An answer of the carrier that dies with the daemon would leave its message unknown.
        await built.customer.reaches(code.message_id, "delivered")
        if carrier.inbox.tokens[MARK.search(text)[0]]:  # type: ignore[index]
            await built.customer.reaches(promotion.message_id, "delivered")
        node.kill()
        await node.start()
        await built.bound()

        async def held() -> bool:
            return not await backlog.count(10, 11, 20)

        await until(held, within=120, what="all of it is held", every=0.2)
        all_held = loop.time()
        assert await backlog.count(1) >= MESSAGES - seen - 64
        await until(lambda: carrier.inbox.tokens[MARK.search(text)[0]], what="the other's")  # type: ignore[index]
        assert arrived(built) == seen, "nothing of it has been sent since"

        async def expired() -> bool:
            return await short.count(42) + await short.count(30, 40) == 200

        await until(expired, what="what was valid for seconds has expired while it was held")
        await node.ctl("account", "start", "shop")
        await node.ctl("account", "stop", "shop")
        await node.ctl("account", "start", "shop")
        started = loop.time()

        async def resumed() -> bool:
            return not await backlog.count(1)

        await until(resumed, within=120, what="nothing is held any more", every=0.2)
        print(
            f"{MESSAGES} queued: last submit {last - told:+.2f} s after `account stop` had returned (it took "
            f"{told - begin:.2f} s); held after {all_held - told:.1f} s with a kill -9 between; "
            f"resumed after {loop.time() - started:.1f} s"
        )
        # What was in flight at the kill has an end that nobody knows; everything else arrives once.
        await until(
            lambda: arrived(built) >= MESSAGES - 64,
            within=MESSAGES / 500 + 60,
            what="all of it",
            every=1.0,
        )
        doubled = [t for t, n in built.received().items() if n > 1]
        assert not doubled
        await node.ctl("account", "start", "brief")
        books = await built.clean(within=120)
        assert books.statuses == {"delivered": 2}
        lines = {line["account"]: line for line in (await node.ctl("ledger", "check", "--json")).data}
        assert lines["brief"]["refunds"] == await short.count(42)
