"""Places that are shared: none for the greedy at the cost of others."""

from __future__ import annotations

import asyncio

import pytest

from smsgw.core.errors import Temporary
from smsgw.runtime import aio
from smsgw.runtime.shares import Pace, Shares


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_owner_never_takes_the_last_places() -> None:
    shares = Shares(6, 4, patience=5)
    await shares.take("greedy", 2)
    waiting = aio.spawn(shares.take("greedy", 1), name="greedy")
    await settled()
    assert not waiting.done(), "the last four are for who has none"
    await asyncio.wait_for(shares.take("good", 4), 10)
    shares.give("greedy", 2)
    await waiting
    assert (shares.held("greedy"), shares.held("good"), shares.taken) == (1, 4, 5)


async def test_nobody_waits_behind_anothers_queue() -> None:
    shares = Shares(8, 2, patience=5)
    await shares.take("greedy", 2)
    order: list[str] = []

    async def take(owner: str) -> None:
        await shares.take(owner, 2)
        order.append(owner)

    flood = [aio.spawn(take("greedy"), name="greedy") for _ in range(20)]
    await settled()
    await asyncio.wait_for(take("good"), 10)
    for _ in range(20):
        shares.give("greedy", 2)
        await settled()
    assert order == ["good"] + ["greedy"] * 20
    await asyncio.gather(*flood)


async def test_owners_have_turns_when_all_is_taken() -> None:
    shares = Shares(2, 1, patience=5)
    await shares.take("a")
    await shares.take("b")
    order: list[str] = []

    async def take(owner: str) -> None:
        await shares.take(owner)
        order.append(owner)
        shares.give(owner)

    tasks = [aio.spawn(take(owner), name=owner) for owner in "cccddd"]
    await settled()
    shares.give("a")
    await asyncio.gather(*tasks)
    assert order == list("cdcdcd")


async def test_what_waits_is_bounded_and_leaves_nothing_behind() -> None:
    shares = Shares(2, 1, patience=0.05, waiting=2)
    await shares.take("a")
    waiting = [aio.spawn(shares.take("a"), name="a") for _ in range(2)]
    await settled()
    with pytest.raises(Temporary) as caught:
        await shares.take("a")
    assert caught.value.code == "BACKPRESSURE"
    waiting[0].cancel()
    for result in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(result, asyncio.CancelledError | Temporary)
    assert (shares.taken, shares.held("a")) == (1, 1)
    shares.give("a")
    await asyncio.wait_for(shares.take("a"), 10)
    assert shares.taken == 1


async def test_who_is_too_fast_waits_and_nobody_else_does() -> None:
    loop = asyncio.get_running_loop()
    pace = Pace(1000.0, 5.0)
    began = loop.time()
    at_once = [aio.spawn(pace.pay("fast", n), name="fast") for n in (4000, 1000)]
    waiting = aio.spawn(pace.pay("fast", 200), name="fast")
    good = aio.spawn(pace.pay("good", 5000), name="good")
    await settled()
    assert all(one.done() for one in (*at_once, good)), "five seconds' worth comes at once"
    assert not waiting.done()
    await waiting
    assert loop.time() - began >= 0.19
