"""The import of contacts (P4.1) from a table with mapped columns; what has become of its rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.forms import Field, Form, Kind, Section
from smsgw.admin.kit.imports import ImportPage, Target
from smsgw.admin.pages.audience.contacts import PATH, SHARING, form_choices, sharing
from smsgw.admin.rights import route
from smsgw.admin.words import audience as words
from smsgw.admin.words.people import OUTCOME
from smsgw.admin.words.terms import TERMS
from smsgw.core.cells import harmless
from smsgw.core.permissions import Permission
from smsgw.core.words import columns as names
from smsgw.platform.audience import importing
from smsgw.platform.audience.model import Duplicate
from smsgw.platform.sheets import queries as sheets
from smsgw.platform.sheets.model import MOST_ROWS, Outcome, Sheet

_RESULT = PATH + "/-/import/{id:[0-9]{1,19}}"
_LABELS = {"name": "contact_name", "groups": "contact_groups"}
TARGETS = tuple(Target(key, names.CONTACTS[key], _LABELS.get(key, ""), key == "number") for key in importing.COLUMNS)
_FORM = Form((
    Section((
        Field("account", Kind.CHOICE, required=True),
        Field("duplicates", Kind.CHOICE, help=words.DUPLICATES_HELP, required=True, choices=words.DUPLICATE),
        Field("group", Kind.CHOICE, "contact_group", words.IMPORT_GROUP_HELP),
        Field("make_groups", Kind.SWITCH, help=words.MAKE_GROUPS_HELP),
        Field("keep_others", Kind.SWITCH, help=words.KEEP_OTHERS_HELP),
    )),
    Section(SHARING),
))  # fmt: skip


async def _begin(call: Call, sheet: Sheet, columns: Mapping[str, int], values: Mapping[str, Any]) -> int:
    plan = importing.Plan(
        columns, int(values["account"]), sharing(values), Duplicate(values["duplicates"]),
        int(values["group"]) if values["group"] else None, bool(values["make_groups"]), bool(values["keep_others"]),
    )  # fmt: skip
    return await importing.begin(call.change(), sheet, plan)


PAGE = ImportPage(
    PATH, Permission.CONTACT_EDIT, words.CONTACT_IMPORT, words.CONTACTS, words.CONTACT_IMPORT_LEAD, importing.NAME,
    TARGETS, _FORM, form_choices, _begin,
)  # fmt: skip


async def _table(call: Call, what: str, *outcomes: Outcome) -> web.Response:
    """Rows with what has become of them."""
    job = await importing.own_import(call.db, call.actor, read_id(call.request.match_info["id"]) or 0)
    await call.reads("contact.import_result", f"job/{job.id}")
    file, english = io.StringIO(), call.language != DEFAULT
    table = csv.writer(file)
    table.writerow([call.gettext(TERMS[key]) for key in ("line", "number", "contact_name", "outcome", "reason")])
    for one in await sheets.results(call.db, job.id, MOST_ROWS):
        if one.outcome in outcomes:
            said = one.said_en if english else one.said
            row = (one.line, one.key, one.name, call.gettext(OUTCOME[one.outcome]), said)
            table.writerow([harmless(cell) for cell in row])
    return web.Response(
        body=file.getvalue().encode("utf-8-sig"), content_type="text/csv", charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="contacts-{what}-{job.id}.csv"',
                 "Cache-Control": "no-store"},
    )  # fmt: skip


@route("GET", _RESULT + "/result", Permission.CONTACT_EDIT)
async def result(call: Call) -> web.StreamResponse:
    """Every row."""
    return await _table(call, "result", *Outcome)


@route("GET", _RESULT + "/wrong", Permission.CONTACT_EDIT)
async def wrong(call: Call) -> web.StreamResponse:
    """Those that were not brought in."""
    return await _table(call, "wrong", Outcome.WRONG, Outcome.SKIPPED)
