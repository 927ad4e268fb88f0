"""Codes for each recipient (P5.2, 短链生成任务): begun, how far they are, taken away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.imports import ImportPage, Target
from smsgw.admin.kit.lists import Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.links import lines
from smsgw.admin.pages.links.short_links import ACCOUNT, DOMAIN, NAME, TARGET, UNTIL, WARN
from smsgw.admin.rights import Proof, route
from smsgw.admin.words import lists as job_words, short_links as words
from smsgw.core.permissions import Permission
from smsgw.core.words import columns as names
from smsgw.platform.links import code_files, service
from smsgw.platform.links.code_files import CODE_TASKS, CodeTask
from smsgw.platform.links.model import MOST_CODES, LinkKind, NewLink, Origin
from smsgw.platform.sheets.model import Sheet
from smsgw.runtime import clock

PATH = lines.TASKS
_NEW, _IMPORT = f"{PATH}/-/new", f"{PATH}/-/import"
_ONE = f"{PATH}/{{id:[0-9]{{1,19}}}}"
MENU = Entry("links.tasks", PATH, Permission.LINK_VIEW)
PER_SECOND = 20_000
"""Codes that are written in a second, on a quiet machine."""
_OPEN = ("waiting", "running")
FILTER = Filter(
    (Field("name", label="link_name"), Field("account", FieldKind.CHOICE),
     Field("state", FieldKind.CHOICE, "status", job_words.JOB_STATE),
     Field("link", FieldKind.ID, "link_id", more=True)),
    period=None,
)  # fmt: skip


def _percent(one: CodeTask) -> int | None:
    if one.state == "done":
        return 100
    return min(99, one.done * 100 // one.total) if one.total else None


def _until(one: CodeTask) -> datetime | None:
    until = one.told.get("until")
    return datetime.fromisoformat(until) if until else None


COLUMNS = (
    Column("name", label="link_name", phone=Phone.TITLE),
    Column("state", Cell.STATE, "status", words=job_words.JOB_STATE, tones=job_words.JOB_TONE, phone=Phone.BESIDE),
    Column("progress", Cell.PROGRESS, value=_percent, phone=Phone.SECOND),
    Column("codes", Cell.NUMBER, "link_codes", phone=Phone.SECOND),
    Column("code_numbered", Cell.BOOL, value=lambda one: one.numbered, phone=Phone.AWAY),
    Column("code_rows", Cell.NUMBER, value=lambda one: one.told.get("rows"), phone=Phone.AWAY),
    Column("account", phone=Phone.SECOND),
    Column("submitter", label="created_by", phone=Phone.AWAY),
    Column("created_at", Cell.TIME, sort=True, phone=Phone.AWAY),
    Column("ended_at", Cell.TIME, "done_at", phone=Phone.AWAY),
)
_MORE = (
    Column("code_invalid", Cell.NUMBER, value=lambda one: one.told.get("invalid")),
    Column("code_repeated", Cell.NUMBER, value=lambda one: one.told.get("repeated")),
    Column("size", Cell.SIZE, value=lambda one: one.told.get("size")),
    Column("expires_at", Cell.TIME, value=_until),
)


async def _choices(call: Call, _: Any = None) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call), "domain": {one: one for one in call.portal.context.link_domains}}


async def _detail(call: Call, one: CodeTask) -> Detail:
    links = [(words.TASKS_LINK, f"{lines.PATH}/{one.link_id}")]
    until = _until(one)
    gone = until is not None and until <= clock.now()
    if one.file_id and not gone and call.may(Permission.LINK_EXPORT):
        links.insert(0, (words.DOWNLOAD, f"{PATH}/{one.id}/file"))
    buttons = []
    if one.state in _OPEN and (one.submitter == call.actor.label or call.may(Permission.JOB_EDIT)):
        fields = {"id": str(one.id)}
        buttons.append(Button(job_words.CANCEL_JOB, "/jobs/-/effect/cancel", True, fields=fields, asks=True))
    return Detail(
        one.name, [Section((*COLUMNS[1:], *_MORE), one)], links=links, buttons=buttons,
        refresh=2 if one.state in _OPEN else 0, notice=call.gettext(words.FILE_GONE) if gone else "", good=None,
    )  # fmt: skip


PAGE = ListPage(
    "link_tasks", PATH, "links.tasks", Permission.LINK_VIEW, FILTER, COLUMNS, choices=_choices, detail=_detail,
    listing=CODE_TASKS, sort=Sort("created_at"), live=3, lead=words.TASKS_LEAD,
    links=((words.TASK_NEW, _NEW, Permission.LINK_EDIT), (words.TASK_IMPORT, _IMPORT, Permission.LINK_EDIT)),
    empty=Empty(words.TASKS_EMPTY, words.TASKS_TEACH, words.TASK_NEW, _NEW, Permission.LINK_EDIT, icon="link"),
)  # fmt: skip

# --- begun -----------------------------------------------------------------------------------------------------------


def _new(values: Mapping[str, Any], codes: int) -> NewLink:
    return NewLink(
        int(values["account"]), values["name"], values["target"], LinkKind.PERSONAL, Origin.PAGE,
        values["domain"] or "", codes, valid_until=lines.moment("until", values["until"]), warn=values["warn"],
    )  # fmt: skip


async def _begin(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    context = call.portal.context
    _, job = await code_files.begin(
        call.change(), context.sealer, _new(values, values["codes"]), context.link_domains, now=clock.now(),
        node=context.node,
    )  # fmt: skip
    context.jobs.set()
    call.toast(call.gettext(words.CODES_BEGUN))
    return call.redirect(f"{PATH}/{job}")


def _effect_of(call: Call, values: Mapping[str, Any], codes: int) -> Effect:
    wanted = _new(values, codes)
    service.as_kept(wanted, call.portal.context.link_domains, clock.now())
    account = own_accounts(call)[values["account"]]
    said = {"account": account, "n": f"{codes:,}", "target": wanted.target, "seconds": codes // PER_SECOND + 1}
    return Effect(words.TASK_EFFECT, said)


async def _effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    return _effect_of(call, values, values["codes"])


NEW = FormPage(
    _NEW, Permission.LINK_EDIT, words.TASK_TITLE, words.BEGIN,
    Form((Inputs((
        NAME, TARGET, ACCOUNT, Input("codes", InputKind.NUMBER, "link_codes", words.CODES_HELP, required=True, least=1,
                                     most=MOST_CODES), DOMAIN, UNTIL, WARN,
    )),)), _begin, lambda _: PATH, choices=_choices, effect=_effect,
)  # fmt: skip


async def _bring(call: Call, sheet: Sheet, columns: Mapping[str, int], values: Mapping[str, Any]) -> int:
    context = call.portal.context
    _, job = await code_files.begin(
        call.change(), context.sealer, _new(values, sheet.rows), context.link_domains, now=clock.now(),
        node=context.node, sheet=sheet, column=columns["number"],
    )  # fmt: skip
    return job


async def _bring_effect(call: Call, sheet: Sheet, _: Mapping[str, int], values: Mapping[str, Any]) -> Effect:
    return _effect_of(call, values, sheet.rows)


async def _own(call: Call) -> Mapping[str, Mapping[str, str]]:
    return await _choices(call)


IMPORT = ImportPage(
    PATH, Permission.LINK_EDIT, words.TASK_IMPORT, words.TASKS_OF, words.TASK_IMPORT_LEAD, code_files.PURPOSE,
    (Target("number", names.CONTACTS["number"], required=True),),
    Form((Inputs((NAME, TARGET, ACCOUNT, DOMAIN, UNTIL, WARN)),)), _own, _bring, most=code_files.MOST_ROWS,
    effect=_bring_effect,
)  # fmt: skip

# --- taken away ------------------------------------------------------------------------------------------------------


@route("GET", f"{_ONE}/file", Permission.LINK_EXPORT, step_up=Proof.FACTOR)
async def download(call: Call) -> web.StreamResponse:
    """The file of codes; whoever has it can open every recipient's link, so its fetching is audited."""
    id_ = read_id(call.request.match_info["id"])
    one = None if id_ is None else await CODE_TASKS.get(call.db, call.actor, id_)
    if one is None or not one.file_id:
        raise web.HTTPNotFound
    path = await call.portal.context.files.path(one.file_id)
    if path is None:
        raise web.HTTPNotFound
    await call.reads("short_link.codes_fetch", f"short_link/{one.link_id}", rows=one.told.get("rows", 0))
    return web.FileResponse(path, headers={
        "Content-Type": "text/csv; charset=utf-8", "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="short-links-{one.link_id}.csv"',
    })  # fmt: skip
