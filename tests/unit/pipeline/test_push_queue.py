"""Looks for events to push, where each takes long: they rest, and are no more than there has to be."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from smsgw.core.errors import Temporary
from smsgw.core.webhooks import Endpoint, Options
from smsgw.pipeline.delivery import push_queue
from smsgw.pipeline.delivery.push_queue import PushQueue
from smsgw.store.engine.leases import Lease
from smsgw.store.messages.events import Found
from smsgw.store.messages.pushing import Due

TAKES = 0.05
ENDPOINT = Endpoint(1, 7, "hall", "main", "https://example.cn/", (), Options(linger_ms=0), (b"key",))


class Looks:
    """Of ``push_queue.Services``, what looks need; each takes ``TAKES`` seconds and finds nothing."""

    def __init__(self) -> None:
        self.fails = False
        self.began: list[float] = []
        self.ended: list[float] = []

    def now(self) -> datetime:
        return datetime.now(UTC)

    def room(self, wanted: int) -> int:
        return wanted

    async def due(self, *_: object, **__: object) -> Found[Due]:
        loop = asyncio.get_running_loop()
        self.began.append(loop.time())
        await asyncio.sleep(TAKES)
        self.ended.append(loop.time())
        if self.fails:
            raise Temporary("STORAGE_UNAVAILABLE")
        return Found(seconds=0.0)

    @property
    def rests(self) -> list[float]:
        return [after - before for before, after in zip(self.ended, self.began[1:], strict=False)]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    monkeypatch.setattr(push_queue, "DEAR", TAKES / 10)
    return Looks()


def queue_of(looks: Looks) -> PushQueue:
    services: Any = looks
    queue = PushQueue(ENDPOINT, Lease("push/1", 1, 1, float("inf")), services)
    queue.kinds = ("report",)
    return queue


async def settled(queue: PushQueue) -> None:
    async with asyncio.timeout(30):
        while not queue.idle:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)


async def test_what_comes_while_it_rests_is_in_the_next_look(looks: Looks) -> None:
    queue = queue_of(looks)
    queue.poke("report")
    await settled(queue)
    for _ in range(5):
        queue.poke("report")
        await asyncio.sleep(TAKES / 5)
    await settled(queue)
    assert len(looks.began) == 2
    assert looks.rests[0] > push_queue.REST * TAKES * 0.9
    await queue.close()


async def test_it_rests_after_a_look_that_took_too_long_as_well(looks: Looks) -> None:
    looks.fails = True
    queue = queue_of(looks)
    for _ in range(3):
        queue.poke("report")
        await settled(queue)
    assert len(looks.began) == 3
    assert min(looks.rests) > push_queue.REST * TAKES * 0.9
    await queue.close()
