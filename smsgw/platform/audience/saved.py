"""Segments that are kept under a name (效果人群): audiences beside the groups of contacts, shared as these are. Whoever
uses one gets the numbers of that moment, by the messages that they may see themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import asyncpg
import msgspec

from smsgw.core.actor import EVERYTHING, Actor, ActorLabel
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.audience import book, book_queries as queries, segments
from smsgw.platform.audience.model import MOST_DAYS, SavedSegment, Segment, Shared, Sharing
from smsgw.platform.audience.service import MAX_AUDIENCES
from smsgw.platform.change import Change, JsonObject
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database, Row


@dataclass(frozen=True, slots=True)
class WantedSegments:
    """Which of them are looked for."""

    name: str = ""
    account_id: int | None = None
    kind: str = ""
    shared: str = ""


def _from(everything: bool) -> str:
    return f"""
    FROM audience g {queries.PLACE.format("g")}
    WHERE g.segment IS NOT NULL AND {queries.sees("g", everything)} AND ($5::bigint IS NULL OR g.id = $5)
      AND ($6 = '' OR strpos(lower(g.name), lower($6)) > 0) AND ($7::bigint IS NULL OR g.account_id = $7)
      AND ($8 = '' OR g.segment->>'kind' = $8) AND ($9 = '' OR g.shared = $9)
    """


# What somebody else has counted of other messages is no figure for the reader ($10).
_SEARCH = {
    all_: f"""
    SELECT {{key}} AS _key, g.id, g.name, g.segment, g.account_id, k.name AS account, g.shared, g.department_id,
           COALESCE(d.name, '') AS department, g.owner_id, COALESCE(NULLIF(s.name, ''), s.login, '') AS owner,
           g.created_at, CASE WHEN g.counted_of IS NOT DISTINCT FROM $10::text THEN g.counted END AS counted,
           CASE WHEN g.counted_of IS NOT DISTINCT FROM $10::text THEN g.counted_at END AS counted_at
    {_from(all_)} AND {{where}} ORDER BY {{order}}
    """  # noqa: S608 - constants
    for all_ in (False, True)
}
_HOW_MANY = {all_: f"SELECT count(*) FROM (SELECT {_from(all_)} LIMIT $10) f" for all_ in (False, True)}  # noqa: S608
_ORDERS = {"name": Order("g.name", "text"), "at": Order("g.id", "bigint")}
_ADD = """
INSERT INTO audience (account_id, name, owner_id, shared, department_id, segment)
SELECT $1, $2, NULLIF($3, 0), $4, $5, $7::jsonb WHERE (SELECT count(*) FROM audience WHERE account_id = $1) < $6
RETURNING id
"""
_SET = """
UPDATE audience SET name = $2, shared = $3, department_id = $4, segment = $5::jsonb,
    counted = CASE WHEN segment = $5::jsonb THEN counted END,
    counted_at = CASE WHEN segment = $5::jsonb THEN counted_at END
WHERE id = $1
"""
_COUNTED = """
UPDATE audience SET counted = $2, counted_at = $3, counted_of = $4 WHERE id = $1 AND segment = $5::jsonb
"""
_LOCK = "SELECT FROM audience WHERE id = $1 FOR UPDATE"
_REMOVE = "DELETE FROM audience WHERE id = $1"
_TASK = "SELECT EXISTS (SELECT FROM task WHERE id = $1 AND account_id = $2)"
# An account may send links of those above it.
_LINK = """
WITH RECURSIVE line(id) AS (
    SELECT $2::bigint UNION SELECT a.parent_id FROM account a JOIN line ON a.id = line.id WHERE a.parent_id IS NOT NULL
) SELECT EXISTS (SELECT FROM short_link WHERE id = $1 AND kind = 'personal' AND account_id IN (SELECT id FROM line))
"""


def _asked(actor: Actor, wanted: WantedSegments, id_: int | None = None) -> tuple[object, ...]:
    return *queries.reader(actor), id_, wanted.name, wanted.account_id, wanted.kind, wanted.shared


def _saved(row: Row) -> SavedSegment:
    found = {name: row[name] for name in SavedSegment.__slots__ if name != "segment"}
    return SavedSegment(segment=msgspec.json.decode(row["segment"], type=Segment), **found)


def _uncounted(row: Row) -> SavedSegment:
    return replace(_saved(row), counted=None, counted_at=None)


def _plain(one: Segment) -> str:
    return msgspec.json.encode(one).decode()


async def search(
    database: Database | Connection, actor: Actor, wanted: WantedSegments, window: Window, *, id_: int | None = None
) -> Slice[SavedSegment]:
    """Those that the actor sees; their counts for who may see messages."""
    asked = (*_asked(actor, wanted, id_), actor.scope.submitter)
    make = _saved if actor.may(Permission.MESSAGE_VIEW) else _uncounted
    return await read(database, _SEARCH[actor.scope == EVERYTHING], asked, _ORDERS, window, make, id_="g.id")


async def how_many(database: Database, actor: Actor, wanted: WantedSegments, most: int) -> int:
    """How many of them there are, counted up to one more than ``most``."""
    count: int = await database.fetchval(_HOW_MANY[actor.scope == EVERYTHING], *_asked(actor, wanted), most + 1)
    return count


async def one(database: Database | Connection, actor: Actor, id_: int) -> SavedSegment | None:
    """One of them."""
    found = await search(database, actor, WantedSegments(), Window(limit=1), id_=id_)
    return found.rows[0] if found.rows else None


async def count(database: Database, actor: Actor, one_: SavedSegment) -> int:
    """How many numbers they are now, by the messages that the actor sees; it is kept beside the name.
    ``PERMISSION_DENIED``: a count tells what people have done, which only who may see messages is told;
    ``BACKPRESSURE`` as ``segments.count``."""
    actor.require(Permission.MESSAGE_VIEW)
    return await count_of(database, one_.account_id, one_.id, one_.segment, submitter=actor.scope.submitter)


async def count_of(
    database: Database, account_id: int, id_: int, segment: Segment, *, submitter: ActorLabel | None = None
) -> int:
    """The same of an account's, by the messages of one submitter (None: of anybody)."""
    n = await segments.count(database, account_id, msgspec.structs.replace(segment, submitter=submitter))
    await database.execute(_COUNTED, id_, n, clock.now(), submitter, _plain(segment))
    return n


# --- changes ---------------------------------------------------------------------------------------------------------


async def add(change: Change, account_id: int, name: str, segment: Segment, sharing: Sharing) -> int:
    """Keep a segment under a name; its id. ``PARAM_INVALID``, ``AUDIENCES_FULL``; ``NOT_FOUND`` for another's
    account."""
    name = book.group_name(name)
    try:
        async with change.unit(Permission.CONTACT_EDIT) as unit:
            await book.may_bring(unit.connection, unit.actor, account_id, sharing)
            segment = await _checked(unit.connection, account_id, segment)
            id_: int | None = await unit.connection.fetchval(
                _ADD, account_id, name, queries.owner(unit.actor), sharing.shared.value, sharing.department_id,
                MAX_AUDIENCES, _plain(segment),
            )  # fmt: skip
            if id_ is None:
                raise Refused("AUDIENCES_FULL", most=MAX_AUDIENCES)
            unit.record("audience.add", f"audience/{id_}", after=_audited(account_id, name, segment, sharing))
    except asyncpg.UniqueViolationError as exc:
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("audience.exists")) from exc
    return id_


async def put(change: Change, id_: int, name: str, segment: Segment, sharing: Sharing) -> None:
    """Change one that is the actor's to change. As ``add``."""
    name = book.group_name(name)
    try:
        async with change.unit(Permission.CONTACT_EDIT) as unit:
            await unit.connection.execute(_LOCK, id_)
            before = await one(unit.connection, unit.actor, id_)
            if before is None or not book.manages(unit.actor, before):
                raise Refused("NOT_FOUND")
            await book.may_bring(unit.connection, unit.actor, before.account_id, sharing)
            if sharing.shared is Shared.OWN and before.owner_id != queries.owner(unit.actor):
                raise Invalid("PARAM_INVALID", field="scope", reason=phrase("contact.of_another"))
            segment = await _checked(unit.connection, before.account_id, segment)
            await unit.connection.execute(_SET, id_, name, sharing.shared.value, sharing.department_id, _plain(segment))
            was = Sharing(Shared(before.shared), before.department_id)
            unit.record(
                "audience.set", f"audience/{id_}", before=_audited(before.account_id, before.name, before.segment, was),
                after=_audited(before.account_id, name, segment, sharing),
            )  # fmt: skip
    except asyncpg.UniqueViolationError as exc:
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("audience.exists")) from exc


async def remove(change: Change, id_: int) -> None:
    """Forget one; tasks that were made to it go on. ``NOT_FOUND``."""
    async with change.unit(Permission.CONTACT_EDIT) as unit:
        await unit.connection.execute(_LOCK, id_)
        before = await one(unit.connection, unit.actor, id_)
        if before is None or not book.manages(unit.actor, before):
            raise Refused("NOT_FOUND")
        await unit.connection.execute(_REMOVE, id_)
        unit.record("audience.remove", f"audience/{id_}", before={"account": before.account_id, "name": before.name})


async def _checked(connection: Connection, account_id: int, one_: Segment) -> Segment:
    """As it is kept: of nobody's messages in particular. ``PARAM_INVALID`` at what cannot be."""
    if not 1 <= one_.days <= MOST_DAYS:
        raise Invalid("PARAM_INVALID", field="days", reason=phrase("number.in", low=1, high=MOST_DAYS))
    if one_.messages:
        raise Invalid("PARAM_INVALID", field="segment", reason=phrase("segment.chosen"))
    if one_.task_id is not None and not await connection.fetchval(_TASK, one_.task_id, account_id):
        raise Invalid("PARAM_INVALID", field="task", reason=phrase("segment.no_task"))
    if one_.link_id is not None and not await connection.fetchval(_LINK, one_.link_id, account_id):
        raise Invalid("PARAM_INVALID", field="link", reason=phrase("segment.no_link"))
    return msgspec.structs.replace(one_, submitter=None)


def _audited(account_id: int, name: str, segment: Segment, sharing: Sharing) -> JsonObject:
    return {
        "account": account_id, "name": name, "scope": sharing.shared.value, "department": sharing.department_id,
        "kind": segment.kind.value, "days": segment.days, "task": segment.task_id, "link": segment.link_id,
    }  # fmt: skip
