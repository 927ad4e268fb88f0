"""The spool: what was acknowledged is read back, what was torn is not, and its limits hold."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smsgw.core.model import MessageType, Origin, UnknownPolicy
from smsgw.store import replaying
from smsgw.store.calls import NewCall, RequestKey
from smsgw.store.spool import Spool, SpoolFull


@contextlib.asynccontextmanager
async def opened(folder: Path, *, limit: int = 1 << 20, segment: int = 1 << 12) -> AsyncIterator[Spool]:
    spool = Spool(folder, limit=limit, segment_bytes=segment)
    await spool.open()
    try:
        yield spool
    finally:
        await spool.close()


async def everything(spool: Spool) -> list[bytes]:
    return [body for segment in await spool.rotate() for body in await spool.read(segment)]


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


@pytest.mark.parametrize("record", [0, 1, 2])
@pytest.mark.parametrize("damage", ["cut", "flip", "zeros"])
async def test_from_the_damage_on_nothing_is_taken_and_before_it_everything(
    tmp_path: Path, damage: str, record: int
) -> None:
    bodies = [b"one" * 50, b"two" * 50, b"three" * 50]
    ends = []
    async with opened(tmp_path) as spool:
        for body in bodies:
            await spool.append(body)
            ends.append(next(tmp_path.glob("*.spool")).read_bytes().rstrip(b"\0").index(body) + len(body))
    (path,) = tmp_path.glob("*.spool")
    data, end = path.read_bytes(), ends[record]
    if damage == "cut":
        path.write_bytes(data[: end - 20])
    elif damage == "flip":
        path.write_bytes(data[: end - 1] + bytes([data[end - 1] ^ 1]) + data[end:])
    else:
        path.write_bytes(data[: end - 155] + b"\0" * 155 + data[end:])
    async with opened(tmp_path) as spool:
        assert await everything(spool) == bodies[:record]


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


async def test_after_a_failed_sync_nothing_is_taken_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_call_comes_back_as_it_was() -> None:
    now = datetime.now(UTC)
    message = (1 << 60, 1 << 60, 7, Origin.API, MessageType.OTP, "8613800138000", "内容", 1, True)
    part = ((1 << 60), 1, 1, 7, 3, 1, 10, UnknownPolicy.HOLD, None, now, "", "", False, now, None)
    key = RequestKey("k", "order-1", bytes(32), 1 << 60)
    call = NewCall(7, 1 << 60, [message], [part], 1, (key,), b"answer", above=(3, 1), guards=(3,))
    back = replaying.from_bytes(replaying.to_bytes(call))
    assert back.spooled
    assert (back.messages, back.parts, back.keys) == ([message], [part], (key,))
    assert (back.above, back.guards, back.answer, back.units) == ((3, 1), (3,), b"answer", 1)
    with pytest.raises(ValueError, match=r"."):
        replaying.from_bytes(b"\xc1")
