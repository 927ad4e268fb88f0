"""Nodes, carriers and customers on one virtual loop: the sending path as ``node/build.py`` composes it.

What a node does beside it is not started, and its life (``node/life.py``) is told here again: there is no machine with
servers and signals, and a model stands for the database."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import structlog
from call_rows import message_row, part_row
from checks import Checks, Watcher
from composing import Composed, ground
from driver import Server
from simdb import ACCOUNT, SimDb
from snapshots import FixedSnapshots, snapshot_of
from standins import Alone, NoComplaints, NoNumbers
from virtual import EPOCH, Process, VirtualLoop, dice_of
from wires import Network, Wire

from smsgw.channels.manager import ADOPT_EVERY, ChannelManager
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import IdSource, first_id
from smsgw.core.model import ChannelSpec
from smsgw.core.report_ids import Spelling
from smsgw.core.states import PartState
from smsgw.pipeline.accept.at_once import AtOnce
from smsgw.pipeline.outcomes.writer import MAX_AGE, Outcomes, Sweep
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.upkeep.maintenance import REMATCH_WITHIN
from smsgw.protocols.session import Session
from smsgw.runtime import clock
from smsgw.simulator.carrier import Carrier
from smsgw.simulator.config import CarrierConfig
from smsgw.store.engine import nodes
from smsgw.store.engine.database import Database
from smsgw.store.engine.group_commit import Batcher
from smsgw.store.engine.journal import Journal
from smsgw.store.engine.nodes import Identity
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import reattempt
from smsgw.store.messages.accepting import commit_calls
from smsgw.store.messages.calls import NewCall, Stored
from smsgw.store.messages.outcomes import TAKEN_OVER

POOL, LANE = 1, 2
PASSWORD = "secret"
SEALER = Sealer(bytes(32))
SEGMENT = 1 << 12
"""Octets of a journal's segment: small, so that many are begun and let go."""
_OPEN = "SELECT * FROM part WHERE state IN (10, 11, 20) OR (state, code) = (31, $1) ORDER BY id, part"
_PARKED = "SELECT FROM receipt_orphan WHERE received_at > $1"
"""Reports that wait for the next look at those that have found no part."""
PROTOCOLS = {"cmpp20": "cmpp", "cmpp30": "cmpp", "smpp34": "smpp", "smgp30": "smgp"}


def configured(channels: list[ChannelSpec]) -> FixedSnapshots:
    """The configuration of every run: one account, one pool, and carriers that spell as they speak."""
    spellings = {spec.id: Spelling.SAME for spec in channels}
    known = tuple(replace(spec, password=PASSWORD) for spec in channels)
    return FixedSnapshots(snapshot_of(pools={"CMCC": POOL}, channels=known, spellings=spellings))


@dataclass(slots=True)
class Setting:
    """What a run is made of; drawn from its seed."""

    nodes: int = 1
    channels: list[ChannelSpec] = field(default_factory=list)
    messages: int = 40
    direct: float = 0.7
    """Share of messages that nodes accept themselves."""
    long: float = 0.0
    """Share of messages of two parts."""
    seconds: float = 20.0
    """Over which they come."""
    clocks: tuple[float, ...] = (0.0, 0.0)
    """By how much the clocks of the nodes' machines are ahead."""


class NoTestChannel:
    """There are no test keys."""

    async def channel(self) -> ChannelSpec:
        raise AssertionError("a run has no test keys: nobody asks for their channel")


class Node:
    """A machine with a data directory, on which the program is started again when it has died."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.name = f"node{number}"
        self.folder = world.folder / self.name
        self.process = Process(self.name)
        self.process.dead = True
        self.manager: ChannelManager | None = None
        self.outcomes: Outcomes | None = None
        self.entering: Batcher[NewCall, Stored | SmsgwError] | None = None
        """The writer of accepted calls, while it serves."""
        self.restart_after = 1.0
        self._stop: asyncio.Event
        self.stopped: asyncio.Future[None]

    def start(self) -> None:
        """Start the program."""
        self.process = process = Process(self.name, wall_offset=self.world.setting.clocks[self.number - 1])
        self.world.processes.append(process)
        process.on_death.append(self._died)
        self.manager = self.outcomes = self.entering = None
        self.stopped = self.world.loop.create_future()
        self.world.checks.note(f"{self.name} starts")
        process.context().run(self.world.loop.create_task, self._run(process), name=self.name)

    def _died(self) -> None:
        self.manager = self.outcomes = self.entering = None
        self.world.checks.note(f"{self.name} is dead")
        self.world.loop.call_later(self.restart_after, self.start, context=self.world.context)
        self.restart_after = 1.0

    async def _run(self, process: Process) -> None:
        self._stop = asyncio.Event()
        try:
            await self._serve()
        except Exception as exc:  # as the program: it ends, and is started again
            self.world.checks.note(f"{self.name} could not start: {exc!r}")
            process.die()
        else:
            self.stopped.set_result(None)

    async def _serve(self) -> None:
        world = self.world
        journal = Journal(self.folder, self.number, world.boot, segment_bytes=SEGMENT)
        world.journals.append(journal)
        world.checks.listen(journal)
        replay = journal.open()
        database = Database("model", size=8)
        await database.open()
        clock.hear(await nodes.ask_time(database))
        number = await nodes.take(database, Identity(self.folder, self.name, self.number), wanted=self.number)
        ids = IdSource(number.number, clock.ms, after=number.after)
        cluster = Alone(self.number)
        stand = ground(
            database, self.folder, sealer=SEALER, number=self.number, ids=ids, journal=journal, replay=replay
        )
        parts = Composed(
            stand, snapshots=configured(world.setting.channels), lists=NoComplaints(), numbers=NoNumbers(),
            test_carrier=NoTestChannel(), heartbeat=cluster,
        )  # fmt: skip
        outcomes, manager = parts.outcomes, parts.channels
        await outcomes.start()

        async def beat() -> None:
            heard = await nodes.beat(database, number, ids.last)
            clock.hear(heard.word)
            ids.seen(heard.newest)
            cluster.live = heard.live

        async def release() -> None:
            oldest = first_id(clock.now() - MAX_AGE)
            await outcomes.sweep(Sweep(lambda c, now: reattempt.release(c, now, oldest)))

        async def rematch() -> None:
            await outcomes.rematch(since=clock.now() - REMATCH_WITHIN)

        await manager.start()
        jobs = parts.periodic.run(
            (
                *manager.periodics(),
                Periodic("beat", 2.0, beat),
                Periodic("release", 0.5, release),
                Periodic("rematch", 10.0, rematch),
            )
        )
        at_once = AtOnce(parts.fleet)
        entering: Batcher[NewCall, Stored | SmsgwError] = Batcher(
            "accept", "model", partial(commit_calls, node=self.number, entrances=at_once), max_batch=20,
            give_up_after=3.0, ended=at_once.ended,
        )  # fmt: skip
        await entering.start()
        self.manager, self.outcomes, self.fleet, self.entering = manager, outcomes, parts.fleet, entering
        await self._stop.wait()
        self.entering = None
        await entering.stop()
        await jobs.stop()
        await manager.stop()
        await outcomes.stop()
        with contextlib.suppress(SmsgwError):
            await nodes.leave(database, number, ids.last)
        await database.close()
        journal.close()

    def stop(self) -> None:
        """As by SIGTERM; ``stopped`` is done when it is over."""
        self.process.context().run(self._stop.set)

    @property
    def accepts(self) -> bool:
        """Whether it takes calls now."""
        return self.entering is not None and not self.process.dead and not self.process.frozen

    def accept(self, call: NewCall) -> None:
        """Take a call, as it comes in by the API."""
        self.process.context().run(self.world.loop.create_task, self._enter(call))

    async def _enter(self, call: NewCall) -> None:
        assert self.entering is not None
        try:
            stored = await self.entering.put(call)
        except SmsgwError as exc:
            self.world.checks.note(f"{self.name} does not know {call.batch_id}: {exc.code}")
            return
        assert isinstance(stored, Stored)
        self.world.checks.accepted.add(call.batch_id)
        if stored.waits:
            self.world.announce()

    def announce(self) -> None:
        """Tell it that messages are queued, as its accept writer would."""
        if self.manager is not None and not self.process.dead and not self.process.frozen:
            self.process.context().run(self.fleet.announce, {(POOL, LANE)})


class World:
    """Everything of one run."""

    def __init__(self, db: SimDb, loop: VirtualLoop, seed: int, setting: Setting, folder: Path) -> None:
        self.loop = loop
        self.setting = setting
        self.folder = folder
        self.dice = dice_of(seed, "world")
        self.boot = "0" * 36
        self.db = db
        db.reset(lambda: datetime.fromtimestamp(EPOCH + loop.time(), UTC), setting.channels)
        self.checks = Checks(loop, db)
        self.server = Server(loop, db, dice_of(seed, "database"))
        self.network = Network(loop, dice_of(seed, "network"))
        self.network.watch = self._watch
        self.journals: list[Journal] = []
        self.processes: list[Process] = []
        self.carriers: list[Carrier] = []
        self._carrier_contexts: list[contextvars.Context] = []
        self.nodes = [Node(self, n) for n in range(1, setting.nodes + 1)]
        self._ids = IdSource(900, lambda: int((EPOCH + loop.time()) * 1000))
        self._taken_over: dict[tuple[int, int, int], float] = {}
        """When attempts were first seen to be called unknown by who took their channel."""
        self.context = contextvars.copy_context()
        self._by_port = {spec.port: n for n, spec in enumerate(setting.channels)}
        for n, spec in enumerate(setting.channels):
            config = CarrierConfig(
                name=f"carrier-{spec.name}", protocol=PROTOCOLS[spec.protocol], port=spec.port,
                users={spec.username: PASSWORD}, seed=seed * 10 + n,
            )  # fmt: skip
            carrier = Carrier(config)
            self.carriers.append(carrier)
            self._carrier_contexts.append(Process(config.name).context())
            self._listen_in(carrier)

    def _listen_in(self, carrier: Carrier) -> None:
        add = carrier.inbox.add

        def took(destination: str, source: str, text: str, concat: Any, *rest: Any) -> None:
            self.checks.took(destination, concat.number if concat else 1)
            add(destination, source, text, concat, *rest)

        carrier.inbox.add = took  # type: ignore[method-assign]

    def _watch(self, wire: Wire) -> Watcher:
        n = self._by_port[wire.port]
        return Watcher(self.checks, wire, self.setting.channels[n], self.carriers[n].dialect)

    async def open_carriers(self) -> None:
        """Each is a process of its own, which never dies."""
        for n, carrier in enumerate(self.carriers):
            await self._carrier_contexts[n].run(self.loop.create_task, carrier.start())

    def in_carrier(self, n: int, call: Callable[[], object]) -> None:
        """Let a carrier do something."""
        self._carrier_contexts[n].run(call)

    def accept(self) -> None:
        """A message comes: to one of the nodes, or it is in the ledger all at once, as if another one had it."""
        id_ = self._ids.next()
        total = 2 if self.dice.random() < self.setting.long else 1
        now = self.db.clock()
        number = f"138{len(self.checks.numbers):08}"
        self.checks.numbers[number] = id_
        message = message_row(
            id=id_, number=number, content="【小店】" + ("号" * (60 * total)), parts=total,
            concat_ref=len(self.checks.numbers) % 256, account_id=ACCOUNT, price=0,
        )  # fmt: skip
        part = part_row(
            id=id_, total=total, account_id=ACCOUNT, pool_id=POOL, lane=LANE, accepted_at=now,
            expires_at=now + timedelta(hours=24),
        )  # fmt: skip
        call = NewCall(ACCOUNT, id_, [message], [part._replace(part=n) for n in range(1, total + 1)], 0, (), b"")
        node = self.dice.choice(self.nodes)
        if self.dice.random() < self.setting.direct and node.accepts:
            node.accept(call)
            return
        self.db.accept(call)
        self.announce()

    def announce(self) -> None:
        """All nodes hear that messages are queued."""
        for node in self.nodes:
            node.announce()

    def busy(self) -> bool:
        """Whether something is still under way that must come to an end."""
        if any(row["state"] != PartState.UNKNOWN or self._may_correct(row) for row in self.db.fetch(_OPEN, TAKEN_OVER)):
            return True
        if any(node.outcomes is None or node.outcomes.waiting for node in self.nodes):
            return True
        if self.db.fetch(_PARKED, self.db.clock() - timedelta(seconds=25)):
            return True
        return any(carrier.owed(120.0) for carrier in self.carriers) or self._expected()

    def _may_correct(self, row: Any) -> bool:
        """Whether the part was called unknown by who took its channel, and who had it has not looked at that yet."""
        now = self.loop.time()
        return now - self._taken_over.setdefault((row["id"], row["part"], row["attempt"]), now) < 2 * ADOPT_EVERY

    def _expected(self) -> bool:
        """Whether some answer may still come or be given up."""
        now = self.loop.time()
        return any(
            write.status is None and now - write.at < 75.0 and not write.process.dead
            for writes in self.checks.writes.values()
            for write in writes
        )

    @contextmanager
    def observed(self) -> Iterator[None]:
        """Sessions and the log are listened to."""
        checks = self.checks

        def returning(name: str) -> Any:
            real = getattr(Session, name)

            def call(session: Session, *args: Any) -> Any:
                events = real(session, *args)
                checks.came_back(session, events)
                return events

            return mock.patch.object(Session, name, call)

        request = Session.request

        def requested(session: Session, pdu: Any, now: float, tag: Any) -> Any:
            sequence = request(session, pdu, now, tag)
            checks.requested(session, tag)
            return sequence

        def record(_: Any, __: str, event: dict[str, Any]) -> Any:
            words = " ".join(f"{k}={v!r}" for k, v in event.items() if k != "event")
            checks.note(f"log     {event['event']} {words}"[:2000])
            raise structlog.DropEvent

        before = structlog.get_config()
        structlog.configure(processors=[structlog.processors.format_exc_info, record], cache_logger_on_first_use=False)
        try:
            with (
                returning("receive"), returning("tick"), returning("closed"),
                mock.patch.object(Session, "request", requested),
            ):  # fmt: skip
                yield
        finally:
            structlog.configure(**before)

    def bury(self) -> None:
        """What still runs is cut short, the dead included: nothing of it may touch the next run."""
        self.checks.closed = self.server.over = True
        for process in self.processes:
            process.dead = False
            process.dies_at = None
            self.loop.thaw(process)
        self.loop.set_exception_handler(lambda *_: None)
        for _ in range(10):  # what ends may have begun something else
            tasks = [task for task in self.loop.kept if not task.done()]
            for task in tasks:
                task.cancel()
                task._log_destroy_pending = False  # type: ignore[attr-defined]
            if not tasks:
                break
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=30.0))
        for journal in self.journals:
            journal.close()
        self.loop.close()
