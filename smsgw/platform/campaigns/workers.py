"""Runs the processes that read files: a few at a time, each with an end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable

import msgspec
import structlog

from smsgw.core.errors import Invalid, Temporary
from smsgw.core.words import Phrase, phrase
from smsgw.platform.campaigns.worker import Job, Result, StreamJob
from smsgw.runtime import programs
from smsgw.runtime.fair_queue import FairQueue

log = structlog.get_logger(__name__)

PATIENCE = 600.0
"""Seconds that a job may take; its processor time is limited more tightly."""
AT_ONCE = 2
"""Jobs of one kind, each another account's: who brings what takes long waits for himself."""
PAGE_PATIENCE = 120.0
"""Seconds until the next page of a file comes."""
MOST_PAGE = 8 * 1024 * 1024
"""Octets of a page; a reader that was broken into may say anything."""
MAX_WAITING = 16
"""Jobs of one account that wait for their turn."""


def bad_file(reason: Phrase) -> Invalid:
    """A file that cannot be used."""
    return Invalid("FILE_INVALID", reason=reason)


class Workers:
    """One kind of job: some at a time, in turn for the accounts, and not too many waiting."""

    def __init__(self) -> None:
        self._turns = FairQueue(AT_ONCE, 1, patience=PATIENCE, own_waiting=MAX_WAITING)

    async def run(self, owner: Hashable, job: Job, told: Callable[[int], Awaitable[None]] | None = None) -> Result:
        """Do a job of an owner (an account, a person) in a process of its own. ``FILE_INVALID`` when the file cannot be
        used or breaks the reader; ``BACKPRESSURE`` when too many wait; ``STORAGE_UNAVAILABLE`` when the database was
        away. ``told`` hears now and then how many rows are done with; what it raises ends the process."""
        async with self._turns.turn(owner):
            result = await self._process(job, told)
        if result is None:
            raise bad_file(phrase("file.reader"))
        if result.error is not None:
            key, params = result.error
            raise bad_file(Phrase(key, tuple(params.items())))
        if result.again:
            raise Temporary("STORAGE_UNAVAILABLE", retry_after=5, reason=phrase("database.lost"))
        return result

    async def pages(self, owner: Hashable, job: StreamJob) -> AsyncGenerator[list[tuple[int, list[str]]], None]:
        """A file's rows page by page, from a process that is ahead by no more than a pipe holds. To be closed
        (``contextlib.aclosing``): that ends the process. Raises as ``run``."""
        await self._turns.take(owner)
        process: asyncio.subprocess.Process | None = None
        try:
            process = await _begun(Job(stream=job))
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
            await _give(process.stdin, msgspec.json.encode(Job(stream=job)))
            while (result := await _next_page(process.stdout)).rows:
                yield result.rows
            if result.error is not None:
                key, params = result.error
                raise bad_file(Phrase(key, tuple(params.items())))
        finally:
            self._turns.give(owner)
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()  # what nobody has read: while it lies there, the process does not end

    @staticmethod
    async def _process(job: Job, told: Callable[[int], Awaitable[None]] | None) -> Result | None:
        """The result; None when the process has come to a bad end."""
        process = await _begun(job, asyncio.subprocess.DEVNULL if told is None else asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(PATIENCE):
                said = await _conversed(process, msgspec.json.encode(job), told)
        except TimeoutError:
            said = b""
        finally:
            await programs.end(process)
        if process.returncode:
            log.warning("file.reader_failed", status=process.returncode)
            return None
        try:
            return msgspec.json.decode(said, type=Result)
        except msgspec.DecodeError:
            return None


async def _begun(job: Job, stderr: int = asyncio.subprocess.DEVNULL) -> asyncio.subprocess.Process:
    """An import is told how PostgreSQL is reached, too."""
    also = "PG" if job.load is not None else ""
    return await programs.begin("smsgw.platform.campaigns.worker", also=also, stderr=stderr)


async def _next_page(pipe: asyncio.StreamReader) -> Result:
    """``FILE_INVALID`` when the process says nothing sensible, or nothing at all."""
    try:
        async with asyncio.timeout(PAGE_PATIENCE):
            size = int.from_bytes(await pipe.readexactly(4), "big")
            if size > MOST_PAGE:
                raise bad_file(phrase("file.reader"))
            return msgspec.json.decode(await pipe.readexactly(size), type=Result)
    except (TimeoutError, asyncio.IncompleteReadError, msgspec.DecodeError) as exc:
        log.warning("file.reader_failed", error=repr(exc)[:100])
        raise bad_file(phrase("file.reader")) from exc


async def _conversed(
    process: asyncio.subprocess.Process, job: bytes, told: Callable[[int], Awaitable[None]] | None
) -> bytes:
    """What the process says of the job."""
    if told is None:
        return (await process.communicate(job))[0]
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: S101, PT018
    _, said, _ = await asyncio.gather(
        _give(process.stdin, job), process.stdout.read(), _follow(process.stderr, told)
    )  # when one of them fails the process is killed, which ends the others
    await process.wait()
    return said


async def _give(pipe: asyncio.StreamWriter, job: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # it has come to a bad end, which its status tells
        pipe.write(job)
        await pipe.drain()
    pipe.close()


async def _follow(pipe: asyncio.StreamReader, told: Callable[[int], Awaitable[None]]) -> None:
    """Lines with a number; the last of what came together counts. A reader that was broken into may write anything."""
    left = b""
    while octets := await pipe.read(4096):
        *lines, left = (left + octets).split(b"\n")
        left = left[-20:]
        if lines and lines[-1].isdigit() and len(lines[-1]) < 10:
            await told(int(lines[-1]))
