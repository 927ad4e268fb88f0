"""Long work in the background (P8.11, 任务中心 and 导出中心): how far it is, its end, and its file."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.admin.call import Call
from smsgw.admin.kit import jobs
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage, reason_of
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import lists as words
from smsgw.core.actor import Actor
from smsgw.core.permissions import Permission
from smsgw.platform.campaigns import imports
from smsgw.platform.exports import service as exports
from smsgw.platform.handles import Database
from smsgw.platform.jobs import queries, service
from smsgw.platform.jobs.model import Job, JobState
from smsgw.platform.paging import Slice, Window
from smsgw.runtime import clock

MENU = Entry("records.exports", "/jobs", Permission.SELF_EDIT)
FILTER = Filter(
    (Field("kind", FieldKind.CHOICE, "job_kind", words.JOB_KIND),
     Field("status", FieldKind.CHOICE, choices=words.JOB_STATE), Field("submitter", more=True)),
    Period("7d"),
)  # fmt: skip
COLUMNS = (
    Column("kind", Cell.WORD, "job_kind", sort=True, words=words.JOB_KIND, phone=Phone.TITLE),
    Column("state", Cell.STATE, "status", words=words.JOB_STATE, tones=words.JOB_TONE, phone=Phone.BESIDE),
    Column("progress", Cell.PROGRESS, value=jobs.percent, phone=Phone.SECOND),
    Column("done", Cell.NUMBER, "handled", value=jobs.handled),
    Column("speed", Cell.NUMBER, value=lambda j: round(j.speed(clock.now()), 1), phone=Phone.AWAY),
    Column("remaining", Cell.SPAN, value=lambda j: j.remaining(clock.now())),
    Column("submitter", phone=Phone.AWAY),
    Column("created_at", Cell.TIME, sort=True),
    Column("ended_at", Cell.TIME, "done_at", shown=False, phone=Phone.AWAY),
)


async def _rows(db: Database, actor: Actor, found: Found, window: Window) -> Slice[Job]:
    first, last = found.times
    return await queries.search(
        db, actor, window, from_time=first, to_time=last, kind=found.get("kind", None),
        state=found.get("status", None), submitter=found.get("submitter", None),
    )  # fmt: skip


async def _cancelled(_: Call, rows: Sequence[Job]) -> Effect:
    open_ = (JobState.WAITING, JobState.RUNNING)  # what has ended is refused, and its task goes on
    tasks = sum(job.kind == imports.NAME and job.state in open_ for job in rows)
    return Effect(words.CANCEL_IMPORTS_EFFECT if tasks else words.CANCEL_EFFECT, {"n": len(rows), "tasks": tasks})


async def _rejected(_: Call, rows: Sequence[Job]) -> Effect:
    return Effect(words.EXPORT_REJECT_EFFECT, {"n": len(rows)}, nothing=not all(map(exports.held, rows)))


async def _reject(call: Call, job: Job) -> None:
    await exports.decide(call.change(), job.id, passes=False, reason=await reason_of(call))


PAGE = ListPage(
    "jobs", "/jobs", "records.exports", Permission.SELF_EDIT, FILTER, COLUMNS, rows=_rows, one=queries.own,
    detail=jobs.detail, sort=Sort("created_at"), live=3,
    actions=(Action("cancel", words.CANCEL, Permission.SELF_EDIT,
                    lambda call, job: service.cancel(call.change(), job.id, imports.ENDS), _cancelled, danger=True),
             Action("reject", words.EXPORT_REJECT, Permission.JOB_EDIT, _reject, _rejected, danger=True, reason=True)),
    empty=Empty(words.JOBS_EMPTY, words.JOBS_TEACH),
)  # fmt: skip
