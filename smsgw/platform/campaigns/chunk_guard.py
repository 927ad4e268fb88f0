"""What has to hold, and is written, in the transaction that stores rows of a task as messages (ADR 020)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from smsgw.core.errors import Refused, SmsgwError, Temporary
from smsgw.core.stages import stage_of
from smsgw.core.tasks import Chunk, Recipient, Task
from smsgw.core.words import label, phrase
from smsgw.pipeline.accept.requests import ItemResult
from smsgw.store.engine.database import Connection
from smsgw.store.messages import task_aside, tasks as store
from smsgw.store.messages.task_aside import Aside

AGAIN = 0.25
"""Seconds after which somebody else will have let go of the task."""


class ChunkGuard:
    """In the transaction that stores a chunk: the task runs, and this chunk comes next."""

    def __init__(
        self,
        task: Task,
        chunk: Chunk,
        rows: Sequence[Recipient],
        due_at: datetime | None,
        retry_at: datetime | None = None,
    ) -> None:
        self.task = task
        self.chunk = chunk
        self.rows = rows
        self.due_at = due_at
        self.refused: list[store.RefusedRow] = []
        self.closed = False
        """The door says that the hours are over (they have been changed): no row is to be lost to that."""
        self.retry_at = retry_at
        """When rows that no channel can take now are tried again; None: they are refused."""
        self.aside: list[int] = []
        """Those rows."""
        self.stored = 0
        """Messages that it makes."""
        self.marked = False

    @property
    def ids(self) -> list[int]:
        """Of the rows' messages."""
        return [self.chunk.base_id + row.n - self.chunk.first for row in self.rows]

    def given(self, results: Sequence[ItemResult]) -> ChunkGuard:
        """What the door says of the rows."""
        for row, id_, result in zip(self.rows, self.ids, results, strict=True):
            self.stored += result.message_id is not None
            if result.code == "NO_ROUTE" and self.retry_at is not None:
                self.aside.append(row.n)
            elif result.code is not None:
                self.refused.append((row.line, row.n, row.number, result.code, result.message or "", id_))
                self.closed |= result.code == "TIME_WINDOW_CLOSED"
        return self

    async def admit(self, connection: Connection) -> SmsgwError | None:
        """Whoever holds the lock is about to pause, cancel or change the task: the chunk comes another time."""
        task = await store.lock_free(connection, self.task.id)
        if task is None:
            return Temporary("BACKPRESSURE", retry_after=AGAIN)
        runs = (task.state, task.run, task.version) == ("running", self.task.run, self.task.version)
        if not runs or not await self.comes_next(connection, task):
            return Refused("STATE_CONFLICT", reason=phrase("task.changed"))
        if self.closed:
            return Refused("TIME_WINDOW_CLOSED", type=label("type", self.task.type))
        return None

    async def comes_next(self, connection: Connection, task: Task) -> bool:
        """Whether nobody has fed these rows, and their stage has been released; the task is locked."""
        stage = stage_of(task.stages)
        released = stage is None or self.chunk.first + self.chunk.size - 1 <= stage.end
        return task.fed == self.chunk.first - 1 and released

    async def mark(self, connection: Connection) -> None:
        """Its rows are fed."""
        await store.mark_fed(
            connection, self.chunk, refused=self.refused, due_at=self.due_at, aside=self.aside, aside_at=self.retry_at
        )
        self.marked = True


class AsideGate(ChunkGuard):
    """The same for rows that had been put aside."""

    def __init__(
        self, task: Task, aside: Aside, rows: Sequence[Recipient], due_at: datetime | None, retry_at: datetime | None
    ) -> None:
        super().__init__(task, aside.chunk, rows, due_at, retry_at)
        self.was = aside

    async def comes_next(self, connection: Connection, task: Task) -> bool:
        return await task_aside.still(connection, self.was)

    async def mark(self, connection: Connection) -> None:
        await store.refuse(connection, self.chunk, self.refused)
        tried = {row.n for row in self.rows}
        left = sorted({*self.was.rows} - tried | {*self.aside})
        await task_aside.tried(connection, self.chunk, left, self.retry_at, self.stored)
        if self.due_at is not None:
            await store.change(connection, self.task.id, due_at=self.due_at)
        self.marked = True
