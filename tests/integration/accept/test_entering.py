"""Large calls and small ones on their way into the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from smsgw.core.errors import SmsgwError
from smsgw.pipeline.accept.entering import LARGE, Entering
from smsgw.store.engine.database import Connection
from smsgw.store.engine.group_commit import Batcher
from smsgw.store.messages.calls import NewCall, Stored


def call(account: int, parts: int, guards: tuple[int, ...] = ()) -> NewCall:
    return NewCall(account, 1, [], [()] * parts, parts, (), b"", guards=guards)


class Ledger:
    """Writes calls that are held back as long as the test says; in which order they were written."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.written: list[tuple[int, int]] = []

    async def commit(self, connection: Connection, calls: list[NewCall], again: bool) -> list[Stored | SmsgwError]:
        await connection.execute("SELECT 1")
        if any(len(one.parts) >= LARGE for one in calls):
            await self.free.wait()
        self.written += [(one.account_id, len(one.parts)) for one in calls]
        return [Stored(one.batch_id) for one in calls]


@pytest_asyncio.fixture
async def ledger() -> Ledger:
    return Ledger()


@pytest_asyncio.fixture
async def entering(dsn: str, ledger: Ledger) -> AsyncIterator[Entering]:
    made = Entering(
        lambda: Batcher("accept", dsn, ledger.commit, weigh=lambda one: max(1, len(one.parts)), max_batch=2000),
        lambda one: max(1, len(one.parts)),
    )
    await made.start()
    yield made
    await made.stop()


async def test_small_calls_do_not_wait_for_a_large_one_of_another_account(entering: Entering, ledger: Ledger) -> None:
    large = entering.submit(call(1, LARGE, guards=(1, 7)))
    own = entering.submit(call(1, 1))
    kin = entering.submit(call(3, 1, guards=(7,)))
    async with asyncio.timeout(10):
        await asyncio.gather(*(entering.put(call(2, 1)) for _ in range(20)))
    assert not large.done()
    assert not own.done(), "it would wait for the account's row, and everybody with it"
    assert not kin.done(), "as would this one, for the row of the account above both"
    assert entering.waiting == LARGE + 2
    ledger.free.set()
    async with asyncio.timeout(10):
        await asyncio.gather(large, own, kin)
        await entering.put(call(1, 2))
    assert ledger.written == [(2, 1)] * 20 + [(1, LARGE), (1, 1), (3, 1), (1, 2)]
    assert entering.waiting == 0
