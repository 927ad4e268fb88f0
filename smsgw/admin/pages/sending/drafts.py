"""Drafts (P2.5, 草稿箱): what somebody has begun and not sent, to go on with, copy or remove."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Field, FieldKind, Filter
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.sending.wizard import draft_of, within_reach
from smsgw.admin.rights import route
from smsgw.admin.words import compose as words
from smsgw.core.permissions import Permission
from smsgw.platform.drafts import queries, service
from smsgw.platform.drafts.model import Draft

PATH = "/drafts"
MENU = Entry("sending.drafts", PATH, Permission.MESSAGE_SEND)
FILTER = Filter((Field("subject"), Field("kind", FieldKind.CHOICE, choices=words.KIND)), period=None)
COLUMNS = (
    Column("subject", value=lambda d: d.subject or words.NO_SUBJECT, phone=Phone.TITLE),
    Column("kind", Cell.STATE, words=words.KIND, tones=words.KIND_TONE, phone=Phone.BESIDE),
    Column("content", Cell.LONG, value=lambda d: d.state.content, phone=Phone.SECOND),
    Column("numbers", Cell.NUMBER, value=lambda d: d.found.valid if d.found else None),
    Column("updated_at", Cell.TIME, sort=True),
    Column("created_at", Cell.TIME, sort=True, shown=False),
)


async def _copy(call: Call, one: Draft) -> None:
    await service.copy(call.change(), one.id)


async def _remove(call: Call, one: Draft) -> None:
    await service.remove(call.change(), one.id)


async def _copies(_: Call, rows: Sequence[Draft]) -> Effect:
    return Effect(words.COPY_EFFECT, {"n": len(rows)})


async def _removes(_: Call, rows: Sequence[Draft]) -> Effect:
    return Effect(words.REMOVE_EFFECT, {"n": len(rows)})


PAGE = ListPage(
    "drafts", PATH, "sending.drafts", Permission.MESSAGE_SEND, FILTER, COLUMNS,
    rows=lambda db, actor, found, window: queries.search(
        db, actor, window, subject=found.get("subject"), kind=found.get("kind")
    ),
    count=lambda db, actor, found, most: queries.how_many(
        db, actor, found.get("subject"), found.get("kind"), most
    ),
    one=queries.one, sort=Sort("updated_at"), lead=words.DRAFTS_LEAD, leads=True,
    actions=(
        Action("copy", words.COPY, Permission.MESSAGE_SEND, _copy, _copies),
        Action("remove", words.REMOVE, Permission.MESSAGE_SEND, _remove, _removes, danger=True),
    ),
    links=((words.NEW, "/send", Permission.MESSAGE_SEND),),
    empty=Empty(words.DRAFTS_EMPTY, words.DRAFTS_TEACHES, words.NEW, "/send", Permission.MESSAGE_SEND, icon="writing"),
)  # fmt: skip


@route("GET", PATH + "/{id:[0-9]{1,19}}", Permission.MESSAGE_SEND)
async def go_on(call: Call) -> web.StreamResponse:
    """Where the draft stands: its last step when its rows have been looked at, else the first that is to be done."""
    draft = await draft_of(call)
    if not within_reach(call, draft.state):
        return call.redirect(f"/send/{draft.id}/content")
    if draft.found is not None and not draft.found.problem[0]:
        return call.redirect(f"/send/{draft.id}/confirm")
    state = draft.state
    numbers = state.to or state.upload or state.audience or state.groups or state.tags or state.contacts
    text = state.content or state.template
    return call.redirect(f"/send/{draft.id}/{'audience' if numbers and text else 'content'}")
