"""Costly questions are asked once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from smsgw.admin.kit import remembered
from smsgw.admin.kit.remembered import Remembered
from smsgw.runtime import aio


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
