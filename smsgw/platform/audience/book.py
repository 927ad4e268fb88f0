"""Changes of the address book. People change what they have entered and what is shared with those whom they manage.

Within an account a number is one contact, whoever has entered it: two copies would differ sooner or later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from smsgw.core.actor import EVERYTHING, Actor
from smsgw.core.errors import Invalid, Refused
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.audience import book_queries as queries, queries as stored
from smsgw.platform.audience.book_queries import owner
from smsgw.platform.audience.model import Duplicate, Entry, EntryDraft, Group, SavedSegment, Shared, Sharing
from smsgw.platform.audience.service import (
    FIELD_NAME,
    MAX_AUDIENCES,
    MAX_CONTACTS,
    MAX_FIELDS,
    MAX_TAG,
    MAX_TAGS,
    MAX_VALUE,
)
from smsgw.platform.change import Change, JsonObject, Unit
from smsgw.store.engine.database import Connection, Database, Row

MAX_NAME = 64
MAX_GROUPS = 20
"""Groups that one contact is put into at a time."""
_OWN_DEPARTMENT = "SELECT department_id = $2 FROM staff WHERE id = $1"


def manages(actor: Actor, one: Entry | Group | SavedSegment) -> bool:
    """Whether an actor may change a contact, group or segment that it sees."""
    return _manages(actor, one.account_id, one.shared, one.department_id, one.owner_id)


def _manages(actor: Actor, account_id: int, shared: str, department_id: int | None, owner_id: int | None) -> bool:
    if actor.scope == EVERYTHING or (owner_id is not None and owner_id == owner(actor)):
        return True
    if shared == Shared.DEPARTMENT:
        return department_id is not None and actor.scope.covers_department(department_id)
    return shared == Shared.ACCOUNT and actor.scope.covers(account_id)


async def open_groups(source: Database | Connection, actor: Actor, account_id: int | None = None) -> list[Row]:
    """Groups of which the actor says who is in them, by name, as ``book_queries.choices`` has them."""
    return [
        row
        for row in await queries.choices(source, actor, account_id)
        if _manages(actor, row["account_id"], row["shared"], row["department_id"], row["owner_id"])
    ]


async def _may_share(connection: Connection, actor: Actor, account_id: int, sharing: Sharing) -> None:
    """With the own department and those in the scope; with the account by who sees all of it."""
    accounts, department = actor.scope.accounts, sharing.department_id
    if accounts is not None and account_id not in accounts:
        raise Refused("NOT_FOUND")
    if (department is not None) != (sharing.shared is Shared.DEPARTMENT):
        raise Invalid("PARAM_MISSING", field="department")
    if sharing.shared is Shared.ACCOUNT and not actor.scope.covers(account_id):
        raise Invalid("PARAM_INVALID", field="scope", reason=phrase("contact.share"))
    if department is not None and not actor.scope.covers_department(department):
        if not await connection.fetchval(_OWN_DEPARTMENT, owner(actor), department):
            raise Refused("NOT_FOUND")


def checked(draft: EntryDraft) -> EntryDraft:
    """The draft as it is kept. ``PARAM_INVALID`` names the field."""
    name = " ".join(draft.name.split())
    tags = tuple(dict.fromkeys(tag for one in draft.tags if (tag := one.strip())))
    fields = {key: value.strip() for key, value in draft.fields.items() if value.strip()}
    if len(name) > MAX_NAME or not name.isprintable():
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("contact.name"))
    if len(tags) > MAX_TAGS or not all(len(tag) <= MAX_TAG and tag.isprintable() for tag in tags):
        raise Invalid("PARAM_INVALID", field="tags", reason=phrase("contact.tags", most=MAX_TAGS, longest=MAX_TAG))
    if len(fields) > MAX_FIELDS or not all(FIELD_NAME.fullmatch(key) for key in fields):
        raise Invalid("PARAM_INVALID", field="fields", reason=phrase("contact.fields", most=MAX_FIELDS))
    if not all(len(value) <= MAX_VALUE and "\0" not in value for value in fields.values()):
        raise Invalid("PARAM_INVALID", field="fields", reason=phrase("contact.values", longest=MAX_VALUE))
    return EntryDraft(draft.account_id, draft.number, name, tags, fields, draft.groups, draft.sharing)


_ADD = """
INSERT INTO contact (account_id, number, name, tags, fields, owner_id, shared, department_id)
VALUES ($1, $2, $3, $4, $5::jsonb, NULLIF($6, 0), $7, $8) ON CONFLICT (account_id, number) DO NOTHING RETURNING id
"""
_SET = """
UPDATE contact SET number = $2, name = $3, tags = $4, fields = $5::jsonb, shared = $6, department_id = $7,
    updated_at = now()
WHERE id = $1
"""
_LEAVE_OPEN = "DELETE FROM audience_member WHERE contact_id = $1 AND audience_id = ANY($2::bigint[])"
_JOIN = """
INSERT INTO audience_member (audience_id, contact_id)
SELECT g.id, c.id FROM audience g JOIN contact c ON c.account_id = g.account_id
WHERE g.id = ANY($2::bigint[]) AND c.id = ANY($1::bigint[]) ON CONFLICT DO NOTHING
"""


async def add(change: Change, draft: EntryDraft) -> int:
    """Enter a contact; its id. ``STATE_CONFLICT``: the account has the number; ``CONTACTS_FULL``; ``NOT_FOUND`` for an
    account, department or group that is not the actor's."""
    draft = checked(draft)
    async with change.unit(Permission.CONTACT_EDIT) as unit:
        actor, account_id = unit.actor, draft.account_id
        await _may_share(unit.connection, actor, account_id, draft.sharing)
        if await stored.lock(unit.connection, account_id) >= MAX_CONTACTS:
            raise Refused("CONTACTS_FULL", most=MAX_CONTACTS)
        id_: int | None = await unit.connection.fetchval(
            _ADD, account_id, draft.number, draft.name, list(draft.tags), _json(draft.fields), owner(actor),
            draft.sharing.shared.value, draft.sharing.department_id,
        )  # fmt: skip
        if id_ is None:
            raise Invalid("PARAM_INVALID", field="number", reason=phrase("contact.there"))
        await _regroup(unit, id_, account_id, draft.groups)
        unit.record("contact.put", f"contact/{id_}", after=_plain(draft))
    return id_


async def put(change: Change, id_: int, draft: EntryDraft) -> None:
    """Change a contact; it stays its account's. As ``add``; ``NOT_FOUND`` for one that is not the actor's to change."""
    draft = checked(draft)
    async with change.unit(Permission.CONTACT_EDIT) as unit:
        before = await _managed(unit, id_)
        await _may_share(unit.connection, unit.actor, before.account_id, draft.sharing)
        if draft.sharing.shared is Shared.OWN and before.owner_id != owner(unit.actor):
            raise Invalid("PARAM_INVALID", field="scope", reason=phrase("contact.of_another"))
        await stored.lock(unit.connection, before.account_id)
        try:
            async with unit.connection.transaction():
                await unit.connection.execute(
                    _SET, id_, draft.number, draft.name, list(draft.tags), _json(draft.fields),
                    draft.sharing.shared.value, draft.sharing.department_id,
                )  # fmt: skip
        except asyncpg.UniqueViolationError as exc:
            raise Invalid("PARAM_INVALID", field="number", reason=phrase("contact.there")) from exc
        await _regroup(unit, id_, before.account_id, draft.groups, before.group_ids)
        unit.record("contact.put", f"contact/{id_}", before=_was(before), after=_plain(draft))


async def remove(change: Change, id_: int) -> None:
    """Forget a contact. ``NOT_FOUND``."""
    async with change.unit(Permission.CONTACT_EDIT) as unit:
        before = await _managed(unit, id_)
        await unit.connection.execute("DELETE FROM contact WHERE id = $1", id_)
        unit.record("contact.remove", f"contact/{id_}", before=_was(before))


_SHARE = "UPDATE contact SET shared = $2, department_id = $3, updated_at = now() WHERE id = $1"


async def share(change: Change, id_: int, sharing: Sharing) -> None:
    """Say whom a contact is for. As ``put``."""
    async with change.unit(Permission.CONTACT_EDIT) as unit:
        before = await _managed(unit, id_)
        await _may_share(unit.connection, unit.actor, before.account_id, sharing)
        if sharing.shared is Shared.OWN and before.owner_id != owner(unit.actor):
            raise Invalid("PARAM_INVALID", field="scope", reason=phrase("contact.of_another"))
        await unit.connection.execute(_SHARE, id_, sharing.shared.value, sharing.department_id)
        after = {"scope": sharing.shared.value, "department": sharing.department_id}
        was = {"scope": before.shared, "department": before.department_id}
        unit.record("contact.put", f"contact/{id_}", before=was, after=after)


@dataclass(frozen=True, slots=True)
class Merged:
    """What two contacts come to."""

    name: str
    tags: tuple[str, ...]
    fields: Mapping[str, str]


def merged(kept: Entry, gone: Entry) -> Merged:
    """Tags of both; of names and fields those of the one that is kept, where it has any."""
    tags = tuple(dict.fromkeys((*kept.tags, *gone.tags)))[:MAX_TAGS]
    fields = dict(list((dict(gone.fields) | dict(kept.fields)).items())[-MAX_FIELDS:])
    return Merged(kept.name or gone.name, tags, fields)


_MERGE = "UPDATE contact SET name = $2, tags = $3, fields = $4::jsonb, updated_at = now() WHERE id = $1"
_MOVE_GROUPS = """
INSERT INTO audience_member (audience_id, contact_id)
SELECT audience_id, $1 FROM audience_member WHERE contact_id = $2 ON CONFLICT DO NOTHING
"""


async def merge(change: Change, id_: int, gone_id: int) -> None:
    """Put another contact of the account into this one, which keeps its number; the other is forgotten. ``NOT_FOUND``
    for either that is not the actor's to change; ``PARAM_INVALID``: they are one, or of two accounts."""
    async with change.unit(Permission.CONTACT_EDIT) as unit:
        if id_ == gone_id:
            raise Invalid("PARAM_INVALID", field="number", reason=phrase("contact.same"))
        await unit.connection.execute(
            "SELECT FROM contact WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE", [id_, gone_id]
        )
        kept, gone = await _managed(unit, id_), await _managed(unit, gone_id)
        if kept.account_id != gone.account_id:
            raise Refused("NOT_FOUND")
        now = merged(kept, gone)
        await unit.connection.execute(_MERGE, id_, now.name, list(now.tags), _json(now.fields))
        await unit.connection.execute(_MOVE_GROUPS, id_, gone_id)
        await unit.connection.execute("DELETE FROM contact WHERE id = $1", gone_id)
        before = _was(kept) | {"gone": mask(gone.number)}
        after = {"name": now.name, "tags": list(now.tags), "fields": sorted(now.fields)}
        unit.record("contact.merge", f"contact/{id_}", before=before, after=after)


async def _managed(unit: Unit, id_: int) -> Entry:
    await unit.connection.execute("SELECT FROM contact WHERE id = $1 FOR UPDATE", id_)
    one = await queries.one(unit.connection, unit.actor, id_)
    if one is None or not manages(unit.actor, one):
        raise Refused("NOT_FOUND")
    return one


async def _regroup(unit: Unit, id_: int, account_id: int, groups: Sequence[int], already: Sequence[int] = ()) -> None:
    """The contact is in these groups of those that the actor manages; in others it stays, and joins none."""
    open_ = {row["id"] for row in await open_groups(unit.connection, unit.actor, account_id)}
    wanted = set(groups)
    if not wanted <= open_ | set(already):
        raise Refused("NOT_FOUND")
    await unit.connection.execute(_LEAVE_OPEN, id_, sorted(open_ - wanted))
    await unit.connection.execute(_JOIN, [id_], sorted(wanted & open_))


def _json(fields: Mapping[str, str]) -> str:
    return json.dumps(dict(fields), ensure_ascii=False)


def _plain(draft: EntryDraft) -> JsonObject:
    return {
        "account": draft.account_id, "number": mask(draft.number), "name": draft.name, "tags": list(draft.tags),
        "fields": sorted(draft.fields), "groups": len(draft.groups), "scope": draft.sharing.shared.value,
        "department": draft.sharing.department_id,
    }  # fmt: skip


def _was(one: Entry) -> dict[str, object]:
    return {
        "account": one.account_id, "number": mask(one.number), "name": one.name, "tags": list(one.tags),
        "fields": sorted(one.fields), "groups": len(one.groups), "scope": one.shared, "department": one.department_id,
    }  # fmt: skip


# --- several at a time -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Incoming:
    """A row that is brought in: a contact with the groups that it joins."""

    number: str
    name: str
    tags: tuple[str, ...]
    fields: Mapping[str, str]
    groups: tuple[int, ...]


def brought(known: Entry, row: Incoming, how: Duplicate) -> Incoming:
    """What a contact that is there becomes by a row."""
    if how is Duplicate.OVERWRITE:  # by what stands in the row; an empty cell says nothing
        fields = dict(list((dict(known.fields) | dict(row.fields)).items())[-MAX_FIELDS:])
        return Incoming(row.number, row.name or known.name, row.tags or known.tags, fields, row.groups)
    fields = dict(list((dict(row.fields) | dict(known.fields)).items())[-MAX_FIELDS:])
    tags = tuple(dict.fromkeys((*known.tags, *row.tags)))[:MAX_TAGS]
    return Incoming(row.number, known.name or row.name, tags, fields, row.groups)


_KNOWN_OF = "SELECT id FROM contact WHERE account_id = $1 AND number = $2 FOR UPDATE"


async def bring(unit: Unit, account_id: int, row: Incoming, sharing: Sharing, how: Duplicate) -> tuple[int, bool]:
    """Enter or change a contact inside somebody's unit; its id, and whether it is new. ``STATE_CONFLICT``: it is there,
    and is left alone. The caller has checked the account, the sharing and the groups, and records."""
    connection = unit.connection
    id_: int | None = await connection.fetchval(
        _ADD, account_id, row.number, row.name, list(row.tags), _json(row.fields), owner(unit.actor),
        sharing.shared.value, sharing.department_id,
    )  # fmt: skip
    new = id_ is not None
    if id_ is None:
        id_ = await connection.fetchval(_KNOWN_OF, account_id, row.number)
        known = await queries.one(connection, unit.actor, id_ or 0)
        if id_ is None or known is None or not manages(unit.actor, known):
            raise Refused("STATE_CONFLICT", reason=phrase("contact.colleague"))
        if how is Duplicate.SKIP:
            raise Refused("STATE_CONFLICT", reason=phrase("contact.there"))
        row = brought(known, row, how)
        await connection.execute(_MERGE, id_, row.name, list(row.tags), _json(row.fields))
    if row.groups:
        await connection.execute(_JOIN, [id_], sorted(row.groups))
    return id_, new


_ADD_NEW = """
INSERT INTO contact (account_id, number, name, tags, fields, owner_id, shared, department_id)
SELECT $1, d.number, d.name, ARRAY(SELECT jsonb_array_elements_text(d.tags)), d.fields, NULLIF($6, 0), $7, $8
FROM unnest($2::text[], $3::text[], $4::jsonb[], $5::jsonb[]) AS d(number, name, tags, fields)
ON CONFLICT (account_id, number) DO NOTHING RETURNING number, id
"""


async def bring_new(unit: Unit, account_id: int, rows: Sequence[Incoming], sharing: Sharing) -> dict[str, int]:
    """Enter those whose numbers are new, as ``bring`` would one after the other: number -> id. All join the same
    groups, no number comes twice."""
    if not rows:
        return {}
    made = await unit.connection.fetch(
        _ADD_NEW, account_id, [row.number for row in rows], [row.name for row in rows],
        [json.dumps(list(row.tags), ensure_ascii=False) for row in rows], [_json(row.fields) for row in rows],
        owner(unit.actor), sharing.shared.value, sharing.department_id,
    )  # fmt: skip
    found = {row["number"]: row["id"] for row in made}
    if found and rows[0].groups:
        await unit.connection.execute(_JOIN, list(found.values()), sorted(rows[0].groups))
    return found


# --- groups ----------------------------------------------------------------------------------------------------------

_ADD_GROUP = """
INSERT INTO audience (account_id, name, owner_id, shared, department_id, parent_id)
SELECT $1, $2, NULLIF($3, 0), $4, $5, $7 WHERE (SELECT count(*) FROM audience WHERE account_id = $1) < $6 RETURNING id
"""
_SET_GROUP = "UPDATE audience SET name = $2, shared = $3, department_id = $4 WHERE id = $1"
MAX_DEPTH = 5
"""Groups in one another."""
_LIFT = "UPDATE audience b SET parent_id = a.parent_id FROM audience a WHERE a.id = $1 AND b.parent_id = a.id"
_TREE = """
WITH RECURSIVE tree(id, depth) AS (
    SELECT $1::bigint, 1 UNION ALL SELECT a.id, depth + 1 FROM audience a JOIN tree ON a.parent_id = tree.id
    WHERE depth <= $2
) SELECT id, depth FROM tree
"""
_DEPTH = """
WITH RECURSIVE up(id, depth) AS (
    SELECT $1::bigint, 1 UNION ALL SELECT a.parent_id, depth + 1 FROM audience a JOIN up ON a.id = up.id
    WHERE a.parent_id IS NOT NULL AND depth <= $2
) SELECT max(depth) FROM up
"""
_SHARE_MEMBERS = """
UPDATE contact c SET shared = $2, department_id = $3, updated_at = now()
FROM audience_member m WHERE m.audience_id = $1 AND c.id = m.contact_id AND c.owner_id = $4
"""


async def add_group(
    change: Change, account_id: int, name: str, sharing: Sharing, *, parent_id: int | None = None
) -> int:
    """Make an empty group, in another one of the account if that is said; its id. ``PARAM_INVALID``,
    ``AUDIENCES_FULL``; ``NOT_FOUND`` for another's account."""
    name = group_name(name)
    try:
        async with change.unit(Permission.CONTACT_EDIT) as unit:
            await _may_share(unit.connection, unit.actor, account_id, sharing)
            if parent_id is not None:
                await stored.lock(unit.connection, account_id)
                await _may_lie_in(unit, account_id, parent_id, 1)
            id_: int | None = await unit.connection.fetchval(
                _ADD_GROUP, account_id, name, owner(unit.actor), sharing.shared.value, sharing.department_id,
                MAX_AUDIENCES, parent_id,
            )  # fmt: skip
            if id_ is None:
                raise Refused("AUDIENCES_FULL", most=MAX_AUDIENCES)
            unit.record("audience.add", f"audience/{id_}", after=_group_plain(account_id, name, sharing))
    except asyncpg.UniqueViolationError as exc:
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("audience.exists")) from exc
    return id_


async def put_group(change: Change, id_: int, name: str, sharing: Sharing, *, with_members: bool) -> int:
    """Name a group and say whom it is for; ``with_members``: so are those of its contacts that the actor has entered.
    How many contacts that were. As ``add_group``."""
    name, shared = group_name(name), 0
    try:
        async with change.unit(Permission.CONTACT_EDIT, timeout=60) as unit:
            before = await _managed_group(unit, id_)
            await _may_share(unit.connection, unit.actor, before.account_id, sharing)
            if sharing.shared is Shared.OWN and before.owner_id != owner(unit.actor):
                raise Invalid("PARAM_INVALID", field="scope", reason=phrase("contact.of_another"))
            how = (sharing.shared.value, sharing.department_id)
            await unit.connection.execute(_SET_GROUP, id_, name, *how)
            if with_members:
                done = await unit.connection.execute(_SHARE_MEMBERS, id_, *how, owner(unit.actor))
                shared = int(done.rpartition(" ")[2])
            was = {"name": before.name, "scope": before.shared, "department": before.department_id}
            now = {"name": name, "scope": how[0], "department": how[1], "numbers": shared}
            unit.record("audience.set", f"audience/{id_}", before=was, after=now)
    except asyncpg.UniqueViolationError as exc:
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("audience.exists")) from exc
    return shared


async def move_group(change: Change, id_: int, parent_id: int | None) -> None:
    """Put a group with all below it into another one of its account, or at the top (None). ``NOT_FOUND`` for one
    that is not the actor's to change; ``PARAM_INVALID``: the other is not, or it would lie in itself or too deep."""
    async with change.unit(Permission.CONTACT_EDIT) as unit:
        before = await _managed_group(unit, id_)
        await stored.lock(unit.connection, before.account_id)
        if parent_id is not None:
            rows = await unit.connection.fetch(_TREE, id_, MAX_DEPTH)
            if parent_id in {row["id"] for row in rows}:
                raise Invalid("PARAM_INVALID", field="parent", reason=phrase("audience.cycle"))
            await _may_lie_in(unit, before.account_id, parent_id, max(row["depth"] for row in rows))
        await unit.connection.execute("UPDATE audience SET parent_id = $2 WHERE id = $1", id_, parent_id)
        was, now = {"parent": before.parent_id}, {"parent": parent_id}
        unit.record("audience.move", f"audience/{id_}", before=was, after=now)


async def _may_lie_in(unit: Unit, account_id: int, parent_id: int, height: int) -> None:
    parent = await queries.group(unit.connection, unit.actor, parent_id)
    if parent is None or parent.account_id != account_id or not manages(unit.actor, parent):
        raise Invalid("PARAM_INVALID", field="parent", reason=phrase("audience.parent"))
    if await unit.connection.fetchval(_DEPTH, parent_id, MAX_DEPTH) + height > MAX_DEPTH:
        raise Invalid("PARAM_INVALID", field="parent", reason=phrase("audience.deep", most=MAX_DEPTH))


async def remove_group(change: Change, id_: int) -> None:
    """Forget a group; its contacts stay, and what lies in it lies where it has lain. ``NOT_FOUND``."""
    async with change.unit(Permission.CONTACT_EDIT) as unit:
        before = await _managed_group(unit, id_)
        await stored.lock(unit.connection, before.account_id)
        await unit.connection.execute(_LIFT, id_)
        await unit.connection.execute("DELETE FROM audience WHERE id = $1", id_)
        unit.record("audience.remove", f"audience/{id_}", before={"name": before.name, "members": before.members})


async def _managed_group(unit: Unit, id_: int) -> Group:
    await unit.connection.execute("SELECT FROM audience WHERE id = $1 FOR UPDATE", id_)
    one = await queries.group(unit.connection, unit.actor, id_)
    if one is None or not manages(unit.actor, one):
        raise Refused("NOT_FOUND")
    return one


def group_name(name: str) -> str:
    """The name of a group or segment as it is kept. ``PARAM_INVALID``."""
    name = " ".join(name.split())
    if not 0 < len(name) <= 64 or not name.isprintable():
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("text.between", low=1, high=64))
    return name


def _group_plain(account_id: int, name: str, sharing: Sharing) -> JsonObject:
    return {"account": account_id, "name": name, "scope": sharing.shared.value, "department": sharing.department_id}


async def may_bring(connection: Connection, actor: Actor, account_id: int, sharing: Sharing) -> None:
    """Refuse whoever may not enter contacts or segments of this account for these. As ``add``."""
    await _may_share(connection, actor, account_id, sharing)


async def collect(change: Change, group_id: int, numbers: Sequence[str]) -> tuple[int, int, int]:
    """Put numbers into a group: those that are no contacts of its account become some, for whom the group is. How many
    are in it now, how many of them are new contacts, and how many are a colleague's and stay out.

    ``NOT_FOUND`` for a group that is not the actor's to change; ``CONTACTS_FULL``.
    """
    inside = new = others = 0
    async with change.unit(Permission.CONTACT_EDIT, timeout=60) as unit:
        group = await _managed_group(unit, group_id)
        sharing = Sharing(Shared(group.shared), group.department_id)
        if await stored.lock(unit.connection, group.account_id) + len(numbers) > MAX_CONTACTS:
            raise Refused("CONTACTS_FULL", most=MAX_CONTACTS)
        for number in dict.fromkeys(numbers):
            row = Incoming(number, "", (), {}, (group_id,))
            try:
                _, entered = await bring(unit, group.account_id, row, sharing, Duplicate.MERGE)
            except Refused:
                others += 1
            else:
                inside, new = inside + 1, new + entered
        unit.record(
            "audience.members",
            f"audience/{group_id}",
            after={"account": group.account_id, "joined": inside, "created": new},
        )
    return inside, new, others
