"""What is scheduled is edited until it begins (P2.4): text, signature, time and options, with the effect in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import time
from typing import Any

import msgspec
from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect, refusal
from smsgw.admin.pages.sending import chains, terms
from smsgw.admin.pages.sending.wizard import line_of, pools_of
from smsgw.admin.words import compose, tasks as words, times
from smsgw.admin.words.terms import FIELD_TERMS
from smsgw.core.errors import Invalid, Refused
from smsgw.core.frequency import MOST_TAG, MOST_TAGGED
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType
from smsgw.core.permissions import Permission
from smsgw.core.schedule import written
from smsgw.core.stages import LIMITS, MOST_MINUTES
from smsgw.core.tasks import Task
from smsgw.core.wording_json import Remembered
from smsgw.pipeline.accept.checks import MAX_CHARACTERS
from smsgw.platform.campaigns import queries
from smsgw.platform.campaigns.model import MAX_NAME, MAX_RATE, ListedTask, recurrence_of, windows_of
from smsgw.platform.campaigns.service import not_begun
from smsgw.platform.drafts import wanted
from smsgw.platform.drafts.model import State
from smsgw.runtime import clock

MOST_TEMPLATES = 200
COMING = 5
"""Of the next runs, those that are shown."""
_TEXT = Inputs((
    Input("version", InputKind.HIDDEN), Input("subject", required=True, most=MAX_NAME), Input("sign", most=20),
    Input("content", InputKind.LINES, required=True, most=MAX_CHARACTERS, help=words.EDIT_CONTENT_HELP),
))  # fmt: skip
_HOURS = Input("windows", InputKind.SPANS, "day_hours", times.SPANS_HELP)
_DAYS = {str(day): str(day) for day in range(1, 32)} | {"-1": compose.LAST_DAY}
_HOW = (
    Inputs((
        Input("send_rate", InputKind.NUMBER, least=1, most=MAX_RATE), Input("extend_code", most=12),
        Input("preferred_pool", InputKind.CHOICE, help=words.EDIT_POOL_HELP),
        Input("frequency_most", InputKind.NUMBER, least=1, most=MOST_TAGGED, help=words.EDIT_FREQUENCY_HELP),
        Input("frequency_every", InputKind.NUMBER, least=1, most=720),
        Input("frequency_unit", InputKind.CHOICE, choices=compose.UNIT), Input("frequency_tag", most=MOST_TAG),
        Input("steps_shares", most=60, help=words.EDIT_STEPS_HELP),
        Input("steps_minutes", InputKind.NUMBER, least=1, most=MOST_MINUTES),
        *(Input(f"steps_{name}", most=8) for name in LIMITS),
    ), words.EDIT_OPTIONS),
    *chains.SECTIONS,
)  # fmt: skip
_SAID = Form((
    _TEXT,
    Inputs((Input("planned_at", most=16, help=words.RESCHEDULE_HELP), Input("valid_until", most=16), _HOURS),
            words.EDIT_TIME),
    *_HOW,
))  # fmt: skip
_AGAIN = Form((
    _TEXT,
    Inputs((
        Input("every", InputKind.CHOICE, "comes_round", required=True, choices=compose.EVERY),
        Input("every_at", required=True, most=200, help=words.EVERY_AT_HELP),
        Input("on_week", InputKind.CHOICES, choices=compose.WEEKDAY, help=words.ON_WEEK_HELP),
        Input("on_month", InputKind.CHOICES, choices=_DAYS, help=words.ON_MONTH_HELP),
        Input("comes_until", most=10, help=words.UNTIL_HELP), _HOURS,
    ), words.EDIT_TIME, words.EDIT_ROUND_HELP),
    *_HOW,
))  # fmt: skip


def open_to_edit(task: Task) -> bool:
    """Whether it has not begun and does not come round again."""
    return not_begun(task) and task.recurring is None


def comes_round(task: Task) -> bool:
    """Whether it waits for the next of its times."""
    return not_begun(task) and task.recurring is not None


async def _found(call: Call) -> ListedTask | None:
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None else await queries.one(call.db, call.actor, id_)
    may = call.may(Permission.MESSAGE_SEND) and call.may(Permission.MESSAGE_READ)
    return one if one is not None and may else None


async def _subject(call: Call) -> ListedTask | None:
    one = await _found(call)
    return one if one is not None and open_to_edit(one.task) else None


async def _round(call: Call) -> ListedTask | None:
    one = await _found(call)
    return one if one is not None and comes_round(one.task) else None


def _values(one: ListedTask) -> Mapping[str, Any]:
    task = one.task
    often, steps = task.frequency or {}, task.steps or {}
    return {
        "version": task.version, "subject": task.name, "sign": task.sign, "content": task.content,
        "planned_at": terms.typed(task.next_at or task.send_at), "valid_until": terms.typed(task.expire_at),
        **_rule(task),
        "windows": str(windows_of(task.windows)) if task.windows else "", "send_rate": task.rate or None,
        "extend_code": task.extend_code, "preferred_pool": task.prefer,
        "frequency_most": often.get("most"), "frequency_every": often.get("every"),
        "frequency_unit": often.get("unit", "day"), "frequency_tag": often.get("tag", ""),
        "steps_shares": ", ".join(f"{share:g}" for share in steps.get("shares", ())),
        "steps_minutes": steps.get("minutes"),
        **{f"steps_{name}": f"{steps[name]:g}" if steps else "" for name in LIMITS}, **chains.fields(task.fallback),
    }  # fmt: skip


def _rule(task: Task) -> Mapping[str, Any]:
    """When a task comes round, as the form has it."""
    given = task.recurring
    if given is None:
        return {}
    rule = recurrence_of(given)
    on = [str(day) for day in sorted(rule.on)]
    return {
        "every": rule.every, "every_at": ", ".join(_clock(at) for at in rule.at),
        "on_week": on if rule.every == "week" else (), "on_month": on if rule.every == "month" else (),
        "comes_until": f"{rule.until.astimezone(CHINA):%Y-%m-%d}" if rule.until else "",
    }  # fmt: skip


def _clock(at: time) -> str:
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"


def _wanted_rule(task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
    """When it is to come round, if that is another rule. ``PARAM_INVALID`` at the form's field."""
    every = values["every"]
    days = {"week": "on_week", "month": "on_month"}.get(every, "")
    given: dict[str, Any] = {
        "every": every,
        "at": [at.strip() for at in values["every_at"].replace("\uff0c", ",").split(",") if at.strip()],
    }
    if days:
        given["on"] = sorted(int(day) for day in values[days])
    if values["comes_until"]:
        given["until"] = wanted.moment(f"{values['comes_until']} 23:59", "comes_until").isoformat()
    try:
        rule, now = recurrence_of(given), recurrence_of(task.recurring or {})
    except Invalid as error:
        field = str(error.detail.get("field", "")).partition("[")[0]
        place = {"recurring.at": "every_at", "recurring.on": days}.get(field, "every")
        raise Invalid(error.code, **error.detail | {"field": place}) from error
    same = (rule.every, rule.at, rule.on) == (now.every, now.at, now.on)
    return {} if same and values["comes_until"] == _rule(task)["comes_until"] else {"recurring": given}


async def _choices(call: Call, one: ListedTask) -> Mapping[str, Mapping[str, str]]:
    account = call.portal.context.snapshots.current.account(one.task.account_id)
    pools = [] if account is None else pools_of(call, account, MessageType(one.task.type), one.task.message_kind)
    book = call.portal.context.snapshots.current.policies.book
    usable = () if account is None else book.usable(line_of(account))[:MOST_TEMPLATES]
    templates = {str(one.id): f"#{one.id} {one.content[:40]}" for one in usable}
    known = {pool: f"{pool} ({channels})" if channels else pool for pool, channels in pools}
    known |= {one.task.prefer: one.task.prefer} if one.task.prefer else {}
    return chains.choices(templates, one.task.fallback) | {"preferred_pool": known}


def _stated(text: Mapping[str, str], prefix: str, **more: str) -> State:
    """The fields of that name as a draft has them; those that are empty as they are for a new one."""
    given = {name: value for name, value in text.items() if name.startswith(prefix) and value}
    return msgspec.convert(more | given, State)


def _hours(task: Task, said: str) -> Sequence[Mapping[str, Any]]:
    """Those of the task while they read the same: by call they may have seconds, which are not on the page."""
    same = task.windows and said == str(windows_of(task.windows))
    return task.windows if same else written(said).plain


def _changes(task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the form asks of the engine: what differs from the task as it is."""
    text: dict[str, str] = {name: str(value or "") for name, value in values.items()}
    try:
        times_ = _times(task, text) if task.recurring is None else _wanted_rule(task, values)
        asked: dict[str, Any] = times_ | {
            "name": text["subject"], "sign": text["sign"].strip("【】"), "content": text["content"],
            "rate": values["send_rate"] or 0, "extend_code": text["extend_code"], "prefer": text["preferred_pool"],
            "window": _hours(task, text["windows"]), "frequency": None, "steps": None,
        }  # fmt: skip
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


def _times(task: Task, text: Mapping[str, str]) -> dict[str, Any]:
    """When one that is sent once begins, and until when it is sent, if that is another time."""
    asked: dict[str, Any] = {}
    if text["planned_at"] != terms.typed(task.next_at or task.send_at):
        if not text["planned_at"]:
            raise Wrong("planned_at", Problem(words.NO_TIME))
        asked["send_at"] = wanted.moment(text["planned_at"], "planned_at")
        if asked["send_at"] <= clock.now():
            raise Wrong("planned_at", Problem(words.PAST))
    if text["valid_until"] != terms.typed(task.expire_at):
        asked["expire_at"] = wanted.moment(text["valid_until"], "valid_until") if text["valid_until"] else None
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
    if task.recurring is not None:
        rule = recurrence_of(asked.get("recurring", task.recurring))
        coming = rule.coming(clock.now(), COMING)
        said.append(call.filled(words.EDIT_COMING, {"times": call.gettext(words.AND).join(map(terms.typed, coming))}))
        if task.run:
            said.append(call.filled(words.EDIT_DONE, {"n": f"{task.run:,}"}))
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
    field = FIELD_TERMS.get(field, field)
    if error.code.startswith(("CONTENT_", "LINK_")):
        field = "content"
    elif error.code.startswith("SIGN_"):
        field = "sign"
    elif error.code.startswith("EXTEND_"):
        field = "extend_code"
    elif error.code == "TIME_INVALID":
        field = "comes_until" if "comes_until" in values else "valid_until"
    if any(one.key == field for one in (*_SAID.fields, *_AGAIN.fields)):
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
ROUND = FormPage(
    "/scheduled/round/{id:[0-9]{1,19}}", Permission.TASK_EDIT, words.EDIT_ROUND, words.EDIT_SAVE, _AGAIN, _save,
    lambda one: f"/tasks/{one.id}", _round, _values, _choices, _effect, lead=lambda one: one.task.name,
)  # fmt: skip
