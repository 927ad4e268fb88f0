"""A task that sends in steps, on its page: the stages, what was measured against the limits, what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Button
from smsgw.admin.words import tasks as words
from smsgw.core.stages import KNOWN_SHARE, LIMITS, Measured, Stage, Steps, beyond, stage_of, steps_of, whole
from smsgw.core.tasks import Task
from smsgw.platform.campaigns import staging

PIECE = "sending/stages.html"
NEAR = 0.8
"""Of a limit: what is beyond is shown as near to it."""


def halted(task: Task) -> bool:
    """Whether it has stopped by itself and waits for a decision."""
    return task.state == "paused" and task.reason == staging.HALTED


def waits(task: Task) -> bool:
    """Whether the next stage can be released before its time."""
    stage = stage_of(task.stages)
    return stage is not None and task.state == "running" and stage.end <= task.fed < task.valid


def following(task: Task) -> int:
    """The numbers that a decision to go on sends to."""
    stage = stage_of(task.stages)
    if stage is None or task.steps is None:
        return 0
    if task.fed < stage.end:
        return stage.end - task.fed
    return steps_of(task.steps).end(stage.stage + 1, task.valid) - task.fed


def buttons(task: Task) -> list[Button]:
    """Go on, where that is somebody's to decide."""
    if not halted(task) and not waits(task):
        return []
    label = words.GO_ON if halted(task) else words.RELEASE
    fields = {"id": str(task.id), "to": f"/tasks/{task.id}"}
    return [Button(label, "/tasks/-/effect/release", primary=not halted(task), fields=fields, asks=True)]


def why(call: Call, task: Task) -> str:
    """Why it has stopped, in a sentence."""
    said = task.detail
    cause = words.STAGE_WHY[said["what"]]
    share = said["count"] * 100 / said["of"] if said["of"] else 0.0
    values = {
        "stage": said["stage"], "why": call.gettext(cause), "count": f"{said['count']:,}",
        "of": f"{said['of']:,}", "share": f"{share:.4g}", "limit": f"{said['limit']:g}",
    }  # fmt: skip
    return call.filled(words.HALTED, values)


async def piece(call: Call, task: Task) -> tuple[str, Mapping[str, Any]] | None:
    """What is shown of it; None: it does not send in steps."""
    if task.steps is None:
        return None
    steps, stage = steps_of(task.steps), stage_of(task.stages)
    if stage is None:
        return PIECE, {"stages": _stages(steps, None, task), "steps": steps, "stage": None, "words": words}
    found = await staging.measure(call.db, task, stage)
    of = whole(stage, found, task.fed, stage.end >= task.valid)
    watched = stage.since + timedelta(minutes=steps.minutes) if stage.since is not None else None
    return PIECE, {
        "stages": _stages(steps, stage, task), "steps": steps, "stage": stage, "words": words, "found": found, "of": of,
        "measures": [_measure(steps, found, name, of) for name in LIMITS], "until": watched, "known": KNOWN_SHARE,
        "past": [dict(one) | {"at": datetime.fromisoformat(one["at"])} for one in reversed(stage.past)],
    }  # fmt: skip


def _stages(steps: Steps, stage: Stage | None, task: Task) -> list[dict[str, Any]]:
    found = []
    here = 0 if stage is None else stage.stage
    for n in range(1, steps.stages + 1):
        share = f"{steps.shares[n - 1]:g}%" if n < steps.stages else "100%"
        state = "done" if n < here else "here" if n == here else "later"
        found.append({"n": n, "share": share, "end": steps.end(n, task.valid), "state": state})
    return found


def _measure(steps: Steps, found: Measured, name: str, of: int) -> dict[str, Any]:
    count, limit = getattr(found, name), steps.limit(name)
    share = count * 100 / of if of else 0.0
    alone = Measured(**{name: count})
    verdict = "over" if beyond(steps, alone, of) else "near" if count and share > limit * NEAR else "within"
    return {"name": name, "count": count, "share": share, "limit": limit, "verdict": verdict}
