"""Who gets statements, one taken away, and a mail sent once more. And the way of each mail, which no nodes share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform import mailing
from smsgw.platform.change import Change
from smsgw.platform.statements import queries
from smsgw.platform.statements.model import (
    LEAST_REASON,
    MONTHS,
    MOST_REASON,
    NAMES_RECEIVERS,
    SETTLED,
    WANTED,
    Mail,
    Statement,
    last_of,
)
from smsgw.runtime import clock
from smsgw.store.engine.database import Database

_SYSTEM = Actor.system("statements")
TABLE = mailing.MailTable("statement_mail", WANTED)
_SET = """
INSERT INTO statement_receiver (account_id, emails, language, since, changed_by)
VALUES ($1, $2, $3, array_fill($4::timestamptz, ARRAY[cardinality($2::text[])]), $5)
ON CONFLICT (account_id) DO UPDATE SET emails = excluded.emails, since = (
        SELECT array_agg(COALESCE(old.since, new.since) ORDER BY new.n)
        FROM unnest(excluded.emails, excluded.since) WITH ORDINALITY new (email, since, n)
        LEFT JOIN unnest(statement_receiver.emails, statement_receiver.since) old (email, since) USING (email)),
    language = excluded.language,
    changed_by = excluded.changed_by, changed_at = now()
"""
_REMOVE = "DELETE FROM statement_receiver WHERE account_id = $1"


async def set_receivers(change: Change, account_id: int, emails: Sequence[str], language: str, reason: str) -> None:
    """Let these get the account's statements, with its money, from the month on that is not over yet; none: nobody
    does. What waits for others is not sent any more. ``PARAM_INVALID``, also without a reason; ``NOT_FOUND``;
    ``PERMISSION_DENIED`` for who may not take such a statement away."""
    wanted, reason = mailing.receivers_of(emails, language), _said(reason)
    for permission in NAMES_RECEIVERS:
        change.actor.require(permission, account_id)
    async with change.unit(Permission.ACCOUNT_EDIT, account_id) as unit:
        before = await queries.RECEIVERS.get(unit.connection, unit.actor, account_id)
        had = list(before.emails) if before else []
        if wanted:
            await unit.connection.execute(_SET, account_id, wanted, language, clock.now(), unit.actor.label)
        else:
            await unit.connection.execute(_REMOVE, account_id)
        await TABLE.drop(unit.connection, clock.now())
        after = {"receivers": wanted, "reason": reason}
        unit.record("statement.receivers", f"account/{account_id}", before={"receivers": had}, after=after)


def _said(reason: str) -> str:
    """``PARAM_INVALID`` when it says too little or too much."""
    reason = " ".join(reason.split())
    if not LEAST_REASON <= len(reason) <= MOST_REASON:
        raise Invalid("PARAM_INVALID", field="reason", reason=f"{LEAST_REASON}-{MOST_REASON}")
    return reason


async def take(change: Change, account_id: int, month: date, reason: str) -> Statement:
    """A statement that somebody takes away. ``PARAM_INVALID`` without a reason, or for a month that is ahead or long
    gone; ``NOT_FOUND`` for an account that is not the actor's."""
    reason, now = _said(reason), clock.now()
    this = now.astimezone(CHINA).date().replace(day=1)
    if month.day != 1 or not this - timedelta(days=31 * MONTHS) <= month <= this:
        raise Invalid("PARAM_INVALID", field="month", reason=f"{month:%Y-%m}")
    async with change.unit(Permission.STATISTICS_EXPORT, account_id) as unit:
        found = await queries.statement(change.database, change.actor, account_id, month, now)
        if found is None:
            raise Refused("NOT_FOUND")
        unit.record("statement.take", f"account/{account_id}", after={"month": f"{month:%Y-%m}", "reason": reason})
    return found


async def again(change: Change, id_: int) -> None:
    """Send a mail once more that has failed, or may not have arrived, to who is still named. ``NOT_FOUND``;
    ``STATE_CONFLICT`` for others."""
    async with change.unit(Permission.ACCOUNT_EDIT) as unit:
        before = await queries.MAILS.get(unit.connection, unit.actor, id_)
        if before is None or not unit.actor.scope.covers(before.account_id):
            raise Refused("NOT_FOUND")
        if not before.wanted:
            raise Refused("STATE_CONFLICT", reason=phrase("statement.removed"))
        if not await TABLE.again(unit.connection, id_, clock.now()):
            raise Refused("STATE_CONFLICT", reason=phrase("mail.state"))
        unit.record("statement.again", f"statement/{id_}", before={"state": before.state}, after={"state": "waiting"})


# --- the way of a mail -----------------------------------------------------------------------------------------------

_ENTER = """
INSERT INTO statement_mail (account_id, month, receiver, language, next_at)
SELECT r.account_id, $1::date, e.email, r.language, $2
FROM statement_receiver r CROSS JOIN LATERAL unnest(r.emails, r.since) e (email, since)
WHERE e.since < ($1::date + interval '1 month') AT TIME ZONE 'Asia/Shanghai'
ON CONFLICT DO NOTHING
"""


async def next_(database: Database, now: datetime, *, takes: bool) -> Mail | None:
    """Enter the mails of the month that is over, once all of its reports have come; each of them once. End what waits
    for nobody: it was under way when its receiver was removed. Take the next one that is due; None: there is none, or
    this node ``takes`` none."""
    today = now.astimezone(CHINA).date()
    month = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    async with database.transaction(timeout=mailing.PATIENCE) as connection:
        if today >= last_of(month) + timedelta(days=1) + SETTLED:
            await connection.execute(_ENTER, month, now)
        await TABLE.lose(connection, now)
        await TABLE.drop(connection, now)
        id_ = await TABLE.claim(connection, now) if takes else None
        return None if id_ is None else await queries.MAILS.get(connection, _SYSTEM, id_)
