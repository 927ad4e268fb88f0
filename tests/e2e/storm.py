"""A run of many messages while the daemon, or its database, is killed again and again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from harness import CHANNELS, Site, until

from smsgw import aio
from smsgw.store.embedded import EmbeddedPostgres

WINDOW = 16
"""Submits without an answer on each channel, as channels are made by default."""


@contextlib.asynccontextmanager
async def background(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Work that goes on while the block runs. Its failure is raised at the end of the block."""
    tasks = [aio.spawn(w, name="background") for w in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for result in ended:
        if isinstance(result, Exception):
            raise result


async def load(built: Site, messages: int, dice: random.Random, *, within: float = 180.0) -> None:
    """Single sends and batches over all channels, each repeated with its Idempotency-Key until it is answered."""
    customer = built.customer
    work: list[tuple[str, dict[str, object]]] = []
    left = messages
    while left > 0:
        n = 1 if dice.random() < 0.8 else min(left, dice.randint(2, 100))
        left -= n
        contents = [customer.text("字" * dice.choice([3, 30, 30, 80])) for _ in range(n)]
        items = [{"to": customer.number(dice.choice(list(CHANNELS))), "content": c} for c in contents]
        one = {"to": [items[0]["to"]], "content": contents[0]}
        work.append(("/messages", one) if n == 1 else ("/messages/batch", {"items": items}))

    async def worker() -> None:
        while work:
            path, body = work.pop()
            await customer.send_surely(path, body, within=within)

    await asyncio.gather(*(worker() for _ in range(12)))
    assert len(customer.sent) >= messages


async def kill_daemon(built: Site, dice: random.Random) -> None:
    """SIGKILL, and a new start a moment later."""
    built.node.kill()
    await asyncio.sleep(dice.uniform(0, 0.3))  # the time that a supervisor takes
    await built.node.start()


async def kill_during_start(built: Site, dice: random.Random) -> None:
    """SIGKILL, and again while the new one is about to recover."""
    built.node.kill()
    built.node.launch()
    await asyncio.sleep(dice.uniform(0.3, 1.5))
    built.node.kill()
    await built.node.start()


async def kill_postgres(built: Site, dice: random.Random) -> None:
    """SIGKILL to the postmaster of the embedded database; the daemon must bring it back."""
    pid_file = EmbeddedPostgres(built.node.data_dir).home / "pg" / "postmaster.pid"
    pid = int(pid_file.read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not Path(f"/proc/{pid}").exists() or _zombie(pid), what="the database is gone")

    async def back() -> bool:
        return pid_file.exists() and pid_file.read_text().split()[:1] != [str(pid)] and await _ready(built)

    await until(back, within=60, what="the database is back")


async def freeze_daemon(built: Site, dice: random.Random) -> None:
    """SIGSTOP for longer than a lease lives, then SIGCONT."""
    assert built.node.process is not None
    built.node.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(dice.uniform(14, 18))
    built.node.process.send_signal(signal.SIGCONT)


def _zombie(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


async def _ready(built: Site) -> bool:
    return bool((await built.node.status())["ready"])


async def drop_links(built: Site, dice: random.Random) -> None:
    """The carriers close their connections in the middle of the window, by FIN or RST."""
    for carrier in built.carriers.values():
        carrier.disconnect(rst=dice.random() < 0.5)


FAULTS: dict[str, Callable[[Site, random.Random], Awaitable[None]]] = {
    "kill": kill_daemon,
    "kill-start": kill_during_start,
    "postgres": kill_postgres,
    "links": drop_links,
    "freeze": freeze_daemon,
}


async def storm(
    built: Site,
    dice: random.Random,
    *,
    messages: int,
    faults: list[str],
    say: Callable[[str], None] = print,
    within: float = 180.0,
    pulling: bool = False,
) -> int:
    """Send ``messages`` while the faults happen at random moments of the run; the parts that may be unknown.

    With ``pulling`` reports are pulled all the time. A pull whose answer is lost to a kill is offered again only
    a minute later, so such a run takes longer to settle.
    """
    began = time.monotonic()
    customer = built.customer
    sending = aio.spawn(load(built, messages, dice, within=within), name="load")
    lost_windows = 0
    try:
        async with background(*([customer.pull_for_ever()] if pulling else [])):
            for n, fault in enumerate(faults):
                # The n-th fault comes after a random share of the n-th slice of the run.
                slice_ = messages / (len(faults) + 0.5)
                after = int(slice_ * (n + dice.uniform(0.3, 1.0)))
                await until(
                    lambda after=after: sending.done() or len(customer.sent) >= after,
                    within=within, what=f"{after} messages are accepted", every=0.005,
                )  # fmt: skip
                await asyncio.sleep(dice.uniform(0, 0.05))
                say(f"{time.monotonic() - began:6.2f} s  {len(customer.sent):6} accepted  {fault}")
                await FAULTS[fault](built, dice)
                lost_windows += {"kill": 1, "kill-start": 2, "links": 1, "freeze": 1}.get(fault, 0)
            await sending
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    return lost_windows * len(built.carriers) * WINDOW
