"""The statements that read the audit log for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smsgw.core.actor import ActorLabel, Scope
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Database, Row


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the log."""

    id: int
    at: datetime
    actor: ActorLabel
    name: str
    """Of the person, when the actor is one."""
    address: str
    action: str
    object: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    sealed: bool
    """It is in the chain."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; empty: anything."""

    from_time: datetime
    to_time: datetime
    who: str = ""
    """Login, key or part of the program."""
    action: str = ""
    """All of it, or what it begins with up to a dot."""
    object: str = ""
    """All of it, what it begins with, or what pages show of it: an id, a name, an account, a channel."""
    address: str = ""
    """An address or a network."""
    actions: Sequence[str] = ()
    """Besides ``action``: any of these."""


ORDERS = {"at": Order("a.at", "timestamptz")}

# Whoever sees all departments sees all of it; others what people of their departments have done.
_SCOPE = """
($1::bigint[] IS NULL OR a.actor IN (SELECT login FROM staff WHERE department_id = ANY($1)))
"""
_ENTRY = """
a.id, a.at, a.actor, COALESCE(s.name, '') AS name, COALESCE(host(a.ip), '') AS address, a.action, a.object,
a.before, a.after, NOT EXISTS (SELECT FROM audit_open o WHERE o.id = a.id) AS sealed
"""
_WHERE = f"""
{_SCOPE} AND a.at >= $2 AND a.at < $3 AND ($4 = '' OR a.actor = $4)
  AND ($5 = '' OR a.action = $5 OR starts_with(a.action, $5 || '.') OR a.action = ANY($8::text[]))
  AND ($6 = '' OR starts_with(a.object, $6) OR substr(a.object, strpos(a.object, '/') + 1) = $6
       OR a.object = ANY(SELECT 'account/' || id FROM account WHERE name = $6)
       OR a.object = ANY(SELECT 'channel/' || id FROM channel WHERE name = $6))
  AND ($7 = '' OR a.ip <<= $7::text::inet)
"""  # noqa: S608 - constants
_SEARCH = f"""
SELECT {_ENTRY}, {{key}} AS _key FROM audit a LEFT JOIN staff s ON s.login = a.actor
WHERE {_WHERE} AND {{where}} ORDER BY {{order}}
"""  # noqa: S608
_COUNT = f"SELECT count(*) FROM (SELECT FROM audit a WHERE {_WHERE} LIMIT $9) few"  # noqa: S608
_GET = f"""
SELECT {_ENTRY} FROM audit a LEFT JOIN staff s ON s.login = a.actor WHERE {_SCOPE} AND a.id = $2
"""  # noqa: S608


def _arguments(scope: Scope, wanted: Wanted) -> tuple[object, ...]:
    departments = None if scope.departments is None else list(scope.departments)
    return (
        departments, wanted.from_time, wanted.to_time, wanted.who, wanted.action, wanted.object, wanted.address,
        list(wanted.actions),
    )  # fmt: skip


async def search(database: Database, scope: Scope, wanted: Wanted, window: Window) -> Slice[Entry]:
    """Entries in the scope, a window of them."""
    return await read(database, _SEARCH, _arguments(scope, wanted), ORDERS, window, entry, id_="a.id")


async def count(database: Database, scope: Scope, wanted: Wanted, most: int) -> int:
    """How many entries there are; not counted beyond ``most``."""
    number: int = await database.fetchval(_COUNT, *_arguments(scope, wanted), most)
    return number


async def get(database: Database, scope: Scope, id_: int) -> Entry | None:
    """One entry in the scope."""
    departments = None if scope.departments is None else list(scope.departments)
    row = await database.fetchrow(_GET, departments, id_)
    return None if row is None else entry(row)


@dataclass(frozen=True, slots=True)
class State:
    """How the log is."""

    unsealed: int
    """Entries that are not in the chain yet."""
    job: int | None
    """The last verification that came to an end; None: never."""
    verified_at: datetime | None
    sound: bool


_STATE = """
SELECT (SELECT count(*) FROM audit_open) AS unsealed, j.id AS job, j.ended_at AS verified_at,
       COALESCE(j.checkpoint->>'sound' = 'true', false) AS sound
FROM (SELECT) one LEFT JOIN LATERAL (
    SELECT id, ended_at, checkpoint FROM job WHERE kind = 'audit.verify' AND state = 'done' ORDER BY id DESC LIMIT 1
) j ON true
"""


async def state(database: Database) -> State:
    """How the log is, as far as it is known."""
    row = await database.fetchrow(_STATE)
    assert row is not None  # noqa: S101 - one row, whatever there is
    return State(**dict(row))


def entry(row: Row) -> Entry:
    values = {name: row[name] for name in Entry.__dataclass_fields__}
    for name in ("before", "after"):
        values[name] = None if values[name] is None else json.loads(values[name])
    return Entry(**values)
