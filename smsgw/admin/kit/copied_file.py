"""Files of copied rows, written by a process of their own (``copied_file_writer``).

Turning millions of rows into cells takes a processor as long as it lasts. Next door it gives way to the rest of us
(``programs.GivingWay``), unless the rows are few. What it does not read waits in the database's copy, for which time
is limited. It rests after every piece, since the copy is no less work for the database than for us, and there it has no
priority of its own.

On its standard input: a job (JSON), then octets of the copy, then the last lines (JSON), each with what it is and its
length before it. On its standard output: the rows of every piece of octets as a number on a line of its own, or that
the file is full, and one more line when the file is whole.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import IntEnum

import msgspec
import structlog

from smsgw.core.errors import Refused, Temporary
from smsgw.core.words import phrase
from smsgw.platform.exports.model import Format
from smsgw.runtime import programs

log = structlog.get_logger(__name__)

ANSWER = 120.0
"""Seconds in which a piece is worked off, however little sending leaves, …"""
WHOLE = 1200.0
"""… and a spreadsheet put together."""
GIVES_WAY = 0.5
"""Seconds in which a piece runs only where no other wants to, unless none ever finds a free processor."""
NICE = programs.MODEST
REST = 0.5
"""Of the time that a piece has taken but for that, between it and the next."""
FRAME = struct.Struct(">BI")
WHOLE_SAID = b"whole\n"
FULL_SAID = b"full\n"


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

    def __init__(self, process: asyncio.subprocess.Process, *, small: bool) -> None:
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        self._in, self._out = process.stdin, process.stdout
        self._way = None if small else programs.GivingWay(process, seconds=GIVES_WAY, rest=REST)

    async def take(self, octets: bytes) -> int:
        """Work off a piece of a copy; how many rows it has made. ``STATE_CONFLICT`` when the format has no room for
        them."""
        rows = int(await self._asked(Frame.ROWS, octets, ANSWER))
        if self._way is not None:
            await self._way.rest()
        return rows

    async def end(self, lines: Sequence[str]) -> None:
        """The last lines; the file is whole."""
        if await self._asked(Frame.END, msgspec.json.encode(lines), WHOLE) != WHOLE_SAID:
            raise _broken()

    async def _asked(self, frame: Frame, octets: bytes, within: float) -> bytes:
        try:
            async with asyncio.timeout(within):
                answer = self._said(FRAME.pack(frame, len(octets)) + octets)
                said = await (answer if self._way is None else self._way.answer(answer))
        except (TimeoutError, ConnectionError) as exc:
            raise _broken() from exc
        if said == FULL_SAID:
            raise no_room()
        if not said.endswith(b"\n"):
            raise _broken()
        return said

    async def _said(self, octets: bytes) -> bytes:
        self._in.write(octets)
        await self._in.drain()
        return await self._out.readline()


def no_room() -> Refused:
    """What is said when a format has no room for the rows."""
    return Refused("STATE_CONFLICT", reason=phrase("export.full"))


def _broken() -> Temporary:
    return Temporary("BACKPRESSURE", retry_after=60, n=60)


@asynccontextmanager
async def copied_file(job: CopiedFile, *, small: bool = False) -> AsyncIterator[Process]:
    """A process that writes this file; ended in any case. A ``small`` one gives way to nobody: somebody waits for it,
    and it is done soon. ``BACKPRESSURE`` when it breaks or does not answer: the job begins anew."""
    process = await programs.begin(f"{__name__}_writer", niceness=0 if small else NICE)
    try:
        made = Process(process, small=small)
        assert process.stdin is not None  # noqa: S101
        text = msgspec.json.encode(job)
        process.stdin.write(FRAME.pack(Frame.JOB, len(text)) + text)
        yield made
    finally:
        await programs.end(process)
        if process.returncode not in (0, -9):
            log.warning("export.writer_failed", status=process.returncode)
