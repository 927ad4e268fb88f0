"""The import of words that texts must not have, from a table with mapped columns; what has become of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.kit.form_pages import Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.import_results import ImportResults
from smsgw.admin.kit.imports import ImportPage, Target
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.pages.routing.words import PATH, account_of
from smsgw.admin.words import routing as words
from smsgw.admin.words.messages import TYPE
from smsgw.core.errors import Invalid
from smsgw.core.keywords import Action
from smsgw.core.permissions import Permission
from smsgw.core.words import columns as names
from smsgw.platform.sheets.model import Sheet
from smsgw.platform.words import importing

_LABELS = {"category": "word_category", "action": "word_action"}
TARGETS = tuple(Target(key, names.WORDS[key], _LABELS.get(key, ""), key == "word") for key in importing.COLUMNS)
_FORM = Form(
    (
        Inputs(
            (
                Input(
                    "action",
                    InputKind.CHOICE,
                    "word_action",
                    words.WORD_IMPORT_ACTION_HELP,
                    required=True,
                    choices=words.ACTION,
                ),
                Input("category", label="word_category", most=20, help=words.WORD_IMPORT_CATEGORY_HELP),
                Input(
                    "duplicates",
                    InputKind.CHOICE,
                    "word_duplicates",
                    words.WORD_DUPLICATES_HELP,
                    required=True,
                    choices=words.WORD_DUPLICATE,
                ),
                Input("account", InputKind.CHOICE, help=words.SCOPE_HELP),
                Input("type", InputKind.CHOICE, choices=TYPE, help=words.TYPE_HELP),
            )
        ),
    )
)


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
RESULTS = ImportResults(
    PATH, Permission.WORD_EDIT, importing.own_import, "word.import_result", "words", "word", "word_category"
)
