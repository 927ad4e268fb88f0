"""The import of staff (P12.2): from a table with mapped columns, its result, and the first passwords."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit import people
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.imports import ImportPage, Target
from smsgw.admin.kit.lists import Effect
from smsgw.admin.rights import Proof, route
from smsgw.admin.words import people as words
from smsgw.admin.words.terms import TERMS
from smsgw.core.cells import harmless
from smsgw.core.errors import Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import columns as names
from smsgw.platform.jobs.model import Job
from smsgw.platform.org import importing
from smsgw.platform.sheets import queries as sheets
from smsgw.platform.sheets.model import MOST_ROWS, Sheet

PATH = "/staff"
_JOB = PATH + "/-/import/{id:[0-9]{1,19}}"
_LABELS = {"name": "person", "phone": "number", "account": "account_names"}
TARGETS = tuple(
    Target(key, names.STAFF[key], _LABELS.get(key, ""), key in importing.NEEDED) for key in importing.COLUMNS
)
_FORM = Form((
    Inputs((
        Input("department", InputKind.CHOICE, "default_department", words.DEFAULT_DEPARTMENT_HELP),
        Input("role", InputKind.CHOICES, "default_role", words.DEFAULT_ROLE_HELP),
        Input("make_departments", InputKind.SWITCH, help=words.MAKE_DEPARTMENTS_HELP),
    )),
))  # fmt: skip


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    found = dict(await people.given(call))
    if not call.may(Permission.PERSON_GRANT):
        found["role"] = {}
    return found


async def _begin(call: Call, sheet: Sheet, columns: Mapping[str, int], values: Mapping[str, Any]) -> int:
    department = int(values["department"]) if values["department"] else None
    plan = importing.Plan(columns, department, tuple(values["role"]), bool(values["make_departments"]))
    return await importing.begin(call.change(), sheet, plan, call.portal.context.sealer)


PAGE = ImportPage(
    PATH, Permission.PERSON_EDIT, words.IMPORT, words.STAFF, words.IMPORT_LEAD, importing.NAME, TARGETS, _FORM,
    _choices, _begin, step_up=Proof.FACTOR,
)  # fmt: skip


# --- what has become of it -------------------------------------------------------------------------------------------


async def _job(call: Call) -> Job:
    id_ = read_id(call.request.match_info["id"]) or 0
    return await importing.own_import(call.db, call.actor, id_)


@route("GET", _JOB + "/result", Permission.PERSON_EDIT)
async def result(call: Call) -> web.StreamResponse:
    """Every row with what has become of it."""
    job = await _job(call)
    await call.reads("staff.import_result", f"job/{job.id}")
    rows = await sheets.results(call.db, job.id, MOST_ROWS)
    english = call.language != DEFAULT
    lines = [
        (one.line, one.key, one.name, call.gettext(words.OUTCOME[one.outcome]), one.said_en if english else one.said)
        for one in rows
    ]
    return _table(call, f"staff-import-{job.id}.csv", ("line", "login", "person", "outcome", "reason"), lines)


def _table(call: Call, name: str, keys: Sequence[str], rows: Iterable[Sequence[object]]) -> web.Response:
    file = io.StringIO()
    table = csv.writer(file)
    table.writerow([call.gettext(TERMS[key]) for key in keys])
    table.writerows([harmless(cell) for cell in row] for row in rows)
    return web.Response(
        body=file.getvalue().encode("utf-8-sig"), content_type="text/csv", charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )  # fmt: skip


async def _waiting(call: Call) -> Job | None:
    try:
        return await _job(call)
    except Refused:
        return None


async def _effect(call: Call, job: Job, _: Mapping[str, Any]) -> Effect:
    return Effect(words.PASSWORDS_EFFECT, {"n": len(await importing.waiting(call.db, call.actor, job.id))})


async def _passwords(call: Call, job: Job, _: Mapping[str, Any]) -> web.StreamResponse:
    told = await importing.first_passwords(call.change(), job.id, call.portal.context.sealer)
    rows = [(one.login, one.name, one.password) for one in told]
    return _table(call, f"first-passwords-{job.id}.csv", ("login", "person", "one_time"), rows)


PASSWORDS = FormPage(
    _JOB + "/passwords", Permission.PERSON_EDIT, words.FIRST_PASSWORDS, words.FIRST_PASSWORDS, Form(()), _passwords,
    lambda job: f"/jobs/{job.id}", _waiting, effect=_effect, lead=lambda job: job.params["file"], step_up=Proof.FACTOR,
)  # fmt: skip
