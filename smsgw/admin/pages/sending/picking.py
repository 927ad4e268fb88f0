"""People of the address book as those a sending goes to: groups, tags and contacts, found by a part of their name; each
person is counted and gets it once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web
from msgspec import structs

from smsgw.admin.call import Call
from smsgw.admin.pages.sending.wizard import AT, account_of, read, step_of
from smsgw.admin.rights import route
from smsgw.admin.words import compose as words
from smsgw.core.errors import Invalid
from smsgw.core.model import Account
from smsgw.core.numbers import InvalidNumber, mask, normalize
from smsgw.core.permissions import Permission
from smsgw.platform.audience import book_queries as book
from smsgw.platform.audience.model import WantedEntries, WantedGroups
from smsgw.platform.drafts.model import Source, State
from smsgw.platform.drafts.wanted import picked_of
from smsgw.platform.paging import Window

MOST_FOUND = 20
MOST_PART = 32


@dataclass(frozen=True, slots=True)
class Choice:
    """What can be picked, or has been."""

    kind: str
    """``groups``, ``tags`` or ``contacts``: the field's name."""
    value: str
    label: str
    n: int | None = None
    """Contacts."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What was found of one kind; ``more``: and there is more."""

    kind: str
    found: Sequence[Choice]
    more: bool


@route("POST", AT + "/book", Permission.MESSAGE_SEND, passive=True)
async def look(call: Call) -> web.StreamResponse:
    """What is picked in the form, how many people that is, and what else there is with a part of a name."""
    step = await step_of(call, "audience")
    data = await call.request.post()
    read(step, data)
    part = str(data.get("book_part", "")).replace("\0", "").strip()[:MOST_PART]
    account = account_of(call, step.state)
    return call.piece("sending/compose/book.html", compose=words, **await shown(call, step.state, account, part))


async def shown(call: Call, state: State, account: Account | None, part: str) -> dict[str, Any]:
    """Of the form: what is picked and found."""
    if account is None:
        return {"picked": [], "people": 0, "offers": [], "below": False}
    if state.audience and state.audience not in state.groups:
        state = structs.replace(state, audience="", groups=[state.audience, *state.groups])
    picked = await _picked(call, state, account)
    known = {(one.kind, one.value) for one in picked}
    offers = [
        replace(offer, found=[one for one in offer.found if (one.kind, one.value) not in known])
        for offer in (
            await _groups(call, account, part), await _tags(call, account, part), await _contacts(call, account, part)
        )
    ]  # fmt: skip
    people = await _people(call, state, account)
    return {"picked": picked, "people": people, "offers": offers, "below": bool(state.below)}


async def named(call: Call, state: State, account: Account) -> list[str]:
    """What is picked, by name."""
    if state.audience and state.audience not in state.groups:
        state = structs.replace(state, groups=[state.audience, *state.groups])
    return [one.label for one in await _picked(call, state, account)]


async def _picked(call: Call, state: State, account: Account) -> list[Choice]:
    """What has been picked, as far as it is there and the person sees it."""
    groups = [await book.group(call.db, call.actor, int(id_)) for id_ in state.groups if _is_id(id_)]
    ids = [int(id_) for id_ in state.contacts if _is_id(id_)]
    contacts = await book.named(call.db, call.actor, account.id, ids)
    return [
        *(Choice("groups", str(g.id), g.name, g.members) for g in groups if g and g.account_id == account.id),
        *(Choice("tags", tag, tag) for tag in state.tags),
        *(Choice("contacts", str(row["id"]), _told(row["name"], row["number"])) for row in contacts),
    ]


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


async def _people(call: Call, state: State, account: Account) -> int:
    try:
        picked = picked_of(structs.replace(state, source=Source.AUDIENCE))
    except Invalid:
        return 0
    if picked is None:
        return 0
    if state.below:
        picked = await book.widened(call.db, call.actor, picked)
    return await book.how_many_picked(call.db, account.id, structs.replace(picked, seen=book.seen_by(call.actor)))


async def _groups(call: Call, account: Account, part: str) -> Offer:
    window = Window("name", descending=False, limit=MOST_FOUND)
    got = await book.groups(call.db, call.actor, WantedGroups(name=part, account_id=account.id), window)
    return Offer("groups", [Choice("groups", str(g.id), g.name, g.members) for g in got.rows], got.more)


async def _tags(call: Call, account: Account, part: str) -> Offer:
    got = await book.tags(call.db, call.actor, account.id, part, MOST_FOUND + 1)
    return Offer("tags", [Choice("tags", tag, tag, n) for tag, n in got[:MOST_FOUND]], len(got) > MOST_FOUND)


async def _contacts(call: Call, account: Account, part: str) -> Offer:
    """By a whole number or a part of the name; nobody before something is looked for."""
    if not part:
        return Offer("contacts", [], more=False)
    wanted = WantedEntries(name=part, account_id=account.id)
    try:
        wanted = WantedEntries(number=normalize(part), account_id=account.id)
    except InvalidNumber:
        pass
    got = await book.search(call.db, call.actor, wanted, Window("name", descending=False, limit=MOST_FOUND))
    return Offer("contacts", [Choice("contacts", str(e.id), _told(e.name, e.number)) for e in got.rows], got.more)


def _told(name: str, number: str) -> str:
    return f"{name} {mask(number)}".strip()
