"""Tasks that send in steps: where a run stands, what its messages have come to, and what follows a decision. All of it
is kept with the task, so that a restart changes nothing (docs/adr/056)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from smsgw.core import stages
from smsgw.core.actor import Actor
from smsgw.core.stages import Measured, Stage, stage_of, steps_of
from smsgw.core.tasks import Task
from smsgw.store.engine.database import Database
from smsgw.store.messages import tasks as store

HALTED = "STAGE_HALTED"
WATCHED = "STAGE_WATCHED"


def first_stage(task: Task) -> dict[str, Any] | None:
    """Where a run begins."""
    if task.steps is None:
        return None
    return Stage(1, 0, steps_of(task.steps).end(1, task.valid)).plain()


async def measure(database: Database, task: Task, stage: Stage) -> Measured:
    """What has become of what is measured, as last counted."""
    return stages.measured(*await store.behind(database, task, stage.begin))


def next_stage(task: Task, stage: Stage, what: str, actor: Actor, now: datetime, found: Measured) -> dict[str, Any]:
    """The stage after this one; what has decided it is remembered."""
    assert task.steps is not None  # noqa: S101 - it is in a stage
    end = steps_of(task.steps).end(stage.stage + 1, task.valid)
    past = (*stage.past, decision(stage, what, actor, now, found))
    return Stage(stage.stage + 1, stage.begin, end, past=past).plain()


def gone_on(task: Task, actor: Actor, now: datetime) -> dict[str, Any]:
    """Where it stands when somebody lets it go on in spite of a halt: rows from here on are measured anew."""
    stage = stage_of(task.stages)
    assert stage is not None  # noqa: S101 - it was halted in one
    assert task.steps is not None  # noqa: S101
    past = (*stage.past, decision(stage, "released", actor, now, None))
    anew = replace(stage, begin=task.fed, halted="", since=None, past=past)
    if task.fed >= stage.end and stage.end < task.valid:
        end = steps_of(task.steps).end(stage.stage + 1, task.valid)
        anew = replace(anew, stage=stage.stage + 1, end=end)
    return anew.plain()


def decision(
    stage: Stage, what: str, actor: Actor, now: datetime, found: Measured | None, why: str = ""
) -> dict[str, Any]:
    """One decision, as it is remembered."""
    figures = {} if found is None else found.plain()
    return {"stage": stage.stage, "what": what, "why": why, "at": now.isoformat(), "by": str(actor.label), **figures}
