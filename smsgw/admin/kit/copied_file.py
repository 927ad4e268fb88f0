"""Files of copied rows, written by a process of their own (``copied_file_writer``).

Turning millions of rows into cells takes a processor as long as it lasts. Next door, at the lowest priority, it takes
what sending leaves, and what it does not read waits in the database's copy.

On its standard input: a job (JSON), then octets of the copy, then the last lines (JSON), each with what it is and its
length before it. On its standard output: the rows of every piece of octets as a number on a line of its own, and one
more line when the file is whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import IntEnum

import msgspec
import structlog

from smsgw.core.errors import Temporary
from smsgw.platform.exports.model import Format

log = structlog.get_logger(__name__)

ANSWER = 120.0
"""Seconds in which a piece is worked off, however little sending leaves, …"""
WHOLE = 1200.0
"""… and a spreadsheet put together."""
FRAME = struct.Struct(">BI")
WHOLE_SAID = b"whole\n"


class Frame(IntEnum):
    """What comes next."""

    JOB = 0
    ROWS = 1
    END = 2


class CopiedFile(msgspec.Struct, frozen=True):
    """A file to be written."""

    list: str
    """Name of the list, which knows what its columns are and how they are told."""
    columns: tuple[str, ...]
    language: str
    format: Format
    path: str
    head: tuple[str, ...]
    mark: str
    title: str


class Process:
    """The process, from the outside."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        self._in, self._out = process.stdin, process.stdout

    async def take(self, octets: bytes) -> int:
        """Work off a piece of a copy; how many rows it has made."""
        return int(await self._asked(Frame.ROWS, octets, ANSWER))

    async def end(self, lines: Sequence[str]) -> None:
        """The last lines; the file is whole."""
        if await self._asked(Frame.END, msgspec.json.encode(lines), WHOLE) != WHOLE_SAID:
            raise _broken()

    async def _asked(self, frame: Frame, octets: bytes, within: float) -> bytes:
        try:
            async with asyncio.timeout(within):
                self._in.write(FRAME.pack(frame, len(octets)) + octets)
                await self._in.drain()
                said = await self._out.readline()
        except (TimeoutError, ConnectionError) as exc:
            raise _broken() from exc
        if not said.endswith(b"\n"):
            raise _broken()
        return said


def _broken() -> Temporary:
    return Temporary("BACKPRESSURE", retry_after=60, n=60)


@asynccontextmanager
async def copied_file(job: CopiedFile) -> AsyncIterator[Process]:
    """A process that writes this file; ended in any case. ``BACKPRESSURE`` when it breaks or does not answer: the job
    begins anew."""
    wanted = ("PATH", "HOME", "TZ", "LANG", "LC_ALL")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", f"{__name__}_writer", cwd="/",
        env={name: value for name, value in os.environ.items() if name in wanted},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        made = Process(process)
        assert process.stdin is not None  # noqa: S101
        text = msgspec.json.encode(job)
        process.stdin.write(FRAME.pack(Frame.JOB, len(text)) + text)
        yield made
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if await process.wait() not in (0, -9):
            log.warning("export.writer_failed", status=process.returncode)
