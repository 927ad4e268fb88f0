"""Send one message to up to 1,000 numbers (P2.1): form with live count, confirmation in numbers, result."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from smsgw.admin import words
from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.kit.kinds import base_of, kind_in_use, names_of
from smsgw.admin.kit.numbers import Recipients, recipients
from smsgw.admin.pages.sending.form import MAX_CONTENT, MAX_RECIPIENTS, SendForm
from smsgw.admin.pages.sending.marks import counted_text
from smsgw.admin.pages.sending.preview import preview
from smsgw.admin.rights import route
from smsgw.admin.words.sending import NO_ACCOUNT, NO_NUMBER, STEPS
from smsgw.core.errors import SmsgwError, message_of
from smsgw.core.model import Account, ChannelStatus, MessageType, Origin
from smsgw.core.numbers import normalize
from smsgw.core.permissions import Permission
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest, SendResult
from smsgw.platform.accounts.queries import balance
from smsgw.platform.messages import queries, service
from smsgw.platform.messages.model import MessageView
from smsgw.runtime import clock

FIELD_OF_CODE = {"CONTENT": "content", "SIGN": "sign", "TO": "to", "NUMBER": "to"}
"""Start of an error code → the field to show it at; everything else belongs to the account."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What sending would do, in numbers."""

    numbers: int
    each: tuple[int, int]
    """Fewest and most parts of a number: what a carrier can carry differs."""
    parts: int
    price: int
    codings: tuple[str, ...]
    carriers: tuple[tuple[str, int], ...]
    refused: tuple[tuple[str, str], ...]
    """Number and the reason, in the reader's language."""
    blocked: tuple[str, ...] = ()
    """Carriers without a channel at the moment: sending would be refused as a whole."""
    held: int = 0
    """Numbers whose message would wait for an approval, …"""
    reasons: tuple[str, ...] = ()
    """… and why."""
    waiting: tuple[str, ...] = ()
    """Carriers whose channels are all down: their messages would wait in the queue."""


@dataclass(frozen=True, slots=True)
class Line:
    """One number of the result."""

    number: str
    message: MessageView | None
    status: str
    reason: str


def effect(explained: Sequence[Mapping[str, Any]], *, english: bool, channels: Sequence[ChannelStatus] = ()) -> Effect:
    """Sum up what the pipeline says about every number, and what the channels are able to do."""
    # The balance is shown beside; what it does not cover is not the number's fault.
    fine = ("OK", "BALANCE_INSUFFICIENT")
    good = [line for line in explained if line["code"] in fine]
    bad = [line for line in explained if line["code"] not in fine]
    each = [line["parts"] for line in good] or [0]
    blocked = sorted({line["carrier"] for line in bad if line["code"] == "NO_ROUTE"})
    return Effect(
        numbers=len(good),
        each=(min(each), max(each)),
        parts=sum(each),
        price=sum(line["price"] for line in good),
        codings=tuple(sorted({line["coding"] for line in good})),
        carriers=tuple(Counter(line["carrier"] for line in good).most_common()),
        refused=tuple(
            (normalize(line["to"]), message_of(line["code"], english=True) if english else str(line["message"]))
            for line in bad
            if line["code"] != "NO_ROUTE"
        ),
        blocked=tuple(blocked),
        held=sum(bool(line.get("held")) for line in good),
        reasons=tuple(dict.fromkeys(str(why) for line in good for why in line.get("held", ()))),
        waiting=tuple(sorted({line["carrier"] for line in good if line.get("pool") in _down(channels)})),
    )


def _down(channels: Sequence[ChannelStatus]) -> set[str]:
    """Pools that channels pull from, none of which is connected."""
    up = {pool for channel in channels if channel.state in ("bound", "idle") for pool in channel.pools}
    return {pool for channel in channels for pool in channel.pools} - up


@route("GET", "/send/quick", Permission.MESSAGE_SEND)
async def show(call: Call) -> web.StreamResponse:
    """An empty form."""
    return _form(call, SendForm.blank())


@route("GET", "/send/quick/confirm", Permission.MESSAGE_SEND)
@route("GET", "/send/quick/edit", Permission.MESSAGE_SEND)
async def again(call: Call) -> web.StreamResponse:
    """A step in the middle cannot be opened by its address (after a change of language, say): begin anew."""
    return call.redirect("/send/quick")


@route("POST", "/send/quick/preview", Permission.MESSAGE_SEND)
async def live_preview(call: Call) -> web.StreamResponse:
    """The counts beside the form while somebody types."""
    form = await _read(call)
    return call.render("sending/preview.html", **_preview_values(call, form))


@route("POST", "/send/quick/edit", Permission.MESSAGE_SEND)
async def edit(call: Call) -> web.StreamResponse:
    """Back from the confirmation, with everything as typed."""
    return _form(call, await _read(call))


@route("POST", "/send/quick/confirm", Permission.MESSAGE_SEND)
async def confirm(call: Call) -> web.StreamResponse:
    """What would happen, in numbers; nothing is sent yet."""
    form = await _read(call)
    to = recipients(form.to)
    account = _account(call, form)
    if not form.check(to, names_of(call)) or account is None:
        return _form(call, form)
    try:
        explained = await call.portal.context.acceptor.explain(_request(call, form, account, to))
    except SmsgwError as exc:
        return _form(call, _with_error(call, form, exc))
    return call.render(
        "sending/confirm.html",
        types=names_of(call),
        steps=STEPS,
        step=2,
        form=form,
        to=to,
        account=account,
        effect=effect(explained, english=call.language != DEFAULT, channels=call.portal.context.channel_status()),
        preview=preview(form.sign or account.default_sign, form.content),
        balance=await balance(call.db, account.id),
    )


@route("POST", "/send/quick", Permission.MESSAGE_SEND)
async def submit(call: Call) -> web.StreamResponse:
    """Send; a second press of the button finds the first one's result."""
    form = await _read(call)
    to = recipients(form.to)
    account = _account(call, form)
    if not form.check(to, names_of(call)) or account is None:
        return _form(call, form)
    try:
        result = await call.portal.context.acceptor.send(_request(call, form, account, to))
    except SmsgwError as exc:
        return _form(call, _with_error(call, form, exc))
    if not result.accepted:  # nothing was kept under the form's key, so there is no result to show later
        return _form(call, _with_refusal(form, result))
    if not result.replayed:
        await service.sent(
            call.change(), account.name, batch_id=result.batch_id, accepted=result.accepted, rejected=result.rejected
        )
    return call.redirect("/send/quick/result", account=str(account.id), key=form.key)


@route("GET", "/send/quick/result", Permission.MESSAGE_SEND)
async def result(call: Call) -> web.StreamResponse:
    """What became of every number."""
    return call.render("sending/result.html", steps=STEPS, step=3, **await _result(call))


@route("GET", "/send/quick/result/live", Permission.MESSAGE_SEND, passive=True)
async def live_result(call: Call) -> web.StreamResponse:
    """The part that changes until every message has come to its end."""
    return call.piece("sending/result_live.html", **await _result(call))


async def _read(call: Call) -> SendForm:
    data = await call.request.post()
    return SendForm.read(data)


def _account(call: Call, form: SendForm) -> Account | None:
    """The chosen account, if the person may use it; says so in the form otherwise."""
    account = _allowed_account(call, form.account)
    if account is None:
        form.errors["account"] = Problem(NO_ACCOUNT)
    return account


def _allowed_account(call: Call, text: str) -> Account | None:
    chosen = read_id(text)
    if chosen is None or (call.accounts is not None and chosen not in call.accounts):
        return None
    return call.portal.context.snapshots.current.account(chosen)


def _request(call: Call, form: SendForm, account: Account, to: Recipients) -> SendRequest:
    items = tuple(SendItem(to=f"+{number}", content=form.content, sign=form.sign) for number in to.valid)
    body = json.dumps([account.id, form.type, form.sign, form.content, to.valid], ensure_ascii=False)
    return SendRequest(
        account=account,
        items=items,
        type=MessageType(base_of(call, form.type)),
        kind=kind_in_use(call, form.type),
        origin=Origin.PORTAL,
        submitter=call.actor.label,
        idempotency_key=form.key,
        request_sha256=hashlib.sha256(body.encode()).digest(),
    )


def _with_error(call: Call, form: SendForm, error: SmsgwError) -> SendForm:
    """Show a refusal at the field it belongs to."""
    place = FIELD_OF_CODE.get(error.code.partition("_")[0], "account")
    if error.detail.get("field") in ("to", "sign", "content"):
        place = error.detail["field"]
    form.tell(place, _message(call, error.code, error.detail))
    return form


def _with_refusal(form: SendForm, result: SendResult) -> SendForm:
    """Nobody gets anything: say why at the field that can be changed."""
    first = next((item for item in result.items if item.message_id), None)
    if first is None:
        form.errors["to"] = Problem(NO_NUMBER)
    else:
        place = FIELD_OF_CODE.get((first.code or "").partition("_")[0], "account")
        form.tell(place, first.message or "")
    return form


def _message(call: Call, code: str, detail: Mapping[str, Any] | None = None) -> str:
    return message_of(code, dict(detail or {}), english=call.language != DEFAULT)


def _preview_values(call: Call, form: SendForm) -> dict[str, Any]:
    account = _allowed_account(call, form.account)
    sign = form.sign or (account.default_sign if account else "")
    to = recipients(form.to)
    counted = counted_text(call, sign, form.content, account, base_of(call, form.type))
    return {
        "to": to,
        "counted": counted,
        "price": counted.price(len(to.valid)),
        "limit": MAX_RECIPIENTS,
        "max_content": MAX_CONTENT,
    }


def _form(call: Call, form: SendForm) -> web.Response:
    accounts = call.portal.context.snapshots.current.accounts()
    accounts = [a for a in accounts if a.status == "active" and (call.accounts is None or a.id in call.accounts)]
    return call.render(
        "sending/send.html",
        status=422 if form.errors else 200,
        steps=STEPS,
        step=1,
        form=form,
        accounts=accounts,
        types=names_of(call),
        **_preview_values(call, form),
    )


async def _result(call: Call) -> dict[str, Any]:
    """The stored answer of the sending, each number with its message as it is now."""
    account = _allowed_account(call, call.request.query.get("account", ""))
    answer = account and await queries.answer_of(call.db, account.id, call.request.query.get("key", ""))
    if not account or not answer:
        raise web.HTTPNotFound
    first = msgspec.json.decode(answer, type=SendResult)
    batch_id = int(first.batch_id)
    messages = await _batch(call, account.id, batch_id)
    lines = []
    for item in first.items:
        message = messages.get(int(item.message_id)) if item.message_id else None
        reason = item.message or "" if call.language == DEFAULT else _message(call, item.code) if item.code else ""
        lines.append(Line(normalize(item.to), message, message.status if message else item.status, reason))
    tally = Counter(line.status for line in lines)
    return {
        "batch_id": batch_id,
        "lines": lines,
        "tally": [(status, tally[status]) for status in words.STATUS if tally[status]],
        "final": all(line.status in words.FINAL_STATUSES for line in lines),
    }


async def _batch(call: Call, account: int, batch_id: int) -> dict[int, MessageView]:
    """All messages of a call: at most 1,000, two pages."""
    found: dict[int, MessageView] = {}
    before: int | None = None
    while len(found) < MAX_RECIPIENTS:
        page = await queries.search(
            call.db, accounts=(account,), batch_id=batch_id, before_id=before, limit=queries.MAX_PAGE, now=clock.now()
        )
        found |= {message.id: message for message in page}
        if len(page) < queries.MAX_PAGE:
            break
        before = page[-1].id
    return found
