"""The local journal: what was handed to a transport, and what was answered, across the death of the process.

Append-only segments of fixed, preallocated size (a full disk shows when a segment is made, not in the middle of one).
A segment starts with a header: magic, node, boot id, its size, the first segment of this run, CRC-32. A record is
length (u16), CRC-32 (u32), kind (u8), body. Kinds:

* WRITE  – parts that are about to be written to a carrier's socket: (id u64, part u16, attempt u16) each;
* NAME   – the carrier's ids of written parts where the sender makes them (SGIP), as MessagePack;
* ANSWER – one carrier answer: an ``Outcome`` as MessagePack;
* EPOCH  – a lease epoch whose claims are all recorded from here on; repeated at the head of every segment;
* LIVE   – the first record of a segment: the numbers of the older ones that were still needed when it was made;
* DROP   – the numbers of segments that are about to be deleted, in the newest one;
* NEXT   – the last record of a segment: a newer one is used from here on.

None is synced: page cache survives the process, and after a death of the operating system (other boot id) the
absence of a record proves nothing and the journal is not believed. Nor is it when something of it is gone: LIVE, DROP
and NEXT tell which segments must be there and which were full, the header how long each is, and behind the last record
all is zero. A segment is deleted when the outcome of every part written in it is committed; those of the time before
this start, when recovery is.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import structlog

from smsgw.core.model import Outcome
from smsgw.runtime import failpoints

log = structlog.get_logger(__name__)

Key = tuple[int, int, int]
"""(message id, part, attempt)."""

SEGMENT_BYTES = 16 * 1024 * 1024
MAX_RECORD = 0xFFFF

_MAGIC = b"SMSGWJ02"
_OLD_MAGIC = b"SMSGWJ01"
"""Of a version that did not say which segments belong together: it is read, and proves nothing by what it lacks."""
_HEADER = struct.Struct(">8sI36sIQ")
_OLD_HEADER = struct.Struct(">8sI36s")
_CRC = struct.Struct(">I")
_RECORD = struct.Struct(">HIB")
_KEY = struct.Struct(">QHH")
_U64 = struct.Struct(">Q")
_WRITE, _ANSWER, _EPOCH, _NAME, _LIVE, _DROP, _NEXT = 1, 2, 3, 4, 5, 6, 7
_NEXT_BYTES = _RECORD.size + _U64.size
"""Room that is kept at the end of a segment."""
_NUMBERS_A_RECORD = (MAX_RECORD - 1) // _U64.size
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

    def and_of(self, others: Iterable[Replay]) -> Replay:
        """What this journal and those of others know together."""
        every = [self, *others]
        if len(every) == 1:
            return self
        return Replay(
            set().union(*(one.written for one in every)),
            {key: outcome for one in every for key, outcome in one.answers.items()},
            {key: name for one in every for key, name in one.names.items()},
            set().union(*(one.epochs for one in every)),
        )


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


def node_of(folder: Path) -> int:
    """The node number that the newest segment of a folder is of; 0 when there is none."""
    for path in sorted(folder.glob("*.journal"), reverse=True):
        with path.open("rb") as file:
            header = _header(file.read(_HEADER.size + _CRC.size))
        if header is not None:
            return header.node
    return 0


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
        self._run = 1
        """Number of the first segment that this process has made."""
        self._fd = -1
        self._offset = 0
        self.full = False
        """Whether the last record could not be kept."""

    def open(self) -> Replay:
        """Read what is there, begin a new segment, and tell what is known of the time before.

        Old segments are kept until ``forget_before_start`` says that recovery is committed.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        paths = sorted(self._folder.glob("*.journal"))
        replay, reads = self._look(paths)
        self._segments = [_Segment(path, int(path.stem), before=True) for path in paths]
        if not _complete(reads):
            replay.epochs.clear()
            # A start in the middle of recovery must not believe it either: it will miss this one, which never is.
            self._segments.insert(0, _Segment(self._folder / "0.journal", 0, before=True))
            log.warning("journal.incomplete", reason="the absence of a record proves nothing")
        self._run = reads[-1].number + 1 if reads else 1
        self._next_segment()
        return replay

    def look(self) -> Replay:
        """What is known of the time before, while nobody writes here; it stays as it is."""
        replay, reads = self._look(sorted(self._folder.glob("*.journal")))
        if not _complete(reads):
            replay.epochs.clear()
        return replay

    def _look(self, paths: Sequence[Path]) -> tuple[Replay, list[_Read]]:
        replay = Replay()
        reads = []
        for path in paths:
            read = self._read(path)
            self._believe(read, replay)
            reads.append(replace(read, records=[r for r in read.records if r[0] in (_LIVE, _DROP, _NEXT)]))
        return replay, reads

    def own(self, epoch: int) -> None:
        """From here on every part that is written under this epoch is recorded."""
        self._append(_EPOCH, _U64.pack(epoch))
        self._epochs.add(epoch)

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
        """Record what carriers have answered. A full disk is logged, not raised: the database is told anyway."""
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
        gone = [s for s in self._segments[:-1] if not s.needed]
        try:
            for start in range(0, len(gone), _NUMBERS_A_RECORD):
                numbers = [s.number for s in gone[start : start + _NUMBERS_A_RECORD]]
                self._append(_DROP, _numbers(numbers))
        except OSError as exc:  # it goes with the next one
            log.warning("journal.not_dropped", segments=len(gone), error=str(exc))
            return
        for segment in gone:
            segment.path.unlink(missing_ok=True)
        self._segments = [s for s in self._segments if s not in gone]

    def close(self) -> None:
        """Close; the segments stay."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, kind: int, body: bytes) -> None:
        record = _record(kind, body)
        if self._fd < 0 or self._offset + len(record) + _NEXT_BYTES > self._segment_bytes:
            self._next_segment()
        self._put(record)

    def _put(self, octets: bytes) -> None:
        written = os.pwrite(self._fd, octets, self._offset)
        if written != len(octets):
            self.full = True
            raise JournalFull(errno.ENOSPC, "short write to the journal", str(self._segments[-1].path))
        self._offset += written
        self.full = False

    def _next_segment(self) -> None:
        """Make a segment with its head, then say in the last one that it is used."""
        failpoints.reach("journal.segment")
        number = self._segments[-1].number + 1 if self._segments else 1
        path = self._folder / f"{number:012d}.journal"
        head = self._head()
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, self._segment_bytes)
            if os.pwrite(fd, head, 0) != len(head):
                raise OSError(errno.ENOSPC, "short write")
            if self._fd >= 0:
                self._put(_record(_NEXT, _U64.pack(number)))
        except OSError as exc:
            os.close(fd)
            path.unlink(missing_ok=True)
            self.full = True
            raise JournalFull(exc.errno, "cannot make a journal segment: disk full?", str(path)) from exc
        self.close()
        self._fd = fd
        self._offset = len(head)
        self._segments.append(_Segment(path, number))

    def _head(self) -> bytes:
        header = _HEADER.pack(_MAGIC, self._node, self._boot.encode("ascii"), self._segment_bytes, self._run)
        live = [s.number for s in self._segments]
        records = [
            _record(_LIVE, _numbers(live[start : start + _NUMBERS_A_RECORD]))
            for start in range(0, max(1, len(live)), _NUMBERS_A_RECORD)
        ]
        records += [_record(_EPOCH, _U64.pack(epoch)) for epoch in sorted(self._epochs)]
        return b"".join((header, _CRC.pack(zlib.crc32(header)), *records))

    # --- reading -----------------------------------------------------------------------------------------------

    def _read(self, path: Path) -> _Read:
        """The records of one segment, up to its end or the first damage."""
        number = int(path.stem)
        try:
            data = path.read_bytes()
        except OSError as exc:
            log.warning("journal.unreadable", segment=path.name, error=str(exc))
            return _Read(number, sound=False)
        if not data.strip(b"\0"):
            return _Read(number, blank=True)
        header = _header(data)
        if header is None:
            log.warning("journal.damaged", segment=path.name, records=0, at=0, until=len(data.rstrip(b"\0")))
            return _Read(number, sound=False)
        if header.node != self._node:
            log.info("journal.foreign", segment=path.name, reason="of another node: not believed")
            return _Read(number)
        records, end, sound = _records(data, header.length)
        if header.boot != self._boot:
            # Its epochs are not believed, so what it lacks does not matter; the ids that it gives stay true.
            log.info("journal.foreign", segment=path.name, reason="of another boot: not believed")
            return _Read(number, records)
        if not sound or len(data) < header.size:
            until = max(header.size if sound else 0, len(data.rstrip(b"\0")))
            log.warning("journal.damaged", segment=path.name, records=len(records), at=end, until=until)
            sound = False
        used = any(kind not in (_LIVE, _EPOCH) for kind, _ in records)
        return _Read(number, records, sound=sound and header.size > 0, ours=True, run=header.run, used=used)

    def _believe(self, read: _Read, replay: Replay) -> None:
        """Take up what a segment knows."""
        for kind, body in read.records:
            try:
                if kind == _NAME:
                    replay.names.update({(i, part, n): name for i, part, n, name in _names.decode(body)})
                elif not read.ours:
                    continue
                elif kind == _WRITE:
                    replay.written.update(_KEY.iter_unpack(body))
                elif kind == _ANSWER:
                    outcome = _decoder.decode(body)
                    replay.answers[outcome.id, outcome.part, outcome.attempt] = outcome
                elif kind == _EPOCH:
                    replay.epochs.update(_U64.unpack(body))
            except msgspec.DecodeError:  # of another version: as if it had not been recorded
                log.warning("journal.unreadable_record", kind=kind)


@dataclass(frozen=True, slots=True)
class _Read:
    """What was found in a segment."""

    number: int
    records: list[tuple[int, bytes]] = field(default_factory=list)
    sound: bool = True
    """Its header, its length and its records up to the end are as they were written, or do not matter."""
    ours: bool = False
    """Of this node in this boot of the machine."""
    run: int = 0
    used: bool = False
    """There is more in it than its head."""
    blank: bool = False
    """Nothing was written in it: killed while it was made, for its head is written before it is used."""

    def ends(self) -> bool:
        """Whether it says that a newer one was used after it."""
        return bool(self.records) and self.records[-1][0] == _NEXT

    def numbers(self, *kinds: int) -> set[int]:
        """Segments that its records of these kinds name."""
        return {n for kind, body in self.records if kind in kinds for (n,) in _U64.iter_unpack(body)}


def _complete(reads: Sequence[_Read]) -> bool:
    """Whether nothing that this boot has written can be missing."""
    ours = [read for read in reads if read.ours]
    last_used = {read.run: read.number for read in ours if read.used}
    suspect = [
        read.number
        for before, read in zip((None, *reads), reads, strict=False)
        if not read.sound
        or (read.ours and not (read.records and read.records[0][0] == _LIVE))
        or (read.ours and last_used.get(read.run, 0) > read.number and not read.ends())
        or (read.blank and (any(r.run <= read.number < r.number for r in ours) or (before and before.ends())))
    ]
    newest = ours[-1] if ours else _Read(0)
    wanted = newest.numbers(_LIVE, _NEXT) - newest.numbers(_DROP)
    missing = sorted(wanted - {read.number for read in reads})
    if suspect or missing:
        log.warning("journal.not_whole", damaged=suspect[:20], missing=missing[:20])
    return not (suspect or missing)


@dataclass(frozen=True, slots=True)
class _Header:
    node: int
    boot: str
    size: int
    """Octets of the segment; 0: of a version that did not say."""
    run: int
    length: int


def _record(kind: int, body: bytes) -> bytes:
    return _RECORD.pack(len(body) + 1, zlib.crc32(body, kind), kind) + body


def _numbers(numbers: Iterable[int]) -> bytes:
    return b"".join(map(_U64.pack, numbers))


def _header(data: bytes) -> _Header | None:
    """What a segment says of itself; None when that is damaged."""
    if data.startswith(_OLD_MAGIC) and len(data) >= _OLD_HEADER.size:
        _, node, boot = _OLD_HEADER.unpack_from(data)
        return _Header(node, boot.decode("ascii", "replace"), 0, 0, _OLD_HEADER.size)
    end = _HEADER.size + _CRC.size
    if not data.startswith(_MAGIC) or len(data) < end:
        return None
    if _CRC.unpack_from(data, _HEADER.size)[0] != zlib.crc32(data[: _HEADER.size]):
        return None
    _, node, boot, size, run = _HEADER.unpack_from(data)
    return _Header(node, boot.decode("ascii", "replace"), size, run, end)


def _records(data: bytes, offset: int) -> tuple[list[tuple[int, bytes]], int, bool]:
    """The records up to the end or the first damage, where that is, and whether it is the end."""
    records: list[tuple[int, bytes]] = []
    while offset + _RECORD.size <= len(data):
        length, crc, kind = _RECORD.unpack_from(data, offset)
        if length == 0:
            break
        start = offset + _RECORD.size
        body = data[start : start + length - 1]
        if len(body) != length - 1 or zlib.crc32(body, kind) != crc or not _WRITE <= kind <= _NEXT:
            return records, offset, False
        records.append((kind, body))
        offset = start + length - 1
    return records, offset, not data[offset:].strip(b"\0")
