"""Alarms become faults by themselves, faults are over with their alarms, and promised times are alarms when they pass.

One outage is one fault: what is raised within half an hour of its newest alarm, or of its end, belongs to it. What
stands for moments, or is silenced because somebody works on it, is none. What the database could not be told of while
it stood counts as well: an outage of the database itself is over by the time it is entered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from smsgw.core.actor import Actor
from smsgw.core.alarm_rules import OUTAGES, Rules
from smsgw.core.alarms import CRITICAL, WARNING, Finding
from smsgw.core.errors import Refused
from smsgw.core.permissions import Permission
from smsgw.core.wording_json import Moment
from smsgw.core.words import phrase
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.change import EVERYBODY, Change, Unit
from smsgw.platform.faults import service
from smsgw.platform.faults.model import MOST_LATE, MOST_OPEN, title_of, title_said
from smsgw.runtime import clock
from smsgw.runtime.ttl_cache import TtlCache
from smsgw.store.config import settings
from smsgw.store.engine.database import Database, Row

log = structlog.get_logger(__name__)

EVERY = 10.0
LOOK_EVERY = 5.0
TOGETHER = timedelta(minutes=30)
HELD = timedelta(seconds=90)
"""What comes back within this time was never over (``alarm_hold``)."""
ENTERED_LATE = timedelta(hours=1)
"""So long after its end an alarm still becomes a fault."""
AT_ONCE = 50
SEVERITIES = {0: (), 1: (CRITICAL,), 2: (CRITICAL, WARNING)}
"""By the setting ``fault_severity``."""

_NEW = f"""
SELECT a.id, a.kind, a.object, a.severity, a.since FROM alarm a
WHERE (a.cleared_at IS NULL OR a.cleared_at > $6 AND NOT a.unwatched)
  AND a.severity = ANY($1::text[]) AND a.kind = ANY($2::text[])
  AND a.since > $3 AND a.since <= $5 AND COALESCE(a.cleared_at, $5) - a.since >= $4::interval
  AND NOT EXISTS (SELECT FROM fault_alarm f WHERE f.alarm_id = a.id)
  AND NOT EXISTS (SELECT FROM alarm_silence s WHERE s.until > COALESCE(a.cleared_at, $5) AND s.kind IN ('', a.kind)
                  AND s.object IN ('', a.object))
ORDER BY a.since, a.id LIMIT {AT_ONCE}
"""  # noqa: S608 - a constant
# What was over by itself and comes back within the time is the same outage; what a person calls over is.
_NEAR = """
SELECT f.id FROM fault f LEFT JOIN fault_alarm a ON a.fault_id = f.id
WHERE f.closed_at IS NULL AND (f.recovered_at IS NULL OR f.recovered_by = $3)
GROUP BY f.id HAVING GREATEST(max(a.since), f.began_at, f.recovered_at) >= $1 AND LEAST(min(a.since), f.began_at) <= $2
ORDER BY f.id DESC LIMIT 1
"""
_TAKEN = f"""
SELECT f.id, t.at, t.by FROM fault f CROSS JOIN LATERAL (
    SELECT a.acked_at AS at, a.acked_by AS by FROM fault_alarm l JOIN alarm a ON a.id = l.alarm_id
    WHERE l.fault_id = f.id AND a.acked_at IS NOT NULL ORDER BY a.acked_at LIMIT 1) t
WHERE f.closed_at IS NULL AND f.recovered_at IS NULL AND f.responded_at IS NULL LIMIT {AT_ONCE} FOR UPDATE OF f
"""  # noqa: S608 - a constant
# What ended because its rule was turned off may stand still, and what a person has entered is not known by its alarms:
# a person says when it is over.
_OVER = f"""
SELECT f.id, t.at FROM fault f CROSS JOIN LATERAL (
    SELECT max(a.cleared_at) AS at, count(*) AS n, count(a.cleared_at) FILTER (WHERE NOT a.unwatched) AS over
    FROM fault_alarm l JOIN alarm a ON a.id = l.alarm_id WHERE l.fault_id = f.id) t
WHERE f.closed_at IS NULL AND f.recovered_at IS NULL AND NOT f.by_hand AND t.n > 0 AND t.n = t.over AND t.at <= $1
LIMIT {AT_ONCE} FOR UPDATE OF f
"""  # noqa: S608 - a constant
_BACK = f"""
SELECT f.id, f.recovered_at AS at FROM fault f
WHERE f.closed_at IS NULL AND f.recovered_at IS NOT NULL AND f.recovered_by = $1 AND EXISTS (
    SELECT FROM fault_alarm l JOIN alarm a ON a.id = l.alarm_id WHERE l.fault_id = f.id
    AND (a.cleared_at IS NULL OR a.cleared_at > f.recovered_at))
LIMIT {AT_ONCE} FOR UPDATE OF f
"""  # noqa: S608 - a constant
_RESPONDED = "UPDATE fault SET responded_at = $2, responded_by = $3 WHERE id = $1"
_RECOVERED = "UPDATE fault SET recovered_at = GREATEST($2, began_at), recovered_by = $3 WHERE id = $1"
_AGAIN = "UPDATE fault SET recovered_at = NULL, recovered_by = '' WHERE id = $1"
# Of what joins, and of what has joined and is graver now.
_GRAVER = f"""
UPDATE fault SET severity = 'critical' WHERE id IN (
    SELECT f.id FROM fault f WHERE f.closed_at IS NULL AND f.severity <> 'critical' AND EXISTS (
        SELECT FROM fault_alarm l JOIN alarm a ON a.id = l.alarm_id WHERE l.fault_id = f.id AND a.severity = 'critical')
    ORDER BY f.id LIMIT {AT_ONCE} FOR UPDATE)
RETURNING id
"""  # noqa: S608 - a constant
_JOIN = """
INSERT INTO fault_alarm (alarm_id, fault_id, kind, object, since) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING alarm_id
"""
# All of them: how many there are beyond those that are named is counted by who names them.
_DUE = f"""
SELECT f.id, f.title, f.by_hand, f.responded_at IS NULL AND f.respond_by <= $2 AS response, f.respond_by,
       f.recover_by <= $3 AS recovery, f.recover_by
FROM fault f WHERE f.closed_at IS NULL AND f.recovered_at IS NULL
  AND (f.responded_at IS NULL AND f.respond_by <= $2 OR f.recover_by <= $3) AND f.began_at <= $1
ORDER BY f.recover_by DESC, f.id LIMIT {MOST_OPEN}
"""  # noqa: S608 - a constant


MOST_SAID = 5
"""Alarms that one step names."""


def _listed(titles: Sequence[str]) -> str:
    more = len(titles) - MOST_SAID
    return "\n".join([*titles[:MOST_SAID], *([f"+{more}"] if more > 0 else [])])


class FaultWatch:
    """Keeps the register in step with the alarms; names promised times that are near or over, and a full register."""

    def __init__(self, database: Database, rules: Callable[[], Rules], now: Callable[[], datetime] = clock.now) -> None:
        self._database = database
        self._rules = rules
        self._now = now
        self.findings = TtlCache(LOOK_EVERY, self.due)
        """Those that it named last."""

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (Periodic("faults", EVERY, self.step, jitter=EVERY / 10, exclusive="faults"),)

    async def step(self) -> None:
        """One round, in one transaction with its entries in the audit log."""
        now = self._now()
        change = Change(self._database, Actor.system("faults"))
        async with change.unit(Permission.ALARM_HANDLE, EVERYBODY) as unit:
            unit.unchanged()
            await self._join(change, unit, now)
            await self._follow(unit, now)

    async def _join(self, change: Change, unit: Unit, now: datetime) -> None:
        limits = await settings.load(unit.connection)
        grave = list(SEVERITIES[limits.fault_severity])
        stood = timedelta(minutes=limits.fault_after_minutes)
        rows = await unit.connection.fetch(
            _NEW, grave, list(OUTAGES), now - MOST_LATE, stood, now, now - ENTERED_LATE
        ) if grave else []  # fmt: skip
        joined: dict[int, list[str]] = {}
        for row in rows:
            since: datetime = row["since"]
            id_ = await unit.connection.fetchval(_NEAR, since - TOGETHER, since + TOGETHER, unit.actor.label)
            if id_ is None:
                draft = service.Draft(title_of(row["kind"], row["object"]), row["severity"], since)
                try:
                    await service.open_(change, draft, [row["id"]])
                except Refused as exc:  # the register is full: people have to close some first (``faults_full``)
                    log.warning("fault.not_opened", alarm=row["id"], why=exc.code)
            elif await unit.connection.fetchval(_JOIN, row["id"], id_, row["kind"], row["object"], since):
                joined.setdefault(id_, []).append(title_of(row["kind"], row["object"]))
                unit.record("fault.join", f"fault/{id_}", after={"alarm": f"alarm/{row['id']}"})
        for id_, titles in joined.items():
            await service.step(unit.connection, id_, unit.actor.label, "joined", _listed(titles))
        for row in await unit.connection.fetch(_GRAVER):
            await service.step(unit.connection, row["id"], unit.actor.label, "graver")
            unit.record(
                "fault.graver", f"fault/{row['id']}", before={"severity": WARNING}, after={"severity": CRITICAL}
            )

    async def _follow(self, unit: Unit, now: datetime) -> None:
        """Faults are taken on, over, and back with their alarms."""
        by = unit.actor.label

        async def each(rows: Sequence[Row], kind: str, action: str, statement: str, *values: str) -> None:
            for row in rows:
                said = [row[name] for name in values]
                await unit.connection.execute(statement, row["id"], *said)
                await service.step(unit.connection, row["id"], by, kind)
                unit.record(action, f"fault/{row['id']}", after={"at": row["at"].isoformat()})

        connection = unit.connection
        await each(await connection.fetch(_TAKEN), "taken", "fault.respond", _RESPONDED, "at", "by")
        await each(await connection.fetch(_BACK, by), "back", "fault.back", _AGAIN)
        for row in await connection.fetch(_OVER, now - HELD):
            await connection.execute(_RECOVERED, row["id"], row["at"], by)
            await service.step(connection, row["id"], by, "over")
            unit.record(
                "fault.recover", f"fault/{row['id']}", before={"until": None}, after={"until": row["at"].isoformat()}
            )

    async def due(self) -> Sequence[Finding]:
        """Promised times that will have passed soon, or have."""
        now, rules = self._now(), self._rules()
        near = {what: timedelta(minutes=rules.of(f"fault_{what}_near").values["minutes"])
                for what in ("response", "recovery")}  # fmt: skip
        rows = await self._database.fetch(_DUE, now, now + near["response"], now + near["recovery"])
        found = []
        if await self._database.fetchval(service.OPEN) >= MOST_OPEN:
            found.append(Finding("faults_full", "faults", WARNING, phrase("fault.full", most=MOST_OPEN)))
        for row in rows:
            title = row["title"] if row["by_hand"] else title_said(row["title"])
            for what, by in (("response", row["respond_by"]), ("recovery", row["recover_by"])):
                if not row[what]:
                    continue
                said = phrase("alarm.fault_due", title=title, by=Moment(by))
                found.append(Finding(f"fault_{what}_near", f"fault/{row['id']}", WARNING, said))
                if by <= now:
                    found.append(Finding(f"fault_{what}_over", f"fault/{row['id']}", CRITICAL, said))
        return found
