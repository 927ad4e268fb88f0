"""The spool: calls accepted while the database is away, synced to disk before anybody is told.

Append-only segments in a folder of their own. A record is a mark (4 octets that no text has), length (u32), CRC-32
(u32), body. Appends of one moment share one ``fdatasync``, in a thread. Closed segments are read back, once and in
pieces, and removed when everything in them is in the database. What is no record is passed over to the next one, and
the file is kept; at the end of what a crash has left it was never acknowledged. After a failed sync nothing is known of
what the disk holds: the spool takes nothing more in this run.

A *mapped* spool is for what may be lost with the machine, and comes by the thousand a second: its segments are memory
(``mapped``), a record is in one before ``hand_over`` returns, and a segment is made before it is needed. What is not
written of one is zeros, which are no damage there.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from smsgw.runtime import aio, failpoints
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.engine.mapped import MappedFile

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

SEGMENT_BYTES = 16 * 1024 * 1024
MAPPED_BYTES = 2 * 1024 * 1024
"""Of a segment that is mapped: room for a second of clicks, several times."""
MAX_RECORD = 64 * 1024 * 1024
SUFFIX = ".spool"
DOUBTFUL = ".restored"
"""Of the file whose name is the number up to which segments are of before the database was restored."""
KEPT = ".kept"
"""Of segments with something that could not be entered; a person has to look at them."""
TORN = ".torn"
"""Of those that a crash has left with an end that is no record."""
PIECE = 1 << 20
"""Octets of records that are read at a time, unless somebody wants it otherwise."""

_MAGIC = b"SMSGWS02"
_MAGIC_WITH_HEADER = b"SMSGWS03"
"""Of segments whose first record says how the others are read."""
_MAGIC_WITHOUT_MARKS = b"SMSGWS01"
"""Of an earlier program's segments: behind damage their next record cannot be found."""
_MARK = b"\xff\xfe\xff\n"
_HEAD = struct.Struct(">II")
_RECORD_OCTETS = len(_MARK) + _HEAD.size
"""Of a record without its body."""


Told = Callable[[Exception | None], object]
"""Is told that a record is on disk, or why not."""


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
    roomy: bool = False
    """A crash may have left room at its end."""


def doubt(folder: Path) -> int:
    """The database was restored: what lies in this spool may have been in the one before. How many segments it is."""
    numbers = [int(path.stem) for path in folder.glob(f"*{SUFFIX}")]
    if numbers:
        for path in (folder / f"{max(numbers):012d}{DOUBTFUL}", folder):
            fd = os.open(path, os.O_RDONLY if path is folder else os.O_RDONLY | os.O_CREAT, 0o600)
            try:
                os.fsync(fd)  # the file, then its name: nobody may believe in it and a crash take it away
            finally:
                os.close(fd)
    return len(numbers)


def _record_of(body: bytes) -> bytes:
    return _MARK + _HEAD.pack(len(body), zlib.crc32(body)) + body


def _untouched(path: Path) -> bool:
    """Whether a mapped segment has no record: it was there for when it would be needed. One that cannot be read may."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC) + 1)[len(_MAGIC) :] in (b"", b"\0")
    except OSError:
        return False


class Reader:
    """Goes through a closed segment once, past everything that is no record."""

    def __init__(self, segment: Segment, at_once: int = PIECE) -> None:
        """``at_once``: about so many octets are read at a time."""
        self.segment = segment
        self._at_once = at_once
        self._at = 0
        self._mark = _MARK
        self.unreadable: list[tuple[int, int]] = []
        """Places (from, to) without a record where one should be."""
        self.header = b""
        """What the segment begins with, once something was read; empty: it has none, or a damaged one."""

    async def read(self) -> list[bytes]:
        """The next records, about ``at_once`` octets of them; none at the end. What cannot be read is no record.
        Whoever is cut off meanwhile has read nothing: the thread, which goes on, is not this reader."""
        ahead = copy(self)
        ahead.unreadable = list(self.unreadable)
        bodies = await asyncio.to_thread(ahead._read)
        self._at, self._mark, self.unreadable = ahead._at, ahead._mark, ahead.unreadable
        self.header = ahead.header
        return bodies

    @property
    def torn(self) -> bool:
        """All that is unreadable is the end of what a crash has left."""
        return self.segment.last and len(self.unreadable) == 1 and self.unreadable[0][1] == self.segment.size

    def _read(self) -> list[bytes]:
        fd = os.open(self.segment.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            magic = b"" if self._at else os.pread(fd, len(_MAGIC), 0)
            if magic in (_MAGIC, _MAGIC_WITH_HEADER, _MAGIC_WITHOUT_MARKS):
                self._at = len(magic)
                self._mark = b"" if magic == _MAGIC_WITHOUT_MARKS else _MARK
            bodies: list[bytes] = []
            size = 0
            file = _Octets(fd, self._at_once)
            try:
                if magic == _MAGIC_WITH_HEADER:
                    self.header = self._record(file, self._at) or b""
                    if self.header:
                        self._at += _RECORD_OCTETS + len(self.header)
                while self._at < self.segment.size and size < self._at_once:
                    body = self._record(file, self._at)
                    if body is None and self.segment.roomy and self._rest_is_room(file):
                        self._at = self.segment.size
                        break
                    if body is None:
                        self._pass_over(file)
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

    def _record(self, file: _Octets, at: int) -> bytes | None:
        begin = at + len(self._mark) + _HEAD.size
        head = file.read(begin - at, at)
        if len(head) < begin - at or not head.startswith(self._mark):
            return None
        length, crc = _HEAD.unpack_from(head, len(self._mark))
        if not length or begin + length > self.segment.size:
            return None
        body = file.read(length, begin)
        return body if len(body) == length and zlib.crc32(body) == crc else None

    def _rest_is_room(self, file: _Octets) -> bool:
        """Nothing was ever written from here on."""
        at = self._at
        while (octets := file.read(1, at)) == b"\0":
            octets = file.read(PIECE, at)
            if octets.count(0) < len(octets):
                return False
            at += len(octets)
        return not octets

    def _pass_over(self, file: _Octets) -> None:
        """To the next record, or the end."""
        begin = at = self._at
        while (at := self._next_mark(file, at + 1)) < self.segment.size and self._record(file, at) is None:
            pass
        self.unreadable.append((begin, at))
        self._at = at

    def _next_mark(self, file: _Octets, at: int) -> int:
        """Where the next mark begins; the end of the segment when there is none."""
        while self._mark and at < self.segment.size:
            window = file.read(PIECE, at)
            found = window.find(_MARK)
            if found >= 0:
                return at + found
            if len(window) < PIECE:
                break
            at += PIECE - len(_MARK) + 1
        return self.segment.size


class _Octets:
    """Those of a file that nobody writes any more, a piece at a time: each call of the system gives the interpreter
    away, and who has thousands of small ones to make is in the way of the event loop."""

    def __init__(self, fd: int, at_once: int) -> None:
        self._fd = fd
        self._at_once = at_once
        self._at = 0
        self._piece = b""

    def read(self, n: int, at: int) -> bytes:
        """As ``pread``."""
        begin = at - self._at
        if begin < 0 or begin + n > len(self._piece):
            self._piece, self._at, begin = os.pread(self._fd, max(n, self._at_once), at), at, 0
        return self._piece[begin : begin + n]


def _tell(future: asyncio.Future[None], error: Exception | None) -> None:
    if not future.done():
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


class Spool:
    """Appends to the current segment. One event loop owns it."""

    def __init__(
        self, folder: Path, *, limit: int, segment_bytes: int = SEGMENT_BYTES, mapped: bool = False, header: bytes = b""
    ) -> None:
        """``limit``: octets of all segments together. ``mapped``: what is in it survives the end of the process, and of
        the machine all but the last moments; nothing is waited for. ``header``: what each segment of one that is not
        mapped begins with, for ``Reader.header``."""
        self._first = _MAGIC_WITH_HEADER + _record_of(header) if header else _MAGIC
        self._folder = folder
        self._limit = limit
        self._segment_bytes = segment_bytes
        self._mapped = mapped
        self._longest = segment_bytes - len(_MAGIC) - _RECORD_OCTETS if mapped else MAX_RECORD
        self._memory: MappedFile | None = None
        """The current segment's, and …"""
        self._spare: tuple[Segment, MappedFile] | None = None
        """… the next one, which is there already."""
        self._closed: list[Segment] = []
        self._current: Segment | None = None
        self._fd = -1
        self._waiting: list[tuple[bytes, Told]] = []
        self._waiting_octets = 0
        self._closing: list[asyncio.Future[None]] = []
        self._kept: list[Path] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._over = False
        self._last = 0
        self.doubtful = 0
        """Up to this segment, calls may have been entered into the database as it was before it was restored."""
        self.broken = False
        """Nothing more is taken: a sync has failed, or nobody writes any more."""

    async def open(self) -> None:
        """Find what an earlier run has left, and begin."""
        await asyncio.to_thread(self._find)
        self._task = aio.spawn(self._write_for_ever(), name="spool")

    def _find(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if self._mapped and _untouched(path):
                path.unlink()
            else:
                self._closed.append(Segment(path, int(path.stem), path.stat().st_size, roomy=self._mapped))
        if self._closed:
            self._closed[-1].last = True
        self._kept = sorted(self._folder.glob(f"*{KEPT}"))
        self.doubtful = max((int(path.stem) for path in self._folder.glob(f"*{DOUBTFUL}")), default=0)
        numbers = [int(path.stem) for path in self._folder.iterdir() if path.stem.isdigit()]
        self._last = max(numbers, default=0)

    async def close(self) -> None:
        """Close; the segments stay. A write under way comes to its end first: who waits for it hears what has become of
        it, and the thread has its file until then."""
        self._over = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait((self._task,))
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        await asyncio.to_thread(self._close_memory)

    def _close_memory(self) -> None:
        memory, self._memory = self._memory, None
        if memory is not None:
            memory.close()
            assert self._current is not None  # noqa: S101 - the memory is its
            with contextlib.suppress(OSError):  # then the room stays at its end
                os.truncate(memory.path, self._current.size)
        spare, self._spare = self._spare, None
        if spare is not None:
            with contextlib.suppress(OSError):  # and then it is found untouched
                spare[1].remove()

    @property
    def size(self) -> int:
        """Octets in all segments."""
        return sum(s.size for s in self._closed) + (self._current.size if self._current else 0)

    @property
    def fullness(self) -> float:
        """How much of its room is taken, as a share."""
        return self.size / self._limit

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
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.hand_over(body, partial(_tell, future))
        return future

    def hand_over(self, body: bytes, told: Told) -> None:
        """As ``submit``, for many a second: ``told`` is called with the outcome on the spot, of a mapped spool nearly
        always before this returns. It is quick; what it raises is logged."""
        if self.broken:
            raise OSError(errno.EIO, "the spool has failed")
        if self._over:
            raise OSError(errno.ESHUTDOWN, "the spool is closed")
        need = _RECORD_OCTETS + len(body)
        if len(body) > self._longest or self.size + self._waiting_octets + need > self._limit:
            raise SpoolFull(errno.ENOSPC, "the spool is full")
        if self._mapped and not self._waiting and self._put(body):
            self._tell([(body, told)], None)
            return
        self._waiting.append((body, told))
        self._waiting_octets += need
        self._wake.set()

    def _put(self, body: bytes) -> bool:
        """Put a record into the mapped segment, or into the next one; False: that must be made first."""
        record = _record_of(body)
        if self._memory is None or self._at + len(record) > len(self._memory):
            if self._spare is None:
                return False
            self._end_segment()
            (self._current, self._memory), self._spare = self._spare, None
            self._wake.set()
        assert self._current is not None  # noqa: S101 - it has the memory
        self._memory.put(self._current.size, record)
        self._current.size += len(record)
        return True

    @property
    def _at(self) -> int:
        return 0 if self._current is None else self._current.size

    async def append(self, body: bytes) -> None:
        """``submit``, and wait for it."""
        await self.submit(body)

    async def rotate(self) -> list[Segment]:
        """Close the current segment; all closed ones, oldest first."""
        if self._current is not None and (self._mapped or self._task is None or self._task.done()):
            self._end_segment()  # no thread is at it
        elif self._current is not None:
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
        try:
            await (self._prepare_until_over() if self._mapped else self._write_until_over())
        except Exception:
            log.critical("spool.ended", folder=self._folder.name, exc_info=True)
        finally:  # for whatever reason: nothing may wait for what does not come
            self.broken |= not self._over
            self._fail(OSError(errno.ESHUTDOWN, "the spool is closed" if self._over else "nobody writes any more"))

    async def _write_until_over(self) -> None:
        while not self._over:
            self._wake.clear()
            if not self._waiting and not self._closing:
                await self._wake.wait()
            if self._over:
                return
            batch = list(self._waiting)
            error: Exception | None = None
            if batch:
                error = await self._try_to_write([body for body, _ in batch])
            del self._waiting[: len(batch)]
            self._waiting_octets -= sum(_RECORD_OCTETS + len(body) for body, _ in batch)
            self._tell(batch, error)
            if self._closing:
                self._end_segment()
            closing, self._closing = self._closing, []
            for closed in closing:
                if not closed.done():
                    closed.set_result(None)

    @staticmethod
    def _tell(batch: Sequence[tuple[bytes, Told]], error: Exception | None) -> None:
        for _, told in batch:
            try:
                told(error)
            except Exception:  # a fault of whoever is told keeps nobody else from hearing, and no record from the disk
                log.exception("spool.not_told")

    async def _try_to_write(self, bodies: list[bytes]) -> Exception | None:
        try:
            await asyncio.to_thread(self._write, b"".join(map(_record_of, bodies)))
        except Exception as exc:  # whoever waits must hear of it
            sparing.critical("spool.failed", self._folder, folder=self._folder.name, error=exc)
            return exc
        return None

    async def _prepare_until_over(self) -> None:
        """Have the next segment of a mapped spool there before it is needed, from the first record on; who was faster
        waits for it."""
        while not self._over:
            if not self._waiting:
                await self._wake.wait()
            self._wake.clear()
            error = None
            if self._spare is None and not self._over:
                error = await self._try_to_prepare()
            self._put_waiting(error)

    async def _try_to_prepare(self) -> OSError | None:
        try:
            self._spare = await asyncio.to_thread(self._new_memory)
        except OSError as exc:
            sparing.error("spool.no_segment", self._folder, folder=self._folder.name, error=exc)
            return exc
        return None

    def _put_waiting(self, error: OSError | None) -> None:
        waiting, self._waiting, self._waiting_octets = self._waiting, [], 0
        for n, (body, told) in enumerate(waiting):
            if error is None and not self._put(body):
                self._waiting = waiting[n:] + self._waiting  # before those whom the told ones have brought
                self._waiting_octets = sum(_RECORD_OCTETS + len(body) for body, _ in self._waiting)
                return
            self._tell([(body, told)], error)

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
            if os.pwrite(fd, self._first, 0) < len(self._first):
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
        self._current = Segment(path, number, len(self._first))

    def _new_memory(self) -> tuple[Segment, MappedFile]:
        number = self._last + 1
        path = self._folder / f"{number:012d}{SUFFIX}"
        memory = MappedFile(path, self._segment_bytes)
        self._last = number
        memory.put(0, _MAGIC)
        return Segment(path, number, len(_MAGIC)), memory

    def _end_segment(self) -> None:
        if self._current is not None:
            if self._memory is not None:
                self._memory.close()
                self._memory = None
            else:
                os.close(self._fd)
                self._fd = -1
            self._closed.append(self._current)
            self._current = None

    def _fail(self, error: Exception) -> None:
        waiting, self._waiting, self._waiting_octets = self._waiting, [], 0
        self._tell(waiting, error)
        closing, self._closing = self._closing, []
        for closed in closing:
            if not closed.done():
                closed.set_exception(error)
