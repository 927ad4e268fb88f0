"""Imports onto the block list and the allow list (P4.2, P4.3) from a table; what has become of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.import_results import ImportResults
from smsgw.admin.kit.imports import ImportPage, Target
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.pages.audience.allowed import PATH as ALLOWED
from smsgw.admin.pages.audience.blocked import PATH as BLOCKED
from smsgw.admin.words import audience as words
from smsgw.admin.words.messages import TYPE
from smsgw.core.errors import Invalid
from smsgw.core.policy import Listed
from smsgw.core.words import columns as names
from smsgw.platform.change import EVERYBODY
from smsgw.platform.handles import Database
from smsgw.platform.jobs.model import Job
from smsgw.platform.lists import number_import as importing
from smsgw.platform.sheets.model import MOST_LARGE, Sheet
from smsgw.runtime import clock

_BLOCK_FORM = Form((Inputs((
    Input("reason", required=True, least=2, most=importing.MOST_REASON, help=words.IMPORT_REASON_HELP),
    Input("account", InputKind.CHOICE, help=words.ACCOUNT_HELP), Input("type", InputKind.CHOICE, choices=TYPE),
    Input("sign", most=20, help=words.SIGN_HELP),
    Input("days", InputKind.NUMBER, least=1, most=36_500, help=words.DAYS_HELP),
)),))  # fmt: skip
_ALLOW_FORM = Form((Inputs((
    Input("kind", InputKind.CHOICE, choices=words.LISTED, required=True),
    Input("account", InputKind.CHOICE, help=words.ACCOUNT_HELP),
    Input("note", most=importing.MOST_REASON, help=words.IMPORT_REASON_HELP),
)),))  # fmt: skip


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call)}


def _account(call: Call, values: Mapping[str, Any]) -> int:
    """Whose entries they shall be; who sees some accounts makes none for all."""
    if not values["account"] and call.actor.scope.whole is not None:
        raise Invalid("PARAM_MISSING", field="account")
    return int(values["account"] or EVERYBODY)


async def _block(call: Call, sheet: Sheet, columns: Mapping[str, int], values: Mapping[str, Any]) -> int:
    until = clock.now() + timedelta(days=values["days"]) if values["days"] else None
    plan = importing.Plan(
        importing.BLOCK, columns, _account(call, values), values["reason"], values["type"] or "", values["sign"], until
    )
    return await importing.begin(call.change(), sheet, plan)


async def _allow(call: Call, sheet: Sheet, columns: Mapping[str, int], values: Mapping[str, Any]) -> int:
    kind = Listed(values["kind"])
    plan = importing.Plan(importing.ALLOW, columns, _account(call, values), values["note"], kind=kind)
    return await importing.begin(call.change(), sheet, plan)


def _targets(label: str) -> tuple[Target, Target]:
    return Target("number", names.NUMBERS["number"], "", True), Target("reason", names.NUMBERS["reason"], label)


async def _own(kind: str, database: Database, actor: Any, job_id: int) -> Job:
    return await importing.own_import(database, actor, job_id, kind)


BLOCK = ImportPage(
    BLOCKED, importing.PERMISSION[importing.BLOCK], words.BLOCK_IMPORT, words.BLOCK_LIST, words.NUMBERS_IMPORT_LEAD,
    importing.BLOCK, _targets("reason"), _BLOCK_FORM, _choices, _block, most=MOST_LARGE,
)  # fmt: skip
ALLOW = ImportPage(
    ALLOWED, importing.PERMISSION[importing.ALLOW], words.ALLOW_IMPORT, words.ALLOW_LIST, words.NUMBERS_IMPORT_LEAD,
    importing.ALLOW, _targets("note"), _ALLOW_FORM, _choices, _allow, most=MOST_LARGE,
)  # fmt: skip
BLOCK_RESULTS = ImportResults(
    BLOCKED, importing.PERMISSION[importing.BLOCK], partial(_own, importing.BLOCK), "block.import_result", "blocked",
    "number", "note",
)  # fmt: skip
ALLOW_RESULTS = ImportResults(
    ALLOWED, importing.PERMISSION[importing.ALLOW], partial(_own, importing.ALLOW), "allow.import_result", "allowed",
    "number", "note",
)  # fmt: skip
