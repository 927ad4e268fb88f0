"""Changes of phrases. People change their own; shared ones also whoever may edit templates where they are shared, keys
and operators among them: what these make is shared with an account, and nobody's own."""

from __future__ import annotations

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase as said
from smsgw.platform.change import Change, JsonObject
from smsgw.platform.phrases import queries
from smsgw.platform.phrases.model import MOST, MOST_CONTENT, MOST_TITLE, Draft, Phrase, Scope
from smsgw.platform.phrases.queries import owner
from smsgw.store.engine.database import Connection

_LOCK = "SELECT department_id FROM staff WHERE id = $1 FOR UPDATE"
_HOW_MANY = "SELECT count(*) FROM phrase WHERE owner_id = $1"
_LOCK_ACCOUNT = "SELECT FROM account WHERE id = $1 FOR UPDATE"
_HOW_MANY_OF_ACCOUNT = "SELECT count(*) FROM phrase WHERE account_id = $1 AND owner_id IS NULL"
_ADD = """
INSERT INTO phrase (owner_id, title, content, department_id, account_id) VALUES ($1, $2, $3, $4, $5) RETURNING id
"""
_SET = """
UPDATE phrase SET title = $2, content = $3, department_id = $4, account_id = $5, updated_at = now() WHERE id = $1
"""
_OWN_DEPARTMENT = "SELECT department_id = $2 FROM staff WHERE id = $1"


def manages(actor: Actor, one: Phrase) -> bool:
    """Whether an actor may change or remove a phrase that it may use."""
    if one.owner_id is not None and one.owner_id == owner(actor):
        return True
    if not actor.may(Permission.TEMPLATE_EDIT) or one.scope == Scope.OWN:
        return False
    if one.account_id is not None:
        return actor.scope.covers(one.account_id)
    return actor.scope.covers_department(one.department_id)


async def add(change: Change, draft: Draft) -> int:
    """Keep a phrase; its id. ``PARAM_INVALID``; ``NOT_FOUND`` for a department or account that is not the actor's;
    ``STATE_CONFLICT``: there are too many."""
    title, content = _checked(draft)
    me = owner(change.actor)
    if not me and draft.scope is not Scope.ACCOUNT:
        raise Invalid("PARAM_INVALID", field="scope", reason=said("phrase.shared"))
    async with change.unit(_permission(change.actor), None if me else draft.account_id) as unit:
        await _may_share(unit.connection, change.actor, draft)
        await _room(unit.connection, me, draft.account_id)
        values = (title, content, draft.department_id, draft.account_id)
        id_: int = await unit.connection.fetchval(_ADD, me or None, *values)
        unit.record("phrase.add", f"phrase/{id_}", after=_plain(title, content, draft.scope))
    return id_


async def put(change: Change, id_: int, draft: Draft) -> None:
    """Change a phrase. As ``add``; ``NOT_FOUND`` for one that is not the actor's to change."""
    title, content = _checked(draft)
    async with change.unit(_permission(change.actor)) as unit:
        before = await _managed(unit.connection, change.actor, id_)
        await _may_share(unit.connection, change.actor, draft)
        if draft.scope is Scope.OWN and before.owner_id != owner(change.actor):
            raise Refused("NOT_FOUND")  # it would vanish from who wishes it
        if draft.scope is Scope.DEPARTMENT and before.owner_id is None:
            raise Invalid("PARAM_INVALID", field="scope", reason=said("phrase.shared"))
        await unit.connection.execute(_SET, id_, title, content, draft.department_id, draft.account_id)
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
    return Permission.SELF_EDIT if owner(actor) else Permission.TEMPLATE_EDIT


async def _room(connection: Connection, me: int, account_id: int | None) -> None:
    """Room for one more. ``STATE_CONFLICT``."""
    if me:
        await connection.fetchrow(_LOCK, me)
        if await connection.fetchval(_HOW_MANY, me) >= MOST:
            raise Refused("STATE_CONFLICT", reason=said("phrase.full", most=MOST))
        return
    await connection.fetchrow(_LOCK_ACCOUNT, account_id)
    if await connection.fetchval(_HOW_MANY_OF_ACCOUNT, account_id) >= MOST:
        raise Refused("STATE_CONFLICT", reason=said("phrase.account_full", most=MOST))


def _plain(title: str, content: str, scope: str) -> JsonObject:
    return {"title": title, "content": content, "scope": str(scope)}


def _checked(draft: Draft) -> tuple[str, str]:
    title, content = " ".join(draft.title.split()), draft.content.strip()
    if not 1 <= len(title) <= MOST_TITLE or not title.isprintable():
        raise Invalid("PARAM_INVALID", field="title", reason=said("phrase.title", most=MOST_TITLE))
    if not 1 <= len(content) <= MOST_CONTENT or "\0" in content:
        raise Invalid("PARAM_INVALID", field="content", reason=said("phrase.content", most=MOST_CONTENT))
    shared = {Scope.DEPARTMENT: draft.department_id, Scope.ACCOUNT: draft.account_id}
    if any((id_ is not None) != (scope is draft.scope) for scope, id_ in shared.items()):
        raise Invalid("PARAM_MISSING", field=draft.scope.value)
    return title, content


async def _may_share(connection: Connection, actor: Actor, draft: Draft) -> None:
    """With accounts of which the actor sees something, with the own department and those in the scope."""
    seen = actor.scope.accounts
    if draft.account_id is not None and seen is not None and draft.account_id not in seen:
        raise Refused("NOT_FOUND")
    if draft.department_id is not None and not actor.scope.covers_department(draft.department_id):
        if not await connection.fetchval(_OWN_DEPARTMENT, owner(actor), draft.department_id):
            raise Refused("NOT_FOUND")


async def _managed(connection: Connection, actor: Actor, id_: int) -> Phrase:
    await connection.execute("SELECT FROM phrase WHERE id = $1 FOR UPDATE", id_)
    one = await queries.one(connection, actor, id_)
    if one is None or not manages(actor, one):
        raise Refused("NOT_FOUND")
    return one
