"""Turns are fair: the known first, and nobody by asking often."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from smsgw.admin.turns import Rank, Turns
from smsgw.core.errors import Temporary


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


async def test_those_who_ask_have_turns_one_after_the_other() -> None:
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


async def test_the_known_come_first_and_leave_a_fourth_to_others() -> None:
    bench = Bench(waiting=100)
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


async def test_when_there_is_no_room_whoever_has_most_gives_way() -> None:
    bench = Bench(waiting=10)
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


async def test_who_goes_in_the_moment_of_his_turn_takes_it_from_nobody() -> None:
    bench = Bench(waiting=2)
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
