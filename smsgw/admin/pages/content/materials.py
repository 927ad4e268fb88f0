"""The library of pictures, sounds and films (P3.8, 素材库): brought, described, reviewed by another, taken away."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit import proof_files
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage, reason_of, refusal
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.rights import route
from smsgw.admin.words import kit, materials as words
from smsgw.core.errors import Invalid, Refused, Temporary
from smsgw.core.permissions import Permission
from smsgw.platform.files.model import Incoming
from smsgw.platform.materials import media, queries, service
from smsgw.platform.materials.model import MOST_TAGS, MOST_TITLE, Draft, Material, State, Wanted

PATH = "/materials"
_ONE = f"{PATH}/{{id:[0-9]{{1,19}}}}"
_NEW = f"{PATH}/-/new"
MENU = Entry("content.media", PATH, Permission.TEMPLATE_VIEW)
_SEVERAL = re.compile(r"[,，;；、]")
FILTER = Filter(
    (Field("title"), Field("kind", FieldKind.CHOICE, choices=words.KIND),
     Field("state", FieldKind.CHOICE, "status", words.STATE), Field("tag"), Field("account", FieldKind.CHOICE)),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("title", phone=Phone.TITLE),
    Column("thumbnail", Cell.PICTURE, value=lambda one: f"{PATH}/{one.id}/thumbnail" if one.pictured else None,
           phone=Phone.SECOND),
    Column("kind", Cell.STATE, words=words.KIND, tones=words.KIND_TONE, phone=Phone.SECOND),
    Column("state", Cell.STATE, "status", words=words.STATE, tones=words.STATE_TONE, phone=Phone.BESIDE),
    Column("tags", Cell.TAGS, phone=Phone.SECOND),
    Column("account", phone=Phone.AWAY),
    Column("size", Cell.SIZE, sort=True, phone=Phone.AWAY),
    Column("taken", Cell.NUMBER, "material_taken", sort=True, phone=Phone.AWAY),
    Column("added_by", label="created_by", phone=Phone.AWAY),
    Column("added_at", Cell.TIME, "created_at", sort=True, phone=Phone.AWAY),
)  # fmt: skip
_MORE = (
    Column("pixels", value=lambda one: f"{one.width} × {one.height}" if one.width else None),
    Column("seconds", Cell.NUMBER, "material_seconds", value=lambda one: -(-one.millis // 1000) or None),
    Column("decided_by", label="reviewer"), Column("decided_at", Cell.TIME), Column("answer", Cell.LONG, "opinion"),
)  # fmt: skip


def _wanted(found: Found) -> Wanted:
    account = int(found.get("account")) if found.get("account") else None
    return Wanted(found.get("title"), found.get("kind"), found.get("state"), found.get("tag"), account)


async def _choices(call: Call, _: Any = None) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call)}


def _decision(key: str, label: str, effect: str, *, passes: bool) -> Action:
    async def run(call: Call, one: Material) -> None:
        await service.decide(call.change(), one.id, passes=passes, answer=await reason_of(call))

    async def said(_: Call, rows: Sequence[Material]) -> Effect:
        return Effect(effect, {"n": len(rows)})

    return Action(key, label, Permission.TEMPLATE_DECIDE, run, said, danger=not passes, reason=not passes)


async def _remove(call: Call, one: Material) -> None:
    await service.remove(call.change(), one.id)


async def _remove_effect(call: Call, rows: Sequence[Material]) -> Effect:
    names = call.listed(one.title for one in rows[:5])
    return Effect(words.REMOVE_EFFECT, {"n": len(rows), "names": names, "taken": sum(one.taken for one in rows)})


async def _detail(call: Call, one: Material) -> Detail:
    links = [(words.EDIT, f"{PATH}/{one.id}/edit")] if call.may(Permission.TEMPLATE_EDIT) else []
    preview = {"one": one, "at": f"{PATH}/{one.id}/content"}
    return Detail(
        one.title, [Section((*COLUMNS[2:], *_MORE), one)], links=links, buttons=_buttons(call, one),
        piece=("content/material.html", preview),
    )  # fmt: skip


def _buttons(call: Call, one: Material) -> list[Button]:
    fields = {"id": str(one.id), "to": f"{PATH}/{one.id}"}
    decides = call.may(Permission.TEMPLATE_DECIDE) and one.added_by != call.actor.label
    found = []
    if one.state == State.APPROVED:
        found.append(Button(words.TAKE, f"{PATH}/{one.id}/take", primary=True))
    if decides and one.state != State.APPROVED:
        found.append(Button(words.PASS, f"{PATH}/-/effect/pass", primary=True, fields=fields, asks=True))
    if decides and one.state != State.REJECTED:
        found.append(Button(words.REJECT, f"{PATH}/-/effect/reject", danger=True, fields=fields, asks=True))
    return found


PAGE = ListPage(
    "materials", PATH, "content.media", Permission.TEMPLATE_VIEW, FILTER, COLUMNS, choices=_choices,
    rows=lambda db, actor, found, window: queries.search(db, _wanted(found), window, accounts=actor.scope.whole),
    count=lambda db, actor, found, most: queries.how_many(db, _wanted(found), most, accounts=actor.scope.whole),
    one=lambda db, actor, id_: queries.one(db, id_, accounts=actor.scope.whole), sort=Sort("added_at"), detail=_detail,
    actions=(_decision("pass", words.PASS, words.PASS_EFFECT, passes=True),
             _decision("reject", words.REJECT, words.REJECT_EFFECT, passes=False),
             Action("remove", words.REMOVE, Permission.TEMPLATE_EDIT, _remove, _remove_effect, danger=True)),
    links=((words.UPLOAD, _NEW, Permission.TEMPLATE_EDIT),), lead=words.LEAD,
    empty=Empty(words.EMPTY, words.TEACHES, words.UPLOAD, _NEW, Permission.TEMPLATE_EDIT, icon="photo"),
)  # fmt: skip

# --- one -------------------------------------------------------------------------------------------------------------


async def _one(call: Call) -> Material:
    one = await _subject(call)
    if one is None:
        raise web.HTTPNotFound
    return one


async def _subject(call: Call) -> Material | None:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await queries.one(call.db, id_, accounts=call.actor.scope.whole)


@route("GET", f"{_ONE}/thumbnail", Permission.TEMPLATE_VIEW)
async def thumbnail(call: Call) -> web.StreamResponse:
    """Its small picture."""
    id_ = read_id(call.request.match_info["id"]) or 0
    octets = await queries.thumbnail(call.db, id_, accounts=call.actor.scope.whole)
    if octets is None:
        raise web.HTTPNotFound
    return web.Response(body=octets, content_type="image/webp", headers={"Cache-Control": "private, max-age=86400"})


@route("GET", f"{_ONE}/content", Permission.TEMPLATE_VIEW)
async def content(call: Call) -> web.StreamResponse:
    """What is seen or heard of it on its page."""
    return await _file(call, await _one(call), "inline")


@route("POST", f"{_ONE}/take", Permission.TEMPLATE_VIEW)
async def take(call: Call) -> web.StreamResponse:
    """It is taken away, which is counted."""
    one = await _one(call)
    await service.take(call.change(), one.id)
    return await _file(call, one, "attachment")


_ENDING = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", media.MP3: "mp3", media.MP4: "mp4"}


async def _file(call: Call, one: Material, way: str) -> web.StreamResponse:
    path = await call.portal.context.files.path(one.file_id)
    if path is None:
        raise web.HTTPNotFound
    name = quote(f"{one.title}.{_ENDING[one.media_type]}")
    return web.FileResponse(path, headers={
        "Content-Type": one.media_type, "Cache-Control": "private, max-age=86400" if way == "inline" else "no-store",
        "Content-Disposition": f"{way}; filename*=UTF-8''{name}",
    })  # fmt: skip


# --- changes ---------------------------------------------------------------------------------------------------------


def _tags(text: str) -> tuple[str, ...]:
    return tuple(tag for one in _SEVERAL.split(text) if (tag := one.strip()))


def _page(call: Call, problem: str = "", typed: Mapping[str, str] | None = None) -> web.Response:
    sizes = {kind.value: most // 1024**2 for kind, most in media.MOST.items()}
    return call.render(
        "content/material_new.html", status=422 if problem else 200, problem=problem, path=PATH, words=words,
        kinds=".png,.jpg,.jpeg,.webp,.mp3,.mp4", most=service.LARGEST // 1024**2, sizes=sizes, typed=typed or {},
        accounts=own_accounts(call), longest=MOST_TITLE, tags=MOST_TAGS,
    )  # fmt: skip


@route("GET", _NEW, Permission.TEMPLATE_EDIT)
async def ask(call: Call) -> web.StreamResponse:
    """The form for a file."""
    return _page(call)


@route("POST", _NEW, Permission.TEMPLATE_EDIT, files=service.LARGEST)
async def receive(call: Call) -> web.StreamResponse:
    """The file has come, behind what is said of it."""
    typed, store = dict[str, str](), call.portal.context.files

    async def keep(incoming: Incoming, fields: Mapping[str, str]) -> int:
        typed.update(fields)
        account = fields.get("account", "")
        if account not in own_accounts(call):
            raise Invalid("PARAM_MISSING", field="account")
        draft = Draft(fields.get("title", ""), _tags(fields.get("tags", "")))
        return await service.keep(call.change(), store, int(account), draft, incoming)

    try:
        id_ = await proof_files.received(call, service.kind(call.db), None, keep, longest=1000)
    except (Invalid, Refused, Temporary) as error:
        return _page(call, refusal(call, error), typed)
    if id_ is None:
        return _page(call, call.gettext(kit.NO_FILE), typed)
    call.toast(call.gettext(words.KEPT))
    return call.redirect(f"{PATH}/{id_}")


async def _put(call: Call, one: Material, values: Mapping[str, Any]) -> web.Response:
    await service.put(call.change(), one.id, Draft(values["title"], _tags(values["tags"])))
    call.toast(call.gettext(words.SAVED))
    return call.redirect(f"{PATH}/{one.id}")


EDIT = FormPage(
    f"{_ONE}/edit", Permission.TEMPLATE_EDIT, words.EDIT, words.SAVE,
    Form((Inputs((Input("title", required=True, most=MOST_TITLE), Input("tags", most=250))),)), _put,
    lambda one: f"{PATH}/{one.id}", _subject, values=lambda one: {"title": one.title, "tags": "，".join(one.tags)},
    lead=lambda one: one.title,
)  # fmt: skip
