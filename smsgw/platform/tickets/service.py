"""Opening tickets, answering and closing them; whole phone numbers in what people write are masked before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from smsgw.core.errors import Invalid, Refused
from smsgw.core.numbers import masked_as_written
from smsgw.core.permissions import Permission
from smsgw.core.printable import lines_printable
from smsgw.core.words import Wording, label, phrase
from smsgw.platform.change import Change, Unit
from smsgw.platform.faults.model import Timer
from smsgw.platform.messages import queries as messages
from smsgw.platform.org import queries as org
from smsgw.platform.tickets.model import (
    AGAIN,
    LEAST_TEXT,
    LEAST_TITLE,
    MOST_MESSAGES,
    MOST_OPEN,
    MOST_STEPS,
    MOST_TEXT,
    MOST_TITLE,
    TICKETS,
    State,
    Ticket,
)
from smsgw.runtime import clock
from smsgw.store.config import settings
from smsgw.store.engine.database import Database

MOST_HANDLERS = 1000


@dataclass(frozen=True, slots=True)
class Draft:
    """A ticket as it is to be opened."""

    account_id: int
    title: str
    said: str
    message_ids: Sequence[int] = ()


_TURN = "SELECT pg_advisory_xact_lock(hashtextextended('ticket.open', $1))"
_OPEN = "SELECT count(*) FROM ticket WHERE account_id = $1 AND closed_at IS NULL"
_ADD = """
INSERT INTO ticket (account_id, title, message_ids, opened_at, opened_by, respond_by)
VALUES ($1, $2, $3, $4, $5, $6) RETURNING id
"""
_STEP = """
INSERT INTO ticket_step (ticket_id, at, by, kind, said, since, respond_by, responded_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_STEPS = "SELECT count(*) FROM ticket_step WHERE ticket_id = $1"
_LOCK = "SELECT FROM ticket WHERE id = $1 FOR UPDATE"


def _wrong(field: str, reason: Wording) -> Invalid:
    return Invalid("PARAM_INVALID", field=field, reason=reason)


def _text(field: str, text: str, least: int = LEAST_TEXT, most: int = MOST_TEXT) -> str:
    text = text.strip()
    if not least <= len(text) <= most:
        raise _wrong(field, phrase("fault.text", least=least, most=most))
    if not lines_printable(text):
        raise _wrong(field, phrase("fault.unprintable"))
    return masked_as_written(text)


async def _room(unit: Unit, account_id: int) -> None:
    """That one more may be open; nobody else opens one meanwhile."""
    await unit.connection.fetchval(_TURN, account_id)
    if await unit.connection.fetchval(_OPEN, account_id) >= MOST_OPEN:
        raise Refused("STATE_CONFLICT", reason=phrase("ticket.full", most=MOST_OPEN))


async def open_(change: Change, draft: Draft) -> int:
    """Report something about an account, with the messages that it is about; its id. ``PARAM_INVALID``; ``NOT_FOUND``
    for an account or a message that the actor does not see; ``STATE_CONFLICT`` beyond ``MOST_OPEN``."""
    actor, now = change.actor, clock.now()
    title = _text("title", " ".join(draft.title.split()), LEAST_TITLE, MOST_TITLE)
    said = _text("said", draft.said)
    ids = list(dict.fromkeys(draft.message_ids))
    if len(ids) > MOST_MESSAGES:
        raise _wrong("message_ids", phrase("ticket.messages", most=MOST_MESSAGES))
    if actor.scope.accounts is not None and draft.account_id not in actor.scope.accounts:
        raise Refused("NOT_FOUND")
    for id_ in ids:
        found = await messages.get(change.database, id_, accounts=actor.scope.accounts, submitter=actor.scope.submitter)
        if found is None or found.account_id != draft.account_id:
            raise _wrong("message_ids", phrase("ticket.no_message", id=id_))
    async with change.unit(Permission.TICKET_EDIT) as unit:
        await _room(unit, draft.account_id)
        minutes = (await settings.load(unit.connection)).ticket_response_minutes
        id_ = int(await unit.connection.fetchval(
            _ADD, draft.account_id, title, ids, now, actor.label, now + timedelta(minutes=minutes)
        ))  # fmt: skip
        await unit.connection.execute(_STEP, id_, now, actor.label, "opened", said, None, None, None)
        unit.record(
            "ticket.open", f"ticket/{id_}", after={"account_id": draft.account_id, "title": title, "messages": len(ids)}
        )
    return id_


async def _taken(unit: Unit, id_: int, *states: State) -> Ticket:
    """The ticket, held until the end of the transaction. ``NOT_FOUND``; ``STATE_CONFLICT`` in another state."""
    await unit.connection.fetchrow(_LOCK, id_)
    ticket = await TICKETS.get(unit.connection, unit.actor, id_)
    if ticket is None:
        raise Refused("NOT_FOUND")
    if ticket.state not in states:
        raise Refused("STATE_CONFLICT", reason=phrase("ticket.state", state=label("ticket_state", ticket.state)))
    return ticket


async def _step(
    unit: Unit, id_: int, kind: str, said: str = "", *, last: bool = False, former: Timer | None = None
) -> None:
    if not last and await unit.connection.fetchval(_STEPS, id_) >= MOST_STEPS:
        raise Refused("STATE_CONFLICT", reason=phrase("fault.steps", most=MOST_STEPS))
    promise = (former.since, former.by, former.at) if former else (None, None, None)
    await unit.connection.execute(_STEP, id_, clock.now(), unit.actor.label, kind, said, *promise)


_RESPOND = """
UPDATE ticket SET responded_at = $2, responded_by = $3,
    assigned_to = CASE assigned_to WHEN '' THEN $4 ELSE assigned_to END
WHERE id = $1 AND responded_at IS NULL
"""
_ASSIGN = "UPDATE ticket SET assigned_to = $2 WHERE id = $1"
_LIVE = (State.OPEN, State.HANDLING)


async def _responded(unit: Unit, ticket: Ticket) -> None:
    """Who handles it and says something has responded."""
    if ticket.responded_at is None:
        who = unit.actor.label
        await unit.connection.execute(_RESPOND, ticket.id, clock.now(), who, who)


async def say(change: Change, id_: int, text: str) -> None:
    """Add to the thread. Of who handles tickets and has not opened this one it is the response. ``NOT_FOUND``,
    ``PARAM_INVALID``; ``STATE_CONFLICT`` once it is closed, and beyond ``MOST_STEPS``."""
    text = _text("said", text)
    async with change.unit(Permission.TICKET_EDIT) as unit:
        ticket = await _taken(unit, id_, *_LIVE)
        await _step(unit, id_, "said", text)
        if unit.actor.may(Permission.TICKET_HANDLE) and unit.actor.label != ticket.opened_by:
            await _responded(unit, ticket)
        unit.record("ticket.say", f"ticket/{id_}", after={"length": len(text)})  # the text stays in the ticket


async def take(change: Change, id_: int) -> None:
    """Look after it: the response. ``NOT_FOUND``; ``STATE_CONFLICT`` when somebody has responded."""
    async with change.unit(Permission.TICKET_HANDLE) as unit:
        ticket = await _taken(unit, id_, State.OPEN)
        await _responded(unit, ticket)
        await _step(unit, id_, "taken")
        unit.record("ticket.take", f"ticket/{id_}")


async def handlers(database: Database, account_id: int) -> Mapping[str, str]:
    """Who may handle tickets of the account: login -> name."""
    people = await org.holding(database, frozenset({Permission.TICKET_HANDLE}), MOST_HANDLERS)
    return {one.login: one.name for one in people if one.scope.covers(account_id)}


async def assign(change: Change, id_: int, login: str) -> None:
    """Have somebody else look after it, who may. ``NOT_FOUND``, ``PARAM_INVALID``; ``STATE_CONFLICT`` once it is
    closed."""
    seen = await TICKETS.get(change.database, change.actor, id_)
    known = await handlers(change.database, seen.account_id) if seen else {}
    async with change.unit(Permission.TICKET_HANDLE) as unit:
        ticket = await _taken(unit, id_, *_LIVE)
        if login not in known:
            raise _wrong("assigned_to", phrase("ticket.handler"))
        await unit.connection.execute(_ASSIGN, id_, login)
        await _step(unit, id_, "assigned", login)
        unit.record(
            "ticket.assign", f"ticket/{id_}", before={"assigned_to": ticket.assigned_to}, after={"assigned_to": login}
        )


_CLOSE = "UPDATE ticket SET closed_at = $2, closed_by = $3 WHERE id = $1"
_REOPEN = """
UPDATE ticket SET closed_at = NULL, closed_by = '', responded_at = NULL, responded_by = '', opened_at = $2,
    respond_by = $3
WHERE id = $1
"""


async def close(change: Change, id_: int, reply: str) -> None:
    """Close it with the answer. ``NOT_FOUND``, ``PARAM_INVALID``; ``STATE_CONFLICT`` when it is closed."""
    reply = _text("said", reply)
    async with change.unit(Permission.TICKET_HANDLE) as unit:
        ticket = await _taken(unit, id_, *_LIVE)
        await _responded(unit, ticket)
        await unit.connection.execute(_CLOSE, id_, clock.now(), unit.actor.label)
        await _step(unit, id_, "closed", reply, last=True)
        unit.record("ticket.close", f"ticket/{id_}", before={"state": ticket.state}, after={"length": len(reply)})


async def reopen(change: Change, id_: int, why: str) -> None:
    """The answer was none: the time to respond runs anew, and how it was kept before stays in the thread.
    ``NOT_FOUND``, ``PARAM_INVALID``; ``STATE_CONFLICT`` while it is open, later than ``AGAIN`` after its end, and
    beyond ``MOST_OPEN``."""
    why, now = _text("said", why), clock.now()
    async with change.unit(Permission.TICKET_EDIT) as unit:
        ticket = await _taken(unit, id_, State.CLOSED)
        if ticket.closed_at is None or ticket.closed_at < now - AGAIN:
            raise Refused("STATE_CONFLICT", reason=phrase("ticket.late", days=AGAIN.days))
        await _room(unit, ticket.account_id)
        await _step(unit, id_, "reopened", why, former=ticket.response)
        minutes = (await settings.load(unit.connection)).ticket_response_minutes
        await unit.connection.execute(_REOPEN, id_, now, now + timedelta(minutes=minutes))
        unit.record("ticket.reopen", f"ticket/{id_}", before={"state": ticket.state}, after={"length": len(why)})
