"""What people do with messages that others must be able to ask about: read one, have sent some."""

from __future__ import annotations

from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.messages import queries
from smsgw.platform.messages.model import Trace


async def read(change: Change, message_id: int, *, unmasked: bool) -> Trace | None:
    """The story of a message, entered into the audit log; None when there is none that the actor may see.

    ``unmasked``: the whole number will be shown.
    """
    if unmasked:
        change.actor.require(Permission.MESSAGE_UNMASK)
    async with change.unit(Permission.MESSAGE_READ) as unit:
        found = await queries.trace(unit.connection, message_id, accounts=change.actor.scope.whole)
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
