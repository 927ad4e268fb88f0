"""Numbers and texts whose first time is over go at night: day by day, in steps with pauses between them, and from where
a killed process has left off (docs/adr/083)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import structlog

from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA, day_range, time_of
from smsgw.core.retention import CLASSES, CLICKS, INBOUND, LEAST, MESSAGES, PDUS, Ages
from smsgw.pipeline.periodic import Periodic
from smsgw.runtime import clock
from smsgw.store.engine import partitions
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import audit, pseudonyms, retention_steps

log = structlog.get_logger(__name__)

EVERY = 900.0
PATIENCE = 4 * 3600.0
HOURS = range(1, 6)
"""By night, when few send."""
ORDER = (PDUS, INBOUND, MESSAGES, CLICKS)
"""Of the classes of a day: what shows whole numbers to whoever can read PDUs goes first."""
LATE_NIGHTS = 3
"""A day that is due for longer is told to people."""
LEAST_PAUSE = 0.02
STEP_TIMEOUT = 60.0


def _is_night() -> bool:
    return clock.now().astimezone(CHINA).hour in HOURS


@dataclass(slots=True)
class Done:
    """What one round has done: rows by class, and tasks."""

    rows: dict[str, int] = field(default_factory=dict)
    days: dict[str, int] = field(default_factory=dict)
    tasks: int = 0


class _NightOver(Exception):
    """Others' hours have begun; the next night goes on."""


class RetentionSweep:
    """On one node at a time."""

    def __init__(self, database: Database, sealer: Sealer, least: Mapping[str, int] = LEAST) -> None:
        """``least``: days that must have passed, whatever the rule says."""
        self._database = database
        self._sealer = sealer
        self._least = least
        self._by_night = False
        self.late: Sequence[date] = ()
        """Days that have been due for more than ``LATE_NIGHTS``, as this node has seen them last."""

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (Periodic("forget", EVERY, self._night, exclusive="retention/forget", patience=PATIENCE),)

    @contextlib.asynccontextmanager
    async def _step(self) -> AsyncIterator[Connection]:
        """One short transaction, and then a pause as long as it took: half of the time is others'."""
        if self._by_night and not _is_night():
            raise _NightOver
        begun = time.monotonic()
        async with self._database.transaction(timeout=STEP_TIMEOUT) as connection:
            yield connection
        await asyncio.sleep(max(LEAST_PAUSE, time.monotonic() - begun))

    async def _night(self) -> None:
        if _is_night():
            self._by_night = True
            try:
                await self.run()
            finally:
                self._by_night = False
        await self._look_behind()

    async def _ages(self) -> Ages:
        return (await retention_steps.rule(self._database)).at_least(self._least)

    async def _look_behind(self) -> None:
        ages, today = await self._ages(), clock.now().astimezone(CHINA).date()
        due = await self._due(ages, today - timedelta(days=LATE_NIGHTS))
        self.late = sorted({day for days in due.values() for day in days})

    async def _due(self, ages: Ages, today: date) -> dict[str, list[date]]:
        async with self._database.acquire() as connection:
            return {name: await retention_steps.due(connection, name, ages, today) for name in ORDER}

    async def run(self) -> Done:
        """All that is due, the oldest day first. A class that fails is left for the next round, and the others go on;
        the first failure is raised at the end."""
        done, ages = Done(), await self._ages()
        today = clock.now().astimezone(CHINA).date()
        if not any(map(ages.of, CLASSES)):
            return done
        key = await pseudonyms.make_key(self._database, self._sealer)
        due = await self._due(ages, today)
        failed: dict[str, Exception] = {}
        try:
            for day in sorted({day for days in due.values() for day in days}):
                for name in ORDER:
                    if day in due[name] and name not in failed:
                        await self._try(name, day, key, ages, done, failed)
            if ages.messages_days:
                await self._beside(today - timedelta(days=ages.messages_days), key, ages, done)
        except _NightOver:
            log.info("retention.night_over", rows=done.rows, tasks=done.tasks)
        for one in failed.values():
            raise one
        return done

    async def _try(
        self, name: str, day: date, key: bytes, ages: Ages, done: Done, failed: dict[str, Exception]
    ) -> None:
        try:
            if name == MESSAGES and await self._open(day):
                log.warning("retention.day_open", day=str(day), reason="a part of it has not come to its end")
                return
            await self._day(name, day, key, ages, done)
        except _NightOver:
            raise
        except Exception as exc:  # whatever it is, it is of this class alone
            log.warning("retention.failed", of=name, day=str(day), error=exc)
            failed[name] = exc

    async def _open(self, day: date) -> bool:
        async with self._database.acquire(timeout=partitions.UNFINISHED_PATIENCE) as connection:
            return await partitions.unfinished(connection, day)

    async def _day(self, name: str, day: date, key: bytes, ages: Ages, done: Done) -> None:
        async with self._database.transaction() as connection:
            begun = await retention_steps.begin(connection, name, day, ages)
        if name == PDUS:
            await self._octets(day, begun)
        elif name == CLICKS:
            await self._through(
                lambda connection, after: retention_steps.clicks(connection, day, after, key, texts=ages.texts), begun
            )
        else:
            await self._through(
                lambda connection, after: retention_steps.numbers(connection, name, day, after, key, texts=ages.texts),
                begun,
            )
        if name == MESSAGES:
            await self._through(lambda connection, after: retention_steps.partner_parts(connection, day, after))
        async with self._database.transaction() as connection:
            rows = await retention_steps.done(connection, name, day)
            if not rows:
                return
            said = {"rows": rows, "texts": ages.texts and name != PDUS}
            await audit.append(
                connection, Actor.system("retention").author, "retention.mask", f"retention/{name}/{day}", after=said
            )
        done.rows[name] = done.rows.get(name, 0) + rows
        done.days[name] = done.days.get(name, 0) + 1
        log.info("retention.masked", of=name, day=str(day), rows=rows)

    async def _octets(self, day: date, begun: int) -> None:
        async with self._database.acquire() as connection:
            blocks = await retention_steps.blocks(connection, day)
        for first in range(begun, blocks, retention_steps.BLOCKS):
            async with self._step() as connection:
                await retention_steps.octets(connection, day, first)

    async def _through(self, step: Callable[[Connection, int], Awaitable[int | None]], after: int | None = 0) -> None:
        """Step by step, each behind the last id of the one before."""
        while after is not None:
            async with self._step() as connection:
                after = await step(connection, after)

    async def _beside(self, before: date, key: bytes, ages: Ages, done: Done) -> None:
        """Reviews and tasks that ended before that day."""
        at, last = time_of(day_range(before)[0]), 0
        if ages.texts:
            await self._through(lambda connection, after: retention_steps.reviews(connection, at, after))
        while True:
            async with self._database.acquire() as connection:
                tasks = await retention_steps.tasks(connection, at, last, texts=ages.texts)
            if not tasks:
                return
            for task in tasks:
                await self._task(task, key, ages)
                done.tasks += 1
            last = tasks[-1]

    async def _task(self, task: int, key: bytes, ages: Ages) -> None:
        await self._through(
            lambda connection, after: retention_steps.task_rows(connection, task, after, key, texts=ages.texts)
        )
        more = True
        while more:
            async with self._step() as connection:
                more = await retention_steps.task_problems(connection, task)
        async with self._database.transaction() as connection:
            await retention_steps.task_done(connection, task, texts=ages.texts)
