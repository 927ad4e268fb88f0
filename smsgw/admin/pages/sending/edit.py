"""What is scheduled is edited until it begins (P2.4): text, signature, time and options, with the effect in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Field, Form, Kind, Section
from smsgw.admin.kit.lists import Effect, refusal
from smsgw.admin.pages.sending import chains, terms
from smsgw.admin.pages.sending.wizard import line_of, pools_of
from smsgw.admin.words import compose, times
from smsgw.admin.words import tasks as words
from smsgw.core.carried import Remembered
from smsgw.core.errors import Invalid, Refused
from smsgw.core.frequency import MOST_TAG, MOST_TAGGED
from smsgw.core.model import MessageType
from smsgw.core.permissions import Permission
from smsgw.core.schedule import written
from smsgw.core.stages import LIMITS, MOST_MINUTES
from smsgw.core.tasks import Task
from smsgw.pipeline.accept.checks import MAX_CHARACTERS
from smsgw.platform.campaigns import queries
from smsgw.platform.campaigns.model import MAX_NAME, MAX_RATE, ListedTask, windows_of
from smsgw.platform.drafts import wanted
from smsgw.platform.drafts.model import State
from smsgw.runtime import clock

MOST_TEMPLATES = 200
_FIELD = {
    "expire_at": "valid_until", "send_at": "planned_at", "rate": "send_rate", "window": "windows",
    "prefer": "preferred_pool",
}  # fmt: skip
"""What the engine calls a field -> what it is called here."""
_SAID = Form((
    Section((
        Field("version", Kind.HIDDEN), Field("subject", required=True, most=MAX_NAME), Field("sign", most=20),
        Field("content", Kind.LINES, required=True, most=MAX_CHARACTERS, help=words.EDIT_CONTENT_HELP),
    )),
    Section((
        Field("planned_at", most=16, help=words.RESCHEDULE_HELP), Field("valid_until", most=16),
        Field("windows", Kind.SPANS, "day_hours", times.SPANS_HELP),
    ), words.EDIT_TIME),
    Section((
        Field("send_rate", Kind.NUMBER, least=1, most=MAX_RATE), Field("extend_code", most=12),
        Field("preferred_pool", Kind.CHOICE, help=words.EDIT_POOL_HELP),
        Field("frequency_most", Kind.NUMBER, least=1, most=MOST_TAGGED, help=words.EDIT_FREQUENCY_HELP),
        Field("frequency_every", Kind.NUMBER, least=1, most=720),
        Field("frequency_unit", Kind.CHOICE, choices=compose.UNIT), Field("frequency_tag", most=MOST_TAG),
        Field("steps_shares", most=60, help=words.EDIT_STEPS_HELP),
        Field("steps_minutes", Kind.NUMBER, least=1, most=MOST_MINUTES),
        *(Field(f"steps_{name}", most=8) for name in LIMITS),
    ), words.EDIT_OPTIONS),
    *chains.SECTIONS,
))  # fmt: skip


def open_to_edit(task: Task) -> bool:
    """Whether it has not begun and does not come round again."""
    return task.run == 0 and task.recurring is None and (task.paused_from or task.state) in ("scheduled", "review")


async def _subject(call: Call) -> ListedTask | None:
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None else await queries.one(call.db, call.actor, id_)
    may = call.may(Permission.MESSAGE_SEND) and call.may(Permission.MESSAGE_READ)
    return one if one is not None and may and open_to_edit(one.task) else None


def _values(one: ListedTask) -> Mapping[str, Any]:
    task = one.task
    often, steps = task.frequency or {}, task.steps or {}
    return {
        "version": task.version, "subject": task.name, "sign": task.sign, "content": task.content,
        "planned_at": terms.typed(task.next_at or task.send_at), "valid_until": terms.typed(task.expire_at),
        "windows": str(windows_of(task.windows)) if task.windows else "", "send_rate": task.rate or None,
        "extend_code": task.extend_code, "preferred_pool": task.prefer,
        "frequency_most": often.get("most"), "frequency_every": often.get("every"),
        "frequency_unit": often.get("unit", "day"), "frequency_tag": often.get("tag", ""),
        "steps_shares": ", ".join(f"{share:g}" for share in steps.get("shares", ())),
        "steps_minutes": steps.get("minutes"),
        **{f"steps_{name}": f"{steps[name]:g}" if steps else "" for name in LIMITS}, **chains.fields(task.fallback),
    }  # fmt: skip


async def _choices(call: Call, one: ListedTask) -> Mapping[str, Mapping[str, str]]:
    account = call.portal.context.snapshots.current.account(one.task.account_id)
    pools = [] if account is None else pools_of(call, account, MessageType(one.task.type))
    book = call.portal.context.snapshots.current.policies.book
    usable = () if account is None else book.usable(line_of(account))[:MOST_TEMPLATES]
    templates = {str(one.id): f"#{one.id} {one.content[:40]}" for one in usable}
    known = {pool: f"{pool} ({channels})" if channels else pool for pool, channels in pools}
    known |= {one.task.prefer: one.task.prefer} if one.task.prefer else {}
    return chains.choices(templates) | {"preferred_pool": known}


def _stated(text: Mapping[str, str], prefix: str, **more: str) -> State:
    """The fields of that name as a draft has them; those that are empty as they are for a new one."""
    given = {name: value for name, value in text.items() if name.startswith(prefix) and value}
    return msgspec.convert(more | given, State)


def _changes(task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the form asks of the engine: what differs from the task as it is."""
    text: dict[str, str] = {name: str(value or "") for name, value in values.items()}
    try:
        asked: dict[str, Any] = {
            "name": text["subject"], "sign": text["sign"].strip("【】"), "content": text["content"],
            "rate": values["send_rate"] or 0, "extend_code": text["extend_code"], "prefer": text["preferred_pool"],
            "expire_at": wanted.moment(text["valid_until"], "valid_until") if text["valid_until"] else None,
            "window": written(text["windows"]).plain, "frequency": None, "steps": None,
        }  # fmt: skip
        if text["planned_at"] != terms.typed(task.next_at or task.send_at):
            if not text["planned_at"]:
                raise Wrong("planned_at", Problem(words.NO_TIME))
            asked["send_at"] = wanted.moment(text["planned_at"], "planned_at")
            if asked["send_at"] <= clock.now():
                raise Wrong("planned_at", Problem(words.PAST))
        if text["valid_until"] == terms.typed(task.expire_at):
            del asked["expire_at"]
        if text["frequency_most"] or text["frequency_every"]:
            asked["frequency"] = wanted.frequency_in(_stated(text, "frequency_", frequency="own"))
        if text["steps_shares"]:
            asked["steps"] = wanted.steps_in(_stated(text, "steps_", steps="1"))
        chain = chains.typed(values)
        asked["fallback"] = None if chain is None else chain.plain()
    except Invalid as error:
        field = str(error.detail.get("field", "")).replace(".", "_")
        raise Wrong(field, Problem("%(said)s", {"said": str(error.detail.get("reason", error))})) from error
    return asked


async def _effect(call: Call, one: ListedTask, values: Mapping[str, Any]) -> Effect:
    task, asked = one.task, _changes(one.task, values)
    tasks = call.portal.context.tasks
    try:
        now = await tasks.weigh(task, task.content, task.sign)
        then = await tasks.weigh(task, asked["content"], asked["sign"])
        held = await tasks.asked_anew(task, asked)
    except (Invalid, Refused) as error:
        raise _placed(call, error, values) from error
    said = [
        call.filled(words.EDIT_EFFECT, {
            "name": asked["name"], "numbers": f"{task.valid:,}", "parts": f"{now.parts:,}",
            "parts_then": f"{then.parts:,}", "units": f"{now.units:,}", "units_then": f"{then.units:,}",
        }),
    ]  # fmt: skip
    if now.looked_at < task.valid:
        said.append(call.filled(words.EDIT_ESTIMATE, {"n": now.looked_at}))
    if "send_at" in asked:
        said.append(call.filled(words.EDIT_MOVES, {"time": terms.typed(asked["send_at"])}))
    if held:
        english = call.language != DEFAULT
        why = ("；", "; ")[english].join(Remembered(one, "review.").text(english) for one in held)
        said.append(call.filled(words.EDIT_HELD, {"why": why}))
    elif task.review:
        left = words.EDIT_FREE if task.state == "review" else words.EDIT_STAYS
        said.append(call.gettext(left))
    return Effect("%(said)s", {"said": "".join(said)})


def _placed(call: Call, error: Invalid | Refused, values: Mapping[str, Any]) -> Exception:
    """A refusal at the field that it is about; where there is none, as it is."""
    said = str(error.detail.get("field", ""))
    if said.startswith("fallback."):
        return Wrong(terms.hop_field(said, chains.places(values)), Problem("%(said)s", {"said": refusal(call, error)}))
    field = said.replace(".", "_").partition("[")[0]
    field = _FIELD.get(field, field)
    if error.code.startswith("CONTENT_"):
        field = "content"
    elif error.code.startswith("SIGN_"):
        field = "sign"
    elif error.code.startswith("EXTEND_"):
        field = "extend_code"
    elif error.code == "TIME_INVALID":
        field = "valid_until"
    if any(one.key == field for one in _SAID.fields):
        return Wrong(field, Problem("%(said)s", {"said": refusal(call, error)}))
    return error


async def _save(call: Call, one: ListedTask, values: Mapping[str, Any]) -> web.Response:
    asked, version = _changes(one.task, values), read_id(str(values["version"] or ""))
    try:
        done = await call.portal.context.tasks.edit(call.change(), one.id, asked, version=version or 0)
    except (Invalid, Refused) as error:
        raise _placed(call, error, values) from error
    left = words.EDITED_HELD if done.state == "review" else words.EDITED
    call.toast(call.gettext(left))
    return call.redirect(f"/tasks/{one.id}")


EDIT = FormPage(
    "/scheduled/{id:[0-9]{1,19}}/edit", Permission.TASK_EDIT, words.EDIT, words.EDIT_SAVE, _SAID, _save,
    lambda one: f"/tasks/{one.id}", _subject, _values, _choices, _effect, lead=lambda one: one.task.name,
)  # fmt: skip
