"""The runner of durable jobs on one node: claims them, keeps their leases, and tells how each has ended.

A job is claimed under a lease with an epoch; every word about it is written under that epoch, so that a run which was
taken over (a frozen process, a lost database) can change nothing any more. The next run goes on from the last
checkpoint, which a kind writes in the transaction of the work that it stands for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from smsgw.core.errors import SmsgwError, Temporary
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.jobs import queries
from smsgw.platform.jobs.model import CRASHED, Job, JobState
from smsgw.platform.jobs.service import KEPT
from smsgw.runtime import aio
from smsgw.runtime.aio import boottime
from smsgw.store.engine.database import Connection, Database

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Jobs of all kinds that a node runs at the same time; …"""
USUAL = 3
"""… of all that may take minutes: what moves a queue finds room beside them; …"""
LONG = 2
"""… and of those that may take hours."""
LOOK_EVERY = 1.0
SWEEP_EVERY = 600.0
RENEW_EVERY = 3.0
LEASE = timedelta(seconds=15)
MARGIN = 2.0
"""A runner stops this many seconds before another may take the job."""
CRASHES = 3
"""Runs that may come to a bad end before the job fails."""
CRASH_PAUSE = timedelta(seconds=10)
TELL_EVERY = 1.0
"""Seconds between two writings of progress that are no checkpoints."""
END_PATIENCE = 5.0


class JobLost(Exception):
    """The job has another runner, or has been ended: nothing more may be done for it here."""


class JobContext:
    """What a run may ask and tell."""

    def __init__(self, database: Database, job: Job) -> None:
        self.job = job
        self.cancelled = False
        """Somebody wants it to end."""
        self._database = database
        self._told = float("-inf")
        self.last: tuple[int, int] | None = None
        """Done and total as told last, whether they were written or not."""

    async def progress(
        self,
        done: int,
        total: int = 0,
        *,
        checkpoint: Mapping[str, Any] | None = None,
        connection: Connection | None = None,
    ) -> None:
        """Tell how far it is, in the kind's own units (``total`` 0: not known). Not all of it is written at once, but a
        ``checkpoint`` is: from there another run goes on. Give it the ``connection`` of the work's own transaction, and
        both stand or fall together.

        Raises ``JobLost``, and ``CancelledError`` when somebody wants it to end.
        """
        self.last = done, total
        now = asyncio.get_running_loop().time()
        if checkpoint is None and now - self._told < TELL_EVERY:
            return
        asked = await queries.progress(
            connection or self._database, self.job.id, self.job.epoch, done, total, checkpoint
        )
        self._told = now
        if asked is None:
            raise JobLost
        if asked and connection is None:
            self.cancelled = True
            raise asyncio.CancelledError


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of work. ``run`` does it, from ``job.checkpoint`` on, and raises what the job fails with; ``Temporary``
    puts it off. It may be cut off at any await and run again, here or elsewhere."""

    name: str
    run: Callable[[JobContext], Awaitable[None]]
    per_owner: int = 1
    """Jobs of one owner that run at the same time, on all nodes."""
    at_once: int = 2
    """Jobs that one node runs at the same time."""
    bound: bool = False
    """It is about the node that it names: no other one can do it, however long that is away."""
    places: int = USUAL
    """Of all places of a node those that it shares with kinds of no more: ``LONG``, ``USUAL`` or ``AT_ONCE``."""
    patience: float = 3600.0
    """Seconds for one run. One that has come further goes on in another, behind those that wait."""
    failed: Callable[[Job, SmsgwError | None], Awaitable[None]] | None = None
    """Called when a job of it has failed for good, with the error (None: crashed or expired). May be repeated."""


class _Run:
    """A job that runs here."""

    def __init__(self, job: Job, kind: JobKind, context: JobContext) -> None:
        self.job = job
        self.kind = kind
        self.context = context
        self.deadline = boottime() + LEASE.total_seconds() - MARGIN
        self.task: asyncio.Task[None] | None = None

    def cut_off(self) -> None:
        if self.task is not None:
            self.task.cancel()


class JobRunner:
    """Runs jobs of the given kinds on this node."""

    def __init__(self, database: Database, node: int, kinds: Iterable[JobKind], *, home: int = 0) -> None:
        """``home``: the node whose files are here as well; 0: no other than this one."""
        self._database = database
        self._node = node
        self._home = home
        self._kinds = {kind.name: kind for kind in kinds}
        self._runs: dict[int, _Run] = {}
        self.wake = asyncio.Event()
        """Set it when a job was entered: it begins at once."""

    async def start(self) -> None:
        """Let go what an earlier process of this node has left running."""
        if left := await queries.let_go(self._database, self._node):
            log.info("job.left", jobs=left)

    def periodics(self) -> Sequence[Periodic]:
        """What comes round between ``start`` and ``stop``."""
        return (
            Periodic("jobs.claim", LOOK_EVERY, self.claim, wake=self.wake),
            Periodic("jobs.renew", RENEW_EVERY, self.renew),
            Periodic("jobs.sweep", SWEEP_EVERY, self.sweep, exclusive="job/sweep"),
        )

    async def stop(self) -> None:
        """Cut off what runs; another node, or the next start, goes on from its checkpoint."""
        for run in list(self._runs.values()):
            run.cut_off()
        await self.settled()

    async def settled(self) -> None:
        """Returns when nothing runs."""
        while tasks := [run.task for run in self._runs.values() if run.task is not None]:
            await asyncio.wait(tasks)

    # --- claiming ------------------------------------------------------------------------------------------------

    async def claim(self) -> bool:
        """Begin the next job, if there is room for it; whether one was begun."""
        free = self._free()
        if not free:
            return False
        bound = [name for name in free if self._kinds[name].bound]
        job = await queries.claim(self._database, self._node, free, LEASE, home=self._home, bound=bound)
        if job is None:
            return False
        kind = self._kinds[job.kind]
        run = _Run(job, kind, JobContext(self._database, job))
        self._runs[job.id] = run
        run.task = aio.spawn(self._run(run), name=f"job.{job.id}")
        run.task.add_done_callback(lambda _: self._ended(job.id))
        await asyncio.sleep(0)  # one that is cancelled before it has begun could not be put back
        return True

    def _ended(self, job_id: int) -> None:
        self._runs.pop(job_id, None)
        self.wake.set()

    def _free(self) -> dict[str, int]:
        if len(self._runs) >= AT_ONCE:
            return {}
        runs = [run.kind for run in self._runs.values()]
        running = Counter(kind.name for kind in runs)
        full = [most for most in (LONG, USUAL) if sum(kind.places <= most for kind in runs) >= most]
        places = max(full, default=0)
        return {k.name: k.per_owner for k in self._kinds.values() if k.places > places and running[k.name] < k.at_once}

    async def renew(self) -> None:
        """Prolong the leases; cut off what is not ours any more, what is to be cancelled, and what comes too late."""
        runs = list(self._runs.values())
        if not runs:
            return
        asked = boottime()
        try:
            ours = await queries.renew(self._database, [(r.job.id, r.job.epoch) for r in runs], LEASE)
            for run in runs:
                if run.job.id not in ours:
                    run.cut_off()
                    continue
                run.deadline = asked + LEASE.total_seconds() - MARGIN
                if ours[run.job.id]:
                    run.context.cancelled = True
                    run.cut_off()
        finally:
            for run in runs:
                if boottime() > run.deadline:
                    run.cut_off()

    async def sweep(self) -> None:
        """End what has had its time, and forget what ended long ago."""
        for job in await queries.expire(self._database, KEPT):
            log.warning("job.expired", job=job.id, kind=job.kind)
            if (kind := self._kinds.get(job.kind)) is not None:
                await self._tell_failed(kind, job, None)

    # --- one run -------------------------------------------------------------------------------------------------

    async def _run(self, run: _Run) -> None:
        job = run.job
        log.info("job.begun", job=job.id, kind=job.kind, subject=job.subject, attempt=job.attempts)
        try:
            await self._perform(run)
        except asyncio.CancelledError:
            await self._cut_off(run)
        except SmsgwError as exc:  # the lease lapses, and another run finds what this one has done
            log.warning("job.left", jobs=[job.id], error=exc.code)

    async def _perform(self, run: _Run) -> None:
        job, kind = run.job, run.kind
        if job.crashes >= CRASHES:
            await self._fail(run, CRASHED, None)
            return
        if job.cancel_asked:  # of a runner that is no more
            await queries.end(self._database, job, JobState.CANCELLED, KEPT)
            return
        patience = asyncio.timeout(kind.patience)
        try:
            async with patience:
                await kind.run(run.context)
        except Temporary as exc:
            await queries.put_back(
                self._database, job, timedelta(seconds=exc.retry_after or 1), crashed=False, error=exc.code
            )
            log.info("job.put_off", job=job.id, error=exc.code)
        except SmsgwError as exc:
            await self._fail(run, exc.code, exc)
        except JobLost:
            log.warning("job.lost", job=job.id)
        except Exception as exc:  # a supervisor: the next run may do better, and others are not concerned
            late = isinstance(exc, TimeoutError) and patience.expired()
            if late and await queries.checkpoint(self._database, job) != job.checkpoint:
                await queries.put_back(self._database, job, timedelta(0), crashed=False, error="")
                log.info("job.goes_on", job=job.id, kind=job.kind)
                return
            log.error("job.crashed", job=job.id, kind=job.kind, exc_info=exc)
            await queries.put_back(self._database, job, CRASH_PAUSE, crashed=True, error="INTERNAL")
        else:
            if await queries.end(self._database, job, JobState.DONE, KEPT, progress=run.context.last):
                log.info("job.done", job=job.id, kind=job.kind)

    async def _fail(self, run: _Run, code: str, error: SmsgwError | None) -> None:
        await self._tell_failed(run.kind, run.job, error)  # first: should we die here, it is told once more
        detail = {} if error is None else {"message": str(error)}
        if await queries.end(self._database, run.job, JobState.FAILED, KEPT, code, detail, progress=run.context.last):
            log.warning("job.failed", job=run.job.id, kind=run.job.kind, code=code)

    async def _tell_failed(self, kind: JobKind, job: Job, error: SmsgwError | None) -> None:
        if kind.failed is not None:
            await kind.failed(job, error)

    async def _cut_off(self, run: _Run) -> None:
        """It was cancelled, or is to be gone on with by another run."""
        with contextlib.suppress(SmsgwError, TimeoutError):  # the lease lapses by itself
            async with asyncio.timeout(END_PATIENCE):
                if run.context.cancelled:
                    if await queries.end(self._database, run.job, JobState.CANCELLED, KEPT, progress=run.context.last):
                        log.info("job.cancelled", job=run.job.id)
                else:
                    await queries.put_back(self._database, run.job, timedelta(0), crashed=False, error="")
