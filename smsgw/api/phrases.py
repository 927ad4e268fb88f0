"""``/phrases``: texts that the account's people put into messages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from smsgw.api.contacts import Removed
from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import Id, Request
from smsgw.api.values import china, id_of, path_id
from smsgw.core.errors import Refused
from smsgw.platform import phrases
from smsgw.platform.paging import Window
from smsgw.platform.phrases import MOST_CONTENT, MOST_TITLE, PHRASES, Phrase, PhraseDraft, PhraseFilter, PhraseScope


class PhraseBody(Request):
    """A phrase, shared with the account."""

    title: Annotated[str, Meta(min_length=1, max_length=MOST_TITLE, description="What it is called.")]
    content: Annotated[str, Meta(min_length=1, max_length=MOST_CONTENT, description="The text of the phrase.")]


class PhrasesQuery(Request):
    """Filters; newest first."""

    title: Annotated[str, Meta(max_length=MOST_TITLE, description="A piece of the title.")] | None = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=200, description="Entries in a page.")] = 100


class PhraseEntry(msgspec.Struct):
    """A phrase of the account. ``owner``: the person whose it is; empty: it came by the interface."""

    phrase_id: str
    title: str
    content: Annotated[str, Meta(description="The text of the phrase.")]
    owner: str
    updated_at: datetime


class PhrasePage(msgspec.Struct):
    """A page of phrases; ``next_cursor`` is null on the last one."""

    items: list[PhraseEntry]
    next_cursor: str | None


def _entry(one: Phrase) -> PhraseEntry:
    return PhraseEntry(str(one.id), one.title, one.content, one.owner, china(one.updated_at))


async def _one(call: Call, id_: int) -> PhraseEntry:
    found = await PHRASES.get(call.ctx.db, call.actor, id_)
    if found is None:
        raise Refused("NOT_FOUND")
    return _entry(found)


def _draft(call: Call) -> PhraseDraft:
    body: PhraseBody = call.body
    return PhraseDraft(body.title, body.content, PhraseScope.ACCOUNT, account_id=call.account.id)


async def list_phrases(call: Call) -> PhrasePage:
    """``GET /phrases``."""
    query: PhrasesQuery = call.query or PhrasesQuery()
    before = id_of(query.cursor)
    window = Window("id", after=None if before is None else (str(before), before), limit=query.limit)
    wanted = PhraseFilter(title=query.title or "", account=call.account.id)
    found = await PHRASES.search(call.ctx.db, call.actor, wanted, window)
    return PhrasePage([_entry(one) for one in found.rows], str(found.rows[-1].id) if found.more else None)


async def add_phrase(call: Call) -> PhraseEntry:
    """``POST /phrases``."""
    return await _one(call, await phrases.add(call.change(), _draft(call)))


async def get_phrase(call: Call) -> PhraseEntry:
    """``GET /phrases/{id}``."""
    return await _one(call, path_id(call))


async def put_phrase(call: Call) -> PhraseEntry:
    """``PUT /phrases/{id}``."""
    id_ = path_id(call)
    await phrases.put(call.change(), id_, _draft(call))
    return await _one(call, id_)


async def remove_phrase(call: Call) -> Removed:
    """``DELETE /phrases/{id}``."""
    await phrases.remove(call.change(), path_id(call))
    return Removed(1)


_ONE = ("NOT_FOUND", *STORAGE)

ROUTES = (
    Route("GET", "/phrases", "template", list_phrases, "Phrases that are shared with the account", PhrasePage,
          query=PhrasesQuery, errors=STORAGE),
    Route("POST", "/phrases", "template", add_phrase, "Keep a phrase for the account", PhraseEntry, PhraseBody,
          status=201, errors=("STATE_CONFLICT", *STORAGE), idempotent=True),
    Route("GET", "/phrases/{id}", "template", get_phrase, "One phrase", PhraseEntry, errors=_ONE),
    Route("PUT", "/phrases/{id}", "template", put_phrase, "Change a phrase", PhraseEntry, PhraseBody, errors=_ONE),
    Route("DELETE", "/phrases/{id}", "template", remove_phrase, "Forget a phrase", Removed, errors=_ONE),
)  # fmt: skip
