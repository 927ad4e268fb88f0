"""Tasks as people look at them, as they were last counted; ``accounts`` (None: all) is whose may be seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smsgw.core.tasks import Task
from smsgw.platform.campaigns.model import TaskView, feeding_over, progress
from smsgw.store.engine.database import Database
from smsgw.store.messages import tasks as store


async def page(database: Database, *, accounts: Sequence[int] | None, **how: Any) -> list[TaskView]:
    """Tasks, newest first; parameters of ``store.tasks.page``."""
    async with store.snapshot(database) as connection:
        found = await store.page(connection, accounts=accounts, **how)
        counted = await store.totals(connection, [(t.id, t.run) for t in found])
    return [TaskView(t, progress(t, counted[t.id], feeding_over(t))) for t in found]


async def get(database: Database, task_id: int, *, accounts: Sequence[int] | None) -> Task | None:
    """One task."""
    return await store.get(database, task_id, accounts=accounts)


async def fed(database: Database, task_id: int, run: int) -> bool:
    """Whether a run gets no more messages."""
    return any(
        row["run"] == run and row["fed"] is not None for row in await store.runs(database, task_id, 1000)
    )
