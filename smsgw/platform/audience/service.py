"""The rules of contacts and audiences: who may be stored, how much, and what a bad number is told.

A change is one row of the audit log: with how many, without names, and numbers masked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import asyncpg

from smsgw.core import numbers
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import Phrase, phrase
from smsgw.platform.audience import queries
from smsgw.platform.audience.model import Audience, Contact, ContactInput, Imported
from smsgw.platform.change import Change, Unit
from smsgw.store.engine.database import Database

MAX_CONTACTS = 1_000_000
"""Contacts of an account."""
MAX_AUDIENCES = 1000
MAX_ITEMS = 1000
"""Contacts in a call."""
AUDITED = 20
"""Numbers that a row of the audit log names; of more it says only how many."""
MAX_TAGS, MAX_TAG = 20, 32
MAX_FIELDS, MAX_VALUE = 30, 200
FIELD_NAME = re.compile(r"[^\W\d]\w{0,31}")


async def put(
    change: Change, account_id: int, items: Sequence[ContactInput], audience_id: int | None = None
) -> Imported:
    """Make or change contacts, and put them into an audience; a bad number fails alone.

    Raises ``PARAM_INVALID`` for names, tags or fields that cannot be, ``NOT_FOUND`` for an unknown audience,
    ``STATE_CONFLICT`` for a segment,
    ``CONTACTS_FULL`` when the account would have more than ``MAX_CONTACTS``.
    """
    if len(items) > MAX_ITEMS:
        raise Invalid("TO_TOO_MANY")
    done = Imported()
    rows: dict[str, tuple[str, str | None, tuple[str, ...] | None, dict[str, str] | None]] = {}
    for position, item in enumerate(items):
        _check(position, item)
        try:
            number = numbers.normalize(item.number)
        except numbers.InvalidNumber:
            done.rejected.append((item.number, "NUMBER_INVALID"))
            continue
        if number in rows:
            done.rejected.append((item.number, "NUMBER_DUPLICATE"))
            continue
        rows[number] = (number, item.name, item.tags, None if item.fields is None else dict(item.fields))
    async with change.unit(Permission.CONTACT_EDIT, account_id, timeout=30) as unit:
        stored = await queries.lock(unit.connection, account_id)
        if audience_id is not None:
            await _group(unit, account_id, audience_id)
        known = await queries.known(unit.connection, account_id, list(rows))
        done.updated = len(known)
        done.created = len(rows) - done.updated
        if stored + done.created > MAX_CONTACTS:
            raise Refused("CONTACTS_FULL", most=MAX_CONTACTS)
        await queries.put(unit.connection, account_id, [rows[number] for number in sorted(rows)])
        after: dict[str, object] = {"account": account_id, "created": done.created, "updated": done.updated}
        if len(rows) <= AUDITED:
            after["numbers"] = [numbers.mask(number) for number in rows]
        if audience_id is not None:
            joined = await queries.join(unit.connection, account_id, audience_id, list(rows))
            after |= {"audience": audience_id, "joined": joined}
        if rows:
            unit.record("contact.put", "contacts", after=after)
        else:
            unit.unchanged()
    return done


def _check(position: int, item: ContactInput) -> None:
    def wrong(field: str, reason: Phrase) -> Invalid:
        return Invalid("PARAM_INVALID", field=f"items[{position}].{field}", reason=reason)

    if item.name is not None and len(item.name) > 64:
        raise wrong("name", phrase("contact.name"))
    tags: Sequence[str] = item.tags or ()
    if len(tags) > MAX_TAGS or not all(0 < len(tag.strip()) <= MAX_TAG for tag in tags):
        raise wrong("tags", phrase("contact.tags", most=MAX_TAGS, longest=MAX_TAG))
    fields: Mapping[str, str] = item.fields or {}
    if len(fields) > MAX_FIELDS or not all(FIELD_NAME.fullmatch(name) for name in fields):
        raise wrong("fields", phrase("contact.fields", most=MAX_FIELDS))
    if not all(len(value) <= MAX_VALUE for value in fields.values()):
        raise wrong("fields", phrase("contact.values", longest=MAX_VALUE))


async def find(
    database: Database,
    account_id: int,
    *,
    before: int | None = None,
    number: str | None = None,
    tag: str | None = None,
    name: str | None = None,
    audience_id: int | None = None,
    limit: int = 100,
) -> list[Contact]:
    """A page of contacts, newest first. Raises ``NUMBER_INVALID``."""
    if number is not None:
        try:
            number = numbers.normalize(number)
        except numbers.InvalidNumber as exc:
            raise Invalid("NUMBER_INVALID") from exc
    return await queries.page(
        database, account_id, before=before, number=number, tag=tag, name=name, audience_id=audience_id, limit=limit
    )


async def remove(change: Change, account_id: int, contact_id: int) -> None:
    """Forget a contact. Raises ``NOT_FOUND``."""
    async with change.unit(Permission.CONTACT_EDIT, account_id) as unit:
        number = await queries.remove(unit.connection, account_id, contact_id)
        if number is None:
            raise Refused("NOT_FOUND")
        before = {"account": account_id, "number": numbers.mask(number)}
        unit.record("contact.remove", f"contact/{contact_id}", before=before)


async def audiences(database: Database, account_id: int) -> list[Audience]:
    """The account's audiences by name."""
    return await queries.audiences(database, account_id, None, MAX_AUDIENCES)


async def audience(database: Database, account_id: int, audience_id: int) -> Audience:
    """One of them. ``NOT_FOUND``."""
    found = await queries.audiences(database, account_id, audience_id, 1)
    if not found:
        raise Refused("NOT_FOUND")
    return found[0]


async def add_audience(change: Change, account_id: int, name: str) -> Audience:
    """A new, empty audience. Raises ``PARAM_INVALID``, ``AUDIENCES_FULL``."""
    name = name.strip()
    if not 0 < len(name) <= 64:
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("text.between", low=1, high=64))
    try:
        async with change.unit(Permission.CONTACT_EDIT, account_id) as unit:
            audience_id = await queries.add_audience(unit.connection, account_id, name, MAX_AUDIENCES)
            if audience_id is None:
                raise Refused("AUDIENCES_FULL", most=MAX_AUDIENCES)
            after = {"account": account_id, "name": name}
            unit.record("audience.add", f"audience/{audience_id}", after=after)
            return (await queries.audiences(unit.connection, account_id, audience_id, 1))[0]
    except asyncpg.UniqueViolationError as exc:
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("audience.exists")) from exc


async def remove_audience(change: Change, account_id: int, audience_id: int) -> None:
    """Forget an audience; its contacts stay. Raises ``NOT_FOUND``."""
    async with change.unit(Permission.CONTACT_EDIT, account_id) as unit:
        name = await queries.remove_audience(unit.connection, account_id, audience_id)
        if name is None:
            raise Refused("NOT_FOUND")
        before = {"account": account_id, "name": name}
        unit.record("audience.remove", f"audience/{audience_id}", before=before)


async def change_members(
    change: Change, account_id: int, audience_id: int, *, add: Sequence[str], take: Sequence[str]
) -> tuple[int, int]:
    """Put contacts into an audience and take others out, by number: (joined, left).

    What is no contact, or no number, changes nothing. Raises ``NOT_FOUND``, ``TO_TOO_MANY``; ``STATE_CONFLICT`` for a
    segment.
    """
    if len(add) + len(take) > MAX_ITEMS:
        raise Invalid("TO_TOO_MANY")
    async with change.unit(Permission.CONTACT_EDIT, account_id, timeout=30) as unit:
        await _group(unit, account_id, audience_id)
        joined = await queries.join(unit.connection, account_id, audience_id, _numbers(add))
        left = await queries.leave(unit.connection, account_id, audience_id, _numbers(take))
        if joined or left:
            after = {"account": account_id, "joined": joined, "left": left}
            unit.record("audience.members", f"audience/{audience_id}", after=after)
        else:
            unit.unchanged()
    return joined, left


async def _group(unit: Unit, account_id: int, audience_id: int) -> None:
    """Whether contacts can be put into it: nobody is put into a segment."""
    found = await queries.audiences(unit.connection, account_id, audience_id, 1)
    if not found:
        raise Refused("NOT_FOUND")
    if found[0].segment is not None:
        raise Refused("STATE_CONFLICT", reason=phrase("segment.members"))


def _numbers(given: Sequence[str]) -> list[str]:
    found = []
    for one in given:
        try:
            found.append(numbers.normalize(one))
        except numbers.InvalidNumber:
            continue
    return sorted(set(found))
