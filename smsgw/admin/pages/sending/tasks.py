"""Tasks (P2.3, 发送任务), and those that have not begun (P2.4, 定时短信记录): progress; pause, cancel, another time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from aiohttp import web

from smsgw.admin import words as told
from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period, Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage, opted
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import account_choices
from smsgw.admin.kit.sent_links import unkept
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.sending import as_scenario, edit, stages, task_retry, terms
from smsgw.admin.pages.sending.task_retry import export_of, may_take
from smsgw.admin.pages.sending.wizard import line_of
from smsgw.admin.words import accounts, compose, fallback, tasks as words
from smsgw.admin.words.compose import CLASS
from smsgw.core import moments
from smsgw.core.errors import CODES, Refused, message_of
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.tasks import Task
from smsgw.core.words import Wording, phrase as said
from smsgw.platform.audience import segments
from smsgw.platform.audience.model import MOST_DAYS, Segment, SegmentKind
from smsgw.platform.campaigns import outcome, queries
from smsgw.platform.campaigns.model import ListedTask, WantedTasks
from smsgw.platform.campaigns.outcome import Untold
from smsgw.platform.campaigns.task_retry import DOUBLE
from smsgw.platform.fallback import queries as chains
from smsgw.runtime import clock

PATH, SCHEDULED = "/tasks", "/scheduled"
MENU = (Entry("sending.tasks", PATH, Permission.TASK_VIEW), Entry("sending.scheduled", SCHEDULED, Permission.TASK_VIEW))
REFRESH = 3
"""Seconds between two looks at one that is under way, …"""
SLOW = 10
"""… and at one that waits for somebody or for its time."""
MOST_RUNS = 10
"""Of the times that a task has come round, those that are shown."""


def _cancelled(one: ListedTask) -> int:
    return one.progress.statuses.get("cancelled", 0)


def _percent(one: ListedTask) -> int | tuple[int, Wording] | None:
    """How much of it has been sent and come to an end; beside it how much never will."""
    if not one.progress.valid:
        return None
    cancelled = _cancelled(one)
    percent = (one.progress.done - cancelled) * 100 // one.progress.valid
    return (percent, said("task.cancelled", n=f"{cancelled:,}")) if cancelled else percent


def _left(one: ListedTask) -> int:
    return one.progress.valid - one.progress.done


_SUBJECT = Column("name", label="subject", value=lambda t: t.task.name or f"#{t.id}", phone=Phone.TITLE)
_ACCOUNT = Column("account", phone=Phone.SECOND)
_SUBMITTER = Column("submitter", value=lambda t: t.task.submitter, phone=Phone.AWAY)
_NUMBERS = Column("numbers", Cell.NUMBER, value=lambda t: t.progress.valid)
_STATE = Column("state", Cell.STATE, "status", value=lambda t: t.task.state, words=words.STATE,
                tones=words.STATE_TONE, phone=Phone.BESIDE)  # fmt: skip
_PLANNED = Column("planned_at", Cell.TIME, sort=True, value=lambda t: t.task.next_at or t.task.send_at)
_ROUND = Column("comes_round", Cell.WORD, words=compose.EVERY, phone=Phone.THIRD,
                value=lambda t: t.task.recurring["every"] if t.task.recurring else "")  # fmt: skip
_UNTIL = Column("comes_until", Cell.TIME, value=lambda t: terms.last(t.task), phone=Phone.AWAY)
_CREATED = Column("created_at", Cell.TIME, sort=True, value=lambda t: t.task.created_at)
_CONTENT = Column("content", Cell.LONG, permission=Permission.MESSAGE_READ, value=lambda t: t.task.content)
_COUNTS = (
    Column("progress", Cell.PROGRESS, value=_percent, phone=Phone.SECOND),
    Column("delivered", Cell.NUMBER, value=lambda t: t.progress.statuses.get("delivered", 0)),
    Column("failed", Cell.NUMBER),
    Column("unknown", Cell.NUMBER),
)
_CANCELLED = Column("cancelled", Cell.NUMBER, value=_cancelled)
_ID = Column("id", Cell.CODE, "task", shown=False, phone=Phone.AWAY)
_TYPE = Column("type", Cell.WORD, "message_type", value=lambda t: t.task.type, words=told.TYPE, shown=False)
_ENDED = Column("done_at", Cell.TIME, value=lambda t: t.task.ended_at, shown=False, phone=Phone.AWAY)
COLUMNS = (_SUBJECT, _ACCOUNT, _SUBMITTER, _NUMBERS, *_COUNTS, _STATE, _CREATED, _ENDED, _TYPE, _ID)
_NEXT = replace(_PLANNED, label="comes_next")
_MADE, _MAKER = replace(_CREATED, shown=False), replace(_SUBMITTER, shown=False)
"""What comes next, and what it says, is to fit a desk."""
WAITING_COLUMNS = (_SUBJECT, _NEXT, _ROUND, _UNTIL, _ACCOUNT, _CONTENT, _NUMBERS, _MAKER, _STATE, _MADE, _ID)
_ABOUT = (_STATE, *_COUNTS, _CANCELLED, Column("pending", Cell.NUMBER, value=_left), _NUMBERS)
_MORE = (
    _CONTENT, _ACCOUNT, _TYPE,
    Column("origin", Cell.WORD, value=lambda t: t.task.origin, words=told.ORIGIN), _SUBMITTER, _CREATED, _PLANNED,
    Column("started_at", Cell.TIME, value=lambda t: t.task.started_at), _ENDED, _ID,
)  # fmt: skip


def _wording(call: Call, one: ListedTask) -> tuple[Column, Column]:
    """The signature, whoever has decided about it, and the text as phones get it (短信原文)."""
    snapshot, task = call.portal.context.snapshots.current, one.task
    account = snapshot.account(task.account_id)
    sign = task.sign
    if account is not None and not sign:
        template = snapshot.policies.book.template(line_of(account), task.template_id or 0)
        sign = (template.sign if template else "") or account.default_sign
    text = f"【{sign}】{task.content}" if sign and not task.content.startswith("【") else task.content
    original = Column("original", Cell.LONG, permission=Permission.MESSAGE_READ, value=lambda _: text)
    return Column("sign", value=lambda _: sign), original


# --- what can be done ------------------------------------------------------------------------------------------------


async def _effect(text: str, _: Call, rows: Sequence[ListedTask]) -> Effect:
    return Effect(text, {"n": len(rows), "left": f"{sum(map(_left, rows)):,}"})


async def _act(verb: str, call: Call, one: ListedTask) -> None:
    await getattr(call.portal.context.tasks, verb)(call.change(), one.id)


def _action(verb: str, label: str, text: str, *, danger: bool = False) -> Action:
    return Action(verb, label, Permission.TASK_EDIT, partial(_act, verb), partial(_effect, text), danger)


async def _release_effect(_: Call, rows: Sequence[ListedTask]) -> Effect:
    text = words.GO_ON_EFFECT if all(stages.halted(one.task) for one in rows) else words.RELEASE_EFFECT
    return Effect(text, {"next": f"{sum(stages.following(one.task) for one in rows):,}"})


async def _rest(call: Call, task: Task, kind: SegmentKind, *, dead: bool = False) -> int:
    """How many of a task's numbers have clicked its link, or have not."""
    segment = Segment(kind, MOST_DAYS, task.id, submitter=call.actor.scope.submitter, dead=dead)
    return await segments.count(call.db, task.account_id, segment)


async def _rest_effect(call: Call, rows: Sequence[ListedTask]) -> Effect:
    if len(rows) != 1:
        return Effect(words.UNCLICKED_ONE, nothing=True)
    n = await _rest(call, rows[0].task, SegmentKind.NOT_CLICKED)
    dead = await _rest(call, rows[0].task, SegmentKind.NOT_CLICKED, dead=True) - n
    clicked = await _rest(call, rows[0].task, SegmentKind.CLICKED)
    link = rows[0].task.link_id
    values = {
        "n": f"{n:,}", "clicked": f"{clicked:,}", "dead": f"{dead:,}",
        "unkept": await unkept(call, () if link is None else (link,), rows[0].task.id),
    }  # fmt: skip
    if not n and not dead:
        return Effect(words.UNCLICKED_NONE, values, nothing=True)
    return Effect(words.UNCLICKED_EFFECT, values, option=words.UNCLICKED_DEAD if dead else "")


async def _send_to_rest(call: Call, rows: Sequence[ListedTask]) -> str:
    """A draft to those of one task who have not clicked."""
    if len(rows) != 1:
        raise Refused("STATE_CONFLICT", reason=said("segment.one_task"))
    task = rows[0].task
    if not task_retry.may_take(call, task):
        raise Refused("PERMISSION_DENIED", permission=Permission.MESSAGE_READ.value)
    dead = await opted(call)
    if not (n := await _rest(call, task, SegmentKind.NOT_CLICKED, dead=dead)):
        raise Refused("STATE_CONFLICT", reason=said("segment.none"))
    draft = await task_retry.to_rest(call, task, dead=dead)
    call.toast(call.filled(words.UNCLICKED_DONE, {"n": f"{n:,}"}))
    return f"/send/{draft}/content"


_CANCEL = _action("cancel", words.CANCEL, words.CANCEL_EFFECT, danger=True)
ACTIONS = (
    _action("pause", words.PAUSE, words.PAUSE_EFFECT), _action("resume", words.RESUME, words.RESUME_EFFECT), _CANCEL,
    Action("release", words.RELEASE, Permission.TASK_EDIT, partial(_act, "release"), _release_effect),
    Action("unclicked", words.UNCLICKED, Permission.MESSAGE_SEND, _send_to_rest, _rest_effect, goes=True,
           tells=Permission.MESSAGE_VIEW),
)  # fmt: skip
_POSSIBLE = {
    "pause": ("scheduled", "running", "sent"),
    "resume": ("paused",),
    "cancel": tuple(words.UNDER_WAY),
    "release": (),
    "unclicked": (),
}


def _waits(one: ListedTask) -> bool:
    """Whether its time may still be changed."""
    return edit.open_to_edit(one.task)


async def _begin(call: Call, one: ListedTask) -> None:
    if not _waits(one):
        raise Refused("STATE_CONFLICT", reason=said("task.begun"))
    await call.portal.context.tasks.edit(call.change(), one.id, {"send_at": None})


NOW = Action("now", words.RUN_NOW, Permission.TASK_EDIT, _begin, partial(_effect, words.RUN_NOW_EFFECT))


async def _detail(call: Call, one: ListedTask) -> Detail:
    task, view = one.task, None
    if task.state in words.UNDER_WAY or (task.state == "cancelled" and _left(one)):  # counted now
        view = await call.portal.context.tasks.get(task.id, accounts=None)
        one, task = ListedTask(view.task, view.progress, one.account), view.task
    about = (*_ABOUT, *_wording(call, one), *_MORE)
    columns = [column for column in about if column.permission is None or call.may(column.permission)]
    links = []
    if task.recurring is not None and view is not None and view.runs:
        made = [_run(call, task, dict(row)) for row in view.runs[:MOST_RUNS]]
        columns.append(Column("runs_made", Cell.TAGS, value=lambda _: made))
    if task.run:
        links.append((words.REPORT, f"/tasks/report?task={task.id}"))
    if task.run and task.fallback is not None:
        links.append((fallback.RECORDS, f"/tasks/report?task={task.id}&group=hop"))
    if task.run and call.may(Permission.MESSAGE_VIEW):
        columns[len(_ABOUT) : len(_ABOUT)] = await _clicks(call, task)
        links.append((words.RECORDS, _records(task, task.created_at)))
    if _waits(one) and call.may(Permission.TASK_EDIT):
        if call.may(Permission.MESSAGE_SEND) and call.may(Permission.MESSAGE_READ):
            links.append((words.EDIT, f"{SCHEDULED}/{task.id}/edit"))
        links.append((words.RESCHEDULE, f"{SCHEDULED}/{task.id}/time"))
    if call.may(Permission.SCENARIO_EDIT) and as_scenario.may_read(call, task):
        links.append((words.AS_SCENARIO, f"{as_scenario.PLACE}?task={task.id}"))
    round_ = edit.comes_round(task) and call.may(Permission.TASK_EDIT)
    if round_ and call.may(Permission.MESSAGE_SEND) and call.may(Permission.MESSAGE_READ):
        links.append((words.EDIT, f"{SCHEDULED}/round/{task.id}"))
    buttons = [
        Button(a.label, f"{PATH}/-/effect/{a.key}", a.danger, fields={"id": str(task.id), "to": f"{PATH}/{task.id}"},
               asks=True)
        for a in ACTIONS if task.state in _POSSIBLE[a.key] and call.may(a.permission)
    ]  # fmt: skip
    if _waits(one) and task.state == "scheduled" and call.may(NOW.permission):
        fields = {"id": str(task.id), "to": f"{PATH}/{task.id}"}
        buttons.insert(0, Button(NOW.label, f"{SCHEDULED}/-/effect/{NOW.key}", fields=fields, asks=True))
    sees = call.may(Permission.MESSAGE_SEND) and call.may(Permission.MESSAGE_VIEW)
    if task.link_id is not None and task.run and sees and may_take(call, task):
        fields = {"id": str(task.id), "to": f"{PATH}/{task.id}"}
        buttons.append(Button(words.UNCLICKED, f"{PATH}/-/effect/unclicked", fields=fields, asks=True))
    if call.may(Permission.MESSAGE_SEND) and may_take(call, task):
        buttons.append(Button(words.COPY, f"{PATH}/{task.id}/copy"))
    if task.problems or one.progress.statuses.get("rejected"):
        mended = task.problems.keys() - {DOUBLE} or one.progress.statuses.get("rejected")
        if call.may(Permission.MESSAGE_SEND) and task.state != "importing" and mended:
            if await _may_have_rows(call, task):
                double = task.problems.get(DOUBLE, 0)
                but = call.filled(words.MEND_ROWS_BUT, {"n": f"{double:,}"})
                links.append((but if double else words.MEND_ROWS, f"{PATH}/{task.id}/rows"))
            if may_take(call, task):
                buttons.append(Button(words.MEND, f"{PATH}/{task.id}/mend"))
        links.append((words.PROBLEMS, f"{PATH}/problems?task={task.id}"))
    bad = [f"{_class(call, code)} {n:,}" for code, n in task.problems.items()]
    columns += terms.columns(call, task)
    if task.fallback is not None and task.run:
        n = await chains.arrived(call.db, task.id, task.run)
        columns.append(Column("hops_arrived", Cell.NUMBER, value=lambda _: n))
    sections = [Section(columns, one)]
    if bad:
        sections.append(Section([Column("problems", Cell.TAGS)], {"problems": bad}))
    notice = _why(call, task.reason, task.detail) if task.reason else ""
    if task.reason == "REVIEW_REJECTED" and task.state != "cancelled":
        notice = call.filled(words.EDIT_REJECTED, {"reason": str(task.detail.get("reason", ""))})
    piece = await stages.piece(call, task)
    if call.may(Permission.TASK_EDIT):
        kept = [b for b in buttons if not (stages.halted(task) and b.label == words.RESUME)]
        buttons = [*stages.buttons(task), *kept]
    if stages.halted(task):
        notice = stages.why(call, task)
    if task.state == "importing":
        notice = notice or await _importing(call, task.id)
    waits = task.state in words.UNDER_WAY or bool(_left(one))
    refresh = REFRESH if task.state in words.MOVING else SLOW if waits else 0
    title = task.name or f"#{task.id}"
    good = task.state == "importing" or task.reason == "STAGE_WATCHED"
    account = call.portal.context.snapshots.current.account(task.account_id)
    standing = call.gettext(accounts.TRAINING_ON) if account is not None and account.training else ""
    return Detail(title, sections, buttons=buttons, links=links, refresh=refresh, notice=notice, good=good,
                  piece=piece, standing=standing)  # fmt: skip


async def _may_have_rows(call: Call, task: Task) -> bool:
    """Whether the rows without a message are the person's to take away."""
    if task.submitter != call.actor.label:
        return False
    right = await export_of(call, task)
    return right is None or call.may(right)


def _records(task: Task, since: datetime, *, run: bool = False) -> str:
    """The address of a task's messages from a day on, or of those of its latest run alone."""
    first, last = (at.astimezone(CHINA).date() for at in (since, clock.now()))
    of_run = f"&run={task.run}" if run and task.recurring is not None else ""
    return f"/records?task={task.id}{of_run}&time=custom&from={first}&to={last}"


async def _clicks(call: Call, task: Task) -> list[Column]:
    """How many messages of the latest run were clicked and were not, each leading to its records, or why that is not
    told; none without a personal link."""
    found = await call.portal.context.tasks.clicks.of(task)
    if isinstance(found, Untold):
        why = words.UNTOLD.get(found, "")
        return [Column("task_clicked", value=lambda _: call.gettext(why))] if why else []
    at = _records(task, await outcome.since(call.db, task), run=True)
    return [
        Column("task_clicked", Cell.NUMBER, value=lambda _: found.clicked, to=lambda _: f"{at}&clicked=true"),
        Column("task_unclicked", Cell.NUMBER, value=lambda _: found.unclicked, to=lambda _: f"{at}&clicked=false"),
    ]


def _run(call: Call, task: Task, row: Mapping[str, Any]) -> str:
    """One time that a task has come round; where it said something else than the task does by now, that, too."""
    told = {"run": row["run"], "at": terms.typed(row["due_at"]), "n": f"{row['rows']:,}"}
    text = call.filled(words.RUN_MISSED if row["missed"] else words.RUN_MADE, told)
    said = row["content"]
    if said is None or said == task.content or not call.may(Permission.MESSAGE_READ):
        return text
    return call.filled(words.RUN_SAID, {"run": text, "text": said})


async def _importing(call: Call, task_id: int) -> str:
    """How many rows of its table have been read."""
    done, total = await queries.read_so_far(call.db, task_id) or (0, 0)
    if not total:
        return call.gettext(words.IMPORTING)
    return call.filled(words.IMPORTING_ROWS, {"done": f"{done:,}", "total": f"{total:,}"})


def _class(call: Call, code: str) -> str:
    """What rows of a code are called together."""
    return call.gettext(CLASS[code]) if code in CLASS else _why(call, code)


def _why(call: Call, code: str, detail: Mapping[str, Any] | None = None) -> str:
    if code in words.WHY:
        return call.gettext(words.WHY[code])
    return message_of(code, dict(detail or {}), english=call.language != DEFAULT) if code in CODES else code


# --- the lists -------------------------------------------------------------------------------------------------------

_FIELDS = (
    Field("account", FieldKind.CHOICE), Field("name", label="subject"),
    Field("status", FieldKind.CHOICE, choices=words.STATE), Field("submitter", more=True),
    Field("type", FieldKind.CHOICE, "message_type", told.TYPE, more=True),
    Field("origin", FieldKind.CHOICE, choices=told.ORIGIN, more=True), Field("task", FieldKind.ID, more=True),
)  # fmt: skip
_BEGIN = (compose.NEW, "/send", Permission.MESSAGE_SEND)
_TIMED = Field("timed", FieldKind.CHOICE, choices=words.TIMED, more=True)


def _wanted(found: Found) -> WantedTasks:
    first, last = found.times if found.filter.period else (None, None)
    texts = {key: found.get(key) for key in ("name", "submitter", "type", "origin")}
    account = int(found.get("account")) if found.get("account") else None
    timed = found.get("timed") == "true" if found.get("timed") else None
    waits = found.filter.period is None
    begun = False if waits and not found.get("status") else None  # whoever asks for a state asks for those, too
    return WantedTasks(
        first, last, found.get("task", None), account_id=account, state=found.get("status"),
        timed=True if waits else timed, begun=begun, **texts,
    )  # fmt: skip


def _list(name: str, path: str, **more: Any) -> ListPage:
    return ListPage(
        name, path, f"sending.{name}", Permission.TASK_VIEW, choices=account_choices, detail=_detail, one=queries.one,
        rows=lambda db, actor, found, window: queries.search(db, actor, _wanted(found), window),
        count=lambda db, actor, found, most: queries.how_many(db, actor, _wanted(found), most), **more,
    )  # fmt: skip


TASKS = _list(
    "tasks", PATH, filter=Filter((*_FIELDS, _TIMED), Period("30d")), columns=COLUMNS, sort=Sort("created_at"),
    lead=words.LEAD, actions=ACTIONS, wide=True, empty=Empty(words.EMPTY, words.TEACHES, *_BEGIN, icon="send"),
)  # fmt: skip
WAITING = _list(
    "scheduled", SCHEDULED, filter=Filter(_FIELDS, period=None), columns=WAITING_COLUMNS,
    sort=Sort("planned_at", descending=False), lead=words.SCHEDULED_LEAD, tabs=words.SCHEDULED_TABS,
    actions=(NOW, _CANCEL), links=((words.SINGLE, "/records?status=scheduled&time=30d", Permission.MESSAGE_VIEW),),
    empty=Empty(words.SCHEDULED_EMPTY, words.SCHEDULED_TEACHES, *_BEGIN, icon="clock"),
)  # fmt: skip

# --- another time ----------------------------------------------------------------------------------------------------


async def _subject(call: Call) -> ListedTask | None:
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None else await queries.one(call.db, call.actor, id_)
    return one if one is not None and _waits(one) else None


def _time(values: Mapping[str, Any]) -> datetime:
    try:
        at = moments.minute(values["planned_at"])
    except ValueError as exc:
        raise Wrong("planned_at", Problem(words.NO_TIME)) from exc
    if at <= clock.now():
        raise Wrong("planned_at", Problem(words.PAST))
    return at


async def _move(call: Call, one: ListedTask, values: Mapping[str, Any]) -> web.Response:
    await call.portal.context.tasks.edit(call.change(), one.id, {"send_at": _time(values)})
    call.toast(call.gettext(words.RESCHEDULED))
    return call.redirect(SCHEDULED)


async def _move_effect(_: Call, one: ListedTask, values: Mapping[str, Any]) -> Effect:
    said = {"name": one.task.name, "numbers": f"{one.progress.valid:,}", "time": f"{_time(values):%Y-%m-%d %H:%M}"}
    return Effect(words.RESCHEDULE_EFFECT, said)


def _now(one: ListedTask) -> Mapping[str, Any]:
    at = one.task.next_at or one.task.send_at
    return {"planned_at": f"{at.astimezone(CHINA):%Y-%m-%d %H:%M}" if at else ""}


TIME = FormPage(
    f"{SCHEDULED}/{{id:[0-9]{{1,19}}}}/time", Permission.TASK_EDIT, words.RESCHEDULE, words.RESCHEDULE,
    Form((Inputs((Input("planned_at", required=True, most=16, help=words.RESCHEDULE_HELP),)),)), _move,
    lambda one: f"{SCHEDULED}/{one.id}", _subject, _now, effect=_move_effect, lead=lambda one: one.task.name,
)  # fmt: skip
