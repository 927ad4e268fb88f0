"""The statements that read the audit log for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from smsgw.core.actor import ActorLabel
from smsgw.platform.listing import Listing
from smsgw.platform.paging import Order
from smsgw.store.engine.database import Database, Row


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the log."""

    id: int
    at: datetime
    actor: ActorLabel
    name: Annotated[str, "COALESCE(s.name, '')"]
    """Of the person, when the actor is one."""
    address: Annotated[str, "COALESCE(host(a.ip), '')"]
    action: str
    object: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    sealed: Annotated[bool, "NOT EXISTS (SELECT FROM audit_open o WHERE o.id = a.id)"]
    """It is in the chain."""


_ACTION = """
(a.action = {value[0]} OR starts_with(a.action, {value[0]} || '.') OR a.action = ANY({value[1]}::text[]))
"""
_OBJECT = """
(starts_with(a.object, {value}) OR substr(a.object, strpos(a.object, '/') + 1) = {value}
 OR a.object = ANY(SELECT 'account/' || id FROM account WHERE name = {value})
 OR a.object = ANY(SELECT 'channel/' || id FROM channel WHERE name = {value}))
"""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are looked for."""

    since: Annotated[datetime | None, "a.at >= {value}"] = None
    until: Annotated[datetime | None, "a.at < {value}"] = None
    actor: Annotated[str, "a.actor = {value}"] = ""
    """Login, key or part of the program."""
    action: Annotated[tuple[str, Sequence[str]], _ACTION] = ("", ())
    """All of it, or what it begins with up to a dot; or any of these."""
    object: Annotated[str, _OBJECT] = ""
    """What it begins with, or what pages show of it: an id, a name, an account, a channel."""
    address: Annotated[str, "a.ip <<= {value}::text::inet"] = ""
    """An address or a network."""


def entry(row: Row) -> Entry:
    values = {name: row[name] for name in Entry.__dataclass_fields__}
    for name in ("before", "after"):
        values[name] = None if values[name] is None else json.loads(values[name])
    return Entry(**values)


# Whoever sees all departments sees all of it; others what people of their departments have done.
ENTRIES = Listing(
    Entry,
    AuditFilter,
    "audit a LEFT JOIN staff s ON s.login = a.actor",
    seen="""
({departments}::bigint[] IS NULL OR a.actor IN (SELECT login FROM staff WHERE department_id = ANY({departments})))
""",
    orders={"at": Order("a.at", "timestamptz")},
    make=entry,
)


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
