"""Brings the files of new tasks into the database; each node those that lie in its own data directory."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from smsgw.core.errors import SmsgwError, Temporary
from smsgw.core.tasks import Task
from smsgw.pipeline.upkeep.periodic import Periodic
from smsgw.platform.campaigns.service import Tasks, after_import, members_of, plan_of
from smsgw.platform.campaigns.sheets import Form
from smsgw.platform.campaigns.worker import ImportJob, Job
from smsgw.platform.campaigns.workers import Workers
from smsgw.runtime import clock
from smsgw.store import uploads
from smsgw.store.engine.database import Database
from smsgw.store.messages import tasks as store

log = structlog.get_logger(__name__)

LOOK_EVERY = 1.0
IMPORTS_PATIENCE = 4 * 3600.0
"""Seconds for all imports that wait, one after the other; each has a limit of its own."""
SWEEP_EVERY = 600.0
MAX_TRIES = 3
"""Of a file that breaks the reader."""


class Importer:
    """Looks for tasks whose file lies here, and sweeps what is kept too long."""

    def __init__(self, database: Database, tasks: Tasks, *, node: int, keep_days: int) -> None:
        self._database = database
        self._tasks = tasks
        self._node = node
        self._keep = timedelta(days=keep_days)
        self._workers = Workers()
        self._tries: Counter[int] = Counter()

    def periodics(self) -> Sequence[Periodic]:
        """What comes round. An import that is cut off is undone, and done again at the next start."""
        return (
            Periodic("tasks.import", LOOK_EVERY, self._look, patience=IMPORTS_PATIENCE),
            Periodic("tasks.sweep", SWEEP_EVERY, self._sweep),
        )

    async def _look(self) -> None:
        while found := await store.to_import(self._database, self._node, 1):
            await self._import(found[0])

    async def _import(self, task: Task) -> None:
        begun = time.monotonic()
        try:
            job = await self._job(task)
            if job is None:
                await self._fail(task, "文件已被清除,请重新上传")
                return
            result = await self._workers.run(task.account_id, Job(load=job))
        except Temporary:
            raise
        except SmsgwError as exc:
            self._tries[task.id] += 1
            if self._tries[task.id] < MAX_TRIES and await self._still_importing(task):
                await asyncio.sleep(LOOK_EVERY)
                return
            await self._fail(task, str(exc.detail.get("reason", exc)))
            return
        finally:
            if len(self._tries) > 1000:
                self._tries.clear()
        self._tries.pop(task.id, None)
        done = result.imported
        if done is not None:
            log.info(
                "task.imported", task=task.id, rows=done.total, valid=done.valid, peak_mb=result.peak_mb,
                seconds=round(time.monotonic() - begun, 1),
            )  # fmt: skip
        self._tasks.wake.set()

    async def _job(self, task: Task) -> ImportJob | None:
        """What is to be read; None: the file is not there any more."""
        job = ImportJob(self._database.dsn, plan_of(task), after_import(task))
        if task.upload_id is None:
            job.members = members_of(task)
            return job
        upload = await uploads.get(
            self._database, task.upload_id, accounts=None, now=datetime.min.replace(tzinfo=UTC)
        )
        path = self._tasks.files.path(task.upload_id)
        if upload is None or not path.exists():
            return None
        job.path, job.form = str(path), msgspec.convert(upload.form, Form)
        return job

    async def _still_importing(self, task: Task) -> bool:
        found = await store.get(self._database, task.id, accounts=None)
        return found is not None and found.state == "importing"

    async def _fail(self, task: Task, reason: str) -> None:
        async with self._database.transaction() as connection:
            current = await store.lock(connection, task.id)
            if current is None or current.state != "importing":
                return
            await store.change(
                connection, task.id, state="failed", reason="FILE_INVALID", detail={"reason": reason[:500]},
                ended_at=clock.now(),
            )  # fmt: skip
        log.warning("task.import_failed", task=task.id)

    async def _sweep(self) -> None:
        await self._tasks.files.sweep()
        await store.sweep(self._database, clock.now() - self._keep)
