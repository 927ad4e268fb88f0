"""How a task is sent: what its page and that of its approval say of it, the same in both places."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit import spans
from smsgw.admin.kit.tables import Cell, Column
from smsgw.admin.words import compose, fallback as words, tasks
from smsgw.core.errors import Invalid
from smsgw.core.fallback import chain_of
from smsgw.core.frequency import tagged_of
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType
from smsgw.core.permissions import Permission
from smsgw.core.stages import LIMITS, steps_of
from smsgw.core.tasks import Task
from smsgw.platform.campaigns.model import ends_at, hours_of, recurrence_of, windows_of
from smsgw.runtime import clock

COMING = 5
"""Of its next times, those that are shown."""
SOON = timedelta(minutes=1)


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


def hops(call: Call, kept: Mapping[str, Any] | None, *, own: bool = False) -> list[str]:
    """What follows a message that has failed, hop by hop, and for how long. ``own``: the texts are not
    what somebody else has sent."""
    if kept is None:
        return []
    chain, said = chain_of(kept), list[str]()
    for n, hop in enumerate(chain.hops, 1):
        text = hop.content if hop.template_id is None else call.filled(words.BY_TEMPLATE, {"id": hop.template_id})
        if not own and not call.may(Permission.MESSAGE_READ):
            text = call.gettext(words.HIDDEN)
        text = f"【{hop.sign}】{text}" if hop.sign and not text.startswith("【") else text
        text = call.filled(words.VIA, {"text": text, "pool": hop.prefer}) if hop.prefer else text
        names = {"hop": call.gettext(words.HOP[str(n)]), "when": call.gettext(words.WHEN[hop.when])}
        said.append(call.filled(words.EACH, {**names, "text": text}))
    return [*said, call.filled(words.IN_MINUTES, {"n": f"{chain.minutes:,}"})]


_OF_HOP = re.compile(r"fallback\.hops\[([0-2])\]\.(content|template|sign|when|prefer)")


def hop_field(name: str, places: Sequence[int]) -> str:
    """The field of a form for one of the engine; ``places``: of the form, those of the hops that there are."""
    found = _OF_HOP.match(name)
    if found is None or int(found[1]) >= len(places):
        return name.replace("fallback.minutes", "fallback_minutes")
    return f"hop{places[int(found[1])]}_{found[2]}"


@contextlib.contextmanager
def at_hops(places: Sequence[int]) -> Iterator[None]:
    """What is refused inside is told at the form's fields."""
    try:
        yield
    except Invalid as error:
        field = hop_field(str(error.detail.get("field", "")), places)
        raise Invalid(error.code, **error.detail | {"field": field}) if field else error from error


def hours(call: Call, task: Task) -> str:
    """The spans of the day in which it sends."""
    return spans.said(windows_of(task.windows), call.gettext)


def ends(call: Call, task: Task) -> datetime | None:
    """The minute in which it will have been sent, if nobody stops it; None: it is over or soon is, or nobody knows."""
    snapshot = call.portal.context.snapshots.current
    account = snapshot.account(task.account_id)
    rows = task.valid - task.fed
    if account is None or task.state not in ("scheduled", "running") or rows <= 0:
        return None
    now = clock.now()
    begins = max(now, (task.next_at if task.state == "scheduled" else task.due_at) or now)
    hours = hours_of(task, snapshot.policies.limits(account, MessageType(task.type), task.message_kind).hours)
    found = ends_at(hours, account, rows, begins, rate=task.rate, steps=task.steps)
    return None if found is None or found - now < SOON else found.replace(second=0, microsecond=0)


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


def coming(task: Task) -> list[str]:
    """Its next times."""
    if task.recurring is None or task.next_at is None:
        return []
    rule = recurrence_of(task.recurring)
    return [typed(at) for at in rule.coming(task.next_at - timedelta(microseconds=1), COMING)]


def last(task: Task) -> datetime | None:
    """Until when it comes round; None: for ever, or it does not."""
    return None if task.recurring is None else recurrence_of(task.recurring).until


def columns(call: Call, task: Task) -> Sequence[Column]:
    """Facts of how it is sent; what is as usual is not told. Their values do not depend on the row."""
    urgent = compose.PRIORITY["1"]
    said: Mapping[str, tuple[Cell, Any]] = {
        "priority": (Cell.TEXT, call.gettext(urgent) if task.emergency else ""),
        "recurring": (Cell.TEXT, again(call, task)),
        "next_runs": (Cell.TAGS, coming(task)),
        "comes_until": (Cell.TIME, last(task)),
        "day_hours": (Cell.TEXT, hours(call, task)),
        "estimated_end": (Cell.TIME, ends(call, task)),
        "valid_until": (Cell.TIME, task.expire_at),
        "send_rate": (Cell.NUMBER, task.rate or None),
        "extend_code": (Cell.TEXT, task.extend_code),
        "preferred_pool": (Cell.TEXT, task.prefer),
        "sent_link": (Cell.TEXT, f"#{task.link_id}" if task.link_id is not None else ""),
        "frequency": (Cell.TAGS, often(call, task)),
        "steps": (Cell.TAGS, steps(call, task)),
        "fallback": (Cell.TAGS, hops(call, task.fallback)),
    }
    return [Column(key, kind, value=_always(value)) for key, (kind, value) in said.items() if value]


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def typed(at: datetime | None) -> str:
    """A time as it is written in a form."""
    return "" if at is None else f"{at.astimezone(CHINA):%Y-%m-%d %H:%M}"
