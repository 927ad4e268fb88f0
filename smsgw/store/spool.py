"""The spool: calls accepted while the database is away, synced to disk before anybody is told.

Append-only segments in a folder of their own. A record is length (u32), CRC-32 (u32), body. Appends of one moment share
one ``fdatasync``, in a thread. Closed segments are read back and removed once everything in them is in the ledger; a
torn record at the end of one (the power went) was never acknowledged. After a failed sync nothing is known of what the
disk holds: the spool takes nothing more in this run.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from smsgw import aio, failpoints

log = structlog.get_logger(__name__)

SEGMENT_BYTES = 16 * 1024 * 1024
MAX_RECORD = 64 * 1024 * 1024
SUFFIX = ".spool"

_MAGIC = b"SMSGWS01"
_RECORD = struct.Struct(">II")


class SpoolFull(OSError):
    """There is no room for the record."""


@dataclass(slots=True)
class Segment:
    """A file of the spool."""

    path: Path
    number: int
    size: int


class Spool:
    """Appends to the current segment. One event loop owns it."""

    def __init__(self, folder: Path, *, limit: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        """``limit``: octets of all segments together."""
        self._folder = folder
        self._limit = limit
        self._segment_bytes = segment_bytes
        self._closed: list[Segment] = []
        self._current: Segment | None = None
        self._fd = -1
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._last = 0
        self.broken = False
        """A sync has failed."""

    async def open(self) -> None:
        """Find what an earlier run has left, and begin."""
        await asyncio.to_thread(self._find)
        self._task = aio.spawn(self._write_for_ever(), name="spool")

    def _find(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            self._closed.append(Segment(path, int(path.stem), path.stat().st_size))
        self._last = self._closed[-1].number if self._closed else 0

    async def close(self) -> None:
        """Close; the segments stay."""
        await aio.cancel(self._task)
        self._fail(OSError(errno.ESHUTDOWN, "the spool is closed"))
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def size(self) -> int:
        """Octets in all segments."""
        return sum(s.size for s in self._closed) + (self._current.size if self._current else 0)

    @property
    def empty(self) -> bool:
        """Nothing is in it and nothing is under way."""
        return not (self._closed or self._current or self._waiting)

    async def append(self, body: bytes) -> None:
        """Returns when the record is on disk. ``SpoolFull`` when there is no room, ``OSError`` when the disk fails."""
        if self.broken:
            raise OSError(errno.EIO, "the spool's disk has failed")
        waiting = sum(len(b) for b, _ in self._waiting)
        if len(body) > MAX_RECORD or self.size + waiting + len(body) > self._limit:
            raise SpoolFull(errno.ENOSPC, "the spool is full")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((body, future))
        self._wake.set()
        await future

    async def rotate(self) -> list[Segment]:
        """Close the current segment once what waits is written; all closed ones, oldest first."""
        while self._waiting:
            await asyncio.wait([future for _, future in self._waiting])
        if self._current is not None:
            os.close(self._fd)
            self._fd = -1
            self._closed.append(self._current)
            self._current = None
        return list(self._closed)

    async def remove(self, segment: Segment) -> None:
        """Everything in it is in the ledger."""
        await asyncio.to_thread(segment.path.unlink, missing_ok=True)
        self._closed.remove(segment)

    async def set_aside(self, segment: Segment) -> None:
        """Keep it for a person to look at, out of the way."""
        await asyncio.to_thread(segment.path.rename, segment.path.with_suffix(".kept"))
        self._closed.remove(segment)

    async def read(self, segment: Segment) -> list[bytes]:
        """The records of a segment, up to its end or the first damage."""
        return await asyncio.to_thread(lambda: list(_records(segment.path)))

    # --- writing -----------------------------------------------------------------------------------------------

    async def _write_for_ever(self) -> None:
        while True:
            self._wake.clear()
            if not self._waiting:
                await self._wake.wait()
            batch = list(self._waiting)
            data = b"".join(_RECORD.pack(len(body), zlib.crc32(body)) + body for body, _ in batch)
            error: Exception | None = None
            try:
                await asyncio.to_thread(self._write, data)
            except Exception as exc:  # whoever waits must hear of it
                error = exc
                log.critical("spool.failed", error=str(exc))
            del self._waiting[: len(batch)]
            for _, future in batch:
                if not future.done():
                    if error is None:
                        future.set_result(None)
                    else:
                        future.set_exception(error)

    def _write(self, data: bytes) -> None:
        failpoints.reach("spool.write")
        if self._current is None:
            self._begin()
        assert self._current is not None  # noqa: S101 - just made
        at = self._current.size
        try:
            while data:
                written = os.pwrite(self._fd, data, at)
                at += written
                data = data[written:]
            try:
                failpoints.reach("spool.sync")
                os.fdatasync(self._fd)
            except OSError:
                self.broken = True
                raise
        except OSError:  # its callers are told that nothing was stored: so be it
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._current.size)
            raise
        self._current.size = at
        failpoints.reach("spool.synced")
        if at >= self._segment_bytes:
            os.close(self._fd)
            self._fd = -1
            self._closed.append(self._current)
            self._current = None

    def _begin(self) -> None:
        number = self._last + 1
        path = self._folder / f"{number:012d}{SUFFIX}"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._last = number
        os.pwrite(self._fd, _MAGIC, 0)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # the name of the file, too
        finally:
            os.close(folder)
        self._current = Segment(path, number, len(_MAGIC))

    def _fail(self, error: Exception) -> None:
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()


def _records(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        if data.strip(b"\0"):
            log.error("spool.damaged", segment=path.name, reason="no header")
        return
    offset = len(_MAGIC)
    while offset + _RECORD.size <= len(data):
        length, crc = _RECORD.unpack_from(data, offset)
        body = data[offset + _RECORD.size : offset + _RECORD.size + length]
        if not length or len(body) != length or zlib.crc32(body) != crc:
            log.warning("spool.torn", segment=path.name, offset=offset)
            return
        yield body
        offset += _RECORD.size + length
