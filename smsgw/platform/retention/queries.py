"""The rules, what each class of data holds, and what a rule would do at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from smsgw.core.actor import Actor
from smsgw.core.retention import CLASSES, CLICKS, INBOUND, MESSAGES, PDUS, TABLE, Ages
from smsgw.platform.listing import Listing
from smsgw.platform.paging import Order, Window
from smsgw.platform.retention.model import Coming, Held, Rule, State
from smsgw.store.engine.database import Connection, Database
from smsgw.store.records import retention_steps

EVENTS, AUDIT, FILES = "events", "audit", "files"
"""Classes that have one time only: no number is in them, or they go as a whole."""
_TABLES = {
    MESSAGES: ("message", "part", "attempt", "event", "partner_part"), INBOUND: ("mo",), PDUS: ("evidence",),
    CLICKS: ("link_click",),
    EVENTS: ("customer_event", "webhook_attempt"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RuleFilter:
    """Which rules are looked for."""

    state: Annotated[str, "r.state = {value}"] = ""


# They are the platform's; whoever may see its settings sees them.
RETENTION_RULES = Listing(
    Rule, RuleFilter, "retention_rule r", seen="true", orders={"asked_at": Order("r.id", "bigint")}
)


async def waiting(database: Database | Connection) -> Rule | None:
    """The one that waits for a second person."""
    actor, wanted = Actor.system("retention"), RuleFilter(State.WAITING)
    return next(iter((await RETENTION_RULES.search(database, actor, wanted, Window(limit=1))).rows), None)


async def in_force(database: Database | Connection) -> Ages:
    """What holds now."""
    return await retention_steps.rule(database)


# A day that was never looked at by the statistics of the server is told by its size.
_DAYS = """
SELECT p.relname AS base, to_date(right(c.relname, 8), 'YYYYMMDD') AS day,
       (CASE WHEN c.reltuples < 0 THEN pg_relation_size(c.oid) / 200 ELSE c.reltuples END)::bigint AS rows,
       pg_total_relation_size(c.oid) AS octets
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE i.inhparent = ANY(SELECT to_regclass(t) FROM unnest($1::text[]) t) AND right(c.relname, 8) <> '99991231'
"""
_MASKED = "SELECT class, sum(rows)::bigint AS rows, max(day) AS day FROM masked_day GROUP BY class"
_WHOLE = """
SELECT (CASE WHEN reltuples < 0 THEN pg_relation_size(oid) / 200 ELSE reltuples END)::bigint AS rows,
       pg_total_relation_size(oid) AS octets
FROM pg_class WHERE oid = to_regclass('audit')
"""
_FILES = "SELECT count(*) AS rows, COALESCE(sum(size), 0)::bigint AS octets FROM file WHERE expires_at > now()"


async def held(database: Database) -> Sequence[Held]:
    """What each class holds."""
    tables = [table for some in _TABLES.values() for table in some]
    days = await database.fetch(_DAYS, tables)
    masked = {row["class"]: row for row in await database.fetch(_MASKED)}
    made = []
    for name, some in _TABLES.items():
        rows = [row for row in days if row["base"] in some and row["rows"]]
        of = [row for row in rows if row["base"] == some[0]]
        known = masked.get(name)
        made.append(Held(
            name, sum(row["rows"] for row in of), sum(row["octets"] for row in rows),
            min((row["day"] for row in of), default=None), max((row["day"] for row in of), default=None),
            known["rows"] if known else 0, known["day"] if known else None,
        ))  # fmt: skip
    for name, statement in ((AUDIT, _WHOLE), (FILES, _FILES)):
        row = await database.fetchrow(statement)
        made.append(Held(name, row["rows"], row["octets"], None, None) if row else Held(name, 0, 0, None, None))
    return made


async def coming(database: Database, ages: Ages, today: date) -> Sequence[Coming]:
    """What rules of these ages would do at once."""
    found = await database.fetch(_DAYS, list(TABLE.values()))
    rows = {(row["base"], row["day"]): row["rows"] for row in found}
    made = []
    async with database.acquire() as connection:
        for name in CLASSES:
            days = [
                day for day in await retention_steps.due(connection, name, ages, today) if rows.get((TABLE[name], day))
            ]
            n = sum(rows[TABLE[name], day] for day in days)
            made.append(Coming(name, len(days), n, min(days, default=None), max(days, default=None)))
    return made
