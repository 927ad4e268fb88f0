"""Diagnostic bundles (诊断包): asked for, seen on their way, and taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit import jobs as kit_jobs
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Filter, Found, read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.rights import Proof, route
from smsgw.admin.words import diagnostics as words, lists as list_words
from smsgw.core.actor import Actor
from smsgw.core.permissions import Permission
from smsgw.platform.diagnostics import service
from smsgw.platform.diagnostics.service import LEAST_REASON, MOST_REASON, NAME
from smsgw.platform.handles import Database
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import Job, JobState
from smsgw.platform.nodes import queries as nodes
from smsgw.platform.paging import Slice, Window
from smsgw.runtime import clock

PATH = "/diagnostics"
NEW = f"{PATH}/-/new"
EDIT = Permission.NODE_EDIT
MENU = Entry("monitoring.diagnostics", PATH, EDIT, whole=True)
SHOWN = timedelta(days=30)


def _until(job: Job) -> datetime | None:
    until = job.checkpoint.get("until")
    return datetime.fromisoformat(until) if until else None


def _there(job: Job) -> bool:
    until = _until(job)
    return job.state is JobState.DONE and until is not None and until > clock.now()


COLUMNS = (
    Column("created_at", Cell.TIME, sort=True, phone=Phone.TITLE),
    Column("of_node", Cell.NUMBER, value=lambda job: job.params["node"], phone=Phone.SECOND),
    Column("state", Cell.STATE, "status", words=list_words.JOB_STATE, tones=list_words.JOB_TONE, phone=Phone.BESIDE),
    Column("progress", Cell.PROGRESS, value=kit_jobs.percent, phone=Phone.AWAY),
    Column("reason", value=lambda job: job.params["reason"], phone=Phone.THIRD),
    Column("submitter", phone=Phone.AWAY),
    Column("size", Cell.SIZE, value=lambda job: job.checkpoint.get("size"), phone=Phone.AWAY),
    Column("expires_at", Cell.TIME, value=_until, phone=Phone.AWAY),
)


async def _rows(db: Database, actor: Actor, _: Found, window: Window) -> Slice[Job]:
    now = clock.now()
    return await jobs.search(db, actor, window, from_time=now - SHOWN, to_time=now + timedelta(days=1), kind=NAME)


async def _one(db: Database, actor: Actor, id_: int) -> Job | None:
    job = await jobs.own(db, actor, id_)
    return job if job is not None and job.kind == NAME else None


async def _detail(call: Call, job: Job) -> Detail:
    buttons: Sequence[Button] = (Button(words.DOWNLOAD, f"{PATH}/{job.id}/take", primary=True),) if _there(job) else ()
    under_way = job.state in (JobState.WAITING, JobState.RUNNING)
    title = f"{call.gettext(list_words.JOB_KIND[NAME])} #{job.id}"
    return Detail(title, [Section(COLUMNS, job)], buttons=buttons, refresh=kit_jobs.REFRESH if under_way else 0)


PAGE = ListPage(
    "diagnostics", PATH, "monitoring.diagnostics", EDIT, Filter((), period=None), COLUMNS, rows=_rows, one=_one,
    detail=_detail, sort=Sort("created_at"), live=3, lead=words.LEAD, links=((words.MAKE, NEW, EDIT),),
    empty=Empty(words.EMPTY, words.TEACH, words.MAKE, NEW, EDIT),
)  # fmt: skip

_FORM = Form((Inputs((
    Input("of_node", InputKind.CHOICE, required=True),
    Input("reason", required=True, least=LEAST_REASON, most=MOST_REASON),
)),))  # fmt: skip


async def _whole(call: Call) -> Any:
    return {"of_node": str(call.portal.context.node)} if call.actor.scope.whole is None else None


async def _nodes(call: Call, _: Any) -> Mapping[str, Mapping[str, str]]:
    live = [one for one in await nodes.listed(call.db, call.actor) if one.state == "live"]
    return {"of_node": {str(one.id): f"{one.id} · {one.place}" for one in live}}


async def _make(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    await service.request(call.change(), int(values["of_node"]), values["reason"])
    call.portal.context.jobs.set()
    call.toast(call.gettext(words.BEGUN))
    return call.redirect(PATH)


MAKE = FormPage(
    NEW, EDIT, words.MAKE, words.MAKE, _FORM, _make, lambda _: PATH, _whole, values=lambda values: values,
    choices=_nodes, about=words.ABOUT,
)  # fmt: skip


@route("POST", PATH + "/{id:[0-9]{1,19}}/take", EDIT, step_up=Proof.FACTOR, kept=False)
async def take(call: Call) -> web.StreamResponse:
    """The file; that it was taken is entered first."""
    store = call.portal.context.files
    file = await service.fetch(call.change(), store, read_id(call.request.match_info["id"]) or 0)
    path = await store.path(file.id)
    if path is None:
        raise web.HTTPNotFound
    headers = {
        "Content-Type": file.media_type,
        "Cache-Control": "no-store",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
    }
    return web.FileResponse(path, headers=headers)
