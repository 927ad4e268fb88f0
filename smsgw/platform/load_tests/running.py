"""Running a load test: ``smsgwctl bench`` as a process of its own, which is told nothing of this installation.

It gets no setting of ours: no database, no key, no carrier. Its stage is a gateway with a database and simulated
carriers of its own on loopback, and its load goes there. It is attached to this process: however this one ends, so does
it, with all that it has begun. What a killed one has left in its folder goes when the next one begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from smsgw.core.errors import Refused
from smsgw.core.words import phrase
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.jobs.runner import LONG, JobContext, JobKind
from smsgw.platform.load_tests import queries
from smsgw.platform.load_tests.model import (
    LEAST_OCTETS,
    MOST_SECONDS,
    SAMPLES,
    SLOW_IN_A_ROW,
    SLOW_SECONDS,
    SPARE_SECONDS,
    LoadTest,
    Profile,
    State,
    Why,
)
from smsgw.platform.load_tests.service import NAME, free
from smsgw.runtime import aio, programs
from smsgw.store.engine.database import Database
from smsgw.store.engine.embedded import EmbeddedPostgres

log = structlog.get_logger(__name__)

FOLDER = "load_tests"
"""Of the data directory."""
STOP_PATIENCE = 60.0
"""Seconds for clearing away."""
LOOK_EVERY = 0.5
SWEEP_EVERY = 600.0
SWEEP_PATIENCE = 20.0
"""Seconds for what its own process did not clear away."""
MOST_ERROR = 500
_LOG_LINES = 20


class GaveWay(Exception):
    """This installation has a better use for its machine."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why


class LoadTests:
    """Of one node; its stages are made below ``folder``."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._runs = 0

    def periodics(self) -> tuple[Periodic, ...]:
        """What a job that was forgotten has left on this disk goes without another one."""
        return (Periodic("load_tests.sweep", SWEEP_EVERY, self.sweep, jitter=SWEEP_EVERY / 10),)

    async def sweep(self) -> None:
        """Clear away, unless one runs."""
        if not self._runs:
            await asyncio.to_thread(self._sweep)

    def kind(self) -> JobKind:
        """One at a time."""
        return JobKind(
            NAME, self._run, at_once=1, places=LONG, patience=float(MOST_SECONDS + 2 * SPARE_SECONDS), bound=True
        )

    async def _run(self, context: JobContext) -> None:
        self._runs += 1
        try:
            await self._run_alone(context)
        finally:
            self._runs -= 1

    async def _run_alone(self, context: JobContext) -> None:
        job_id = context.job.id
        await self._settled()
        if not await queries.begin(self._database, job_id):
            await queries.end(self._database, job_id, State.FAILED, Why.INTERRUPTED.value)
            raise Refused("STATE_CONFLICT", reason=phrase("load_test.interrupted"))
        test = await queries.of_job(self._database, job_id)
        try:
            result, error = await self._measured(context, test)
        except asyncio.CancelledError:
            if context.cancelled:  # otherwise this node stops, and the next run says so
                with contextlib.suppress(Exception):
                    await queries.end(self._database, job_id, State.STOPPED)
            raise
        except GaveWay as exc:
            log.warning("load_test.gave_way", why=exc.why.value)
            result, error = None, exc.why.value
        finally:
            await asyncio.to_thread(self._sweep)
        if result is None:
            await queries.end(self._database, job_id, State.FAILED, error[-MOST_ERROR:] or Why.KILLED.value)
            raise Refused("STATE_CONFLICT", reason=phrase("load_test.failed"))
        if result.get("outages"):
            await queries.end(self._database, job_id, State.FAILED, Why.OUTAGE.value, result)
            raise Refused("STATE_CONFLICT", reason=phrase("load_test.failed"))
        await queries.end(self._database, job_id, State.DONE, "", result)

    async def _measured(self, context: JobContext, test: LoadTest) -> tuple[Mapping[str, Any] | None, str]:
        """The result; None and what it said last when it came to no end."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        process = await begun(test.profile, self._folder)
        assert process.stdout is not None  # noqa: S101
        reading = aio.spawn(process.stdout.read(), name="load_test.result")
        try:
            error = await self._follow(context, test, process)
            said = await reading
            await process.wait()
        finally:
            await aio.cancel(reading)
            await _ended(process)
        with contextlib.suppress(ValueError, KeyError, TypeError):
            result: dict[str, Any] = json.loads(said)
            result["daemon_log"] = result["daemon_log"][-_LOG_LINES:]
            return result, ""
        return None, error

    async def _follow(self, context: JobContext, test: LoadTest, process: asyncio.subprocess.Process) -> str:
        """Lines of progress into the graph; what else was said."""
        assert process.stderr is not None  # noqa: S101
        every, due, slow, error = max(1.0, test.seconds / SAMPLES), 0.0, 0, ""
        async for line in process.stderr:
            try:
                told = json.loads(line)
                point = [float(told[key]) for key in ("seconds", "posted", "accepted", "reported")]
            except (ValueError, KeyError, TypeError):
                error = (error + line.decode("utf-8", "replace"))[-4 * MOST_ERROR :]
                continue
            if free(self._folder) < LEAST_OCTETS:
                raise GaveWay(Why.DISK)
            if told["stage"] in ("load", "count"):
                if point[0] >= due:
                    due = point[0] + every
                    began = time.monotonic()
                    await queries.sample(self._database, context.job.id, [point])
                    slow = slow + 1 if time.monotonic() - began > SLOW_SECONDS else 0
                if slow >= SLOW_IN_A_ROW:
                    raise GaveWay(Why.SLOWED)
                await context.progress(int(point[3]), test.profile.messages)
        return error.strip()

    async def _settled(self) -> None:
        """No stage is left: one whose daemon was killed a moment ago is still clearing away by itself."""
        until = asyncio.get_running_loop().time() + STOP_PATIENCE
        while self._left() and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(LOOK_EVERY)
        await asyncio.to_thread(self._sweep)

    def _left(self) -> bool:
        return bool(self._stages())

    def _sweep(self) -> None:
        """What stages have left that did not come to clear away. One that is just ending still writes: once more."""
        until = time.monotonic() + SWEEP_PATIENCE
        homes = {EmbeddedPostgres(stage / "data").home for stage in self._stages()}  # elsewhere for root
        while True:
            for folder in (*homes, *self._stages()):
                shutil.rmtree(folder, ignore_errors=True)
            if time.monotonic() > until or not any(folder.exists() for folder in (*homes, *self._stages())):
                return
            time.sleep(LOOK_EVERY)

    def _stages(self) -> list[Path]:
        return list(self._folder.iterdir()) if self._folder.is_dir() else []


async def begun(profile: Profile, folder: Path) -> asyncio.subprocess.Process:
    """The process; attached, so that it ends with us."""
    return await programs.begin(
        "smsgw", "bench", "--json", "--progress", "--modest", "--attached", "--data", str(folder),
        *profile.options(), stderr=asyncio.subprocess.PIPE, session=True,
    )  # fmt: skip


async def _ended(process: asyncio.subprocess.Process) -> None:
    """It clears away by itself when its standard input ends."""
    if process.returncode is not None:
        return
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(STOP_PATIENCE):
            await process.communicate()  # or it could wait for us to read
    except TimeoutError:
        log.error("load_test.killed", pid=process.pid)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
