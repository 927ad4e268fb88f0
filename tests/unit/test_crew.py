"""The workers of one machine: what each goes by, who is there, whose a channel is, and what they tell each other."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiohttp import web

from smsgw.core.actor import Actor
from smsgw.core.demand import Demand
from smsgw.core.errors import Invalid
from smsgw.core.guessing import Guesses
from smsgw.core.keys import ApiKey
from smsgw.core.model import Outcome, OutcomeKind
from smsgw.node import control, control_client, siblings as module
from smsgw.node.life import AlreadyRunning, Daemon
from smsgw.node.siblings import Lent, Siblings
from smsgw.node.worker_lookup import Anywhere, TryingOfAll, WatchesOfAll
from smsgw.node.worker_messages import News
from smsgw.pipeline import neighbours
from smsgw.pipeline.accept.metering import SLOTS, SharedMeters
from smsgw.pipeline.events import EventHub
from smsgw.platform.calls.trying import Door, Signing, Tried, Trying
from smsgw.platform.channels.watching import Passed, Watch, Watches
from smsgw.runtime import aio, config, worker_pool
from smsgw.runtime.worker_pool import HeldLock, Place, Presence
from smsgw.store.engine.journal import Journal
from smsgw.store.engine.secrets import Sealer

THREE = range(1, 4)


def place(root: Path, worker: int, of: int = 3) -> Place:
    made = Place(root, worker, of, crewed=True)
    made.folder.mkdir(parents=True, exist_ok=True)
    return made


@pytest.fixture
def held() -> Iterator[dict[int, HeldLock]]:
    locks: dict[int, HeldLock] = {}
    yield locks
    for lock in locks.values():
        lock.give()


def begins(root: Path, worker: int, held: dict[int, HeldLock], *, serves: bool = True) -> None:
    lock = held[worker] = HeldLock(place(root, worker).folder / worker_pool.LOCK)
    assert lock.take() is None
    if serves:
        lock.say("1", worker_pool.SERVES)


def test_each_worker_has_its_own_folder_and_a_part_of_what_there_is(tmp_path: Path) -> None:
    settings = config.Config(
        node=config.NodeConfig(number=5, data_dir=tmp_path), ops=config.OpsConfig("127.0.0.1:9090"),
        http=config.HttpConfig(connections_per_address=1000, bodies_mb=128),
        durability=config.DurabilityConfig(spool_mb=100), partners_smpp=config.PartnerConfig("127.0.0.1:2775"),
    )  # fmt: skip
    first, second, third = (worker_pool.settings_of(settings, place(tmp_path, k)) for k in THREE)
    assert (first.node, first.ops.listen, first.key_file) == (settings.node, "127.0.0.1:9090", settings.key_file)
    assert (second.node.data_dir, second.node.number) == (tmp_path / "workers" / "2", 0)
    assert (second.ops.listen, third.ops.listen) == ("127.0.0.1:9091", "127.0.0.1:9092")
    assert (second.key_file, second.anchor_file.parent) == (settings.key_file, second.node.data_dir)
    assert worker_pool.settings_of(settings, Place(tmp_path)) is settings, "a single process"
    for one in (first, second, third):
        assert (one.durability.spool_mb, one.http.bodies_mb, one.http.connections_per_address) == (33, 42, 334)
        assert one.partners_smpp.listen
    assert not worker_pool.settings_of(settings, place(tmp_path, 3, of=2)).partners_smpp.listen, (
        "it takes nothing any more"
    )
    little = worker_pool.settings_of(config.Config(durability=config.DurabilityConfig(spool_mb=16)), place(tmp_path, 1))
    assert little.durability.spool_mb == 16, "the least"


def test_the_edge_has_a_folder_and_a_port_behind_the_workers(tmp_path: Path) -> None:
    settings = config.Config(
        node=config.NodeConfig(data_dir=tmp_path, workers=2),
        ops=config.OpsConfig("127.0.0.1:9090"),
        public=config.PublicConfig(listen="127.0.0.1:8443", hosts=("s.example.cn",), own_process=True),
    )
    assert settings.edge
    edge = Place(tmp_path, worker_pool.EDGE, 2, crewed=True, edge=True)
    made = worker_pool.settings_of_edge(settings, edge)
    assert (edge.folder, made.node.data_dir) == (tmp_path / "workers" / "edge", tmp_path)
    assert (made.ops.listen, made.public) == ("127.0.0.1:9092", settings.public)
    assert (edge.surplus, edge.siblings) == (False, [1, 2])
    second = Place(tmp_path, 2, 2, crewed=True, edge=True)
    assert (edge.name, second.name) == ("edge", 2), "as the log says"
    assert second.siblings == [1]
    assert worker_pool.ports_of_ops(worker_pool.settings_of(settings, second), second) == {9090, 9091, 9092}
    edge.folder.mkdir(parents=True)
    assert worker_pool.beyond(tmp_path, 1) == {}, "it is no worker"
    assert not replace(settings, public=replace(settings.public, listen="")).edge


async def test_who_begins_beside_a_supervisor_hears_of_it_at_once(tmp_path: Path, held: dict[int, HeldLock]) -> None:
    """Its edge, whose end would be waited for, does not end."""
    edge = worker_pool.folder_of(tmp_path, worker_pool.EDGE)
    edge.mkdir(parents=True)
    for n, path in enumerate((tmp_path / worker_pool.SUPERVISOR, edge / worker_pool.LOCK)):
        held[n] = HeldLock(path)
        assert held[n].take() is None
    daemon = Daemon(config.Config(node=config.NodeConfig(data_dir=tmp_path)))
    async with asyncio.timeout(30):
        with pytest.raises(AlreadyRunning, match=f"^{re.escape(str(tmp_path))} is in use"):
            await daemon._take_locks(tmp_path)
        held[0].give()
        waits = aio.spawn(daemon._take_locks(tmp_path), name="locks")
        await asyncio.wait([waits], timeout=1)
        assert not waits.done(), "an edge whose supervisor is gone ends, and is waited for"
        held[1].give()
        await waits
    await daemon.stop()


def test_the_kernel_says_who_is_there(tmp_path: Path, held: dict[int, HeldLock]) -> None:
    folder = place(tmp_path, 2).folder
    assert worker_pool.presence(folder) is Presence.ABSENT
    begins(tmp_path, 2, held, serves=False)
    assert worker_pool.presence(folder) is Presence.STARTING
    held[2].say("1", worker_pool.SERVES)
    assert worker_pool.presence(folder) is Presence.SERVING
    assert worker_pool.serving(tmp_path) == [folder]
    with worker_pool.kept_away(folder) as alone:
        assert not alone
    held[2].give()
    assert worker_pool.presence(folder) is Presence.ABSENT
    assert worker_pool.left_over(tmp_path, 1) == [2], "it has not ended in order"
    with worker_pool.kept_away(folder) as alone, worker_pool.kept_away(folder) as another:
        assert (alone, another) == (True, True)
        assert HeldLock(folder / worker_pool.LOCK).take() is not None, "nobody begins meanwhile"


def test_what_a_worker_has_left_is_found(tmp_path: Path, held: dict[int, HeldLock]) -> None:
    begins(tmp_path, 2, held)
    held[2].say()
    held[2].give()
    assert (worker_pool.left_over(tmp_path, 1), list(worker_pool.beyond(tmp_path, 1))) == ([], [2])
    (place(tmp_path, 2).folder / "spool").mkdir()
    (place(tmp_path, 2).folder / "spool" / "1.spool").write_bytes(b"x")
    assert worker_pool.left_over(tmp_path, 1) == [2]
    assert worker_pool.left_over(tmp_path, 2) == [], "it is wanted"


class Time:
    """The boot-time clock."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now

    def after(self, seconds: float, *who_looks: Siblings) -> None:
        self.now += seconds
        for one in who_looks:
            one.look()


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(module, "boottime", made)
    return made


def owners(made: Siblings, channels: range = range(1, 10)) -> set[int]:
    return {id_ for id_ in channels if made.mine(id_)}


def test_channels_are_shared_out(tmp_path: Path, time: Time) -> None:
    shares = [owners(Siblings(place(tmp_path, k))) for k in THREE]
    assert [len(share) for share in shares] == [3, 3, 3]
    assert set().union(*shares) == set(range(1, 10))
    assert owners(Siblings(Place(tmp_path))) == set(range(1, 10))
    assert not owners(Siblings(place(tmp_path, 4))), "a worker that is not wanted takes nothing"


def test_who_is_absent_is_stood_in_for(tmp_path: Path, time: Time, held: dict[int, HeldLock]) -> None:
    for worker in (2, 3):
        begins(tmp_path, worker, held)
    made = Siblings(place(tmp_path, 1))
    made.look()
    own = owners(made)
    held[3].give()
    made.look()
    assert [worker for worker, _ in made.dead()] == [3]
    assert made.running == 2
    assert not owners(made), "its journal is not read yet, and it may have had any of them"
    assert not any(made.due_back(id_) for id_ in own), "what runs here goes on"
    made.read(3)
    gained = owners(made) - own
    assert gained == owners(Siblings(place(tmp_path, 3))), "the next one after the third is the first"
    made.seen_to(3)
    begins(tmp_path, 3, held, serves=False)
    time.now += 3600
    made._of[2].answered = time.now
    made.look()
    assert owners(made) == own | gained, "it may take long to begin"
    held[3].say("1", worker_pool.SERVES)
    made.look()
    time.after(module.SETTLED - 1, made)
    made._of[3].answered = time.now
    assert not any(made.due_back(id_) for id_ in gained)
    time.after(1, made)
    assert all(made.due_back(id_) for id_ in gained)
    assert (owners(made), made.dead()) == (own, [])


def test_who_never_begins_keeps_its_channels_for_a_while_only(tmp_path: Path, time: Time) -> None:
    made = Siblings(place(tmp_path, 1, of=2))
    made.look()
    assert owners(made) == {2, 4, 6, 8}
    time.after(module.BEGINS_WITHIN, made)
    assert owners(made) == set(range(1, 10))
    assert made.dead() == [], "nobody has died"


def test_who_stands_still_is_not_counted_on(tmp_path: Path, time: Time, held: dict[int, HeldLock]) -> None:
    begins(tmp_path, 2, held)
    made = Siblings(place(tmp_path, 1, of=2))
    made.look()
    made._of[2].lines = (SimpleNamespace(id=2, bound=2),)  # type: ignore[assignment]
    time.after(module.SILENT, made)
    assert owners(made) == set(range(1, 10))
    assert made._of[2].lines == (), "how its channels are is not known any more"
    assert made.dead() == [], "its process exists: its leases end by themselves"
    made._of[2].answered = time.now
    time.after(module.SETTLED, made)
    assert owners(made) == {2, 4, 6, 8}


def test_who_ends_in_order_leaves_nothing(tmp_path: Path, time: Time, held: dict[int, HeldLock]) -> None:
    begins(tmp_path, 2, held)
    made = Siblings(place(tmp_path, 1, of=2))
    made.look()
    held[2].say()
    held[2].give()
    made.look()
    assert (made.dead(), owners(made)) == ([], set(range(1, 10)))


async def test_what_is_left_over_and_cannot_be_read_stops_nobody(tmp_path: Path, held: dict[int, HeldLock]) -> None:
    begins(tmp_path, 2, held)
    held[2].give()
    (place(tmp_path, 2).folder / "node.json").write_text("{")
    begins(tmp_path, 3, held)
    held[3].say()
    held[3].give()
    (place(tmp_path, 3).folder / "spool").mkdir()
    kept = place(tmp_path, 3).folder / "spool" / "000000000001.kept"
    kept.write_bytes(b"x")
    assert worker_pool.left_over(tmp_path, 1) == [2]
    nobody: Any = None
    channels: Any = SimpleNamespace(hear_of=pytest.fail)
    await module.Succession(Siblings(Place(tmp_path)), channels, nobody, nobody).start()
    assert worker_pool.kept(place(tmp_path, 3).folder) == [kept], (
        "nor is it called retired: it would have taken the database"
    )


class Others:
    """As many processes."""

    running = 2


def test_two_workers_grant_together(tmp_path: Path) -> None:
    one, other = (SharedMeters(tmp_path / worker_pool.METERS, Others()) for _ in range(2))
    assert (one.granting, other.granting) == (2, 2)
    granted = sum(meters.take(7, 10.0, 100.0, 1) == 0 for meters in (one, other) for _ in range(10))
    assert granted == 10
    assert other.remaining(7, 10.0, 100.0) == one.remaining(7, 10.0, 100.0) == 0
    assert one.take(7, 10.0, 100.5, 5) == 0
    assert other.take(7, 10.0, 100.5, 1) > 0
    assert other.take(8, 10.0, 100.5, 1) == 0, "each account has its own"
    assert one.take(SLOTS + 1, 1.0, 100.0, 1) == 0
    for meters in (one, other):
        meters.close()


FROZEN = """
import fcntl, sys, time
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX, 16, 7 * 16)
print("has it", flush=True)
time.sleep(600)
"""


def test_nobody_waits_for_a_worker_that_is_frozen_with_a_meter(tmp_path: Path) -> None:
    path = tmp_path / worker_pool.METERS
    meters = SharedMeters(path, Others())
    assert path.stat().st_blocks * 512 >= SLOTS * 16, "its room is there"
    with subprocess.Popen([sys.executable, "-c", FROZEN, str(path)], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout.readline()
            granted = sum(meters.take(7, 10.0, 100.0, 1) == 0 for _ in range(20))
            assert granted == 5, "its equal part"
            assert sum(meters.take(8, 10.0, 100.0, 1) == 0 for _ in range(20)) == 10, "the others are free"
        finally:
            other.kill()
    assert meters.take(7, 10.0, 100.0, 1) == 0
    meters.close()


def test_without_room_for_meters_each_grants_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "posix_fallocate", full)
    meters = SharedMeters(tmp_path / worker_pool.METERS, Others())
    assert sum(meters.take(7, 10.0, 100.0, 1) == 0 for _ in range(20)) == 5
    assert meters.remaining(7, 10.0, 100.0) == 0
    meters.close()


def test_a_journal_is_read_as_it_is(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", 2, "0" * 36, segment_bytes=4096)
    journal.open()
    journal.own(5)
    journal.write([(1, 1, 1), (2, 1, 1)])
    journal.answer([Outcome(1, 1, 1, OutcomeKind.ACCEPTED, carrier_id="a")])
    journal.close()
    files = {path: path.read_bytes() for path in (tmp_path / "journal").iterdir()}
    known = Journal(tmp_path / "journal", 2, "0" * 36, segment_bytes=4096).look()
    assert (known.written, set(known.answers), known.epochs) == ({(1, 1, 1), (2, 1, 1)}, {(1, 1, 1)}, {5})
    assert {path: path.read_bytes() for path in (tmp_path / "journal").iterdir()} == files
    assert Journal(tmp_path / "journal", 2, "0" * 36, segment_bytes=4096).open() == known
    foreign = Journal(tmp_path / "journal", 3, "0" * 36, segment_bytes=4096).look()
    assert not foreign.epochs


class There:
    """What another worker has, behind its control socket."""

    def __init__(self, control: Path) -> None:
        self.controls = [control]
        self.watches, self.portal = Watches(), SimpleNamespace(trying=None)
        self.channels = self.snapshots = self
        self.siblings: Any = SimpleNamespace(told=list)
        self.lent: list[ApiKey] = []
        self.status_here, self.heartbeat = list, SimpleNamespace(away=False)

    def with_channel(self, name: str) -> Path | None:
        return self.controls[0] if name == "there" else None

    def channel(self, name: str) -> There:
        assert name == "there"
        return self

    async def record(self, *, seconds: float, max_bytes: int) -> AsyncIterator[bytes]:
        yield b'{"event": "begin"}\n'
        yield b'{"event": "end"}\n'

    async def probe(self, name: str, to: str) -> tuple[int, int]:
        if to == "refused":
            raise Invalid("NUMBER_INVALID")
        return 4, 5

    async def lend(self, key: ApiKey) -> None:
        self.lent.append(key)


@asynccontextmanager
async def served(root: Path, worker: int, application: web.Application | None = None) -> AsyncIterator[Any]:
    there: Any = There(place(root, worker).folder / worker_pool.CONTROL)
    runner = web.AppRunner(application or control.application(there))
    await runner.setup()
    await web.UnixSite(runner, str(there.controls[0])).start()
    try:
        yield there
    finally:
        await runner.cleanup()


class Nothing:
    """The channels of a worker that runs none."""

    def channel(self, name: str) -> Any:
        raise Invalid("NOT_FOUND")

    async def probe(self, name: str, to: str) -> tuple[int, int]:
        return self.channel(name)


async def test_who_does_not_reach_the_database_is_not_counted_on_by_who_does(
    tmp_path: Path, time: Time, held: dict[int, HeldLock]
) -> None:
    begins(tmp_path, 2, held)
    async with served(tmp_path, 2) as there:
        made = Siblings(place(tmp_path, 1, of=2))
        made.look()
        assert not made.able
        await made.ask()
        assert made.able
        there.heartbeat.away = True
        time.now += module.SILENT
        await made.ask()
        made.look(away=True)
        assert not made.able
        assert owners(made) == {2, 4, 6, 8}, "nor do we, so it may not be its own fault"
        time.now += module.SILENT
        await made.ask()
        made.look()
        assert owners(made) == set(range(1, 10))
        made.look(away=True)
        assert owners(made) == set(range(1, 10)), "what was judged is not judged again meanwhile"
        there.heartbeat.away = False
        await made.ask()
        time.after(module.SETTLED, made)
        assert owners(made) == {2, 4, 6, 8}


@pytest.mark.parametrize("said", ["[1", '{"channels": 3}', '"words"'])
async def test_one_that_is_not_understood_keeps_no_other_from_being_heard(
    tmp_path: Path, held: dict[int, HeldLock], said: str
) -> None:
    """It is of another release: its channels are not known, and it is not counted on."""
    begins(tmp_path, 2, held)
    begins(tmp_path, 3, held)

    async def says(_: web.Request) -> web.Response:
        return web.Response(text=said, content_type="application/json")

    strange = web.Application()
    strange.router.add_get("/worker/channels", says)
    async with served(tmp_path, 2, strange), served(tmp_path, 3):
        made = Siblings(place(tmp_path, 1))
        made.look()
        await made.ask()
        assert made.able, "the third"


async def test_what_one_worker_has_the_others_show(tmp_path: Path) -> None:
    async with served(tmp_path, 2) as there:
        watch = Watch("boss", deque([Passed(1.5, 2, True, "SUBMIT", "cmpp30", b"\0\1")], maxlen=100), 7, True, "time")
        there.watches._of[3] = watch
        seen = WatchesOfAll(there)
        assert await seen.seen(3, "boss") == watch
        assert await seen.seen(3, "another") is None
        now = datetime.now(UTC)
        tried = Tried(2, now, 1, "k", "send", "POST", "/x", "", "{}", {"a": "b"}, Signing("", "", "", ""), 200)
        there.portal.trying = Trying(there.lend, lambda: Door("http://127.0.0.1:1"), tuple)
        boss = Actor.system("boss")
        there.portal.trying.remember(boss.label, tried)
        mine = TryingOfAll(lend=there.lend, door=lambda: Door("http://127.0.0.1:1"), operations=tuple, siblings=there)
        assert await mine.tried(boss) == (tried,)
        key = ApiKey("k", 1, frozenset({"send"}), True, (), b"\0\1", None, ("s",), "active", now, 5, lent=True)
        await control_client.call(there.controls[0], "POST", "/worker/lend", msgspec.to_builtins(Lent.of(key)))
        assert there.lent == [key]
        anywhere = Anywhere(Nothing(), there)
        pieces = [piece async for piece in anywhere.channel("there").record(seconds=1, max_bytes=1)]
        assert b"".join(pieces).count(b"\n") == 2
        assert await anywhere.probe("there", "+8613800138000") == (4, 5)
        for name, to, code in (("there", "refused", "NUMBER_INVALID"), ("nowhere", "+8613800138000", "NOT_FOUND")):
            with pytest.raises(Invalid) as refused:
                await anywhere.probe(name, to)
            assert refused.value.code == code
    assert await seen.seen(3, "boss") is None, "it is gone"


class Heard:
    """Stands for the channels of a process, or for its configuration."""

    def __init__(self) -> None:
        self.listeners: list[Any] = []
        self.queues: set[tuple[int, int]] = set()

    def announced(self, queues: set[tuple[int, int]]) -> None:
        self.queues |= queues


async def test_news_reach_the_others_and_do_not_come_back(tmp_path: Path) -> None:
    fleets: list[Any] = [Heard() for _ in range(2)]
    snapshots: list[Any] = [Heard() for _ in range(2)]
    hubs = [EventHub() for _ in range(2)]
    told: list[list[tuple[int, str]]] = [[], []]
    for hub, heard in zip(hubs, told, strict=True):
        hub.listeners.append(lambda account, kind, heard=heard: heard.append((account, kind)))  # type: ignore[misc]
    news = [News(place(tmp_path, n + 1, of=2), fleets[n], hubs[n], snapshots[n]) for n in range(2)]
    for one in news:
        await one.start()
    fleets[0].listeners[0]({(3, 1)})
    hubs[0].notify([7, 8], "report")
    async with asyncio.timeout(60):
        while not (fleets[1].queues and told[1]):  # noqa: ASYNC110 - a datagram
            await asyncio.sleep(0.01)
    assert fleets[1].queues == {(3, 1)}
    assert not news[1].changed.is_set()
    snapshots[0].listeners[0]()
    await asyncio.wait_for(news[1].changed.wait(), 30)
    assert not news[0].changed.is_set()
    assert sorted(told[1]) == [(7, "report"), (8, "report")]
    await news[1].stop()
    hubs[0].notify([9], "report")  # nobody is there
    await asyncio.sleep(0.05)
    await news[1].start()
    hubs[0].notify([10], "mo")
    async with asyncio.timeout(5):
        while (10, "mo") not in told[1]:
            hubs[0].notify([10], "mo")
            await asyncio.sleep(0.01)
    assert told[0].count((7, "report")) == 1, "what it has said itself is not said to it"
    for one in news:
        await one.stop()


class Air:
    """A Redis that gives each word to all who listen."""

    up = True
    busy = False

    def __init__(self) -> None:
        self.ears: list[Any] = []
        self.words = 0

    def say(self, word: bytes) -> None:
        self.words += 1
        for hear in self.ears:
            asyncio.get_running_loop().call_soon(hear, word)


async def test_words_by_redis_and_from_each_other_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tells the other both ways; whoever has heard of something says nothing of it."""
    air = Air()

    def bus(_: object, __: str, hear: Any) -> Any:
        air.ears.append(hear)
        return air

    monkeypatch.setattr(neighbours, "_bus", bus)
    hubs = [EventHub() for _ in range(3)]
    heard: list[list[int]] = [[], [], []]
    for hub, seen in zip(hubs, heard, strict=True):
        hub.listeners.append(lambda account, _, seen=seen: seen.append(account))  # type: ignore[misc]
    fleets: list[Any] = [Heard() for _ in hubs]
    redis, sealer = config.RedisConfig(url="redis://192.0.2.1"), Sealer(b"k" * 32)
    for n, hub in enumerate(hubs):  # the third is of another machine
        neighbours.Neighbours(redis, sealer, n + 1, Demand(), fleets[n], hub, Guesses(), lambda: 3, lambda: 3)
    snapshots: Any = Heard()
    news = [News(place(tmp_path, n + 1, of=2), fleets[n], hubs[n], snapshots) for n in range(2)]
    for one in news:
        await one.start()
    hubs[0].notify([7], "report")
    hubs[2].notify([8], "mo")

    def told() -> tuple[int, list[int], list[int]]:
        return air.words, [seen.count(8) for seen in heard], [seen.count(7) for seen in heard]

    all_is_told = (2, [1, 1, 1], [1, 2, 1])  # its sibling hears it both ways
    async with asyncio.timeout(60):
        while told() < all_is_told:  # noqa: ASYNC110 - datagrams
            await asyncio.sleep(0.01)
    await asyncio.sleep(10 * neighbours.SOON)
    assert told() == all_is_told
    for one in news:
        await one.stop()
