"""Training mode of accounts (演练模式, S22b): begun and ended while the account is stopped and all of it is over.

What its people do is as always, from the door over reviews and tasks to reports; what is sent goes to the simulated
carrier of test keys and to no other. Acceptance asks under the account's lock, so a node that has not heard of a switch
yet can send nothing the wrong way. A program from before training mode asks nothing: while a node runs one no rehearsal
begins, and once one has begun none starts on this database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.states import by_name

LEAST_REASON, MOST_REASON = 2, 200
MOST: Final = 10_000
"""Parts beyond which nobody counts on."""
PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of an account is not over, and who works with it."""

    parts: int
    """Counted up to ``MOST`` and one more."""
    tasks: int
    keys: int
    """Live keys in use."""
    people: int


# Each state has an index of its own kind. A part that a carrier has taken may fail and be sent again: it is not over.
_WAITING = by_name(f"""
SELECT (SELECT count(*) FROM (
           SELECT FROM part WHERE account_id = $1 AND account_id > 0 AND state IN (:QUEUED, :DEFERRED)
           UNION ALL SELECT FROM part WHERE account_id = $1 AND state = :HELD
           UNION ALL SELECT FROM part WHERE account_id = $1 AND state IN (:SCHEDULED, :SENT, :UNKNOWN)
           UNION ALL SELECT FROM part WHERE account_id = $1 AND state = :SENDING LIMIT {MOST + 1}) p)::int AS parts,
       (SELECT count(*) FROM task WHERE account_id = $1
        AND state NOT IN ('finished', 'cancelled', 'failed'))::int AS tasks,
       (SELECT count(*) FROM api_key WHERE account_id = $1 AND status = 'active' AND NOT test)::int AS keys,
       (SELECT count(*) FROM staff_account WHERE account_id = $1)::int AS people
""")  # noqa: S608 - a number of ours


async def waiting(source: Database | Connection, account_id: int) -> Waiting:
    """What there is of it."""
    row = await source.fetchrow(_WAITING, account_id, timeout=PATIENCE)
    return Waiting(0, 0, 0, 0) if row is None else Waiting(**dict(row))


_SERVES = """
SELECT EXISTS (SELECT FROM login_policy WHERE $1 = ANY(sms_accounts))
    OR EXISTS (SELECT FROM alarm_receiver WHERE account_id = $1)
"""
_LOCK = "SELECT name, status, training FROM account WHERE id = $1 FOR UPDATE"
_SWITCH = "UPDATE account SET training = $2 WHERE id = $1"


async def switch(change: Change, account_id: int, *, on: bool, reason: str) -> None:
    """Begin or end the training mode of an account. ``PARAM_INVALID``, ``NOT_FOUND``; ``STATE_CONFLICT`` for one that
    is so already, is not stopped, has something under way, or by which the platform sends login codes or alarms."""
    reason = " ".join(reason.split())
    if not LEAST_REASON <= len(reason) <= MOST_REASON or not reason.isprintable():
        said = phrase("text.between", low=LEAST_REASON, high=MOST_REASON)
        raise Invalid("PARAM_INVALID", field="reason", reason=said)
    async with change.unit(Permission.ACCOUNT_EDIT, account_id, timeout=PATIENCE) as unit:
        row = await unit.connection.fetchrow(_LOCK, account_id)
        if row is None:
            raise Refused("NOT_FOUND")
        if row["training"] is on:
            raise Refused("STATE_CONFLICT", reason=phrase("account.training_same"))
        if row["status"] != "stopped":
            raise Refused("STATE_CONFLICT", reason=phrase("account.training_active"))
        if on and await unit.connection.fetchval(_SERVES, account_id):
            raise Refused("STATE_CONFLICT", reason=phrase("account.training_serves"))
        left = await waiting(unit.connection, account_id)
        if left.parts or left.tasks:
            said = phrase("account.training_waits", parts=left.parts, tasks=left.tasks)
            raise Refused("STATE_CONFLICT", reason=said)
        await unit.connection.execute(_SWITCH, account_id, on)
        unit.record("account.training" if on else "account.training_end", f"account/{row['name']}",
                    before={"training": not on}, after={"training": on, "reason": reason})  # fmt: skip
