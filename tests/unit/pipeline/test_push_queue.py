"""The queue of one endpoint: how often it looks for events, and what it gives back when it cannot push them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from smsgw.core.errors import Temporary
from smsgw.core.heads import ALL, Stretch
from smsgw.core.ids import first_id
from smsgw.core.webhooks import Endpoint, Options
from smsgw.pipeline.delivery import push_queue
from smsgw.pipeline.delivery.push_http import Answer
from smsgw.pipeline.delivery.push_queue import PushQueue
from smsgw.store.engine.leases import Lease
from smsgw.store.messages.events import Found
from smsgw.store.messages.pushing import Due, Result

TAKES = 0.05
ENDPOINT = Endpoint(1, 7, "hall", "main", "https://example.cn/", (), Options(linger_ms=0), (b"key",))


class Node:
    """Of ``push_queue.Services``, what every queue needs."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def room(self, wanted: int) -> int:
        return wanted


class Looks(Node):
    """What looks need; each takes ``TAKES`` seconds and finds nothing."""

    def __init__(self) -> None:
        self.fails = False
        self.began: list[float] = []
        self.ended: list[float] = []

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


def queue_of(services: Any, lease: Lease | None = None) -> PushQueue:
    queue = PushQueue(ENDPOINT, lease or Lease("push/1", 1, 1, float("inf")), services)
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


class Events(Node):
    """``push_queue.Services`` over events in memory. ``trouble`` is what meets the first batch."""

    def __init__(self, trouble: str, ids: list[int]) -> None:
        self.lease = Lease("push/1", 1, 1, float("inf"))
        self.trouble = trouble
        self.waiting = dict.fromkeys(ids)
        self.pushed: list[int] = []
        self.held = 0
        self.destinations = SimpleNamespace(check=lambda *_: None)

    def chance(self) -> float:
        return 0.5

    def new_id(self) -> int:
        return 1

    def holds(self, change: int) -> None:
        self.held += change

    def _meets(self, trouble: str) -> bool:
        met = self.trouble == trouble
        if met:
            self.trouble = ""
        return met

    async def due(
        self, endpoint: Endpoint, kind: str, limit: int, *, under_way: list[int], within: Stretch, **_: object
    ) -> Found[Due]:
        found = [i for i in self.waiting if within.first <= i <= within.last and i not in under_way][:limit]
        if found and self._meets("lease"):
            self.lease.deadline = 0.0
        return Found([Due(i, kind, i, 0, None, {"event_id": str(i)}) for i in found], found, 0.0)

    async def call(self, *_: object) -> Answer:
        if self._meets("call"):
            raise RuntimeError("a fault of the program")
        return Answer(True, 200, 1)

    async def write(self, result: Result) -> None:
        if result.done and self._meets("write"):
            raise Temporary("STORAGE_UNAVAILABLE")
        self.pushed += result.done
        for id_ in result.done:
            del self.waiting[id_]


@pytest.mark.parametrize("trouble", ["lease", "call", "write"])
async def test_what_could_not_be_pushed_is_found_by_the_next_look(trouble: str) -> None:
    """Looks begin behind what was found, and no round is due: as beside a kept snapshot."""
    first = first_id(datetime.now(UTC) - timedelta(seconds=30))
    services: Any = Events(trouble, [first + n for n in range(250)])
    ids = list(services.waiting)
    queue = queue_of(services, services.lease)
    heads = queue.head("report")._heads
    heads._begin(ALL, 1.0)
    heads._due = float("inf")
    queue.poke("report")
    await settled(queue)
    assert not services.trouble
    assert len(services.pushed) < 250
    assert (queue.in_flight, services.held) == (0, 0)
    services.lease.deadline = float("inf")
    queue.poke("report")
    await settled(queue)
    assert sorted(services.pushed) == ids
    await queue.close()


async def test_without_its_lease_it_takes_nothing() -> None:
    services: Any = Events("", [1, 2, 3])
    queue = queue_of(services, services.lease)
    services.lease.deadline = 0.0
    queue.poke("report")
    await settled(queue)
    assert (len(services.waiting), services.pushed) == (3, [])
    await queue.close()
