"""Who gets the health mail and when, one sent now or once more, and the mails that are due, which no nodes share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform import mailing
from smsgw.platform.change import EVERYBODY, Change
from smsgw.platform.health import queries
from smsgw.platform.health.model import MOST_DAYS, WANTED, Mail, Plan
from smsgw.platform.health.queries import HEALTH_MAILS
from smsgw.runtime import clock
from smsgw.store.engine.database import Database

KEPT = timedelta(days=400)
"""How long mails are shown after their day."""
UNTAKEN_FOR = timedelta(hours=1)
"""What somebody wants at once has failed by then: there is no node to send it."""
TABLE = mailing.MailTable("health_mail", WANTED)
_SYSTEM = Actor.system("health")
_SET = """
INSERT INTO health_plan (emails, since, language, hour, changed_by)
VALUES ($1, array_fill($2::timestamptz, ARRAY[cardinality($1::text[])]), $3, $4, $5)
ON CONFLICT (id) DO UPDATE SET emails = excluded.emails, since = COALESCE((
        SELECT array_agg(COALESCE(old.since, new.since) ORDER BY new.n)
        FROM unnest(excluded.emails, excluded.since) WITH ORDINALITY new (email, since, n)
        LEFT JOIN unnest(health_plan.emails, health_plan.since) old (email, since) USING (email)), '{}'),
    language = excluded.language, hour = excluded.hour, changed_by = excluded.changed_by, changed_at = now()
"""
_UNDER_WAY = "SELECT EXISTS (SELECT FROM health_mail WHERE asked_by <> '' AND state IN ('waiting', 'sending'))"
_ASK = """
INSERT INTO health_mail (first, day, receiver, language, asked_by, next_at)
SELECT $1, $1, email, p.language, $2, $3 FROM health_plan p CROSS JOIN LATERAL unnest(p.emails) email
"""
_TURN = "SELECT pg_advisory_xact_lock(hashtext('health_mail'))"


def _told(plan: Plan | None) -> dict[str, object]:
    return {} if plan is None else {"receivers": list(plan.emails), "language": plan.language, "hour": plan.hour}


async def set_plan(change: Change, emails: Sequence[str], language: str, hour: int) -> None:
    """Let these get the mail at this hour (China), from the next one on; none: nobody does. What waits for others is
    not sent any more. ``PARAM_INVALID``."""
    wanted = mailing.receivers_of(emails, language)
    if not 0 <= hour <= 23:
        raise Invalid("PARAM_INVALID", field="hour", reason="0-23")
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        await unit.connection.execute(_TURN)
        before = await queries.plan(unit.connection)
        await unit.connection.execute(_SET, wanted, clock.now(), language, hour, unit.actor.label)
        await TABLE.drop(unit.connection, clock.now())
        unit.record(
            "health_mail.plan", "health_mail", before=_told(before), after=_told(await queries.plan(unit.connection))
        )


async def ask(change: Change) -> int:
    """Send one to each receiver now, beside the daily one; how many. ``STATE_CONFLICT`` when there is no receiver, or
    what was asked for before is still under way."""
    now = clock.now()
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        await unit.connection.execute(_TURN)
        plan = await queries.plan(unit.connection)
        if plan is None or not plan.emails:
            raise Refused("STATE_CONFLICT", reason=phrase("health.nobody"))
        if await unit.connection.fetchval(_UNDER_WAY):
            raise Refused("STATE_CONFLICT", reason=phrase("health.under_way"))
        day = now.astimezone(CHINA).date() - timedelta(days=1)
        await unit.connection.execute(_ASK, day, unit.actor.label, now)
        unit.record("health_mail.ask", "health_mail", after={"day": f"{day}", "receivers": list(plan.emails)})
    return len(plan.emails)


async def again(change: Change, id_: int) -> None:
    """Send a mail once more that has failed, or may not have arrived, to who is still named. ``NOT_FOUND``;
    ``STATE_CONFLICT`` for others."""
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        before = await HEALTH_MAILS.get(unit.connection, unit.actor, id_)
        if before is None:
            raise Refused("NOT_FOUND")
        if not before.wanted:
            raise Refused("STATE_CONFLICT", reason=phrase("health.removed"))
        if not await TABLE.again(unit.connection, id_, clock.now()):
            raise Refused("STATE_CONFLICT", reason=phrase("mail.state"))
        unit.record(
            "health_mail.again", f"health_mail/{id_}", before={"state": before.state}, after={"state": "waiting"}
        )


# --- the mails that are due ------------------------------------------------------------------------------------------

# The last day whose mail is due by now: of yesterday from the hour on, else of the day before. Whoever was named after
# the hour gets the next one. After a stop it tells of all days since the last one that was entered, or since whoever
# gets it was named.
_ENTER = f"""
WITH due AS (
    SELECT p.*, ($1::timestamptz AT TIME ZONE 'Asia/Shanghai' - make_interval(hours => p.hour))::date - 1 AS day
    FROM health_plan p
)
INSERT INTO health_mail (first, day, receiver, language, next_at)
SELECT GREATEST(d.day - {MOST_DAYS - 1}, told.day + 1,
                (e.since AT TIME ZONE 'Asia/Shanghai' - make_interval(hours => d.hour))::date),
       d.day, e.email, d.language, $1
FROM due d CROSS JOIN LATERAL unnest(d.emails, d.since) e (email, since)
CROSS JOIN LATERAL (SELECT max(m.day) AS day FROM health_mail m WHERE m.receiver = e.email AND m.asked_by = '') told
WHERE e.since < (d.day + 1 + make_interval(hours => d.hour)) AT TIME ZONE 'Asia/Shanghai'
  AND (told.day IS NULL OR told.day < d.day)
ON CONFLICT DO NOTHING
"""  # noqa: S608 - constants
_UNTAKEN = f"""
UPDATE health_mail SET state = 'failed', ended_at = $1, said = '{mailing.UNTAKEN}'
WHERE state = 'waiting' AND asked_by <> '' AND tries = 0 AND next_at < $2
"""  # noqa: S608 - constants
_FORGET = "DELETE FROM health_mail WHERE day < $1"


async def next_(database: Database, now: datetime, *, takes: bool) -> Mail | None:
    """Enter the mails that are due, each of them once, and take the next; None: there is none. A node that ``takes``
    none, as it has no mail server, enters none either: once there is one, a single mail tells of the days until then.
    """
    async with database.transaction(timeout=mailing.PATIENCE) as connection:
        if takes and await connection.execute(_ENTER, now) != "INSERT 0 0":
            await connection.execute(_FORGET, now.astimezone(CHINA).date() - KEPT)
        await TABLE.lose(connection, now)
        await TABLE.drop(connection, now)
        await connection.execute(_UNTAKEN, now, now - UNTAKEN_FOR)
        id_ = await TABLE.claim(connection, now) if takes else None
        return None if id_ is None else await HEALTH_MAILS.get(connection, _SYSTEM, id_)
