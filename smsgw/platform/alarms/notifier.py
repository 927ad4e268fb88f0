"""A node's part in telling receivers of alarms: it takes what is due from the database, and tells by itself what the
database cannot be told (``Memory``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from smsgw.core.alarm_notes import TOGETHER, Note, Way
from smsgw.core.alarms import CRITICAL
from smsgw.net.mail import LONGEST_SAID, Sent
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.upkeep.alarms import Standing
from smsgw.platform.alarms import notes, receivers, silences
from smsgw.platform.alarms.memory import Kept, Memory
from smsgw.platform.alarms.model import GONE, Opened
from smsgw.platform.alarms.notes import Batch
from smsgw.platform.alarms.silences import Silence
from smsgw.platform.alarms.ways import Ways
from smsgw.runtime import aio, clock
from smsgw.runtime.log import safe
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.secrets import Sealer

log = structlog.get_logger(__name__)

EVERY = 2.0
LOSE_EVERY = 60.0
LEARN_EVERY = 30.0
AT_A_TIME = 8
"""Receivers that are being told: one that is slow keeps no other waiting."""
PATIENCE = 120.0
"""Seconds for one of them."""
SETTLE_PATIENCE = 3.0


class Notifier:
    """On this node; a note is taken by one."""

    def __init__(
        self, database: Database, sealer: Sealer, ways: Ways, memory: Memory, *, now: Callable[[], datetime] = clock.now
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._ways = ways
        self._now = now
        self._under_way: dict[int, asyncio.Task[None]] = {}
        """By receiver."""
        self._memory = memory
        self._memory.load()
        self._known: Sequence[Opened] = ()
        self._silences: Sequence[Silence] = ()
        """As they were when the database was last asked."""
        self._saving = asyncio.Lock()

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (
            Periodic("alarms.tell", EVERY, self.step, jitter=EVERY / 10),
            Periodic("alarms.lose", LOSE_EVERY, self.lose, jitter=LOSE_EVERY / 10),
            Periodic("alarms.learn", LEARN_EVERY, self.learn, jitter=LEARN_EVERY / 10),
        )

    async def step(self) -> bool:
        """Begin to tell one receiver; whether there may be more."""
        self._under_way = {id_: task for id_, task in self._under_way.items() if not task.done()}
        if len(self._under_way) >= AT_A_TIME:
            return False
        batch = await notes.claim(self._database, self._sealer, self._now(), list(self._under_way))
        if batch is None:
            return False
        self._under_way[batch.receiver_id] = aio.spawn(self._tell(batch), name="alarm.tell")
        return True

    async def lose(self) -> None:
        """Say of what a node was sending that is gone that it may have arrived."""
        await notes.lose(self._database, self._now())

    async def settle(self) -> None:
        """Wait a moment until what is under way has ended."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=SETTLE_PATIENCE)

    async def stop(self) -> None:
        """What is under way ends in a moment; of the rest it is not known whether it arrives."""
        await self.settle()
        await aio.cancel(*self._under_way.values())

    async def _tell(self, batch: Batch) -> None:
        got = Sent("refused", GONE)
        if batch.receiver is not None:
            got = await self.told(batch.receiver, batch.notes, batch.calls)
        await notes.end(self._database, batch, got.outcome, got.said, self._now())
        log.info("alarm.told", receiver=batch.receiver_id, notes=len(batch.notes), outcome=got.outcome)

    async def told(self, receiver: Opened, what: Sequence[Note], calls: int = 0) -> Sent:
        """Tell a receiver; never raises for what is wrong on the way."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._ways.tell(receiver, what, self._now(), calls)
        except TimeoutError:
            return Sent("unsure", f"no end within {PATIENCE:g} s")
        except Exception as exc:  # whatever it is: a supervisor of one note, and it may have gone
            log.exception("alarm.not_told", receiver=receiver.id)
            return Sent("unsure", safe(exc)[:LONGEST_SAID])

    # --- while the database is away ------------------------------------------------------------------------------

    async def learn(self) -> None:
        """Know whom to tell when nobody can be asked any more."""
        self._known = await receivers.opened(self._database, self._sealer)
        self._silences = await silences.holding(self._database)

    @property
    def holds(self) -> bool:
        """Whether there is something to be entered."""
        return bool(self._memory.kept)

    async def unstored(self, standing: Sequence[Standing]) -> None:
        """The database cannot be told of these: tell receivers that need no database of the grave ones. Returns at
        once."""
        now = self._now()
        hushed = [one for one in self._silences if one.until > now]
        grave = [
            one
            for one in standing
            if one.severity == CRITICAL and not any(s.covers(one.kind, one.object) for s in hushed)
        ]
        self._memory.take(grave)
        known = {receiver.id for receiver in self._known}
        self._under_way = {id_: task for id_, task in self._under_way.items() if not task.done()}
        for receiver in self._known:
            if receiver.way is Way.SMS or receiver.id in self._under_way or len(self._under_way) >= AT_A_TIME:
                continue
            after = timedelta(minutes=receiver.after_minutes)
            keys = {
                (one.kind, one.object)
                for one in grave
                if one.receivers is None or receiver.id in one.receivers or known.isdisjoint(one.receivers)
            }
            due = self._memory.due(receiver.id, keys, self._now(), after=after)
            if due:
                task = aio.spawn(self._tell_alone(receiver, due[:TOGETHER]), name="alarm.tell")
                self._under_way[receiver.id] = task

    async def _tell_alone(self, receiver: Opened, due: Sequence[Kept]) -> None:
        self._memory.begin(receiver.id, due, self._now())
        await self._save()
        got = await self.told(receiver, [one.note for one in due])
        self._memory.end(receiver.id, due, got.outcome, got.said, self._now())
        await self._save()
        log.warning("alarm.told_alone", receiver=receiver.id, alarms=len(due), outcome=got.outcome)

    async def _save(self) -> None:
        """What cannot be written down is told all the same: a full disk is one of the things to tell."""
        async with self._saving:
            try:
                await asyncio.to_thread(self._memory.save, self._memory.written())
            except OSError as exc:
                log.error("alarm.memory_unwritable", error=str(exc))

    async def enter(self, connection: Connection) -> Sequence[tuple[str, str]]:
        """The database is back: enter what it was not told of; the keys, for ``entered`` once that is committed. Of
        what is still being told it stays unknown whether it has arrived."""
        kept = list(self._memory.kept.values())
        for one in kept:
            await notes.enter(connection, one, self._now())
        return [one.key for one in kept]

    async def entered(self, keys: Sequence[tuple[str, str]]) -> None:
        """It is in the database."""
        self._memory.forget(keys)
        await self._save()
