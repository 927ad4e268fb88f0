"""Online debugging (P11.4, 在线调试): any call, signed step by step, and run with a test key of the moment."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.lists import full_width, refusal
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import whole_accounts
from smsgw.admin.rights import route
from smsgw.admin.words import trying as words
from smsgw.core.errors import Recorded, Refused
from smsgw.core.permissions import Permission
from smsgw.core.signing import canonical_query, sign, string_to_sign
from smsgw.core.trying import Operation, refilled
from smsgw.platform.calls.queries import REFUSALS
from smsgw.platform.calls.trying import LENT, PREFIX, Signing, Tried
from smsgw.runtime import clock
from smsgw.web import own_calls
from smsgw.web.serving import API_BASE

PATH = "/debug"
MENU = Entry("connect.debug", PATH, Permission.KEY_VIEW)
FIRST = "POST /messages"
CARRIER_PATIENCE = 10.0
MOST_BODY, MOST_LINE, MOST_PIECE = 16 * 1024, 2000, 100
EXAMPLE_KEY, EXAMPLE_SECRET = f"{PREFIX}example", "example-secret-to-compare-with"  # of no key
"""What is only signed is signed with this, which is shown: programs are compared with it."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What stands in the form."""

    account: str = ""
    operation: str = FIRST
    path: str = ""
    query: str = ""
    body: str = ""
    refused: int = 0


async def _operations(call: Call) -> Sequence[Operation]:
    return await asyncio.to_thread(call.portal.context.trying.operations)


async def _page(
    call: Call, asked: _Asked, *, tried: Tried | None = None, error: str = "", notice: str = "", status: int = 200
) -> web.Response:
    operations = await _operations(call)
    chosen = next((one for one in operations if one.name == asked.operation), None)
    before = await REFUSALS.get(call.db, call.actor, asked.refused)
    return call.render(
        "connect/trying.html", status=status, names=words, asked=asked, operations=operations, chosen=chosen,
        labels={o.name: o.summary_en if call.language != DEFAULT else full_width(o.summary) for o in operations},
        accounts=whole_accounts(call), base=API_BASE, tried=tried, error=error, notice=notice, before=before,
        why=Recorded(before.code, before.detail, before.detail_en) if before else "",
        last=await call.portal.context.trying.tried(call.actor), path=PATH,
        example=EXAMPLE_SECRET if tried and tried.key_id == EXAMPLE_KEY else "",
        may=call.may(Permission.KEY_EDIT), longest=MOST_BODY, line=MOST_LINE,
    )  # fmt: skip


def _blank(operation: Operation | None, account: str) -> _Asked:
    if operation is None:
        return _Asked(account)
    return _Asked(account, operation.name, API_BASE + operation.path, body=operation.sample)


@route("GET", PATH, Permission.KEY_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The form: blank, with what a refused call had, or with what was tried before, and its answer."""
    query, operations = call.request.query, {one.name: one for one in await _operations(call)}
    if "tried" in query:
        last = await call.portal.context.trying.tried(call.actor)
        tried = next((one for one in last if str(one.id) == query["tried"]), None)
        if tried is None:
            return await _page(call, _blank(operations.get(FIRST), ""), notice=call.gettext(words.GONE))
        asked = _Asked(str(tried.account_id), tried.operation, tried.path, tried.query, tried.body, tried.refused)
        return await _page(call, asked, tried=tried)
    if "refused" in query:
        row = await REFUSALS.get(call.db, call.actor, read_id(query["refused"]) or 0)
        if row is None:
            raise web.HTTPNotFound
        asked = _blank(operations.get(row.call), str(row.account_id))
        body = refilled(row.body) if row.body else ""
        said = words.FILLED if body or not row.body else words.NOTHING_KEPT
        asked = _Asked(asked.account, asked.operation, asked.path, "", body, row.id)
        return await _page(call, asked, notice=call.gettext(said))
    wanted = operations.get(query.get("call", FIRST)) or operations.get(FIRST)
    accounts = whole_accounts(call)
    account = query.get("account", "")
    return await _page(call, _blank(wanted, account if account in accounts else next(iter(accounts), "")))


def _fits(path: str, shape: str) -> bool:
    """Whether it is an address of that shape, with something in each of its places."""
    pieces, wanted = path.split("/"), shape.split("/")
    if len(pieces) != len(wanted) or not path.isascii() or not path.isprintable():
        return False
    return all(
        0 < len(piece) <= MOST_PIECE and not {"?", "#"} & set(piece) if place[:1] == "{" else piece == place
        for piece, place in zip(pieces, wanted, strict=True)
    )


def _problem(call: Call, asked: _Asked, operation: Operation | None) -> str:
    """What is wrong with the form."""
    if operation is None:
        return words.BAD_CALL
    if asked.account not in whole_accounts(call):
        return words.BAD_ACCOUNT
    if not _fits(asked.path, API_BASE + operation.path):
        return words.BAD_PATH
    if len(asked.body.encode()) > MOST_BODY:
        return words.TOO_LONG
    if asked.body:
        try:
            json.loads(asked.body)
        except (ValueError, RecursionError):
            return words.BAD_BODY
    return ""


def _signed(
    asked: _Asked, operation: Operation, key_id: str, secret: str, query: str
) -> tuple[Signing, dict[str, str]]:
    """The steps of a signature, and the headers that come of it."""
    timestamp, nonce = str(int(clock.now().timestamp())), secrets.token_hex(16)
    once = secrets.token_hex(16) if operation.idempotent else ""
    digest = hashlib.sha256(asked.body.encode()).hexdigest()
    text = string_to_sign(operation.method, asked.path, canonical_query(query), timestamp, nonce, digest, once)
    signing = Signing(digest, canonical_query(query), text, sign(secret, text))
    headers = {
        "X-Sms-Key": key_id, "X-Sms-Timestamp": timestamp, "X-Sms-Nonce": nonce, "X-Sms-Signature": signing.signature,
    }  # fmt: skip
    headers |= {"Idempotency-Key": once} if once else {}
    return signing, headers | ({"Content-Type": "application/json"} if asked.body else {})


@route("POST", PATH, Permission.KEY_EDIT)
async def run(call: Call) -> web.StreamResponse:
    """Sign the call and make it, or sign it alone; the answer is on the page that follows."""
    form = await call.request.post()
    given = {name: str(form.get(name, "")) for name in ("account", "operation", "path", "query", "body", "refused")}
    asked = _Asked(
        given["account"], given["operation"], given["path"].strip()[:MOST_LINE], given["query"].strip()[:MOST_LINE],
        given["body"].strip().replace("\r\n", "\n"), read_id(given["refused"]) or 0,
    )  # fmt: skip
    operation = next((one for one in await _operations(call) if one.name == asked.operation), None)
    problem = _problem(call, asked, operation)
    if operation is None or problem:
        return await _page(call, asked, error=call.gettext(problem), status=422)
    query = quote(asked.query, safe="=&-._~")
    trying, account_id = call.portal.context.trying, int(asked.account)
    key_id, secret, until = EXAMPLE_KEY, EXAMPLE_SECRET, clock.now() + LENT
    runs = operation.runs and "sign" not in form
    if runs:
        try:
            key = await trying.key(call.change(), account_id, operation, asked.path)
        except Refused as error:
            return await _page(call, asked, error=refusal(call, error), status=422)
        key_id, secret, until = key.key_id, key.secrets[0], key.expires_at or until
    door = trying.door()
    answer, began = own_calls.Answer(0, "", {}), time.monotonic()
    while True:
        signing, headers = _signed(asked, operation, key_id, secret, query)
        if not runs:
            break
        answer = await own_calls.call(
            door.origin, operation.method, asked.path, canonical_query(query), headers, asked.body.encode(),
            certificate=door.certificate,
        )  # fmt: skip
        # The simulated carrier begins with the first test key there is, and takes a moment.
        if answer.body.get("code") != "NO_ROUTE" or time.monotonic() - began > CARRIER_PATIENCE:
            break
        await asyncio.sleep(0.5)
    tried = Tried(
        trying.next_id(), clock.now(), account_id, key_id, operation.name, operation.method, asked.path, asked.query,
        asked.body, headers, signing, answer.status, str(answer.body.get("code", "")) if runs else "",
        str(answer.body.get("request_id", "")), _pretty(answer), int((time.monotonic() - began) * 1000), asked.refused,
        until,
    )  # fmt: skip
    trying.remember(call.actor.label, tried)
    return call.redirect(PATH, tried=str(tried.id))


def _pretty(answer: own_calls.Answer) -> str:
    return json.dumps(answer.body, ensure_ascii=False, indent=2) if answer.body else answer.text
