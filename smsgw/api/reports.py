"""Pulling reports and inbound messages, and acknowledging what was pulled."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import Id, Request
from smsgw.api.values import dated
from smsgw.pipeline.delivery import pulling
from smsgw.pipeline.events import OTHERS

MAX_WAITING = 16
"""Long polls of one key that may wait at the same time; further ones are answered at once."""
LINGER_S = 0.05
"""After the first event of a long poll others may join it, so that a busy account is not served one by one."""
WAIT_STEP_S = 2.0
"""A long poll looks again at least this often, so that a missed ring or a shutdown costs little."""


class PullBody(Request):
    """How many events to take, and how long to wait for the first."""

    limit: Annotated[int, Meta(ge=1, le=500, description="Events at most.")] | None = 500
    wait_s: Annotated[int, Meta(ge=0, le=20, description="Long poll: seconds to wait.")] | None = 0


class AckBody(Request):
    """The batch to acknowledge."""

    batch: Id


class Pulled(msgspec.Struct):
    """Events, held for this caller until acknowledged or 60 s have passed. ``batch`` is null when empty."""

    batch: str | None
    items: list[dict[str, Any]]
    more: bool


class Acknowledged(msgspec.Struct):
    """How many events this call has put away; 0 when the batch was acknowledged before or has lapsed."""

    acknowledged: int


async def pull_reports(call: Call) -> Pulled:
    """``POST /reports/pull``."""
    return await _pull(call, "report")


async def pull_mo(call: Call) -> Pulled:
    """``POST /mo/pull``."""
    return await _pull(call, "mo")


async def pull_others(call: Call) -> Pulled:
    """``POST /events/pull``."""
    return await _pull(call, OTHERS)


async def ack_others(call: Call) -> Acknowledged:
    """``POST /events/ack``."""
    return await _ack(call, OTHERS)


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
            if await call.ctx.hub.wait(call.account.id, kind, min(left, WAIT_STEP_S)):
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
    ctx = call.ctx
    batch, items, more = await pulling.take(
        ctx.db, ctx.pull_heads, ctx.snapshots.current.hooks, call.account.id, kind, limit, ids=ctx.ids,
        tests=call.pulled,
    )  # fmt: skip
    return Pulled(None if batch is None else str(batch), dated(items), more)


async def _ack(call: Call, kind: str) -> Acknowledged:
    body: AckBody = call.body
    batch, test = int(body.batch), call.named
    return Acknowledged(await pulling.acknowledge(call.ctx.db, call.account.id, kind, batch, test=test))


ROUTES = (
    Route("POST", "/reports/pull", "report", pull_reports, "Take delivery reports",
          Pulled, PullBody, errors=STORAGE),
    Route("POST", "/reports/ack", "report", ack_reports, "Acknowledge a batch of delivery reports",
          Acknowledged, AckBody, errors=STORAGE),
    Route("POST", "/mo/pull", "mo", pull_mo, "Take inbound messages",
          Pulled, PullBody, errors=STORAGE),
    Route("POST", "/mo/ack", "mo", ack_mo, "Acknowledge a batch of inbound messages",
          Acknowledged, AckBody, errors=STORAGE),
    Route("POST", "/events/pull", "report", pull_others, "Take events other than reports and inbound messages",
          Pulled, PullBody, errors=STORAGE),
    Route("POST", "/events/ack", "report", ack_others, "Acknowledge a batch of such events",
          Acknowledged, AckBody, errors=STORAGE),
)  # fmt: skip
