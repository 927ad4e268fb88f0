"""Documents of a signature (P3.2, 证明材料): brought, looked at, taken away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit import proof_files
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form
from smsgw.admin.kit.lists import Effect, refusal
from smsgw.admin.pages.content import common
from smsgw.admin.pages.content.signs import PATH
from smsgw.admin.rights import route
from smsgw.admin.words import content as words
from smsgw.admin.words import kit
from smsgw.core.errors import Invalid, Refused, Temporary
from smsgw.core.permissions import Permission
from smsgw.platform.content import proofs
from smsgw.platform.content.model import SIGN, STOPPED
from smsgw.platform.content.proofs import Document, Proof
from smsgw.platform.files.model import Incoming
from smsgw.platform.files.proofs import MOST

_ONE = f"{PATH}/proofs/{common.ONE}"
_OF_SIGN = f"{PATH}/{common.ONE}/proofs"


async def _sign(call: Call) -> common.Row:
    row = await common.subject(SIGN)(call)
    if row is None:
        raise web.HTTPNotFound
    return row


async def _page(call: Call, row: common.Row, problem: str = "", typed: Mapping[str, str] | None = None) -> web.Response:
    return call.render(
        "content/sign_proofs.html", status=422 if problem else 200, sign=row, problem=problem, path=PATH, words=words,
        proofs=await proofs.of_sign(call.db, row["id"], accounts=call.accounts), most=proof_files.MEGABYTES,
        kinds=proof_files.ACCEPTED, carriers=common.OF_CARRIERS, typed=typed or {}, at_most=proofs.MOST,
        may=call.may(Permission.SIGN_EDIT) and row["status"] != STOPPED,
    )  # fmt: skip


@route("GET", _OF_SIGN, Permission.SIGN_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The documents, and the form for another."""
    return await _page(call, await _sign(call))


@route("POST", _OF_SIGN, Permission.SIGN_EDIT, files=MOST)
async def take(call: Call) -> web.StreamResponse:
    """A document has come."""
    row, typed = await _sign(call), dict[str, str]()

    async def keep(incoming: Incoming, fields: Mapping[str, str]) -> int:
        typed.update(fields)
        kind, carrier = fields.get("kind", ""), fields.get("carrier", "")
        if kind not in list(Document):
            raise Invalid("PARAM_INVALID", field="kind", reason=call.gettext(words.PROOF_KIND_NEEDED))
        return await proofs.keep(call.change(), call.portal.context.files, row["id"], Document(kind), carrier, incoming)

    try:
        made = await proof_files.received(call, proofs.kind(call.db), row["account_id"], keep)
    except (Invalid, Refused, Temporary) as error:
        return await _page(call, row, refusal(call, error), typed)
    if made is None:
        return await _page(call, row, call.gettext(kit.NO_FILE), typed)
    call.toast(call.gettext(words.PROOF_KEPT))
    return call.redirect(f"{PATH}/{row['id']}/proofs")


async def _proof(call: Call) -> Proof | None:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await proofs.one(call.db, id_, accounts=call.accounts)


@route("GET", _ONE, Permission.SIGN_VIEW)
async def look(call: Call) -> web.StreamResponse:
    """The file of one."""
    one = await _proof(call)
    if one is None:
        raise web.HTTPNotFound
    file = await proofs.file_of(call.db, one.id, accounts=call.accounts)
    return await proof_files.shown(call, file, "sign.proof_read", f"sign/{one.sign_id}")


async def _remove(call: Call, one: Proof, _: Mapping[str, Any]) -> web.Response:
    await proofs.remove(call.change(), one.id)
    call.toast(call.gettext(words.PROOF_REMOVED))
    return call.redirect(f"{PATH}/{one.sign_id}/proofs")


async def _effect(call: Call, one: Proof, _: Mapping[str, Any]) -> Effect:
    kind = call.gettext(words.PROOF_KIND[one.kind])
    return Effect(words.PROOF_REMOVE_EFFECT, {"sign": one.sign, "kind": kind, "name": one.name})


REMOVE = FormPage(
    f"{_ONE}/remove", Permission.SIGN_EDIT, words.PROOF_REMOVE, words.PROOF_REMOVE, Form(()), _remove,
    lambda one: f"{PATH}/{one.sign_id}/proofs", _proof, effect=_effect, lead=lambda one: f"【{one.sign}】", danger=True,
)  # fmt: skip
