"""Requests to carriers to lift what they block on their side: asked, sent to the carrier, lifted or refused.

The carrier answers on paper or by mail; whoever deals with it writes down how far it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid, Refused
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.config import blocklist
from smsgw.store.engine.database import Connection, Database, Row

MOST_REASON = 200


class LiftState(StrEnum):
    """How far a request is."""

    ASKED = "asked"
    SENT = "sent"
    LIFTED = "lifted"
    REFUSED = "refused"


STEPS: dict[LiftState, tuple[LiftState, ...]] = {
    LiftState.ASKED: (LiftState.SENT, LiftState.REFUSED),
    LiftState.SENT: (LiftState.LIFTED, LiftState.REFUSED),
}
"""What may follow; the others are ends."""


@dataclass(frozen=True, slots=True)
class CarrierLift:
    """One request; ``number`` in E.164 digits. ``account`` None: it is about everybody's messages."""

    id: int
    number: str
    carrier: str
    account_id: int
    account: str | None
    code: str
    reason: str
    state: str
    answer: str
    asked_by: ActorLabel
    asked_at: datetime
    sent_at: datetime | None
    decided_at: datetime | None
    changed_by: ActorLabel


@dataclass(frozen=True, slots=True)
class WantedLifts:
    """Which requests are looked for; empty and None: all."""

    number: str = ""
    state: str = ""
    carrier: str = ""
    account_id: int | None = None


_ORDERS = {"at": Order("l.id", "bigint")}
_FROM = """
FROM carrier_lift l LEFT JOIN account a ON a.id = l.account_id
WHERE ($1::bigint[] IS NULL OR l.account_id = ANY($1)) AND ($2::bigint IS NULL OR l.id = $2)
  AND ($3::bigint IS NULL OR l.number = $3) AND ($4 = '' OR l.state = $4) AND ($5 = '' OR l.carrier = $5)
  AND ($6::bigint IS NULL OR l.account_id = $6)
"""
_SEARCH = f"""
SELECT {{key}} AS _key, l.id, l.number::text, l.carrier, l.account_id, a.name AS account, l.code, l.reason, l.state,
       l.answer, l.asked_by, l.asked_at, l.sent_at, l.decided_at, l.changed_by
{_FROM} AND {{where}} ORDER BY {{order}}
"""
_HOW_MANY = f"SELECT count(*) FROM (SELECT {_FROM} LIMIT $7) f"  # noqa: S608


def _asked(accounts: Sequence[int] | None, wanted: WantedLifts, id_: int | None = None) -> tuple[object, ...]:
    whose = None if accounts is None else list(accounts)
    number = int(wanted.number) if wanted.number else None
    return whose, id_, number, wanted.state, wanted.carrier, wanted.account_id


def _lift(row: Row) -> CarrierLift:
    return CarrierLift(*list(row.values())[1:])


async def search(
    database: Database | Connection, wanted: WantedLifts, window: Window, *, accounts: Sequence[int] | None,
    id_: int | None = None,
) -> Slice[CarrierLift]:  # fmt: skip
    """Requests about these accounts' messages (None: all, and everybody's)."""
    return await read(database, _SEARCH, _asked(accounts, wanted, id_), _ORDERS, window, _lift, id_="l.id")


async def how_many(database: Database, wanted: WantedLifts, most: int, *, accounts: Sequence[int] | None) -> int:
    """How many there are, counted up to one more than ``most``."""
    count: int = await database.fetchval(_HOW_MANY, *_asked(accounts, wanted), most + 1)
    return count


async def one(database: Database | Connection, id_: int, *, accounts: Sequence[int] | None) -> CarrierLift | None:
    """One of them."""
    found = await search(database, WantedLifts(), Window(limit=1), accounts=accounts, id_=id_)
    return found.rows[0] if found.rows else None


_ADD = """
INSERT INTO carrier_lift (number, carrier, account_id, code, reason, asked_by, changed_by)
VALUES ($1, $2, $3, $4, $5, $6, $6)
ON CONFLICT (number, account_id) WHERE state IN ('asked', 'sent') DO NOTHING RETURNING id
"""


def _reason(reason: str) -> str:
    reason = " ".join(reason.split())
    if not 2 <= len(reason) <= MOST_REASON or not reason.isprintable():
        raise Invalid("PARAM_INVALID", field="reason", reason=phrase("text.between", low=2, high=MOST_REASON))
    return reason


async def ask(
    change: Change, number: str, carrier: str, *, account_id: int = EVERYBODY, code: str = "", reason: str
) -> int:
    """Ask that a carrier lifts its block of a number (E.164 digits); the request. ``STATE_CONFLICT`` while one is
    under way; ``NOT_FOUND`` for another's account."""
    reason = _reason(reason)
    async with change.unit(Permission.BLOCK_EDIT, account_id) as unit:
        id_: int | None = await unit.connection.fetchval(
            _ADD, int(number), carrier, account_id, code[:64], reason, unit.actor.label
        )
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=phrase("lift.under_way"))
        after = {"number": mask(number), "carrier": carrier, "account": account_id, "code": code, "reason": reason}
        unit.record("lift.ask", f"lift/{id_}", after=after)
    return id_


_MOVE = """
UPDATE carrier_lift SET state = $2, answer = $3, changed_by = $4,
    sent_at = CASE WHEN $2 = 'sent' THEN now() ELSE sent_at END,
    decided_at = CASE WHEN $2 IN ('lifted', 'refused') THEN now() END
WHERE id = $1
"""
_UNBLOCK = """
UPDATE block_list SET removed_at = now(), version = nextval('block_version')
WHERE number = $1 AND source = 'carrier' AND removed_at IS NULL AND ($2::bigint = 0 OR account_id = $2)
RETURNING account_id, type, sign, source
"""


async def move(change: Change, id_: int, state: LiftState, answer: str) -> int:
    """Write down how far a request is, and what was said. When it was lifted, our own entries that say that the carrier
    blocks the number go; how many. ``STATE_CONFLICT`` for a step that cannot follow; ``NOT_FOUND``."""
    answer, gone = _reason(answer), 0
    async with change.unit(Permission.BLOCK_EDIT) as unit:
        await unit.connection.execute("SELECT FROM carrier_lift WHERE id = $1 FOR UPDATE", id_)
        before = await one(unit.connection, id_, accounts=unit.actor.scope.whole)
        if before is None:
            raise Refused("NOT_FOUND")
        unit.actor.require(Permission.BLOCK_EDIT, before.account_id)
        if state not in STEPS.get(LiftState(before.state), ()):
            raise Refused("STATE_CONFLICT", reason=phrase("lift.step"))
        await unit.connection.execute(_MOVE, id_, state.value, answer, unit.actor.label)
        if state is LiftState.LIFTED:
            await blocklist.take_turns(unit.connection)
            rows = await unit.connection.fetch(_UNBLOCK, int(before.number), before.account_id)
            gone = len(rows)
            for row in rows:
                unit.record(
                    "block.remove", f"block_list/{mask(before.number)}", before=dict(row), after={"reason": answer}
                )
        after = {"state": state.value, "reason": answer, "entries": gone}
        unit.record("lift.move", f"lift/{id_}", before={"state": before.state}, after=after)
    return gone
