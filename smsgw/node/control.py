"""The control socket: HTTP over a unix socket in the data directory, for ``smsgwctl`` (mode 0600, so root and us).

What must reach a running daemon goes here; what is configuration goes through the database and reaches every node.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec
import structlog
from aiohttp import web

from smsgw import __version__
from smsgw.channels.wire.recording import MAX_BYTES, MAX_SECONDS
from smsgw.core.actor import Actor, ActorLabel
from smsgw.core.errors import Invalid, SmsgwError, http_status
from smsgw.core.kinds import resolve
from smsgw.core.model import Origin
from smsgw.core.report_ids import Spelling
from smsgw.core.words import english_of, phrase
from smsgw.node import content_control, operators, task_control
from smsgw.node.operators import ACTOR
from smsgw.node.siblings import Lent, Told
from smsgw.node.worker_lookup import watched
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.accounts import queries as account_queries
from smsgw.platform.change import Change
from smsgw.platform.channels import checks, queries as channel_queries, service as channel_service
from smsgw.platform.diagnostics import service as diagnostics
from smsgw.platform.messages import service as message_service, undecided
from smsgw.platform.webhooks import service as webhook_service
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.records import audit
from smsgw.web.listening import longest

if TYPE_CHECKING:
    from smsgw.node.parts import Node

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)
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
        return _json({"code": exc.code, "message": exc.english}, http_status(exc.code))
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
                "redis": node.neighbours.status,
                "waiting": {"accept": node.acceptor.waiting, "outcomes": node.outcomes.waiting},
                "channels": [
                    asdict(s) | {"report_ids": str(node.outcomes.report_ids.spelling(s.id) or "")}
                    for s in node.channels.status()
                ],
                "partners": node.partners.status(),
                "workers": node.siblings.told(),
                "alarms": [
                    {**asdict(a), "detail": english_of(a.detail), "detail_zh": str(a.detail)}
                    for a in node.alarms.standing
                ],
            }
        )

    async def worker_channels(_: web.Request) -> web.Response:
        return _json(Told(node.heartbeat.away, tuple(node.channels.status_here())))

    async def worker_probe(request: web.Request) -> web.Response:
        """For another worker, which has seen to rights and records."""
        body = await request.json()
        channel_id, message_id = await node.channels.probe(body["channel"], body["number"])
        return _json({"channel_id": channel_id, "message_id": message_id})

    async def worker_record(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        pieces = node.channels.channel(body["channel"]).record(**_bounds(body))
        return await _streamed(request, pieces, await anext(pieces))

    async def reload(_: web.Request) -> web.Response:
        await asyncio.gather(follow_now(node), node.siblings.reload())
        return _json({})

    async def worker_watch(request: web.Request) -> web.Response:
        body = await request.json()
        return _json(watched(node.watches.of(int(body["channel"]), body["by"])))

    async def worker_lend(request: web.Request) -> web.Response:
        await node.snapshots.lend(msgspec.convert(await request.json(), Lent).key())
        return _json({})

    async def worker_tried(request: web.Request) -> web.Response:
        return _json(node.portal.trying.of(ActorLabel((await request.json())["by"])))

    async def worker_reload(_: web.Request) -> web.Response:
        await follow_now(node)
        return _json({})

    async def send(request: web.Request) -> web.Response:
        result = await node.acceptor.send(_send_request(node, await request.json(), request[ACTOR]))
        return _json(result)

    async def explain(request: web.Request) -> web.Response:
        lines = await node.acceptor.explain(_send_request(node, await request.json(), request[ACTOR]))
        return _json({"items": lines, "channels": [asdict(s) for s in node.channels.status()]})

    async def diagnose(request: web.Request) -> web.Response:
        octets = await diagnostics.take(Change(node.database, request[ACTOR]), node.bundles)
        return web.Response(body=octets, content_type="application/zip")

    async def resolve(request: web.Request) -> web.Response:
        body = await request.json()
        changed = await message_service.resolve(
            Change(node.database, request[ACTOR]), node.outcomes, int(body["message_id"]), int(body.get("part", 0)),
            body["decision"],
        )  # fmt: skip
        return _json({"parts": changed})

    async def decide_restored(request: web.Request) -> web.Response:
        body = await request.json()
        of = undecided.which(str(body.get("account", "")), body.get("was", []), body.get("lanes", []))
        done = await undecided.decide(
            Change(node.database, request[ACTOR]), node.outcomes, node.fleet, node.lists, of, body["decision"],
            after=int(body.get("after", 0)), extend=timedelta(seconds=float(body.get("extend_s", 0))),
        )  # fmt: skip
        return _json(asdict(done))

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
        channel_id = await channel_queries.id_of(node.database, body["channel"])
        channel = node.anywhere.channel(body["channel"])
        bounds = _bounds(body)
        async with contextlib.aclosing(channel.record(**bounds)) as pieces:
            first = await anext(pieces)  # what stands against it is said before the answer has begun
            await audit.record(
                node.database, request[ACTOR].author, "channel.record", f"channel/{channel_id}",
                after={"seconds": bounds["seconds"]},
            )  # fmt: skip
            return await _streamed(request, pieces, first)

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
    app.router.add_get("/worker/channels", worker_channels)
    app.router.add_post("/worker/reload", worker_reload)
    app.router.add_post("/worker/watch", worker_watch)
    app.router.add_post("/worker/lend", worker_lend)
    app.router.add_post("/worker/tried", worker_tried)
    app.router.add_post("/worker/probe", worker_probe)
    app.router.add_post("/worker/record", worker_record)
    app.router.add_post("/reload", reload)
    app.router.add_post("/send", send)
    app.router.add_post("/explain", explain)
    app.router.add_post("/diagnostics", diagnose)
    app.router.add_post("/unknown/resolve", resolve)
    app.router.add_post("/unknown/restored", decide_restored)
    app.router.add_post("/review", review)
    app.router.add_post("/cancel", cancel)
    app.router.add_post("/webhooks/test", test_webhook)
    app.router.add_post("/reports/rematch", rematch)
    app.router.add_post("/facts/retry", retry_facts)

    async def probe(request: web.Request) -> web.Response:
        body = await request.json()
        change = Change(node.database, request[ACTOR])
        message_id = await channel_service.probe(change, node.anywhere, body["channel"], body["number"])
        return _json({"message_id": str(message_id)})

    async def check(request: web.Request) -> web.Response:
        body = await request.json()
        channel_id = await channel_queries.id_of(node.database, body["channel"])
        change = Change(node.database, request[ACTOR])
        login = body.get("login") is True
        id_ = await checks.begin(change, node.portal.checker, node.sealer, channel_id, login=login)
        return _json({"check": id_})

    app.router.add_post("/channels/check", check)
    app.router.add_post("/channels/record", record)
    app.router.add_post("/channels/probe", probe)
    return app


class _Bounds(TypedDict):
    """Of a recording."""

    seconds: float
    max_bytes: int


def _bounds(body: Mapping[str, Any]) -> _Bounds:
    """What is asked for, as far as it is allowed."""
    return _Bounds(
        seconds=min(max(float(body["seconds"]), 1.0), MAX_SECONDS),
        max_bytes=min(max(int(body["max_bytes"]), 1024), MAX_BYTES),
    )


async def _streamed(request: web.Request, pieces: AsyncIterator[bytes], first: bytes) -> web.StreamResponse:
    """Answer with what comes, piece by piece, for as long as somebody reads it."""
    response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
    await response.prepare(request)
    await response.write(first)
    with contextlib.suppress(ConnectionError, TimeoutError):  # whoever asked has gone: the recording is over
        async for piece in pieces:
            if request.transport is None:
                break
            if piece:
                async with asyncio.timeout(WRITE_TIMEOUT):
                    await response.write(piece)
    return response


def _send_request(node: Node, body: dict[str, Any], actor: Actor) -> SendRequest:
    account = node.snapshots.current.account_by_name(body["account"])
    if account is None:
        raise Invalid("PARAM_INVALID", field="account", reason=phrase("account.none", name=body["account"]))
    items = tuple(SendItem(to=to, content=body["text"], sign=body.get("sign", "")) for to in body["to"])
    base, kind = resolve(node.snapshots.current.kinds, str(body.get("type", "notice")))
    return SendRequest(
        account=account,
        items=items,
        type=base,
        kind=kind,
        origin=Origin.CLI,
        submitter=actor.label,
        emergency=body.get("emergency") is True,
    )
