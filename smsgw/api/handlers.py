"""The handlers: from a decoded request to a call of the pipeline or the store, and back. No rules live here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from smsgw.api import decode
from smsgw.api.context import Call
from smsgw.api.envelope import AllRejected
from smsgw.api.schema import (
    MAX_NUMBERS,
    AckBody,
    Acknowledged,
    Balance,
    BatchBody,
    Explained,
    Message,
    MessagePage,
    MessageTrace,
    Part,
    Parts,
    PullBody,
    Pulled,
    SearchQuery,
    SendBody,
    Sent,
    SentItem,
    Step,
)
from smsgw.core import numbers
from smsgw.core.errors import CODES, Invalid, Refused, message_of
from smsgw.core.ids import CHINA
from smsgw.core.model import REPORT_CLASSES, MessageType, Origin
from smsgw.core.states import STATUS_ZH
from smsgw.pipeline.accept import SendItem, SendRequest, SendResult
from smsgw.store import accounts, events, messages
from smsgw.store.messages import MessageView, PartView

MAX_ID = 2**63 - 1
_FIRST_TIME = datetime(2024, 1, 1, tzinfo=UTC)
_LAST_TIME = datetime(2090, 1, 1, tzinfo=UTC)
"""The span of the ids (core/ids.py)."""
MAX_WAITING = 16
"""Long polls of one key that may wait at the same time; further ones are answered at once."""
LINGER_S = 0.05
"""After the first event of a long poll others may join it, so that a busy account is not served one by one."""
WAIT_STEP_S = 2.0
"""A long poll looks again at least this often, so that a missed ring or a shutdown costs little."""


async def send(call: Call) -> Sent | Explained:
    """``POST /messages``."""
    return await _send(call, call.body, _from_send(call, call.body))


async def send_batch(call: Call) -> Sent | Explained:
    """``POST /messages/batch``."""
    return await _send(call, call.body, _from_batch(call, call.body))


async def explain(call: Call) -> Explained:
    """``POST /messages/explain``."""
    return _explain(call, _from_send(call, call.body))


async def _send(call: Call, body: SendBody | BatchBody, request: SendRequest) -> Sent | Explained:
    if body.dry_run:
        return _explain(call, request)
    if call.key.test:  # a test key must never reach a real phone
        raise Refused(
            "STATE_CONFLICT",
            reason="测试密钥不能真实发送,请使用 dry_run 或正式密钥",
            reason_en="a test key cannot send; use dry_run or a live key",
        )
    result = await call.ctx.acceptor.send(request)
    if result.replayed:
        call.headers["Idempotent-Replayed"] = "true"
    return _sent(result, call.english)


def _explain(call: Call, request: SendRequest) -> Explained:
    call.status = 200
    return Explained(call.ctx.acceptor.explain(request))


def _sent(result: SendResult, english: bool) -> Sent:
    items = [
        SentItem(i.to, i.status, i.parts, i.message_id, i.code, _item_message(i.code, i.message, english))
        for i in result.items
    ]
    sent = Sent(result.batch_id, result.accepted, result.rejected, items)
    if not result.accepted and items:
        first = result.items[0]
        raise AllRejected(first.code or "NUMBER_INVALID", first.message or "", sent)
    return sent


@lru_cache(maxsize=256)
def _item_message(code: str | None, message: str | None, english: bool) -> str | None:
    """The item's message; in English where the code alone tells all."""
    if english and code in CODES and "{" not in CODES[code][2]:
        return message_of(code, english=True)
    return message


def _from_send(call: Call, body: SendBody) -> SendRequest:
    to = body.to
    if not to:
        raise Invalid("TO_EMPTY")
    if len(to) > MAX_NUMBERS:
        raise Invalid("TO_TOO_MANY")
    if body.content is None:
        raise Invalid("PARAM_MISSING", field="content")
    content, ref = body.content, body.client_ref or ""
    ext, code, sign = body.ext or "", body.extend_code or "", body.sign or ""
    if len(to) == 1:
        return _request(call, body, (SendItem(to[0], content, ref, ext, code, sign),), "")
    return _request(call, body, tuple([SendItem(n, content, "", ext, code, sign) for n in to]), ref)


def _from_batch(call: Call, body: BatchBody) -> SendRequest:
    if not body.items:
        raise Invalid("TO_EMPTY")
    if len(body.items) > MAX_NUMBERS:
        raise Invalid("TO_TOO_MANY")
    items = []
    for index, item in enumerate(body.items):
        content = body.content if item.content is None else item.content
        if content is None:
            raise Invalid("PARAM_MISSING", field=f"items[{index}].content")
        items.append(
            SendItem(
                item.to,
                content,
                item.client_ref or "",
                (body.ext if item.ext is None else item.ext) or "",
                (body.extend_code if item.extend_code is None else item.extend_code) or "",
                (body.sign if item.sign is None else item.sign) or "",
            )
        )
    return _request(call, body, tuple(items), body.client_ref or "")


def _request(
    call: Call, body: SendBody | BatchBody, items: tuple[SendItem, ...], batch_client_ref: str
) -> SendRequest:
    if body.report is False:
        raise decode.not_available("report")
    for field, at in (("send_at", body.send_at), ("expire_at", body.expire_at)):
        if at is not None and not _FIRST_TIME <= at <= _LAST_TIME:
            raise Invalid(
                "TIME_INVALID", reason=f"{field} 超出允许的范围", reason_en=f"{field} is out of range"
            )
    key = call.key
    return SendRequest(
        account=call.account,
        items=items,
        type=body.type or MessageType.NOTICE,
        origin=Origin.API,
        submitter=key.key_id,
        idempotency_key=decode.idempotency_key(call.request.headers.get("Idempotency-Key")),
        request_sha256=call.request_sha256,
        send_at=body.send_at,
        expire_at=body.expire_at,
        batch_client_ref=batch_client_ref,
        billed=not key.test,
    )


async def get_message(call: Call) -> Message:
    """``GET /messages/{id}``."""
    found = await messages.get_message(call.ctx.db, _path_id(call), accounts=(call.account.id,))
    if found is None:
        raise Refused("NOT_FOUND")
    return _message(found)


async def search(call: Call) -> MessagePage:
    """``GET /messages``."""
    query: SearchQuery = call.query
    number = None
    if query.to is not None:
        try:
            number = numbers.normalize(query.to)
        except numbers.InvalidNumber as exc:
            raise Invalid("NUMBER_INVALID") from exc
    found = await messages.search_messages(
        call.ctx.db,
        accounts=(call.account.id,),
        batch_id=_id(query.batch_id),
        client_ref=query.client_ref,
        number=number,
        from_time=_in_span(query.from_time),
        to_time=_in_span(query.to_time),
        status=query.status,
        before_id=_id(query.cursor),
        limit=query.limit,
        now=datetime.fromtimestamp(call.ctx.clock(), UTC),
    )
    cursor = str(found[-1].id) if len(found) == query.limit else None
    return MessagePage([_message(view) for view in found], cursor)


async def trace(call: Call) -> MessageTrace:
    """``GET /messages/{id}/trace``."""
    found = await messages.trace_message(call.ctx.db, _path_id(call), accounts=(call.account.id,))
    if found is None:
        raise Refused("NOT_FOUND")
    steps = [Step(_china(s.at), s.step, s.label, s.part, s.detail) for s in found.steps]
    return MessageTrace(_message(found.message), [_part(p) for p in found.parts], steps)


async def pull_reports(call: Call) -> Pulled:
    """``POST /reports/pull``."""
    return await _pull(call, "report")


async def pull_mo(call: Call) -> Pulled:
    """``POST /mo/pull``."""
    return await _pull(call, "mo")


async def ack_reports(call: Call) -> Acknowledged:
    """``POST /reports/ack``."""
    return await _ack(call, "report")


async def ack_mo(call: Call) -> Acknowledged:
    """``POST /mo/ack``."""
    return await _ack(call, "mo")


async def _pull(call: Call, kind: str) -> Pulled:
    body: PullBody = call.body
    limit = 500 if body.limit is None else body.limit
    pulled = await _take(call, kind, limit)
    key_id, waiting = call.key.key_id, call.ctx.waiting
    if pulled.batch is not None or not body.wait_s or waiting.get(key_id, 0) >= MAX_WAITING:
        return pulled
    loop = asyncio.get_running_loop()
    deadline = loop.time() + body.wait_s
    waiting[key_id] = waiting.get(key_id, 0) + 1
    try:
        while pulled.batch is None and not call.ctx.closing and (left := deadline - loop.time()) > 0:
            if await call.ctx.bell.wait(call.account.id, kind, min(left, WAIT_STEP_S)):
                await asyncio.sleep(min(left, LINGER_S))
            transport = call.request.transport
            if transport is None or transport.is_closing():  # nobody is left to take the batch
                break
            pulled = await _take(call, kind, limit)
    finally:
        waiting[key_id] -= 1
        if not waiting[key_id]:
            del waiting[key_id]
    return pulled


async def _take(call: Call, kind: str, limit: int) -> Pulled:
    batch, items, more = await events.pull_events(call.ctx.db, call.account.id, kind, limit, ids=call.ctx.ids)
    return Pulled(None if batch is None else str(batch), _dated(items), more)


async def _ack(call: Call, kind: str) -> Acknowledged:
    body: AckBody = call.body
    return Acknowledged(await events.ack_events(call.ctx.db, call.account.id, kind, int(body.batch)))


async def get_balance(call: Call) -> Balance:
    """``GET /balance``."""
    found = await accounts.balance(call.ctx.db, call.account.id)
    if found is None:
        raise Refused("NOT_FOUND")
    return Balance(call.account.name, found.balance, found.credit_floor, found.available)


def _message(view: MessageView) -> Message:
    return Message(
        message_id=str(view.id),
        batch_id=str(view.batch_id),
        kind="sms",
        to=view.number,
        type=view.type,
        sign=view.sign,
        content=view.content,
        client_ref=view.client_ref,
        ext=view.ext,
        extend_code=view.extend_code,
        status=view.status,
        class_=view.cls,
        carrier_code=view.code,
        description=REPORT_CLASSES.get(view.cls) or STATUS_ZH[view.status],
        parts=Parts(view.parts, view.parts_ok),
        price=view.price,
        carrier=view.carrier,
        accepted_at=_china(view.accepted_at),
        submitted_at=_china(view.submitted_at),
        done_at=_china(view.done_at),
    )


def _part(view: PartView) -> Part:
    return Part(
        part=view.part,
        status=view.status,
        channel=view.channel_name or "",
        attempt=view.attempt,
        carrier_id=view.carrier_id or "",
        carrier_code=view.code,
        class_=view.cls,
        claimed_at=_china(view.claimed_at),
        answered_at=_china(view.answered_at),
        done_at=_china(view.final_at),
    )


def _path_id(call: Call) -> int:
    text = call.request.match_info["id"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and int(text) <= MAX_ID):
        raise Refused("NOT_FOUND")
    return int(text)


def _id(text: str | None) -> int | None:
    """An id as given; one that cannot exist becomes the largest, which does not."""
    return None if text is None else min(int(text), MAX_ID)


def _in_span(at: datetime | None) -> datetime | None:
    """Ids exist only for a span of years; a time outside it selects all or nothing all the same."""
    return None if at is None else min(max(at, _FIRST_TIME), _LAST_TIME)


def _china(at: Any) -> Any:
    return at.astimezone(CHINA) if isinstance(at, datetime) else at


def _dated(rows: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    """Rows with their times in the time zone of the business."""
    return [{name: _china(value) for name, value in row.items()} for row in rows]
