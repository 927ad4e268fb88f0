"""``/consents``: who has agreed to get marketing of the account, with the proof, and who has withdrawn (同意台账)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from smsgw.api.blocklist import Numbers, RefusedNumber, read_numbers
from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import Id, Number, Request, Time
from smsgw.api.stored import stored_file
from smsgw.api.values import china, id_of, path_id
from smsgw.core import numbers
from smsgw.core.errors import Invalid, Refused
from smsgw.core.words import phrase
from smsgw.platform.campaigns.sheets import letter
from smsgw.platform.lists import consent_import, consents, proofs
from smsgw.platform.lists.consent_import import Plan, Table
from smsgw.platform.lists.consents import MOST_TEXT, Consent, Given, Source, WantedConsents
from smsgw.platform.paging import Window
from smsgw.platform.sheets import queries as sheets
from smsgw.platform.sheets.model import MOST_ROWS, Outcome

Wording = Annotated[str, Meta(max_length=MOST_TEXT, description="What was agreed to, or its version.")]
Proof = Annotated[str, Meta(max_length=MOST_TEXT, description="Where the proof can be looked at.")]
How = Annotated[Source, Meta(description="How somebody has agreed: paper, web, app, sms, call or other.")]
GivenAt = Annotated[Time, Meta(description="When it was given; not later than now.")]
ColumnName = Annotated[str, Meta(min_length=1, max_length=64, description="A column by its name or letter.")]
State = Literal["given", "withdrawn", "replaced"]
MOST_TOLD = 1000
"""Rows that were not entered, of which an answer tells."""


class ConsentBody(Request):
    """Consents to enter; those in force are replaced, and stay in the ledger."""

    numbers: Numbers
    source: How
    proof: Annotated[str, Meta(min_length=2, max_length=MOST_TEXT, description="Where the proof can be looked at.")]
    given_at: GivenAt
    wording: Wording = ""


class WithdrawalBody(Request):
    """Why somebody agrees no more."""

    reason: Annotated[str, Meta(min_length=2, max_length=MOST_TEXT, description="How it was withdrawn.")]


class ImportMapping(Request):
    """Columns of the file; what has none holds for all rows as the call says it."""

    number: ColumnName
    given_at: ColumnName | None = None
    source: ColumnName | None = None
    wording: ColumnName | None = None
    proof: ColumnName | None = None


class ImportBody(Request):
    """A file of consents, up to 10,000 rows: uploaded by `POST /files`."""

    file_id: Id
    mapping: ImportMapping
    source: How | None = None
    proof: Proof = ""
    given_at: GivenAt | None = None
    wording: Wording = ""


class ConsentsQuery(Request):
    """Filters; all given ones must match. Newest first."""

    number: Number | None = None
    state: (
        Annotated[State, Meta(description="In force, withdrawn by the owner, or replaced by a newer one.")] | None
    ) = None
    source: How | None = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Entries in a page.")] = 100


class ConsentsEntered(msgspec.Struct):
    """How many were entered; ``kept_withdrawn``: their owners have withdrawn after that."""

    entered: Annotated[int, Meta(description="Consents entered.")]
    kept_withdrawn: Annotated[int, Meta(description="Numbers whose owners have withdrawn later: not entered.")]
    rejected: list[RefusedNumber]


class ConsentEntry(msgspec.Struct):
    """A row of the ledger. It is never removed, nor is what it proves changed."""

    consent_id: str
    number: str
    state: Annotated[State, Meta(description="In force, withdrawn by the owner, or replaced by a newer one.")]
    source: Annotated[str, Meta(description="How somebody has agreed: paper, web, app, sms, call or other.")]
    wording: Annotated[str, Meta(description="What was agreed to, or its version.")]
    proof: Annotated[str, Meta(description="Where the proof can be looked at.")]
    has_file: Annotated[bool, Meta(description="There is a file of the proof.")]
    given_at: Annotated[datetime, Meta(description="When it was given.")]
    entered_by: Annotated[str, Meta(description="Who has entered it.")]
    entered_at: Annotated[datetime, Meta(description="When it was entered.")]
    withdrawn_at: Annotated[datetime | None, Meta(description="When it ended; null: it is in force.")]
    withdrawal: Annotated[str, Meta(description="How it was withdrawn.")]


class ConsentPage(msgspec.Struct):
    """A page of the ledger; ``next_cursor`` is null on the last one."""

    items: list[ConsentEntry]
    next_cursor: str | None


class ImportRow(msgspec.Struct):
    """A row that was not entered."""

    line: int
    number: Annotated[str, Meta(description="As it stands in the file.")]
    message: str


class ImportEntry(msgspec.Struct):
    """How an import stands. Of the rows that were not entered the first 1,000 are told."""

    import_id: Annotated[str, Meta(description="Id of the import.")]
    state: Annotated[
        Literal["waiting", "running", "done", "failed", "cancelled"], Meta(description="How the work on it stands.")
    ]
    total: Annotated[int, Meta(description="Rows of the file; 0: not known yet.")]
    done: Annotated[int, Meta(description="Rows done with.")]
    created: Annotated[int, Meta(description="Rows entered for numbers without a consent in force.")]
    updated: Annotated[int, Meta(description="Rows that have replaced a consent in force.")]
    skipped: Annotated[int, Meta(description="Rows of a number that came before, or whose owner has withdrawn later.")]
    wrong: Annotated[int, Meta(description="Rows that could not be read.")]
    rows: Annotated[list[ImportRow], Meta(description="Rows that were not entered.")]


class ProofAttached(msgspec.Struct):
    """How many rows of the ledger have the file now: those that were entered together."""

    entries: Annotated[int, Meta(description="Rows of the ledger that have the file now.")]


def _entry(one: Consent) -> ConsentEntry:
    return ConsentEntry(
        str(one.id), one.number, one.state, one.source, one.wording, one.proof,  # type: ignore[arg-type]
        one.proof_file is not None, china(one.given_at), one.entered_by, china(one.entered_at),
        china(one.withdrawn_at), one.withdrawal,
    )  # fmt: skip


async def _one(call: Call, id_: int) -> ConsentEntry:
    found = await consents.one(call.ctx.db, id_, accounts=[call.account.id])
    if found is None:
        raise Refused("NOT_FOUND")
    return _entry(found)


async def give_consents(call: Call) -> ConsentsEntered:
    """``POST /consents``."""
    body: ConsentBody = call.body
    good, rejected = read_numbers(call, body.numbers)
    given = Given(body.source, body.wording, body.proof, body.given_at)
    entered = await consents.give(call.change(), call.account.id, good, given) if good else 0
    return ConsentsEntered(entered, len(set(good)) - entered, rejected)


async def list_consents(call: Call) -> ConsentPage:
    """``GET /consents``."""
    query: ConsentsQuery = call.query or ConsentsQuery()
    number = ""
    if query.number is not None:
        try:
            number = numbers.normalize(query.number)
        except numbers.InvalidNumber as exc:
            raise Invalid("NUMBER_INVALID") from exc
    wanted = WantedConsents(number, query.state or "", query.source.value if query.source else "")
    before = id_of(query.cursor)
    window = Window("at", after=None if before is None else (str(before), before), limit=query.limit)
    found = await consents.search(call.ctx.db, wanted, window, accounts=[call.account.id])
    return ConsentPage([_entry(one) for one in found.rows], str(found.rows[-1].id) if found.more else None)


async def get_consent(call: Call) -> ConsentEntry:
    """``GET /consents/{id}``."""
    return await _one(call, path_id(call))


async def withdraw_consent(call: Call) -> ConsentEntry:
    """``POST /consents/{id}/withdraw``."""
    id_ = path_id(call)
    await consents.withdraw(call.change(), id_, call.body.reason)
    return await _one(call, id_)


async def import_consents(call: Call) -> ImportEntry:
    """``POST /consents/import``."""
    body: ImportBody = call.body
    file = await call.ctx.tasks.files.get(id_of(body.file_id) or 0, accounts=(call.account.id,))
    known = {name: n for n, name in reversed(list(enumerate(file.columns)))}
    known |= {letter(n): n for n in range(len(file.columns)) if letter(n) not in known}
    columns = {}
    for key in consent_import.COLUMNS:
        name = getattr(body.mapping, key)
        if name is None:
            continue
        if name not in known:
            said = phrase("task.no_column", name=name, known=", ".join(file.columns))
            raise Invalid("PARAM_INVALID", field=f"mapping.{key}", reason=said)
        columns[key] = known[name]
    plan = Plan(call.account.id, columns, body.given_at, body.source, body.wording, body.proof)
    table = Table(file.id, file.node, file.name, file.form, file.columns, file.rows)
    id_ = await consent_import.begin(call.change(), table, plan)
    call.ctx.jobs.set()
    return await _import(call, id_)


async def get_consent_import(call: Call) -> ImportEntry:
    """``GET /consents/imports/{id}``."""
    return await _import(call, path_id(call))


async def _import(call: Call, id_: int) -> ImportEntry:
    job = await consent_import.one(call.ctx.db, call.actor, id_)
    counts = await sheets.counts(call.ctx.db, id_)
    bad = (Outcome.SKIPPED, Outcome.WRONG)
    results = [r for r in await sheets.results(call.ctx.db, id_, MOST_ROWS) if r.outcome in bad][:MOST_TOLD]
    rows = [ImportRow(r.line, r.key, r.said_en if call.english else r.said) for r in results]
    n = {outcome: counts.get(outcome, 0) for outcome in Outcome}
    return ImportEntry(
        str(id_), job.state.value, job.total, job.done, n[Outcome.CREATED], n[Outcome.UPDATED], n[Outcome.SKIPPED],
        n[Outcome.WRONG], rows,
    )  # fmt: skip


async def put_proof(call: Call) -> ProofAttached:
    """``POST /consents/{id}/proof``."""
    assert call.incoming is not None  # noqa: S101 - the route says so
    return ProofAttached(await proofs.keep(call.change(), call.ctx.tasks.files.store, path_id(call), call.incoming))


async def get_proof(call: Call) -> web.StreamResponse:
    """``GET /consents/{id}/proof``."""
    id_ = path_id(call)
    file = await proofs.of(call.ctx.db, id_, accounts=[call.account.id])
    return await stored_file(call, file, "consent.proof_read", f"consent/{id_}")


_ONE = ("NOT_FOUND", *STORAGE)

ROUTES = (
    Route("POST", "/consents", "number", give_consents, "Enter consents of up to 1,000 numbers", ConsentsEntered,
          ConsentBody, errors=STORAGE, idempotent=True),
    Route("GET", "/consents", "number", list_consents, "The account's ledger of consents", ConsentPage,
          query=ConsentsQuery, errors=("NUMBER_INVALID", *STORAGE)),
    Route("GET", "/consents/{id}", "number", get_consent, "One row of the ledger", ConsentEntry, errors=_ONE),
    Route("POST", "/consents/{id}/withdraw", "number", withdraw_consent, "Somebody agrees no more", ConsentEntry,
          WithdrawalBody, errors=("STATE_CONFLICT", *_ONE), idempotent=True),
    Route("POST", "/consents/import", "number", import_consents, "Bring consents in from a file", ImportEntry,
          ImportBody, status=201, errors=("STATE_CONFLICT", *_ONE), idempotent=True),
    Route("GET", "/consents/imports/{id}", "number", get_consent_import, "How an import of consents stands",
          ImportEntry, errors=_ONE),
    Route("POST", "/consents/{id}/proof", "number", put_proof, "Bring the file that proves a consent", ProofAttached,
          upload=True, proof=proofs.kind, errors=("FILE_INVALID", "FILE_TOO_LARGE", "PARAM_MISSING", "REQUEST_TIMEOUT",
                                           "BACKPRESSURE", "STATE_CONFLICT", *_ONE)),
    Route("GET", "/consents/{id}/proof", "number", get_proof, "The file that proves a consent", None,
          media="application/octet-stream", errors=_ONE),
)  # fmt: skip
