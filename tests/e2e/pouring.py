"""Carriers that pour out their reports: all of them at once, without a window; one loses for good what is refused, the
other repeats it ten times a second. Used by tests for seconds, and at full length by ``scripts/trials --only pour``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from harness import MARK, Node, Site, mark_of, site, until
from measures import memory, percentile

from smsgw.runtime import aio
from smsgw.simulator import Delay

LOSING, STUBBORN, CALM = "cmpp30", "smpp34", "cmpp20"
"""Channels: the carrier that repeats nothing, the one that repeats everything, and the one for the codes."""
CODE_EVERY = 0.2
HELD = Delay.fixed(3600.0)
"""Reports that are due so late wait until the carrier is told to bring them."""


@contextlib.asynccontextmanager
async def pouring_site(folder: Path, **how: Any) -> AsyncIterator[Site]:
    """A gateway before such carriers."""
    carrier = {"redeliveries": 0, "keep_messages": 1_000_000}
    async with site(folder, channels=[LOSING, STUBBORN, CALM], carrier=carrier, **how) as built:
        await built.node.unhurried(built.client.key["key_id"])
        for name in (LOSING, STUBBORN):
            built.carriers[name].change(no_window=True)
        built.carriers[STUBBORN].change(repeat_refused="100")
        yield built


async def post(built: Site, n: int, *, batch: int = 500) -> None:
    """``n`` messages to the two carriers, half of them each, as fast as they are accepted."""
    for start in range(0, n, batch):
        await built.customer.send_many(min(batch, n - start), LOSING, STUBBORN, text="批量通知")


async def codes(built: Site, posted: dict[str, float], enough: asyncio.Event) -> None:
    """One code every 200 ms over the third channel until it is enough; by mark: when it was posted."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not enough.is_set():
        at = loop.time()
        posted[mark_of((await built.customer.send(CALM, type="otp")).content)] = at
        await asyncio.sleep(began + len(posted) * CODE_EVERY - loop.time())


async def pull(built: Site, enough: asyncio.Event) -> None:
    """Pull reports until it is enough."""
    while not enough.is_set():
        if not await built.customer.pull():
            await asyncio.sleep(0.1)


async def highest(node: Node, seen: list[int]) -> None:
    """MiB that the daemon has in memory, ten times a second."""
    while True:
        seen.append(memory(node.pid)[0])
        await asyncio.sleep(0.1)


def within_limits(figures: dict[str, object], *, slowest: float = 500.0) -> None:
    """Nothing was refused, nobody else has noticed, and neither memory nor log has grown. ``slowest``: ms of a code."""
    assert (figures["reports repeated"], figures["reports given up"]) == (0, 0), figures
    assert int(str(figures["log lines"])) <= 100, figures
    assert int(str(figures["memory, MiB more at most"])) <= 64, figures
    assert float(str(figures["codes: ms to the carrier, median"])) <= 500, figures
    assert float(str(figures["codes: ms to the carrier, p99"])) <= slowest, figures


async def pour(built: Site, messages: int, *, within: float) -> dict[str, object]:
    """Post them, and let the reports of each half come at once, of the first while the second is being sent."""
    loop = asyncio.get_running_loop()
    flooding = [built.carriers[name] for name in (LOSING, STUBBORN)]
    await post(built, 200)
    await built.settled()
    lines, before = len(built.node.log_lines()), memory(built.node.pid)[0]
    for carrier in flooding:
        carrier.change(report_delay=HELD)
    posted: dict[str, float] = {}
    most: list[int] = []
    enough = asyncio.Event()
    sending = aio.spawn(codes(built, posted, enough), name="codes")
    watching = aio.spawn(highest(built.node, most), name="memory")
    pulling: asyncio.Task[None] | None = None
    began = loop.time()
    poured: list[float] = []
    reports_before = sum(c.counts.reports_acknowledged for c in flooding)
    try:
        for part in (messages // 2, messages - messages // 2):
            total = sum(c.inbox.total for c in flooding) + part
            await post(built, part)
            await until(
                lambda n=total: sum(c.inbox.total for c in flooding) >= n, within=within, what="all is submitted"
            )
            for carrier in flooding:
                carrier.report_now()
            poured.append(loop.time())
            if pulling is None:
                pulling = aio.spawn(pull(built, enough), name="pull")
        wanted = reports_before + messages
        await until(
            lambda: sum(c.counts.reports_acknowledged for c in flooding) >= wanted, within=within,
            what="all reports are taken", every=0.1,
        )  # fmt: skip
        taken = loop.time()
    finally:
        enough.set()
        await aio.cancel(watching)
    await sending
    if pulling is not None:
        await pulling
    said = built.node.log_lines()[lines:]
    books = await built.clean(within=within)
    assert set(books.statuses) == {"delivered"}, books
    at = {mark_of(m.text): m.at for m in built.carriers[CALM].messages if MARK.search(m.text)}
    times = [at[mark] - since for mark, since in posted.items() if mark in at]
    assert len(times) >= len(posted) - 1, "codes that have not arrived"
    return {
        "messages": books.accepted,
        "reports repeated": sum(c.counts.repeated for c in flooding),
        "reports given up": sum(c.counts.given_up for c in flooding),
        "seconds from the first pour to the last answer": round(taken - poured[0], 1),
        "reports a second after the last pour": round((messages - messages // 2) / (taken - poured[1])),
        "seconds in all": round(taken - began, 1),
        "log lines": len(said),
        "memory, MiB before": before,
        "memory, MiB more at most": max(most) - before,
        "codes": len(times),
        "codes: ms to the carrier, median": percentile(times, 0.5),
        "codes: ms to the carrier, p99": percentile(times, 0.99),
        "lost or doubled": len(books.problems),
    }
