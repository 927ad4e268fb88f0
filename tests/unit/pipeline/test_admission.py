"""A flood of calls leaves turns of the loop to others."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from smsgw.core.errors import Temporary
from smsgw.pipeline.accept.admission import Admission
from smsgw.runtime import aio


async def flood(
    turns: Admission, calls: int, messages: int, order: list[str], *, name: str, urgent: bool = False, account: int = 1
) -> None:
    async def call(n: int) -> None:
        if not turns.go(account, messages):
            await turns.wait(account, messages, urgent=urgent)
        order.append(f"{name}{n}")

    await asyncio.gather(*(call(n) for n in range(calls)))


async def test_a_flood_leaves_turns_of_the_loop_to_others() -> None:
    turns = Admission(10_000, share=20)
    order: list[str] = []
    loop = asyncio.get_running_loop()

    def others() -> None:
        order.append("loop")
        if turns.waiting:
            loop.call_soon(others)

    flooding = aio.spawn(flood(turns, 50, 10, order, name="call"), name="flood")
    await asyncio.sleep(0)
    loop.call_soon(others)
    await flooding
    stretches = " ".join(order).split("loop")
    assert max(len(stretch.split()) for stretch in stretches) <= 2, stretches
    assert [o for o in order if o != "loop"] == [f"call{n}" for n in range(50)], "first come, first served"
    assert turns.waiting == 0


async def test_a_call_alone_does_not_wait_and_codes_go_first() -> None:
    turns = Admission(400, share=10)
    assert turns.go(1, 1000)
    waiting = [aio.spawn(turns.wait(1, 60, urgent=False), name="wait") for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Temporary) as caught:
        await turns.wait(1, 1, urgent=True)
    assert caught.value.code == "BACKPRESSURE"
    waiting[0].cancel()
    await waiting[1]
    await asyncio.sleep(0)
    assert turns.waiting == 0
    for _ in range(3):
        await asyncio.sleep(0)
    assert turns.go(1, 1000)
    turns = Admission(10_000, share=1)  # codes go first
    order: list[str] = []
    slow = aio.spawn(flood(turns, 20, 100, order, name="batch"), name="batches")
    await asyncio.sleep(0)
    await flood(turns, 5, 1, order, name="code", urgent=True)
    assert sum(o.startswith("batch") for o in order) <= 3
    await slow
    turns = Admission(1000, share=1)  # nobody waits behind the flood of another
    order: list[str] = []
    assert turns.go(1, 1)
    greedy = aio.spawn(flood(turns, 100, 2, order, name="greedy"), name="greedy")
    await asyncio.sleep(0)
    await flood(turns, 3, 1, order, name="good", account=2)
    assert len(order) <= 10, order
    await greedy
    turns = Admission(40, share=1)  # a full house is full for who fills it
    waiting = [aio.spawn(turns.wait(account, 9, urgent=False), name="wait") for account in range(5) for _ in range(2)]
    await asyncio.sleep(0)
    assert turns.waiting >= 40
    with pytest.raises(Temporary):
        await turns.wait(0, 1, urgent=False)
    last = aio.spawn(turns.wait(9, 1, urgent=False), name="newcomer")
    begun = aio.spawn(turns.wait(0, 1, urgent=False, begun=True), name="begun")
    await asyncio.gather(*waiting, last, begun, return_exceptions=True)
    assert (last.exception(), begun.exception(), turns.waiting) == (None, None, 0)


class Loop:
    """Calls whose texts take a while, by a clock that only they move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns = Admission(1000, monotonic=lambda: self.now)
        self.done: list[tuple[int, int]] = []
        """(loop's turn, account)."""
        self.turn = 0

    async def call(self, account: int, seconds: float) -> None:
        if not self.turns.go(account, 1):
            await self.turns.wait(account, 1, urgent=False)
        self.now += seconds
        self.done.append((self.turn, account))

    async def count(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.turn += 1


async def test_a_turn_is_a_turns_time_whoever_made_it_long() -> None:
    loop = Loop()
    counting = aio.spawn(loop.count(), name="count")
    dear = [aio.spawn(loop.call(1, 0.008), name="dear") for _ in range(64)]
    cheap = aio.spawn(loop.call(2, 0.0), name="cheap")
    await asyncio.wait([cheap])
    assert len(loop.done) < 10, "it has its turn among them"
    gone = dear[-20:]
    for task in gone:
        task.cancel()
    await asyncio.gather(*dear, return_exceptions=True)
    await aio.cancel(counting)
    assert max(Counter(turn for turn, _ in loop.done).values()) <= 3
    assert Counter(account for _, account in loop.done) == {1: 44, 2: 1}
    assert loop.turns.waiting == 0
    loop = Loop()  # a turn that others made long is not counted against calls

    async def work() -> None:
        while True:
            loop.now += 0.05
            await asyncio.sleep(0)

    working, counting = aio.spawn(work(), name="work"), aio.spawn(loop.count(), name="count")
    await asyncio.gather(*(loop.call(n % 3, 0.0) for n in range(160)))
    await aio.cancel(working, counting)
    assert loop.turn <= 40
