"""Registering faults: opened, responded to, recovered from, closed with a report; each step is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.printable import lines_printable
from smsgw.core.words import Wording, label, phrase
from smsgw.platform.alarms import service as alarm_service
from smsgw.platform.change import EVERYBODY, Change, Unit
from smsgw.platform.faults.model import (
    LEAST_TEXT,
    LEAST_TITLE,
    MOST_LATE,
    MOST_NOTES,
    MOST_OPEN,
    MOST_TEXT,
    MOST_TITLE,
    Fault,
    State,
    title_of,
)
from smsgw.platform.faults.queries import FAULTS
from smsgw.runtime import clock
from smsgw.store.config import settings
from smsgw.store.engine.database import Connection
from smsgw.store.records.alarms import Alarm


@dataclass(frozen=True, slots=True)
class Draft:
    """A fault as it is to be entered."""

    title: str
    severity: str
    began_at: datetime


_LOCK = "SELECT FROM fault WHERE id = $1 FOR UPDATE"
_TURN = "SELECT pg_advisory_xact_lock(hashtext('fault.open'))"
OPEN = "SELECT count(*) FROM fault WHERE closed_at IS NULL"
_ADD = """
INSERT INTO fault (title, severity, began_at, opened_at, opened_by, respond_by, recover_by, by_hand)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id
"""
_JOIN = """
INSERT INTO fault_alarm (alarm_id, fault_id, kind, object, since)
SELECT a.id, $1, a.kind, a.object, a.since FROM alarm a WHERE a.id = ANY($2::bigint[])
ON CONFLICT DO NOTHING RETURNING alarm_id
"""
_STEP = "INSERT INTO fault_step (fault_id, at, by, kind, said) VALUES ($1, $2, $3, $4, $5)"
_NOTES = "SELECT count(*) FROM fault_step WHERE fault_id = $1 AND kind = 'note'"


def _wrong(field: str, reason: Wording) -> Invalid:
    return Invalid("PARAM_INVALID", field=field, reason=reason)


def _text(field: str, text: str, *, least: int = LEAST_TEXT, most: int = MOST_TEXT) -> str:
    text = text.strip()
    if not least <= len(text) <= most:
        raise _wrong(field, phrase("fault.text", least=least, most=most))
    if not lines_printable(text):
        raise _wrong(field, phrase("fault.unprintable"))
    return text


async def open_(change: Change, draft: Draft, alarm_ids: Sequence[int] = ()) -> int:
    """Enter a fault, and the alarms that belong to it; its id. ``PARAM_INVALID``; ``NOT_FOUND`` for an alarm that there
    is not; ``STATE_CONFLICT`` for one that has a fault, and beyond ``MOST_OPEN``."""
    now = clock.now()
    title = _text("title", " ".join(draft.title.split()), least=LEAST_TITLE, most=MOST_TITLE)
    if draft.severity not in ("critical", "warning"):
        raise _wrong("severity", phrase("choice.of", known="critical, warning"))
    if not now - MOST_LATE <= draft.began_at <= now:
        raise _wrong("began_at", phrase("fault.began", days=MOST_LATE.days))
    async with change.unit(Permission.ALARM_HANDLE, EVERYBODY) as unit:
        await unit.connection.fetchval(_TURN)
        if await unit.connection.fetchval(OPEN) >= MOST_OPEN:
            raise Refused("STATE_CONFLICT", reason=phrase("fault.full", most=MOST_OPEN))
        limits = await settings.load(unit.connection)
        id_: int = await unit.connection.fetchval(
            _ADD, title, draft.severity, draft.began_at, now, unit.actor.label,
            now + timedelta(minutes=limits.fault_response_minutes),
            draft.began_at + timedelta(minutes=limits.fault_recovery_minutes), not alarm_ids,
        )  # fmt: skip
        if len(await unit.connection.fetch(_JOIN, id_, list(alarm_ids))) < len(alarm_ids):
            raise Refused("STATE_CONFLICT", reason=phrase("fault.of_another"))
        await unit.connection.execute(_STEP, id_, now, unit.actor.label, "opened", "")
        unit.record("fault.open", f"fault/{id_}", after={
            "title": title, "severity": draft.severity, "since": draft.began_at.isoformat(), "alarms": len(alarm_ids),
        })  # fmt: skip
    return id_


async def of_alarm(change: Change, alarm: Alarm) -> int:
    """Enter a fault that an alarm tells of; its id. As of ``open_``."""
    began = max(alarm.since, clock.now() - MOST_LATE)
    return await open_(change, Draft(title_of(alarm.kind, alarm.object), alarm.severity, began), [alarm.id])


async def _taken(unit: Unit, id_: int, *, states: Sequence[State] = ()) -> Fault:
    """The fault, held until the end of the transaction. ``NOT_FOUND``; ``STATE_CONFLICT`` in another state."""
    await unit.connection.fetchrow(_LOCK, id_)
    fault = await FAULTS.get(unit.connection, unit.actor, id_)
    if fault is None:
        raise Refused("NOT_FOUND")
    if states and fault.state not in states:
        raise Refused("STATE_CONFLICT", reason=phrase("fault.state", state=label("fault_state", fault.state)))
    return fault


async def step(connection: Connection, id_: int, by: str, kind: str, said: str = "") -> None:
    """Write down that something was done."""
    await connection.execute(_STEP, id_, clock.now(), by, kind, said)


_LIVE = (State.OPEN, State.HANDLING)
_RESPOND = "UPDATE fault SET responded_at = $2, responded_by = $3 WHERE id = $1"
_UNTAKEN = """
SELECT a.id FROM fault_alarm f JOIN alarm a ON a.id = f.alarm_id
WHERE f.fault_id = $1 AND a.cleared_at IS NULL AND a.acked_at IS NULL
"""


async def respond(change: Change, id_: int) -> None:
    """Somebody looks after it: the time to respond ends, and its alarms are taken on. ``NOT_FOUND``,
    ``STATE_CONFLICT``."""
    now = clock.now()
    async with change.unit(Permission.ALARM_HANDLE, EVERYBODY) as unit:
        await _taken(unit, id_, states=(State.OPEN,))
        await unit.connection.execute(_RESPOND, id_, now, unit.actor.label)
        await step(unit.connection, id_, unit.actor.label, "responded")
        unit.record("fault.respond", f"fault/{id_}")
        if rows := await unit.connection.fetch(_UNTAKEN, id_):
            await alarm_service.acknowledge(change, [row["id"] for row in rows])


async def note(change: Change, id_: int, text: str) -> None:
    """Write down what was found or done. ``NOT_FOUND``, ``PARAM_INVALID``; ``STATE_CONFLICT`` once it is closed, and
    beyond ``MOST_NOTES``."""
    text = _text("said", text)
    async with change.unit(Permission.ALARM_HANDLE, EVERYBODY) as unit:
        await _taken(unit, id_, states=(*_LIVE, State.RECOVERED))
        if await unit.connection.fetchval(_NOTES, id_) >= MOST_NOTES:
            raise Refused("STATE_CONFLICT", reason=phrase("fault.steps", most=MOST_NOTES))
        await step(unit.connection, id_, unit.actor.label, "note", text)
        unit.record("fault.note", f"fault/{id_}", after={"said": text})


_RECOVER = "UPDATE fault SET recovered_at = $2, recovered_by = $3 WHERE id = $1"


async def recover(change: Change, id_: int, at: datetime) -> None:
    """The trouble is over since then. Once more: it was over at another time. ``NOT_FOUND``, ``PARAM_INVALID``;
    ``STATE_CONFLICT`` once it is closed."""
    async with change.unit(Permission.ALARM_HANDLE, EVERYBODY) as unit:
        fault = await _taken(unit, id_, states=(*_LIVE, State.RECOVERED))
        if not fault.began_at <= at <= clock.now():
            raise _wrong("recovered_at", phrase("fault.recovered"))
        if fault.responded_at is None:  # who says so has looked after it
            await unit.connection.execute(_RESPOND, id_, clock.now(), unit.actor.label)
        await unit.connection.execute(_RECOVER, id_, at, unit.actor.label)
        await step(unit.connection, id_, unit.actor.label, "recovered")
        before = fault.recovered_at.isoformat() if fault.recovered_at else None
        unit.record("fault.recover", f"fault/{id_}", before={"until": before}, after={"until": at.isoformat()})


_COUNT = "UPDATE fault SET counts = $2, why_not = $3 WHERE id = $1"


async def count(change: Change, id_: int, *, counts: bool, reason: str) -> None:
    """Say whether it is among the faults of the year, and why. ``NOT_FOUND``, ``PARAM_INVALID``; ``STATE_CONFLICT``
    when it is so already."""
    reason = _text("reason", reason, most=200)
    async with change.unit(Permission.ALARM_HANDLE, EVERYBODY) as unit:
        fault = await _taken(unit, id_)
        if fault.counts == counts:
            raise Refused("STATE_CONFLICT", reason=phrase("fault.counts" if counts else "fault.counts_not"))
        await unit.connection.execute(_COUNT, id_, counts, "" if counts else reason)
        await step(unit.connection, id_, unit.actor.label, "counted" if counts else "left_out", reason)
        unit.record(
            "fault.count", f"fault/{id_}", before={"counts": fault.counts}, after={"counts": counts, "reason": reason}
        )


@dataclass(frozen=True, slots=True)
class Findings:
    """What the report of a fault says."""

    cause: str
    done: str
    prevention: str


_CLOSE = """
UPDATE fault SET cause = $2, done = $3, prevention = $4, closed_at = $5, closed_by = $6 WHERE id = $1
"""


async def close(change: Change, id_: int, found: Findings) -> None:
    """Close it with its report. ``NOT_FOUND``, ``PARAM_INVALID``; ``STATE_CONFLICT`` before it has recovered."""
    cause, done = _text("cause", found.cause), _text("done", found.done)
    prevention = _text("prevention", found.prevention) if found.prevention.strip() else ""
    async with change.unit(Permission.ALARM_HANDLE, EVERYBODY) as unit:
        await _taken(unit, id_, states=(State.RECOVERED,))
        await unit.connection.execute(_CLOSE, id_, cause, done, prevention, clock.now(), unit.actor.label)
        await step(unit.connection, id_, unit.actor.label, "closed")
        unit.record("fault.close", f"fault/{id_}", after={"cause": cause, "done": done, "prevention": prevention})
