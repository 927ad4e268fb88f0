"""A ticket, its thread and how far it is; people see those of accounts that they see whole, and those that they have
opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from smsgw.core.actor import Actor
from smsgw.platform.faults.model import Timer
from smsgw.platform.listing import Listing, between
from smsgw.platform.org.queries import named
from smsgw.platform.paging import Order
from smsgw.store.engine.database import Database

Span = tuple[datetime | None, datetime | None]

LEAST_TITLE, MOST_TITLE = 2, 100
LEAST_TEXT, MOST_TEXT = 2, 2000
MOST_MESSAGES = 20
MOST_OPEN = 200
"""Tickets of one account that are not closed."""
MOST_STEPS = 200
"""Of one ticket."""
AGAIN = timedelta(days=30)
"""So long after its end a ticket can be opened again."""


class State(StrEnum):
    """How far a ticket is."""

    OPEN = "open"
    """Nobody has responded."""
    HANDLING = "handling"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What somebody has reported."""

    id: int
    account_id: int
    account: Annotated[str, "a.name"]
    title: str
    message_ids: Sequence[int]
    opened_at: datetime
    opened_by: str
    respond_by: datetime
    responded_at: datetime | None
    responded_by: str
    assigned_to: str
    closed_at: datetime | None
    closed_by: str
    opened_name: Annotated[str, named("t.opened_by")]
    """What people call whoever did so; the label of who is no person."""
    responded_name: Annotated[str, named("t.responded_by")]
    assigned_name: Annotated[str, named("t.assigned_to")]
    closed_name: Annotated[str, named("t.closed_by")]

    @property
    def state(self) -> State:
        """How far it is."""
        if self.closed_at is not None:
            return State.CLOSED
        return State.OPEN if self.responded_at is None else State.HANDLING

    @property
    def response(self) -> Timer:
        """The promise to respond."""
        return Timer(self.opened_at, self.respond_by, self.responded_at)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was said or done."""

    at: datetime
    by: str
    kind: str
    said: str
    since: datetime | None = None
    """With the next two: of one that opens a ticket again, the promise of the round before it."""
    respond_by: datetime | None = None
    responded_at: datetime | None = None
    name: str = ""
    """What people call whoever did so."""

    @property
    def former(self) -> Timer | None:
        """That promise."""
        if self.since is None or self.respond_by is None:
            return None
        return Timer(self.since, self.respond_by, self.responded_at)


_STATE = (
    "CASE WHEN t.closed_at IS NOT NULL THEN 'closed' WHEN t.responded_at IS NOT NULL THEN 'handling' ELSE 'open' END"
)


@dataclass(frozen=True, slots=True)
class TicketFilter:
    """Which tickets are looked for."""

    state: Annotated[str, f"{_STATE} = {{value}}"] = ""
    live: Annotated[bool, "t.closed_at IS NULL"] = False
    account: Annotated[int | None, "t.account_id = {value}"] = None
    title: Annotated[str, "strpos(t.title, {value}) > 0"] = ""
    mine: Annotated[str, {"opened": "t.opened_by = {label}", "assigned": "t.assigned_to = {label}"}] = ""
    """What whoever looks has opened, or looks after."""
    opened: Annotated[Span, between("t.opened_at")] = (None, None)


_STANDING = "(t.closed_at IS NULL)::int::text || to_char(t.opened_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')"
# What somebody has opened they see while its account is in their scope, be it narrowed to their own submissions.
TICKETS = Listing(
    Ticket,
    TicketFilter,
    "ticket t JOIN account a ON a.id = t.account_id",
    seen="""
({accounts}::bigint[] IS NULL OR t.account_id = ANY({accounts})
 OR t.opened_by = {label} AND ({narrowed}::bigint[] IS NULL OR t.account_id = ANY({narrowed})))
""",
    orders={"ticket_state": Order(_STANDING, "text"), "ticket_opened": Order("t.opened_at", "timestamptz")},
)
MOST_COUNTED = 100


async def not_closed(database: Database, actor: Actor) -> int:
    """How many are not closed; at most ``MOST_COUNTED``."""
    return min(await TICKETS.count(database, actor, TicketFilter(live=True), MOST_COUNTED), MOST_COUNTED)


_STEPS = f"""
SELECT s.at, s.by, s.kind, CASE s.kind WHEN 'assigned' THEN {named("s.said")} ELSE s.said END AS said, s.since,
        s.respond_by, s.responded_at, {named("s.by")} AS name FROM ticket_step s
WHERE s.ticket_id = $1 ORDER BY s.id DESC LIMIT {MOST_STEPS}
"""  # noqa: S608 - a constant


async def steps(database: Database, ticket: Ticket) -> list[Step]:
    """Its thread, the newest first."""
    return [Step(**dict(row)) for row in await database.fetch(_STEPS, ticket.id)]
