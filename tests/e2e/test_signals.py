"""Signals and changes of the configuration while the windows are full."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from harness import Site, site, until

WINDOW = 8


async def _load(built: Site, n: int) -> None:
    """Messages, of which a window is at the carrier and not answered."""
    built.carriers["cmpp30"].change(answer_delay="200..400")
    await built.customer.send_many(n, "cmpp30")
    await built.carriers["cmpp30"].received(WINDOW)


async def test_reloads_and_changes_under_load(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=["cmpp30"], channel_options=("--window", str(WINDOW))) as built:
        await _load(built, 150)
        node = built.node
        assert node.process is not None
        for _ in range(10):
            for _ in range(20):
                node.process.send_signal(signal.SIGHUP)
            await asyncio.gather(*(node.reload() for _ in range(3)))
        await node.furnish("channel", "set", "cmpp30", "--window", "12")
        node.process.send_signal(signal.SIGHUP)

        counts = built.carriers["cmpp30"].counts
        await until(lambda: counts.peak_unanswered > WINDOW, what="the new window")
        assert node.process.poll() is None
        built.carriers["cmpp30"].change(answer_delay="0..5")
        books = await built.clean()
        assert books.statuses == {"delivered": 150}


async def test_a_second_sigterm_loses_at_most_the_window(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=["cmpp30"], channel_options=("--window", str(WINDOW))) as built:
        built.carriers["cmpp30"].change(lose_answers=1.0)
        await _load(built, 30)
        node = built.node
        process = node.process
        assert process is not None
        for _ in range(20):
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.01)
        await until(lambda: process.poll() is not None, within=10, what="the end, without waiting for answers")
        node.process = None
        built.carriers["cmpp30"].change(lose_answers=0.0, answer_delay="0..5")
        await node.start()
        books = await built.clean(unknown=WINDOW)
        assert sum(books.statuses.values()) == 30
