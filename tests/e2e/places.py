"""Each failpoint reached on purpose: what has to go on for its place to be passed, and what must be true afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Awaitable, Callable

import aiohttp
from ground import Ground
from harness import BASE, Books, Client, Sent, mark_of, until
from partner_client import Sender
from storm import WINDOW, loaded, windows
from tasking import make, shown

from smsgw.runtime import aio
from smsgw.runtime.failpoints import FALLIBLE, PLACES

SIGNED = "/balance"
"""A call that is signed and sends nothing."""
LOAD = 300
"""Messages of a scenario."""


async def _happens(built: Ground, place: str, action: str) -> None:
    """The place has acted; the process runs as ever afterwards."""
    if action == "kill":
        await built.dies(place)
        await built.node.start()
        return
    await _acts(built, place)
    await built.node.ready()


async def _acts(built: Ground, place: str) -> None:
    await until(lambda: built.passed(place), what=f"{place} is passed")


async def sending(built: Ground, dice: random.Random, place: str, action: str, n: int) -> int:
    """Single calls and batches, over all channels."""
    built.node.kill()
    async with loaded(built, LOAD, dice):  # it knocks until somebody is there
        built.launch_armed(place, action, n)
        await _happens(built, place, action)
    if action == "fail" or (n == 1 and place in NOTHING_WRITTEN):
        return 0
    return windows(built)


NOTHING_WRITTEN = {"accept.commit", "accept.committed", "claim.asked"}
"""At their first passing no channel that is hit has written anything."""


async def starting(built: Ground, dice: random.Random, place: str, action: str, n: int) -> int:
    """It is killed with its windows full; the next start comes by the place."""
    for carrier in built.carriers.values():
        carrier.change(answer_delay="100..200")
    try:
        async with loaded(built, LOAD, dice):
            busy = built.submits() + 2 * WINDOW
            await until(lambda: built.submits() >= busy, what="full windows")
            built.node.kill()
            built.launch_armed(place, action, n)
            await _happens(built, place, action)
    finally:
        for carrier in built.carriers.values():
            carrier.change(answer_delay="0..40")
    return windows(built)


async def stopping(built: Ground, dice: random.Random, place: str, action: str, n: int) -> int:
    """SIGTERM under load."""
    await built.arm(place, action, n)
    async with loaded(built, LOAD, dice):
        await until(lambda: len(built.customer.sent) > LOAD / 3, what="load", every=0.01)
        assert built.node.process is not None
        built.node.process.send_signal(signal.SIGTERM)
        await _happens(built, place, action)
    # The first channel to get so far dies with the others still waiting for their answers.
    return windows(built)


async def spooling(built: Ground, dice: random.Random, place: str, action: str, n: int) -> int:
    """The database is stopped, what is posted goes to the spool, and later into the ledger."""
    assert built.database is not None
    await built.arm(place, action, n)
    await built.database.stop()
    try:
        async with loaded(built, LOAD, dice):
            if place == "replay.committed":
                await until(lambda: len(built.customer.sent) > LOAD / 3, what="calls are spooled")
                await built.database.start()
                await _happens(built, place, action)
            elif action == "kill":
                await built.dies(place)
                await built.database.start()
                await built.node.start()
            else:  # after a failed sync it is not ready until the database is back
                await _acts(built, place)
                await built.database.start()
    finally:
        if built.database.pid is None:
            await built.database.start()
    return 0


async def feeding(built: Ground, dice: random.Random, place: str, action: str, n: int) -> int:
    """A task of many rows: each becomes one message."""
    await built.arm(place, action, n)
    customer = built.customer
    texts = {}
    for _ in range(1500):
        customer._serial += 1
        texts[customer.number("cmpp30")] = customer.text("任务")
    rows = "手机号,内容\n" + "".join(f"{number},{text}\n" for number, text in texts.items())
    task_id = await make(built, rows, content="{内容}")
    await _happens(built, place, action)

    async def fed() -> bool:
        task = await shown(built, task_id)
        return task["pending"] == 0 and sum(task["counts"].values()) == len(texts)

    await until(fed, within=60, what="all rows are messages", every=0.2)
    for message_id, message in (await customer.listed()).items():
        content = texts.pop(message["to"].removeprefix("+").removeprefix("86"))
        customer.sent[message_id] = Sent(message_id, message["to"], content, message["parts"])
    assert not texts, f"{len(texts)} rows have become nothing"
    return windows(built)


async def partnering(built: Ground, dice: random.Random, place: str, action: str, n: int) -> int:
    """A partner sends, whole messages and parts, and is told what became of them."""
    await built.partner()
    await built.arm(place, action, n)
    sender = Sender(built.partner_port, built.customer._serial)
    work = aio.spawn(sender.run(), name="sender")
    try:
        await _happens(built, place, action)
        before = len(sender.answered)
        await until(lambda: len(sender.answered) > before + 40, what="answers")
        await sender.finish()
    finally:
        await aio.cancel(work)
        built.customer._serial = sender.serial
    await sender.reported(built.received)
    return windows(built)


async def signing(built: Ground, dice: random.Random, place: str, action: str, n: int) -> int:
    """Signed calls that change nothing: none of those that were answered is good a second time."""
    await built.arm(place, action, n)
    answered: list[dict[str, str]] = []

    async def calls(client: Client) -> None:
        while True:
            headers = client.signature("GET", BASE + SIGNED)
            with contextlib.suppress(OSError, aiohttp.ClientError, TimeoutError):
                if (await client.call("GET", SIGNED, headers=headers)).status == 200:
                    answered.append(headers)
            await asyncio.sleep(0.005)

    async with Client(built.node, built.client.key, signed=True) as client:
        work = aio.spawn(calls(client), name="signed")
        try:
            await _happens(built, place, action)
            before = len(answered)
            await until(lambda: len(answered) > before + 20, what="signed calls are answered")
        finally:
            await aio.cancel(work)
        for headers in answered[max(0, before - 20) : before + 20]:
            again = await client.call("GET", SIGNED, headers=headers)
            assert (again.status, again.code) == (401, "AUTH_NONCE_REPLAYED"), again.body
    return 0


SCENARIOS: dict[str, Callable[[Ground, random.Random, str, str, int], Awaitable[int]]] = {
    "nonces": signing, "partner": partnering, "spool": spooling, "replay": spooling, "journal": starting,
    "lease": starting, "recovery": starting, "feed": feeding, "stop": stopping,
}  # fmt: skip
"""By the kinds of places; all others are passed while messages are sent. Each tells the parts that may be unknown."""


CASES = [(place, "kill") for place in PLACES] + [
    (place, "fail")
    for place in sorted(FALLIBLE)
    if place != "journal.segment"  # a start that cannot be
]
"""All that can be played."""

IDLE = {"outcomes": 12}
"""How often a start passes the places of that kind with nothing to do."""
PASSINGS = {"spool": 2, "replay": 1, "journal": 1, "recovery": 1, "lease": 3, "stop": 3, "claim": 3}
"""How often a scenario surely comes by the places of that kind; by the others four times."""


def passings(place: str) -> int:
    """How often its scenario surely comes by the place."""
    return PASSINGS.get(place.split(".")[0], 4)


async def play(built: Ground, dice: random.Random, place: str, action: str = "kill", n: int = 1) -> int:
    """With a new customer: the process comes by the place and dies, or something fails there; the parts that may be
    unknown then. ``Ground.clean`` says what became of all."""
    kind = place.split(".")[0]
    await built.fresh(pushed=kind == "push")
    return await SCENARIOS.get(kind, sending)(built, dice, place, action, n + IDLE.get(kind, 0))


def exactly(built: Ground, place: str, books: Books) -> list[str]:
    """What is wrong with the unknown ones after a death at the first passing: there it is known what they must be."""
    if place not in SEEN:
        return []
    marks = built.received()
    seen = sum(marks[mark_of(built.customer.sent[i].content)] > 0 for i in books.unknown)
    if not books.unknown:
        return ["nothing is unknown"]
    wanted = len(books.unknown) if SEEN[place] else 0
    return [] if seen == wanted else [f"carriers have {seen} of the unknown ones and should have {wanted}"]


SEEN = {"dispatch.recorded": False, "dispatch.written": True}
"""Whether carriers have seen what is unknown: the kernel writes what it was given when its process is no more."""
