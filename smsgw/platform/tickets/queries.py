"""The tickets that people look at: those of accounts that they see whole, and those that they have opened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smsgw.core.actor import Actor
from smsgw.platform.org.queries import named
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.platform.tickets.model import MOST_STEPS, Step, Ticket
from smsgw.store.engine.database import Connection, Database, Row


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tickets are looked for; what is empty narrows nothing."""

    state: str = ""
    account: int | None = None
    title: str = ""
    """Part of it."""
    mine: str = ""
    """``opened``: by whoever looks; ``assigned``: to them."""
    since: datetime | None = None
    until: datetime | None = None


_COLUMNS = f"""t.id, t.account_id, a.name AS account, t.title, t.message_ids, t.opened_at, t.opened_by, t.respond_by,
       t.responded_at, t.responded_by, t.assigned_to, t.closed_at, t.closed_by, {named("t.opened_by")} AS opened_name,
       {named("t.responded_by")} AS responded_name, {named("t.assigned_to")} AS assigned_name,
       {named("t.closed_by")} AS closed_name"""
# What somebody has opened they see while its account is in their scope, be it narrowed to their own submissions.
_SEEN = """
($1::bigint[] IS NULL OR t.account_id = ANY($1)
 OR t.opened_by = $2 AND ($3::bigint[] IS NULL OR t.account_id = ANY($3)))
"""
_MATCHES = f"""
{_SEEN}
AND ($4 = '' OR $4 = CASE WHEN t.closed_at IS NOT NULL THEN 'closed' WHEN t.responded_at IS NOT NULL THEN 'handling'
                     ELSE 'open' END)
AND ($5::bigint IS NULL OR t.account_id = $5) AND ($6 = '' OR strpos(t.title, $6) > 0)
AND ($7 = '' OR $7 = 'opened' AND t.opened_by = $2 OR $7 = 'assigned' AND t.assigned_to = $2)
AND ($8::timestamptz IS NULL OR t.opened_at >= $8) AND ($9::timestamptz IS NULL OR t.opened_at < $9)
"""
_FROM = "FROM ticket t JOIN account a ON a.id = t.account_id"
_SEARCH = f"SELECT {_COLUMNS}, {{key}} AS _key {_FROM} WHERE {_MATCHES} AND {{where}} ORDER BY {{order}}"
_COUNT = f"SELECT count(*) FROM (SELECT FROM ticket t WHERE {_MATCHES} LIMIT $10) n"  # noqa: S608 - constants
_ONE = f"SELECT {_COLUMNS} {_FROM} WHERE {_SEEN} AND t.id = $4"
_OPEN = f"SELECT count(*) FROM (SELECT FROM ticket t WHERE {_SEEN} AND t.closed_at IS NULL LIMIT 100) n"  # noqa: S608
_STANDING = "(t.closed_at IS NULL)::int::text || to_char(t.opened_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')"
_ORDERS = {"ticket_state": Order(_STANDING, "text"), "ticket_opened": Order("t.opened_at", "timestamptz")}


def _ticket(row: Row) -> Ticket:
    return Ticket(**{key: row[key] for key in Ticket.__dataclass_fields__})


def _seen(actor: Actor) -> tuple[object, ...]:
    whole, accounts = actor.scope.whole, actor.scope.accounts
    return None if whole is None else list(whole), actor.label, None if accounts is None else list(accounts)


def _asked(actor: Actor, w: Wanted) -> tuple[object, ...]:
    return *_seen(actor), w.state, w.account, w.title, w.mine, w.since, w.until


async def search(database: Database, actor: Actor, wanted: Wanted, window: Window) -> Slice[Ticket]:
    """Tickets, those that are not closed first."""
    return await read(database, _SEARCH, _asked(actor, wanted), _ORDERS, window, _ticket, id_="t.id")


async def count(database: Database, actor: Actor, wanted: Wanted, most: int) -> int:
    """How many there are, counted up to one more than ``most``."""
    number: int = await database.fetchval(_COUNT, *_asked(actor, wanted), most + 1)
    return number


async def not_closed(database: Database, actor: Actor) -> int:
    """How many are not closed; at most 100."""
    number: int = await database.fetchval(_OPEN, *_seen(actor))
    return number


async def one(database: Database | Connection, actor: Actor, id_: int) -> Ticket | None:
    """A ticket by its id."""
    row = await database.fetchrow(_ONE, *_seen(actor), id_)
    return None if row is None else _ticket(row)


_STEPS = f"""
SELECT s.at, s.by, s.kind, CASE s.kind WHEN 'assigned' THEN {named("s.said")} ELSE s.said END AS said, s.since,
        s.respond_by, s.responded_at, {named("s.by")} AS name FROM ticket_step s
WHERE s.ticket_id = $1 ORDER BY s.id DESC LIMIT {MOST_STEPS}
"""  # noqa: S608 - a constant


async def steps(database: Database, ticket: Ticket) -> list[Step]:
    """Its thread, the newest first."""
    return [Step(**dict(row)) for row in await database.fetch(_STEPS, ticket.id)]
