"""Changes of drafts, everybody's own, and those of accounts, which programs make. What a form saves by itself is not
entered into the audit log each time: it would say nothing but that somebody types; that a draft is made, is gone on
with, copied, removed and sent is."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any

import msgspec

from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase as said
from smsgw.platform.change import Change
from smsgw.platform.drafts import queries
from smsgw.platform.drafts.model import MOST, MOST_OCTETS, MOST_OF_ACCOUNT, MOST_SHOWN, Draft, Kind, State, Survey
from smsgw.platform.drafts.queries import draft_of, owner
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database

_LOCK = "SELECT FROM staff WHERE id = $1 FOR UPDATE"
_LOCK_ACCOUNT = "SELECT FROM account WHERE id = $1 FOR UPDATE"
_HOW_MANY = "SELECT count(*) FROM send_draft WHERE owner_id = $1"
_HOW_MANY_OF_ACCOUNT = "SELECT count(*) FROM send_draft WHERE account_id = $1"
_ADD_OF_ACCOUNT = """
INSERT INTO send_draft (account_id, key, kind, subject, state) VALUES ($1, $2, $3, $4, $5) RETURNING *
"""
_BY_KEY = "SELECT * FROM send_draft WHERE owner_id = $1 AND key = $2"
_ADD = """
INSERT INTO send_draft (owner_id, key, kind, subject, state) VALUES ($1, $2, $3, $4, $5) RETURNING *
"""
_PUT = "UPDATE send_draft SET subject = $2, state = $3, updated_at = now() WHERE id = $1"
_FOUND = "UPDATE send_draft SET survey = $2, survey_of = $3 WHERE id = $1"
_REMOVE = "DELETE FROM send_draft WHERE id = $1"


async def begin(change: Change, key: str, kind: Kind, state: State, fields: Collection[str]) -> Draft:
    """A new draft; or, when the same form has been saved before, that one with what the form says now: its ``fields``,
    for other steps may have been done since. ``PARAM_INVALID``: it is too large; ``STATE_CONFLICT``: there are too
    many, or it has become a task already."""
    if not 16 <= len(key) <= 64:
        raise Invalid("PARAM_INVALID", field="key", reason=said("draft.key"))
    text = _text(state)
    me = owner(change.actor)
    async with change.unit(Permission.MESSAGE_SEND) as unit:
        await unit.connection.fetchrow(_LOCK, me)
        if row := await unit.connection.fetchrow(_BY_KEY, me, key):
            await _put(unit.connection, row["id"], _with(draft_of(row).state, state, fields))
            unit.unchanged()
            one = await queries.one(unit.connection, change.actor, row["id"])
            assert one is not None  # noqa: S101 - it was just there, and is locked
            return one
        if await queries.sent(unit.connection, change.actor, key) is not None:
            raise Refused("STATE_CONFLICT", reason=said("draft.sent"))
        row = await _add(unit.connection, me, key, kind, state, text)
        unit.record("draft.add", f"draft/{row['id']}", after=_plain(state))
        return draft_of(row)


async def add(change: Change, account_id: int, state: State) -> Draft:
    """A new draft of the account, for who is no person. ``PARAM_INVALID``: too large; ``NOT_FOUND`` for an account
    that is not the actor's; ``STATE_CONFLICT``: there are too many."""
    text, key = _text(state), secrets.token_urlsafe(18)
    async with change.unit(Permission.MESSAGE_SEND, account_id) as unit:
        await unit.connection.fetchrow(_LOCK_ACCOUNT, account_id)
        if await unit.connection.fetchval(_HOW_MANY_OF_ACCOUNT, account_id) >= MOST_OF_ACCOUNT:
            raise Refused("STATE_CONFLICT", reason=said("draft.full", most=MOST_OF_ACCOUNT))
        row = await unit.connection.fetchrow(
            _ADD_OF_ACCOUNT, account_id, key, Kind.SAME.value, state.subject[:64], text
        )
        assert row is not None  # noqa: S101 - what an insertion gives
        unit.record("draft.add", f"draft/{row['id']}", after=_plain(state))
        return draft_of(row)


async def put(change: Change, id_: int, state: State, fields: Collection[str], *, step: str = "") -> None:
    """Keep what the ``fields`` of a form say now; the others stay as they are. ``step``: which of them is done; empty:
    the form has saved itself. ``NOT_FOUND``, ``PARAM_INVALID``."""
    async with change.unit(Permission.MESSAGE_SEND) as unit:
        before = await _own(unit.connection, change, id_)
        state = _with(before.state, state, fields)
        await _put(unit.connection, id_, state)
        if step and before.state != state:
            unit.record("draft.set", f"draft/{id_}", before=_plain(before.state), after=_plain(state))
        else:
            unit.unchanged()


async def copy(change: Change, id_: int) -> int:
    """The same once more; its id. ``NOT_FOUND``, ``STATE_CONFLICT``: there are too many."""
    me = owner(change.actor)
    async with change.unit(Permission.MESSAGE_SEND) as unit:
        await unit.connection.fetchrow(_LOCK, me)
        one = await _own(unit.connection, change, id_)
        row = await _add(unit.connection, me, secrets.token_urlsafe(18), one.kind, one.state, _text(one.state))
        unit.record("draft.add", f"draft/{row['id']}", after={"copy_of": str(id_), **_plain(one.state)})
        new: int = row["id"]
        return new


async def remove(change: Change, id_: int) -> None:
    """Forget a draft. ``NOT_FOUND``."""
    async with change.unit(Permission.MESSAGE_SEND) as unit:
        one = await _own(unit.connection, change, id_)
        await unit.connection.execute(_REMOVE, id_)
        unit.record("draft.remove", f"draft/{id_}", before=_plain(one.state))


async def sent(change: Change, id_: int, task_id: int, rows: int) -> None:
    """The draft has become a task: it is there no more. Repeated, nothing happens."""
    async with change.unit(Permission.MESSAGE_SEND) as unit:
        one = await queries.one(unit.connection, change.actor, id_)
        if one is None:
            unit.unchanged()
            return
        await unit.connection.execute(_REMOVE, id_)
        after = {"task": str(task_id), "numbers": rows}
        unit.record("draft.remove", f"draft/{id_}", before=_plain(one.state), after=after)


async def found(database: Database, draft: Draft, survey: Survey) -> None:
    """What the engine says of its rows, for as long as they stay as they are. Of rows that are shown so many are kept
    as there is room for."""
    survey = msgspec.structs.replace(survey, made=clock.now())
    most, octets = MOST_SHOWN, msgspec.json.encode(survey)
    while len(octets) > MOST_OCTETS and most:
        most //= 2
        shown = {cls: rows[:most] for cls, rows in survey.shown.items()}
        octets = msgspec.json.encode(msgspec.structs.replace(survey, shown=shown))
    await database.execute(_FOUND, draft.id, octets.decode(), draft.state.fingerprint())


async def look_again(database: Database, id_: int) -> None:
    """What was found about a draft's rows is good no more."""
    await database.execute(_FOUND, id_, None, "")


def _with(before: State, state: State, fields: Collection[str]) -> State:
    return msgspec.structs.replace(before, **{name: getattr(state, name) for name in fields})


async def _put(connection: Connection, id_: int, state: State) -> None:
    await connection.execute(_PUT, id_, state.subject[:64], _text(state))


async def _add(connection: Connection, me: int, key: str, kind: Kind, state: State, text: str) -> Any:
    if not me:
        raise Refused("NOT_FOUND")
    if await connection.fetchval(_HOW_MANY, me) >= MOST:
        raise Refused("STATE_CONFLICT", reason=said("draft.full", most=MOST))
    return await connection.fetchrow(_ADD, me, key, kind.value, state.subject[:64], text)


async def _own(connection: Connection, change: Change, id_: int) -> Draft:
    await connection.execute("SELECT FROM send_draft WHERE id = $1 FOR UPDATE", id_)
    one = await queries.one(connection, change.actor, id_)
    if one is None:
        raise Refused("NOT_FOUND")
    return one


def _text(state: State) -> str:
    octets = msgspec.json.encode(state)
    if len(octets) > MOST_OCTETS:
        raise Invalid("PARAM_INVALID", field="to", reason=said("draft.large", most=MOST_OCTETS // 1024))
    return octets.decode()


def _plain(state: State) -> dict[str, Any]:
    """What the audit log is told: what and for whom, not the numbers."""
    return {
        "subject": state.subject, "account": state.account, "type": state.type, "sign": state.sign,
        "template": state.template, "content": state.content[:1000], "source": state.source,
    }  # fmt: skip
