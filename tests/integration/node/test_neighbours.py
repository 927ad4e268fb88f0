"""What nodes tell each other through Redis: real servers and sentinels, killed, frozen and away."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError
from standins import AnyFleet
from valkeys import MASTER, Stand, Valkey, free_ports, stand

from smsgw.core.demand import EVERY, Demand
from smsgw.core.guard import PORTAL
from smsgw.core.guessing import Guesses
from smsgw.net.bus import BUDGET, STEADY, Bus
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.neighbours import FOLLOW_AFTER, STALE, Neighbours, Word
from smsgw.runtime import aio, clock
from smsgw.runtime.config import RedisConfig, split_address
from smsgw.store.engine.secrets import Passing, Sealer

KEY = Sealer(b"k" * 32)
BACK = 5.0
"""Seconds after which all is as before, counted from when the sentinels have agreed."""


async def until(found: Callable[[], object], *, within: float = 60.0) -> float:
    begun = time.monotonic()
    while not found():
        assert time.monotonic() - begun < within, "it did not come"
        await asyncio.sleep(0.02)
    return time.monotonic() - begun


def said(word: Word) -> bytes:
    return Passing(KEY, "neighbours").seal(msgspec.json.encode(word), clock.now().timestamp())


class OneNode:
    def __init__(self, config: RedisConfig, number: int, sealer: Sealer = KEY) -> None:
        self.demand, self.fleet, self.hub, self.guesses = Demand(), AnyFleet(), EventHub(), Guesses()
        self.guard = self.guesses.guard("portal", PORTAL)
        self.announced: list[set[tuple[int, int]]] = []
        self.fleet.announced = self._announce  # type: ignore[method-assign]
        self.followed = 0
        self.live = 2
        self.told = Neighbours(
            config, sealer, number, self.demand, self.fleet, self.hub, self.guesses, lambda: self.live, lambda: 1
        )

    def _announce(self, queues: set[tuple[int, int]]) -> None:
        self.announced.append(queues)

    async def follow(self) -> None:
        self.followed += 1

    async def ticks(self) -> None:
        while True:
            await self.told._tell_demand()
            await asyncio.sleep(EVERY)

    async def configs(self) -> None:
        _, following = self.told.periodics(self.follow)
        while True:
            await self.told._moved.wait()
            self.told._moved.clear()
            await following.step()

    @property
    def bus(self) -> Bus:
        assert self.told.bus is not None
        return self.told.bus

    @property
    def up(self) -> bool:
        return self.told.bus is not None and self.bus.up


@asynccontextmanager
async def nodes(config: RedisConfig, *sealers: Sealer) -> AsyncIterator[list[OneNode]]:
    made = [OneNode(config, number, sealer) for number, sealer in enumerate(sealers or (KEY, KEY), 1)]
    tasks = []
    for one in made:
        await one.told.start()
        tasks += [aio.spawn(one.ticks(), name="ticks"), aio.spawn(one.configs(), name="configs")]
    try:
        yield made
    finally:
        await aio.cancel(*tasks)
        for one in made:
            await one.told.stop()


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Valkey]:
    made = Valkey(tmp_path, free_ports(1)[0])
    yield made
    made.kill()


@pytest.fixture
def valkey(away: Valkey) -> Valkey:
    away.start()
    return away


@pytest.fixture
def server(valkey: Valkey) -> RedisConfig:
    return RedisConfig(url=f"redis://{valkey.address}")


async def test_they_hear_of_each_other(server: RedisConfig) -> None:
    async with nodes(server) as (one, two):
        await until(lambda: one.up and two.up and two.told.heard)
        one.demand.share(7, 100.0, 2, time.monotonic(), 40)
        await until(lambda: two.demand.share(7, 100.0, 2, time.monotonic(), 0) < 100.0)
        one.told._queued({(1, 2)})
        await until(lambda: {(1, 2)} in two.announced)
        waiting = aio.spawn(two.hub.wait(5, "report", 20.0), name="waits")
        await asyncio.sleep(0)
        one.hub.notify((5,), "report")
        assert await waiting
        one.told.configured()
        await until(lambda: two.followed)
        assert (one.followed, one.announced) == (0, []), "nobody hears himself"
        for _ in range(5):
            one.guard.failed("192.0.2.1", "zhang", clock.steady())
        await until(lambda: two.guard.wait("192.0.2.1", "zhang", clock.steady()) > 0)
        one.guard.forgive("zhang")
        await until(lambda: two.guard.wait("198.51.100.1", "zhang", clock.steady()) == 0)


async def test_a_stranger_is_not_listened_to(server: RedisConfig) -> None:
    async with nodes(server, KEY, Sealer(b"x" * 32)) as (one, other):
        await until(lambda: one.up and other.up)
        other.bus._topic = one.bus._topic
        await until(lambda: one.told.refused)
        assert one.told.heard == 0
        one.told._hear(b"")
        one.told._hear(b"\x01" + bytes(40))
        one.told._hear(said(Word(9, 1, 1, 1.0, config=True)))
        assert one.told.heard == 0, "kept by somebody, and played again"


async def test_no_word_is_heard_twice() -> None:
    one = OneNode(RedisConfig(url="redis://127.0.0.1:1"), 1)
    now = clock.now().timestamp()
    words = [said(Word(2, 10, n, now, logins=[("portal", "failed", "192.0.2.1", "zhang", "")])) for n in range(1, 4)]
    for word in (words[1], words[0], words[1], words[2], words[2]):
        one.told._hear(word)
    assert one.told.heard == 2
    one.told._hear(said(Word(2, 11, 1, now)))
    one.told._hear(said(Word(2, 10, 9, now)))
    assert one.told.heard == 3, "a life that is over says nothing"
    one.told._last[2] = ((11, 1), clock.steady() - 2 * STALE - 1)
    one.told._hear(said(Word(2, 5, 1, now)))
    assert one.told.heard == 4, "its clock was set back"


async def test_the_configuration_is_followed_a_few_times_a_second() -> None:
    one = OneNode(RedisConfig(url="redis://127.0.0.1:1"), 1)
    task = aio.spawn(one.configs(), name="configs")
    begun = time.monotonic()
    for n in range(100):
        one.told._hear(said(Word(2, 1, n, clock.now().timestamp(), config=True)))
        await asyncio.sleep(0.005)
    await until(lambda: one.followed)
    assert one.followed <= 1 + (time.monotonic() - begun) / FOLLOW_AFTER
    await aio.cancel(task)


async def test_who_is_not_heard_is_told_of(server: RedisConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smsgw.pipeline.neighbours.DEAF", 1.0)
    monkeypatch.setattr("smsgw.pipeline.neighbours.PATIENCE", 60.0)
    async with nodes(server, KEY, Sealer(b"x" * 32)) as (one, _):
        await until(lambda: one.told.findings("node/1"))
        assert (one.told.status or {})["hears"] == 0
        one.live = 1
        await until(lambda: not one.told.findings("node/1"))


async def answers(valkey: Valkey) -> None:
    async with Redis.from_url(f"redis://{valkey.address}") as client:
        for _ in range(100):
            with contextlib.suppress(RedisError, OSError):
                await client.ping()
                return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def far_away(to: str, seconds: float) -> AsyncIterator[str]:
    """An address at which ``to`` answers so much later."""
    host, port = split_address(to)
    tasks: list[asyncio.Task[None]] = []
    ends: list[asyncio.StreamWriter] = []

    async def slowly(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def pass_on() -> None:
            while True:
                due, octets = await waiting.get()
                await asyncio.sleep(due - time.monotonic())
                target.write(octets)

        tasks.append(aio.spawn(pass_on(), name="pass on"))
        while octets := await source.read(1 << 16):
            waiting.put_nowait((time.monotonic() + seconds, octets))

    async def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, port)
        ends.extend((back, writer))
        tasks.append(aio.spawn(slowly(there, writer), name="answers"))
        with contextlib.suppress(OSError):
            while octets := await reader.read(1 << 16):
                back.write(octets)

    server = await asyncio.start_server(come, "127.0.0.1", 0)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        await aio.cancel(*tasks)
        for one in ends:
            one.close()


@pytest.mark.shard("alone")
async def test_a_server_that_is_too_slow_is_away(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smsgw.pipeline.neighbours.PATIENCE", 2.0)
    await answers(valkey)
    async with far_away(valkey.address, 0.12) as address:
        async with nodes(RedisConfig(url=f"redis://{address}")) as (one, two):
            await until(lambda: one.up and two.up and one.told.heard)
            for n in range(50):  # many words do not pile up
                one.told._queued({(n, 1)})
                await asyncio.sleep(0.03)
            await until(lambda: any((49, 1) in some for some in two.announced))
            await asyncio.sleep(STEADY)
            assert one.bus.connects == 1
            assert one.bus.away == 0.0
    async with far_away(valkey.address, BUDGET * 1.5) as address:
        async with nodes(RedisConfig(url=f"redis://{address}")) as (one, _):
            await until(lambda: one.told.findings("node/1"))
            assert one.bus.connects == 0, "it is never believed"
            assert one.demand.share(7, 100.0, 2, time.monotonic(), 10) == 50.0


async def test_who_may_not_say_anything_is_away(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smsgw.pipeline.neighbours.PATIENCE", 2.0)
    await answers(valkey)
    client = Redis.from_url(f"redis://{valkey.address}")
    await client.acl_setuser(
        "deaf", enabled=True, passwords=["+pa55word"], channels=["*"], categories=["+@all"], commands=["-publish"]
    )
    await client.aclose()
    async with nodes(RedisConfig(url=f"redis://deaf:pa55word@{valkey.address}")) as (one, _):
        await until(lambda: one.told.findings("node/1"))
        assert (one.bus.connects, one.up) == (0, False)
        assert "publish" in one.bus.problem
        assert "pa55word" not in str(one.told.status)


async def test_who_floods_it_is_not_heard(valkey: Valkey, server: RedisConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smsgw.net.bus.MOST", 300)
    async with nodes(server) as (one, _):
        await until(lambda: one.up)
        client = Redis.from_url(f"redis://{valkey.address}")
        async with client.pipeline(transaction=False) as pipeline:
            for _ in range(20_000):
                pipeline.publish(one.bus._topic, b"x" * 50)
            await pipeline.execute()
        await until(lambda: "says more" in one.bus.problem)
        assert one.told.refused < 10_000
        await until(lambda: one.up)
        await client.publish(one.bus._topic, b"x" * (1 << 20))
        await until(lambda: not one.up)
        await client.aclose()


@pytest.mark.shard("alone")
async def test_without_it_each_goes_by_itself_and_says_so(away: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smsgw.pipeline.neighbours.PATIENCE", 1.0)
    async with nodes(RedisConfig(url=f"redis://{away.address}")) as (one, two):
        await until(lambda: one.told.findings("node/1"))
        assert one.demand.share(7, 100.0, 2, time.monotonic(), 10) == 50.0
        begun = time.monotonic()
        for n in range(1000):
            one.guard.failed("192.0.2.1", f"user{n}", clock.steady())
            one.told._queued({(n, 1)})
        assert time.monotonic() - begun < 10.0, "nobody waits"
        assert one.told._queues == set(), "nothing is gathered for nobody"
        away.start()
        assert await until(lambda: one.up and two.up) < BACK
        await until(lambda: one.told.heard)
        await until(lambda: not one.told.findings("node/1"), within=STEADY + BACK)
        away.signal(signal.SIGSTOP)  # it takes connections, and is silent
        took = await until(lambda: not one.up)
        assert took < 3.0
        away.signal(signal.SIGCONT)
        assert await until(lambda: one.up and two.up) < BACK


@pytest.fixture
def sentinels(tmp_path: Path) -> AsyncIterator[Stand]:
    with stand(tmp_path, free_ports(5)) as made:
        yield made  # type: ignore[misc]


@pytest.mark.slow
@pytest.mark.shard("alone")
@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_a_failover_changes_nothing_but_rates_and_is_over_soon(sentinels: Stand, how: str) -> None:
    config = RedisConfig(sentinels=sentinels.addresses, master=MASTER)
    async with nodes(config) as (one, two):
        await until(lambda: one.up and two.up and two.told.heard)
        await until(lambda: all(seen.state == "up" and seen.sentinels == 3 and seen.replicas == 1
                                for seen in one.told.sentinels))  # fmt: skip
        master, other = sentinels.servers
        assert one.bus.server == master.address
        other.signal(signal.SIGSTOP)  # its last writes are lost to the replica
        for _ in range(50):
            one.demand.share(7, 100.0, 2, time.monotonic(), 1)
            await asyncio.sleep(0.01)
        if how == "killed":
            master.kill()
        else:
            master.signal(signal.SIGSTOP)
        other.signal(signal.SIGCONT)
        begun = time.monotonic()
        while not any(seen.master == other.address for seen in one.told.sentinels):
            at = time.monotonic()
            assert 5.0 <= one.demand.share(7, 100.0, 2, at, 1) <= 100.0, "somebody is always answered"
            assert at - begun < 30
            await asyncio.sleep(0.01)
        agreed = time.monotonic()
        await until(lambda: one.up and two.up and one.bus.server == other.address)
        before = two.told.heard
        await until(lambda: two.told.heard > before)
        back = time.monotonic()
        print(f"{how}: agreed after {agreed - begun:.1f} s, normal {back - agreed:.1f} s later")
        assert back - agreed < BACK
        # The old master comes back as a replica, and nobody talks to it.
        if how == "killed":
            master.start()
        else:
            master.signal(signal.SIGCONT)
        await asyncio.sleep(2)
        assert {one.bus.server, two.bus.server} == {other.address}
        heard = two.told.heard
        await until(lambda: two.told.heard > heard)


@pytest.mark.slow
async def test_what_each_sentinel_says_is_shown(sentinels: Stand) -> None:
    async with nodes(RedisConfig(sentinels=sentinels.addresses, master=MASTER)) as (one, _):
        await until(lambda: one.up)
        sentinels.sentinels[0].kill()
        await until(lambda: one.told.sentinels[0].problem)
        assert one.up
        status = one.told.status
        assert status is not None
        assert [bool(seen["problem"]) for seen in status["sentinels"]] == [True, False, False]
        for left in sentinels.sentinels[1:]:
            left.kill()
        await asyncio.sleep(2)
        assert one.up, "the connection stands while nobody can say of another master"
