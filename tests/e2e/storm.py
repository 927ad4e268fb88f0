"""A run of many messages while the daemon, its database, its carriers or the ways to them break, again and again.

A fault tells how many parts its happening may leave unknown; what it breaks it also mends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from ground import Ground
from harness import CHANNELS, Node, Site, intended, until
from outages import frozen

from smsgw.node.control_client import DaemonAway
from smsgw.runtime import aio
from smsgw.store.engine.embedded import EmbeddedPostgres

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


@contextlib.asynccontextmanager
async def loaded(
    built: Site, messages: int, dice: random.Random, *, within: float = 180.0
) -> AsyncIterator[asyncio.Task[None]]:
    """A load that goes on beside the block, and all of which is accepted in its end."""
    posting = aio.spawn(load(built, messages, dice, within=within), name="load")
    try:
        yield posting
        await posting
    finally:
        await aio.cancel(posting)


def windows(built: Site) -> int:
    """Parts that can be without an answer at one moment."""
    return len(built.carriers) * WINDOW


async def kill_daemon(built: Site, dice: random.Random) -> int:
    """SIGKILL, and a new start a moment later."""
    built.node.kill()
    await asyncio.sleep(dice.uniform(0, 0.3))  # the time that a supervisor takes
    await built.node.start()
    return windows(built)


async def lose_worker(built: Site, dice: random.Random, number: int) -> int:
    """A signal to one of several workers: it is ended, and replaced by itself."""
    node = built.node
    worker, pid = dice.choice(sorted(node.workers.items()))

    async def replaced() -> bool:
        with contextlib.suppress(DaemonAway):  # it is the first one
            states = {one["worker"]: one["state"] for one in (await node.status())["workers"]}
            return node.workers.get(worker, pid) != pid and set(states.values()) == {"serving"}
        return False

    with intended():
        os.kill(pid, number)
        await until(replaced, within=120, what=f"worker {worker} is replaced")
    return windows(built)


async def kill_during_start(built: Site, dice: random.Random) -> int:
    """SIGKILL, and again while new ones are about to recover."""
    built.node.kill()
    tries = dice.randint(1, 3)
    for _ in range(tries):
        built.node.launch()
        await asyncio.sleep(dice.uniform(0.3, 2.0))
        built.node.kill()
    await built.node.start()
    return (1 + tries) * windows(built)


async def kill_postgres(built: Site, dice: random.Random) -> int:
    """SIGKILL to the postmaster of the embedded database; the daemon must bring it back."""
    database = EmbeddedPostgres(built.node.data_dir)
    pid = database._postmaster()
    assert pid

    async def back() -> bool:
        return database._postmaster() not in (None, pid) and bool((await built.node.status())["ready"])

    with intended():
        os.kill(pid, signal.SIGKILL)
        await until(back, within=60, what="the database is back")
    return 0


async def freeze_daemon(built: Site, dice: random.Random) -> int:
    """SIGSTOP for longer than a lease lives, then SIGCONT."""
    assert built.node.process is not None
    built.node.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(dice.uniform(14, 16))
    built.node.process.send_signal(signal.SIGCONT)
    return windows(built)


async def drop_links(built: Site, dice: random.Random) -> int:
    """The carriers close their connections in the middle of the window, by FIN or RST."""
    for carrier in built.carriers.values():
        carrier.disconnect(rst=dice.random() < 0.5)
    return windows(built)


async def stop_daemon(built: Site, dice: random.Random) -> int:
    """SIGTERM under load: it waits for its answers, so that nothing is unknown."""
    assert await built.node.stop() == 0, built.node.log_tail()
    await built.node.start()
    return 0


async def lose_answers(built: Site, dice: random.Random) -> int:
    """For a while some answers never come, and some later than the timer; the links stay. (Channels need a
    ``response_timeout`` of 2 s.)"""
    carriers = built.carriers.values()
    before = sum(c.counts.answers_lost for c in carriers)
    for carrier in carriers:
        carrier.change(lose_answers=0.02, late_answers=0.02, late_by="2500..4000")
    await asyncio.sleep(dice.uniform(1, 3))
    for carrier in carriers:
        carrier.change(lose_answers=0.0, late_answers=0.0)
    await asyncio.sleep(5)  # the last of the late ones come
    return sum(c.counts.answers_lost for c in carriers) - before


async def freeze_database(built: Ground, dice: random.Random) -> int:
    """All processes of the database stand still for 1, 5 or 15 s."""
    assert built.database is not None
    await frozen(built.database, dice.choice([1, 5, 15]))
    return 0


async def lose_commits(built: Ground, dice: random.Random) -> int:
    """The database commits, and its answer is lost with the connection; or all connections are cut at once."""
    (proxy,) = built.proxies
    for _ in range(6):
        if dice.random() < 0.3:
            proxy.cut()
        else:
            proxy.lose_commits(dice.randint(1, 3), late=dice.choice([0.0, 0.0, 0.2]))
        await asyncio.sleep(dice.uniform(0.05, 0.3))
    return 0


# --- several nodes: the owner of channels is hit, and another one takes them -----------------------------------------

TAKEOVER = 60.0
"""Seconds until the next owner: a lease lives 15, then comes a login."""


async def owner_of(built: Ground) -> Node:
    """The node that has most to do."""
    owners = await until(built.owners, what="channels are owned", within=TAKEOVER)
    return built.nodes[min(owners) - 1]


async def taken_over(built: Ground, loser: Node) -> None:
    number = built.nodes.index(loser) + 1

    async def others() -> bool:
        owners = await built.owners()
        return bool(owners) and number not in owners

    await until(others, within=TAKEOVER, what=f"node {number} owns nothing any more", every=0.2)


async def kill_owner(built: Ground, dice: random.Random) -> int:
    """kill -9; it comes back when the others have its channels."""
    owner = await owner_of(built)
    owner.kill()
    await taken_over(built, owner)
    await owner.start()
    return windows(built)


async def freeze_owner(built: Ground, dice: random.Random) -> int:
    """SIGSTOP until the others have its channels, and a little longer."""
    owner = await owner_of(built)
    assert owner.process is not None
    owner.process.send_signal(signal.SIGSTOP)
    try:
        await taken_over(built, owner)
        await asyncio.sleep(dice.uniform(0, 3))
    finally:
        owner.process.send_signal(signal.SIGCONT)
    return windows(built)


async def cut_owner(built: Ground, dice: random.Random) -> int:
    """It loses its way to the database, and nothing else."""
    owner = await owner_of(built)
    way = built.proxies[built.nodes.index(owner)]
    way.refusing = True
    way.cut()
    try:
        await taken_over(built, owner)
    finally:
        way.refusing = False
    return windows(built)


async def drain_owner(built: Ground, dice: random.Random) -> int:
    """SIGTERM: nothing is unknown, and nobody waits for a lease to end."""
    owner = await owner_of(built)
    assert await owner.stop() == 0, owner.log_tail()
    began = time.monotonic()
    await taken_over(built, owner)
    assert time.monotonic() - began < 10, "its leases were not given away"
    await owner.start()
    return 0


FAULTS: dict[str, Callable[[Any, random.Random], Awaitable[int]]] = {
    "kill": kill_daemon,
    "kill-start": kill_during_start,
    "worker-killed": partial(lose_worker, number=signal.SIGKILL),
    "worker-frozen": partial(lose_worker, number=signal.SIGSTOP),
    "postgres": kill_postgres,
    "links": drop_links,
    "freeze": freeze_daemon,
    "stop": stop_daemon,
    "answers": lose_answers,
    "database-frozen": freeze_database,
    "commits": lose_commits,
    "owner-killed": kill_owner,
    "owner-frozen": freeze_owner,
    "owner-cut": cut_owner,
    "owner-drained": drain_owner,
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
    unknown = 0
    async with (
        background(*([customer.pull_for_ever()] if pulling else [])),
        loaded(built, messages, dice, within=within) as sending,
    ):
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
            unknown += await FAULTS[fault](built, dice)
    return unknown
