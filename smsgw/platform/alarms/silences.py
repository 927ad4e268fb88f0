"""Silence: of which alarms nobody is told for a time. The alarms themselves stand and are recorded all the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from smsgw.core.actor import Actor
from smsgw.core.alarm_rules import LASTING
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import LABELS, phrase
from smsgw.platform.change import EVERYBODY, Change
from smsgw.platform.listing import EVERYTHING, Listing
from smsgw.platform.paging import Order, Window
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database

LONGEST = timedelta(days=7)
MOST = 100
"""That hold at the same time."""
LEAST_REASON, MOST_REASON = 2, 200


@dataclass(frozen=True, slots=True)
class Silence:
    """One that holds, or held. ``kind`` and ``object``: empty for any."""

    id: int
    kind: str
    object: str
    reason: str
    made_by: str
    made_at: datetime
    until: datetime
    holds: Annotated[bool, "s.until > {now}"]

    def covers(self, kind: str, object: str) -> bool:
        """Whether nobody is told of such an alarm while it holds: of what lasts everybody is, always."""
        return kind not in LASTING and self.kind in ("", kind) and self.object in ("", object)


@dataclass(frozen=True, slots=True)
class SilenceFilter:
    """Which are looked for."""

    holds: Annotated[bool, "s.until > {now}"] = False


ALARM_SILENCES = Listing(
    Silence, SilenceFilter, "alarm_silence s", EVERYTHING, {"silence_until": Order("s.until", "timestamptz")}
)


async def holding(database: Database | Connection) -> Sequence[Silence]:
    """Those that hold now."""
    system = Actor.system("alarms")
    return (await ALARM_SILENCES.search(database, system, SilenceFilter(holds=True), Window(limit=MOST))).rows


_ADD = """
INSERT INTO alarm_silence (kind, object, reason, made_by, made_at, until) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id
"""
# What stands and nobody was told of yet, as all silences are now.
_DUE = """
UPDATE alarm_note n SET next_at = alarm_due(n.event, n.entered_at, a, r) FROM alarm a, alarm_receiver r
WHERE a.id = n.alarm_id AND r.id = n.receiver_id AND a.cleared_at IS NULL AND n.event = 'raised'
  AND n.state = 'waiting' AND n.tries = 0 AND ($1 = '' OR a.kind = $1) AND ($2 = '' OR a.object = $2)
"""
_END = "UPDATE alarm_silence SET until = $2 WHERE id = $1"


async def add(change: Change, kind: str, object: str, until: datetime, reason: str) -> int:
    """Let nobody be told of such alarms before ``until``; its id. What is over by then is never told. One of any kind
    is not about what cannot be hushed (``LASTING``).
    ``PARAM_INVALID``, ``STATE_CONFLICT`` beyond ``MOST``."""
    now, reason, object = clock.now(), " ".join(reason.split()), object.strip()
    if kind and kind not in LABELS["alarm"]:
        raise Invalid("PARAM_INVALID", field="kind", reason=phrase("alarm.silence_kind"))
    if kind in LASTING:
        raise Invalid("PARAM_INVALID", field="kind", reason=phrase("alarm.silence_lasting"))
    if len(object) > 200:
        raise Invalid("PARAM_INVALID", field="object", reason=phrase("text.at_most", limit=200))
    if not LEAST_REASON <= len(reason) <= MOST_REASON:
        raise Invalid("PARAM_INVALID", field="reason", reason=f"{LEAST_REASON}-{MOST_REASON}")
    if not now < until <= now + LONGEST:
        raise Invalid("PARAM_INVALID", field="until", reason=phrase("alarm.silence_until", days=LONGEST.days))
    async with change.unit(Permission.ALARM_HANDLE, EVERYBODY) as unit:
        if len(await holding(unit.connection)) >= MOST:
            raise Refused("STATE_CONFLICT", reason=phrase("alarm.silences_full", most=MOST))
        id_: int = await unit.connection.fetchval(_ADD, kind, object, reason, unit.actor.label, now, until)
        await unit.connection.execute(_DUE, kind, object)
        unit.record("alarm_silence.add", f"alarm_silence/{id_}", after={
            "kind": kind, "object": object, "until": until.isoformat(), "reason": reason,
        })  # fmt: skip
    return id_


async def end(change: Change, id_: int) -> None:
    """It is over now: what stands is told. ``NOT_FOUND``; ``STATE_CONFLICT`` when it was over before."""
    now = clock.now()
    async with change.unit(Permission.ALARM_HANDLE, EVERYBODY) as unit:
        found = await ALARM_SILENCES.get(unit.connection, unit.actor, id_)
        if found is None:
            raise Refused("NOT_FOUND")
        if not found.holds:
            raise Refused("STATE_CONFLICT", reason=phrase("alarm.silence_over"))
        await unit.connection.execute(_END, id_, now)
        await unit.connection.execute(_DUE, found.kind, found.object)
        unit.record("alarm_silence.end", f"alarm_silence/{id_}", before={"until": found.until.isoformat()},
                    after={"until": now.isoformat()})  # fmt: skip
