"""``/contacts`` and ``/audiences``: whom the account writes to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from smsgw.api.context import Call
from smsgw.api.route import STORAGE, Route
from smsgw.api.shapes import MAX_NUMBERS, Id, Number, Request
from smsgw.api.values import china, id_of, path_id
from smsgw.core.errors import message_of
from smsgw.platform.audience import service
from smsgw.platform.audience.model import Audience, Contact, ContactInput

Tags = Annotated[list[Annotated[str, Meta(min_length=1, max_length=service.MAX_TAG)]],
                 Meta(max_length=service.MAX_TAGS, description="Replaces the tags there are.")]  # fmt: skip
Fields = Annotated[dict[str, Annotated[str, Meta(max_length=service.MAX_VALUE)]],
                   Meta(max_length=service.MAX_FIELDS, description="Values for the variables of texts.")]  # fmt: skip


class ContactItem(Request):
    """A contact; what is left out stays as it is."""

    number: Number
    name: Annotated[str, Meta(max_length=64, description="The contact's name.")] | None = None
    tags: Tags | None = None
    fields: Fields | None = None


class ContactsBody(Request):
    """Contacts to make or to change, by number; all of them join the audience."""

    items: Annotated[list[ContactItem], Meta(min_length=1, max_length=MAX_NUMBERS)]
    audience_id: Id | None = None


class ContactsQuery(Request):
    """Filters; all given ones must match. Newest first."""

    number: Number | None = None
    name: Annotated[str, Meta(max_length=64, description="A part of the name.")] | None = None
    tag: Annotated[str, Meta(max_length=service.MAX_TAG, description="Contacts with this tag.")] | None = None
    audience_id: Annotated[Id, Meta(description="Members of this audience.")] | None = None
    cursor: Annotated[Id, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Contacts in a page.")] = 100


class RejectedNumber(msgspec.Struct):
    """A number that could not be stored."""

    number: str
    code: str
    message: str


class ContactsStored(msgspec.Struct):
    """What became of the contacts."""

    created: int
    updated: int
    rejected: list[RejectedNumber]


class ContactView(msgspec.Struct):
    """A contact."""

    id: str
    number: str
    name: str
    tags: list[str]
    fields: dict[str, str]
    updated_at: datetime


class ContactPage(msgspec.Struct):
    """A page of contacts; ``next_cursor`` is null on the last one."""

    items: list[ContactView]
    next_cursor: str | None


class AudienceBody(Request):
    """A new audience."""

    name: Annotated[str, Meta(min_length=1, max_length=64, description="Its name, unique in the account.")]


class AudienceView(msgspec.Struct):
    """A named set of contacts."""

    id: str
    name: str
    members: int
    created_at: datetime


class Audiences(msgspec.Struct):
    """The account's audiences by name."""

    items: list[AudienceView]


class MembersBody(Request):
    """Contacts that join and leave, by number; together at most 1,000."""

    add: (
        Annotated[list[Number], Meta(max_length=MAX_NUMBERS, description="Numbers of contacts that join.")]
        | None
    ) = None
    remove: (
        Annotated[list[Number], Meta(max_length=MAX_NUMBERS, description="Numbers of contacts that leave.")]
        | None
    ) = None


class MembersChanged(msgspec.Struct):
    """How many have joined and left; numbers that are no contacts change nothing."""

    joined: int
    left: int


class Removed(msgspec.Struct):
    """It is gone."""

    removed: int


async def put_contacts(call: Call) -> ContactsStored:
    """``POST /contacts``."""
    body: ContactsBody = call.body
    items = [
        ContactInput(i.number, i.name, None if i.tags is None else tuple(i.tags), i.fields)
        for i in body.items
    ]
    done = await service.put(call.change(), call.account.id, items, id_of(body.audience_id))
    rejected = [RejectedNumber(n, code, message_of(code, english=call.english)) for n, code in done.rejected]
    return ContactsStored(done.created, done.updated, rejected)


async def list_contacts(call: Call) -> ContactPage:
    """``GET /contacts``."""
    query: ContactsQuery = call.query or ContactsQuery()
    found = await service.find(
        call.ctx.db,
        call.account.id,
        before=id_of(query.cursor),
        number=query.number,
        tag=query.tag,
        name=query.name,
        audience_id=id_of(query.audience_id),
        limit=query.limit,
    )
    cursor = str(found[-1].id) if len(found) == query.limit else None
    return ContactPage([_contact(c) for c in found], cursor)


async def remove_contact(call: Call) -> Removed:
    """``DELETE /contacts/{id}``."""
    await service.remove(call.change(), call.account.id, path_id(call))
    return Removed(1)


async def list_audiences(call: Call) -> Audiences:
    """``GET /audiences``."""
    return Audiences([_audience(a) for a in await service.audiences(call.ctx.db, call.account.id)])


async def add_audience(call: Call) -> AudienceView:
    """``POST /audiences``."""
    body: AudienceBody = call.body
    return _audience(await service.add_audience(call.change(), call.account.id, body.name))


async def remove_audience(call: Call) -> Removed:
    """``DELETE /audiences/{id}``."""
    await service.remove_audience(call.change(), call.account.id, path_id(call))
    return Removed(1)


async def change_members(call: Call) -> MembersChanged:
    """``POST /audiences/{id}/members``."""
    body: MembersBody = call.body
    changed = await service.change_members(
        call.change(), call.account.id, path_id(call), add=body.add or (), take=body.remove or ()
    )
    return MembersChanged(*changed)


def _contact(contact: Contact) -> ContactView:
    return ContactView(
        str(contact.id),
        contact.number,
        contact.name,
        list(contact.tags),
        dict(contact.fields),
        china(contact.updated_at),
    )


def _audience(audience: Audience) -> AudienceView:
    return AudienceView(str(audience.id), audience.name, audience.members, china(audience.created_at))


ROUTES = (
    Route("POST", "/contacts", "number", put_contacts, "Make or change up to 1,000 contacts",
          ContactsStored, ContactsBody, errors=("NOT_FOUND", "TO_TOO_MANY", "CONTACTS_FULL", *STORAGE),
          idempotent=True),
    Route("GET", "/contacts", "number", list_contacts, "Search contacts, newest first",
          ContactPage, query=ContactsQuery, errors=("NUMBER_INVALID", *STORAGE)),
    Route("DELETE", "/contacts/{id}", "number", remove_contact, "Forget a contact",
          Removed, errors=("NOT_FOUND", *STORAGE)),
    Route("GET", "/audiences", "number", list_audiences, "The account's audiences",
          Audiences, errors=STORAGE),
    Route("POST", "/audiences", "number", add_audience, "Make an audience",
          AudienceView, AudienceBody, status=201, errors=("AUDIENCES_FULL", *STORAGE), idempotent=True),
    Route("DELETE", "/audiences/{id}", "number", remove_audience, "Forget an audience; its contacts stay",
          Removed, errors=("NOT_FOUND", *STORAGE)),
    Route("POST", "/audiences/{id}/members", "number", change_members, "Contacts join and leave an audience",
          MembersChanged, MembersBody, errors=("NOT_FOUND", "TO_TOO_MANY", *STORAGE), idempotent=True),
)  # fmt: skip
