"""What this node knows of numbers: empty and suspended ones in memory, learned from carriers' answers and reports.

Learning is knowledge, not bookkeeping: it is noted in memory as outcomes are stored, and entered every second by a
transaction of its own. What a crash takes with it is learned again from the next report.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime

import structlog

from smsgw.core.blocklist import BlockList, Entry
from smsgw.core.model import TEST_CHANNEL, Report
from smsgw.core.number_state import OF_CLASS, NumberState
from smsgw.core.states import PartState
from smsgw.pipeline.accept.followed_table import FollowedTable
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshots
from smsgw.runtime import clock
from smsgw.store.config import number_status as store
from smsgw.store.engine.database import Database, Row

log = structlog.get_logger(__name__)

EVERY = 1.0
MAX_NOTED = 20_000
"""Messages and numbers noted and not yet entered; more are not learned from."""
STEP = 2000
ROOM = store.MAX_KNOWN + store.MAX_KNOWN // 10
"""With more numbers than this in memory all is read again: the newest ``MAX_KNOWN``."""


class NumberStatus(FollowedTable):
    """Without ``load`` nothing is known."""

    def __init__(self, database: Database, snapshots: Snapshots, clock: Callable[[], float] = clock.time) -> None:
        """``clock`` gives seconds since 1970."""
        super().__init__("number_status")
        self._database = database
        self._snapshots = snapshots
        self._clock = clock
        self._days = 0
        self._failed: dict[int, None] = {}
        """Messages whose numbers have something to tell, in order."""
        self._delivered: dict[int, datetime] = {}
        """Numbers that a report has reached."""

    async def _read(self) -> tuple[BlockList, int]:
        days = self._snapshots.current.settings.number_status_days
        found = await store.load(self._database, days)
        self._days = days
        return found

    def _changes(self, version: int) -> AsyncIterator[tuple[list[Entry], int]]:
        return store.changes(self._database, version, self._days)

    def periodics(self) -> Sequence[Periodic]:
        """What learns, and follows the database; ``load`` comes first."""
        return (Periodic("numbers.follow", EVERY, self.step),)

    async def step(self) -> None:
        """Enter what was noted, and take up what has changed."""
        while self._failed or self._delivered:
            await self._enter()
        if self._snapshots.current.settings.number_status_days != self._days or len(self) > ROOM:
            await self.load()
            return
        await self.follow()

    async def _enter(self) -> None:
        ids = [id_ for id_, _ in zip(self._failed, range(STEP), strict=False)]
        delivered = dict(item for item, _ in zip(self._delivered.items(), range(STEP), strict=False))
        async with self._database.transaction(timeout=30) as connection:
            changed = await store.learn(connection, ids, delivered)
        for id_ in ids:
            self._failed.pop(id_, None)
        for number, at in delivered.items():
            if self._delivered.get(number) == at:
                del self._delivered[number]
        if changed:
            log.info("numbers.learned", changed=changed)

    def empty(self, number: str) -> bool:
        """Whether there is no telephone behind the number (E.164 digits)."""
        entry = self.rows.find(number, 0, "", "", self._clock())
        return entry is not None and entry.source == NumberState.EMPTY

    def note(self, rows: Iterable[Row], reports: Sequence[Report]) -> None:
        """Parts whose state an outcome has changed, and the reports that came with them. Nothing here waits."""
        for row in rows:
            if row["class"] in OF_CLASS and row["channel_id"] != TEST_CHANNEL and len(self._failed) < MAX_NOTED:
                self._failed[row["id"]] = None
        if not self.rows:
            return
        for report in reports:
            if report.state is not PartState.DELIVERED or not report.number.isdecimal():
                continue
            known = self.rows.find(report.number, 0, "", "", self._clock())
            if known is not None and len(self._delivered) < MAX_NOTED:
                self._delivered[int(report.number)] = report.received_at
