"""What a task or a draft has that a scenario can fix: a new scenario begins with it (存为业务场景)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.kinds import base_of
from smsgw.core.errors import Invalid
from smsgw.core.fallback import Chain, chain_of
from smsgw.core.model import MessageType
from smsgw.core.permissions import Permission
from smsgw.core.schedule import Windows
from smsgw.core.tasks import Task
from smsgw.platform.campaigns import queries as tasks
from smsgw.platform.campaigns.model import windows_of
from smsgw.platform.drafts import queries as drafts
from smsgw.platform.drafts.model import Draft
from smsgw.platform.drafts.wanted import chain_in
from smsgw.platform.scenarios.model import MOST_MINUTES, MOST_NAME, Terms

PLACE = "/scenarios/-/new"


@dataclass(frozen=True, slots=True)
class Begun:
    """The terms with which a new scenario begins."""

    account_id: int
    terms: Terms


async def of_query(call: Call) -> Begun | None:
    """Of the task or draft that the address names, if the person may read all of it; None: of none."""
    asked = call.request.query
    if (id_ := read_id(asked.get("task", ""))) is not None:
        one = await tasks.one(call.db, call.actor, id_)
        readable = one is not None and may_read(call, one.task)
        return _of_task(one.task) if one is not None and readable else None
    if (id_ := read_id(asked.get("draft", ""))) is not None:
        draft = await drafts.one(call.db, call.actor, id_)
        return None if draft is None else _of_draft(call, draft)
    return None


def may_read(call: Call, task: Task) -> bool:
    """Whether what a task says may be seen, hops included: by whoever may read messages, and whoever has said it."""
    return call.may(Permission.MESSAGE_READ) or task.submitter == call.actor.label


def _of_task(task: Task) -> Begun:
    lasts = None if task.expire_at is None else task.expire_at - (task.send_at or task.created_at)
    minutes = None if lasts is None else max(1, min(MOST_MINUTES, round(lasts / timedelta(minutes=1))))
    return Begun(task.account_id, Terms(
        task.name[:MOST_NAME], MessageType(task.type), task.sign, task.template_id, task.extend_code, minutes,
        _written(windows_of(task.windows)), "", None if task.fallback is None else chain_of(task.fallback),
    ))  # fmt: skip


def _of_draft(call: Call, draft: Draft) -> Begun | None:
    """As far as what was typed can be read."""
    state, account = draft.state, read_id(draft.state.account)
    if account is None:
        return None
    template_id = read_id(state.template) if state.template else None
    known = call.portal.context.snapshots.current.account(account)
    line = () if known is None else (known.id, *known.above)
    made_of = call.portal.context.snapshots.current.policies.book.template(line, template_id or 0)
    kind = made_of.type if made_of is not None else base_of(call, state.type)
    hours = int(state.hours) if state.hours.isdecimal() and len(state.hours) < 5 else 0
    return Begun(account, Terms(
        state.subject[:MOST_NAME], MessageType(kind) if kind in set(MessageType) else MessageType.NOTICE, state.sign,
        template_id, state.extend_code, min(MOST_MINUTES, hours * 60) or None, state.windows, "", _chain(draft),
    ))  # fmt: skip


def _chain(draft: Draft) -> Chain | None:
    try:
        kept = chain_in(draft.state)
    except Invalid:
        return None
    return None if kept is None else chain_of(kept)


def _written(windows: Windows) -> str:
    return str(windows) if windows.spans else ""
