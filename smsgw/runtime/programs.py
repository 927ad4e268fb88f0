"""Programs of this package in processes of their own: what would hold up the loop, or reads what others bring.

They are told where things are, and nothing else of ours: no setting, no secret, and no way to speak for us to who
supervises us.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Coroutine, Mapping
from typing import Any

from smsgw.runtime import aio

TOLD = frozenset("PATH HOME TMPDIR LD_LIBRARY_PATH LANG LC_ALL LC_CTYPE TZ".split())

MODEST = 10
"""Niceness of a program that others are to go before: a tenth of the share of another one."""
HELPED = 2
"""Pieces in a row for which a program found no free processor: it does not wait for one with every further piece."""


def environment(ours: Mapping[str, str], also: str = "") -> dict[str, str]:
    """What such a program is told of our environment; ``also``: the beginning of further names."""
    return {name: value for name, value in ours.items() if name in TOLD or (also and name.startswith(also))}


async def begin(
    module: str, *arguments: str, also: str = "", stderr: int = DEVNULL, niceness: int = 0, session: bool = False
) -> Process:
    """A module of ours as a program that is talked to by its standard input and output.

    ``also`` as of ``environment``; ``niceness``: how far it lets others go first; ``session``: signals of our terminal
    do not reach it.
    """
    process = await create_subprocess_exec(
        sys.executable, "-P", "-m", module, *arguments, cwd="/", env=environment(os.environ, also),
        stdin=PIPE, stdout=PIPE, stderr=stderr, start_new_session=session,
    )  # fmt: skip
    if niceness:
        with contextlib.suppress(OSError):  # one that is gone tells so by its silence
            os.setpriority(os.PRIO_PROCESS, process.pid, niceness)
    return process


async def end(process: Process) -> None:
    """End it, unless it has ended. What it has said and nobody has read must not be much, or it would be waited for."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await process.wait()
    if process.stdin is not None:
        process.stdin.close()


class GivingWay:
    """A program that works piece by piece and goes behind everybody else. Begin it with ``niceness=MODEST``.

    For so many seconds of a piece it runs only where no other wants to; then it is one of many, so that a machine which
    never rests makes it slow and no more. After ``HELPED`` such pieces in a row it stays one of many. No other: of the
    same control group. The kernel divides processors among groups (services, containers) by their weights first, and a
    database in a group of its own is not gone before by this: towards that only the rests help.
    """

    def __init__(self, process: Process, *, seconds: float, rest: float) -> None:
        """``rest``: between two pieces, as a share of what the first has taken."""
        self._process = process
        self._seconds = seconds
        self._rest = rest
        self._helped = 0
        self._begun = 0.0
        _run_as(process, os.SCHED_IDLE)

    async def answer(self, answer: Coroutine[Any, Any, bytes]) -> bytes:
        """What it says to a piece."""
        clock = asyncio.get_running_loop().time
        self._begun = clock()
        if self._helped == HELPED:
            return await answer
        asked = aio.spawn(answer, name="program: answer")
        try:
            await asyncio.wait((asked,), timeout=self._seconds)
            if asked.done():
                self._helped = 0
                return asked.result()
            self._helped += 1
            self._begun = clock()
            _run_as(self._process, os.SCHED_OTHER)
            return await asked
        finally:
            if self._helped < HELPED:
                _run_as(self._process, os.SCHED_IDLE)
            await aio.cancel(asked)

    async def rest(self) -> None:
        """Between the last piece and the next. Time in which it gave way without an answer is not rested for."""
        await asyncio.sleep(self._rest * (asyncio.get_running_loop().time() - self._begun))


def _run_as(process: Process, policy: int) -> None:
    """Have it run only where no other wants to, or as one of many; it stays one of many where the kernel would not let
    it become so again. The number of one that has ended may be another's."""
    with contextlib.suppress(OSError):  # not everywhere
        if process.returncode is None and _may_come_back():
            os.sched_setscheduler(process.pid, policy, os.sched_param(0))


def _may_come_back() -> bool:
    """Whether who runs only where no other wants to may be one of many again (sched(7), RLIMIT_NICE)."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NICE)
    return os.geteuid() == 0 or limit == resource.RLIM_INFINITY or limit >= 20 - MODEST
