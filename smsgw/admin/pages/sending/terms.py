"""How a task is sent: what its page and that of its approval say of it, the same in both places."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.tables import Column, Kind
from smsgw.admin.words import compose, tasks
from smsgw.core.frequency import tagged_of
from smsgw.core.ids import CHINA
from smsgw.core.stages import LIMITS, steps_of
from smsgw.core.tasks import Task
from smsgw.platform.campaigns.model import recurrence_of


def steps(call: Call, task: Task) -> list[str]:
    """A sending in steps: shares with the numbers that they come to, minutes, limits."""
    if task.steps is None:
        return []
    plan = steps_of(task.steps)
    shares = [*(f"{share:g}%" for share in plan.shares), "100%"]
    said = [
        call.filled(tasks.STEP_TO, {"share": share, "n": f"{plan.end(n, task.valid):,}"})
        for n, share in enumerate(shares, 1)
    ]
    said.append(call.filled(tasks.STEP_MINUTES, {"n": plan.minutes}))
    limits = {name: f"{plan.limit(name):g}" for name in LIMITS}
    return [*said, call.filled(tasks.STEP_LIMITS, limits)]


def often(call: Call, task: Task) -> list[str]:
    """How often a number gets it at most, and the tag that counts."""
    if task.frequency is None:
        return []
    found = tagged_of(task.frequency)
    return [found.rate.text.text(call.language != DEFAULT), *([found.tag] if found.tag else [])]


def hours(task: Task) -> list[str]:
    """The spans of the day in which it sends."""
    return [f"{one['from']}-{one['to']}" for one in task.windows]


def again(call: Call, task: Task) -> str:
    """When it comes round."""
    given = task.recurring
    if given is None:
        return ""
    at, every = given["at"], compose.EVERY[given["every"]]
    named = {-1: compose.LAST_DAY}
    if given["every"] == "week":
        named = {int(day): name for day, name in compose.WEEKDAY.items()}
    days = [call.gettext(named[day]) if day in named else str(day) for day in given.get("on") or ()]
    return " ".join([call.gettext(every), *days, at if isinstance(at, str) else ", ".join(at)])


def last(task: Task) -> datetime | None:
    """Until when it comes round; None: for ever, or it does not."""
    return None if task.recurring is None else recurrence_of(task.recurring).until


def columns(call: Call, task: Task) -> Sequence[Column]:
    """Facts of how it is sent; what is as usual is not told. Their values do not depend on the row."""
    urgent = compose.PRIORITY["1"]
    said: Mapping[str, tuple[Kind, Any]] = {
        "priority": (Kind.TEXT, call.gettext(urgent) if task.emergency else ""),
        "recurring": (Kind.TEXT, again(call, task)),
        "comes_until": (Kind.TIME, last(task)),
        "day_hours": (Kind.TAGS, hours(task)),
        "valid_until": (Kind.TIME, task.expire_at),
        "send_rate": (Kind.NUMBER, task.rate or None),
        "extend_code": (Kind.TEXT, task.extend_code),
        "preferred_pool": (Kind.TEXT, task.prefer),
        "frequency": (Kind.TAGS, often(call, task)),
        "steps": (Kind.TAGS, steps(call, task)),
    }
    return [Column(key, kind, value=_always(value)) for key, (kind, value) in said.items() if value]


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def typed(at: datetime | None) -> str:
    """A time as it is written in a form."""
    return "" if at is None else f"{at.astimezone(CHINA):%Y-%m-%d %H:%M}"
