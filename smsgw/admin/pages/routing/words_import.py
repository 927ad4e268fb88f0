"""The import of words that texts must not have, from a table with mapped columns; what has become of its rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.form_pages import Wrong
from smsgw.admin.kit.forms import Field, Form, Kind, Section
from smsgw.admin.kit.imports import ImportPage, Target
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.pages.routing.words import PATH, account_of
from smsgw.admin.rights import route
from smsgw.admin.words import routing as words
from smsgw.admin.words.messages import TYPE
from smsgw.admin.words.people import OUTCOME
from smsgw.admin.words.terms import TERMS
from smsgw.core.cells import harmless
from smsgw.core.errors import Invalid
from smsgw.core.keywords import Action
from smsgw.core.permissions import Permission
from smsgw.core.words import columns as names
from smsgw.platform.sheets import queries as sheets
from smsgw.platform.sheets.model import MOST_ROWS, Outcome, Sheet
from smsgw.platform.words import importing

_RESULT = PATH + "/-/import/{id:[0-9]{1,19}}"
_LABELS = {"category": "word_category", "action": "word_action"}
TARGETS = tuple(Target(key, names.WORDS[key], _LABELS.get(key, ""), key == "word") for key in importing.COLUMNS)
_FORM = Form((Section((
    Field("action", Kind.CHOICE, "word_action", words.WORD_IMPORT_ACTION_HELP, required=True, choices=words.ACTION),
    Field("category", label="word_category", most=20, help=words.WORD_IMPORT_CATEGORY_HELP),
    Field("duplicates", Kind.CHOICE, "word_duplicates", words.WORD_DUPLICATES_HELP, required=True,
          choices=words.WORD_DUPLICATE),
    Field("account", Kind.CHOICE, help=words.SCOPE_HELP),
    Field("type", Kind.CHOICE, choices=TYPE, help=words.TYPE_HELP),
)),))  # fmt: skip


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call)}


async def _begin(call: Call, sheet: Sheet, columns: Mapping[str, int], values: Mapping[str, Any]) -> int:
    try:
        account = account_of(call, values)
    except Wrong as error:
        raise Invalid("PARAM_MISSING", field=error.key) from error
    plan = importing.Plan(
        columns, account, values["type"] or "", Action(values["action"]), values["category"],
        values["duplicates"] == "overwrite",
    )  # fmt: skip
    return await importing.begin(call.change(), sheet, plan)


PAGE = ImportPage(
    PATH, Permission.WORD_EDIT, words.WORD_IMPORT, words.WORDS, words.WORD_IMPORT_LEAD, importing.NAME, TARGETS, _FORM,
    _choices, _begin,
)  # fmt: skip


async def _table(call: Call, what: str, *outcomes: Outcome) -> web.Response:
    """Rows with what has become of them."""
    job = await importing.own_import(call.db, call.actor, read_id(call.request.match_info["id"]) or 0)
    await call.reads("word.import_result", f"job/{job.id}")
    file, english = io.StringIO(), call.language != DEFAULT
    table = csv.writer(file)
    table.writerow([call.gettext(TERMS[key]) for key in ("line", "word", "word_category", "outcome", "reason")])
    for one in await sheets.results(call.db, job.id, MOST_ROWS):
        if one.outcome in outcomes:
            said = one.said_en if english else one.said
            row = (one.line, one.key, one.name, call.gettext(OUTCOME[one.outcome]), said)
            table.writerow([harmless(cell) for cell in row])
    return web.Response(
        body=file.getvalue().encode("utf-8-sig"), content_type="text/csv", charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="words-{what}-{job.id}.csv"',
                 "Cache-Control": "no-store"},
    )  # fmt: skip


@route("GET", _RESULT + "/result", Permission.WORD_EDIT)
async def result(call: Call) -> web.StreamResponse:
    """Every row."""
    return await _table(call, "result", *Outcome)


@route("GET", _RESULT + "/wrong", Permission.WORD_EDIT)
async def wrong(call: Call) -> web.StreamResponse:
    """Those that were not brought in."""
    return await _table(call, "wrong", Outcome.WRONG, Outcome.SKIPPED)
