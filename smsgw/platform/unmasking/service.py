"""A whole number, with a message's text where that has a verification code, is shown once it was asked for: with the
right to, with a reason, to who sees its row anyway, so many times a day; and the audit log knows of which row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.pseudonyms import is_pseudonym
from smsgw.core.words import phrase
from smsgw.platform.audience import book_queries as book
from smsgw.platform.change import Change
from smsgw.platform.lists import carrier, complaints, consents, queries as lists, undoing
from smsgw.platform.messages import codes, inbound, queries as messages
from smsgw.platform.messages.model import MessageView
from smsgw.platform.unmasking.model import LEAST_NOTE, MOST_NOTE, Purpose, Whole
from smsgw.store.engine.database import Database


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows that have a number: the right to see them at all, and one of them by its id in the actor's scope."""

    permission: Permission
    one: Callable[[Database, Actor, int], Awaitable[Any | None]]
    text: Callable[[Actor, Any], str] = lambda _, __: ""
    """What is shown with the number."""


def _coded_text(actor: Actor, one: MessageView) -> str:
    """The text of a message with its verification code, for who may read texts; empty when it has none."""
    coded = codes.coded(one.type, one.submitter, one.content)
    return one.content if coded and actor.may(Permission.MESSAGE_READ) else ""


KINDS: Mapping[str, Kind] = {
    "message": Kind(
        Permission.MESSAGE_VIEW,
        lambda db, actor, id_: messages.get(
            db, id_, accounts=actor.scope.accounts, submitter=actor.scope.submitter, whole=True
        ),
        _coded_text,
    ),
    "inbound": Kind(Permission.INBOUND_VIEW, inbound.one),
    "block": Kind(Permission.BLOCK_VIEW, lambda db, actor, id_: lists.one(db, id_, accounts=actor.scope.whole)),
    "allow": Kind(Permission.ALLOW_VIEW, lambda db, actor, id_: lists.one_allowed(db, id_, accounts=actor.scope.whole)),
    "contact": Kind(Permission.CONTACT_VIEW, book.one),
    "consent": Kind(Permission.BLOCK_VIEW, lambda db, actor, id_: consents.one(db, id_, accounts=actor.scope.whole)),
    "complaint": Kind(
        Permission.COMPLAINT_VIEW, lambda db, actor, id_: complaints.one(db, id_, accounts=actor.scope.whole)
    ),
    "lift": Kind(Permission.BLOCK_VIEW, lambda db, actor, id_: carrier.one(db, id_, accounts=actor.scope.whole)),
    "undo": Kind(Permission.BLOCK_VIEW, lambda db, actor, id_: undoing.one(db, id_, accounts=actor.scope.whole)),
}
"""By the word that stands before the id in the audit log."""

_FORGET = "DELETE FROM unmask_day WHERE day < $1"
# The row is the lock: who asks twice at the same moment is counted twice.
_COUNT = """
INSERT INTO unmask_day AS u (actor, day, shown) SELECT $1, $2, 1 WHERE $3 > 0
ON CONFLICT (actor, day) DO UPDATE SET shown = u.shown + 1 WHERE u.shown < $3 RETURNING shown
"""


async def whole(change: Change, kind: str, id_: int, purpose: str, note: str, *, most: int, now: datetime) -> Whole:
    """The whole number of a row. ``most``: numbers that a person may see in a day.

    ``PERMISSION_DENIED``; ``NOT_FOUND`` for what is out of the actor's scope; ``PARAM_INVALID`` without a reason;
    ``UNMASK_LIMIT`` when the day's numbers have been seen.
    """
    actor, of = change.actor, KINDS[kind]
    actor.require(Permission.MESSAGE_UNMASK)
    note = " ".join(note.split())
    if purpose not in set(Purpose):
        raise Invalid("PARAM_INVALID", field="purpose", reason=", ".join(Purpose))
    least = LEAST_NOTE if purpose == Purpose.OTHER else 0
    if not least <= len(note) <= MOST_NOTE:
        raise Invalid("PARAM_INVALID", field="note", reason=f"{least}-{MOST_NOTE}")
    row = await of.one(change.database, actor, id_)
    if row is None:
        raise Refused("NOT_FOUND")
    if is_pseudonym(str(row.number)):
        raise Refused("STATE_CONFLICT", reason=phrase("number.gone"))
    day = now.astimezone(CHINA).date()
    async with change.unit(of.permission) as unit:
        await unit.connection.execute(_FORGET, day)
        shown = await unit.connection.fetchval(_COUNT, actor.label, day, most)
        if shown is None:
            raise Refused("UNMASK_LIMIT", most=most)
        text = of.text(actor, row)
        after = {"purpose": purpose, "note": note, "shown": shown} | ({"content": True} if text else {})
        unit.record("numbers.unmask", f"{kind}/{id_}", after=after)
    return Whole(str(row.number), shown, text)


_SHOWN = "SELECT shown FROM unmask_day WHERE actor = $1 AND day = $2"


async def shown_today(database: Database, actor: Actor, now: datetime) -> int:
    """How many whole numbers the person has seen today."""
    return await database.fetchval(_SHOWN, actor.label, now.astimezone(CHINA).date()) or 0
