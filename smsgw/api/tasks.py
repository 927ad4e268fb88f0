"""``/tasks``: large jobs, jobs at a time, and jobs that come round again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from smsgw.api import decode, fallback
from smsgw.api.context import Call
from smsgw.api.fallback import FallbackBody
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import CallbackUrl, ClientRef, Ext, ExtendCode, Id, Number, Params, Request, Sign, Text, Time
from smsgw.api.values import china, id_of, in_time, path_id
from smsgw.core.actor import ActorLabel
from smsgw.core.errors import CODES, Invalid, Recorded, Refused, message_of
from smsgw.core.frequency import MOST_TAG, MOST_TAGGED
from smsgw.core.kinds import resolve
from smsgw.core.model import REPORT_CLASSES, Origin
from smsgw.core.permissions import Permission
from smsgw.core.pseudonyms import told_number
from smsgw.core.schedule import written
from smsgw.core.sent_links import NAME
from smsgw.core.stages import LEAST_SHARE, MOST_MINUTES, MOST_SHARE, MOST_SHARES, stage_of, steps_of
from smsgw.core.states import STATUS_NAMES
from smsgw.core.tasks import Task
from smsgw.core.words import labels_of, phrase
from smsgw.platform.campaigns import recipients
from smsgw.platform.campaigns.model import MAX_NAME, MAX_RATE, MAX_TO, STATES, TaskSpec, TaskView, windows_of
from smsgw.platform.campaigns.outcome import Clicks
from smsgw.platform.scenarios import queries as scenarios
from smsgw.platform.scenarios.model import apply_to_task

Clock = Annotated[str, Meta(max_length=8, pattern="^[0-9]{2}:[0-9]{2}(:[0-9]{2})?$", description="HH:MM or HH:MM:SS.")]
State = Literal["importing", "review", "scheduled", "running", "paused", "sent", "finished", "cancelled", "failed"]
ColumnName = Annotated[str, Meta(min_length=1, max_length=64, description="A column by its name or letter.")]
PAUSED = labels_of("task_reason")
"""Reasons that are no errors."""


class Mapping(Request):
    """Columns of the file, or fields of an audience's contacts; numbers and columns named as variables are guessed."""

    phone: Annotated[ColumnName, Meta(description="The column with the numbers.")] | None = None
    variables: (
        Annotated[dict[str, ColumnName], Meta(max_length=64, description="Variable of the text -> column.")] | None
    ) = None
    ext: Annotated[ColumnName, Meta(description="The column with each row's `ext`.")] | None = None


class DayWindow(Request, rename={"from_": "from"}):
    """A span of the day in China; across midnight when ``to`` is before ``from``."""

    from_: Clock
    to: Clock
    days: (
        Annotated[list[Annotated[int, Meta(ge=1, le=7)]], Meta(max_length=7, description="Weekdays, 1 is Monday.")]
        | None
    ) = None


def spans(window: list[DayWindow] | None, begin: str, end: str) -> str:
    """The spans of the day that a body names, as one or as several. ``PARAM_…``."""
    if bool(begin) != bool(end):
        raise Invalid("PARAM_MISSING", field="window_to" if begin else "window_from")
    if begin and window:
        raise Invalid("PARAM_INVALID", field="window_from", reason=phrase("time.both"))
    given = [_plain(one) for one in window or ()] or ([{"from": begin, "to": end}] if begin else [])
    return str(windows_of(given)) if given else ""


def spans_told(text: str) -> tuple[str, str, list[dict[str, Any]]]:
    """The same as answers have it: where there is but one, of all days, also by itself."""
    try:
        plain = written(text).plain
    except ValueError:  # of a draft that a person has not finished
        return "", "", []
    one = plain[0] if len(plain) == 1 and "days" not in plain[0] else {"from": "", "to": ""}
    return one["from"], one["to"], plain


class Recurring(Request):
    """When the task comes round again."""

    every: Annotated[Literal["day", "week", "month"], Meta(description="The period.")]
    at: Annotated[list[Clock], Meta(min_length=1, max_length=24, description="Times of the day, in China.")]
    on: (
        Annotated[list[Annotated[int, Meta(ge=-1, le=31)]],
                  Meta(max_length=32, description="Weekdays 1-7, or days of the month 1-31 (-1: the last).")]
        | None
    ) = None  # fmt: skip
    until: Annotated[Time, Meta(description="Not after this.")] | None = None


Percent = Annotated[float, Meta(ge=0, le=100)]


class Steps(Request):
    """Sending in steps: a share of the rows first, then more, then all; halted by itself when a limit is exceeded."""

    shares: Annotated[
        list[Annotated[float, Meta(ge=LEAST_SHARE, le=MOST_SHARE)]],
        Meta(min_length=1, max_length=MOST_SHARES,
             description="Percent of the rows sent to by the end of each step, rising; the last step is all."),
    ]  # fmt: skip
    minutes: Annotated[
        int, Meta(ge=1, le=MOST_MINUTES, description="How long a step is watched at least after it was sent.")
    ] = 30
    failed: Annotated[Percent, Meta(description="Halts when more than so many percent have failed, …")] = 5.0
    opted_out: Annotated[Percent, Meta(description="… were answered by an opt-out, …")] = 1.0
    complained: Annotated[Percent, Meta(description="… or were complained about.")] = 0.1


class Frequency(Request):
    """How often a number gets it at most; who has had as many is left out with ``NUMBER_FREQ_LIMITED``."""

    most: Annotated[int, Meta(ge=1, le=MOST_TAGGED, description="So many messages, …")]
    every: Annotated[int, Meta(ge=1, le=720, description="… in so many, …")]
    unit: Annotated[Literal["hour", "day"], Meta(description="… hours or days; 30 days at most.")] = "day"
    tag: Annotated[
        str, Meta(max_length=MOST_TAG, description="Counted over all tasks of the account with it; empty: this task.")
    ] = ""


class TaskBody(Request):
    """A new task: to the rows of a file, to the members of an audience, or to up to 10,000 numbers."""

    name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME, description="What the task is about.")]
    content: Annotated[Text, Meta(description="The text; {name} stands for a row's own value.")] | None = None
    template_id: Annotated[Id, Meta(description="An approved template, instead of content.")] | None = None
    params: (
        Annotated[Params, Meta(description="Values of the template's variables that are the same for all.")] | None
    ) = None
    scenario_id: (
        Annotated[Id, Meta(description="A scenario, which decides about type, signature, template, time and validity.")]
        | None
    ) = None
    link_id: (
        Annotated[Id, Meta(description="A short link, put where the text has `{link}`: personal, a code a row.")] | None
    ) = None
    kind: Annotated[Literal["sms"], Meta(description="Kind of message.")] | None = "sms"
    file_id: Id | None = None
    audience_id: Annotated[Id, Meta(description="An audience, instead of a file.")] | None = None
    to: Annotated[list[Number], Meta(max_length=MAX_TO, description="Numbers, instead of a file.")] | None = None
    mapping: Mapping | None = None
    type: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=32,
                description="otp, notice, marketing or a kind of the operator's; decides "
                "the priority lane; else the template's, or notice.",
            ),
        ]
        | None
    ) = None
    sign: Sign | None = None
    ext: Ext | None = None
    extend_code: ExtendCode | None = None
    callback_url: CallbackUrl | None = None
    client_ref: Annotated[ClientRef, Meta(description="Your reference; unique among the account's tasks.")] | None = (
        None
    )
    send_at: Annotated[Time, Meta(description="Not before; ISO 8601 with zone, at most 366 days ahead.")] | None = None
    expire_at: Annotated[Time, Meta(description="Not written to a carrier after this.")] | None = None
    window: Annotated[list[DayWindow], Meta(max_length=7, description="Only within these spans of the day.")] | None = (
        None
    )
    recurring: Recurring | None = None
    rate: Annotated[int, Meta(ge=0, le=MAX_RATE, description="Messages per second; 0: as fast as it goes.")] | None = 0
    steps: Steps | None = None
    frequency: Frequency | None = None
    fallback: Annotated[FallbackBody, Meta(description="What follows when a message fails; null: nothing.")] | None = (
        None
    )
    prefer: (
        Annotated[str, Meta(max_length=64, description="Pool of channels to prefer where routing allows it.")] | None
    ) = None
    emergency: Annotated[bool, Meta(description="Before everything else; somebody else has to pass it.")] | None = False
    review: Annotated[bool, Meta(description="Wait for a reviewer.")] | None = False
    unique: (
        Annotated[
            Literal["number", "content"], Meta(description="What is sent once: to a number, or a text to a number.")
        ]
        | None
    ) = "number"


class TaskChange(Request):
    """What to change; times, text and how it is sent only before it has begun. ``send_at`` null: now."""

    name: (
        Annotated[str, Meta(min_length=1, max_length=MAX_NAME, description="What the task is about.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    rate: (
        Annotated[int, Meta(ge=0, le=MAX_RATE, description="Messages per second; 0: as fast as it goes.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    window: (
        Annotated[list[DayWindow], Meta(max_length=7, description="Only within these spans of the day.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    send_at: (
        Annotated[Time, Meta(description="Not before; ISO 8601 with zone, at most 366 days ahead.")]
        | msgspec.UnsetType
        | None
    ) = msgspec.UNSET
    expire_at: Annotated[Time, Meta(description="Not written to a carrier after this.")] | msgspec.UnsetType | None = (
        msgspec.UNSET
    )
    recurring: Recurring | msgspec.UnsetType = msgspec.UNSET
    content: Annotated[Text, Meta(description="The text; {name} stands for a row's own value.")] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    sign: Sign | msgspec.UnsetType = msgspec.UNSET
    extend_code: ExtendCode | msgspec.UnsetType = msgspec.UNSET
    steps: Steps | msgspec.UnsetType | None = msgspec.UNSET
    frequency: Frequency | msgspec.UnsetType | None = msgspec.UNSET
    fallback: FallbackBody | msgspec.UnsetType | None = msgspec.UNSET
    prefer: (
        Annotated[str, Meta(max_length=64, description="Pool of channels to prefer where routing allows it.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    version: (
        Annotated[int, Meta(ge=1, description="The one that was seen; refused when there is another by now.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET


class TasksQuery(Request):
    """Filters; all given ones must match. Newest first."""

    state: Annotated[State, Meta(description="State of the task.")] | None = None
    timed: Annotated[bool, Meta(description="Only tasks with (without) a time of their own.")] | None = None
    name: Annotated[str, Meta(max_length=MAX_NAME, description="A piece of the name.")] | None = None
    client_ref: ClientRef | None = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=200, description="Tasks in a page.")] = 50


class RecipientsQuery(Request):
    """Which recipients, of which run (the latest)."""

    status: Annotated[
        Literal[
            "pending", "held", "scheduled", "queued", "submitted", "uncertain", "unconfirmed", "delivered", "failed",
            "expired", "no_report", "rejected", "cancelled", "duplicate",
        ],
        Meta(description="Status of the recipient's message; pending: it has none yet."),
    ] | None = None  # fmt: skip
    run: (
        Annotated[int, Meta(ge=1, le=1_000_000, description="Which run of a recurring task; else the latest.")] | None
    ) = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000, description="Recipients in a page.")] = 100


class ReportQuery(Request):
    """All recipients, or the rows that got no message."""

    rows: Annotated[Literal["all", "errors"], Meta(description="All recipients, or the rows that got no message.")] = (
        "all"
    )
    run: (
        Annotated[int, Meta(ge=1, le=1_000_000, description="Which run of a recurring task; else the latest.")] | None
    ) = None


class TaskRun(msgspec.Struct):
    """One time that the task has begun; ``missed``: its time passed while it could not."""

    run: int
    due_at: datetime
    missed: bool
    fed: int | None
    finished_at: datetime | None
    content: Annotated[str | None, Meta(description="What it said; null: it was missed, or this is not known.")]
    sign: str | None


class TaskStage(msgspec.Struct):
    """Where a sending in steps stands: the step, the last row that it sends to, since when it is watched."""

    number: Annotated[int, Meta(description="Which step, from 1.")]
    of: Annotated[int, Meta(description="How many steps there are.")]
    end: Annotated[int, Meta(description="The last row that it sends to.")]
    watched_since: Annotated[datetime | None, Meta(description="Since when it is watched; null: it is being sent.")]
    halted: Annotated[str, Meta(description="Which limit has halted it: failed, opted_out, complained, or unknown.")]


class TaskInfo(msgspec.Struct):
    """A task and how far it is. ``valid`` = ``pending`` + the sum of ``counts``, all of the latest run."""

    task_id: str
    name: str
    kind: str
    state: Annotated[str, Meta(description="State of the task.")]
    state_name: str
    reason: str
    message: str
    detail: dict[str, Any]
    type: str
    sign: str
    content: str
    template_id: str | None
    params: Annotated[dict[str, str], Meta(description="Values of the template's variables that are the same for all.")]
    client_ref: str
    callback_url: str
    file_id: str | None
    audience_id: str | None
    link_id: str | None
    send_at: datetime | None
    expire_at: datetime | None
    window: list[Any]
    recurring: dict[str, Any] | None
    rate: int
    steps: Annotated[dict[str, Any] | None, Meta(description="How it sends in steps; null: all at once.")]
    frequency: Annotated[dict[str, Any] | None, Meta(description="How often a number gets it; null: as policies say.")]
    fallback: Annotated[dict[str, Any] | None, Meta(description="What follows when a message fails; null: nothing.")]
    prefer: str
    emergency: bool
    version: Annotated[int, Meta(description="Counts what was changed before it began.")]
    stage: Annotated[TaskStage | None, Meta(description="Where a sending in steps stands.")]
    submitter: str
    created_at: datetime
    next_at: Annotated[datetime, Meta(description="When it begins (again).")] | None
    started_at: datetime | None
    ended_at: datetime | None
    run: int
    total: int
    valid: int
    problems: dict[str, int]
    pending: int
    counts: dict[str, int]
    done: int


class TaskDetail(TaskInfo):
    """A task with its last runs."""

    runs: list[TaskRun] = []
    clicked: Annotated[
        int | None,
        Meta(description="Messages of the latest run whose personal link a person has clicked; null: they have none, "
                         "the key has no scope `query`, they are kept no longer, or it is not counted yet."),
    ] = None  # fmt: skip
    unclicked: Annotated[
        int | None,
        Meta(description="Messages of the latest run whose personal link nobody has clicked; null as `clicked`."),
    ] = None


class TaskPage(msgspec.Struct):
    """A page of tasks; ``next_cursor`` is null on the last one."""

    items: list[TaskInfo]
    next_cursor: str | None


class TaskRecipient(msgspec.Struct, rename={"class_": "class"}):
    """A row of a task and its message. ``code`` is the carrier's, or that of our refusal."""

    row: int
    line: int
    to: str
    ext: str
    status: str
    description: str
    message_id: str | None
    class_: str
    code: str
    submitted_at: datetime | None
    done_at: datetime | None
    clicked: Annotated[
        bool | None, Meta(description="Whether a person has clicked its personal link; null: it has none.")
    ]
    clicks: Annotated[int | None, Meta(description="How often people have; null: it has no personal link.")]
    first_click_at: Annotated[datetime | None, Meta(description="When a person clicked it for the first time.")]


class RecipientPage(msgspec.Struct):
    """A page of recipients, in the order of the file. With a filter it may be short although more follow."""

    items: list[TaskRecipient]
    next_cursor: str | None


def _wanted(call: Call, body: TaskBody) -> TaskSpec:
    """What the call asks for, as the engine takes it."""
    mapping = body.mapping or Mapping()
    return TaskSpec(
        account=call.account,
        name=body.name,
        content=body.content or "",
        template_id=id_of(body.template_id),
        params=body.params or {},
        origin=Origin.API,
        submitter=ActorLabel(call.key.key_id),
        to=tuple(body.to or ()),
        upload_id=id_of(body.file_id),
        audience_id=id_of(body.audience_id),
        link_id=id_of(body.link_id),
        phone=mapping.phone,
        variables=mapping.variables or {},
        ext_column=mapping.ext,
        sign=body.sign or "",
        ext=body.ext or "",
        extend_code=body.extend_code or "",
        callback_url=body.callback_url or "",
        send_at=in_time(body.send_at, "send_at"),
        expire_at=in_time(body.expire_at, "expire_at"),
        windows=[_plain(w) for w in body.window or ()],
        recurring=None if body.recurring is None else _recurring(body.recurring),
        rate=body.rate or 0,
        steps=None if body.steps is None else msgspec.structs.asdict(body.steps),
        frequency=None if body.frequency is None else msgspec.structs.asdict(body.frequency),
        fallback=fallback.plain(body.fallback),
        prefer=body.prefer or "",
        emergency=bool(body.emergency),
        review=bool(body.review),
        one_each=body.unique or "number",
        client_ref=body.client_ref or "",
        request_key=decode.idempotency_key(call.request.headers.get("Idempotency-Key")) or "",
        request_sha256=call.request_sha256,
    )


async def _created(call: Call, scenario_id: str | None, type_: str, spec: TaskSpec) -> tuple[Task, bool]:
    """The task, of the type or kind that was named and as its scenario has it; and whether the same request had made it
    before."""
    try:
        if type_:
            base, kind = resolve(call.ctx.snapshots.current.kinds, type_)
            spec = replace(spec, type=base, kind=kind)
        if scenario_id is not None:
            scenario = await scenarios.wanted(call.ctx.db, id_of(scenario_id) or 0, call.account.id)
            spec = apply_to_task(scenario.terms, spec, datetime.fromtimestamp(call.ctx.clock(), UTC))
    except Invalid:  # scenario or kind may have changed since the task was made that this call repeats
        if (same := await call.ctx.tasks.same(spec)) is None:
            raise
        return same, True
    return await call.ctx.tasks.create(call.change(), spec)


def _live(call: Call) -> None:
    """``STATE_CONFLICT`` for a test key: every task sends for good."""
    if call.key.test:
        raise Refused("STATE_CONFLICT", reason=phrase("task.test_key"))


async def create_task(call: Call) -> TaskInfo:
    """``POST /tasks``."""
    _live(call)
    body: TaskBody = call.body
    if body.emergency and "emergency" not in call.key.scopes:
        raise Refused("SCOPE_DENIED", scope="emergency")
    task, replayed = await _created(call, body.scenario_id, body.type or "", _wanted(call, body))
    if replayed:
        call.headers["Idempotent-Replayed"] = "true"
    return info_of(await call.ctx.tasks.get(task.id, accounts=(call.account.id,)), call.english)


async def list_tasks(call: Call) -> TaskPage:
    """``GET /tasks``."""
    query: TasksQuery = call.query
    found = await call.ctx.tasks.page(
        accounts=(call.account.id,),
        states=None if query.state is None else [query.state],
        timed=query.timed,
        name=query.name or "",
        client_ref=query.client_ref or "",
        before=id_of(query.cursor),
        limit=query.limit,
    )
    cursor = str(found[-1].task.id) if len(found) == query.limit else None
    return TaskPage([info_of(view, call.english) for view in found], cursor)


async def get_task(call: Call) -> TaskDetail:
    """``GET /tasks/{id}``."""
    return await _detail(call, path_id(call), counted=True)


_CHANGES = (
    "name", "rate", "window", "send_at", "expire_at", "recurring", "content", "sign", "extend_code", "steps",
    "frequency", "fallback", "prefer",
)  # fmt: skip


async def change_task(call: Call) -> TaskDetail:
    """``PATCH /tasks/{id}``."""
    _live(call)
    body: TaskChange = call.body
    changes: dict[str, Any] = {
        name: getattr(body, name) for name in _CHANGES if getattr(body, name) is not msgspec.UNSET
    }
    if not changes:
        raise Invalid("PARAM_MISSING", field="name")
    if "window" in changes:
        changes["window"] = [_plain(w) for w in changes["window"]]
    if "recurring" in changes:
        changes["recurring"] = _recurring(changes["recurring"])
    for field in ("steps", "frequency"):
        if changes.get(field) is not None:
            changes[field] = msgspec.structs.asdict(changes[field])
    if changes.get("fallback") is not None:
        changes["fallback"] = fallback.plain(changes["fallback"])
    for field in ("send_at", "expire_at"):
        in_time(changes.get(field), field)
    task_id, version = path_id(call), None if body.version is msgspec.UNSET else body.version
    await call.ctx.tasks.edit(call.change(), task_id, changes, version=version)
    return await _detail(call, task_id)


async def pause_task(call: Call) -> TaskDetail:
    """``POST /tasks/{id}/pause``."""
    _live(call)
    task_id = path_id(call)
    await call.ctx.tasks.pause(call.change(), task_id)
    return await _detail(call, task_id)


async def resume_task(call: Call) -> TaskDetail:
    """``POST /tasks/{id}/resume``."""
    _live(call)
    task_id = path_id(call)
    await call.ctx.tasks.resume(call.change(), task_id)
    return await _detail(call, task_id)


async def release_task(call: Call) -> TaskDetail:
    """``POST /tasks/{id}/release``."""
    _live(call)
    task_id = path_id(call)
    await call.ctx.tasks.release(call.change(), task_id)
    return await _detail(call, task_id)


async def cancel_task(call: Call) -> TaskDetail:
    """``POST /tasks/{id}/cancel``."""
    _live(call)
    task_id = path_id(call)
    await call.ctx.tasks.cancel(call.change(), task_id)
    return await _detail(call, task_id)


async def task_recipients(call: Call) -> RecipientPage:
    """``GET /tasks/{id}/recipients``."""
    query: RecipientsQuery = call.query
    view = await call.ctx.tasks.get(path_id(call), accounts=(call.account.id,))
    run, over = view.at(query.run)
    found, after = await recipients.search(
        call.ctx.db, view.task, run, over, status=query.status, after=min(int(query.cursor or 0), 2**31 - 1),
        limit=query.limit,
    )  # fmt: skip
    return RecipientPage([_recipient(one, call.english) for one in found], None if after is None else str(after))


async def task_report(call: Call) -> web.StreamResponse:
    """``GET /tasks/{id}/report``."""
    query: ReportQuery = call.query
    view = await call.ctx.tasks.get(path_id(call), accounts=(call.account.id,))
    run, over = view.at(query.run)
    pieces: AsyncIterator[bytes] = (
        recipients.errors(call.ctx.db, view.task, run, english=call.english)
        if query.rows == "errors"
        else recipients.report(call.ctx.db, view.task, run, over, english=call.english)
    )
    what = f"task/{view.task.id}"
    await call.ctx.readings.note(call.ctx.db, call.actor, "task.export", what, {"rows": query.rows})
    first = await anext(pieces)  # what fails at once still gets an answer that says so
    response = web.StreamResponse(headers={**call.headers, "Content-Type": "text/csv; charset=utf-8"})
    response.headers["Content-Disposition"] = f'attachment; filename="task-{view.task.id}-{query.rows}.csv"'
    await response.prepare(call.request)
    await response.write(first)
    async for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response


async def _detail(call: Call, task_id: int, *, counted: bool = False) -> TaskDetail:
    """``counted``: with clicks as of now. What a command answers has those that are known: it is done already, and
    nobody waits for a count."""
    view = await call.ctx.tasks.get(task_id, accounts=(call.account.id,))
    runs = [
        TaskRun(
            row["run"],
            china(row["due_at"]),
            row["missed"],
            row["fed"],
            china(row["finished_at"]),
            row["content"],
            row["sign"],
        )
        for row in view.runs
    ]
    clicks, told = call.ctx.tasks.clicks, None
    if call.actor.may(Permission.MESSAGE_VIEW):
        told = await clicks.of(view.task) if counted else clicks.last(view.task)
    clicked, unclicked = told if isinstance(told, Clicks) else (None, None)
    return TaskDetail(
        **msgspec.structs.asdict(info_of(view, call.english)), runs=runs, clicked=clicked, unclicked=unclicked
    )


def _plain(window: DayWindow) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(window).items() if value is not None}


def _recurring(given: Recurring) -> dict[str, Any]:
    in_time(given.until, "recurring.until")
    return msgspec.structs.asdict(given)


def reason_text(task: Task, *, english: bool = False) -> str:
    """Why a task is as it is, for people."""
    if task.reason in PAUSED:
        return PAUSED[task.reason].text(english)
    return message_of(task.reason, _told(task, english), english=english) if task.reason in CODES else task.reason


def _told(task: Task, english: bool) -> dict[str, Any]:
    """The details of a reason: what ends in ``_en`` is the English of the one without."""
    plain = {name: value for name, value in task.detail.items() if not name.endswith("_en")}
    both = {name[:-3]: value for name, value in task.detail.items() if name.endswith("_en")}
    return plain | both if english else plain


def info_of(view: TaskView, english: bool) -> TaskInfo:
    """A task as calls tell it."""
    task, progress = view.task, view.progress
    return TaskInfo(
        task_id=str(task.id),
        name=task.name,
        kind="sms",
        state=task.state,
        state_name=STATES[task.state].text(english),
        reason=task.reason,
        message=reason_text(task, english=english),
        detail=_told(task, english),
        type=task.message_kind or task.type,
        sign=task.sign,
        content=task.content,
        template_id=None if task.template_id is None else str(task.template_id),
        params={n: v for n, v in task.mapping.get("fixed", {}).items() if task.link_id is None or n != NAME},
        client_ref=task.client_ref,
        callback_url=task.callback_url,
        file_id=None if task.upload_id is None else str(task.upload_id),
        audience_id=None if task.audience_id is None else str(task.audience_id),
        link_id=None if task.link_id is None else str(task.link_id),
        send_at=china(task.send_at),
        expire_at=china(task.expire_at),
        window=task.windows,
        recurring=task.recurring,
        rate=task.rate,
        steps=task.steps,
        frequency=task.frequency,
        fallback=fallback.told(task.fallback),
        prefer=task.prefer,
        emergency=task.emergency,
        version=task.version,
        stage=_stage(task),
        submitter=task.submitter,
        created_at=china(task.created_at),
        next_at=china(task.next_at),
        started_at=china(task.started_at),
        ended_at=china(task.ended_at),
        run=task.run,
        total=task.total,
        valid=task.valid,
        problems=task.problems,
        pending=progress.pending,
        counts=progress.statuses,
        done=progress.done,
    )


def _stage(task: Task) -> TaskStage | None:
    stage = stage_of(task.stages)
    if stage is None or task.steps is None:
        return None
    return TaskStage(stage.stage, steps_of(task.steps).stages, stage.end, china(stage.since), stage.halted)


def _recipient(one: recipients.Outcome, english: bool) -> TaskRecipient:
    name = REPORT_CLASSES.get(one.cls) or STATUS_NAMES.get(one.status, recipients.PENDING)
    said = Recorded(one.code, one.message).text(english) or name.text(english)
    return TaskRecipient(
        row=one.n,
        line=one.line,
        to=told_number(one.number),
        ext=one.ext,
        status=one.status,
        description=said,
        message_id=None if one.message_id is None else str(one.message_id),
        class_=one.cls,
        code=one.code,
        submitted_at=china(one.submitted_at),
        done_at=china(one.done_at),
        clicked=one.clicked,
        clicks=one.clicks,
        first_click_at=china(one.first_click),
    )


CREATION = (
    "TO_EMPTY", "CONTENT_EMPTY", "CONTENT_TOO_LONG", "CONTENT_VARIABLE_UNRESOLVED", "CONTENT_SENSITIVE", "SIGN_MISSING",
    "TEMPLATE_NOT_FOUND", "TEMPLATE_NOT_APPROVED", "TEMPLATE_PARAM_INVALID",
    "EXTEND_CODE_INVALID", "TIME_INVALID", "ACCOUNT_STOPPED", "STATE_CONFLICT", "NOT_FOUND", "TASK_REF_EXISTS",
    "EMERGENCY_DENIED", "PERMISSION_DENIED", "BACKPRESSURE", "STORAGE_UNAVAILABLE",
)  # fmt: skip
_OF_TEXT = tuple(code for code in CREATION if code.startswith(("CONTENT_", "SIGN_", "TIME_", "EXTEND_")))
_FOUND = ("NOT_FOUND", *STORAGE)
_COMMAND = ("STATE_CONFLICT", *_FOUND)

ROUTES = (
    Route("POST", "/tasks", "send", create_task, "Make a task", TaskInfo, TaskBody, status=201, errors=CREATION,
          idempotent=True, keeps_answer=True),
    Route("GET", "/tasks", "query", list_tasks, "Tasks, newest first", TaskPage, query=TasksQuery, errors=STORAGE),
    Route("GET", "/tasks/{id}", "query", get_task, "A task and how far it is", TaskDetail, errors=_FOUND),
    Route("PATCH", "/tasks/{id}", "send", change_task, "Change a task", TaskDetail, TaskChange,
          errors=(*_OF_TEXT, *_COMMAND)),
    Route("POST", "/tasks/{id}/pause", "send", pause_task, "Pause a task", TaskDetail, errors=_COMMAND,
          idempotent=True),
    Route("POST", "/tasks/{id}/resume", "send", resume_task, "Go on with a task", TaskDetail, errors=_COMMAND,
          idempotent=True),
    Route("POST", "/tasks/{id}/release", "send", release_task, "The next step of a task, now", TaskDetail,
          errors=_COMMAND, idempotent=True),
    Route("POST", "/tasks/{id}/cancel", "send", cancel_task, "Cancel a task for good", TaskDetail, errors=_COMMAND,
          idempotent=True),
    Route("GET", "/tasks/{id}/recipients", "query", task_recipients, "What has become of a task's recipients",
          RecipientPage, query=RecipientsQuery, errors=_FOUND),
    Route("GET", "/tasks/{id}/report", "query", task_report, "The same as a table, or the rows that got no message",
          None, query=ReportQuery, media="text/csv", errors=_FOUND),
)  # fmt: skip
