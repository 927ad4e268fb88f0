"""Tasks on the control socket: what ``smsgwctl task`` asks of the node."""

from __future__ import annotations

import asyncio
import shutil
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from smsgw.core import moments
from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid
from smsgw.core.kinds import resolve
from smsgw.core.model import Origin
from smsgw.core.words import phrase
from smsgw.node.operators import ACTOR
from smsgw.platform.audience import service as audience
from smsgw.platform.campaigns.files import MAX_SIZE
from smsgw.platform.campaigns.model import STATES, TaskSpec, TaskView
from smsgw.platform.campaigns.outcome import Clicks
from smsgw.platform.campaigns.uploads import Upload
from smsgw.platform.change import Change
from smsgw.platform.review import queries as review_queries

if TYPE_CHECKING:
    from smsgw.node.parts import Node


def add(app: web.Application, node: Node) -> None:
    """Add the paths."""

    async def create(request: web.Request) -> web.Response:
        body = await request.json()
        account = node.snapshots.current.account_by_name(body["account"])
        if account is None:
            raise Invalid("PARAM_INVALID", field="account", reason=phrase("account.none", name=body["account"]))
        upload_id = None
        if body.get("file"):
            upload_id = (await take(node, account.id, Path(body["file"]), request[ACTOR])).id
        base, kind = resolve(node.snapshots.current.kinds, body["type"]) if body.get("type") else (None, None)
        change = Change(node.database, request[ACTOR], ids=node.ids.next)
        task, _ = await node.tasks.create(
            change,
            TaskSpec(
                account, body["name"], body.get("text") or "", Origin.CLI, request[ACTOR].label,
                to=tuple(body.get("to", ())),
                upload_id=upload_id, audience_id=await _audience(node, account.id, body.get("audience")),
                template_id=body.get("template"), params=body.get("params", {}),
                callback_url=body.get("callback_url") or "",
                phone=body.get("phone"), variables=body.get("variables", {}),
                type=base, kind=kind, sign=body.get("sign", ""),
                send_at=_time(body.get("send_at")), expire_at=_time(body.get("expire_at")),
                windows=body.get("windows", ()), recurring=body.get("recurring"), rate=body.get("rate", 0),
                steps=body.get("steps"), fallback=body.get("fallback"),
                frequency=body.get("frequency"), prefer=body.get("prefer", ""), link_id=body.get("link"),
                emergency=body.get("emergency") is True, review=body.get("review", False),
                client_ref=body.get("client_ref", ""),
            ),
        )  # fmt: skip
        return _json(view_of(await node.tasks.get(task.id, accounts=None)))

    async def command(request: web.Request) -> web.Response:
        body = await request.json()
        task_id = int(body["task"])
        change = Change(node.database, request[ACTOR], ids=node.ids.next)
        verb = request.match_info["verb"]
        if verb in ("pause", "resume", "release", "cancel"):
            await getattr(node.tasks, verb)(change, task_id)
        elif verb in ("pass", "reject"):
            asked = await review_queries.of_task(node.database, task_id) or task_id
            await node.reviewing.decide(change, asked, passes=verb == "pass", reason=body.get("reason", ""))
        elif verb != "show":
            raise web.HTTPNotFound
        view = await node.tasks.get(task_id, accounts=None)
        clicks = await node.tasks.clicks.of(view.task) if verb == "show" else None
        return _json(view_of(view) | ({"clicks": clicks._asdict()} if isinstance(clicks, Clicks) else {}))

    app.router.add_post("/tasks", create)
    app.router.add_post("/tasks/{verb}", command)


async def _audience(node: Node, account_id: int, name: str | None) -> int | None:
    """The audience of that name."""
    if not name:
        return None
    known = {a.name: a.id for a in await audience.audiences(node.database, account_id)}
    if name not in known:
        raise Invalid("PARAM_INVALID", field="audience", reason=phrase("audience.none", name=name))
    return known[name]


async def take(node: Node, account_id: int, path: Path, actor: Actor) -> Upload:
    """A copy of a file of this machine."""
    try:
        size = (await asyncio.to_thread(path.stat)).st_size
    except OSError as exc:
        raise Invalid("FILE_INVALID", reason=f"{path}: {exc.strerror}") from exc
    files = node.tasks.files
    incoming = await files.receive(account_id, min(size, MAX_SIZE + 1), path.name)
    try:
        await asyncio.to_thread(shutil.copyfile, path, incoming.path)
    except BaseException:
        files.store.drop(incoming)
        raise
    return await files.keep(incoming, actor.label)


def view_of(view: TaskView) -> dict[str, Any]:
    """A task for people at the command line."""
    task, progress = view.task, view.progress
    return {
        "task": str(task.id), "name": task.name, "state": task.state, "state_name": str(STATES[task.state]),
        "reason": task.reason, "detail": task.detail, "account_id": task.account_id,
        "type": task.message_kind or task.type,
        "rate": task.rate, "steps": task.steps, "stages": task.stages, "frequency": task.frequency,
        "fallback": task.fallback,
        "link_id": None if task.link_id is None else str(task.link_id),
        "prefer": task.prefer, "emergency": task.emergency, "send_at": task.send_at, "next_at": task.next_at,
        "run": task.run, "total": task.total, "valid": task.valid, "problems": task.problems,
        "pending": progress.pending, "counts": progress.statuses, "done": progress.done,
        "created_at": task.created_at, "started_at": task.started_at, "ended_at": task.ended_at,
        "submitter": task.submitter,
    }  # fmt: skip


def _time(text: str | None) -> datetime | None:
    return None if text is None else moments.iso(text)


def _json(data: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(data), content_type="application/json")
