"""What happened, in one line of time: alarms, changes of the configuration, nodes with their versions, faults."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from smsgw.core.actor import Actor
from smsgw.core.words import Wording
from smsgw.platform.faults.model import joined_said, title_of, title_said
from smsgw.platform.org.queries import named
from smsgw.store.engine.database import Database, Row
from smsgw.store.records import alarms

MOST = 300
"""Of one look; of each kind at most so many."""


class Source(StrEnum):
    """Where an entry comes from."""

    ALARM = "alarm"
    CHANGE = "change"
    NODE = "node"
    FAULT = "fault"


CONFIGURATION = (
    "account", "alarm_rule", "alarm_silence", "brand", "channel", "code", "exclusion", "key", "login_policy", "node",
    "partner", "policy", "pool", "registration", "retention", "retry", "route", "route_draft", "setting", "sign",
    "template", "webhook", "word",
)  # fmt: skip
"""Changes of these (what an action begins with) are changes of the configuration."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened."""

    at: datetime
    source: Source
    what: str
    """``raised``, ``cleared``; an action of the audit log; ``start``, ``stop``, ``takeover``; a step's kind."""
    id: int
    """Of the alarm, the audit entry, the node's event or the fault."""
    kind: str
    """Of an alarm, or of the alarms that a changed rule or silence is about; of a node's start its version before."""
    object: str
    tone: str
    """Severity of an alarm."""
    who: str
    detail: Wording | str
    title: Wording | str = ""
    """Of a fault; of what was changed, where it is known by more than its number."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A stretch of time with what happened in it, the newest first."""

    entries: Sequence[Entry]
    more: bool
    """There was more: a shorter stretch shows it."""


_ALL = f"""
SELECT * FROM (
    (SELECT since AS at, 'alarm' AS source, 'raised' AS what, id, kind, object, severity AS tone, '' AS who,
            detail, said, false AS by_hand
     FROM alarm WHERE 'alarm' = ANY($3::text[]) AND since >= $1 AND since < $2 ORDER BY since DESC LIMIT {MOST + 1})
    UNION ALL
    (SELECT cleared_at, 'alarm', 'cleared', id, kind, object, severity, {named("acked_by")}, '', NULL, false
     FROM alarm WHERE 'alarm' = ANY($3) AND cleared_at >= $1 AND cleared_at < $2 ORDER BY cleared_at DESC
     LIMIT {MOST + 1})
    UNION ALL
    (SELECT c.at, 'change', c.action, c.id, COALESCE(r.kind, s.kind, ''), c.object, '', {named("c.actor")},
            COALESCE(r.object, s.object, ''), NULL, r.id IS NULL AND s.id IS NULL
     FROM audit c LEFT JOIN alarm_rule r ON c.object = 'alarm_rule/' || r.id
                  LEFT JOIN alarm_silence s ON c.object = 'alarm_silence/' || s.id
     WHERE 'change' = ANY($3) AND c.at >= $1 AND c.at < $2 AND split_part(c.action, '.', 1) = ANY($4::text[])
       AND c.action <> 'account.topup' AND (c.before IS NOT NULL OR c.after IS NOT NULL)
     ORDER BY c.at DESC LIMIT {MOST + 1})
    UNION ALL
    (SELECT at, 'node', kind, id, before, CASE kind WHEN 'takeover' THEN object ELSE 'node/' || node END, '',
            node::text, version, NULL, false
     FROM node_event WHERE 'node' = ANY($3) AND at >= $1 AND at < $2 ORDER BY at DESC LIMIT {MOST + 1})
    UNION ALL
    (SELECT s.at, 'fault', s.kind, f.id, '', f.title, f.severity, {named("s.by")}, s.said, NULL, f.by_hand
     FROM fault_step s JOIN fault f ON f.id = s.fault_id
     WHERE 'fault' = ANY($3) AND s.at >= $1 AND s.at < $2 ORDER BY s.at DESC LIMIT {MOST + 1})
) e WHERE $5 ORDER BY at DESC, source, id DESC LIMIT {MOST + 1}
"""  # noqa: S608 - constants


def _entry(row: Row) -> Entry:
    values = dict(row)
    said, by_hand = values.pop("said"), values.pop("by_hand")
    values["source"] = Source(values["source"])
    if values["source"] is Source.ALARM:
        values["detail"] = alarms.detail_of(values["detail"], said)
    if values["source"] is Source.CHANGE and not by_hand:
        values["title"] = title_said(title_of(values["kind"], values["detail"])) if values["kind"] else values["detail"]
        values["detail"] = ""
    if values["source"] is Source.FAULT:
        values["title"] = values["object"] if by_hand else title_said(values["object"])
        values["detail"] = joined_said(values["detail"]) if values["what"] == "joined" else values["detail"]
    return Entry(**values)


async def seen(database: Database, actor: Actor, since: datetime, until: datetime, sources: Collection[str]) -> Seen:
    """What happened between two times, for who sees the whole platform."""
    rows = await database.fetch(_ALL, since, until, list(sources), list(CONFIGURATION), actor.scope.whole is None)
    return Seen([_entry(row) for row in rows[:MOST]], len(rows) > MOST)
