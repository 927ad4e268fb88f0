"""The import of consents (P4.6) from a table with mapped columns, what has become of its rows; files of proof."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit import proof_files
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.imports import ImportPage, Target
from smsgw.admin.kit.lists import refusal
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.pages.audience.consents import PATH, day_problem
from smsgw.admin.rights import route
from smsgw.admin.words import audience as words, kit
from smsgw.admin.words.people import OUTCOME
from smsgw.admin.words.terms import TERMS
from smsgw.core.cells import harmless
from smsgw.core.errors import Invalid, Refused, Temporary
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.core.words import columns as names
from smsgw.platform.files.model import Incoming
from smsgw.platform.files.proofs import MOST
from smsgw.platform.lists import consent_import as importing, consents, proofs
from smsgw.platform.lists.consent_import import Plan, Table
from smsgw.platform.lists.consents import MOST_TEXT, Consent, Source
from smsgw.platform.sheets import queries as sheets
from smsgw.platform.sheets.model import MOST_ROWS, Outcome, Sheet

_ONE = "{id:[0-9]{1,19}}"
_LABELS = {"source": "consent_source", "given_at": "consent_given_at", "wording": "consent_wording",
           "proof": "consent_proof"}  # fmt: skip
TARGETS = tuple(Target(key, names.CONSENTS[key], _LABELS.get(key, ""), key == "number") for key in importing.COLUMNS)
_FORM = Form((Inputs((
    Input("account", InputKind.CHOICE, required=True),
    Input("source", InputKind.CHOICE, "consent_source", words.CONSENT_SOURCE_HELP, choices=words.CONSENT_SOURCE),
    Input("given_at", label="consent_given_at", help=words.CONSENT_ALL_HELP, most=16, check=day_problem),
    Input("wording", label="consent_wording", help=words.CONSENT_ALL_HELP, most=MOST_TEXT),
    Input("proof", label="consent_proof", help=words.CONSENT_ALL_HELP, most=MOST_TEXT),
)),))  # fmt: skip


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call)}


async def _begin(call: Call, sheet: Sheet, columns: Mapping[str, int], values: Mapping[str, Any]) -> int:
    plan = Plan(
        int(values["account"]), columns, consents.moment(values["given_at"]) if values["given_at"] else None,
        Source(values["source"]) if values["source"] else None, values["wording"], values["proof"],
    )  # fmt: skip
    table = Table(sheet.id, sheet.node, sheet.name, sheet.form, sheet.columns, sheet.rows)
    return await importing.begin(call.change(), table, plan)


PAGE = ImportPage(
    PATH, Permission.BLOCK_EDIT, words.CONSENT_IMPORT, words.CONSENTS, words.CONSENT_IMPORT_LEAD, importing.NAME,
    TARGETS, _FORM, _choices, _begin,
)  # fmt: skip


@route("GET", f"{PATH}/-/import/{_ONE}/result", Permission.BLOCK_EDIT)
async def result(call: Call) -> web.StreamResponse:
    """What has become of the rows; numbers are masked, their lines are told."""
    job = await importing.one(call.db, call.actor, read_id(call.request.match_info["id"]) or 0)
    await call.reads("consent.import_result", f"job/{job.id}")
    file, english = io.StringIO(), call.language != DEFAULT
    table = csv.writer(file)
    table.writerow([call.gettext(TERMS[key]) for key in ("line", "number", "outcome", "reason")])
    for one in await sheets.results(call.db, job.id, MOST_ROWS):
        said = one.said_en if english else one.said
        row = (one.line, mask(one.key) if one.outcome is not Outcome.WRONG else one.key,
               call.gettext(OUTCOME[one.outcome]), said)  # fmt: skip
        table.writerow([harmless(cell) for cell in row])
    return web.Response(
        body=file.getvalue().encode("utf-8-sig"), content_type="text/csv", charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="consents-result-{job.id}.csv"',
                 "Cache-Control": "no-store"},
    )  # fmt: skip


# --- the file that proves it -----------------------------------------------------------------------------------------


async def _own(call: Call) -> Consent:
    one = await consents.one(call.db, read_id(call.request.match_info["id"]) or 0, accounts=call.accounts)
    if one is None:
        raise web.HTTPNotFound
    return one


def _page(call: Call, one: Consent, problem: str = "") -> web.Response:
    return call.render(
        "audience/proof.html", status=422 if problem else 200, one=one, problem=problem, path=PATH, words=words,
        most=proof_files.MEGABYTES, kinds=proof_files.ACCEPTED, number=mask(one.number),
    )  # fmt: skip


@route("GET", f"{PATH}/{_ONE}/proof", Permission.BLOCK_EDIT)
async def ask_proof(call: Call) -> web.StreamResponse:
    """The form for it; one that is there is not exchanged."""
    one = await _own(call)
    return _page(call, one) if one.proof_file is None else call.redirect(f"{PATH}/{one.id}")


@route("POST", f"{PATH}/{_ONE}/proof", Permission.BLOCK_EDIT, files=MOST)
async def take_proof(call: Call) -> web.StreamResponse:
    """The file has come."""
    one = await _own(call)
    store = call.portal.context.files

    async def keep(incoming: Incoming, _: Mapping[str, str]) -> int:
        return await proofs.keep(call.change(), store, one.id, incoming)

    try:
        n = await proof_files.received(call, proofs.kind(call.db), one.account_id, keep)
    except (Invalid, Refused, Temporary) as error:
        return _page(call, one, refusal(call, error))
    if n is None:
        return _page(call, one, call.gettext(kit.NO_FILE))
    call.toast(call.filled(words.CONSENT_FILE_KEPT, {"n": n}))
    return call.redirect(f"{PATH}/{one.id}")


@route("GET", f"{PATH}/{_ONE}/proof/file", Permission.BLOCK_VIEW)
async def show_proof(call: Call) -> web.StreamResponse:
    """The file."""
    one = await _own(call)
    file = await proofs.of(call.db, one.id, accounts=call.accounts)
    return await proof_files.shown(call, file, "consent.proof_read", f"consent/{one.id}")
