"""One channel in virtual time: the real ``Channel`` and a simulated carrier; queues and outcome writer in memory.

What is queued is a list, what comes of it another one; between them everything is the program's own, octets included.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from composing import services
from snapshots import FixedSnapshots
from virtual import EPOCH, Process, VirtualLoop, dice_of, simulated
from wires import Network, Transport, Wire

from smsgw.channels import claims
from smsgw.channels.channel import Channel
from smsgw.channels.pool_shares import PoolShares
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import AHEAD, first_id
from smsgw.core.model import ChannelSpec, Claimed, Inbound, Lane, Outcome, OutcomeKind, Report, UnknownPolicy
from smsgw.pipeline.fleet import Membership
from smsgw.simulator.carrier import Carrier
from smsgw.simulator.config import CarrierConfig
from smsgw.store.engine.journal import Journal, Key
from smsgw.store.engine.leases import Lease
from smsgw.store.messages import claiming

POOL = 1
PASSWORD = "secret"


class Refused(SmsgwError):
    """The outcome writer could not commit."""

    def __init__(self) -> None:
        super().__init__("INTERNAL")


class Queues:
    """What the database would say to claims, and what it was asked."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.waiting: list[Claimed] = []
        self.deferred: list[tuple[datetime, Claimed]] = []
        self.asked: list[tuple[float, int, list[tuple[int, int]]]] = []
        """When how much was claimed from which queues."""
        self.failures: list[BaseException] = []
        """What the next claims are answered with."""
        self.takes = 0.0
        """Seconds."""
        self.lost: list[Key] = []
        """Parts that are claimed in the database by a claim that had no answer."""
        self.connections = 0
        self.most_at_once = 0
        """Claims that were under way together."""
        self._at_once = 0

    async def connect(self, dsn: str, **_: Any) -> Any:
        """Of the channel's own."""
        self.connections += 1
        return SimpleNamespace(is_closed=lambda: False, terminate=lambda: None, add_log_listener=lambda _: None)

    async def claim(
        self, connection: Any, fence: claiming.Fence, *, limit: int, queues: Sequence[tuple[int, int]], oldest: int,
        newest: int, since: Sequence[int] = (), halted: Collection[int], again: bool = False,
    ) -> list[Claimed]:  # fmt: skip
        """Of what has failed elsewhere (``again``) there is nothing."""
        if again:
            return []
        self.asked.append((self._loop.time(), limit, list(queues)))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(self.takes)
        self._at_once -= 1
        if self.failures:
            raise self.failures.pop(0)
        found = [
            part
            for queue in queues
            for part in self.waiting
            if (part.pool_id, part.lane) == queue and part.account_id not in halted
        ][:limit]
        self.waiting = [part for part in self.waiting if part not in found]
        return found

    async def claim_deferred(
        self, connection: Any, fence: claiming.Fence, *, now: datetime, limit: int, oldest: int, halted: Any
    ) -> list[Claimed]:
        """What is due."""
        due = [part for at, part in self.deferred if at <= now][:limit]
        self.deferred = [(at, part) for at, part in self.deferred if part not in due]
        return [replace(part, attempt=part.attempt + 1) for part in due]

    async def next_deferred(self, connection: Any, channel_id: int, oldest: int) -> datetime | None:
        """The time of the next one."""
        return min((at for at, _ in self.deferred), default=None)

    async def held(self, connection: Any, channel_id: int, epochs: Any, current: int, older: float) -> list[Any]:
        """What stands claimed under an epoch of before."""
        return [{"id": i, "part": p, "attempt": a, "epoch": 0} for i, p, a in self.lost]

    async def reissue(self, connection: Any, lease: Lease) -> bool:
        """A new epoch."""
        lease.epoch += 1
        lease.epochs.add(lease.epoch)
        return True


class Verdicts:
    """The outcome writer: what the channel has told it."""

    open_for = timedelta(hours=76)

    def __init__(self, loop: VirtualLoop, journal: Journal) -> None:
        self._loop = loop
        self._journal = journal
        self.full = False
        self.said: list[tuple[float, Outcome]] = []
        self.reports: list[Report] = []
        self.inbounds: list[Inbound] = []
        self.pending: list[asyncio.Future[Any]] = []
        """Reports and messages that are not committed yet."""
        self.commits: bool | None = True
        """Whether what comes is committed at once; False: it is refused at once, None: it stays pending."""

    @property
    def roomy(self) -> bool:
        """As the writer would."""
        return not self.full

    def answered(self, outcomes: list[Outcome], policy: UnknownPolicy) -> None:
        """Outcomes of parts that were written."""
        self._hear(outcomes)

    def unsent(self, outcomes: list[Outcome]) -> None:
        """Parts that were not."""
        self._hear(outcomes)

    def _hear(self, outcomes: list[Outcome]) -> None:
        self.said += [(self._loop.time(), outcome) for outcome in outcomes]
        self._journal.settled([(o.id, o.part, o.attempt) for o in outcomes])

    def report(self, report: Report) -> asyncio.Future[Any]:
        """A delivery report."""
        self.reports.append(report)
        return self._future()

    def inbound(self, inbound: Inbound) -> asyncio.Future[Any]:
        """A message from a phone."""
        self.inbounds.append(inbound)
        return self._future()

    def _future(self) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        if self.commits is None:
            self.pending.append(future)
        elif self.commits:
            future.set_result(None)
        else:
            future.set_exception(Refused())
        return future

    def of(self, kind: OutcomeKind) -> list[int]:
        """Ids of messages with such an outcome, in the order in which they were told."""
        return [outcome.id for _, outcome in self.said if outcome.kind is kind]

    def codes(self) -> Counter[str]:
        """How often which code was told with an outcome that is not an acceptance."""
        return Counter(o.code for _, o in self.said if o.kind is not OutcomeKind.ACCEPTED)


class Stage:
    """A channel, ``carrier``, and all between which a test looks at. Nothing runs before ``start``."""

    def __init__(self, loop: VirtualLoop, folder: Path, **about: Any) -> None:
        protocol = about.get("protocol", "cmpp20")
        self.loop = loop
        self.network = Network(loop, dice_of("stage"))
        self.network.watch = self._watch
        self.spec = ChannelSpec(
            **{"id": 1, "name": "a", "protocol": protocol, "host": "127.0.0.1", "port": 9000, "username": "900001",
               "password": PASSWORD, "access_code": "1069"} | about
        )  # fmt: skip
        self.carrier = Carrier(
            CarrierConfig(
                name="carrier", protocol=protocol[:4], port=9000, users={self.spec.username: PASSWORD}, seed=1,
                cmpp_version="2.0",
            )
        )  # fmt: skip
        self.carrier.change(report_delay="3600")
        self.carrier_is = Process("carrier").context()
        self.order: list[str] = []
        """``journal`` and ``wire``, as parts are recorded and octets handed over."""
        self.on_record: Callable[[], None] = lambda: None
        """Called when a record has been written to the journal."""
        self.arrived: list[tuple[float, int, str]] = []
        """When which message has reached the carrier, and its text; those that it refuses, too."""
        self.journal = Journal(folder, 1, "0" * 36)
        self.queues = Queues(loop)
        self.verdicts = Verdicts(loop, self.journal)
        self.lease = Lease("channel/1", 1, 7, float("inf"))
        self.snapshots = FixedSnapshots()
        self._ids = itertools.count(1)
        self.channel: Channel

    async def start(self, *, bound: bool = True) -> None:
        """Connect; wait until it is logged in."""
        self.journal.open()
        self.journal.own(self.lease.epoch)
        write = self.journal.write

        def recorded(keys: Sequence[Key]) -> None:
            write(keys)
            if keys:
                self.order.append("journal")
                self.on_record()

        self.journal.write = recorded  # type: ignore[method-assign]
        outcomes: Any = self.verdicts
        ids: Any = SimpleNamespace(next=lambda: next(self._ids), newest=lambda now: first_id(now + AHEAD))
        given = services("model", 1, self.journal, outcomes, PoolShares(self.loop.time), ids, self.snapshots)
        self.channel = Channel(self.spec, self.lease, {POOL: Membership()}, given)
        await self.loop.create_task(self.carrier.start(), context=self.carrier_is)
        voice = self.carrier.dialect
        read = voice.read

        def reading(pdu: Any) -> Any:
            submission = read(pdu)
            if submission is not None:
                for to in submission.destinations:
                    self.arrived.append((self.loop.time(), int(to[-6:]), submission.text))
            return submission

        voice.read = reading
        self.channel.start()
        if bound:
            await self.until(lambda: self.channel.reachable == self.spec.connections)

    def _watch(self, wire: Wire) -> Any:
        def written(_: Wire, by_client: bool, data: bytes) -> None:
            if by_client:
                self.order.append("wire")

        return SimpleNamespace(written=written, delivered=lambda *_: None)

    @property
    def wires(self) -> list[Transport]:
        """The channel's ends of its open connections."""
        return [wire.client for wire in self.network.wires if wire.open]

    @property
    def reached(self) -> list[int]:
        """Ids of messages that have reached the carrier, in their order."""
        return [id_ for _, id_, _ in self.arrived]

    def part(
        self, lane: Lane = Lane.NOTICE, *, valid: float | None = None, account: int = 1, text: str = ""
    ) -> Claimed:
        """A message of one part; ``valid``: seconds from now."""
        id_ = next(self._ids)
        until = None if valid is None else datetime.fromtimestamp(EPOCH + self.loop.time() + valid, UTC)
        return Claimed(
            id=id_, part=1, total=1, attempt=1, number=f"86138{10_000_000 + id_ % 1_000_000:08}",
            content=text or f"text {id_}", coding="ucs2", extend_code="", lane=int(lane), valid_until=until,
            ref=id_ % 256, pool_id=POOL, account_id=account,
        )  # fmt: skip

    def queue(self, n: int, lane: Lane = Lane.NOTICE, *, silently: bool = False, **about: Any) -> list[int]:
        """Put messages in the queue, and tell the channel unless ``silently``; their ids."""
        parts = [self.part(lane, **about) for _ in range(n)]
        self.queues.waiting += parts
        if not silently:
            self.channel.announce({(POOL, int(lane))})
        return [part.id for part in parts]

    def change(self, **about: Any) -> None:
        """As an operator would."""
        self.spec = replace(self.spec, **about)
        self.channel.change(self.spec)

    def at_carrier(self, call: Callable[[], object]) -> None:
        """Let the carrier do something."""
        self.carrier_is.run(call)

    async def until(self, what: Callable[[], object], *, within: float = 60.0) -> None:
        """Let time pass until that is so."""
        deadline = self.loop.time() + within
        while not what():
            assert self.loop.time() < deadline, f"not within {within} s"
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """As when the node stops."""
        await self.channel.stop()

    @contextmanager
    def installed(self) -> Any:
        """The store is what is in memory."""
        store = SimpleNamespace(
            Fence=claiming.Fence, claim=self.queues.claim, claim_deferred=self.queues.claim_deferred,
            next_deferred=self.queues.next_deferred, held=self.queues.held,
        )  # fmt: skip
        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(claims, "connect", self.queues.connect))
            stack.enter_context(mock.patch.object(claims, "claiming", store))
            stack.enter_context(mock.patch.object(claims, "leases", SimpleNamespace(reissue=self.queues.reissue)))
            yield


def staged(**about: Any) -> Callable[[Callable[[Stage], Awaitable[None]]], Callable[[], None]]:
    """A test of a channel that is about so, in virtual time: it is started before and stopped after it."""

    def decorate(test: Callable[[Stage], Awaitable[None]]) -> Callable[[], None]:
        async def play(stage: Stage) -> None:
            await stage.start()
            await test(stage)
            await stage.stop()
            await stage.loop.create_task(stage.carrier.stop(), context=stage.carrier_is)

        @functools.wraps(test)
        def run() -> None:
            loop = VirtualLoop()
            asyncio.set_event_loop(None)
            wrong: list[dict[str, Any]] = []
            loop.set_exception_handler(lambda _, context: wrong.append(context))
            with tempfile.TemporaryDirectory(prefix="smsgw-stage-") as folder, simulated(loop, 1):
                stage = Stage(loop, Path(folder), **about)
                try:
                    with stage.installed():
                        loop.run_until_complete(asyncio.wait_for(play(stage), 900.0))
                finally:
                    stage.journal.close()
                    for task in loop.kept.copy():
                        task._log_destroy_pending = False  # type: ignore[attr-defined]
                    loop.close()
            assert not wrong, wrong

        del run.__wrapped__  # type: ignore[attr-defined] # it takes no fixtures
        return run

    return decorate
