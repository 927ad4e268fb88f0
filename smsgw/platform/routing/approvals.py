"""Route tables that wait for a second person, and what was decided about those before.

What is approved is the table that was submitted, word for word, over the version that was in force then: whoever
decides has seen both, and once another version is in force it has to be submitted anew.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import NoneType
from typing import Any

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change, Unit
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import NewJob
from smsgw.platform.listing import EVERYTHING, Listing
from smsgw.platform.paging import Order
from smsgw.platform.routing import following, queries
from smsgw.platform.routing.publication import LOCK, Made, put_in_force
from smsgw.store.engine.database import Database, Row

MOST_ANSWER = 200


class State(StrEnum):
    """How far a submission is."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Submission:
    """A table that was submitted."""

    id: int
    base: int
    """The version in force at that time; 0: none was."""
    document: dict[str, Any]
    note: str
    state: State
    made_by: ActorLabel
    made_at: datetime
    decided_by: ActorLabel
    decided_at: datetime | None
    answer: str
    version: int | None
    """What it has become."""


def _submission(row: Row) -> Submission:
    values = {key: value for key, value in row.items() if key != "_key"}
    return Submission(**values | {"document": json.loads(row["document"]), "state": State(row["state"])})


SUBMISSIONS = Listing(
    Submission,
    NoneType,
    "route_submission s",
    seen=EVERYTHING,
    orders={"made_at": Order("s.made_at", "timestamptz")},
    make=_submission,
)
_WAITS = "SELECT id FROM route_submission WHERE state = 'waiting'"


async def waits(database: Database) -> int:
    """The one that waits; 0: none."""
    return await database.fetchval(_WAITS) or 0


_WAITING = "SELECT * FROM route_submission WHERE state = 'waiting'"


async def waiting(database: Database) -> Submission | None:
    """The one that waits."""
    row = await database.fetchrow(_WAITING)
    return None if row is None else _submission(row)


_LOCKED = "SELECT * FROM route_submission WHERE id = $1 FOR UPDATE"
_DECIDE = """
UPDATE route_submission SET state = $2, decided_by = $3, decided_at = now(), answer = $4, version = $5 WHERE id = $1
"""


async def _waiting(unit: Unit, id_: int, answer: str) -> Submission:
    if len(answer) > MOST_ANSWER or not answer.isprintable():
        raise Invalid("PARAM_INVALID", field="reason", reason=phrase("text.between", low=0, high=MOST_ANSWER))
    row = await unit.connection.fetchrow(_LOCKED, id_)
    if row is None:
        raise Refused("NOT_FOUND")
    found = _submission(row)
    if found.state is not State.WAITING:
        raise Refused("STATE_CONFLICT", reason=phrase("review.over"))
    return found


async def approve(change: Change, id_: int, answer: str = "") -> Made:
    """Put a table in force that waits, by somebody else than who has submitted it; with the job by which what waits
    follows. ``NOT_FOUND``; ``STATE_CONFLICT`` for one's own, for what was decided, and once another version is in force
    than it was submitted over; ``PARAM_INVALID``: it names a channel that is no more."""
    async with change.unit(Permission.ROUTE_EDIT, EVERYBODY) as unit:
        await unit.connection.execute(LOCK)
        found = await _waiting(unit, id_, answer)
        if found.made_by == unit.actor.label:
            raise Refused("STATE_CONFLICT", reason=phrase("route.own"))
        newest = await queries.newest(unit.connection)
        now = newest.version if newest else 0
        if now != found.base:
            raise Refused("STATE_CONFLICT", reason=phrase("route.base", base=found.base, now=now))
        version = await put_in_force(unit, found.document, found.note)
        await unit.connection.execute(_DECIDE, id_, State.APPROVED, unit.actor.label, answer, version)
        job = await jobs.add(unit.connection, NewJob(following.NAME, {"version": version}, unit.actor.label))
        unit.record("route.approve", f"route/{version}", before={"version": now},
                    after={"made_by": found.made_by, "answer": answer})  # fmt: skip
    return Made(version, job=job or 0)


async def reject(change: Change, id_: int, answer: str) -> None:
    """Refuse a table that waits, or take one's own back. ``NOT_FOUND``, ``STATE_CONFLICT``."""
    async with change.unit(Permission.ROUTE_EDIT, EVERYBODY) as unit:
        found = await _waiting(unit, id_, answer)
        state = State.WITHDRAWN if found.made_by == unit.actor.label else State.REJECTED
        await unit.connection.execute(_DECIDE, id_, state, unit.actor.label, answer, None)
        unit.record("route.reject", "route", before={"state": State.WAITING, "made_by": found.made_by},
                    after={"state": state, "answer": answer})  # fmt: skip
