"""The control socket: HTTP over a unix socket in the data directory, for ``smsgwctl`` (mode 0600, so root and us).

What must reach a running daemon goes here; what is configuration goes through the database and reaches every node.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from aiohttp import web

from smsgw import __version__
from smsgw.channels.wire.recording import MAX_BYTES, MAX_SECONDS
from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, SmsgwError, http_status
from smsgw.core.model import MessageType, Origin
from smsgw.core.report_ids import Spelling
from smsgw.core.words import english_of, phrase
from smsgw.node import content_control, operators, task_control
from smsgw.node.operators import ACTOR
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.accounts import queries as account_queries
from smsgw.platform.change import Change
from smsgw.platform.channels import queries as channel_queries
from smsgw.platform.channels import service as channel_service
from smsgw.platform.messages import service as message_service
from smsgw.platform.webhooks import service as webhook_service
from smsgw.runtime.sparing import Sparing
from smsgw.store.records import audit
from smsgw.web.listening import longest

if TYPE_CHECKING:

    from smsgw.node.build import Node

log = structlog.get_logger(__name__)
sparing = Sparing(log)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

WRITE_TIMEOUT = 10.0
"""Seconds that the reader of a stream may take for a piece."""


def _json(data: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(data), status=status, content_type="application/json")


_PEER = struct.Struct("iII")  # struct ucred of unix(7): process, user, group


def _peer_of(request: web.Request) -> tuple[int, int] | None:
    """Process and user at the other end, as the kernel knows them; None when nobody is there any more."""
    if request.transport is None:
        return None
    with socket.socket(fileno=os.dup(request.transport.get_extra_info("socket").fileno())) as own:
        process, user, _ = _PEER.unpack(own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return process, user


@web.middleware
async def only_ours(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Root and our own user alone are served, whatever has become of the rights of socket and folder."""
    peer = _peer_of(request)
    if peer is None or peer[1] not in (0, os.geteuid()):
        user = None if peer is None else peer[1]
        sparing.warning("control.stranger", user, user=user)
        return _json({"code": "FORBIDDEN", "message": "only root and the user that runs smsgw may"}, 403)
    request[ACTOR] = await asyncio.to_thread(operators.actor, *peer)
    return await handler(request)


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        async with asyncio.timeout(longest(request.content_length or 0)):
            await request.read()  # and kept for the handler
    except TimeoutError:
        return _json({"code": "REQUEST_TIMEOUT", "message": "the request did not come"}, 408)
    try:
        return await handler(request)
    except SmsgwError as exc:
        return _json({"code": exc.code, "message": str(exc)}, http_status(exc.code))
    except Exception as exc:  # the last net: whoever asked must hear of it
        log.exception("control.failed", path=request.path)
        return _json({"code": "INTERNAL", "message": f"{type(exc).__name__}: see the daemon's log"}, 500)


async def follow_now(node: Node) -> None:
    """Take up at once what was changed in the database."""
    await node.channels.follow_now()
    await node.partners.reload()
    await node.lists.follow()
    await node.lists.judge()
    await node.numbers.step()


def application(node: Node) -> web.Application:
    """The application behind the socket."""

    async def status(_: web.Request) -> web.Response:
        ready, checks = node.health.ready()
        return _json(
            {
                "version": __version__,
                "node": node.settings.node.number,
                "nodes": node.heartbeat.live,
                "ready": ready,
                "checks": checks,
                "urls": node.urls,
                "waiting": {"accept": node.acceptor.waiting, "outcomes": node.outcomes.waiting},
                "channels": [
                    asdict(s) | {"report_ids": str(node.outcomes.report_ids.spelling(s.id) or "")}
                    for s in node.channels.status()
                ],
                "partners": node.partners.status(),
                "alarms": [
                    {**asdict(a), "detail": english_of(a.detail), "detail_zh": str(a.detail)}
                    for a in node.alarms.standing
                ],
            }
        )

    async def reload(_: web.Request) -> web.Response:
        await follow_now(node)
        return _json({})

    async def send(request: web.Request) -> web.Response:
        result = await node.acceptor.send(_send_request(node, await request.json(), request[ACTOR]))
        return _json(result)

    async def explain(request: web.Request) -> web.Response:
        lines = await node.acceptor.explain(_send_request(node, await request.json(), request[ACTOR]))
        return _json({"items": lines, "channels": [asdict(s) for s in node.channels.status()]})

    async def resolve(request: web.Request) -> web.Response:
        body = await request.json()
        changed = await message_service.resolve(
            Change(node.database, request[ACTOR]), node.outcomes, int(body["message_id"]), int(body.get("part", 0)),
            body["decision"],
        )  # fmt: skip
        return _json({"parts": changed})

    async def cancel(request: web.Request) -> web.Response:
        body = await request.json()
        if batch_id := int(body.get("batch_id", 0)):
            done = await node.cancelling.batch(batch_id, request[ACTOR])
            return _json({"messages": done.messages, "cancelled": done.cancelled})
        await node.cancelling.message(int(body["message_id"]), request[ACTOR])
        return _json({"messages": 1, "cancelled": 1})

    async def rematch(request: web.Request) -> web.Response:
        body = await request.json()
        channel_id = None
        if body.get("channel"):
            channel_id = await channel_queries.id_of(node.database, body["channel"])
        if body.get("mode"):
            if channel_id is None:
                raise Invalid("PARAM_INVALID", field="mode", reason=phrase("probe.channel_too"))
            change = Change(node.database, request[ACTOR])
            await channel_service.set_spelling(change, channel_id, Spelling(body["mode"]))
            await node.channels.follow_now()
        return _json({"matched": await node.outcomes.rematch(channel_id)})

    async def retry_facts(request: web.Request) -> web.Response:
        body = await request.json()
        change = Change(node.database, request[ACTOR])
        applied, refused = await channel_service.retry_facts(change, node.outcomes, body.get("ids"))
        return _json({"applied": applied, "refused": refused})

    async def record(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        channel = node.channels.channel(body["channel"])
        seconds = min(max(float(body["seconds"]), 1.0), MAX_SECONDS)
        size = min(max(int(body["max_bytes"]), 1024), MAX_BYTES)
        async with contextlib.aclosing(channel.record(seconds=seconds, max_bytes=size)) as pieces:
            first = await anext(pieces)  # what stands against it is said before the answer has begun
            await audit.record(
                node.database, request[ACTOR].author, "channel.record", f"channel/{channel.spec.id}",
                after={"seconds": seconds},
            )  # fmt: skip
            response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
            await response.prepare(request)
            await response.write(first)
            with contextlib.suppress(
                ConnectionError, TimeoutError
            ):  # whoever asked has gone: the recording is over
                async for piece in pieces:
                    if request.transport is None:
                        break
                    if piece:
                        async with asyncio.timeout(WRITE_TIMEOUT):
                            await response.write(piece)
            return response

    async def test_webhook(request: web.Request) -> web.Response:
        body = await request.json()
        account_id = await account_queries.id_of(node.database, body["account"])
        answer = await webhook_service.send_sample(
            request[ACTOR], node.snapshots, node.pusher, account_id, body["name"]
        )
        return _json(answer)

    async def review(request: web.Request) -> web.Response:
        body = await request.json()
        parts = await node.reviewing.decide(
            Change(node.database, request[ACTOR], ids=node.ids.next),
            int(body["batch_id"]),
            passes=body["passes"] is True,
            reason=body.get("reason", ""),
        )
        return _json({"parts": parts})

    app = web.Application(middlewares=[only_ours, _errors])
    task_control.add(app, node)
    content_control.add(app, node)
    app.router.add_get("/status", status)
    app.router.add_post("/reload", reload)
    app.router.add_post("/send", send)
    app.router.add_post("/explain", explain)
    app.router.add_post("/unknown/resolve", resolve)
    app.router.add_post("/review", review)
    app.router.add_post("/cancel", cancel)
    app.router.add_post("/webhooks/test", test_webhook)
    app.router.add_post("/reports/rematch", rematch)
    app.router.add_post("/facts/retry", retry_facts)

    async def probe(request: web.Request) -> web.Response:
        body = await request.json()
        change = Change(node.database, request[ACTOR])
        message_id = await channel_service.probe(change, node.channels, body["channel"], body["number"])
        return _json({"message_id": str(message_id)})

    app.router.add_post("/channels/record", record)
    app.router.add_post("/channels/probe", probe)
    return app


def _send_request(node: Node, body: dict[str, Any], actor: Actor) -> SendRequest:
    account = node.snapshots.current.account_by_name(body["account"])
    if account is None:
        raise Invalid("PARAM_INVALID", field="account", reason=phrase("account.none", name=body["account"]))
    items = tuple(SendItem(to=to, content=body["text"], sign=body.get("sign", "")) for to in body["to"])
    return SendRequest(
        account=account,
        items=items,
        type=MessageType(body.get("type", "notice")),
        origin=Origin.CLI,
        submitter=actor.label,
        emergency=body.get("emergency") is True,
    )
