"""The spool, on disk and in memory: what was acknowledged is read back, and its limits hold."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import signal
import subprocess
import sys
import threading
import zlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

import pytest

from smsgw.runtime import aio
from smsgw.store.engine import mapped
from smsgw.store.engine.mapped import MappedFile
from smsgw.store.engine.spool import PIECE, Reader, Segment, Spool, SpoolFull


@contextlib.asynccontextmanager
async def opened(
    folder: Path, *, limit: int = 1 << 20, segment: int = 1 << 12, mapped: bool = False
) -> AsyncIterator[Spool]:
    spool = Spool(folder, limit=limit, segment_bytes=segment, mapped=mapped)
    await spool.open()
    try:
        yield spool
    finally:
        await spool.close()


async def records(reader: Reader) -> list[bytes]:
    found: list[bytes] = []
    while bodies := await reader.read():
        found += bodies
    return found


async def everything(spool: Spool) -> list[bytes]:
    found: list[bytes] = []
    for segment in await spool.rotate():
        reader = Reader(segment, 1000)
        while bodies := await reader.read():
            found += bodies
        assert not reader.unreadable
    return found


async def test_what_was_appended_is_there_after_a_restart_in_order(tmp_path: Path) -> None:
    bodies = [b"%d" % n * 100 for n in range(200)]
    async with opened(tmp_path) as spool:
        assert spool.empty
        for start in range(0, 200, 50):
            await asyncio.gather(*(spool.append(body) for body in bodies[start : start + 50]))
        assert not spool.empty
    async with opened(tmp_path) as spool:
        assert await everything(spool) == bodies
        assert len(list(tmp_path.glob("*.spool"))) > 1
        await spool.append(b"later")
        assert (await everything(spool))[-1] == b"later"
        for segment in await spool.rotate():
            await spool.remove(segment)
        assert spool.empty
        assert spool.size == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [
    lambda data: data[:-20], lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: data[:-155] + b"\0" * 155,
], ids=["cut", "flip", "zeros"])  # fmt: skip
async def test_a_torn_end_is_left_out_and_nothing_before_it(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    async with opened(tmp_path) as spool:
        for body in (b"one" * 50, b"two" * 50, b"three" * 50):
            await spool.append(body)
    (path,) = tmp_path.glob("*.spool")
    path.write_bytes(damage(path.read_bytes()))
    async with opened(tmp_path) as spool:
        (segment,) = await spool.rotate()
        reader = Reader(segment)
        assert await records(reader) == [b"one" * 50, b"two" * 50]
        assert reader.torn


@pytest.mark.parametrize("seed", range(20))
async def test_damage_costs_the_records_it_is_in_and_no_others(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - chance, not a secret
    bodies = [b"%d\xff\xfe\xff\n" % n * chance.randrange(1, 2000) for n in range(200)]
    async with opened(tmp_path, limit=1 << 24, segment=1 << 24) as spool:
        await asyncio.gather(*(spool.append(body) for body in bodies))
        (segment,) = await spool.rotate()
        data = bytearray(segment.path.read_bytes())
        starts = [8]
        for body in bodies:
            starts.append(starts[-1] + 12 + len(body))
        hurt = {chance.randrange(200) for _ in range(5)}
        for n in hurt:  # anywhere in the record: its mark, its length, its sum, its body
            data[chance.choice([starts[n] + chance.randrange(12), chance.randrange(*starts[n : n + 2])])] ^= (
                1 << chance.randrange(8)
            )
        segment.path.write_bytes(data)
        reader = Reader(segment)
        assert await records(reader) == [body for n, body in enumerate(bodies) if n not in hurt]
        assert not reader.torn
        lost = {n for n in range(200) for begin, end in reader.unreadable if begin <= starts[n] < end}
        assert lost == hurt


async def test_what_an_earlier_program_has_left_is_read(tmp_path: Path) -> None:
    bodies = [b"one" * 50, b"two" * 50, b"three" * 50]
    records_then = [len(b).to_bytes(4, "big") + zlib.crc32(b).to_bytes(4, "big") + b for b in bodies]
    (tmp_path / "000000000001.spool").write_bytes(b"SMSGWS01" + b"".join(records_then))
    (tmp_path / "000000000002.spool").write_bytes(b"SMSGWS01" + records_then[0] + b"?" + records_then[1])
    async with opened(tmp_path) as spool:
        await spool.append(b"new")
        first, second, third = map(Reader, await spool.rotate())
        assert await records(first) == bodies
        assert not first.unreadable
        assert await records(second) == bodies[:1]
        assert second.unreadable == [(8 + len(records_then[0]), second.segment.size)]
        assert await records(third) == [b"new"]


async def test_a_segment_is_read_in_pieces_and_a_header_can_be_damaged(tmp_path: Path) -> None:
    bodies = [bytes([n]) * (PIECE // 3) for n in range(1, 12)]
    async with opened(tmp_path, limit=1 << 24, segment=1 << 24) as spool:
        for body in bodies:
            await spool.append(body)
        (segment,) = await spool.rotate()
        reader = Reader(segment)
        assert [len(await reader.read()) for _ in range(5)] == [4, 4, 3, 0, 0]
        data = bytearray(segment.path.read_bytes())
        data[3] ^= 1
        segment.path.write_bytes(data)
        reader = Reader(segment)
        assert await records(reader) == bodies
        assert reader.unreadable == [(0, 8)]


async def test_each_segment_begins_with_what_says_how_it_is_read(tmp_path: Path) -> None:
    bodies = [b"%d" % n * 100 for n in range(1, 9)]
    spool = Spool(tmp_path, limit=1 << 20, segment_bytes=256, header=b"columns")
    await spool.open()
    for body in bodies:
        await spool.append(body)
    await spool.close()
    left = [*bodies]
    async with opened(tmp_path) as spool:
        segments = await spool.rotate()
        assert len(segments) > 2
        in_first = len(await records(Reader(segments[0])))
        for segment in segments:
            reader = Reader(segment, 100)
            read = await records(reader)
            assert (reader.header, read) == (b"columns", left[: len(read)])
            del left[: len(read)]
        assert not left
        data = bytearray(segments[0].path.read_bytes())
        data[25] ^= 1
        segments[0].path.write_bytes(data)
        reader = Reader(segments[0])
        assert await records(reader) == bodies[:in_first]
        assert (reader.header, reader.unreadable) == (b"", [(8, 8 + 12 + len(b"columns"))])


async def test_whoever_hands_over_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Exception | None] = []
    spool = Spool(tmp_path, limit=1 << 20)
    await spool.open()
    spool.hand_over(b"first", told.append)
    await spool.append(b"second")
    assert told == [None]

    def failing(*_: object) -> int:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", failing)
        spool.hand_over(b"third", told.append)
        with pytest.raises(OSError, match="broken"):
            await spool.append(b"fourth")
    assert [getattr(one, "errno", None) for one in told] == [None, errno.EIO]
    spool.hand_over(b"fifth", told.append)  # and is closed before it is written
    await spool.close()
    assert [getattr(one, "errno", None) for one in told] == [None, errno.EIO, errno.ESHUTDOWN]


async def test_who_fails_on_being_told_ends_nothing(tmp_path: Path) -> None:
    def fails(_: Exception | None) -> None:
        raise RuntimeError("not our fault")

    async with opened(tmp_path) as spool:
        spool.hand_over(b"first", fails)
        async with asyncio.timeout(10):
            await spool.append(b"second")
            await spool.append(b"third")
            assert await everything(spool) == [b"first", b"second", b"third"]


async def test_when_nobody_writes_any_more_all_hear_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason: who waits is told, nothing more is taken, and what was written can be read."""
    async with opened(tmp_path) as spool:
        await spool.append(b"kept")

        def fail() -> None:
            raise OSError(errno.EIO, "the file cannot be closed")

        async with asyncio.timeout(10):
            with monkeypatch.context() as patch:
                patch.setattr(spool, "_end_segment", fail)
                with pytest.raises(OSError, match="nobody writes"):
                    await spool.rotate()
            assert spool.broken
            with pytest.raises(OSError, match="failed"):
                await spool.append(b"late")
            assert await everything(spool) == [b"kept"]


async def test_a_write_under_way_ends_before_the_spool_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for it hears what became of it, and its file is open until then, also where whoever closes gives up."""
    spool = Spool(tmp_path, limit=1 << 20)
    await spool.open()
    await spool.append(b"first")
    write, begun, go_on = spool._write, threading.Event(), threading.Event()

    def slow(data: bytes) -> None:
        begun.set()
        go_on.wait(30)
        write(data)

    monkeypatch.setattr(spool, "_write", slow)
    told: list[Exception | None] = []
    spool.hand_over(b"second", told.append)
    assert await asyncio.to_thread(begun.wait, 10)
    spool.hand_over(b"third", told.append)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await spool.close()
    assert told == []
    closing = aio.spawn(spool.close(), name="closing")
    await asyncio.sleep(0)
    go_on.set()
    await closing
    assert [getattr(one, "errno", None) for one in told] == [None, errno.ESHUTDOWN]
    assert not spool.broken
    with pytest.raises(OSError, match="closed"):
        spool.hand_over(b"fourth", told.append)
    async with opened(tmp_path) as again:
        assert await everything(again) == [b"first", b"second"]


async def test_a_segment_can_be_closed_while_records_go_on_coming(tmp_path: Path) -> None:
    async with opened(tmp_path, limit=1 << 24, segment=1 << 24) as spool:
        stop, more = asyncio.Event(), asyncio.Event()

        async def go_on(n: int) -> int:
            done = 0
            while not stop.is_set():
                await spool.append(b"%d/%d" % (n, done))
                done += 1
                more.set()
            return done

        writing = [aio.spawn(go_on(n), name="append") for n in range(10)]
        seen: list[Segment] = []
        for _ in range(5):
            more.clear()
            await more.wait()  # a segment without records is not closed
            seen = await asyncio.wait_for(spool.rotate(), 30)
        stop.set()
        done = sum(await asyncio.gather(*writing))
        assert len(seen) >= 4
        assert len(await everything(spool)) == done


async def test_no_room_for_a_segment_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with opened(tmp_path) as spool:
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwrite", full)
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(5):
                with pytest.raises(OSError, match="No space"):
                    await spool.append(b"x")
            assert len(os.listdir("/proc/self/fd")) == before
        assert not list(tmp_path.iterdir())
        await spool.append(b"now")
        assert await everything(spool) == [b"now"]


async def test_the_limit_counts_what_is_there_already(tmp_path: Path) -> None:
    async with opened(tmp_path, limit=5000) as spool:
        for _ in range(4):
            await spool.append(b"x" * 1000)
        with pytest.raises(SpoolFull):
            await spool.append(b"x" * 1000)
        await spool.append(b"x" * 500)
    async with opened(tmp_path, limit=5000) as spool:
        with pytest.raises(SpoolFull):
            await spool.append(b"x" * 1000)


async def test_after_a_failed_sync_nothing_is_taken_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "the disk is dying")

    async with opened(tmp_path) as spool:
        await spool.append(b"good")
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", fail)
            with pytest.raises(OSError, match="dying"):
                await spool.append(b"lost")
        assert spool.broken
        with pytest.raises(OSError, match="failed"):
            await spool.append(b"late")
        assert await everything(spool) == [b"good"]


SEGMENT = 1 << 14
WRITER = """
import asyncio, os, signal, sys
from pathlib import Path
from smsgw.store.engine.spool import Spool

async def main() -> None:
    spool = Spool(Path(sys.argv[1]), limit=1 << 24, segment_bytes=1 << 14, mapped=True)
    await spool.open()
    for n in range(1000):
        await spool.append(b"%d" % n * 10)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


mapped_in = partial(opened, limit=1 << 22, segment=SEGMENT, mapped=True)


async def ready(spool: Spool) -> None:
    async with asyncio.timeout(10):
        while spool._spare is None:  # noqa: ASYNC110 - a thread makes it
            await asyncio.sleep(0.001)


async def test_a_record_is_kept_before_anybody_waits(tmp_path: Path) -> None:
    told: list[Exception | None] = []
    async with mapped_in(tmp_path) as spool:
        assert spool.empty
        await spool.append(b"very first")  # no segment is made for those who keep nothing
        await ready(spool)
        spool.hand_over(b"first", told.append)
        assert told == [None]
        assert b"first" in b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert not spool.empty
        assert await everything(spool) == [b"very first", b"first"]
        spool.hand_over(b"second", told.append)  # the next segment was at hand
        assert told == [None, None]
        assert await everything(spool) == [b"very first", b"first", b"second"]


async def test_segments_follow_each_other_and_nothing_is_lost_between(tmp_path: Path) -> None:
    bodies = [b"%d" % n * 200 for n in range(500)]
    async with mapped_in(tmp_path) as spool:
        await asyncio.gather(*map(spool.submit, bodies[:250]))  # faster than segments are made
        for body in bodies[250:]:
            await spool.append(body)
        assert await everything(spool) == bodies
        assert len(list(tmp_path.glob("*.spool"))) > 10
        for segment in await spool.rotate():
            await spool.remove(segment)
        assert spool.empty


async def test_a_stop_leaves_no_more_than_what_was_written(tmp_path: Path) -> None:
    async with mapped_in(tmp_path) as spool:
        await spool.append(b"kept")
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size < 100
    async with mapped_in(tmp_path) as again:
        assert await everything(again) == [b"kept"]
    async with mapped_in(tmp_path / "unused"):
        pass
    assert not list((tmp_path / "unused").iterdir())


async def test_what_was_kept_survives_a_kill(tmp_path: Path) -> None:
    """At the end of the last segment is room, which is no damage; the one that was at hand is gone."""
    killed = subprocess.run([sys.executable, "-c", WRITER, tmp_path], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    async with mapped_in(tmp_path) as spool:
        assert await everything(spool) == [b"%d" % n * 10 for n in range(1000)]


async def test_a_segment_that_cannot_be_read_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad block, a file of somebody else's: what comes now has a place all the same."""
    async with mapped_in(tmp_path) as spool:
        await spool.append(b"first")
    (bad,) = tmp_path.iterdir()
    opening = Path.open

    def failing(path: Path, mode: str = "r") -> IO[Any]:
        if path == bad:
            raise OSError(errno.EIO, "input/output error")
        return opening(path, mode)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", failing)
        async with mapped_in(tmp_path) as again:
            await again.append(b"second")
    async with mapped_in(tmp_path) as mended:
        assert await everything(mended) == [b"first", b"second"]


@pytest.mark.parametrize("cut", [2, 9, 30])
async def test_a_record_that_a_kill_has_cut_is_the_end_of_what_was_kept(tmp_path: Path, cut: int) -> None:
    async with mapped_in(tmp_path) as spool:
        for body in (b"first", b"second" * 5):
            await spool.append(body)
        (segment,) = await spool.rotate()
        octets = segment.path.read_bytes()
        await spool.remove(segment)
        begin = octets.index(b"\xff\xfe\xff\n", 12)
        (tmp_path / segment.path.name).write_bytes(octets[: begin + cut].ljust(SEGMENT, b"\0"))
    async with mapped_in(tmp_path) as again:
        (segment,) = await again.rotate()
        reader = Reader(segment)
        assert await reader.read() == [b"first"]
        assert await reader.read() == []
        assert reader.torn


async def test_what_is_damaged_in_the_midst_is_passed_over(tmp_path: Path) -> None:
    async with mapped_in(tmp_path) as spool:
        for body in (b"first", b"second", b"third"):
            await spool.append(body)
        (segment,) = await spool.rotate()
        octets = bytearray(segment.path.read_bytes())
        at = octets.index(b"second")
        octets[at - 12 : at + 6] = bytes(18)
        segment.path.write_bytes(octets)
    async with mapped_in(tmp_path) as again:
        (segment,) = await again.rotate()
        reader = Reader(segment)
        assert await reader.read() == [b"first", b"third"]
        assert await reader.read() == []
        assert len(reader.unreadable) == 1


async def test_a_full_disk_is_told_and_later_records_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room is taken when a segment is made: none is missing when something is put there."""

    def full(fd: int, offset: int, octets: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    told: list[Exception | None] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        spool = Spool(tmp_path, limit=1 << 22, segment_bytes=SEGMENT, mapped=True)
        await spool.open()
        for _ in range(2):
            spool.hand_over(b"lost", told.append)
            with pytest.raises(OSError, match="no space"):
                await spool.append(b"lost, too")
        assert [getattr(one, "errno", None) for one in told] == [errno.ENOSPC] * 2
        assert not list(tmp_path.iterdir())
    await spool.append(b"kept")
    assert await everything(spool) == [b"kept"]
    await spool.close()


async def test_who_is_told_may_hand_over_more(tmp_path: Path) -> None:
    """Also where the segment is full by then, and others have waited for longer."""
    async with mapped_in(tmp_path) as spool:
        told: list[bytes] = []

        def more(body: bytes, error: Exception | None) -> None:
            assert error is None
            told.append(body)
            if body.startswith(b"a"):
                spool.hand_over(b"b" + body[1:], partial(more, b"b"))

        for n in range(20):  # as many as four segments have room for, before the first is made
            body = b"a%02d" % n + b"x" * 3000
            spool.hand_over(body, partial(more, body))
        async with asyncio.timeout(10):
            while len(told) < 40:  # noqa: ASYNC110 - segments are made by a thread
                await asyncio.sleep(0.01)
        found = await everything(spool)
        assert len(found) == len(set(found)) == 40


async def test_limits_hold(tmp_path: Path) -> None:
    async with mapped_in(tmp_path, limit=1000) as spool:
        with pytest.raises(SpoolFull):
            await spool.append(bytes(SEGMENT))
        await spool.append(b"x" * 900)
        with pytest.raises(SpoolFull):
            await spool.append(b"y" * 100)
    with pytest.raises(OSError, match="closed"):
        await spool.append(b"late")


async def test_who_waits_when_the_spool_is_closed_hears_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Exception | None] = []
    async with mapped_in(tmp_path) as spool:

        def never() -> tuple[Segment, MappedFile]:
            raise OSError(errno.EIO, "the disk is gone")

        monkeypatch.setattr(spool, "_new_memory", never)
        spool.hand_over(b"waits", told.append)
        assert told == []
    assert [getattr(one, "errno", None) for one in told] in ([errno.EIO], [errno.ESHUTDOWN])


def test_pages_are_there_before_they_are_needed(tmp_path: Path) -> None:
    """All of a file that was just made is in memory and may be written; where the kernel knows how to (5.14)."""
    octets = 1 << 20
    file = MappedFile(tmp_path / "file", octets)
    try:
        if mapped._libc.madvise(None, 0, mapped._POPULATE_WRITE):
            pytest.skip("this kernel cannot have pages of a file there to be written")
        smaps = Path("/proc/self/smaps").read_text().split(str(tmp_path / "file"))[1]
        dirty = next(line for line in smaps.splitlines() if line.startswith(("Private_Dirty", "Shared_Dirty"))
                     and int(line.split()[1]))  # fmt: skip
        assert int(dirty.split()[1]) * 1024 == octets
    finally:
        file.remove()
    assert not list(tmp_path.iterdir())
