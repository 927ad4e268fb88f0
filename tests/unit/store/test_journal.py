"""The local journal: what it proves after a kill, and when it forgets."""

from __future__ import annotations

from pathlib import Path

import pytest

from smsgw.core.model import Outcome, OutcomeKind
from smsgw.store.journal import Journal, JournalFull, Replay, boot_id

NODE = 7
BOOT = "0" * 35 + "a"
OTHER_BOOT = "0" * 35 + "b"
KEY = (1 << 40, 1, 1)


def accepted(key: tuple[int, int, int], carrier_id: str = "c1") -> Outcome:
    return Outcome(*key, OutcomeKind.ACCEPTED, carrier_id=carrier_id)


def journal(folder: Path, *, node: int = NODE, boot: str = BOOT, size: int = 4096) -> Journal:
    return Journal(folder, node, boot, segment_bytes=size)


def reopened(folder: Path, **other: object) -> Replay:
    """What a process that starts now would know (it leaves a segment of its own behind)."""
    one = journal(folder, **other)  # type: ignore[arg-type]
    replay = one.open()
    one.close()
    return replay


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.journal"))


def test_what_was_written_and_answered_is_known_after_a_kill(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.open()
    one.own(5)
    one.write([KEY, (2, 1, 1)])
    one.answer([accepted(KEY)])
    # no close: the process is gone
    replay = reopened(tmp_path)
    assert replay.written == {KEY, (2, 1, 1)}
    assert replay.answers == {KEY: accepted(KEY)}
    assert replay.epochs == {5}


def test_ids_of_our_own_making_are_known_after_a_kill_and_after_a_crash_of_the_machine(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.open()
    one.own(5)
    keys = [(n, 1, 1) for n in range(1200)]
    one.write(keys)
    one.name([(key, f"{key[0]:030d}") for key in keys])
    replay = reopened(tmp_path)
    assert replay.names == {key: f"{key[0]:030d}" for key in keys}
    assert replay.written == set(keys)
    after_crash = reopened(tmp_path, boot=OTHER_BOOT)
    assert after_crash.names == replay.names
    assert after_crash.written == set()
    assert reopened(tmp_path, node=8).names == {}


def test_a_restart_in_the_middle_of_recovery_knows_it_again(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.open()
    one.own(5)
    one.write([KEY])
    one.answer([accepted(KEY)])
    two = journal(tmp_path)
    two.open()
    two.own(6)
    two.write([(9, 1, 1)])  # another channel is at work already, and settles
    two.settled([(9, 1, 1)])
    replay = reopened(tmp_path)
    assert replay.answers == {KEY: accepted(KEY)}
    assert replay.epochs == {5, 6}


def test_what_was_before_the_start_goes_when_recovery_is_committed(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.open()
    one.write([KEY])
    two = journal(tmp_path)
    two.open()
    two.forget_before_start()
    assert len(files(tmp_path)) == 1
    assert reopened(tmp_path).written == set()


def test_another_boot_is_not_believed_and_does_not_spoil_this_one(tmp_path: Path) -> None:
    journal(tmp_path, boot=OTHER_BOOT).open()
    old = journal(tmp_path, boot=OTHER_BOOT)
    old.open()
    old.own(5)
    old.write([KEY])
    old.answer([accepted(KEY)])
    new = journal(tmp_path)
    assert new.open() == Replay()
    new.own(6)
    new.write([(2, 1, 1)])
    replay = reopened(tmp_path)
    assert replay.written == {(2, 1, 1)}
    assert replay.epochs == {6}
    assert replay.answers == {}


def test_another_nodes_journal_is_not_believed(tmp_path: Path) -> None:
    one = journal(tmp_path, node=8)
    one.open()
    one.own(5)
    one.write([KEY])
    assert reopened(tmp_path) == Replay()


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_after_damage_presence_counts_and_absence_does_not(tmp_path: Path, damage: str) -> None:
    one = journal(tmp_path)
    one.open()
    one.own(5)
    one.write([KEY])
    first_end = one._offset
    one.write([(2, 1, 1)])
    path = files(tmp_path)[0]
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[first_end + 9] ^= 0x40
        path.write_bytes(data)
    else:
        path.write_bytes(data[: first_end + 9])
    replay = reopened(tmp_path)
    assert replay.written == {KEY}
    assert replay.epochs == set()


def test_a_destroyed_header_makes_absence_worthless(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.open()
    one.own(5)
    path = files(tmp_path)[0]
    path.write_bytes(b"\xff" + path.read_bytes()[1:])
    two = journal(tmp_path)
    two.open()
    two.own(6)
    assert reopened(tmp_path).epochs == set()


def test_a_segment_that_was_only_just_made_holds_nothing_and_proves_nothing_wrong(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.open()
    one.own(5)
    (tmp_path / "000000000002.journal").write_bytes(bytes(4096))
    assert reopened(tmp_path).epochs == {5}


def test_segments_rotate_carry_the_epochs_on_and_go_when_settled(tmp_path: Path) -> None:
    one = journal(tmp_path, size=256)
    one.open()
    one.own(5)
    keys = [(n, 1, 1) for n in range(1, 101)]
    for key in keys:
        one.write([key])
    assert len(files(tmp_path)) > 5
    assert one.open_keys() == set(keys)
    one.settled(keys[:99])
    assert len(files(tmp_path)) == 1
    assert one.is_open(keys[99])
    replay = reopened(tmp_path, size=256)
    assert keys[99] in replay.written
    assert replay.epochs == {5}
    one.settled(keys[99:])
    assert not one.open_keys()


def test_a_segment_in_the_middle_goes_while_an_older_one_stays(tmp_path: Path) -> None:
    one = journal(tmp_path, size=256)
    one.open()
    keys = [(n, 1, 1) for n in range(1, 61)]
    for key in keys:
        one.write([key])
    before = len(files(tmp_path))
    one.settled(keys[1:])
    left = files(tmp_path)
    assert 2 <= len(left) < before
    assert reopened(tmp_path, size=256).written >= {keys[0]}


def test_more_keys_than_a_record_takes(tmp_path: Path) -> None:
    one = journal(tmp_path, size=1 << 20)
    one.open()
    keys = [(n, 1, 1) for n in range(12_000)]
    one.write(keys)
    assert reopened(tmp_path, size=1 << 20).written == set(keys)


def test_an_epoch_that_is_over_is_not_carried_on(tmp_path: Path) -> None:
    one = journal(tmp_path, size=256)
    one.open()
    for epoch in range(1, 500):
        one.own(epoch)
        one.disown([epoch])
    one.own(500)
    assert one.owns(500)
    assert not one.owns(499)
    one.write([KEY])


def test_a_full_disk_stops_writes_and_loses_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = journal(tmp_path, size=256)
    one.open()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(JournalFull):
        one.write([(n, 1, 1) for n in range(100)])
    one.answer([accepted((n, 1, 1), "x" * 100) for n in range(10)])  # logged, not raised
    monkeypatch.undo()
    one.write([KEY])
    assert KEY in reopened(tmp_path, size=256).written


def test_the_boot_has_an_identity() -> None:
    assert len(boot_id()) == 36
    assert boot_id() == boot_id()
