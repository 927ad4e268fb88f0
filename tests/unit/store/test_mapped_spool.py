"""The spool whose segments are memory: a record is kept before anybody waits, whatever end the process comes to."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import IO, Any

import pytest

from smsgw.store.engine import mapped
from smsgw.store.engine.mapped import MappedFile
from smsgw.store.engine.spool import Reader, Segment, Spool, SpoolFull

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


@contextlib.asynccontextmanager
async def opened(folder: Path, *, limit: int = 1 << 22) -> AsyncIterator[Spool]:
    spool = Spool(folder, limit=limit, segment_bytes=SEGMENT, mapped=True)
    await spool.open()
    try:
        yield spool
    finally:
        await spool.close()


async def ready(spool: Spool) -> None:
    async with asyncio.timeout(10):
        while spool._spare is None:  # noqa: ASYNC110 - a thread makes it
            await asyncio.sleep(0.001)


async def everything(spool: Spool) -> list[bytes]:
    found: list[bytes] = []
    for segment in await spool.rotate():
        reader = Reader(segment, 1000)
        while bodies := await reader.read():
            found += bodies
        assert not reader.unreadable
    return found


async def test_a_record_is_kept_before_anybody_waits(tmp_path: Path) -> None:
    told: list[Exception | None] = []
    async with opened(tmp_path) as spool:
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
    async with opened(tmp_path) as spool:
        await asyncio.gather(*map(spool.submit, bodies[:250]))  # faster than segments are made
        for body in bodies[250:]:
            await spool.append(body)
        assert await everything(spool) == bodies
        assert len(list(tmp_path.glob("*.spool"))) > 10
        for segment in await spool.rotate():
            await spool.remove(segment)
        assert spool.empty


async def test_a_stop_leaves_no_more_than_what_was_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        await spool.append(b"kept")
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size < 100
    async with opened(tmp_path) as again:
        assert await everything(again) == [b"kept"]
    async with opened(tmp_path / "unused"):
        pass
    assert not list((tmp_path / "unused").iterdir())


async def test_what_was_kept_survives_a_kill(tmp_path: Path) -> None:
    """At the end of the last segment is room, which is no damage; the one that was at hand is gone."""
    killed = subprocess.run([sys.executable, "-c", WRITER, tmp_path], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    async with opened(tmp_path) as spool:
        assert await everything(spool) == [b"%d" % n * 10 for n in range(1000)]


async def test_a_segment_that_cannot_be_read_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad block, a file of somebody else's: what comes now has a place all the same."""
    async with opened(tmp_path) as spool:
        await spool.append(b"first")
    (bad,) = tmp_path.iterdir()
    opening = Path.open

    def failing(path: Path, mode: str = "r") -> IO[Any]:
        if path == bad:
            raise OSError(errno.EIO, "input/output error")
        return opening(path, mode)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", failing)
        async with opened(tmp_path) as again:
            await again.append(b"second")
    async with opened(tmp_path) as mended:
        assert await everything(mended) == [b"first", b"second"]


@pytest.mark.parametrize("cut", [2, 9, 30])
async def test_a_record_that_a_kill_has_cut_is_the_end_of_what_was_kept(tmp_path: Path, cut: int) -> None:
    async with opened(tmp_path) as spool:
        for body in (b"first", b"second" * 5):
            await spool.append(body)
        (segment,) = await spool.rotate()
        octets = segment.path.read_bytes()
        await spool.remove(segment)
        begin = octets.index(b"\xff\xfe\xff\n", 12)
        (tmp_path / segment.path.name).write_bytes(octets[: begin + cut].ljust(SEGMENT, b"\0"))
    async with opened(tmp_path) as again:
        (segment,) = await again.rotate()
        reader = Reader(segment)
        assert await reader.read() == [b"first"]
        assert await reader.read() == []
        assert reader.torn


async def test_what_is_damaged_in_the_midst_is_passed_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as spool:
        for body in (b"first", b"second", b"third"):
            await spool.append(body)
        (segment,) = await spool.rotate()
        octets = bytearray(segment.path.read_bytes())
        at = octets.index(b"second")
        octets[at - 12 : at + 6] = bytes(18)
        segment.path.write_bytes(octets)
    async with opened(tmp_path) as again:
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
    async with opened(tmp_path) as spool:
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
    async with opened(tmp_path, limit=1000) as spool:
        with pytest.raises(SpoolFull):
            await spool.append(bytes(SEGMENT))
        await spool.append(b"x" * 900)
        with pytest.raises(SpoolFull):
            await spool.append(b"y" * 100)
    with pytest.raises(OSError, match="closed"):
        await spool.append(b"late")


async def test_who_waits_when_the_spool_is_closed_hears_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Exception | None] = []
    async with opened(tmp_path) as spool:
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
