"""Phrases (日常用语): texts that people keep to put into messages, for themselves or shared.

People change their own; shared ones also whoever may edit templates where they are shared, keys and operators among
them: what these make is shared with an account, and nobody's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase as said
from smsgw.platform.change import Change, JsonObject
from smsgw.platform.listing import Listing, person
from smsgw.platform.paging import Order, Window
from smsgw.store.engine.database import Connection, Database

MOST = 200
"""Phrases of one person, and of one account those that are no person's."""
MOST_TITLE, MOST_CONTENT = 40, 500


class PhraseScope(StrEnum):
    """Whom a phrase is for."""

    OWN = "own"
    DEPARTMENT = "department"
    """People of the department, and of those below it."""
    ACCOUNT = "account"
    """People who see something of the account."""


_SCOPE = (
    "CASE WHEN p.account_id IS NOT NULL THEN 'account' "
    "WHEN p.department_id IS NOT NULL THEN 'department' ELSE 'own' END"
)


@dataclass(frozen=True, slots=True)
class PhraseDraft:
    """What somebody wants a phrase to be."""

    title: str
    content: str
    scope: PhraseScope
    department_id: int | None = None
    account_id: int | None = None


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase as it stands."""

    id: int
    owner_id: int | None
    """None: it came by the interface or the command line, and is the account's."""
    owner: Annotated[str, "COALESCE(NULLIF(s.name, ''), s.login, '')"]
    """Name of the person; empty: nobody."""
    scope: Annotated[str, _SCOPE]
    department_id: int | None
    account_id: int | None
    shared_with: Annotated[str, "COALESCE(d.name, a.name, '')"]
    """Name of the department or account; empty: nobody."""
    title: str
    content: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class PhraseFilter:
    """Which phrases are looked for."""

    title: Annotated[str, "strpos(lower(p.title), lower({value})) > 0"] = ""
    content: Annotated[str, "strpos(p.content, {value}) > 0"] = ""
    scope: Annotated[str, f"{_SCOPE} = {{value}}"] = ""
    account: Annotated[int | None, "p.account_id = {value}"] = None
    department: Annotated[int | None, "p.department_id = {value}"] = None
    created_by: Annotated[str, "(s.login = {value} OR strpos(s.name, {value}) > 0)"] = ""


# The reader's departments: the own one and all above it, whose phrases are for everybody below; and those in the scope.
PHRASES = Listing(
    Phrase,
    PhraseFilter,
    """phrase p LEFT JOIN staff s ON s.id = p.owner_id
LEFT JOIN department d ON d.id = p.department_id LEFT JOIN account a ON a.id = p.account_id""",
    seen="""
(p.owner_id = {person}
 OR p.account_id IS NOT NULL AND ({narrowed}::bigint[] IS NULL OR p.account_id = ANY({narrowed}))
 OR p.department_id IS NOT NULL AND ({departments}::bigint[] IS NULL OR p.department_id = ANY({departments})
    OR p.department_id IN (
        WITH RECURSIVE above(id) AS (
            SELECT department_id FROM staff WHERE id = {person} AND department_id IS NOT NULL
            UNION SELECT e.parent_id FROM department e JOIN above ON e.id = above.id WHERE e.parent_id IS NOT NULL
        ) SELECT id FROM above)))
""",
    orders={
        "updated_at": Order("p.updated_at", "timestamptz"),
        "title": Order("p.title", "text"),
        "id": Order("p.id", "bigint"),
    },
)

_LOCK = "SELECT department_id FROM staff WHERE id = $1 FOR UPDATE"
_COUNT = "SELECT count(*) FROM phrase WHERE owner_id = $1"
_LOCK_ACCOUNT = "SELECT FROM account WHERE id = $1 FOR UPDATE"
_COUNT_OF_ACCOUNT = "SELECT count(*) FROM phrase WHERE account_id = $1 AND owner_id IS NULL"
_ADD = """
INSERT INTO phrase (owner_id, title, content, department_id, account_id) VALUES ($1, $2, $3, $4, $5) RETURNING id
"""
_UPDATE = """
UPDATE phrase SET title = $2, content = $3, department_id = $4, account_id = $5, updated_at = now() WHERE id = $1
"""
_BELONGS = "SELECT department_id = $2 FROM staff WHERE id = $1"
_OWN = "SELECT d.id, d.name FROM staff s JOIN department d ON d.id = s.department_id WHERE s.id = $1"


async def usable(database: Database, actor: Actor, *, limit: int) -> Sequence[Phrase]:
    """What the actor may put into a message, by title."""
    return (await PHRASES.search(database, actor, None, Window("title", descending=False, limit=limit))).rows


async def own_department(database: Database, actor: Actor) -> tuple[int, str] | None:
    """The department that the actor belongs to, whatever the scope: id and name."""
    row = await database.fetchrow(_OWN, person(actor))
    return None if row is None else (row["id"], row["name"])


def manages(actor: Actor, one: Phrase) -> bool:
    """Whether an actor may change or remove a phrase that it may use."""
    if one.owner_id is not None and one.owner_id == person(actor):
        return True
    if not actor.may(Permission.TEMPLATE_EDIT) or one.scope == PhraseScope.OWN:
        return False
    if one.account_id is not None:
        return actor.scope.covers(one.account_id)
    return actor.scope.covers_department(one.department_id)


async def add(change: Change, draft: PhraseDraft) -> int:
    """Keep a phrase; its id. ``PARAM_INVALID``; ``NOT_FOUND`` for a department or account that is not the actor's;
    ``STATE_CONFLICT``: there are too many."""
    title, content = _checked(draft)
    me = person(change.actor)
    if not me and draft.scope is not PhraseScope.ACCOUNT:
        raise Invalid("PARAM_INVALID", field="scope", reason=said("phrase.shared"))
    async with change.unit(_permission(change.actor), None if me else draft.account_id) as unit:
        await _may_share(unit.connection, change.actor, draft)
        await _room(unit.connection, me, draft.account_id)
        values = (title, content, draft.department_id, draft.account_id)
        id_: int = await unit.connection.fetchval(_ADD, me or None, *values)
        unit.record("phrase.add", f"phrase/{id_}", after=_plain(title, content, draft.scope))
    return id_


async def put(change: Change, id_: int, draft: PhraseDraft) -> None:
    """Change a phrase. As ``add``; ``NOT_FOUND`` for one that is not the actor's to change."""
    title, content = _checked(draft)
    async with change.unit(_permission(change.actor)) as unit:
        before = await _managed(unit.connection, change.actor, id_)
        await _may_share(unit.connection, change.actor, draft)
        if draft.scope is PhraseScope.OWN and before.owner_id != person(change.actor):
            raise Refused("NOT_FOUND")  # it would vanish from who wishes it
        if draft.scope is PhraseScope.DEPARTMENT and before.owner_id is None:
            raise Invalid("PARAM_INVALID", field="scope", reason=said("phrase.shared"))
        await unit.connection.execute(_UPDATE, id_, title, content, draft.department_id, draft.account_id)
        was, now = _plain(before.title, before.content, before.scope), _plain(title, content, draft.scope)
        unit.record("phrase.set", f"phrase/{id_}", before=was, after=now)


async def remove(change: Change, id_: int) -> None:
    """Forget a phrase. ``NOT_FOUND``."""
    async with change.unit(_permission(change.actor)) as unit:
        before = await _managed(unit.connection, change.actor, id_)
        await unit.connection.execute("DELETE FROM phrase WHERE id = $1", id_)
        unit.record("phrase.remove", f"phrase/{id_}", before=_plain(before.title, before.content, before.scope))


def _permission(actor: Actor) -> Permission:
    """People may change what is theirs; who is none has nothing but what is shared."""
    return Permission.SELF_EDIT if person(actor) else Permission.TEMPLATE_EDIT


async def _room(connection: Connection, me: int, account_id: int | None) -> None:
    """Room for one more. ``STATE_CONFLICT``."""
    if me:
        await connection.fetchrow(_LOCK, me)
        if await connection.fetchval(_COUNT, me) >= MOST:
            raise Refused("STATE_CONFLICT", reason=said("phrase.full", most=MOST))
        return
    await connection.fetchrow(_LOCK_ACCOUNT, account_id)
    if await connection.fetchval(_COUNT_OF_ACCOUNT, account_id) >= MOST:
        raise Refused("STATE_CONFLICT", reason=said("phrase.account_full", most=MOST))


def _plain(title: str, content: str, scope: str) -> JsonObject:
    return {"title": title, "content": content, "scope": str(scope)}


def _checked(draft: PhraseDraft) -> tuple[str, str]:
    title, content = " ".join(draft.title.split()), draft.content.strip()
    if not 1 <= len(title) <= MOST_TITLE or not title.isprintable():
        raise Invalid("PARAM_INVALID", field="title", reason=said("phrase.title", most=MOST_TITLE))
    if not 1 <= len(content) <= MOST_CONTENT or "\0" in content:
        raise Invalid("PARAM_INVALID", field="content", reason=said("phrase.content", most=MOST_CONTENT))
    shared = {PhraseScope.DEPARTMENT: draft.department_id, PhraseScope.ACCOUNT: draft.account_id}
    if any((id_ is not None) != (scope is draft.scope) for scope, id_ in shared.items()):
        raise Invalid("PARAM_MISSING", field=draft.scope.value)
    return title, content


async def _may_share(connection: Connection, actor: Actor, draft: PhraseDraft) -> None:
    """With accounts of which the actor sees something, with the own department and those in the scope."""
    seen = actor.scope.accounts
    if draft.account_id is not None and seen is not None and draft.account_id not in seen:
        raise Refused("NOT_FOUND")
    if draft.department_id is not None and not actor.scope.covers_department(draft.department_id):
        if not await connection.fetchval(_BELONGS, person(actor), draft.department_id):
            raise Refused("NOT_FOUND")


async def _managed(connection: Connection, actor: Actor, id_: int) -> Phrase:
    await connection.execute("SELECT FROM phrase WHERE id = $1 FOR UPDATE", id_)
    one = await PHRASES.get(connection, actor, id_)
    if one is None or not manages(actor, one):
        raise Refused("NOT_FOUND")
    return one
