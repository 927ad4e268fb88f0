"""Accepting while the database is away: calls go to the spool, and into the database when it is back, exactly once.

Nothing spooled is sent before that: without the database there is no fencing. A call keeps its ids, so that a repeat of
the replay, or a first try whose commit was lost, changes nothing.

An outage is over when the database commits again, not when the spool is empty: from then on new calls go their usual
way and the spool drains beside them. What spooled calls hold (keys, units) stays theirs until each is in the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from smsgw.core.alarms import CRITICAL, Finding
from smsgw.core.errors import Invalid, Reason, Refused, SmsgwError, Temporary
from smsgw.core.model import MessageType
from smsgw.core.states import PartState
from smsgw.core.wording_json import Heard
from smsgw.core.words import Wording, listed, phrase
from smsgw.pipeline.accept.checks import Refusals
from smsgw.pipeline.accept.entering import Entering
from smsgw.pipeline.accept.rows import Builder
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.fleet import Fleet, Queue
from smsgw.pipeline.heartbeat import Cluster
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshots
from smsgw.runtime import clock, failpoints
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.engine.spool import KEPT, TORN, Reader, Spool
from smsgw.store.messages import replaying, restored
from smsgw.store.messages.calls import NewCall, Stored

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

LOOK_EVERY = 0.5
ROUND_PATIENCE = 4 * 3600.0
"""Seconds for one round of the replay: a whole spool."""
"""Seconds between tries to replay."""
START_PATIENCE = 10.0
"""Seconds that a start waits for what an earlier run has left; the rest is replayed while it serves."""
REPLAY_WEIGHT = 1000
"""Parts that are replayed together: half of a commit, so that live calls find room in it (a call that has more goes
alone)."""
REPLAY_PATIENCE = 60.0
"""Seconds that a replay waits for its commit: nobody holds the line."""
QUICK = 2.0
"""Seconds in which a database must commit what is replayed for calls to be put to it again: less than they wait."""
REBIND = 30.0
"""Seconds after an outage in which channels that had let go of their carriers come back."""
REMEMBERED = 20_000
"""Keys of the last calls that are remembered, for repeats that come during an outage."""
TURN = 50
"""Calls that are decoded in one turn of the loop."""

KeyOf = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class _Holder:
    """The call that has a key."""

    sha256: bytes
    answer: bytes
    """Empty: one of many."""
    message_id: int
    synced: asyncio.Future[None] | None = None
    """None: it is safe."""


def weight_of(call: NewCall) -> int:
    """What a call counts for, in parts."""
    return max(1, len(call.parts) + len(call.refused))


def queues_of(call: NewCall) -> set[Queue]:
    """Where the messages of a call wait to be sent."""
    return {(part.pool_id, part.lane) for part in call.parts if part.state == PartState.QUEUED}


@dataclass(frozen=True, slots=True)
class OutageSpool:
    """Where calls go while the database is away, and for how long."""

    spool: Spool
    seconds: float
    """After so long an outage calls are refused."""


def damaged(node: str, kept: Sequence[Path]) -> list[Finding]:
    """That there are files with what could not be entered."""
    if not kept:
        return []
    detail = phrase("alarm.spool_files", n=len(kept), names=listed(str(path) for path in kept[:5]))
    return [Finding("spool_damaged", node, CRITICAL, detail)]


class Spooling:
    """The way around a database that is away. ``active`` from the first call that could not be committed until the
    database commits again."""

    def __init__(
        self,
        outage: OutageSpool,
        writer: Entering,
        available: Known,
        cluster: Cluster,
        fleet: Fleet,
        hub: EventHub,
        lists: Refusals,
        builder: Builder,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``lists`` are read anew before spooled calls are judged by them."""
        self._spool = outage.spool
        self._seconds = outage.seconds
        self._writer = writer
        self._available = available
        self._cluster = cluster
        self._fleet = fleet
        self._hub = hub
        self._lists = lists
        self._builder = builder
        self._clock = clock
        self._since: float | None = None
        self._over = float("-inf")
        """When the last outage ended."""
        self._spent: Counter[int] = Counter()
        """Units of spooled calls, by account."""
        self._keys: dict[KeyOf, _Holder] = {}
        """Keys of spooled calls."""
        self._recent: OrderedDict[KeyOf, _Holder] = OrderedDict()
        self._reader: Reader | None = None
        """Where the replay is."""
        self._bodies: list[bytes] = []
        """Read and not decoded yet: a round that is cut off begins with them again."""
        self._read: list[NewCall] = []
        """Calls that were read and are not in the database."""
        self._failed = 0
        """Calls of the segment that cannot be entered."""
        self._drained = asyncio.Event()
        self.calls = 0
        """In the spool."""
        self.replayed = 0
        self.refused = 0
        """Spooled calls that the database has refused."""
        self.problem = ""
        """Why the last call could not be spooled; empty when it could."""

    async def start(self) -> None:
        """Take up what an earlier run has left."""
        await self._spool.open()
        for segment in await self._spool.rotate():
            reader = Reader(segment)
            while bodies := await reader.read():
                for call in await self._decoded(bodies, reader.header):
                    self.calls += 1
                    self._hold(call, None)
        if not self._spool.empty:
            log.warning("spool.left", calls=self.calls, octets=self._spool.size)

    def periodics(self) -> Sequence[Periodic]:
        """What brings spooled calls into the database."""
        return (Periodic("spool.replay", LOOK_EVERY, self._look, patience=ROUND_PATIENCE),)

    async def caught_up(self) -> None:
        """Returns when what an earlier run has left is entered, or after a while: what was accepted should be found by
        the first who asks for it."""
        if not self._spool.empty:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(START_PATIENCE):
                    await self._drained.wait()

    async def stop(self) -> None:
        """What is spooled stays for the next start."""
        await self._spool.close()

    @property
    def active(self) -> bool:
        """Calls go to the spool."""
        return self._since is not None

    @property
    def open(self) -> bool:
        """A call could be taken now."""
        since = self._since
        return not self._spool.broken and (since is None or self._clock() - since < self._seconds)

    @property
    def unsettled(self) -> bool:
        """Channels may be away from their carriers because the database is, or was a moment ago."""
        return self.active or self._clock() - self._over < REBIND

    @property
    def octets(self) -> int:
        """In the spool."""
        return self._spool.size

    @property
    def draining(self) -> bool:
        """The outage is over, and what it has left is on its way into the database."""
        return not self.active and not self._spool.empty

    @property
    def entered(self) -> bool:
        """Nothing waits in the spool."""
        return not self.active and self._spool.empty

    def findings(self, node: str, of_others: Sequence[Path] = ()) -> list[Finding]:
        """What is wrong with the spool: it takes nothing, or it has kept what could not be entered. ``of_others``: what
        those have kept that are not there any more to name it."""
        found = []
        if self.problem:
            found.append(Finding("spool_failed", node, CRITICAL, Heard(self.problem)))
        return found + damaged(node, [*self._spool.kept, *of_others])

    def reserved(self, account_id: int) -> int:
        """Units of the account that spooled calls are going to need."""
        return self._spent[account_id] if self._spent else 0

    # --- keys --------------------------------------------------------------------------------------------------

    def remember(self, call: NewCall) -> None:
        """A call was committed: its repeats may come while the database is away."""
        for key, holder in _held(call, None):
            if key[1] != "n":  # whoever checks signatures remembers those
                self._recent[key] = holder
        while len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)

    def _hold(self, call: NewCall, synced: asyncio.Future[None] | None) -> None:
        """A call is in the spool, or on its way there; its keys and units are its own."""
        self._spent[call.account_id] += call.units
        self._keys.update(_held(call, synced))

    def _let_go(self, call: NewCall) -> None:
        self._spent[call.account_id] -= call.units
        if not self._spent[call.account_id]:
            del self._spent[call.account_id]
        for key, holder in _held(call, None):
            if key in self._keys and self._keys[key].message_id == holder.message_id:
                del self._keys[key]

    async def repeated(self, call: NewCall, *, recent: bool = False) -> Stored | None:
        """The answer to a call that repeats a spooled one (``recent``: or one of the last that were committed), once
        that is safe; None when it repeats none. Raises what the first has met, or that the key is another call's."""
        for key in call.keys:
            where = call.account_id, key.kind, key.key
            holder = self._keys.get(where) or (self._recent.get(where) if recent else None)
            if holder is None:
                continue
            if holder.synced is not None:
                await _safe(holder.synced)
            if holder.sha256 == key.request_sha256 and holder.answer:
                return Stored(holder.message_id, replay=holder.answer)
            if key.kind == "k":
                raise Invalid("IDEMPOTENCY_MISMATCH")
            if key.kind == "n":
                raise Refused("AUTH_NONCE_REPLAYED")
            raise Invalid("CLIENT_REF_EXISTS", id=str(holder.message_id))
        return None

    # --- taking calls ------------------------------------------------------------------------------------------

    async def put(self, call: NewCall, problem: Temporary | None = None) -> Stored:
        """Returns when the call is on disk; raises when it cannot be taken. ``problem`` is why the database did not."""
        if call.joins or call.gate is not None:  # they come from the database, and wait for it
            raise problem or _unavailable(phrase("storage.down"))
        if not self.open:
            why = "storage.down_broken" if self._spool.broken else "storage.down_long"
            raise problem or _unavailable(phrase(why))
        if (first := await self.repeated(call, recent=True)) is not None:
            return first
        left = self._available(call.account_id) // max(1, self._cluster.live) - self.reserved(call.account_id)
        if call.units > max(0, left):
            raise Refused("BALANCE_INSUFFICIENT", need=call.units, left=max(0, left))
        if self._since is None:
            self._since = self._clock()
            log.error("spool.begun", problem=str(problem) if problem else "")
        try:
            synced = self._spool.submit(replaying.to_bytes(call))
        except OSError as exc:
            raise self._not_taken(exc) from exc
        self._hold(call, synced)
        synced.add_done_callback(lambda _: self._written(call, synced))
        await _safe(synced)
        return Stored(call.batch_id)

    def _written(self, call: NewCall, synced: asyncio.Future[None]) -> None:
        """Whoever still waits for it, or does not."""
        error = synced.exception()
        if error is None:
            self.calls += 1
            self.problem = ""
        else:
            self._let_go(call)
            self._not_taken(error)

    def _not_taken(self, error: BaseException) -> Temporary:
        self.problem = str(error) if isinstance(error, OSError) else repr(error)
        return _not_stored(error)

    # --- replay ------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Replay what is there, as far as the database lets us."""
        if self._spool.empty and not self.active:
            self._drained.set()
            return
        while await self._fresh():
            if self._reader is None and not await self._begin():
                if self._spool.empty:  # else the first of it is being written
                    self._all_entered()
                return
            chunk = await self._next()
            if chunk and not await self._replay(chunk):
                return

    def _all_entered(self) -> None:
        log.warning("spool.replayed", calls=self.replayed, refused=self.refused)
        self.calls = 0  # what could not be read is not counted for ever
        self._spent.clear()
        self._keys.clear()
        self._drained.set()
        if self.active:
            self._end()

    def _judged(self, call: NewCall) -> NewCall:
        """A spooled call without the messages that the lists keep from their numbers by now. Of one from before a
        restore nothing is sent until somebody decides."""
        if self._reader is not None and self._reader.segment.number <= self._spool.doubtful:
            return restored.doubted(call, clock.now())
        reasons: dict[int, Reason] = {}
        for index, row in enumerate(call.messages):
            type_ = MessageType(row.type)
            said = self._lists.refusal(row.number, call.account_id, type_, row.sign)
            said = said or self._lists.withheld(row.number, call.account_id, type_, row.kind)
            if said is not None:
                reasons[index] = said
        return self._builder.revise(call, reasons) if reasons else call

    async def _fresh(self) -> bool:
        """What spooled calls are judged by is as the database has it; False when that is away. Whether it is
        the one that it was, and not restored from a backup meanwhile, the next beat says."""
        if self._cluster.away:
            return False
        try:
            await self._lists.follow()
        except SmsgwError:
            return False
        return True

    def _end(self) -> None:
        """Calls go to the database again."""
        self._since = None
        self._over = self._clock()
        if not self._spool.broken:
            self.problem = ""
        log.warning("spool.outage_over", left=self.calls)

    async def _begin(self) -> bool:
        """Open the oldest segment; False when there is none."""
        segment = await self._spool.oldest()
        self._reader = Reader(segment) if segment is not None else None
        return segment is not None

    async def _next(self) -> list[NewCall]:
        """The next calls to be replayed, each of them once in memory; empty at the end of a segment, which is gone
        then."""
        assert self._reader is not None  # noqa: S101 - just begun
        if not self._read:
            self._bodies = self._bodies or await self._reader.read()
            if not self._bodies:
                await self._dispose(self._reader)
                return []
            self._read = await self._decoded(self._bodies, self._reader.header)
            self._failed += len(self._bodies) - len(self._read)
            self._bodies = []
        weight = 0
        for n, call in enumerate(self._read):
            weight += weight_of(call)
            if weight > REPLAY_WEIGHT and n:
                return self._read[:n]
        return list(self._read)

    async def _decoded(self, bodies: Sequence[bytes], columns: bytes) -> list[NewCall]:
        calls = []
        for n, body in enumerate(bodies):
            if n % TURN == 0:
                await asyncio.sleep(0)
            try:
                calls.append(replaying.from_bytes(body, columns))
            except ValueError as exc:
                sparing.critical("spool.unreadable", str(exc), problem=str(exc))
        return calls

    async def _replay(self, chunk: list[NewCall]) -> bool:
        """Bring calls into the database; False when the database is (still, or again) away."""
        began = self._clock()
        judged = [self._judged(call) for call in chunk]
        commits = [self._writer.submit(call, beyond=True) for call in judged]
        for call, entered, commit in zip(chunk, judged, commits, strict=True):
            commit.add_done_callback(partial(self._entered, call, entered))
        results = await asyncio.gather(*commits, return_exceptions=True)
        queues: set[tuple[int, int]] = set()
        told: set[int] = set()
        left = []
        for call, entered, result in zip(chunk, judged, results, strict=True):
            if isinstance(result, Temporary):
                left.append(call)
                continue
            self.calls -= 1
            if isinstance(result, SmsgwError):
                self.refused += 1
                told.add(call.account_id)
            elif isinstance(result, BaseException):
                self._failed += 1
                log.error("spool.call_failed", batch=call.batch_id)
            else:
                queues |= queues_of(entered)
                if entered.refused or result.revised or result.replay is not None:
                    told.add(call.account_id)
        done = len(chunk) - len(left)
        if done:
            failpoints.reach("replay.committed")
        self._read[: len(chunk)] = left
        self.replayed += done
        self._fleet.announce(queues)
        self._hub.notify(told, "report")
        if done and self._since is not None:
            self._since = self._clock()  # it is not away; it may be slow
            if self._clock() - began < QUICK:
                self._end()
        return not left

    def _entered(self, call: NewCall, entered: NewCall, commit: asyncio.Future[Stored | SmsgwError]) -> None:
        """What the call held is in the database, or free, with its own commit: others of its chunk may take longer."""
        if commit.cancelled() or isinstance(commit.exception(), Temporary):
            return  # it stays in the spool
        self._let_go(call)
        if commit.exception() is None:
            result = commit.result()
            if isinstance(result, Stored) and result.replay is None:
                self.remember(entered)

    async def _dispose(self, reader: Reader) -> None:
        """All that can be entered of a segment is: it goes, unless something of it could not."""
        segment, failed = reader.segment, self._failed
        if reader.unreadable:
            octets = sum(end - begin for begin, end in reader.unreadable)
            say = log.warning if reader.torn else log.critical
            say(
                "spool.torn" if reader.torn else "spool.damaged", segment=segment.path.name, octets=octets,
                places=reader.unreadable[:20],
            )  # fmt: skip
        if failed or (reader.unreadable and not reader.torn):
            await self._spool.set_aside(segment, KEPT)
        elif reader.unreadable:
            await self._spool.set_aside(segment, TORN)
        else:
            await self._spool.remove(segment)
        self._reader, self._failed = None, 0


def _held(call: NewCall, synced: asyncio.Future[None] | None) -> list[tuple[KeyOf, _Holder]]:
    return [
        (
            (call.account_id, key.kind, key.key),
            _Holder(key.request_sha256, call.answer if key.answers else b"", key.message_id, synced),
        )
        for key in call.keys
    ]


def _unavailable(reason: Wording) -> Temporary:
    return Temporary("STORAGE_UNAVAILABLE", retry_after=5, reason=reason)


def _not_stored(error: BaseException) -> Temporary:
    why = error.strerror if isinstance(error, OSError) else type(error).__name__
    return _unavailable(phrase("storage.not_spooled", why=why))


async def _safe(synced: asyncio.Future[None]) -> None:
    """Wait for the sync of a call, which goes on when its caller does not. Raises ``STORAGE_UNAVAILABLE``."""
    try:
        await asyncio.shield(synced)
    except OSError as exc:
        raise _not_stored(exc) from exc


class Known:
    """The units that accounts could spend when last seen: by the last commit of this node, else by its snapshot."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._seen: dict[int, int] = {}

    def note(self, available: Mapping[int, int]) -> None:
        """What a commit has left."""
        self._seen.update(available)

    def __call__(self, account_id: int) -> int:
        """Units."""
        seen = self._seen.get(account_id)
        return self._snapshots.current.available.get(account_id, 0) if seen is None else seen
