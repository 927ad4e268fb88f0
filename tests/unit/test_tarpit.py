"""Who is wrong over and over waits; nobody else does, and not for ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from smsgw.runtime import aio, tarpit
from smsgw.runtime.tarpit import Tarpit

FREE = int(tarpit.FREE.at_once)


def caller(pit: Tarpit, answered: Counter[str]) -> Callable[[str, int], None]:
    def wrong(place: str, n: int) -> None:
        for _ in range(n):
            pit.call(place, lambda: answered.update([place]))

    return wrong


async def test_who_is_wrong_a_few_times_does_not_wait_and_who_goes_on_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarpit, "SECONDS", 0.05)
    pit, answered = Tarpit(), Counter[str]()
    wrong = caller(pit, answered)
    wrong("bad", FREE + 3)
    assert (answered["bad"], pit.held) == (FREE, 3)
    wrong("good", 1)
    assert answered["good"] == 1, "another place's business"
    waiting = aio.spawn(pit.wait("bad"), name="wait")
    await asyncio.sleep(0)
    assert not waiting.done()
    await asyncio.wait_for(waiting, 30)
    assert (answered["bad"], pit.held) == (FREE + 3, 0)


async def test_only_so_many_wait_of_a_place_and_of_all() -> None:
    pit, answered = Tarpit(), Counter[str]()
    wrong = caller(pit, answered)
    wrong("bad", FREE + 100)
    assert pit.held == tarpit.OF_ONE
    assert answered["bad"] == FREE + 100 - tarpit.OF_ONE, "beyond, at once"
    for n in range(100):
        wrong(f"place{n}", FREE + tarpit.OF_ONE)
    assert pit.held == tarpit.TOTAL


async def test_who_is_gone_is_answered_for_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarpit, "SECONDS", 0.05)
    pit = Tarpit()
    caller(pit, Counter())("bad", FREE)
    await aio.cancel(aio.spawn(pit.wait("bad"), name="wait"))
    waiting = aio.spawn(pit.wait("bad"), name="wait")
    await asyncio.sleep(0)
    await aio.cancel(waiting)
    async with asyncio.timeout(5):
        while pit.held:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
