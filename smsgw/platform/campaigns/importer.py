"""The import of a task's rows into the database, as a durable job on the node in whose data directory the file lies."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from smsgw.core.errors import SmsgwError, Temporary
from smsgw.core.tasks import Task
from smsgw.core.words import phrase, spoken
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.campaigns import imports, uploads
from smsgw.platform.campaigns.service import Tasks, members_of, plan_of
from smsgw.platform.campaigns.sheets import Form
from smsgw.platform.campaigns.worker import ImportJob, Job
from smsgw.platform.campaigns.workers import Workers, bad_file
from smsgw.platform.jobs import model as jobs
from smsgw.platform.jobs.runner import JobContext, JobKind
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.messages import tasks as store

log = structlog.get_logger(__name__)

PATIENCE = 1300.0
"""Seconds for a job: its process waits for its turn, and has a limit of its own."""
TRY_AGAIN = 1
"""Seconds after which a file that has broken the reader is read again."""
SWEEP_EVERY = 600.0
MAX_TRIES = 3
"""Of a file that breaks the reader."""


class Importer:
    """Brings in the rows of tasks, and sweeps what is kept too long."""

    def __init__(self, database: Database, tasks: Tasks, *, keep_days: int) -> None:
        self._database = database
        self._tasks = tasks
        self._keep = timedelta(days=keep_days)
        self._workers = Workers()

    def kind(self) -> JobKind:
        """The kind of its jobs. All rows or none: one that is cut off begins anew."""
        return JobKind(imports.NAME, self._run, patience=PATIENCE, failed=self._failed)

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (Periodic("tasks.sweep", SWEEP_EVERY, self._sweep),)

    async def _run(self, context: JobContext) -> None:
        begun = time.monotonic()
        task = await store.get(self._database, int(context.job.params["task"]), accounts=None)
        if task is None or task.state != "importing":  # cancelled
            return
        job, rows = await self._job(task)
        if job is None:
            raise bad_file(phrase("file.gone"))
        try:
            result = await self._workers.run(
                task.account_id, Job(load=job), lambda n: context.progress(n, max(n, rows))
            )
        except Temporary:
            raise
        except SmsgwError as exc:
            if context.job.attempts < MAX_TRIES:
                raise Temporary("BACKPRESSURE", retry_after=TRY_AGAIN, n=TRY_AGAIN) from exc
            raise
        done = result.imported
        if done is not None:
            log.info(
                "task.imported", task=task.id, rows=done.total, valid=done.valid, peak_mb=result.peak_mb,
                seconds=round(time.monotonic() - begun, 1),
            )  # fmt: skip
        self._tasks.wake.set()

    async def _job(self, task: Task) -> tuple[ImportJob | None, int]:
        """What is to be read (None: the file is not there any more), and its rows, as far as they are known."""
        job = ImportJob(self._database.dsn, plan_of(task), self._tasks.rules(task), list(task.review_reasons))
        if task.upload_id is None:
            job.members = members_of(task)
            return job, 0
        upload = await uploads.get(self._database, task.upload_id, accounts=None, now=datetime.min.replace(tzinfo=UTC))
        path = await self._tasks.files.path(task.upload_id)
        if upload is None or path is None:
            return None, 0
        job.path, job.form = str(path), msgspec.convert(upload.form, Form)
        return job, upload.rows

    async def _failed(self, job: jobs.Job, error: SmsgwError | None) -> None:
        reason = phrase("import.failed") if error is None else error.detail.get("reason", error)
        detail = {"reason": str(reason)[:500], "reason_en": str(spoken(reason, True))[:500]}
        task_id = int(job.params["task"])
        async with self._database.transaction() as connection:
            current = await store.lock(connection, task_id)
            if current is None or current.state != "importing":
                return
            await store.change(
                connection, task_id, state="failed", reason="FILE_INVALID", detail=detail, ended_at=clock.now()
            )
        log.warning("task.import_failed", task=task_id)

    async def _sweep(self) -> None:
        async with self._database.transaction() as connection:
            await imports.enqueue(connection)
        await self._tasks.files.sweep()
        await store.sweep(self._database, clock.now() - self._keep)
