"""The decision about what a restore has left uncertain: in bulk, with numbers first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid
from smsgw.core.ids import first_id
from smsgw.core.model import Lane, MessageType
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState
from smsgw.core.words import phrase
from smsgw.pipeline.accept.checks import Refusals
from smsgw.pipeline.fleet import Fleet
from smsgw.pipeline.outcomes.writer import Outcomes, Sweep
from smsgw.platform.change import EVERYBODY, Change
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages import restored
from smsgw.store.messages.restored import CODES, RestoreSelection

WAS = tuple(code.removeprefix("RESTORED_").lower() for code in CODES)
"""What they were when the backup was made; ``spooled``: accepted while the database was away."""
LANES = tuple(lane.name.lower() for lane in Lane)
ENDS = {"unconfirmed": PartState.UNCONFIRMED, "expired": PartState.EXPIRED}
"""``expired``: known never to have been sent; it is paid back."""
DECISIONS = (*ENDS, "resend")
LONGEST = timedelta(days=3)
STEPS = 5
"""Of one call: who has asked hears how far it is."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """Parts of an account that were the same when the backup was made."""

    account: str
    was: str
    parts: int
    messages: int
    valid: int
    """Parts whose validity is not over."""
    too_old: int
    """Parts of messages for whose reports nobody would look any more: they are not sent again."""
    oldest: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class Decided:
    """How far a decision is."""

    parts: int
    after: int | None
    """Where the next call goes on; None: it is done."""
    blocked: int = 0
    """Messages that are not sent again, as lists or policies keep such from their numbers by now."""


def which(account: str = "", was: Sequence[str] = (), lanes: Sequence[str] = ()) -> RestoreSelection:
    """Of what people name; nothing named: all. ``PARAM_INVALID``."""
    for field, given, known in (("was", was, WAS), ("lane", lanes, LANES)):
        if unknown := set(given) - set(known):
            said = f"{', '.join(known)} ({', '.join(sorted(unknown))})"
            raise Invalid("PARAM_INVALID", field=field, reason=phrase("choice.of", known=said))
    codes = tuple(f"RESTORED_{one.upper()}" for one in was) or CODES
    return RestoreSelection(account, codes, [LANES.index(one) for one in lanes] or None)


async def numbers(database: Database, actor: Actor, of: RestoreSelection, within: timedelta) -> list[Undecided]:
    """How many there are; ``within``: how old a message may be that is sent again."""
    actor.require(Permission.MESSAGE_RESOLVE, EVERYBODY)
    now = clock.now()
    rows = await restored.numbers(database, of, now, first_id(now - within))
    return [
        Undecided(was=row["code"].removeprefix("RESTORED_").lower(), **{k: v for k, v in row.items() if k != "code"})
        for row in rows
    ]


async def decide(
    change: Change, outcomes: Outcomes, fleet: Fleet, lists: Refusals, of: RestoreSelection, decision: str, *,
    after: int = 0, extend: timedelta = timedelta(),
) -> Decided:  # fmt: skip
    """Decide about some more of them, above the id ``after``. ``resend``: whole messages are queued again, those that
    are valid or, with ``extend``, for as long from now on; never those that wait for a reviewer, or whose numbers are
    on a list by now: they stay undecided. ``PARAM_INVALID``, ``STORAGE_UNAVAILABLE``."""
    change.actor.require(Permission.MESSAGE_RESOLVE, EVERYBODY)
    if decision not in DECISIONS:
        raise Invalid("PARAM_INVALID", field="decision", reason=phrase("choice.of", known=", ".join(DECISIONS)))
    state, code = ENDS.get(decision, PartState.QUEUED), f"OPERATOR:{decision.upper()}"
    at: int | None = after
    queues: set[tuple[int, int]] = set()
    blocked: set[int] = set()
    if decision == "resend":
        await lists.follow()

    async def run(connection: Connection, now: datetime) -> list[Row]:
        nonlocal at
        async with change.within(connection, Permission.MESSAGE_RESOLVE, EVERYBODY) as unit:
            if decision == "resend":
                lowest = max(at or 0, first_id(now - outcomes.resend_within))
                found = await restored.next_messages(connection, of, now, lowest, min(extend, LONGEST))
                kept = {row["id"] for row in found if _kept_from(lists, row)}
                blocked.update(kept)
                ids = [row["id"] for row in found if row["id"] not in kept]
                rows = await restored.send_again(connection, ids, now, min(extend, LONGEST))
                at = max((row["id"] for row in found), default=None)
                queues.update((row["pool_id"], row["lane"]) for row in rows)
            else:
                rows = await restored.end(connection, of, now, state, code, change.actor.label)
                at = 0 if rows else None
            if rows:
                messages = {row["id"] for row in rows}
                said = {"decision": decision, "parts": len(rows), "messages": len(messages)}
                unit.record("message.decide", "restoration", before={"status": "uncertain"}, after=said)
            else:
                unit.unchanged()
        return rows

    detail = {"decision": decision, "actor": change.actor.label}
    parts = 0
    for _ in range(STEPS):
        parts += await outcomes.sweep(Sweep(run, {int(state): "decided"}, detail))
        if at is None:
            break
    fleet.announce(queues)
    return Decided(parts, at, len(blocked))


def _kept_from(lists: Refusals, row: Row) -> bool:
    """Whether nothing like this message may go to its number."""
    number, account_id, type_ = row["number"], row["account_id"], MessageType(row["type"])
    return (
        lists.refusal(number, account_id, type_, row["sign"]) or lists.withheld(number, account_id, type_, row["kind"])
    ) is not None
