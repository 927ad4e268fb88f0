"""Places that are shared: who is next, who waits, who is refused, and what stays of who left."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from smsgw.core.errors import Temporary
from smsgw.runtime import aio
from smsgw.runtime.fair_queue import FairQueue


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Bench:
    """One works at a time; who worked is written down."""

    def __init__(self, *, waiting: int) -> None:
        self.queue = FairQueue(1, own_waiting=waiting, waiting=waiting, ranks=3, in_a_row=3)
        self.worked: list[str] = []
        self.refused: Counter[str] = Counter()
        self.gate = asyncio.Event()

    async def work(self, who: str, rank: int = 2) -> None:
        try:
            async with self.queue.turn(who, rank=rank):
                await self.gate.wait()
                self.worked.append(who)
        except Temporary:
            self.refused[who] += 1


async def test_those_who_ask_have_turns_and_who_has_most_gives_way() -> None:
    bench = Bench(waiting=100)
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(bench.work("flood"))
        await asyncio.sleep(0)
        for who in ("zhang", "li"):
            group.create_task(bench.work(who))
        await asyncio.sleep(0)
        bench.gate.set()
    assert bench.worked[:4] == ["flood", "flood", "zhang", "li"]
    bench = Bench(waiting=100)  # the known come first and leave a fourth to others
    async with asyncio.TaskGroup() as group:
        for n in range(20):
            group.create_task(bench.work(f"doubtful{n}"))
        await asyncio.sleep(0)
        for _ in range(8):
            group.create_task(bench.work("known", 0))
        for _ in range(8):
            group.create_task(bench.work("new", 1))
        await asyncio.sleep(0)
        bench.gate.set()
    known, new = ["known"] * 3, ["new"]
    assert bench.worked[1:17] == [*known, *new, *known, *new, *known[:2], *new, "doubtful1", *new * 3, "doubtful2"]
    bench = Bench(waiting=10)  # when there is no room whoever has most gives way
    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(bench.work("flood"))
        await asyncio.sleep(0)
        for n in range(4):
            group.create_task(bench.work(f"person{n}"))
        await asyncio.sleep(0)
        bench.gate.set()
    assert (set(bench.refused), bench.refused["flood"]) == ({"flood"}, 29 + 4)
    assert Counter(bench.worked)["flood"] == 7


async def test_who_gives_up_leaves_no_turn_behind() -> None:
    bench = Bench(waiting=10)
    first = asyncio.ensure_future(bench.work("first"))  # noqa: TID251 - a test's own
    second = asyncio.ensure_future(bench.work("second"))  # noqa: TID251 - a test's own
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    bench.gate.set()
    await first
    async with asyncio.timeout(10):
        await bench.work("third")
    assert bench.worked == ["first", "third"]
    bench = Bench(waiting=2)  # who goes in the moment of his turn takes it from nobody
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.work("first"))
        await asyncio.sleep(0)
        gone = [group.create_task(bench.work("gone")) for _ in range(2)]
        await asyncio.sleep(0)
        bench.gate.set()
        for task in gone:
            task.cancel()
    await bench.work("second")
    assert bench.worked == ["first", "second"]
    assert not bench.refused


async def test_owners_have_turns_and_none_takes_the_last_places() -> None:
    queue = FairQueue(6, 4, patience=5)
    await queue.take("greedy", 2)
    waiting = aio.spawn(queue.take("greedy", 1), name="greedy")
    await settled()
    assert not waiting.done(), "the last four are for who has none"
    await asyncio.wait_for(queue.take("good", 4), 10)
    queue.give("greedy", 2)
    await waiting
    assert (queue.held("greedy"), queue.held("good"), queue.taken) == (1, 4, 5)
    queue = FairQueue(2, 1, patience=5)  # owners have turns when all is taken
    await queue.take("a")
    await queue.take("b")
    order: list[str] = []

    async def take(owner: str) -> None:
        await queue.take(owner)
        order.append(owner)
        queue.give(owner)

    tasks = [aio.spawn(take(owner), name=owner) for owner in "cccddd"]
    await settled()
    queue.give("a")
    await asyncio.gather(*tasks)
    assert order == list("cdcdcd")


async def test_nobody_waits_behind_anothers_queue() -> None:
    queue = FairQueue(8, 2, patience=5)
    await queue.take("greedy", 2)
    order: list[str] = []

    async def take(owner: str) -> None:
        await queue.take(owner, 2)
        order.append(owner)

    flood = [aio.spawn(take("greedy"), name="greedy") for _ in range(20)]
    await settled()
    await asyncio.wait_for(take("good"), 10)
    for _ in range(20):
        queue.give("greedy", 2)
        await settled()
    assert order == ["good"] + ["greedy"] * 20
    await asyncio.gather(*flood)


async def test_what_waits_is_bounded_and_who_is_too_fast_waits() -> None:
    queue = FairQueue(2, 1, patience=0.05, own_waiting=2)
    await queue.take("a")
    waiting = [aio.spawn(queue.take("a"), name="a") for _ in range(2)]
    await settled()
    with pytest.raises(Temporary) as caught:
        await queue.take("a")
    assert caught.value.code == "BACKPRESSURE"
    waiting[0].cancel()
    for result in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(result, asyncio.CancelledError | Temporary)
    assert (queue.taken, queue.held("a")) == (1, 1)
    queue.give("a")
    await asyncio.wait_for(queue.take("a"), 10)
    assert queue.taken == 1


async def test_nothing_stays_of_who_left() -> None:
    """Neither of who waits and goes, nor of who goes in the moment of his turn, nor of who gives way."""
    for own in (None, 1):
        queue = FairQueue(1, own, patience=5, waiting=4, ranks=2)
        await queue.take("first")
        waiting = [aio.spawn(queue.take(f"owner{n}", rank=n % 2), name="wait") for n in range(4)]
        await settled()
        assert (queue.wanted, queue.wanted_by("owner1")) == (4, 1)
        waiting[1].cancel()
        queue.give("first")  # to owner0, who goes
        waiting[0].cancel()
        await settled()
        assert [one.done() for one in waiting] == [True, True, True, False], "owner2 has it"
        waiting[3].cancel()
        await settled()
        queue.give("owner2")
        assert (queue.taken, queue.wanted, queue.held("owner2")) == (0, 0, 0)
        assert not queue._held
        assert not queue._wanted
        assert not any(queue._lines)


async def test_who_had_no_patience_leaves_room_to_those_behind() -> None:
    queue = FairQueue(4, patience=0.05)
    await queue.take("first", 3)
    large = aio.spawn(queue.take("large", 2), name="large")
    await settled()
    small = aio.spawn(queue.take("small"), name="small")
    await settled()
    assert not small.done(), "the first that does not fit is waited for"
    with pytest.raises(Temporary) as caught:
        await large
    assert (caught.value.code, caught.value.retry_after) == ("BACKPRESSURE", 5)
    await asyncio.gather(small, return_exceptions=True)
    assert queue.wanted == 0


async def test_places_that_are_renewed() -> None:
    """One of them is enough to begin with, and none is given back by itself."""
    queue = FairQueue(4, ranks=2, renewed=True)
    assert [queue.try_take("a", n) for n in (1, 9, 1)] == [True, True, False]
    turns = {(owner, rank): queue.join(owner, 3, rank) for owner, rank in (("a", 1), ("b", 1), ("c", 0), ("none", 0))}
    turns["none", 0].cancel()
    queue.leave(turns["none", 0], "none", 3, 0)
    assert (queue.wanted, queue.taken) == (9, 10)
    assert queue.renew()
    assert {who for who, turn in turns.items() if turn.done()} == {("none", 0), ("c", 0), ("a", 1)}
    queue.leave(turns["a", 1], "a", 3, 1)
    assert (queue.taken, turns["b", 1].done()) == (6, False)
    nothing = [queue.join("b", 0, 1) for _ in range(2)]
    assert queue.renew()
    assert (turns["b", 1].done(), queue.wanted, all(one.done() for one in nothing)) == (True, 0, True)
    assert not queue.renew()
