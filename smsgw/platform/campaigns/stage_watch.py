"""Looks at tasks that send in steps: releases the next stage, or halts them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from smsgw.core import stages
from smsgw.core.actor import Actor
from smsgw.core.stages import Measured, Stage, Verdict, stage_of, steps_of
from smsgw.core.tasks import Task
from smsgw.platform.campaigns.service import Tasks
from smsgw.platform.campaigns.staging import WATCHED, decision, measure, next_stage
from smsgw.platform.change import Change
from smsgw.store.engine.database import Database
from smsgw.store.messages import task_aside, tasks as store

log = structlog.get_logger(__name__)

EVERY = 1.0
"""Seconds between two looks at a task."""
COUNTED = 100
"""Chunks that are counted anew for a look."""


class Staging:
    """Looks at tasks that send in steps, on the node that feeds."""

    def __init__(self, database: Database, tasks: Tasks, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._tasks = tasks
        self._now = now
        self.every = EVERY
        self._looked: dict[int, float] = {}

    async def look(self, task: Task) -> Task | None:
        """The task as it stands after the look; None: it is not to be fed now."""
        stage = stage_of(task.stages)
        if stage is None or task.steps is None:
            return task
        clock = time.monotonic()
        if clock - self._looked.get(task.id, float("-inf")) < self.every:
            return task
        self._looked = {id_: at for id_, at in self._looked.items() if clock - at < 60} | {task.id: clock}
        await self._tasks.count(task.id, task.run, COUNTED)
        found = await measure(self._database, task, stage)
        aside = await task_aside.any_left(self._database, task.id, task.run)
        verdict, why = stages.judge(
            steps_of(task.steps), stage, found, rows=task.valid, fed=task.fed, aside=aside, now=self._now()
        )
        if verdict is Verdict.HALT:
            await self._halt(task, stage, found, why)
            return None
        if verdict is Verdict.PASS:
            actor = Actor.system("rule")
            after = next_stage(task, stage, "passed", actor, self._now(), found)
            log.info("task.stage_passed", task=task.id, stage=stage.stage)
            return await self._put(task, stages=after, reason="", detail={})
        if verdict is Verdict.WATCH:
            return await self._put(task, stages=replace(stage, since=self._now()).plain(), reason=WATCHED, detail={})
        if verdict is Verdict.WATCHING and not task.reason:  # somebody has paused it, and let it go on
            return await self._put(task, reason=WATCHED, detail={})
        return task

    async def _put(self, task: Task, **values: Any) -> Task | None:
        """Change the task, unless somebody has done so since it was read."""
        async with self._database.transaction() as connection:
            current = await store.lock(connection, task.id)
            if current is None or _mark(current) != _mark(task):
                return None
            await store.change(connection, task.id, **values)
        return replace(task, **values)

    async def _halt(self, task: Task, stage: Stage, found: Measured, why: str) -> None:
        assert task.steps is not None  # noqa: S101 - it is in a stage
        steps = steps_of(task.steps)
        of = stages.whole(stage, found, task.fed, stage.end >= task.valid)
        count = found.sent - found.known if why == "unknown" else getattr(found, why)
        detail = {
            "what": why, "count": count, "of": of, "stage": stage.stage,
            "limit": float(100 - stages.KNOWN_SHARE) if why == "unknown" else steps.limit(why),
        }  # fmt: skip
        change = Change(self._database, Actor.system("rule"))
        past = (*stage.past, decision(stage, "halted", change.actor, self._now(), found, why))
        halted = replace(stage, halted=why, past=past).plain()
        await self._tasks.halt(change, task, halted, detail)


def _mark(task: Task) -> tuple[object, ...]:
    return task.state, task.run, task.stages, task.fed
