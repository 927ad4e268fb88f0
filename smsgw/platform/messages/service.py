"""What people do with messages that others must be able to ask about: read one, have sent some, decide about parts
whose outcome is unknown."""

from __future__ import annotations

from datetime import datetime

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.core.ids import first_id
from smsgw.core.permissions import Permission
from smsgw.core.states import DECISIONS, PartState
from smsgw.core.words import phrase
from smsgw.pipeline.outcomes.writer import Outcomes, Sweep
from smsgw.platform.change import Change
from smsgw.platform.messages import queries
from smsgw.platform.messages.model import Trace
from smsgw.store.engine.database import Connection, Row
from smsgw.store.messages import cancellation, sweeps


async def read(change: Change, message_id: int, *, unmasked: bool) -> Trace | None:
    """The story of a message, entered into the audit log; None when there is none that the actor may see.

    ``unmasked``: the whole number will be shown.
    """
    if unmasked:
        change.actor.require(Permission.MESSAGE_UNMASK)
    async with change.unit(Permission.MESSAGE_READ) as unit:
        scope = change.actor.scope
        found = await queries.trace(unit.connection, message_id, accounts=scope.accounts, submitter=scope.submitter)
        if found is None:
            unit.unchanged()
        else:
            unit.record("message.read", f"message/{message_id}", after={"unmasked": unmasked})
    return found


async def sent(change: Change, account: str, *, batch_id: str, accepted: int, rejected: int) -> None:
    """Enter into the audit log that a person has sent as the account of this name."""
    after = {"batch": batch_id, "accepted": accepted, "rejected": rejected}
    async with change.unit(Permission.MESSAGE_SEND) as unit:
        unit.record("send", f"account:{account}", after=after)


async def cancel(change: Change, outcomes: Outcomes, message_id: int) -> None:
    """Cancel a message that waits, whole; what it has cost is paid back. Once more is as good as once.

    ``PERMISSION_DENIED``; ``NOT_FOUND`` out of the actor's scope; ``STATE_CONFLICT`` when a part of it was handed to a
    carrier, or it has ended.
    """
    actor = change.actor
    actor.require(Permission.MESSAGE_CANCEL)
    found = await queries.get(
        change.database, message_id, accounts=actor.scope.accounts, submitter=actor.scope.submitter
    )
    if found is None:
        raise Refused("NOT_FOUND")

    async def run(connection: Connection, now: datetime) -> list[Row]:
        rows = await cancellation.end_waiting(connection, [message_id], PartState.CANCELLED, "CANCELLED", "", now)
        async with change.within(connection, Permission.MESSAGE_CANCEL) as unit:
            if rows:
                unit.record(
                    "message.cancel", f"message/{message_id}",
                    before={"status": "waiting"}, after={"status": "cancelled", "parts": len(rows)},
                )  # fmt: skip
            else:
                unit.unchanged()
        return rows

    if await outcomes.sweep(Sweep(run, {PartState.CANCELLED: "cancelled"}, {"actor": actor.label})):
        return
    if not await cancellation.is_cancelled(change.database, message_id):
        raise Refused("STATE_CONFLICT", reason=phrase("message.gone"))


async def resolve(change: Change, outcomes: Outcomes, message_id: int, part: int, decision: str) -> int:
    """Decide about a part whose outcome is unknown (0: all that are); how many it was.

    ``PERMISSION_DENIED``; ``NOT_FOUND`` out of the actor's scope; ``PARAM_INVALID`` for what is no decision;
    ``STATE_CONFLICT`` when nothing of the message is unknown, or it is to be sent again and cannot be: it is too old
    for its report to be matched, or its channel does not send.
    """
    change.actor.require(Permission.MESSAGE_RESOLVE)
    state = DECISIONS.get(decision)
    if state is None:
        raise Invalid("PARAM_INVALID", field="decision", reason=phrase("choice.of", known=", ".join(DECISIONS)))
    refusal: SmsgwError = Refused("STATE_CONFLICT", reason=phrase("unknown.none"))

    async def run(connection: Connection, now: datetime) -> list[Row]:
        nonlocal refusal
        try:
            await _may_resolve(connection, outcomes, change.actor, message_id, part, state, now)
        except SmsgwError as exc:
            refusal = exc
            return []
        async with change.within(connection, Permission.MESSAGE_RESOLVE) as unit:
            code = f"OPERATOR:{decision.upper()}"
            rows = await sweeps.decide_unknown(connection, message_id, part, int(state), now, code, change.actor.label)
            if rows:
                after = {"decision": decision, "parts": len(rows)}
                unit.record("message.resolve", f"message/{message_id}", after=after)
            else:
                unit.unchanged()
        return rows

    detail = {"decision": decision, "actor": change.actor.label}
    changed = await outcomes.sweep(Sweep(run, dict.fromkeys(DECISIONS.values(), "decided"), detail))
    if not changed:
        raise refusal
    return changed


async def _may_resolve(
    connection: Connection,
    outcomes: Outcomes,
    actor: Actor,
    message_id: int,
    part: int,
    state: PartState,
    now: datetime,
) -> None:
    """Refuse what is out of scope, and what is to be sent again and cannot be."""
    seen = actor.scope.whole
    if seen is not None and not await cancellation.message(connection, message_id, seen):
        raise Refused("NOT_FOUND")
    if state is not PartState.DEFERRED:
        return
    if message_id < first_id(now - outcomes.resend_within):
        days = outcomes.resend_within.days
        raise Refused("STATE_CONFLICT", reason=phrase("unknown.old", days=days))
    if n := await sweeps.channelless(connection, message_id, part):
        raise Refused("STATE_CONFLICT", reason=phrase("unknown.channelless", n=n))
    if resting := await sweeps.resting_channels(connection, message_id, part):
        raise Refused("STATE_CONFLICT", reason=phrase("unknown.resting", channels=", ".join(resting)))
