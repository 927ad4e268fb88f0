"""Passwords checked in processes of their own, a few at a time and in fair turns: a flood keeps those waiting who make
it.

Not in threads: a thread that steps back for others (by its niceness) and then holds the interpreter, or is due to have
it, makes the event loop wait for a processor that it is not given; 20 ms each, with every message behind it.
"""

from __future__ import annotations

import contextlib
import json
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import IntEnum

import structlog

from smsgw.admin.hashing import nobodys_hash
from smsgw.core.errors import Temporary
from smsgw.runtime import aio, programs
from smsgw.runtime.fair_queue import FairQueue

log = structlog.get_logger(__name__)

PATIENCE = 30.0
"""Seconds for one hash, and for the start of its process."""
TRIES = 2
"""A process that has come to its end meanwhile is replaced once."""
IN_A_ROW = 3
"""Turns of a rank while those below wait, before one of these has its own."""
_NOBODY = nobodys_hash()
"""Checked for logins that do not exist, so that they take as long as those that do."""


class Rank(IntEnum):
    """Who comes first."""

    KNOWN = 0
    STRANGER = 1
    DOUBTFUL = 2
    """Has been wrong lately."""


class Passwords:
    """Checks and makes hashes; the processes are started when they are first needed, and stay."""

    def __init__(self, *, at_once: int = 2, waiting: int = 256) -> None:
        self._turns = FairQueue(at_once, own_waiting=waiting, waiting=waiting, ranks=len(Rank), in_a_row=IN_A_ROW)
        self._idle: list[Process] = []
        """No more of them than have turns at once."""

    @contextlib.asynccontextmanager
    async def turn(self, who: str, rank: Rank) -> AsyncIterator[None]:
        """Wait for a turn to check or make a hash. Raises ``BACKPRESSURE`` when too many wait."""
        async with self._turns.turn(who, rank=rank):
            yield

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password fits; ``None`` stands for nobody and takes the same time. Within a turn. Raises
        ``BACKPRESSURE`` when it could not be found out."""
        right = await self._ask(password_hash or _NOBODY, password)
        return right is True and password_hash is not None

    async def hash(self, password: str) -> str:
        """``hash_password`` elsewhere. Within a turn. Raises ``BACKPRESSURE`` as ``verify``."""
        return str(await self._ask(None, password))

    async def stop(self) -> None:
        """End the processes."""
        while self._idle:
            await programs.end(self._idle.pop())

    async def _ask(self, stored: str | None, password: str) -> object:
        job = json.dumps([stored, password]).encode() + b"\n"
        for _ in range(TRIES):
            process: Process | None = None
            try:
                async with aio.timeout(PATIENCE):
                    process = self._idle.pop() if self._idle else await programs.begin("smsgw.admin.hashing")
                    said = await _answer(process, job)
            except (OSError, RuntimeError, TimeoutError) as exc:  # RuntimeError: uvloop's for a pipe that is gone
                log.warning("password.process_failed", error=type(exc).__name__)
                said = b""
            except BaseException:
                if process is not None:  # its answer would be taken for the next one's
                    await programs.end(process)
                raise
            if said.endswith(b"\n") and process is not None:
                self._idle.append(process)
                return json.loads(said)
            if process is not None:
                await programs.end(process)
        raise Temporary("BACKPRESSURE", retry_after=5, n=5)


@contextlib.asynccontextmanager
async def hashing() -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """Make hashes of many new passwords, one after the other, beside those of people who log in."""
    passwords = Passwords(at_once=1)
    try:
        yield passwords.hash
    finally:
        await passwords.stop()


async def _answer(process: Process, job: bytes) -> bytes:
    assert process.stdin is not None  # noqa: S101 - pipes, as it was begun
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(job)
    return await process.stdout.readline()
