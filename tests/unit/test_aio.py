"""Timeouts that a busy event loop does not use up."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

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


async def test_a_timeout_is_one_when_the_loop_runs() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with aio.timeout(0.3):
            await asyncio.sleep(30)
    assert 0.25 < time.monotonic() - began < 25


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


async def test_a_deadline_that_was_called_off_says_nothing() -> None:
    called: list[int] = []
    aio.Deadline(0.05, lambda: called.append(1)).cancel()
    await asyncio.sleep(0.15)
    assert not called


async def test_a_deadline_can_be_made_shorter_and_not_longer() -> None:
    loop = asyncio.get_running_loop()
    called: list[float] = []
    began = loop.time()
    deadline = aio.Deadline(10.0, lambda: called.append(loop.time() - began))
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
