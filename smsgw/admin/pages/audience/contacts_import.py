"""The import of contacts (P4.1) from a table with mapped columns; what has become of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.import_results import ImportResults
from smsgw.admin.kit.imports import ImportPage, Target
from smsgw.admin.pages.audience.contacts import PATH, SHARING, form_choices, sharing
from smsgw.admin.words import audience as words
from smsgw.core.permissions import Permission
from smsgw.core.words import columns as names
from smsgw.platform.audience import importing
from smsgw.platform.audience.model import Duplicate
from smsgw.platform.sheets.model import MOST_LARGE, Sheet

_LABELS = {"name": "contact_name", "groups": "contact_groups"}
TARGETS = tuple(Target(key, names.CONTACTS[key], _LABELS.get(key, ""), key == "number") for key in importing.COLUMNS)
_FORM = Form((
    Inputs((
        Input("account", InputKind.CHOICE, required=True),
        Input("duplicates", InputKind.CHOICE, help=words.DUPLICATES_HELP, required=True, choices=words.DUPLICATE),
        Input("group", InputKind.CHOICE, "contact_group", words.IMPORT_GROUP_HELP),
        Input("make_groups", InputKind.SWITCH, help=words.MAKE_GROUPS_HELP),
        Input("keep_others", InputKind.SWITCH, help=words.KEEP_OTHERS_HELP),
    )),
    Inputs(SHARING),
))  # fmt: skip


async def _begin(call: Call, sheet: Sheet, columns: Mapping[str, int], values: Mapping[str, Any]) -> int:
    plan = importing.Plan(
        columns, int(values["account"]), sharing(values), Duplicate(values["duplicates"]),
        int(values["group"]) if values["group"] else None, bool(values["make_groups"]), bool(values["keep_others"]),
    )  # fmt: skip
    return await importing.begin(call.change(), sheet, plan)


PAGE = ImportPage(
    PATH, Permission.CONTACT_EDIT, words.CONTACT_IMPORT, words.CONTACTS, words.CONTACT_IMPORT_LEAD, importing.NAME,
    TARGETS, _FORM, form_choices, _begin, most=MOST_LARGE,
)  # fmt: skip
RESULTS = ImportResults(
    PATH, Permission.CONTACT_EDIT, importing.own_import, "contact.import_result", "contacts", "number", "contact_name"
)
