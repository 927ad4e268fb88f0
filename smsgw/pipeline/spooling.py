"""Accepting while the database is away: calls go to the spool, and into the ledger when it is back, exactly once.

Nothing spooled is sent before that: without the database there is no fencing. A call keeps its ids, so that a repeat of
the replay, or a first try whose commit was lost, changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from smsgw import aio, failpoints
from smsgw.core.errors import Invalid, Refused, SmsgwError, Temporary
from smsgw.store import replaying
from smsgw.store.batch import Batcher
from smsgw.store.calls import NewCall, Stored
from smsgw.store.spool import Segment, Spool

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.5
"""Seconds between tries to replay."""
START_PATIENCE = 10.0
"""Seconds that a start waits for what an earlier run has left; the rest is replayed while it serves."""
CHUNK = 500
"""Calls that are replayed together."""
REMEMBERED = 20_000
"""Keys of the last calls that are remembered, for repeats that come during an outage."""

KeyOf = tuple[int, str, str]


class Spooling:
    """The way around a database that is away. ``active`` from the first call that could not be committed until
    everything spooled is."""

    def __init__(
        self,
        spool: Spool,
        writer: Batcher[NewCall, Stored | SmsgwError],
        *,
        seconds: float,
        available: Callable[[int], int],
        nodes: Callable[[], int],
        on_queued: Callable[[set[tuple[int, int]]], None],
        queues_of: Callable[[NewCall], set[tuple[int, int]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``seconds``: how long an outage may last until calls are refused. ``available``: the units an account had
        when it was last seen."""
        self._spool = spool
        self._writer = writer
        self._seconds = seconds
        self._available = available
        self._nodes = nodes
        self._on_queued = on_queued
        self._queues_of = queues_of
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._since: float | None = None
        self._spent: dict[int, int] = {}
        """Units spooled in this outage, by account."""
        self._keys: dict[KeyOf, tuple[bytes, bytes, int]] = {}
        """Keys in the spool: hash of the request, answer, message id."""
        self._recent: OrderedDict[KeyOf, tuple[bytes, bytes, int]] = OrderedDict()
        self._drained = asyncio.Event()
        self.replayed = 0
        self.refused = 0
        """Spooled calls that the ledger has refused."""

    async def start(self) -> None:
        """Take up what an earlier run has left, and begin."""
        await self._spool.open()
        for segment in await self._spool.rotate():
            for call in await self._calls(segment):
                self._note(self._keys, call)
        if not self._spool.empty:
            self._since = self._clock()
            log.warning("spool.left", octets=self._spool.size)
        self._task = aio.spawn(
            aio.forever(self._look, every=LOOK_EVERY, name="spool.replay"), name="spool.replay"
        )
        if self.active:  # what was accepted should be found by the first who asks for it
            self._drained.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(START_PATIENCE):
                    await self._drained.wait()

    async def stop(self) -> None:
        """End; what is spooled stays for the next start."""
        await aio.cancel(self._task)
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
    def octets(self) -> int:
        """In the spool."""
        return self._spool.size

    def remember(self, call: NewCall) -> None:
        """A call was committed: its repeats may come while the database is away."""
        self._note(self._recent, call)
        while len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)

    @staticmethod
    def _note(keys: dict[KeyOf, tuple[bytes, bytes, int]], call: NewCall) -> None:
        for key in call.keys:
            answer = call.answer if key.answers else b""
            keys[call.account_id, key.kind, key.key] = key.request_sha256, answer, key.message_id

    async def put(self, call: NewCall, problem: Temporary | None = None) -> Stored:
        """Returns when the call is on disk; raises when it cannot be taken. ``problem`` is why the ledger did not."""
        if call.joins or not self.open:
            raise problem or self._unavailable("数据库不可用,本地缓存已到时限")
        repeated = self._repeated(call)
        if repeated is not None:
            return repeated
        left = self._available(call.account_id) // max(1, self._nodes()) - self._spent.get(call.account_id, 0)
        if call.units > max(0, left):
            raise Refused("BALANCE_INSUFFICIENT", need=call.units, left=max(0, left))
        if self._since is None:
            self._since = self._clock()
            log.error("spool.begun", problem=str(problem) if problem else "")
        self._spent[call.account_id] = self._spent.get(call.account_id, 0) + call.units
        self._note(self._keys, call)
        try:
            await self._spool.append(replaying.to_bytes(call))
        except OSError as exc:
            self._spent[call.account_id] -= call.units
            for key in call.keys:
                self._keys.pop((call.account_id, key.kind, key.key), None)
            raise self._unavailable(f"数据库不可用,本地缓存已满或磁盘故障({exc.strerror})") from exc
        return Stored(call.batch_id)

    def _repeated(self, call: NewCall) -> Stored | None:
        for key in call.keys:
            where = call.account_id, key.kind, key.key
            known = self._keys.get(where) or self._recent.get(where)
            if known is None:
                continue
            sha256, answer, message_id = known
            if sha256 == key.request_sha256 and answer:
                return Stored(message_id, replay=answer)
            if key.kind == "k":
                raise Invalid("IDEMPOTENCY_MISMATCH")
            raise Invalid("CLIENT_REF_EXISTS", id=str(message_id))
        return None

    @staticmethod
    def _unavailable(reason: str) -> Temporary:
        return Temporary("STORAGE_UNAVAILABLE", retry_after=5, reason=reason)

    # --- replay ------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Replay what is there, as far as the database lets us; when nothing is left the outage is over."""
        while self.active:
            for segment in await self._spool.rotate():
                if not await self._replay(segment):
                    return
            if self._spool.empty:
                self._since = None
                self._drained.set()
                self._spent.clear()
                self._keys.clear()
                log.warning("spool.replayed", calls=self.replayed, refused=self.refused)

    async def _calls(self, segment: Segment) -> list[NewCall]:
        calls = []
        for body in await self._spool.read(segment):
            try:
                calls.append(replaying.from_bytes(body))
            except (ValueError, TypeError):
                log.exception("spool.unreadable", segment=segment.path.name)
        return calls

    async def _replay(self, segment: Segment) -> bool:
        """Bring a segment into the ledger; False when the database is (still, or again) away."""
        whole = True
        calls = await self._calls(segment)
        for start in range(0, len(calls), CHUNK):
            chunk = calls[start : start + CHUNK]
            results = await asyncio.gather(
                *(self._writer.put(replace(call, spooled=True)) for call in chunk), return_exceptions=True
            )
            queues: set[tuple[int, int]] = set()
            away = False
            for call, result in zip(chunk, results, strict=True):
                if isinstance(result, Temporary):
                    away = True
                elif isinstance(result, SmsgwError):
                    self.refused += 1
                elif isinstance(result, BaseException):
                    whole = False
                    log.error("spool.call_failed", batch=call.batch_id, segment=segment.path.name)
                else:
                    queues |= self._queues_of(call)
            self._on_queued(queues)
            if away:
                return False
        failpoints.reach("replay.committed")
        self.replayed += len(calls)
        if whole:
            await self._spool.remove(segment)
        else:
            await self._spool.set_aside(segment)
        return True


class Known:
    """The units that accounts could spend when last seen: by the last commit of this node, else by its directory."""

    def __init__(self, directory: Callable[[], Mapping[int, int]]) -> None:
        self._directory = directory
        self._seen: dict[int, int] = {}

    def note(self, available: Mapping[int, int]) -> None:
        """What a commit has left."""
        self._seen.update(available)

    def __call__(self, account_id: int) -> int:
        """Units."""
        seen = self._seen.get(account_id)
        return self._directory().get(account_id, 0) if seen is None else seen
