"""``/signs`` and ``/templates``: applied for by the account, reviewed by people, registered with the carriers."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import MAX_TEXT, Id, Request
from smsgw.api.stored import stored_file
from smsgw.api.values import china, id_of, path_id
from smsgw.core.errors import Refused
from smsgw.core.model import MessageType
from smsgw.core.templates import DEFAULT_LENGTH, MAX_VALUE, Form, Registration, Review, Variable
from smsgw.platform.content import queries, service
from smsgw.platform.content.model import SIGN, TEMPLATE, Entry
from smsgw.platform.content.proofs import DOCUMENTS, Kind
from smsgw.platform.files.documents import Document


class SignBody(Request):
    """A signature to apply for."""

    sign: Annotated[str, Meta(min_length=2, max_length=22, description="Signature, 2-20 characters.")]
    source: Annotated[str, Meta(max_length=200, description="What entitles to it: company, brand, app.")] = ""
    note: Annotated[str, Meta(max_length=500, description="For the reviewer.")] = ""


class VariableBody(Request):
    """What a variable may be."""

    form: Annotated[Form, Meta(description="text, digits, alnum, amount or date.")] = Form.TEXT
    max_length: (
        Annotated[int, Meta(ge=1, le=MAX_VALUE, description="Characters at most; null: as usual for the form.")] | None
    ) = None


class TemplateBody(Request):
    """A template to apply for. Variables are written {name}."""

    name: Annotated[str, Meta(min_length=1, max_length=64, description="A name, unique in the account.")]
    content: Annotated[
        str, Meta(min_length=1, max_length=MAX_TEXT, description="The text without signature, variables as {name}.")
    ]
    type: Annotated[MessageType, Meta(description="Type of its messages.")] = MessageType.NOTICE
    sign: Annotated[str, Meta(max_length=22, description="Always with this signature; empty: any.")] = ""
    variables: Annotated[
        dict[str, VariableBody], Meta(max_length=30, description="Forms of the variables; text for those left out.")
    ] = msgspec.field(default_factory=dict)


class RegistryQuery(Request):
    """Filters; newest first."""

    state: Annotated[Review, Meta(description="What the reviewer has said.")] | None = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Entries in a page.")] = 100


class CarrierState(msgspec.Struct):
    """What a carrier says."""

    state: Annotated[Registration, Meta(description="What the carrier has said.")]
    note: str
    code: Annotated[str, Meta(description="Its number with the carrier.")]
    answered_on: Annotated[date | None, Meta(description="Day of the carrier's answer.")]
    expires_at: Annotated[datetime | None, Meta(description="It is registered no more from then; null: it has no end.")]


class SignEntry(msgspec.Struct):
    """A signature as it stands."""

    sign_id: str
    sign: str
    source: str
    state: Annotated[Review, Meta(description="What the reviewer has said.")]
    reason: str
    carriers: dict[str, CarrierState]
    created_at: datetime
    reviewed_at: datetime | None
    expires_at: datetime | None


class ProofQuery(Request):
    """What a document is."""

    kind: Annotated[Kind, Meta(description="license, authorization, trademark, identity, receipt or other.")]
    carrier: Annotated[
        Literal["", "CMCC", "CUCC", "CTCC", "CBN"], Meta(description="The carrier that it is meant for; empty: all.")
    ] = ""


class ProofEntry(msgspec.Struct):
    """A document of a signature."""

    proof_id: Annotated[str, Meta(description="Id of the document.")]
    sign_id: str
    kind: Annotated[Kind, Meta(description="license, authorization, trademark, identity, receipt or other.")]
    carrier: Annotated[str, Meta(description="The carrier that it is meant for; empty: all.")]
    name: str
    size: int
    added_at: Annotated[datetime, Meta(description="When it was brought.")]


class ProofList(msgspec.Struct):
    """The documents of a signature."""

    items: list[ProofEntry]


class ProofRemoved(msgspec.Struct):
    """A document that was taken away."""

    proof_id: Annotated[str, Meta(description="Id of the document.")]


class TemplateEntry(msgspec.Struct):
    """A template as it stands."""

    template_id: str
    name: str
    type: str
    content: str
    sign: str
    variables: dict[str, Any]
    state: Annotated[Review, Meta(description="What the reviewer has said.")]
    reason: str
    carriers: dict[str, CarrierState]
    created_at: datetime
    reviewed_at: datetime | None


class SignPage(msgspec.Struct):
    """A page of signatures; ``next_cursor`` is null on the last one."""

    items: list[SignEntry]
    next_cursor: str | None


class TemplatePage(msgspec.Struct):
    """A page of templates; ``next_cursor`` is null on the last one."""

    items: list[TemplateEntry]
    next_cursor: str | None


def _carriers(entry: Entry) -> dict[str, CarrierState]:
    return {
        c: CarrierState(said.state, said.note, said.code, said.answered_on, china(said.expires_at))
        for c, said in entry.carriers.items()
    }


def _sign(entry: Entry) -> SignEntry:
    row = entry.row
    return SignEntry(
        str(row["id"]),
        row["sign"],
        row["source"],
        Review(row["state"]),
        row["reason"],
        _carriers(entry),
        china(row["created_at"]),
        china(row["reviewed_at"]),
        china(row["expires_at"]),
    )


def _template(entry: Entry) -> TemplateEntry:
    row = entry.row
    variables = {
        name: {"form": v["form"], "max_length": v["most"]} for name, v in msgspec.json.decode(row["variables"]).items()
    }
    return TemplateEntry(
        str(row["id"]),
        row["name"],
        row["type"],
        row["content"],
        row["sign"],
        variables,
        Review(row["state"]),
        row["reason"],
        _carriers(entry),
        china(row["created_at"]),
        china(row["reviewed_at"]),
    )


async def add_sign(call: Call) -> SignEntry:
    """``POST /signs``."""
    body: SignBody = call.body
    id_ = await service.add_sign(call.change(), call.account.id, body.sign, source=body.source, note=body.note)
    return _sign(await queries.get(call.ctx.db, SIGN, id_, accounts=[call.account.id]))


async def add_template(call: Call) -> TemplateEntry:
    """``POST /templates``."""
    body: TemplateBody = call.body
    variables = {name: Variable(v.form, v.max_length or DEFAULT_LENGTH[v.form]) for name, v in body.variables.items()}
    id_ = await service.add_template(
        call.change(), call.account.id, body.name, body.type, body.content, variables, sign=body.sign
    )
    return _template(await queries.get(call.ctx.db, TEMPLATE, id_, accounts=[call.account.id]))


async def _page(call: Call, kind: str) -> tuple[list[Entry], str | None]:
    query: RegistryQuery = call.query or RegistryQuery()
    found = await queries.page(
        call.ctx.db,
        kind,
        accounts=[call.account.id],
        state=query.state or "",
        before=id_of(query.cursor),
        limit=query.limit,
    )
    return found, str(found[-1].row["id"]) if len(found) == query.limit else None


async def list_signs(call: Call) -> SignPage:
    """``GET /signs``."""
    found, cursor = await _page(call, SIGN)
    return SignPage([_sign(e) for e in found], cursor)


async def list_templates(call: Call) -> TemplatePage:
    """``GET /templates``."""
    found, cursor = await _page(call, TEMPLATE)
    return TemplatePage([_template(e) for e in found], cursor)


async def get_sign(call: Call) -> SignEntry:
    """``GET /signs/{id}``."""
    return _sign(await queries.get(call.ctx.db, SIGN, path_id(call), accounts=[call.account.id]))


async def get_template(call: Call) -> TemplateEntry:
    """``GET /templates/{id}``."""
    return _template(await queries.get(call.ctx.db, TEMPLATE, path_id(call), accounts=[call.account.id]))


async def add_proof(call: Call) -> ProofEntry:
    """``POST /signs/{id}/proofs``."""
    assert call.incoming is not None  # noqa: S101 - the route says so
    query: ProofQuery = call.query
    store = call.ctx.tasks.files.store
    id_ = await DOCUMENTS.keep(call.change(), store, path_id(call), query.kind, query.carrier, call.incoming)
    return await _proof(call, id_)


async def list_proofs(call: Call) -> ProofList:
    """``GET /signs/{id}/proofs``."""
    entry = await queries.get(call.ctx.db, SIGN, path_id(call), accounts=[call.account.id])
    found = await DOCUMENTS.of(call.ctx.db, entry.row["id"], accounts=[call.account.id])
    return ProofList([_proof_entry(one) for one in found])


async def get_proof(call: Call) -> web.StreamResponse:
    """``GET /signs/proofs/{id}``."""
    file = await DOCUMENTS.file_of(call.ctx.db, path_id(call), accounts=[call.account.id])
    return await stored_file(call, file, "sign.proof_read", f"sign_proof/{path_id(call)}")


async def remove_proof(call: Call) -> ProofRemoved:
    """``DELETE /signs/proofs/{id}``."""
    await DOCUMENTS.remove(call.change(), path_id(call))
    return ProofRemoved(str(path_id(call)))


async def _proof(call: Call, id_: int) -> ProofEntry:
    found = await DOCUMENTS.one(call.ctx.db, id_, accounts=[call.account.id])
    if found is None:
        raise Refused("NOT_FOUND")
    return _proof_entry(found)


def _proof_entry(one: Document) -> ProofEntry:
    return ProofEntry(str(one.id), str(one.of_id), Kind(one.kind), one.carrier, one.name, one.size, china(one.added_at))


_NEW = ("STATE_CONFLICT", *STORAGE)
_ONE = ("NOT_FOUND", *STORAGE)

ROUTES = (
    Route("POST", "/signs", "template", add_sign, "Apply for a signature", SignEntry, SignBody, errors=_NEW,
          idempotent=True),
    Route("GET", "/signs", "template", list_signs, "The account's signatures, and where they are registered",
          SignPage, query=RegistryQuery, errors=STORAGE),
    Route("GET", "/signs/{id}", "template", get_sign, "One signature", SignEntry, errors=_ONE),
    Route("POST", "/signs/{id}/proofs", "template", add_proof, "Bring a document of a signature", ProofEntry,
          query=ProofQuery, upload=True, proof=DOCUMENTS.kind,
          errors=("FILE_INVALID", "FILE_TOO_LARGE", "PARAM_MISSING", "REQUEST_TIMEOUT", "BACKPRESSURE",
                  "NOT_FOUND", *_NEW)),
    Route("GET", "/signs/{id}/proofs", "template", list_proofs, "The documents of a signature", ProofList, errors=_ONE),
    Route("GET", "/signs/proofs/{id}", "template", get_proof, "A document of a signature", None,
          media="application/octet-stream", errors=_ONE),
    Route("DELETE", "/signs/proofs/{id}", "template", remove_proof, "Take a document of a signature away", ProofRemoved,
          errors=_ONE),
    Route("POST", "/templates", "template", add_template, "Apply for a template",
          TemplateEntry, TemplateBody, errors=_NEW, idempotent=True),
    Route("GET", "/templates", "template", list_templates, "The account's templates, and where they are registered",
          TemplatePage, query=RegistryQuery, errors=STORAGE),
    Route("GET", "/templates/{id}", "template", get_template, "One template", TemplateEntry, errors=_ONE),
)  # fmt: skip
