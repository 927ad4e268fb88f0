"""``POST /messages``, ``/messages/batch`` and ``/messages/explain``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, TypeVar

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
    Time,
)
from smsgw.api.values import id_of, in_time
from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid, Refused, SmsgwError, Temporary
from smsgw.core.fallback import Chain, Follow
from smsgw.core.ids import CHINA
from smsgw.core.kinds import resolve
from smsgw.core.model import MessageType, Origin
from smsgw.core.sent_links import NAME, PLACE, LinkCode
from smsgw.core.templates import Template
from smsgw.core.words import phrase
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest, SendResult
from smsgw.platform.links.model import LinkKind, NewLink, Origin as LinkOrigin
from smsgw.platform.links.sending import Codes
from smsgw.platform.scenarios import queries as scenarios
from smsgw.platform.scenarios.model import Sending, apply
from smsgw.web.envelope import AllRejected


class Dedupe(Request):
    """What counts as the same, and for how long."""

    window_s: Annotated[int, Meta(ge=1, le=86_400, description="Seconds.")] = 60
    by: Annotated[Literal["content"], Meta(description="What is compared: the text.")] = "content"


class SentLink(Request):
    """A short link, whose address is put where the text, a value of ``params`` or a template has ``{link}``."""

    placeholder: Annotated[
        str,
        Meta(
            pattern=r"^\S{2,32}$",
            description="What stands in the text or in values of `params` in its place instead of `{link}`.",
        ),
    ] = PLACE

    id: Annotated[Id, Meta(description="A short link of the account that is in force.")] | None = None
    target: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=2000,
                description="Where a link shall lead that is made, or was "
                "made by an earlier call of the same day; the key needs the scope `link`.",
            ),
        ]
        | None
    ) = None
    type: Annotated[
        Literal["personal", "individual", "shared"],
        Meta(
            description="With `target`: a code of its own for each recipient (`individual` says the same), or one for "
            "all."
        ),
    ] = "personal"
    days: Annotated[
        int, Meta(ge=1, le=365, description="With `target`: how many days it leads there, counted from today.")
    ] = 30


class _Common(Request):
    """What both send calls share. The fields typed ``None`` belong to the contract but not to this server yet:
    null (or empty) is accepted, anything else is refused by name."""

    not_available: ClassVar[frozenset[str]] = frozenset({"fallback", "channel_hint", "report"})

    kind: Annotated[Literal["sms"], Meta(description="Kind of message.")] | None = "sms"
    sign: Sign | None = None
    type: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=32,
                description="otp, notice, marketing or a kind of the operator's; decides "
                "the priority lane; else the scenario's, or notice.",
            ),
        ]
        | None
    ) = None
    scenario_id: (
        Annotated[Id, Meta(description="A scenario, which decides about type, signature, template, time and validity.")]
        | None
    ) = None
    client_ref: ClientRef | None = None
    ext: Ext | None = None
    extend_code: ExtendCode | None = None
    send_at: Annotated[Time, Meta(description="Not before; ISO 8601 with zone.")] | None = None
    expire_at: Annotated[Time, Meta(description="Not written to a carrier after this.")] | None = None
    report: bool | None = True
    dry_run: Annotated[bool, Meta(description="Send nothing; explain what would happen.")] | None = False
    template_id: Annotated[Id, Meta(description="An approved template, instead of content.")] | None = None
    params: Params | None = None
    link: SentLink | None = None
    fallback: Annotated[list[None], Meta(max_length=0)] | None = None
    callback_url: CallbackUrl | None = None
    emergency: Annotated[bool, Meta(description="Before everything else; key and account need the right.")] | None = (
        False
    )
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
    link: str | None = None


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
    request, _ = await _linked(call, obeying, _from_send(call, obeying), tried=True)
    return await _explain(call, request)


Body = TypeVar("Body", SendBody, BatchBody)


async def _obeying(call: Call, body: Body) -> tuple[Body, Chain | None]:
    """The call as its scenario has it, and what follows its messages: what that fixes may be left out, and is refused
    when it says something else."""
    for field, at in (("send_at", body.send_at), ("expire_at", body.expire_at)):
        in_time(at, field)
    if body.scenario_id is None:
        return body, None
    terms = (await scenarios.wanted(call.ctx.db, id_of(body.scenario_id) or 0, call.account.id)).terms
    said = Sending(
        resolve(call.ctx.snapshots.current.kinds, body.type)[0] if body.type else None, body.sign,
        id_of(body.template_id), body.extend_code, body.content, body.send_at, body.expire_at,
    )  # fmt: skip
    items = body.items if isinstance(body, BatchBody) else ()
    own = [Sending(sign=i.sign, extend_code=i.extend_code, content=i.content) for i in items]
    found = apply(terms, said, datetime.fromtimestamp(call.ctx.clock(), UTC), own)
    obeying = msgspec.structs.replace(
        body,
        type=body.type or found.type,  # a kind of the scenario's type, or that
        sign=found.sign,
        template_id=None if found.template_id is None else str(found.template_id),
        extend_code=found.extend_code,
        send_at=found.send_at,
        expire_at=found.expire_at,
    )
    return obeying, terms.fallback


async def _send(call: Call, body: Body, made: Callable[[Call, Body], SendRequest]) -> Sent | Explained:
    try:
        obeying, chain = await _obeying(call, body)
        request = made(call, obeying)
    except Invalid as refusal:
        if (body.scenario_id is None and body.type in (None, *MessageType)) or body.dry_run:
            raise
        # A scenario or a kind may have changed since an accepted call that this one repeats.
        same = made(call, msgspec.structs.replace(body, content=body.content or "-", type=None))
        return _sent(await call.ctx.acceptor.again(same, refusal), call)
    codes: Codes | None = None
    if body.link is not None:
        if not body.dry_run and (repeated := await _repeated(call, request)) is not None:
            return _sent(repeated, call)
        request, codes = await _linked(call, obeying, request, tried=bool(body.dry_run))
    if chain is not None:
        values = tuple([_values(item) for item in request.items])
        request = replace(request, follow=Follow(chain, values=values))
    if body.dry_run:
        return await _explain(call, request)
    if codes is None:
        return _sent(await call.ctx.acceptor.send(request), call)
    try:
        result = await call.ctx.acceptor.send(request)
    except SmsgwError as error:
        if error.code not in _MAYBE_STORED:
            await call.ctx.sent_links.give_back(codes, len(request.items))
        raise
    if result.replayed or not any(item.message_id for item in result.items):  # they stand in no message
        await call.ctx.sent_links.give_back(codes, len(request.items))
    return _sent(result, call)


_MAYBE_STORED = frozenset({"STORAGE_UNAVAILABLE", "STORAGE_UNCERTAIN", "INTERNAL"})
"""After which a code is rather lost than given to a second one."""


def _values(item: SendItem) -> Mapping[str, str]:
    """What the chain behind a message knows of it."""
    return dict(item.params or {}) | ({NAME: item.link.address} if item.link is not None else {})


async def _repeated(call: Call, request: SendRequest) -> SendResult | None:
    """The answer of an accepted call that this one repeats: whatever has become of its link, and without further codes
    of it. None: it repeats none, or nobody can say before it is tried."""
    single = request.items[0].client_ref or request.batch_client_ref if len(request.items) == 1 else ""
    if request.idempotency_key is None and not single:
        return None
    first = Temporary("BACKPRESSURE")
    try:
        return await call.ctx.acceptor.again(request, first)
    except Temporary as said:
        if said is not first:
            raise
        return None


async def _linked(
    call: Call, body: SendBody | BatchBody, request: SendRequest, *, tried: bool
) -> tuple[SendRequest, Codes | None]:
    """The call with the link's addresses in its texts, a code for each recipient, and which were taken for it;
    ``tried``: what they would be like. ``LINK_…``, ``PARAM_INVALID``, ``PERMISSION_DENIED``, ``STATE_CONFLICT``."""
    wanted, sent, account, n = body.link, call.ctx.sent_links, call.account, len(request.items)
    if wanted is None:
        return request, None
    taken: Codes | None = None
    if wanted.placeholder != PLACE:
        request = replace(request, items=tuple([_placed(item, wanted.placeholder) for item in request.items]))
    for item in request.items:
        _check_place(call, item, wanted.placeholder)
    now = datetime.fromtimestamp(call.ctx.clock(), UTC)
    if (wanted.id is None) == (wanted.target is None):
        raise Invalid("PARAM_INVALID", field="link", reason=phrase("link.one"))
    if wanted.id is not None:
        id_ = id_of(wanted.id) or 0
        codes = await (sent.samples(account, id_, now) if tried else sent.take(account, id_, n, now))
        given, taken = [codes.at(place) for place in range(n)], None if tried else codes
    else:
        today = now.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
        until = today + timedelta(days=wanted.days + 1)
        link = NewLink(
            account.id, _named(wanted.target or ""), wanted.target or "",
            LinkKind.SHARED if wanted.type == "shared" else LinkKind.PERSONAL, LinkOrigin.API, valid_until=until,
        )  # fmt: skip
        if tried:
            given = [await sent.sample_for_target(link, now)] * n
        else:
            taken = await sent.take_for_target(call.change(), account, link, n, now)
            given = [taken.at(place) for place in range(n)]
    items = [
        replace(item, link=code, content=code.put(item.content), params=_params(call, item, code))
        for item, code in zip(request.items, given, strict=True)
    ]
    return replace(request, items=tuple(items)), taken


def _template(call: Call, item: SendItem) -> Template | None:
    line = (call.account.id, *call.account.above)
    return call.ctx.snapshots.current.policies.book.template(line, item.template_id) if item.template_id else None


def _params(call: Call, item: SendItem, code: LinkCode) -> Mapping[str, str] | None:
    template = _template(call, item)
    if template is not None and NAME in template.variables:
        return code.values(item.params or {})
    return None if item.params is None else {name: code.put(value) for name, value in item.params.items()}


def _placed(item: SendItem, placeholder: str) -> SendItem:
    """With the place of the address as it is written everywhere else."""
    params = None if item.params is None else {n: v.replace(placeholder, PLACE) for n, v in item.params.items()}
    return replace(item, content=item.content.replace(placeholder, PLACE), params=params)


def _check_place(call: Call, item: SendItem, placeholder: str) -> None:
    """``LINK_PLACE_MISSING`` where no address would stand in a text."""
    template = _template(call, item)
    if item.template_id and template is None:
        return  # that is said of it
    said = (item.content, *(item.params or {}).values())
    if not any(PLACE in text for text in said) and (template is None or NAME not in template.variables):
        raise Invalid("LINK_PLACE_MISSING", place=placeholder)


def _named(target: str) -> str:
    """What a link is called that a call has made: where it leads."""
    text = target.partition("://")[2] or target
    return "".join(c if c.isprintable() else "?" for c in text)[:60].strip() or "API"


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
        SentItem(i.to, i.status, i.parts, i.message_id, i.code, (english and i.message_en) or i.message, i.link)
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


def _request(call: Call, body: SendBody | BatchBody, items: tuple[SendItem, ...], batch_client_ref: str) -> SendRequest:
    if body.report is False:
        raise decode.not_available("report")
    key = call.key
    if body.emergency and "emergency" not in key.scopes:
        raise Refused("SCOPE_DENIED", scope="emergency")
    base, kind = resolve(call.ctx.snapshots.current.kinds, body.type or MessageType.NOTICE)
    return SendRequest(
        account=call.account,
        items=items,
        type=base,
        kind=kind,
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
    "LINK_NOT_FOUND", "LINK_NOT_ACTIVE", "LINK_CODES_USED_UP", "LINK_PLACE_MISSING",
    "CLIENT_REF_EXISTS", "NO_ROUTE", "BACKPRESSURE", "STORAGE_UNAVAILABLE", "STORAGE_UNCERTAIN",
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
