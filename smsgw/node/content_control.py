"""Drafts, consents and documents on the control socket: what takes the node's files or its engine."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from smsgw.core import moments
from smsgw.core.errors import Invalid, Refused
from smsgw.core.words import phrase
from smsgw.node.operators import ACTOR
from smsgw.node.task_control import take, view_of
from smsgw.platform.campaigns.sheets import letter
from smsgw.platform.change import Change
from smsgw.platform.content import proofs as documents, queries as content
from smsgw.platform.content.model import SIGN
from smsgw.platform.files.model import FileKind, Incoming
from smsgw.platform.lists import consent_import, consents, proofs
from smsgw.platform.lists.consent_import import Plan, Table
from smsgw.platform.lists.consents import Source

if TYPE_CHECKING:
    from smsgw.node.parts import Node


def add(app: web.Application, node: Node) -> None:
    """Add the paths."""

    async def submit(request: web.Request) -> web.Response:
        change = Change(node.database, request[ACTOR], ids=node.ids.next)
        task = await node.surveyor.submit(change, int((await request.json())["draft"]))
        return _json(view_of(await node.tasks.get(task.id, accounts=None)))

    async def bring(request: web.Request) -> web.Response:
        body = await request.json()
        account = node.snapshots.current.account_by_name(body["account"])
        if account is None:
            raise Invalid("PARAM_INVALID", field="account", reason=phrase("account.none", name=body["account"]))
        file = await take(node, account.id, Path(body["file"]), request[ACTOR])
        known = {letter(n): n for n in range(len(file.columns))} | {
            name: n for n, name in reversed(list(enumerate(file.columns)))
        }
        columns = {}
        for key, name in body["columns"].items():
            if name not in known:
                said = phrase("task.no_column", name=name, known=", ".join(file.columns))
                raise Invalid("PARAM_INVALID", field=key, reason=said)
            columns[key] = known[name]
        at, source = body.get("given_at"), body.get("source")
        plan = Plan(
            account.id, columns, None if at is None else moments.iso(at),
            None if source is None else Source(source), body.get("wording", ""), body.get("proof", ""),
        )  # fmt: skip
        table = Table(file.id, file.node, file.name, file.form, file.columns, file.rows)
        id_ = await consent_import.begin(Change(node.database, request[ACTOR]), table, plan)
        node.jobs.wake.set()
        return _json({"import": str(id_), "rows": file.rows})

    async def copied(path: Path, kind: FileKind, account_id: int) -> Incoming:
        store = node.tasks.files.store
        incoming = await store.receive(kind, account_id, await _size(path), path.name)
        try:
            await asyncio.to_thread(shutil.copyfile, path, incoming.path)
        except BaseException:
            store.drop(incoming)
            raise
        return incoming

    async def prove(request: web.Request) -> web.Response:
        body = await request.json()
        id_ = int(body["consent"])
        found = await consents.one(node.database, id_, accounts=None)
        if found is None:
            raise Refused("NOT_FOUND")
        incoming = await copied(Path(body["file"]), proofs.kind(node.database), found.account_id)
        entries = await proofs.keep(Change(node.database, request[ACTOR]), node.tasks.files.store, id_, incoming)
        return _json({"entries": entries})

    async def document(request: web.Request) -> web.Response:
        body = await request.json()
        entry = await content.get(node.database, SIGN, int(body["sign"]), accounts=None)
        incoming = await copied(Path(body["file"]), documents.DOCUMENTS.kind(node.database), entry.row["account_id"])
        change = Change(node.database, request[ACTOR])
        kind = documents.Kind(body["kind"])
        store, sign = node.tasks.files.store, entry.row["id"]
        return _json({"proof": await documents.DOCUMENTS.keep(change, store, sign, kind, body["carrier"], incoming)})

    app.router.add_post("/drafts/submit", submit)
    app.router.add_post("/consents/import", bring)
    app.router.add_post("/consents/proof", prove)
    app.router.add_post("/signs/proofs", document)


async def _size(path: Path) -> int:
    try:
        return (await asyncio.to_thread(path.stat)).st_size
    except OSError as exc:
        raise Invalid("FILE_INVALID", reason=f"{path}: {exc.strerror}") from exc


def _json(data: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(data), content_type="application/json")
