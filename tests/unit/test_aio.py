"""Time that a busy loop does not use up, places that are shared, and who waits."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from smsgw.core.words import english_of
from smsgw.runtime import aio, tarpit
from smsgw.runtime.clock import SLEW, Clock, Word
from smsgw.runtime.pace import Pace
from smsgw.runtime.tarpit import Tarpit
from smsgw.runtime.ttl_cache import TtlCache


async def test_a_deadline_counts_what_the_loop_has_run() -> None:
    loop = asyncio.get_running_loop()
    called: list[float] = []
    began = loop.time()
    deadline = aio.Deadline(0.4, lambda: called.append(loop.time() - began))
    loop.call_later(0.1, time.sleep, 1.0)
    await asyncio.sleep(0.2)  # returns late: the loop stood still
    assert not called
    assert deadline.lag > 0.8
    async with asyncio.timeout(60):
        while not called:  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    assert len(called) == 1
    assert called[0] > 1.2
    loop = asyncio.get_running_loop()  # a deadline can be made shorter and not longer and called off
    called: list[float] = []
    began = loop.time()
    deadline = aio.Deadline(10.0, lambda: called.append(loop.time() - began))
    aio.Deadline(0.05, lambda: called.append(-1.0)).cancel()
    await asyncio.sleep(0.1)
    deadline.at_most(0.2)
    deadline.at_most(5.0)
    await asyncio.sleep(0.1)
    assert not called
    await asyncio.sleep(0.5)
    assert len(called) == 1
    assert called[0] >= 0.28
    deadline.at_most(0.01)
    await asyncio.sleep(0.1)
    assert len(called) == 1


async def test_what_came_while_the_loop_stood_still_came_in_time() -> None:
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        loop.call_later(0.1, time.sleep, 0.6)
        sending = threading.Timer(0.4, there.send, (b"x",))
        sending.start()
        async with aio.timeout(0.3):
            assert await loop.sock_recv(here, 1) == b"x"
        sending.join()
        began = time.monotonic()
        with pytest.raises(TimeoutError):  # when the loop runs
            async with aio.timeout(0.3):
                await asyncio.sleep(30)
        assert 0.25 < time.monotonic() - began < 25


class Opened:
    closed = 0

    def close(self) -> None:
        self.closed += 1


async def cancelled(task: asyncio.Task[None], times: int) -> None:
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("times", [1, 3])
async def test_what_runs_in_a_thread_has_ended_when_its_caller_has(times: int) -> None:
    may_end, ended = threading.Event(), threading.Event()

    def work() -> None:
        may_end.wait(10)
        ended.set()

    task = aio.spawn(aio.in_thread(work), name="test")
    await asyncio.sleep(0.02)
    await cancelled(task, times)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_what_waits_for_or_fails_in_a_thread_is_done_all_the_same() -> None:
    busy, done = threading.Event(), threading.Event()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    other = aio.spawn(aio.in_thread(busy.wait, 10), name="test")
    task = aio.spawn(aio.in_thread(done.set), name="test")
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.sleep(0.02)
    busy.set()
    await asyncio.wait([other, task])
    assert task.cancelled()
    assert done.is_set()
    with pytest.raises(ZeroDivisionError):  # what fails in a thread fails its caller and is not closed
        await aio.in_thread(divmod, 1, 0)
    with pytest.raises(FileNotFoundError):
        async with aio.opened(open, "/none/such"):
            pass


@pytest.mark.parametrize("times", [0, 1, 3])
async def test_what_is_opened_is_closed_once_whoever_gives_up(times: int) -> None:
    one, may_open = Opened(), threading.Event()

    def opening() -> Opened:
        may_open.wait(10)
        return one

    async def use() -> None:
        async with aio.opened(opening) as it:
            assert it is one
            assert not it.closed

    task = aio.spawn(use(), name="test")
    await asyncio.sleep(0.02)
    await cancelled(task, times)
    assert not task.done()
    may_open.set()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert (task.cancelled(), one.closed) == (bool(times), 1)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


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


FREE = int(tarpit.FREE.at_once)


def caller(pit: Tarpit, answered: Counter[str]) -> Callable[[str, int], None]:
    def wrong(place: str, n: int) -> None:
        for _ in range(n):
            pit.call(place, lambda: answered.update([place]))

    return wrong


async def test_who_goes_on_being_wrong_waits_even_when_gone(monkeypatch: pytest.MonkeyPatch) -> None:
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
    monkeypatch.setattr(tarpit, "SECONDS", 0.05)  # who is gone is answered for all the same
    pit = Tarpit()
    caller(pit, Counter())("bad", FREE)
    await aio.cancel(aio.spawn(pit.wait("bad"), name="wait"))
    waiting = aio.spawn(pit.wait("bad"), name="wait")
    await asyncio.sleep(0)
    await aio.cancel(waiting)
    async with asyncio.timeout(5):
        while pit.held:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_only_so_many_wait_of_a_place_and_of_all() -> None:
    pit, answered = Tarpit(), Counter[str]()
    wrong = caller(pit, answered)
    wrong("bad", FREE + 100)
    assert pit.held == tarpit.OF_ONE
    assert answered["bad"] == FREE + 100 - tarpit.OF_ONE, "beyond, at once"
    for n in range(100):
        wrong(f"place{n}", FREE + tarpit.OF_ONE)
    assert pit.held == tarpit.TOTAL


async def test_what_was_found_holds_for_its_time_and_a_failed_look_is_repeated() -> None:
    now, looks, broken = 100.0, 0, False

    async def look() -> list[int]:
        nonlocal looks
        looks += 1
        if broken:
            raise OSError("away")
        return [looks]

    seldom = TtlCache(5.0, look, monotonic=lambda: now)
    assert [await seldom(), await seldom()] == [[1], [1]]
    now = 104.9
    assert await seldom() == [1]
    now, broken = 105.0, True
    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            await seldom()
    broken = False
    assert await seldom() == [4]


START = 1_900_000_000.0


class World:
    """Three clocks: the machine's wall clock, its steady one, the database's."""

    def __init__(self) -> None:
        self.steady, self.wall, self.database = 5000.0, START, START
        self.clock = Clock(lambda: self.wall, lambda: self.steady)
        self.hear()

    def passes(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += seconds
        self.database += seconds

    def hear(self, there: float = 0.0, back: float = 0.0) -> None:
        asked = self.steady
        self.passes(there)
        said = datetime.fromtimestamp(self.database, UTC)
        self.passes(back)
        self.clock.hear(Word(said, asked, self.steady))


def test_the_clock_follows_the_database_and_says_what_it_makes_up() -> None:
    assert Clock(lambda: 12.0, lambda: 99.0).time() == 12.0
    world = World()  # what is being made up is told
    world.passes(100)
    for there, back in ((1.9, 0.0), (0.0, 1.9), (1.0, 1.0)):
        world.hear(there, back)
        assert world.clock.time() == pytest.approx(world.database, abs=1e-6)
        assert world.clock.trouble() == (None, False)
    world = World()
    world.database += 100
    world.hear()
    assert "set forward by 100 s" in english_of(world.clock.trouble()[0] or "")
    assert world.clock.trouble()[1]
    world.passes(500)
    assert "by 50 s, which are being made up" in english_of(world.clock.trouble()[0] or "")
    assert world.clock.machine_off == pytest.approx(-100), "the machine's clock was not set: it is behind now"


@pytest.mark.parametrize("step", [3600, -3600, 86_400, -86_400, 7 * 86_400])
def test_the_machines_clock_may_be_set(step: float) -> None:
    world = World()
    world.wall += step
    assert world.clock.time() == pytest.approx(START)
    world.passes(2)
    world.hear()
    assert world.clock.time() == pytest.approx(START + 2)
    said, grave = world.clock.trouble()
    assert f"{abs(step)} s {'ahead of' if step > 0 else 'behind'}" in english_of(said or "")
    assert grave
    world.wall -= step
    world.hear()
    assert world.clock.trouble() == (None, False)


@pytest.mark.parametrize("step", [20.0, -20.0])
def test_the_databases_clock_is_followed_without_a_step(step: float) -> None:
    world = World()
    world.database += step
    world.wall += step  # they are the same machine's
    times = []
    while abs(world.clock.time() - world.database) > 0.001:
        world.hear()
        for _ in range(20):
            times.append(world.clock.time())
            world.passes(0.1)
        assert len(times) < 20 * 60 / SLEW
    gains = [b - a for a, b in pairwise(times)]
    assert min(gains) > 0.1 * (1 - SLEW) - 1e-6
    assert max(gains) < 0.1 * (1 + SLEW) + 1e-6
    assert sum(gains) == pytest.approx(0.1 * len(gains) + step, abs=0.3)
