"""The local journal: what it proves after a kill, and when it forgets."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
import structlog

from smsgw.core.model import Outcome, OutcomeKind
from smsgw.store.engine.journal import Journal, JournalFull, Replay, boot_id

NODE = 7
BOOT = "0" * 35 + "a"
OTHER_BOOT = "0" * 35 + "b"
KEY = (1 << 40, 1, 1)


def accepted(key: tuple[int, int, int], carrier_id: str = "c1") -> Outcome:
    return Outcome(*key, OutcomeKind.ACCEPTED, carrier_id=carrier_id)


def journal(folder: Path, *, node: int = NODE, boot: str = BOOT, size: int = 4096) -> Journal:
    return Journal(folder, node, boot, segment_bytes=size)


def begun(folder: Path, epoch: int | None = 5, **other: Any) -> Journal:
    """One that is open, for an epoch."""
    one = journal(folder, **other)
    one.open()
    if epoch is not None:
        one.own(epoch)
    return one


def reopened(folder: Path, **other: Any) -> Replay:
    """What a process that starts now would know (it leaves a segment of its own behind)."""
    one = journal(folder, **other)
    replay = one.open()
    one.close()
    return replay


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.journal"))


def test_what_was_written_and_answered_is_known_after_a_kill(tmp_path: Path) -> None:
    one = begun(tmp_path)
    one.write([KEY, (2, 1, 1)])
    one.answer([accepted(KEY)])
    # no close: the process is gone
    replay = reopened(tmp_path)
    assert replay.written == {KEY, (2, 1, 1)}
    assert (replay.answers, replay.epochs) == ({KEY: accepted(KEY)}, {5})


def test_ids_of_our_own_making_are_known_after_a_kill_and_after_a_crash_of_the_machine(tmp_path: Path) -> None:
    one = begun(tmp_path)
    keys = [(n, 1, 1) for n in range(1200)]
    one.write(keys)
    one.name([(key, f"{key[0]:030d}") for key in keys])
    replay = reopened(tmp_path)
    assert replay.names == {key: f"{key[0]:030d}" for key in keys}
    assert replay.written == set(keys)
    after_crash = reopened(tmp_path, boot=OTHER_BOOT)
    assert (after_crash.names, after_crash.written) == (replay.names, set())
    assert reopened(tmp_path, node=8).names == {}


def test_a_restart_in_the_middle_of_recovery_knows_it_again(tmp_path: Path) -> None:
    one = begun(tmp_path)
    one.write([KEY])
    one.answer([accepted(KEY)])
    two = begun(tmp_path, epoch=6)
    two.write([(9, 1, 1)])  # another channel is at work already, and settles
    two.settled([(9, 1, 1)])
    replay = reopened(tmp_path)
    assert (replay.answers, replay.epochs) == ({KEY: accepted(KEY)}, {5, 6})


def test_what_was_before_the_start_goes_when_recovery_is_committed(tmp_path: Path) -> None:
    one = begun(tmp_path, epoch=None)
    one.write([KEY])
    two = begun(tmp_path, epoch=None)
    two.forget_before_start()
    assert (len(files(tmp_path)), reopened(tmp_path).written) == (1, set())


def test_another_boot_is_not_believed_and_does_not_spoil_this_one(tmp_path: Path) -> None:
    journal(tmp_path, boot=OTHER_BOOT).open()
    old = begun(tmp_path, boot=OTHER_BOOT)
    old.write([KEY])
    old.answer([accepted(KEY)])
    begun(tmp_path, node=8).write([KEY])  # another node's is not believed, either
    new = journal(tmp_path)
    assert new.open() == Replay()
    new.own(6)
    new.write([(2, 1, 1)])
    replay = reopened(tmp_path)
    assert replay.written == {(2, 1, 1)}
    assert (replay.epochs, replay.answers) == ({6}, {})


def several(folder: Path, boot: str = BOOT) -> tuple[Journal, list[Path]]:
    """A run of six segments and one epoch, of which nothing is settled."""
    one = begun(folder, size=1024, boot=boot)
    n = 0
    while len(files(folder)) < 6:
        n += 1
        one.write([(n, 1, 1)])
    return one, files(folder)


def damaged(path: Path, at: int, octets: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[at : at + len(octets)] = octets
    path.write_bytes(data)


@pytest.mark.parametrize("segment", [0, 2, 5])
@pytest.mark.parametrize("damage", ["gone", "empty", "short", "blank", "hole", "tail", "flip", "header", "size"])
def test_after_damage_presence_counts_and_absence_does_not(tmp_path: Path, damage: str, segment: int) -> None:
    one, paths = several(tmp_path)
    written, path = one.open_keys(), paths[segment]
    whole, size, last = path.read_bytes(), path.stat().st_size, segment == 5
    used = len(whole.rstrip(b"\0"))
    match damage:
        case "gone":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "short":  # full to the last octet but few: its last record goes
            path.write_bytes(whole[: used - (used < size if last else 15)])
        case "blank":
            path.write_bytes(bytes(size))
        case "hole":
            damaged(path, 100, bytes(used - 101 if last else 100))
        case "tail":
            path.write_bytes(whole[:-1]) if last else damaged(path, 200, bytes(size - 200))
        case "flip":
            damaged(path, 150, bytes([whole[150] ^ 0x40]))
        case "header":
            damaged(path, 20, bytes([whole[20] ^ 1]))
        case _:
            damaged(path, 49, b"\x01")
    replay = reopened(tmp_path, size=1024)
    assert replay.epochs == set()
    assert replay.written <= written
    assert {key for key in written if one._where[key].path != path} <= replay.written
    assert reopened(tmp_path, size=1024).epochs == set()  # and a second start does not believe it either


def test_a_flipped_bit_is_found_wherever_it_is(tmp_path: Path) -> None:
    one = begun(tmp_path, size=512)
    one.write([KEY, (2, 1, 1)])
    one.answer([accepted(KEY)])
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    folder = tmp_path / "damaged"
    folder.mkdir()
    for at in range(len(whole)):
        bit = 1 << at % 8
        (folder / path.name).write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        replay = reopened(folder, size=512)
        assert replay.epochs == set(), (at, bit)
        assert replay.written <= {KEY, (2, 1, 1)}
        assert replay.answers in ({}, {KEY: accepted(KEY)})
        for left in files(folder):
            left.unlink()


def test_a_journal_says_how_much_of_it_is_damaged(tmp_path: Path) -> None:
    _, paths = several(tmp_path)
    damaged(paths[2], 150, b"\xff\xff")
    with structlog.testing.capture_logs() as logs:
        reopened(tmp_path, size=1024)
    (line,) = [entry for entry in logs if entry["event"] == "journal.damaged"]
    assert line["segment"] == paths[2].name
    assert 64 < line["at"] <= 150
    assert line["until"] == len(paths[2].read_bytes().rstrip(b"\0"))
    assert line["records"] > 1
    assert [entry["damaged"] for entry in logs if entry["event"] == "journal.not_whole"] == [[3]]


def test_a_kill_while_a_segment_is_begun_is_harmless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.pwrite, 0

    class Killed(BaseException):
        pass

    for last in range(1, 8):  # so many writes happen, the next one does not
        folder = tmp_path / str(last)
        one = begun(folder, size=1024)
        while one._offset + 19 + 15 <= 1024:
            one.write([(one._offset, 1, 1)])
        calls = 0

        def pwrite(fd: int, octets: bytes, at: int, last: int = last) -> int:
            nonlocal calls
            calls += 1
            if calls >= last:
                raise Killed
            return real(fd, octets, at)

        with monkeypatch.context() as patched:
            patched.setattr(os, "pwrite", pwrite)
            try:
                for n in range(2000, 2003):
                    one.write([(n, 1, 1)])
            except Killed:
                pass
        one.close()
        replay = reopened(folder, size=1024)
        assert replay.epochs == {5}, last
        assert replay.written >= one.open_keys()


def test_segments_that_have_gone_in_good_order_are_not_missed(tmp_path: Path) -> None:
    one, paths = several(tmp_path)
    keys = sorted(one.open_keys())
    middle = [key for key in keys if one._where[key].number in (2, 3, 5)]
    one.settled(middle)
    assert [path.exists() for path in paths] == [True, False, False, True, False, True]
    assert reopened(tmp_path, size=1024).epochs == {5}
    two = journal(tmp_path, size=1024)
    assert two.open().epochs == {5}
    two.forget_before_start()
    two.own(6)
    assert (len(files(tmp_path)), reopened(tmp_path, size=1024).epochs) == (1, {6})


def test_a_segment_of_the_version_before_is_read_and_proves_nothing(tmp_path: Path) -> None:
    body = struct.pack(">QHH", *KEY)
    record = struct.pack(">HIB", len(body) + 1, zlib.crc32(body, 1), 1) + body
    epoch = struct.pack(">Q", 5)
    record += struct.pack(">HIB", len(epoch) + 1, zlib.crc32(epoch, 3), 3) + epoch
    for boot, written in ((BOOT, {KEY}), (OTHER_BOOT, set())):
        folder = tmp_path / boot[-1]
        folder.mkdir()
        head = struct.pack(">8sI36s", b"SMSGWJ01", NODE, boot.encode())
        (folder / "000000000001.journal").write_bytes((head + record).ljust(4096, b"\0"))
        replay = reopened(folder)
        assert (replay.written, replay.epochs) == (written, set())
        two = begun(folder, epoch=None)
        two.forget_before_start()
        two.own(6)
        assert reopened(folder).epochs == {6}


def test_a_segment_that_was_only_just_made_holds_nothing_and_proves_nothing_wrong(tmp_path: Path) -> None:
    begun(tmp_path)
    (tmp_path / "000000000002.journal").write_bytes(bytes(4096))
    assert reopened(tmp_path).epochs == {5}


def test_segments_rotate_carry_the_epochs_on_and_go_when_settled(tmp_path: Path) -> None:
    one = begun(tmp_path, size=1024)
    keys = [(n, 1, 1) for n in range(1, 401)]
    for key in keys:
        one.write([key])
    assert len(files(tmp_path)) > 5
    assert one.open_keys() == set(keys)
    one.settled(keys[:399])
    assert len(files(tmp_path)) == 1
    assert one.is_open(keys[399])
    replay = reopened(tmp_path, size=1024)
    assert keys[399] in replay.written
    assert replay.epochs == {5}
    one.settled(keys[399:])
    assert not one.open_keys()


def test_more_keys_than_a_record_takes(tmp_path: Path) -> None:
    one = begun(tmp_path, size=1 << 20, epoch=None)
    keys = [(n, 1, 1) for n in range(12_000)]
    one.write(keys)
    assert reopened(tmp_path, size=1 << 20).written == set(keys)


def test_an_epoch_that_is_over_is_not_carried_on(tmp_path: Path) -> None:
    one = begun(tmp_path, size=1024, epoch=None)
    for epoch in range(1, 500):
        one.own(epoch)
        one.disown([epoch])
    one.own(500)
    assert one.owns(500)
    assert not one.owns(499)
    one.write([KEY])


def test_a_full_disk_stops_writes_and_loses_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = begun(tmp_path, epoch=None, size=1024)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.posix_fallocate", full)
        with pytest.raises(JournalFull):
            one.write([(n, 1, 1) for n in range(100)])
        one.answer([accepted((n, 1, 1), "x" * 100) for n in range(10)])  # logged, not raised
    one.write([KEY])
    assert KEY in reopened(tmp_path, size=1024).written
    assert (len(boot_id()), boot_id()) == (36, boot_id())
