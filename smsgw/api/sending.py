"""``POST /messages``, ``/messages/batch`` and ``/messages/explain``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from smsgw.api import decode
from smsgw.api.context import Call
from smsgw.api.route import Route
from smsgw.api.shapes import (
    MAX_NUMBERS,
    CallbackUrl,
    ClientRef,
    Ext,
    ExtendCode,
    Id,
    Number,
    Params,
    Request,
    Sign,
    Text,
)
from smsgw.api.values import FIRST_TIME, LAST_TIME, id_of
from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid, Refused
from smsgw.core.fallback import Chain, Follow
from smsgw.core.model import MessageType, Origin
from smsgw.core.words import phrase
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest, SendResult
from smsgw.platform.scenarios import queries as scenarios
from smsgw.platform.scenarios.model import fixed
from smsgw.web.envelope import AllRejected


class Dedupe(Request):
    """What counts as the same, and for how long."""

    window_s: Annotated[int, Meta(ge=1, le=86_400, description="Seconds.")] = 60
    by: Annotated[Literal["content"], Meta(description="What is compared: the text.")] = "content"


class _Common(Request):
    """What both send calls share. The fields typed ``None`` belong to the contract but not to this server yet:
    null (or empty) is accepted, anything else is refused by name."""

    kind: Annotated[Literal["sms"], Meta(description="Kind of message.")] | None = "sms"
    sign: Sign | None = None
    type: (
        Annotated[MessageType, Meta(description="Decides the priority lane; else the scenario's, or notice.")] | None
    ) = None
    scenario_id: (
        Annotated[Id, Meta(description="A scenario, which decides about type, signature, template, time and validity.")]
        | None
    ) = None
    client_ref: ClientRef | None = None
    ext: Ext | None = None
    extend_code: ExtendCode | None = None
    send_at: Annotated[datetime, Meta(tz=True, description="Not before; ISO 8601 with zone.")] | None = None
    expire_at: (
        Annotated[datetime, Meta(tz=True, description="Not written to a carrier after this.")] | None
    ) = None
    report: bool | None = True
    dry_run: Annotated[bool, Meta(description="Send nothing; explain what would happen.")] | None = False
    template_id: Annotated[Id, Meta(description="An approved template, instead of content.")] | None = None
    params: Params | None = None
    link: None = None
    fallback: Annotated[list[None], Meta(max_length=0)] | None = None
    callback_url: CallbackUrl | None = None
    emergency: (
        Annotated[bool, Meta(description="Before everything else; key and account need the right.")] | None
    ) = False
    dedupe: Annotated[Dedupe, Meta(description="Do not send the same text to a number again.")] | None = None
    channel_hint: None = None


class SendBody(_Common, kw_only=True):
    """The same text to 1-1000 numbers."""

    to: Annotated[list[Number], Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_NUMBERS})]
    content: Text | None = None


class BatchItem(Request):
    """One personalised message; what it leaves out comes from the top level."""

    to: Number
    content: Text | None = None
    sign: Sign | None = None
    client_ref: ClientRef | None = None
    ext: Ext | None = None
    extend_code: ExtendCode | None = None
    params: Params | None = None


class BatchBody(_Common, kw_only=True):
    """1-1000 messages with a text of their own."""

    items: Annotated[list[BatchItem], Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_NUMBERS})]
    content: Text | None = None


class SentItem(msgspec.Struct, omit_defaults=True):
    """What became of one number. ``message_id`` is absent when it was refused."""

    to: str
    status: str
    parts: int
    message_id: str | None = None
    code: str | None = None
    message: str | None = None


class Sent(msgspec.Struct):
    """The answer to a send call; it is given only after everything accepted is durable."""

    batch_id: str
    accepted: int
    rejected: int
    items: list[SentItem]


class Explained(msgspec.Struct):
    """The answer to a dry run: one object a number, nothing was sent."""

    items: list[dict[str, Any]]


async def send(call: Call) -> Sent | Explained:
    """``POST /messages``."""
    return await _send(call, call.body, _from_send)


async def send_batch(call: Call) -> Sent | Explained:
    """``POST /messages/batch``."""
    return await _send(call, call.body, _from_batch)


async def explain(call: Call) -> Explained:
    """``POST /messages/explain``."""
    obeying, _ = await _obeying(call, call.body)
    return await _explain(call, _from_send(call, obeying))


Body = TypeVar("Body", SendBody, BatchBody)


async def _obeying(call: Call, body: Body) -> tuple[Body, Chain | None]:
    """The call as its scenario has it, and what follows its messages: what that fixes may be left out, and is refused
    when it says something else."""
    if body.scenario_id is None:
        return body, None
    scenario = await scenarios.wanted(call.ctx.db, id_of(body.scenario_id) or 0, call.account.id)
    terms = scenario.terms
    items: list[tuple[int, BatchItem]] = []
    if isinstance(body, BatchBody):
        items = list(enumerate(body.items))
    if terms.template_id is not None:
        for field, content in (("content", body.content), *((f"items[{n}].content", i.content) for n, i in items)):
            if content is not None:
                said = phrase("scenario.template", id=terms.template_id)
                raise Invalid("PARAM_INVALID", field=field, reason=said)
    for n, item in items:
        for field, own in (("sign", terms.sign), ("extend_code", terms.extend_code)):
            fixed(f"items[{n}].{field}", getattr(item, field), own)
    now = datetime.fromtimestamp(call.ctx.clock(), UTC)
    begins = terms.opens(body.send_at or now)
    template = fixed("template_id", body.template_id, None if terms.template_id is None else str(terms.template_id))
    obeying = msgspec.structs.replace(
        body,
        type=fixed("type", body.type, terms.type),
        sign=fixed("sign", body.sign, terms.sign),
        template_id=template,
        extend_code=fixed("extend_code", body.extend_code, terms.extend_code),
        send_at=begins if begins > (body.send_at or now) else body.send_at,
        expire_at=terms.ends(begins, body.expire_at),
    )
    return obeying, terms.fallback


async def _send(call: Call, body: Body, made: Callable[[Call, Body], SendRequest]) -> Sent | Explained:
    try:
        obeying, chain = await _obeying(call, body)
        request = made(call, obeying)
        if chain is not None:
            values = tuple([item.params or {} for item in request.items])
            request = replace(request, follow=Follow(chain, values=values))
    except Invalid as refusal:
        if body.scenario_id is None or body.dry_run:
            raise
        # A scenario may have changed since an accepted call that this one repeats.
        same = made(call, msgspec.structs.replace(body, content=body.content or "-"))
        return _sent(await call.ctx.acceptor.again(same, refusal), call)
    if body.dry_run:
        return await _explain(call, request)
    return _sent(await call.ctx.acceptor.send(request), call)


async def _explain(call: Call, request: SendRequest) -> Explained:
    call.status = 200
    lines = await call.ctx.acceptor.explain(request)
    for line in lines:
        if isinstance(rules := line.get("rules"), list):  # those made for other accounts are not named
            line["rules"] = [rule for rule in rules if rule["miss"] != "account"]
    return Explained(lines)


def _sent(result: SendResult, call: Call) -> Sent:
    english = call.english
    if result.replayed:
        call.headers["Idempotent-Replayed"] = "true"
    items = [
        SentItem(i.to, i.status, i.parts, i.message_id, i.code, (english and i.message_en) or i.message)
        for i in result.items
    ]
    sent = Sent(result.batch_id, result.accepted, result.rejected, items)
    if not result.accepted and items:
        first = result.items[0]
        raise AllRejected(first.code or "NUMBER_INVALID", first.message or "", first.message_en or "", sent)
    return sent


def _from_send(call: Call, body: SendBody) -> SendRequest:
    to = body.to
    if not to:
        raise Invalid("TO_EMPTY")
    if len(to) > MAX_NUMBERS:
        raise Invalid("TO_TOO_MANY")
    if body.content is None and body.template_id is None:
        raise Invalid("PARAM_MISSING", field="content")
    content, ref = body.content or "", body.client_ref or ""
    ext, code, sign = body.ext or "", body.extend_code or "", body.sign or ""
    made = (id_of(body.template_id) or 0, body.params)
    if len(to) == 1:
        return _request(call, body, (SendItem(to[0], content, ref, ext, code, sign, *made),), "")
    return _request(call, body, tuple([SendItem(n, content, "", ext, code, sign, *made) for n in to]), ref)


def _from_batch(call: Call, body: BatchBody) -> SendRequest:
    if not body.items:
        raise Invalid("TO_EMPTY")
    if len(body.items) > MAX_NUMBERS:
        raise Invalid("TO_TOO_MANY")
    items = []
    template_id = id_of(body.template_id) or 0
    for index, item in enumerate(body.items):
        content = body.content if item.content is None else item.content
        if content is None and body.template_id is None:
            raise Invalid("PARAM_MISSING", field=f"items[{index}].content")
        items.append(
            SendItem(
                item.to,
                content or "",
                item.client_ref or "",
                (body.ext if item.ext is None else item.ext) or "",
                (body.extend_code if item.extend_code is None else item.extend_code) or "",
                (body.sign if item.sign is None else item.sign) or "",
                template_id,
                body.params if item.params is None else item.params,
            )
        )
    return _request(call, body, tuple(items), body.client_ref or "")


def _request(
    call: Call, body: SendBody | BatchBody, items: tuple[SendItem, ...], batch_client_ref: str
) -> SendRequest:
    if body.report is False:
        raise decode.not_available("report")
    for field, at in (("send_at", body.send_at), ("expire_at", body.expire_at)):
        if at is not None and not FIRST_TIME <= at <= LAST_TIME:
            raise Invalid("TIME_INVALID", reason=phrase("time.range", field=field))
    key = call.key
    if body.emergency and "emergency" not in key.scopes:
        raise Refused("SCOPE_DENIED", scope="emergency")
    return SendRequest(
        account=call.account,
        items=items,
        type=body.type or MessageType.NOTICE,
        origin=Origin.API,
        submitter=ActorLabel(key.key_id),
        idempotency_key=decode.idempotency_key(call.request.headers.get("Idempotency-Key")),
        request_sha256=call.request_sha256,
        nonce=call.nonce,
        send_at=body.send_at,
        expire_at=body.expire_at,
        batch_client_ref=batch_client_ref,
        callback_url=body.callback_url or "",
        test=key.test,
        emergency=body.emergency is True,
        dedupe=body.dedupe.window_s if body.dedupe else 0,
    )


_ERRORS = (
    "TO_EMPTY", "TO_TOO_MANY", "EMERGENCY_DENIED", "NUMBER_INVALID", "CONTENT_EMPTY", "CONTENT_TOO_LONG",
    "SIGN_MISSING", "EXTEND_CODE_INVALID", "TIME_INVALID", "ACCOUNT_STOPPED", "ACCOUNT_NOT_BEGUN", "ACCOUNT_EXPIRED",
    "BALANCE_INSUFFICIENT", "QUOTA_DAY_EXCEEDED", "QUOTA_MONTH_EXCEEDED", "QUOTA_DEPARTMENT_EXCEEDED",
    "STATE_CONFLICT",
    "CLIENT_REF_EXISTS", "NO_ROUTE", "BACKPRESSURE", "STORAGE_UNAVAILABLE",
)  # fmt: skip

ROUTES = (
    Route("POST", "/messages", "send", send, "Send the same text to up to 1,000 numbers",
          Sent | Explained, SendBody, status=202, errors=_ERRORS, idempotent=True, keeps_answer=True,
          keeps_nonce=True),
    Route("POST", "/messages/batch", "send", send_batch, "Send up to 1,000 personalised texts",
          Sent | Explained, BatchBody, status=202, errors=_ERRORS, idempotent=True, keeps_answer=True,
          keeps_nonce=True),
    Route("POST", "/messages/explain", "send", explain, "Say what a send would do, and send nothing",
          Explained, SendBody, errors=_ERRORS),
)  # fmt: skip
