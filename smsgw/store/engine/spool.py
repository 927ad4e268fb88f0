"""The spool: calls accepted while the database is away, synced to disk before anybody is told.

Append-only segments in a folder of their own. A record is a mark (4 octets that no text has), length (u32), CRC-32
(u32), body. Appends of one moment share one ``fdatasync``, in a thread. Closed segments are read back, once and in
pieces, and removed when everything in them is in the database. What is no record is passed over to the next one, and
the file is kept; at the end of what a crash has left it was never acknowledged. After a failed sync nothing is known of
what the disk holds: the spool takes nothing more in this run.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import structlog

from smsgw.runtime import aio, failpoints

log = structlog.get_logger(__name__)

SEGMENT_BYTES = 16 * 1024 * 1024
MAX_RECORD = 64 * 1024 * 1024
SUFFIX = ".spool"
KEPT = ".kept"
"""Of segments with something that could not be entered; a person has to look at them."""
TORN = ".torn"
"""Of those that a crash has left with an end that is no record."""
PIECE = 1 << 20
"""Octets of records that are read at a time."""

_MAGIC = b"SMSGWS02"
_MAGIC_WITHOUT_MARKS = b"SMSGWS01"
"""Of an earlier program's segments: behind damage their next record cannot be found."""
_MARK = b"\xff\xfe\xff\n"
_HEAD = struct.Struct(">II")
_RECORD_OCTETS = len(_MARK) + _HEAD.size
"""Of a record without its body."""


class SpoolFull(OSError):
    """There is no room for the record."""


@dataclass(slots=True)
class Segment:
    """A file of the spool."""

    path: Path
    number: int
    size: int
    last: bool = False
    """The newest that an earlier run has left: what a crash has cut short is at its end."""


class Reader:
    """Goes through a closed segment once, past everything that is no record."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._at = 0
        self._mark = _MARK
        self.unreadable: list[tuple[int, int]] = []
        """Places (from, to) without a record where one should be."""

    async def read(self) -> list[bytes]:
        """The next records, about ``PIECE`` octets of them; none at the end. What cannot be read is no record."""
        return await asyncio.to_thread(self._read)

    @property
    def torn(self) -> bool:
        """All that is unreadable is the end of what a crash has left."""
        return self.segment.last and len(self.unreadable) == 1 and self.unreadable[0][1] == self.segment.size

    def _read(self) -> list[bytes]:
        fd = os.open(self.segment.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            magic = b"" if self._at else os.pread(fd, len(_MAGIC), 0)
            if magic in (_MAGIC, _MAGIC_WITHOUT_MARKS):
                self._at = len(magic)
                self._mark = _MARK if magic == _MAGIC else b""
            bodies: list[bytes] = []
            size = 0
            try:
                while self._at < self.segment.size and size < PIECE:
                    body = self._record(fd, self._at)
                    if body is None:
                        self._pass_over(fd)
                        continue
                    bodies.append(body)
                    size += len(body)
                    self._at += len(self._mark) + _HEAD.size + len(body)
            except OSError as exc:
                log.critical("spool.read_failed", segment=self.segment.path.name, error=str(exc))
                self.unreadable.append((self._at, self.segment.size))
                self._at = self.segment.size
            return bodies
        finally:
            os.close(fd)

    def _record(self, fd: int, at: int) -> bytes | None:
        begin = at + len(self._mark) + _HEAD.size
        head = os.pread(fd, begin - at, at)
        if len(head) < begin - at or not head.startswith(self._mark):
            return None
        length, crc = _HEAD.unpack_from(head, len(self._mark))
        if not length or begin + length > self.segment.size:
            return None
        body = os.pread(fd, length, begin)
        return body if len(body) == length and zlib.crc32(body) == crc else None

    def _pass_over(self, fd: int) -> None:
        """To the next record, or the end."""
        begin = at = self._at
        while (at := self._next_mark(fd, at + 1)) < self.segment.size and self._record(fd, at) is None:
            pass
        self.unreadable.append((begin, at))
        self._at = at

    def _next_mark(self, fd: int, at: int) -> int:
        """Where the next mark begins; the end of the segment when there is none."""
        while self._mark and at < self.segment.size:
            window = os.pread(fd, PIECE, at)
            found = window.find(_MARK)
            if found >= 0:
                return at + found
            if len(window) < PIECE:
                break
            at += PIECE - len(_MARK) + 1
        return self.segment.size


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
        self._waiting_octets = 0
        self._closing: list[asyncio.Future[None]] = []
        self._kept: list[Path] = []
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
        if self._closed:
            self._closed[-1].last = True
        self._kept = sorted(self._folder.glob(f"*{KEPT}"))
        numbers = [int(path.stem) for path in self._folder.iterdir() if path.stem.isdigit()]
        self._last = max(numbers, default=0)

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

    @property
    def kept(self) -> list[Path]:
        """Segments that were set aside for a person to look at, and are still there."""
        self._kept = [path for path in self._kept if path.exists()]
        return self._kept

    def submit(self, body: bytes) -> asyncio.Future[None]:
        """Queue a record; done when it is on disk, with ``OSError`` when the disk fails. Raises ``SpoolFull`` when
        there is no room, ``OSError`` after a failed sync."""
        if self.broken:
            raise OSError(errno.EIO, "the spool's disk has failed")
        need = _RECORD_OCTETS + len(body)
        if len(body) > MAX_RECORD or self.size + self._waiting_octets + need > self._limit:
            raise SpoolFull(errno.ENOSPC, "the spool is full")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((body, future))
        self._waiting_octets += need
        self._wake.set()
        return future

    async def append(self, body: bytes) -> None:
        """``submit``, and wait for it."""
        await self.submit(body)

    async def rotate(self) -> list[Segment]:
        """Close the current segment; all closed ones, oldest first."""
        if self._current is not None:
            closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._closing.append(closed)
            self._wake.set()
            await closed
        return list(self._closed)

    async def oldest(self) -> Segment | None:
        """The segment to be read next; None when nothing is there."""
        segments = self._closed or await self.rotate()
        return segments[0] if segments else None

    async def remove(self, segment: Segment) -> None:
        """Everything in it is in the database."""
        await asyncio.to_thread(segment.path.unlink, missing_ok=True)
        self._closed.remove(segment)

    async def set_aside(self, segment: Segment, suffix: str = KEPT) -> None:
        """Keep it for a person to look at, out of the way."""
        path = await asyncio.to_thread(segment.path.rename, segment.path.with_suffix(suffix))
        self._closed.remove(segment)
        if suffix == KEPT:
            self._kept.append(path)

    # --- writing -----------------------------------------------------------------------------------------------

    async def _write_for_ever(self) -> None:
        while True:
            self._wake.clear()
            if not self._waiting and not self._closing:
                await self._wake.wait()
            batch = list(self._waiting)
            error: Exception | None = None
            if batch:
                error = await self._try_to_write([body for body, _ in batch])
            del self._waiting[: len(batch)]
            self._waiting_octets -= sum(_RECORD_OCTETS + len(body) for body, _ in batch)
            for _, future in batch:
                if not future.done():
                    if error is None:
                        future.set_result(None)
                    else:
                        future.set_exception(error)
            closing, self._closing = self._closing, []
            if closing:
                self._end_segment()
            for closed in closing:
                if not closed.done():
                    closed.set_result(None)

    async def _try_to_write(self, bodies: list[bytes]) -> Exception | None:
        data = b"".join(_MARK + _HEAD.pack(len(body), zlib.crc32(body)) + body for body in bodies)
        try:
            await asyncio.to_thread(self._write, data)
        except Exception as exc:  # whoever waits must hear of it
            log.critical("spool.failed", error=str(exc))
            return exc
        return None

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
            self._end_segment()

    def _begin(self) -> None:
        number = self._last + 1
        path = self._folder / f"{number:012d}{SUFFIX}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if os.pwrite(fd, _MAGIC, 0) < len(_MAGIC):
                raise OSError(errno.ENOSPC, "no room for a new segment")
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)  # the name of the file, too
            finally:
                os.close(folder)
        except OSError:
            os.close(fd)
            path.unlink()
            raise
        self._fd = fd
        self._last = number
        self._current = Segment(path, number, len(_MAGIC))

    def _end_segment(self) -> None:
        if self._current is not None:
            os.close(self._fd)
            self._fd = -1
            self._closed.append(self._current)
            self._current = None

    def _fail(self, error: Exception) -> None:
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()
        for closed in self._closing:
            closed.cancel()
        self._closing.clear()
