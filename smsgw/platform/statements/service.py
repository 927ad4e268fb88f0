"""Who gets statements, one taken away, and a mail sent once more. And the way of each mail, which no nodes share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change
from smsgw.platform.statements import queries
from smsgw.platform.statements.model import (
    INTERRUPTED,
    LEAST_REASON,
    MONTHS,
    MOST_REASON,
    MOST_RECEIVERS,
    REMOVED,
    SETTLED,
    Mail,
    Statement,
    last_of,
)
from smsgw.platform.statements.queries import WANTED
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection

LANGUAGES = ("zh", "en")
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,188}[A-Za-z0-9])?")
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
_DROP = f"""
UPDATE statement_mail m SET state = 'failed', ended_at = $1, said = '{REMOVED}'
WHERE state = 'waiting' AND ($2::bigint IS NULL OR account_id = $2) AND NOT {WANTED}
"""  # noqa: S608 - constants


async def set_receivers(change: Change, account_id: int, emails: Sequence[str], language: str) -> None:
    """Let these get the account's statements from the month on that is not over yet; none: nobody does. What waits for
    others is not sent any more. ``PARAM_INVALID``, ``NOT_FOUND``."""
    wanted = list(dict.fromkeys(email.strip() for email in emails if email.strip()))
    wrong = next((email for email in wanted if not _ADDRESS.fullmatch(email)), None)
    if wrong is not None or len(wanted) > MOST_RECEIVERS:
        reason = phrase("statement.emails", most=MOST_RECEIVERS, wrong=wrong or "")
        raise Invalid("PARAM_INVALID", field="emails", reason=reason)
    if language not in LANGUAGES:
        raise Invalid("PARAM_INVALID", field="language", reason=", ".join(LANGUAGES))
    async with change.unit(Permission.ACCOUNT_EDIT, account_id) as unit:
        before = await queries.receivers_of(unit.connection, unit.actor, account_id)
        had = list(before.emails) if before else []
        if wanted:
            await unit.connection.execute(_SET, account_id, wanted, language, clock.now(), unit.actor.label)
        else:
            await unit.connection.execute(_REMOVE, account_id)
        await unit.connection.execute(_DROP, clock.now(), account_id)
        unit.record(
            "statement.receivers", f"account/{account_id}", before={"receivers": had}, after={"receivers": wanted}
        )


async def take(change: Change, account_id: int, month: date, reason: str) -> Statement:
    """A statement that somebody takes away. ``PARAM_INVALID`` without a reason, or for a month that is ahead or long
    gone; ``NOT_FOUND`` for an account that is not the actor's."""
    reason = " ".join(reason.split())
    if not LEAST_REASON <= len(reason) <= MOST_REASON:
        raise Invalid("PARAM_INVALID", field="reason", reason=f"{LEAST_REASON}-{MOST_REASON}")
    now = clock.now()
    this = now.astimezone(CHINA).date().replace(day=1)
    if month.day != 1 or not this - timedelta(days=31 * MONTHS) <= month <= this:
        raise Invalid("PARAM_INVALID", field="month", reason=f"{month:%Y-%m}")
    async with change.unit(Permission.STATISTICS_EXPORT, account_id) as unit:
        found = await queries.statement(change.database, change.actor, account_id, month, now)
        if found is None:
            raise Refused("NOT_FOUND")
        unit.record("statement.take", f"account/{account_id}", after={"month": f"{month:%Y-%m}", "reason": reason})
    return found


_AGAIN = """
UPDATE statement_mail SET state = 'waiting', tries = 0, next_at = $2 WHERE id = $1 AND state IN ('failed', 'unsure')
"""


async def again(change: Change, id_: int) -> None:
    """Send a mail once more that has failed, or may not have arrived, to who is still named. ``NOT_FOUND``;
    ``STATE_CONFLICT`` for others."""
    async with change.unit(Permission.ACCOUNT_EDIT) as unit:
        before = await queries.mail(unit.connection, unit.actor, id_)
        if before is None or not unit.actor.scope.covers(before.account_id):
            raise Refused("NOT_FOUND")
        if not before.wanted:
            raise Refused("STATE_CONFLICT", reason=phrase("statement.removed"))
        if await unit.connection.execute(_AGAIN, id_, clock.now()) != "UPDATE 1":
            raise Refused("STATE_CONFLICT", reason=phrase("statement.state"))
        unit.record("statement.again", f"statement/{id_}", before={"state": before.state}, after={"state": "waiting"})


# --- the way of a mail -----------------------------------------------------------------------------------------------

RETRIES = tuple(timedelta(minutes=n) for n in (5, 15, 60, 240, 720, 1440, 1440))
"""Pauses after each try; after the last it has failed."""
LOST = timedelta(minutes=15)
"""What has been under way for so long belongs to a node that is gone: it may have been sent."""
_ENTER = """
INSERT INTO statement_mail (account_id, month, receiver, language, next_at)
SELECT r.account_id, $1::date, e.email, r.language, $2
FROM statement_receiver r CROSS JOIN LATERAL unnest(r.emails, r.since) e (email, since)
WHERE e.since < ($1::date + interval '1 month') AT TIME ZONE 'Asia/Shanghai'
ON CONFLICT DO NOTHING
"""
_LOSE = f"""
UPDATE statement_mail SET state = 'unsure', ended_at = $1, said = '{INTERRUPTED}'
WHERE state = 'sending' AND begun_at < $2
"""  # noqa: S608 - constants
_CLAIM = f"""
UPDATE statement_mail SET state = 'sending', tries = tries + 1, begun_at = $1
WHERE id = (SELECT id FROM statement_mail m WHERE state = 'waiting' AND next_at <= $1 AND {WANTED}
            ORDER BY next_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id
"""  # noqa: S608 - constants
_END = """
UPDATE statement_mail SET state = $2, next_at = $3, ended_at = $4, digest = $5, said = $6
WHERE id = $1 AND state = 'sending'
"""


async def enter(connection: Connection, now: datetime) -> None:
    """Enter the mails of the month that is over, once all of its reports have come; each of them once. End what waits
    for nobody: it was under way when its receiver was removed."""
    today = now.astimezone(CHINA).date()
    month = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    if today >= last_of(month) + timedelta(days=1) + SETTLED:
        await connection.execute(_ENTER, month, now)
    await connection.execute(_LOSE, now, now - LOST)
    await connection.execute(_DROP, now, None)


async def claim(connection: Connection, now: datetime) -> int | None:
    """Take the next mail that is due, and mark it before it goes; None: there is none."""
    id_: int | None = await connection.fetchval(_CLAIM, now)
    return id_


async def end(connection: Connection, mail: Mail, outcome: str, said: str, digest: str, now: datetime) -> str:
    """Enter what has become of a mail (an outcome of ``net.mail``); its state."""
    state, next_at = {"sent": "sent", "refused": "failed", "unsure": "unsure"}.get(outcome, "waiting"), now
    if state == "waiting":
        state = "waiting" if mail.tries <= len(RETRIES) else "failed"
        next_at = now + RETRIES[min(mail.tries, len(RETRIES)) - 1]
    await connection.execute(_END, mail.id, state, next_at, None if state == "waiting" else now, digest, said)
    return state
