"""Rules of alarms as people have changed them; every node follows within seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping

import structlog

from smsgw.core.alarm_rules import KINDS, VALUES, Stored
from smsgw.store.engine.database import Connection, Database, Row

log = structlog.get_logger(__name__)

_LOAD = "SELECT kind, object, says, receivers FROM alarm_rule WHERE says IS NOT NULL AND NOT removed"


async def load(source: Connection | Database) -> dict[tuple[str, str], Stored]:
    """By kind and object; what is not understood (of a later program) is as by default."""
    return {(row["kind"], row["object"]): stored for row in await source.fetch(_LOAD)
            if row["kind"] in KINDS and (stored := read(row)) is not None}  # fmt: skip


def read(row: Row) -> Stored | None:
    """What was changed of a rule; None: nothing, or nothing that we understand."""
    try:
        says = None if row["says"] is None else json.loads(row["says"])
        if says is None:
            return None
        values = {name: int(value) for name, value in says["values"].items() if name in VALUES}
        return Stored(bool(says["on"]), says["severity"], says["after"], values,
                      None if row["receivers"] is None else tuple(row["receivers"]))  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        log.error("alarm_rule.not_understood", kind=row["kind"], object=row["object"], error=str(exc))
        return None


def written(stored: Stored) -> Mapping[str, object]:
    """The same for ``says``."""
    return {"on": stored.on, "severity": stored.severity, "after": stored.after, "values": dict(stored.values)}
