"""The local journal: what was handed to a transport, and what was answered, across the death of the process.

Append-only segments of fixed, preallocated size (a full disk shows when a segment is made, not in the middle of one).
A record is length (u16), CRC-32 (u32), kind (u8), body. Kinds:

* WRITE  – parts that are about to be written to a carrier's socket: (id u64, part u16, attempt u16) each;
* NAME   – the carrier's ids of written parts where the sender makes them (SGIP), as MessagePack;
* ANSWER – one carrier answer: an ``Outcome`` as MessagePack;
* EPOCH  – a lease epoch whose claims are all recorded from here on; repeated at the head of every segment.

None is synced: page cache survives the process, and after a death of the operating system (other boot id) the
absence of a record proves nothing and the journal is not believed. Each segment starts with a header of magic, node
and boot id. A segment is deleted when the outcome of every part written in it is committed; those of the time before
this start, when recovery is.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from smsgw.core.model import Outcome

log = structlog.get_logger(__name__)

Key = tuple[int, int, int]
"""(message id, part, attempt)."""

SEGMENT_BYTES = 16 * 1024 * 1024
MAX_RECORD = 0xFFFF

_MAGIC = b"SMSGWJ01"
_HEADER = struct.Struct(">8sI36s")
_RECORD = struct.Struct(">HIB")
_KEY = struct.Struct(">QHH")
_U64 = struct.Struct(">Q")
_WRITE, _ANSWER, _EPOCH, _NAME = 1, 2, 3, 4
_KEYS_A_RECORD = (MAX_RECORD - 1) // _KEY.size

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Outcome)
_names = msgspec.msgpack.Decoder(list[tuple[int, int, int, str]])
_NAMES_A_RECORD = 500


class JournalFull(OSError):
    """No new segment can be made: stop handing parts to carriers until there is room."""


@dataclass(slots=True)
class Replay:
    """What the journal knows about parts that were claimed before this start, in this boot of the machine."""

    written: set[Key] = field(default_factory=set)
    answers: dict[Key, Outcome] = field(default_factory=dict)
    names: dict[Key, str] = field(default_factory=dict)
    """Carrier's ids of written parts, where they are ours to make; of an earlier boot of the machine as well."""
    epochs: set[int] = field(default_factory=set)
    """Claims under these epochs are fully recorded: without a WRITE record a part was certainly never written."""


@dataclass(slots=True)
class _Segment:
    path: Path
    number: int
    open_keys: int = 0
    """Parts written in it whose outcome is not committed yet."""
    before: bool = False
    """Of the time before this start, and recovery may still need it."""

    @property
    def needed(self) -> bool:
        return self.before or self.open_keys > 0


def boot_id() -> str:
    """Identity of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


class Journal:
    """Appends to the current segment. Not thread-safe: one event loop owns it."""

    def __init__(self, folder: Path, node: int, boot: str, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._node = node
        self._boot = boot
        self._segment_bytes = segment_bytes
        self._segments: list[_Segment] = []
        self._where: dict[Key, _Segment] = {}
        self._epochs: set[int] = set()
        self._fd = -1
        self._offset = 0
        self.full = False
        """Whether the last record could not be kept."""

    def open(self) -> Replay:
        """Read what is there, begin a new segment, and tell what is known of the time before.

        Old segments are kept until ``forget_before_start`` says that recovery is committed.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        replay = Replay()
        complete = True
        for path in sorted(self._folder.glob("*.journal")):
            self._segments.append(_Segment(path, int(path.stem), before=True))
            complete &= self._read(path, replay)
        if not complete:
            replay.epochs.clear()
            log.warning("journal.incomplete", reason="damaged: the absence of a record proves nothing")
        self._next_segment()
        return replay

    def own(self, epoch: int) -> None:
        """From here on every part that is written under this epoch is recorded."""
        self._epochs.add(epoch)
        self._append(_EPOCH, _U64.pack(epoch))

    def owns(self, epoch: int) -> bool:
        """Whether the claims under this epoch are recorded in this run."""
        return epoch in self._epochs

    def disown(self, epochs: Iterable[int]) -> None:
        """Nothing is claimed under these epochs any more."""
        self._epochs.difference_update(epochs)

    def forget_before_start(self) -> None:
        """Recovery is committed: what was written before this start is not needed any more."""
        for segment in self._segments:
            segment.before = False
        self._drop_unneeded()

    def write(self, keys: Sequence[Key]) -> None:
        """Record parts that are about to be handed to a transport. ``JournalFull`` when that cannot be recorded."""
        for start in range(0, len(keys), _KEYS_A_RECORD):
            chunk = keys[start : start + _KEYS_A_RECORD]
            self._append(_WRITE, b"".join(_KEY.pack(*key) for key in chunk))
            segment = self._segments[-1]
            segment.open_keys += len(chunk)
            for key in chunk:
                self._where[key] = segment

    def name(self, names: Sequence[tuple[Key, str]]) -> None:
        """Record under which ids the carrier will report on parts. A full disk is logged, not raised: only the report
        of a part whose answer is lost as well would not find it."""
        try:
            for start in range(0, len(names), _NAMES_A_RECORD):
                chunk = names[start : start + _NAMES_A_RECORD]
                self._append(_NAME, _encoder.encode([(*key, name) for key, name in chunk]))
        except JournalFull:
            log.error("journal.full", lost="name record")
        except OSError:
            log.exception("journal.failed", lost="name record")

    def answer(self, outcomes: Iterable[Outcome]) -> None:
        """Record what carriers have answered. A full disk is logged, not raised: the ledger is told anyway."""
        try:
            for outcome in outcomes:
                self._append(_ANSWER, _encoder.encode(outcome))
        except JournalFull:
            log.error("journal.full", lost="answer record")
        except OSError:
            log.exception("journal.failed", lost="answer record")

    def is_open(self, key: Key) -> bool:
        """Whether the part was written in this run and its outcome is not committed yet."""
        return key in self._where

    def open_keys(self) -> set[Key]:
        """The parts that were written in this run and whose outcome is not committed yet."""
        return set(self._where)

    def settled(self, keys: Iterable[Key]) -> None:
        """The outcomes of these parts are committed; segments without open parts go."""
        emptied = False
        for key in keys:
            segment = self._where.pop(key, None)
            if segment is not None:
                segment.open_keys -= 1
                emptied |= segment.open_keys == 0
        if emptied and len(self._segments) > 1:
            self._drop_unneeded()

    def _drop_unneeded(self) -> None:
        *old, current = self._segments
        for segment in old:
            if not segment.needed:
                segment.path.unlink(missing_ok=True)
        self._segments = [*(s for s in old if s.needed), current]

    def close(self) -> None:
        """Close; the segments stay."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, kind: int, body: bytes) -> None:
        record = _RECORD.pack(len(body) + 1, zlib.crc32(body, kind), kind) + body
        if self._fd < 0 or self._offset + len(record) > self._segment_bytes:
            self._next_segment()
        written = os.pwrite(self._fd, record, self._offset)
        if written != len(record):
            self.full = True
            raise JournalFull(errno.ENOSPC, "short write to the journal", str(self._segments[-1].path))
        self._offset += written
        self.full = False

    def _next_segment(self) -> None:
        number = self._segments[-1].number + 1 if self._segments else 1
        path = self._folder / f"{number:012d}.journal"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, self._segment_bytes)
        except OSError as exc:
            os.close(fd)
            path.unlink(missing_ok=True)
            self.full = True
            raise JournalFull(exc.errno, "cannot make a journal segment: disk full?", str(path)) from exc
        header = _HEADER.pack(_MAGIC, self._node, self._boot.encode("ascii"))
        os.pwrite(fd, header, 0)
        self.close()
        self._fd = fd
        self._offset = len(header)
        self._segments.append(_Segment(path, number))
        for epoch in sorted(self._epochs):
            self._append(_EPOCH, _U64.pack(epoch))

    def _read(self, path: Path, replay: Replay) -> bool:
        """Collect the records of one segment; False when it may have lost some that this boot has written."""
        data = path.read_bytes()
        header = data[: _HEADER.size]
        if not header.strip(b"\0"):
            return True  # killed while it was made: the header is written before any record
        if len(header) < _HEADER.size or not header.startswith(_MAGIC):
            return False
        _, node, boot = _HEADER.unpack(header)
        records, whole = _records(data, _HEADER.size)
        if node == self._node:
            self._read_names(records, replay)
        if (node, boot.decode("ascii", "replace")) != (self._node, self._boot):
            log.info("journal.foreign", segment=path.name, reason="of another boot or node: not believed")
            return True  # and its epochs are not this boot's: their parts stay unknown
        for kind, body in records:
            if kind == _WRITE:
                replay.written.update(_KEY.iter_unpack(body))
            elif kind == _ANSWER:
                try:
                    outcome = _decoder.decode(body)
                except msgspec.DecodeError:  # of another version: as if it had not been recorded
                    log.warning("journal.unreadable_answer", segment=path.name)
                    continue
                replay.answers[outcome.id, outcome.part, outcome.attempt] = outcome
            elif kind == _EPOCH:
                replay.epochs.update(_U64.unpack(body))
        if not whole:
            log.warning("journal.damaged", segment=path.name, records=len(records))
        return whole

    def _read_names(self, records: list[tuple[int, bytes]], replay: Replay) -> None:
        for kind, body in records:
            if kind == _NAME:
                try:
                    replay.names.update({(i, part, n): name for i, part, n, name in _names.decode(body)})
                except msgspec.DecodeError:
                    log.warning("journal.unreadable_name")


def _records(data: bytes, offset: int) -> tuple[list[tuple[int, bytes]], bool]:
    """The records up to the end or the first damage, and whether there was none."""
    records: list[tuple[int, bytes]] = []
    while offset + _RECORD.size <= len(data):
        length, crc, kind = _RECORD.unpack_from(data, offset)
        if length == 0:
            break
        start = offset + _RECORD.size
        body = data[start : start + length - 1]
        if len(body) != length - 1 or zlib.crc32(body, kind) != crc:
            return records, False
        records.append((kind, body))
        offset = start + length - 1
    return records, True
