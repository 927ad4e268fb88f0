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
from smsgw.core.permissions import Permission
from smsgw.platform.audience import saved, service
from smsgw.platform.audience.model import MOST_DAYS, Audience, Contact, ContactInput, Segment, SegmentKind, Sharing

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


class SegmentBody(Request):
    """Whom a segment means, by what has come of the account's messages; found anew whenever a task is made."""

    kind: Annotated[
        SegmentKind,
        Meta(description="clicked, not_clicked (personal links alone), replied, unreached (all that was sent to it "
                         "failed), silent (got a message, and neither answered nor clicked)."),
    ]  # fmt: skip
    days: Annotated[int, Meta(ge=1, le=MOST_DAYS, description="Messages of the last so many days.")] = 90
    task_id: Annotated[Id, Meta(description="Messages of this task alone.")] | None = None
    link_id: Annotated[Id, Meta(description="Messages with this personal short link alone.")] | None = None


class AudienceBody(Request):
    """A new audience: a segment, or without one a set of contacts."""

    name: Annotated[str, Meta(min_length=1, max_length=64, description="Its name, unique in the account.")]
    segment: SegmentBody | None = None


class SegmentView(msgspec.Struct):
    """Whom a segment means."""

    kind: SegmentKind
    days: Annotated[int, Meta(description="Messages of the last so many days.")]
    task_id: Annotated[str | None, Meta(description="Messages of this task alone; null: of all.")]
    link_id: Annotated[str | None, Meta(description="Messages with this short link alone; null: with any or none.")]


class AudienceView(msgspec.Struct):
    """A named set of contacts, or a segment under a name."""

    id: str
    name: str
    members: Annotated[
        int | None,
        Meta(
            description="Of a segment: numbers as they were counted last; null: not counted yet, or the key has no "
            "scope `query`."
        ),
    ]
    created_at: datetime
    segment: Annotated[SegmentView | None, Meta(description="Whom it means; null: it is a set of contacts.")]
    counted_at: Annotated[datetime | None, Meta(description="When a segment was counted last.")]


class Audiences(msgspec.Struct):
    """The account's audiences by name."""

    items: list[AudienceView]


class MembersBody(Request):
    """Contacts that join and leave, by number; together at most 1,000."""

    add: Annotated[list[Number], Meta(max_length=MAX_NUMBERS, description="Numbers of contacts that join.")] | None = (
        None
    )
    remove: (
        Annotated[list[Number], Meta(max_length=MAX_NUMBERS, description="Numbers of contacts that leave.")] | None
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
    items = [ContactInput(i.number, i.name, None if i.tags is None else tuple(i.tags), i.fields) for i in body.items]
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
    return Audiences([_audience(call, a) for a in await service.audiences(call.ctx.db, call.account.id)])


async def add_audience(call: Call) -> AudienceView:
    """``POST /audiences``."""
    body: AudienceBody = call.body
    asked = body.segment
    if asked is None:
        return _audience(call, await service.add_audience(call.change(), call.account.id, body.name))
    segment = Segment(asked.kind, asked.days, id_of(asked.task_id), id_of(asked.link_id))
    id_ = await saved.add(call.change(), call.account.id, body.name, segment, Sharing())
    return _audience(call, await service.audience(call.ctx.db, call.account.id, id_))


async def get_audience(call: Call) -> AudienceView:
    """``GET /audiences/{id}``: a segment is counted, for a key that may query messages."""
    found = await service.audience(call.ctx.db, call.account.id, path_id(call))
    if found.segment is not None and _counts(call):
        await saved.count_of(call.ctx.db, call.account.id, found.id, found.segment)
        found = await service.audience(call.ctx.db, call.account.id, found.id)
    return _audience(call, found)


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


def _counts(call: Call) -> bool:
    """Whether the key is told how many have done something: what became of messages is for who may query them."""
    return call.actor.may(Permission.MESSAGE_VIEW)


def _audience(call: Call, audience: Audience) -> AudienceView:
    one = audience.segment
    told = one is None or _counts(call)
    segment = None if one is None else SegmentView(one.kind, one.days, _id(one.task_id), _id(one.link_id))
    return AudienceView(
        str(audience.id), audience.name, audience.members if told else None, china(audience.created_at), segment,
        china(audience.counted_at) if told else None,
    )  # fmt: skip


def _id(id_: int | None) -> str | None:
    return None if id_ is None else str(id_)


ROUTES = (
    Route("POST", "/contacts", "number", put_contacts, "Make or change up to 1,000 contacts",
          ContactsStored, ContactsBody, idempotent=True,
          errors=("NOT_FOUND", "TO_TOO_MANY", "CONTACTS_FULL", "STATE_CONFLICT", *STORAGE)),
    Route("GET", "/contacts", "number", list_contacts, "Search contacts, newest first",
          ContactPage, query=ContactsQuery, errors=("NUMBER_INVALID", *STORAGE)),
    Route("DELETE", "/contacts/{id}", "number", remove_contact, "Forget a contact",
          Removed, errors=("NOT_FOUND", *STORAGE)),
    Route("GET", "/audiences", "number", list_audiences, "The account's audiences",
          Audiences, errors=STORAGE),
    Route("POST", "/audiences", "number", add_audience, "Make an audience",
          AudienceView, AudienceBody, status=201, errors=("AUDIENCES_FULL", *STORAGE), idempotent=True),
    Route("GET", "/audiences/{id}", "number", get_audience,
          "One audience; a segment is counted anew, with the scope `query`",
          AudienceView, errors=("NOT_FOUND", "BACKPRESSURE", *STORAGE)),
    Route("DELETE", "/audiences/{id}", "number", remove_audience, "Forget an audience; its contacts stay",
          Removed, errors=("NOT_FOUND", *STORAGE)),
    Route("POST", "/audiences/{id}/members", "number", change_members, "Contacts join and leave an audience",
          MembersChanged, MembersBody, idempotent=True,
          errors=("NOT_FOUND", "TO_TOO_MANY", "STATE_CONFLICT", *STORAGE)),
)  # fmt: skip
