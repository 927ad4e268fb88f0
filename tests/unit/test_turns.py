"""Turns are fair, and costly questions are asked once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from smsgw.admin.kit import remembered
from smsgw.admin.kit.remembered import Remembered
from smsgw.admin.turns import Rank, Turns
from smsgw.core.errors import Temporary
from smsgw.pipeline.accept.admission import Turns as Admission
from smsgw.runtime import aio


class Bench:
    """One works at a time; who worked is written down."""

    def __init__(self, *, waiting: int) -> None:
        self.turns = Turns(at_once=1, waiting=waiting)
        self.worked: list[str] = []
        self.refused: Counter[str] = Counter()
        self.gate = asyncio.Event()

    async def work(self, who: str, rank: Rank = Rank.DOUBTFUL) -> None:
        try:
            async with self.turns.turn(who, rank):
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
            group.create_task(bench.work("known", Rank.KNOWN))
        for _ in range(8):
            group.create_task(bench.work("new", Rank.STRANGER))
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


class Clock:
    now = 1000.0


class Source:
    """Finds an answer out when it is let; counts how often it was asked."""

    def __init__(self, *, open: bool = False) -> None:
        self.asked = 0
        self.gate = asyncio.Event()
        if open:
            self.gate.set()

    async def find(self) -> int:
        self.asked += 1
        n = self.asked
        await self.gate.wait()
        return n


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(remembered.time, "monotonic", lambda: made.now)
    return made


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def asking(kept: Remembered, source: Source, seconds: float | Callable[[int], float] = 10) -> asyncio.Task[int]:
    return aio.spawn(kept.get("question", seconds, source.find), name="visitor")


async def test_many_who_ask_have_it_found_out_once(clock: Clock) -> None:
    kept, source = Remembered(), Source()
    visitors = [asking(kept, source) for _ in range(20)]
    await turns()
    assert source.asked == 1
    source.gate.set()
    assert await asyncio.gather(*visitors) == [1] * 20
    assert source.asked == 1
    kept, source = Remembered(), Source(open=True)  # who asks while it is found out anew gets the last one at once
    assert await asking(kept, source) == 1
    source.gate.clear()
    clock.now += 11
    first = asking(kept, source)
    await turns()
    assert [await asking(kept, source) for _ in range(5)] == [1] * 5
    assert source.asked == 2
    assert not first.done()
    source.gate.set()
    assert await first == 2
    assert await asking(kept, source) == 2


async def test_an_old_answer_is_given_to_nobody_and_found_out_by_the_next(clock: Clock) -> None:
    kept, source = Remembered(), Source(open=True)
    await asking(kept, source)
    source.gate.clear()
    clock.now += 10 * remembered.STALE + 1
    visitors = [asking(kept, source) for _ in range(3)]
    await turns()
    assert not any(one.done() for one in visitors)
    source.gate.set()
    assert await asyncio.gather(*visitors) == [2] * 3
    kept, source = Remembered(), Source()  # who goes away leaves it to the next
    first = asking(kept, source)
    await turns()
    second, third = asking(kept, source), asking(kept, source)
    await turns()
    first.cancel()
    await turns()
    assert source.asked == 2
    source.gate.set()
    assert await asyncio.gather(second, third) == [2, 2]


async def test_an_error_is_for_who_met_it_and_the_oldest_answers_go(clock: Clock) -> None:
    kept, source = Remembered(), Source()

    async def fails() -> int:
        await source.gate.wait()
        raise OSError("away")

    first = aio.spawn(kept.get("question", 10, fails), name="visitor")
    await turns()
    second = asking(kept, source)
    source.gate.set()
    with pytest.raises(OSError, match="away"):
        await first
    assert await second == 1
    kept, source = Remembered(), Source(open=True)  # how long an answer is good may depend on it and the oldest go
    for answer in (1, 2, 2):
        assert await asking(kept, source, lambda n: 0 if n == 1 else 10) == answer
        clock.now += 1
    kept = Remembered()

    async def find() -> int:
        return 1

    for n in range(remembered.MOST + 5):
        await kept.get(n, 10, find)
    assert len(kept._answers) == remembered.MOST


async def flood(
    turns: Admission, calls: int, messages: int, order: list[str], *, name: str, urgent: bool = False, account: int = 1
) -> None:
    async def call(n: int) -> None:
        if not turns.go(messages):
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
    assert turns.go(1000)
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
    assert turns.go(1000)
    turns = Admission(10_000, share=1)  # codes go first
    order: list[str] = []
    slow = aio.spawn(flood(turns, 20, 100, order, name="batch"), name="batches")
    await asyncio.sleep(0)
    await flood(turns, 5, 1, order, name="code", urgent=True)
    assert sum(o.startswith("batch") for o in order) <= 3
    await slow
    turns = Admission(1000, share=1)  # nobody waits behind the flood of another
    order: list[str] = []
    assert turns.go(1)
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
        if not self.turns.go(1):
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
    assert (loop.turns.waiting, loop.turns._weights) == (0, {})
    loop = Loop()  # a turn that others made long is not counted against calls

    async def work() -> None:
        while True:
            loop.now += 0.05
            await asyncio.sleep(0)

    working, counting = aio.spawn(work(), name="work"), aio.spawn(loop.count(), name="count")
    await asyncio.gather(*(loop.call(n % 3, 0.0) for n in range(160)))
    await aio.cancel(working, counting)
    assert loop.turn <= 40
