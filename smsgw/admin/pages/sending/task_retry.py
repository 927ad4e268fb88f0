"""A task once more: copied into a draft; or its rows that got no message, downloaded, mended and sent again."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
from aiohttp import web

from smsgw.admin import proving
from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.filters import read_id
from smsgw.admin.rights import PROOFS, Proof, route
from smsgw.admin.words import compose as words
from smsgw.core.permissions import Permission
from smsgw.core.sent_links import NAME
from smsgw.core.stages import LIMITS, steps_of
from smsgw.core.tasks import Task
from smsgw.platform.audience import saved
from smsgw.platform.audience.model import MOST_DAYS, Segment, SegmentKind
from smsgw.platform.campaigns import queries, task_retry
from smsgw.platform.campaigns.service import picked_of
from smsgw.platform.drafts import service
from smsgw.platform.drafts.model import Kind, Source, State
from smsgw.platform.drafts.wanted import chain_fields

AT = "/tasks/{id:[0-9]{1,19}}"


async def _task(call: Call) -> Task:
    """The task that the address names, in the person's scope."""
    id_ = read_id(call.request.match_info["id"])
    found = None if id_ is None else await queries.one(call.db, call.actor, id_)
    if found is None:
        raise web.HTTPNotFound
    return found.task


def may_take(call: Call, task: Task) -> bool:
    """Whether the person may have a task's texts: their own, or with the right to read those of others."""
    return task.submitter == call.actor.label or call.may(Permission.MESSAGE_READ)


async def _readable(call: Call) -> Task:
    task = await _task(call)
    if not may_take(call, task):
        raise web.HTTPNotFound
    return task


def _frequency(task: Task) -> dict[str, str]:
    if task.frequency is None:
        return {}
    return {"frequency": "own", **{f"frequency_{name}": str(value) for name, value in task.frequency.items()}}


def _steps(task: Task) -> dict[str, str]:
    if task.steps is None:
        return {}
    steps = steps_of(task.steps)
    limits = {f"steps_{name}": f"{steps.limit(name):g}" for name in LIMITS}
    shares = ", ".join(f"{share:g}" for share in steps.shares)
    return {"steps": "1", "steps_shares": shares, "steps_minutes": str(steps.minutes), **limits}


async def _state(call: Call, task: Task, *, numbers: bool) -> State:
    """What a task was asked for, as the steps of the wizard have it; when it is sent is asked anew. ``numbers``: and to
    whom, which is for whoever has submitted it."""
    upload, picked = await task_retry.upload_of(call.db, task), picked_of(task)
    columns = upload.columns if upload is not None else ()
    names, places = task.mapping.get("names", ()), task.mapping.get("columns", ())
    values: dict[str, Any] = {
        "subject": task.name, "account": str(task.account_id), "type": task.type, "sign": task.sign,
        "template": str(task.template_id or ""), "content": "" if task.template_id else task.content,
        "fixed": {n: v for n, v in task.mapping.get("fixed", {}).items() if n != NAME or task.link_id is None},
        "link": str(task.link_id or ""), "one_each": task.one_each, "extend_code": task.extend_code,
        "rate": str(task.rate or ""), "prefer": task.prefer, "emergency": "1" if task.emergency else "",
        **_steps(task), **_frequency(task), **chain_fields(task.fallback),
    }  # fmt: skip
    if task.audience_id is not None or picked is not None:
        fields = dict(zip(names, task.mapping.get("fields", ()), strict=False))
        values |= {"source": Source.AUDIENCE.value, "audience": str(task.audience_id or ""), "variables": fields}
        if picked is not None and picked.segment is not None:
            kept = None if task.audience_id is None else await saved.one(call.db, call.actor, task.audience_id)
            values |= {"source": Source.SEGMENT.value, "audience": ""} | segment_fields(picked.segment)
            if kept is not None:
                values |= {"segment": "", "segment_saved": str(kept.id)}
        elif picked is not None:
            values |= {"groups": [str(one) for one in picked.groups], "tags": list(picked.tags),
                       "contacts": [str(one) for one in picked.contacts]}  # fmt: skip
    elif upload is not None:
        chosen = {name: columns[at] for name, at in zip(names, places, strict=False) if at < len(columns)}
        phone = task.mapping.get("phone", 0)
        values |= {
            "source": Source.FILE.value, "upload": str(upload.id) if numbers else "", "variables": chosen,
            "phone": columns[phone] if phone < len(columns) else "",
        }  # fmt: skip
    elif numbers:
        values |= {"source": Source.TYPED.value, "to": "\n".join(await task_retry.numbers_of(call.db, task))}
    return State(**values)


def segment_fields(one: Segment) -> dict[str, Any]:
    """A segment as a draft has it."""
    return {
        "segment": one.kind.value, "segment_days": str(one.days), "segment_task": str(one.task_id or ""),
        "segment_link": str(one.link_id or ""), "segment_messages": [str(id_) for id_ in one.messages],
        "segment_saved": "", "segment_dead": "1" if one.dead else "",
    }  # fmt: skip


@route("POST", AT + "/copy", Permission.MESSAGE_SEND)
async def copy(call: Call) -> web.StreamResponse:
    """A draft with all of the task but its time; numbers and table only for whoever has submitted it."""
    task = await _readable(call)
    own = task.submitter == call.actor.label
    state = await _state(call, task, numbers=own)
    kind = Kind.OWN if state.source == Source.FILE and state.variables else Kind.SAME
    if not own and state.source not in (Source.AUDIENCE, Source.SEGMENT):
        call.toast(call.gettext(words.NUMBERS_NOT_COPIED))
    draft = await service.begin(call.change(), secrets.token_urlsafe(18), kind, state, ())
    return call.redirect(f"/send/{draft.id}/content")


async def to_rest(call: Call, task: Task, *, dead: bool) -> int:
    """A draft with all of a task but its time, to the numbers that have not clicked its link; its id. Who they are is
    found when the draft is looked at, and once more when it becomes a task."""
    state = await _state(call, task, numbers=False)
    segment = Segment(SegmentKind.NOT_CLICKED, MOST_DAYS, task.id, dead=dead)
    fields = segment_fields(segment) | {"source": Source.SEGMENT.value, "upload": "", "to": ""}
    state = msgspec.structs.replace(state, **fields)
    draft = await service.begin(call.change(), secrets.token_urlsafe(18), Kind.SAME, state, ())
    return draft.id


@route("POST", AT + "/mend", Permission.MESSAGE_SEND)
async def mend(call: Call) -> web.StreamResponse:
    """A draft with the task's text and columns, for the table of mended rows."""
    task = await _readable(call)
    state = await _state(call, task, numbers=False)
    state = msgspec.structs.replace(state, upload="", to="", source=Source.FILE.value)
    draft = await service.begin(call.change(), secrets.token_urlsafe(18), Kind.OWN, state, ())
    return call.redirect(f"/send/{draft.id}/table")


async def export_of(call: Call, task: Task) -> Permission | None:
    """What it takes to have the numbers of a task that the person has submitted; None: they have brought them here
    themselves."""
    picked = picked_of(task)
    if picked is not None and picked.segment is not None:
        return Permission.MESSAGE_EXPORT
    if picked is not None or task.audience_id is not None:
        return Permission.CONTACT_EXPORT
    if task.upload_id is None:
        return None
    upload = await task_retry.upload_of(call.db, task)
    own = upload is not None and upload.submitter == call.actor.label
    return None if own else Permission.MESSAGE_EXPORT


@route("GET", AT + "/rows", Permission.MESSAGE_SEND, step_up=Proof.PASSWORD, kept=False)
async def rows(call: Call) -> web.StreamResponse:
    """The rows without a message, for whoever has submitted the task: their own table, or an export."""
    task = await _task(call)
    if task.submitter != call.actor.label:
        raise web.HTTPNotFound
    if (right := await export_of(call, task)) is not None:
        if not call.may(right):
            raise web.HTTPForbidden
        if (asked := proving.before_file(call, PROOFS[right])) is not None:
            return asked
    await call.reads("task.export", f"task/{task.id}", rows="errors")
    response = web.StreamResponse(headers={"Content-Type": "text/csv; charset=utf-8", "Cache-Control": "no-store"})
    response.headers["Content-Disposition"] = f'attachment; filename="mend-{task.id}.csv"'
    pieces = task_retry.bad_rows(call.db, task, english=call.language != DEFAULT)
    first = await anext(pieces)
    await response.prepare(call.request)
    await response.write(first)
    async for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response
