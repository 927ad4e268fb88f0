from __future__ import annotations

import asyncio

import pytest

from smsgw import aio
from smsgw.core.errors import Temporary
from smsgw.pipeline.turns import Turns


async def flood(turns: Turns, calls: int, messages: int, order: list[str], *, name: str, urgent: bool = False) -> None:
    async def call(n: int) -> None:
        if not turns.go(messages):
            await turns.wait(messages, urgent=urgent)
        order.append(f"{name}{n}")

    await asyncio.gather(*(call(n) for n in range(calls)))


async def test_a_flood_leaves_turns_of_the_loop_to_others() -> None:
    turns = Turns(10_000, share=20)
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


async def test_codes_go_first() -> None:
    turns = Turns(10_000, share=1)
    order: list[str] = []
    slow = aio.spawn(flood(turns, 20, 100, order, name="batch"), name="batches")
    await asyncio.sleep(0)
    await flood(turns, 5, 1, order, name="code", urgent=True)
    assert sum(o.startswith("batch") for o in order) <= 3
    await slow


async def test_a_call_alone_does_not_wait_and_too_many_are_refused() -> None:
    turns = Turns(100, share=10)
    assert turns.go(1000)
    waiting = [aio.spawn(turns.wait(60, urgent=False), name="wait") for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Temporary) as caught:
        await turns.wait(1, urgent=True)
    assert caught.value.code == "BACKPRESSURE"
    waiting[0].cancel()
    await waiting[1]
    await asyncio.sleep(0)
    assert turns.waiting == 0
    for _ in range(3):
        await asyncio.sleep(0)
    assert turns.go(1000)


async def test_a_call_that_is_long_at_it_goes_on_in_a_turn_of_its_own() -> None:
    turns = Turns(1000, share=10)
    order: list[str] = []

    async def long_one() -> None:
        assert turns.go(1)
        for n in range(3):
            order.append(f"long{n}")
            await turns.go_on(urgent=False)

    async def short_one() -> None:
        if not turns.go(1):
            await turns.wait(1, urgent=True)
        order.append("code")

    long = aio.spawn(long_one(), name="long")
    await asyncio.sleep(0)
    await short_one()
    assert order == ["long0", "code"], "what came while it ran does not wait for its end"
    await long
    assert order == ["long0", "code", "long1", "long2"]
    assert turns.waiting == 0


async def test_calls_that_go_on_have_a_limit_too() -> None:
    turns = Turns(5, share=10)
    first = aio.spawn(turns.go_on(urgent=False), name="first")
    await asyncio.sleep(0)
    with pytest.raises(Temporary):
        await turns.go_on(urgent=False)
    await first
