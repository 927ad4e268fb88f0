"""Programs of ours that go behind everybody else: how far, and when no further."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE

import pytest

from smsgw.runtime import aio, programs
from smsgw.runtime.programs import GivingWay


async def test_a_program_that_finds_no_free_processor_is_one_of_many_from_then_on() -> None:
    """One that stands still is like one that nobody leaves a processor to."""
    process = await create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    into, out = process.stdin, process.stdout
    clock = asyncio.get_running_loop().time

    async def echo() -> bytes:
        into.write(b"piece\n")
        return await out.readline()

    way = GivingWay(process, seconds=0.3, rest=0.0)
    found, not_rested_for = [], []
    try:
        assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
        for _ in range(3):
            os.kill(process.pid, signal.SIGSTOP)
            begun = clock()
            asked = aio.spawn(way.answer(echo()), name="test.asked")
            async with asyncio.timeout(60):
                while os.sched_getscheduler(process.pid) == os.SCHED_IDLE:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0)
            os.kill(process.pid, signal.SIGCONT)
            assert await asked == b"piece\n"
            found.append(os.sched_getscheduler(process.pid))
            not_rested_for.append(way._begun - begun >= 0.29)
            await way.rest()
    finally:
        await programs.end(process)
    assert found == [os.SCHED_IDLE, os.SCHED_OTHER, os.SCHED_OTHER]
    assert not_rested_for == [True, True, False]


async def test_one_piece_that_is_helped_among_others_changes_nothing() -> None:
    process = await create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    helped = asyncio.Event()

    async def late() -> bytes:
        await helped.wait()
        return b"late"

    async def at_once() -> bytes:
        return b"at once"

    way = GivingWay(process, seconds=60.0, rest=0.0)
    try:
        for _ in range(3):
            way._seconds, asked = 0.01, aio.spawn(way.answer(late()), name="test.asked")
            await asyncio.sleep(0.1)
            helped.set()
            assert await asked == b"late"
            helped.clear()
            way._seconds = 60.0
            assert await way.answer(at_once()) == b"at once"
            assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
    finally:
        await programs.end(process)


async def test_the_number_of_a_program_that_has_ended_is_another_s(monkeypatch: pytest.MonkeyPatch) -> None:
    process = await create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    way = GivingWay(process, seconds=0.0, rest=0.0)

    async def ended() -> bytes:
        await programs.end(process)
        return b""

    touched: list[int] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda pid, *_: touched.append(process.returncode or 0))
    assert await way.answer(ended()) == b""
    assert -signal.SIGKILL not in touched
