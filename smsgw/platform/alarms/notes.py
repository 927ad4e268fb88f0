"""Notes of alarms on their way: entered by the database with the alarm, taken by one node, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from smsgw.core.alarm_notes import MOST_CALLS, TOGETHER, TOGETHER_SMS, Note
from smsgw.core.errors import Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.alarms import receivers
from smsgw.platform.alarms.memory import Kept
from smsgw.platform.alarms.model import INTERRUPTED, RETRIES, Delivery, Opened
from smsgw.platform.change import EVERYBODY, Change
from smsgw.platform.listing import EVERYTHING, Listing
from smsgw.platform.org.queries import holds
from smsgw.platform.paging import Order
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import alarms

PAUSE = timedelta(seconds=10)
"""Between two calls to one receiver: robots take twenty a minute, and what comes meanwhile goes together."""
LOST = timedelta(minutes=5)
"""What has been under way for so long belongs to a node that is gone: it may have arrived."""


@dataclass(frozen=True, slots=True)
class NoteFilter:
    """Which are looked for."""

    receiver: Annotated[int | None, "n.receiver_id = {value}"] = None
    note_state: Annotated[str, "n.state = {value}"] = ""
    note_event: Annotated[str, "n.event = {value}"] = ""


ALARM_NOTES = Listing(
    Delivery, NoteFilter,
    "alarm_note n JOIN alarm_receiver r ON r.id = n.receiver_id LEFT JOIN alarm a ON a.id = n.alarm_id",
    EVERYTHING, {"note_entered": Order("n.entered_at", "timestamptz")},
)  # fmt: skip
_AGAIN = """
UPDATE alarm_note SET state = 'waiting', tries = 0, next_at = $2 WHERE id = $1 AND state IN ('failed', 'unsure')
"""


async def again(change: Change, id_: int) -> None:
    """Send a note once more that has failed, or may not have arrived. ``NOT_FOUND``; ``STATE_CONFLICT`` for others."""
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        before = await ALARM_NOTES.get(unit.connection, unit.actor, id_)
        if before is None:
            raise Refused("NOT_FOUND")
        if not before.active:
            raise Refused("STATE_CONFLICT", reason=phrase("alarm.receiver_stopped"))
        if await unit.connection.execute(_AGAIN, id_, clock.now()) != "UPDATE 1":
            raise Refused("STATE_CONFLICT", reason=phrase("alarm.note_state"))
        unit.record("alarm.again", f"alarm_note/{id_}", before={"state": before.state}, after={"state": "waiting"})


# --- the way of a note -----------------------------------------------------------------------------------------------

_LOSE = f"""
UPDATE alarm_note SET state = 'unsure', ended_at = $1, said = '{INTERRUPTED}' WHERE state = 'sending' AND begun_at < $2
"""  # noqa: S608 - a constant
# No end is told before its beginning.
_DUE = """n.receiver_id = r.id AND n.state = 'waiting' AND n.next_at <= $1 AND NOT (n.event = 'cleared' AND EXISTS (
        SELECT FROM alarm_note b WHERE b.alarm_id = n.alarm_id AND b.receiver_id = n.receiver_id AND b.event = 'raised'
        AND (b.state = 'sending' OR b.state = 'waiting' AND b.next_at > $1)))"""
_CLAIM = f"""
WITH r AS (
    SELECT r.*, c.calls, c.most FROM alarm_receiver r CROSS JOIN LATERAL (
        SELECT count(DISTINCT n.begun_at)::int AS calls, ($4::jsonb ->> r.kind)::int AS most FROM alarm_note n
        WHERE n.receiver_id = r.id AND n.begun_at > $1::timestamptz - interval '1 hour') c
    WHERE r.active AND r.free_at <= $1 AND r.id <> ALL($3::bigint[]) AND EXISTS (
        SELECT FROM alarm_note n LEFT JOIN alarm a ON a.id = n.alarm_id WHERE {_DUE}
        AND c.calls < c.most * CASE WHEN n.event = 'raised' AND a.severity = 'critical' THEN 2 ELSE 1 END)
    ORDER BY r.free_at, r.id LIMIT 1 FOR UPDATE OF r SKIP LOCKED),
free AS (UPDATE alarm_receiver SET free_at = $2 FROM r WHERE alarm_receiver.id = r.id),
due AS (
    SELECT n.id FROM alarm_note n, r WHERE {_DUE}
    ORDER BY n.id LIMIT (SELECT CASE kind WHEN 'sms' THEN {TOGETHER_SMS} ELSE {TOGETHER} END FROM r) FOR UPDATE OF n),
taken AS (
    UPDATE alarm_note n SET state = 'sending', tries = tries + 1, begun_at = $1 FROM due WHERE n.id = due.id
    RETURNING n.id, n.receiver_id, n.alarm_id, n.event, n.tries)
SELECT taken.id, alarm_id, event, tries, a.kind, a.object, a.severity, a.detail, a.said, a.since, a.cleared_at,
       a.unwatched, receiver_id, r.name, r.kind AS way, r.sealed, r.account_id, r.critical_only, r.language,
       r.after_minutes, r.on_duty, d.phone AS duty_phone, d.email AS duty_email,
       CASE WHEN r.calls + 1 >= r.most THEN r.calls + 1 ELSE 0 END AS calls
FROM taken JOIN r ON r.id = taken.receiver_id LEFT JOIN alarm a ON a.id = taken.alarm_id
LEFT JOIN LATERAL (
    SELECT s.phone, s.email FROM duty_at($1) t JOIN duty u ON u.day = t.day AND u.shift = t.shift
    JOIN staff s ON s.id = u.staff_id WHERE r.on_duty AND {holds(Permission.ALARM_HANDLE)}) d ON true
ORDER BY taken.id
"""  # noqa: S608 - a constant
_END = """
UPDATE alarm_note n SET state = e.state, next_at = e.next_at, ended_at = e.ended_at, said = $5
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[]) e (id, state, next_at, ended_at)
WHERE n.id = e.id AND n.state = 'sending'
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one receiver is told together, marked as being under way."""

    receiver_id: int
    receiver: Opened | None
    """None: its address does not open."""
    notes: Sequence[Note]
    tries: Sequence[int]
    """Of each."""
    calls: int
    """How many it has been told in the hour, if that is all for now."""


_TOLD = """
UPDATE alarm_note n SET state = t.state, tries = t.tries, begun_at = t.at, said = t.said,
    ended_at = CASE t.state WHEN 'waiting' THEN NULL ELSE t.at END
FROM alarm a, unnest($3::bigint[], $4::text[], $5::int[], $6::timestamptz[], $7::text[])
    t (receiver, state, tries, at, said)
WHERE a.kind = $1 AND a.object = $2 AND a.cleared_at IS NULL AND n.alarm_id = a.id AND n.event = 'raised'
  AND n.receiver_id = t.receiver AND n.state = 'waiting'
"""


async def enter(connection: Connection, kept: Kept, now: datetime) -> None:
    """Enter an alarm that a node has told of while the database was away, with what became of that."""
    await alarms.raise_(connection, kept.kind, kept.object, kept.severity, kept.detail, now=now, since=kept.since)
    told = list(kept.told.items())
    await connection.execute(
        _TOLD, kept.kind, kept.object, [id_ for id_, _ in told], [one.state for _, one in told],
        [one.tries for _, one in told], [one.at for _, one in told], [one.said for _, one in told],
    )  # fmt: skip


async def lose(database: Database, now: datetime) -> None:
    """End what a node had begun that is gone."""
    await database.execute(_LOSE, now, now - LOST)


async def claim(database: Database, sealer: Sealer, now: datetime, busy: Sequence[int]) -> Batch | None:
    """Take what is due for one receiver, none of those that are busy, and mark it before it goes; None: nothing is. The
    address comes with it: once it is marked, nothing is asked of the database any more."""
    rows = await database.fetch(_CLAIM, now, now + PAUSE, list(busy), json.dumps(MOST_CALLS))
    if not rows:
        return None
    first = rows[0]
    receiver = receivers.open_(sealer, dict(first) | {"id": first["receiver_id"], "kind": first["way"]})
    noted = [_note(row) for row in rows]
    return Batch(first["receiver_id"], receiver, noted, [row["tries"] for row in rows], first["calls"])


def _note(row: Row) -> Note:
    if row["alarm_id"] is None:
        return Note(row["id"], row["event"])
    return Note(
        row["id"], row["event"], row["alarm_id"], row["kind"], row["object"], row["severity"],
        alarms.detail_of(row["detail"], row["said"]), row["since"], row["cleared_at"], row["unwatched"],
    )  # fmt: skip


async def end(database: Database, batch: Batch, outcome: str, said: str, now: datetime) -> None:
    """Enter what has become of it (an outcome of ``net.mail``)."""
    states, nexts, ends = [], [], []
    for tries in batch.tries:
        waits = outcome == "again" and tries <= len(RETRIES)
        states.append("waiting" if waits else {"sent": "sent", "unsure": "unsure"}.get(outcome, "failed"))
        nexts.append(now + RETRIES[tries - 1] if waits else now)
        ends.append(None if waits else now)
    await database.execute(_END, [note.id for note in batch.notes], states, nexts, ends, said)
