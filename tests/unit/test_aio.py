"""Timeouts that a busy event loop does not use up; threads that nobody leaves with what they work on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from smsgw.runtime import aio


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


async def test_a_deadline_can_be_made_shorter_and_not_longer_and_called_off() -> None:
    loop = asyncio.get_running_loop()
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


async def test_what_waits_for_a_thread_is_done_all_the_same() -> None:
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


async def test_what_fails_in_a_thread_fails_its_caller_and_is_not_closed() -> None:
    with pytest.raises(ZeroDivisionError):
        await aio.in_thread(divmod, 1, 0)
    with pytest.raises(FileNotFoundError):
        async with aio.opened(open, "/none/such"):
            pass
