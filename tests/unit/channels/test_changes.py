from __future__ import annotations

import asyncio

import pytest

from smsgw.channels.changes import Changes
from smsgw.runtime import aio


async def test_each_channel_for_itself_and_one_thing_at_a_time() -> None:
    changes = Changes()
    gate = asyncio.Event()

    async def slow() -> None:
        await gate.wait()

    async def quick() -> None:
        pass

    held = changes.begin(1, slow())
    await changes.begin(2, quick())
    await asyncio.sleep(0)
    assert list(changes) == [1]
    with pytest.raises(RuntimeError):
        changes.begin(1, quick())
    gate.set()
    await held
    await asyncio.sleep(0)
    assert not changes
    await changes.begin(1, quick())


async def test_lately_waits_for_what_was_begun_under_this_configuration_only() -> None:
    changes = Changes()
    gates = {1: asyncio.Event(), 2: asyncio.Event()}

    async def work(channel_id: int) -> None:
        await gates[channel_id].wait()

    changes.begin(1, work(1))
    changes.newer()
    changes.begin(2, work(2))
    waiting = aio.spawn(changes.lately(), name="waiting")
    await asyncio.sleep(0)
    assert not waiting.done()
    gates[2].set()
    await waiting
    assert list(changes) == [1]
    await changes.lately()
    gates[1].set()
    await changes.end(60.0)
    assert not changes


async def test_a_failure_is_the_channels_own_and_what_takes_too_long_is_cut_short() -> None:
    changes = Changes()

    async def fails() -> None:
        raise OSError("no")

    changes.begin(1, fails())
    held = changes.begin(2, asyncio.Event().wait())  # type: ignore[arg-type]
    await changes.end(0.05)
    assert held.cancelled()
    await asyncio.sleep(0)
    assert not changes
